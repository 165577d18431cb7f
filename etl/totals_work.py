"""Totals as work: which cycles, in which order of steps, under which lease.

Effects: the database. The computation is ``transforms.totals``, the storing is
``loaders.totals``; this is when each happens. One run of totals at a time: a second one
would write figures of an older view over newer ones.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

import polars as pl

from etl.ahead import ahead
from etl.bus import Command, Context, Done
from etl.chains import BackupTotals, DispatchTotals, FindInsights
from etl.heartbeat import Heartbeat
from etl.rate_plan_files import stored_rate_plan
from loaders.allowances import one_offs_of, write_allowances
from loaders.database import Database, Transaction
from loaders.leases import Lease, Leases
from loaders.rate_plans import RatePlanStore
from loaders.reference import ReferenceStore
from loaders.totals import DIRTY, TotalsStore, Written
from transforms.cdr import require
from transforms.errors import ConfigError, LeaseHeld, MoneyError, StoreError
from transforms.money import decimal_text
from transforms.rated_totals import (
    ALLOWANCES,
    REASONS,
    ZONES,
    Planned,
    has_one_offs,
    in_cycle,
    one_offs_in,
    rated_totals,
)
from transforms.rating_tables import Prepared, prepare
from transforms.reference import CUSTOMERS
from transforms.revisions import BEFORE_ALL, facts_of, line_changes, plan_change
from transforms.totals import (
    CYCLE_KEY,
    HEADERS,
    LINES,
    PAIRS,
    Engine,
    Totals,
    cycle_pairs,
    finished,
    lines_from_json,
    standard_totals,
)

LEASE = "totals"
WAIT_S = 20.0
"""How long to wait for another run of totals before giving way to it."""
POLL_S = 0.25


Compute = Callable[[pl.DataFrame], "Computed"]

Elsewhere = Callable[[pl.DataFrame, Lease, Compute], list["Computed"]]
"""Computes cycles in shares on an executor, under the lease of this run; what cannot be
computed there is computed by the function it is given."""


@dataclass(frozen=True)
class Computed:
    """Totals of both methods, and the cycles left out.

    Attributes:
        totals: Headers and lines, sorted by cycle.
        reasons: Why usage has no price: frame ``REASONS``.
        allowances: What allowances gave: frame ``ALLOWANCES``.
        parked: Customer, cycle and what is wrong with its amounts.
        read_at: When the records were read, by the database's clock.
    """

    totals: Totals
    reasons: pl.DataFrame
    allowances: pl.DataFrame
    parked: tuple[tuple[int, date, str], ...] = ()
    read_at: datetime = BEFORE_ALL


class TotalsWork:
    """Computes totals and stores them."""

    def __init__(
        self,
        database: Database,
        totals: TotalsStore,
        reference: ReferenceStore,
        leases: Leases,
        engine: Callable[[], Engine],
        *,
        owner: str,
        lease_s: int,
        elsewhere: Elsewhere | None = None,
    ) -> None:
        """Remember the doors; nothing is opened.

        With ``elsewhere``, many cycles are not computed in this thread.
        """
        self._database = database
        self._totals = totals
        self._reference = reference
        self._leases = leases
        self._engine = engine
        self._plans = RatePlanStore(database)
        self._prepared: dict[tuple[str, str], Prepared] = {}
        self._owner = owner
        self._lease_s = lease_s
        self._elsewhere = elsewhere

    def dispatch(self, day: date | None, context: Context) -> Done:
        """Compute all cycles that wait, or only those that contain a day."""
        with self._lease() as lease:
            waiting = self._totals.dirty(day=day)
            cycle = None if day is None else day.isoformat()
            computed = self._many(waiting.select(list(PAIRS)), lease)
            parked = [(customer_id, start) for customer_id, start, _ in computed.parked]

            def followers(tx: Transaction) -> tuple[Command, ...]:
                # A job that was sent while this one ran is this one. Whoever sent it has
                # committed, or waits for our job's row and will find it done.
                context.require_fence(tx)
                left = self._totals.dirty_in(tx, day=day).select(CYCLE_KEY).rows()
                again = (DispatchTotals(cycle),) if set(left) - set(parked) else ()
                return (BackupTotals(), *again)

            return self._store(computed, waiting, lease, context, followers)

    def one(self, customer_id: int, day: date, context: Context) -> Done:
        """Compute one customer's cycle, whether it waits or not."""
        with self._lease() as lease:
            pair = self._pair(customer_id, day)
            waiting = self._totals.dirty(customer_id=customer_id)
            seen = waiting.join(pair, on=CYCLE_KEY, how="semi")
            computed = self._whole(pair)
            start = pair["cycle_start_date"][0].isoformat()
            backup = BackupTotals(customer_id, start)
            return self._store(computed, seen, lease, context, lambda _tx: (backup,))

    def backup(
        self, customer_id: int | None, cycle_start: str | None, context: Context
    ) -> Done:
        """Copy current revisions into the backup table where a copy is missing."""
        pairs = self._totals.without_backup()
        if customer_id is not None and cycle_start is not None:
            start = date.fromisoformat(cycle_start)
            pairs = pairs.filter(
                (pl.col("customer_id") == customer_id)
                & (pl.col("cycle_start_date") == start)
            )

        def work(tx: Transaction) -> Done:
            context.require_fence(tx)
            copied = self._totals.backup_in(tx, pairs)
            follower = FindInsights(customer_id, cycle_start)
            return context.finish(tx, {"revisions": copied}, (follower,))

        return self._database.run(work)

    def preview(self, customer_id: int, day: date) -> dict[str, object]:
        """Compute one customer's cycle and describe it; nothing is written."""
        pair = self._pair(customer_id, day)
        computed = self._whole(pair)
        stored = self._totals.header(customer_id, pair["cycle_start_date"][0])
        header = computed.totals.headers.row(0, named=True)
        is_same = stored is not None and stored.content_sha256 == header["content_sha256"]
        revision = (stored.revision if stored else 0) + (0 if is_same else 1)
        header |= {"revision": revision}
        document = totals_document(header, computed.totals.lines)
        return document | {
            "allowances": allowances_document(computed.allowances),
            "diff": self._changes(pair, header, computed),
        }

    def _changes(
        self, pair: pl.DataFrame, header: dict[str, Any], computed: Computed
    ) -> dict[str, object]:
        """Compare what is stored with what was computed, line by line."""
        customer_id, start, end, _ = pair.row(0)
        stored = self._totals.current(customer_id, start)
        now = facts_of(header, {}, computed.read_at)
        was, lines = replace(now, read_at=BEFORE_ALL), computed.totals.lines.clear()
        if stored is not None:
            row = stored.header
            made = self._plans.made(customer_id, start)
            was, lines = facts_of(vars(row), made, row.updated_at), stored.lines
        reasons = self._totals.dirty(customer_id).join(pair, on=CYCLE_KEY, how="semi")
        happened = replace(
            self._plans.happened(customer_id, start, end),
            reasons=tuple(reasons["reason"].to_list()),
        )
        return {
            "was_micros": stored.header.total_cost_micros if stored else 0,
            "is_micros": header["total_cost_micros"],
            "plan": plan_change(was, now),
            "lines": line_changes(was, lines, now, computed.totals.lines, happened),
        }

    def restore(self, customer_id: int, day: date, revision: int) -> dict[str, object]:
        """Put the figures of a revision back, as a new revision of the cycle.

        What is replaced is in the backup table first, so restoring is undone by restoring
        that. A mark on the cycle stays: a cycle that waits is computed anew. What the cycle
        used of allowances stays as its records say.

        Raises:
            ConfigError: When there is no such customer.
            StoreError: When the revision is not kept, or its copy is damaged.
        """
        pair = self._pair(customer_id, day)
        start = pair["cycle_start_date"][0]
        with self._lease() as lease:
            kept = self._totals.backups(customer_id, start)
            row = kept.filter(pl.col("revision") == revision)
            if row.is_empty():
                known = ", ".join(map(str, kept["revision"].to_list())) or "none"
                message = (
                    f"revision {revision} of customer {customer_id}, cycle {start}, is not"
                    f" in the backup table; it has: {known}"
                )
                raise StoreError(message)
            lines = lines_from_json(customer_id, start, row["lines"][0])
            unsealed = row.select([name for name in HEADERS if name != "content_sha256"])
            restored = finished(unsealed, lines)
            if restored.headers["content_sha256"][0] != row["content_sha256"][0]:
                message = (
                    f"the copy of revision {revision} of customer {customer_id}, cycle"
                    f" {start}, is not what was written; nothing was restored"
                )
                raise StoreError(message)
            made = self._plans.made(customer_id, start)
            _, read_at = made.get(revision, ("", row["backed_up_at"][0]))
            nothing = pl.DataFrame(schema=DIRTY)
            back = f"put back from revision {revision}"

            def chain(tx: Transaction, written: Written) -> None:
                self._totals.explain(tx, written.changed, nothing, read_at, back)
                self._totals.backup_in(tx, pair)

            written = self._totals.write(
                restored.headers,
                restored.lines,
                nothing,
                guard=lambda tx: self._leases.require(tx, lease, self._lease_s),
                chain=chain,
            )
        waits = not self._totals.dirty(customer_id, start).is_empty()
        return self.document(customer_id, day) | {
            "restored_revision": revision,
            "changed": bool(written.changed.height),
            "waits_for_totals": waits,
        }

    def document(self, customer_id: int, day: date) -> dict[str, object]:
        """Describe the stored totals of one customer's cycle.

        Raises:
            StoreError: When there are none.
        """
        start = self._pair(customer_id, day)["cycle_start_date"][0]
        stored = self._totals.header(customer_id, start)
        if stored is None:
            message = f"customer {customer_id} has no totals for the cycle of {start}"
            raise StoreError(message)
        document = totals_document(vars(stored), self._totals.lines(customer_id, start))
        allowances = self._plans.allowances(customer_id, start)
        return document | {"allowances": allowances_document(allowances)}

    def require_customer(self, customer_id: int) -> None:
        """See that a customer is known before work for it is queued.

        Raises:
            ConfigError: When it is not, with the way to add it.
        """
        self._pair(customer_id, date(2000, 1, 1))

    def _pair(self, customer_id: int, day: date) -> pl.DataFrame:
        customers = self._reference.customers().filter(pl.col("customer_id") == customer_id)
        if customers.is_empty():
            message = (
                f"there is no customer {customer_id}; add it to customers.csv and run: "
                "etl reference:load DIR"
            )
            raise ConfigError(message)
        return cycle_pairs(customers, day)

    def _whole(self, pair: pl.DataFrame) -> Computed:
        """Compute one cycle, or say what is wrong with its amounts."""
        computed = self._compute(pair)
        for _, _, message in computed.parked:
            raise MoneyError(message)
        return computed

    def share(self, pairs: pl.DataFrame, lease: Lease) -> Computed:
        """Compute cycles for the run that holds the lease on totals.

        Raises:
            FenceLost: When that run has lost it.
        """
        self._leases.renew(lease, self._lease_s)
        return self._compute(pairs)

    def _many(self, pairs: pl.DataFrame, lease: Lease) -> Computed:
        """Compute cycles: in shares where there is somebody to do them, else here."""
        if self._elsewhere is None or pairs.is_empty():
            return self._compute(pairs)
        shares = self._elsewhere(pairs, lease, self._compute)
        return replace(_together(shares), read_at=min(share.read_at for share in shares))

    def _compute(self, pairs: pl.DataFrame) -> Computed:
        """Compute cycles, each by its method: a plan that holds in it, or standard."""
        with self._database.snapshot() as tx:
            read_at = self._totals.clock(tx)
            planned = self._planned(tx, pairs)
            own = in_cycle(planned.assignments, pairs).select(CYCLE_KEY)
            rated = pairs.join(own, on=CYCLE_KEY, how="semi")
            plain = pairs.join(own, on=CYCLE_KEY, how="anti")
            parts = [_nothing()]
            if not plain.is_empty():
                parts.append(self._or_park(plain, lambda some: self._standard(tx, some)))
            if not rated.is_empty():
                # What a cycle used under a plan it has no more is not used.
                others = planned.one_offs.join(plain, on=CYCLE_KEY, how="anti")
                rating = self._rating(tx, replace(planned, one_offs=others))
                parts.append(self._or_park(rated, rating))
        return replace(_together(parts), read_at=read_at)

    def _standard(self, tx: Transaction, pairs: pl.DataFrame) -> Computed:
        # Records are read while those before them are added up.
        with closing(self._totals.records(tx, pairs)) as records, ahead(records) as frames:
            totals = standard_totals(frames, pairs, self._engine())
        return replace(_nothing(), totals=totals)

    def _rating(
        self, tx: Transaction, planned: Planned
    ) -> Callable[[pl.DataFrame], Computed]:
        """Rate cycles in their order; what one used of a one-off is gone in the next.

        Each part that is asked for begins with what the parts before it used.
        """
        others = planned.one_offs

        def compute(pairs: pl.DataFrame) -> Computed:
            nonlocal others
            with (
                closing(self._totals.customers_records(tx, pairs)) as pages,
                ahead(pages) as coming,
            ):
                rated = rated_totals(coming, pairs, replace(planned, one_offs=others))
            kept = others.join(pairs, on=CYCLE_KEY, how="anti")
            others = pl.concat([kept, one_offs_in(rated.allowances)])
            return Computed(rated.totals, rated.reasons, rated.allowances)

        return compute

    def _or_park(
        self, pairs: pl.DataFrame, compute: Callable[[pl.DataFrame], Computed]
    ) -> Computed:
        """Compute cycles; one whose amounts do not fit is left out and the rest go on.

        Which one it is shows when halves are computed again: this is rare, and a second
        reading of the records is cheaper than a check of every sum.
        """
        try:
            return compute(pairs)
        except MoneyError as exc:
            if pairs.height <= 1:
                customer_id, start = pairs.select(CYCLE_KEY).row(0)
                fault = str(exc)
                named = f"customer {customer_id}, cycle {start}"
                message = fault if named in fault else f"{named}: {fault}"
                return replace(_nothing(), parked=((customer_id, start, message),))
        half = pairs.height // 2
        return _together(
            [
                self._or_park(pairs.head(half), compute),
                self._or_park(pairs.tail(pairs.height - half), compute),
            ]
        )

    def _planned(self, tx: Transaction, pairs: pl.DataFrame) -> Planned:
        """Read who of these has which plan, with the plans that hold in these cycles."""
        customers = tx.frame("reference/customers", CUSTOMERS)
        zones = require(customers, ZONES, "TotalsWork zones")
        ids = pairs.select("customer_id").unique()
        assignments = self._plans.assignments_in(tx).join(ids, on="customer_id", how="semi")
        names = in_cycle(assignments, pairs)["rate_plan"].unique().to_list()
        plans = {}
        for stored in self._plans.plans_in(tx, names):
            key = (stored.id, stored.version)
            if key not in self._prepared:
                self._prepared[key] = prepare(stored_rate_plan(stored.document))
            plans[stored.id] = self._prepared[key]
        return Planned(assignments, plans, zones, self._one_offs(tx, assignments, plans))

    def _one_offs(
        self, tx: Transaction, assignments: pl.DataFrame, plans: dict[str, Prepared]
    ) -> pl.DataFrame:
        """Read what other cycles used, of the customers whose plans have one-offs."""
        names = [name for name, each in plans.items() if has_one_offs(each.plan)]
        own = assignments.filter(pl.col("rate_plan").is_in(names))
        return one_offs_of(tx, own["customer_id"].unique().sort().to_list())

    def _store(
        self,
        computed: Computed,
        seen: pl.DataFrame,
        lease: Lease,
        context: Context,
        followers: Callable[[Transaction], tuple[Command, ...]],
    ) -> Done:
        done: list[Done] = []

        def chain(tx: Transaction, written: Written) -> None:
            self._totals.explain(tx, written.changed, seen, computed.read_at)
            pairs = computed.totals.headers
            later = write_allowances(tx, self._totals, pairs, computed.allowances)
            figures = {
                "new_revisions": written.changed.height,
                "unchanged": written.unchanged.height,
                "unrated": int(computed.totals.headers["unrated_count"].sum()),
                "parked": len(computed.parked),
                "later_cycles_marked": later,
                "faults": [message for _, _, message in computed.parked],
            }
            done[:] = [context.finish(tx, figures, followers(tx))]

        if computed.parked and computed.totals.headers.is_empty():
            raise MoneyError(computed.parked[0][2])
        parked = pl.DataFrame(
            [row[:2] for row in computed.parked],
            {name: PAIRS[name] for name in CYCLE_KEY},
            orient="row",
        )
        self._totals.write(
            computed.totals.headers,
            computed.totals.lines,
            seen.join(parked, on=CYCLE_KEY, how="anti").select(list(DIRTY)),
            guard=lambda tx: self._leases.require(tx, lease, self._lease_s),
            chain=chain,
            reasons=computed.reasons,
        )
        return done[0]

    @contextmanager
    def _lease(self) -> Iterator[Lease]:
        """Hold the lease on totals, after waiting a little for the run that has it."""
        give_way_at = time.monotonic() + WAIT_S
        while True:
            try:
                lease = self._leases.acquire(LEASE, self._owner, self._lease_s)
                break
            except LeaseHeld:
                if time.monotonic() > give_way_at:
                    raise
                time.sleep(POLL_S)
        try:
            with Heartbeat(
                lambda: self._leases.renew(lease, self._lease_s), self._lease_s, "totals"
            ):
                yield lease
        finally:
            self._leases.release(lease)


