"""Totals as work: which cycles, in which order of steps, under which lease.

Effects: the database. The computation is ``transforms.totals``, the storing is
``loaders.totals``; this is when each happens. One run of totals at a time: a second one
would write figures of an older view over newer ones.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date

import polars as pl

from etl.bus import Command, Context, Done
from etl.chains import BackupTotals, DispatchTotals
from loaders.database import Database, Transaction
from loaders.leases import Lease, Leases
from loaders.reference import ReferenceStore
from loaders.totals import DIRTY, TotalsStore, Written
from transforms.errors import ConfigError, LeaseHeld, StoreError
from transforms.money import decimal_text
from transforms.totals import CYCLE_KEY, PAIRS, Engine, Totals, cycle_pairs, standard_totals

LEASE = "totals"
WAIT_S = 20.0
"""How long to wait for another run of totals before giving way to it."""
POLL_S = 0.25


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
    ) -> None:
        """Remember the doors; nothing is opened."""
        self._database = database
        self._totals = totals
        self._reference = reference
        self._leases = leases
        self._engine = engine
        self._owner = owner
        self._lease_s = lease_s

    def dispatch(self, day: date | None, context: Context) -> Done:
        """Compute all cycles that wait, or only those that contain a day."""
        with self._lease() as lease:
            waiting = self._totals.dirty(day=day)
            cycle = None if day is None else day.isoformat()
            computed = self._compute(waiting.select(list(PAIRS)))

            def followers(tx: Transaction) -> tuple[Command, ...]:
                # A job that was sent while this one ran is this one. Whoever sent it has
                # committed, or waits for our job's row and will find it done.
                context.require_fence(tx)
                left = self._totals.dirty_in(tx, day=day)
                again = () if left.is_empty() else (DispatchTotals(cycle),)
                return (BackupTotals(), *again)

            return self._store(computed, waiting, lease, context, followers)

    def one(self, customer_id: int, day: date, context: Context) -> Done:
        """Compute one customer's cycle, whether it waits or not."""
        with self._lease() as lease:
            pair = self._pair(customer_id, day)
            waiting = self._totals.dirty(customer_id=customer_id)
            seen = waiting.join(pair, on=CYCLE_KEY, how="semi")
            computed = self._compute(pair)
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
            return context.finish(tx, {"revisions": copied})

        return self._database.run(work)

    def preview(self, customer_id: int, day: date) -> dict[str, object]:
        """Compute one customer's cycle and describe it; nothing is written."""
        pair = self._pair(customer_id, day)
        computed = self._compute(pair)
        stored = self._totals.header(customer_id, pair["cycle_start_date"][0])
        header = computed.headers.row(0, named=True)
        is_same = stored is not None and stored.content_sha256 == header["content_sha256"]
        revision = (stored.revision if stored else 0) + (0 if is_same else 1)
        return totals_document(header | {"revision": revision}, computed.lines)

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
        return totals_document(vars(stored), self._totals.lines(customer_id, start))

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

    def _compute(self, pairs: pl.DataFrame) -> Totals:
        with self._database.snapshot() as tx:
            return standard_totals(self._totals.records(tx, pairs), pairs, self._engine())

    def _store(
        self,
        computed: Totals,
        seen: pl.DataFrame,
        lease: Lease,
        context: Context,
        followers: Callable[[Transaction], tuple[Command, ...]],
    ) -> Done:
        done: list[Done] = []

        def chain(tx: Transaction, written: Written) -> None:
            figures = {
                "new_revisions": written.changed.height,
                "unchanged": written.unchanged.height,
            }
            done[:] = [context.finish(tx, figures, followers(tx))]

        self._totals.write(
            computed.headers,
            computed.lines,
            seen.select(list(DIRTY)),
            guard=lambda tx: self._leases.require(tx, lease, self._lease_s),
            chain=chain,
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
            yield lease
        finally:
            self._leases.release(lease)


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