def _nothing() -> Computed:
    return Computed(
        Totals(pl.DataFrame(schema=HEADERS), pl.DataFrame(schema=LINES)),
        pl.DataFrame(schema=REASONS),
        pl.DataFrame(schema=ALLOWANCES),
    )


def _together(parts: list[Computed]) -> Computed:
    """Put cycles of several computations together, sorted by cycle."""
    if len(parts) == 1:
        return parts[0]
    headers = pl.concat([part.totals.headers for part in parts]).sort(CYCLE_KEY)
    lines = pl.concat([part.totals.lines for part in parts]).sort(*CYCLE_KEY, "line_no")
    return Computed(
        Totals(headers, lines),
        pl.concat([part.reasons for part in parts]).sort(*CYCLE_KEY, "reason_no"),
        pl.concat([part.allowances for part in parts]),
        tuple(sorted(each for part in parts for each in part.parked)),
    )


def totals_document(header: dict[str, object], lines: pl.DataFrame) -> dict[str, object]:
    """Describe totals as ``etl totals:new --json`` does."""
    micros = int(str(header["total_cost_micros"]))
    return {
        **{
            name: header[name]
            for name in (
                "customer_id",
                "cycle_start_date",
                "cycle_end_date",
                "method",
                "rate_plan",
                "rate_plan_version",
                "revision",
            )
        },
        "currency": header["currency"],
        "total_cost": decimal_text(micros),
        "total_cost_micros": micros,
        "provider_cost_micros": header["provider_cost_micros"],
        "cdr_count": header["cdr_count"],
        "unrated_count": header["unrated_count"],
        "lines": [
            {
                "usage_type": line["usage_type"],
                "zone": line["zone"],
                "count": line["cdr_count"],
                "duration_s": line["duration_s"],
                "volume_bytes": line["volume_bytes"],
                "events": line["events"],
                "cost_micros": line["cost_micros"],
            }
            for line in lines.iter_rows(named=True)
        ],
    }


def allowances_document(allowances: pl.DataFrame) -> list[dict[str, object]]:
    """Describe what the allowances of a cycle gave (ALLOWANCES); money in micros."""
    named = allowances.with_columns(
        pl.col("is_once").cast(pl.Boolean).alias("once"),
        (pl.col("available") - pl.col("used")).alias("left"),
    )
    shown = ("rate_plan", "allowance", "subscriber", "unit", "once", "size", "available")
    return named.select(*shown, "used", "left").to_dicts()
