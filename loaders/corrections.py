"""Corrections: what operators decide about deliveries, and stored records set right.

Effects: the database. Every change of records commits together with its ledger row (a
negative one where records leave), the counts of its import, the cycles it touched and
their marks for totals, so that the audit holds at each commit. The right to write is the
provider's lease, proven in each transaction: it keeps imports of that provider away.

Units: ``_micros`` whole micros, ``_s`` seconds.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Final

import polars as pl

from loaders.database import Database, Row, Transaction
from loaders.imports import CUSTOMERS_PER_QUERY, STORED, supersede
from loaders.leases import Lease, Leases
from loaders.retention import removed_of_import
from loaders.totals import CYCLE, NO_IMPORT, TotalsStore
from transforms import cdr
from transforms.errors import ConfigError, StoreError
from transforms.match import CYCLES, cycles_of
from transforms.money import exact_sum

PAGE_ROWS: Final = 20_000
"""The most records that leave or move in one commit."""

EARLIEST: Final = datetime(1000, 1, 1)  # noqa: DTZ001 - a wall clock before any record
LATEST: Final = datetime(9999, 12, 31)  # noqa: DTZ001 - a wall clock after any record

PLACES: Final[cdr.Schema] = {
    "member": pl.String(),
    "line_no": pl.Int64(),
    "kind": pl.String(),
    "customer_id": pl.Int64(),
    "call_date": cdr.INSTANT,
    "fingerprint": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""Where a record stands that was set aside, and as what: duplicate or conflict."""

HISTORY: Final[cdr.Schema] = {"id": pl.Int64(), **STORED}
"""A row of ``superseded_record``."""

_OWN_HISTORY: Final[cdr.Schema] = {
    "id": pl.Int64(),
    "fingerprint": pl.Int64(),
    "superseded_by_import_id": pl.Int64(),
    "line_no": pl.Int64(),
    "cost_micros": pl.Int64(),
}
_REPLACED: Final[cdr.Schema] = {"id": pl.Int64(), "fingerprint": pl.Int64()}


@dataclass(frozen=True)
class ListedImport:
    """An import as operators look at it."""

    id: int
    provider: str
    file_name: str
    status: str
    is_locked: bool
    is_complete: bool
    message: str | None
    owner: str | None
    attempts: int
    records: int
    loaded: int
    duplicates: int
    conflicts: int
    rejected: int
    suspended: int
    ignored: int
    cost_micros: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class Decision:
    """What a person decided about an import, and how much it was about."""

    decision: str
    decided_by: str
    decided_at: datetime
    record_count: int
    cost_micros: int
    reason: str


@dataclass(frozen=True)
class RevertFigures:
    """What backing an import out is about.

    Attributes:
        record_count: Records of the import that are stored.
        cost_micros: What they cost.
        replaced: Records they replaced, which come back.
        cycles: Cycles that need new totals.
    """

    record_count: int
    cost_micros: int
    replaced: int
    cycles: int


@dataclass(frozen=True)
class Page:
    """Customers and a stretch of time ``[from_date, to_date)`` of one import's records."""

    customer_ids: tuple[int, ...]
    from_date: datetime
    to_date: datetime


@dataclass(frozen=True)
class OfferingImport:
    """A complete import with records that were set aside because of another import's."""

    id: int
    provider: str
    file_name: str
    sha256: str
    control_text: str | None
    duplicates: int
    conflicts: int


@dataclass(frozen=True)
class Adjustment:
    """How the counts of one complete import change; the five add up to nothing.

    Attributes:
        import_id: The import.
        loaded: More (or fewer) records loaded, and so for the other counts.
        cost_micros: What the records that came or went cost.
        lines: First and last line number of the records that came or went.
        call_dates: Earliest and latest wall clock of the records that came.
        cycles: CYCLES that came; negative counts are cycles that records left.
    """

    import_id: int
    loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    suspended: int = 0
    cost_micros: int = 0
    lines: tuple[int, int] = (0, 0)
    call_dates: tuple[datetime, datetime] | None = None
    cycles: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=CYCLES))

    def conserved(self) -> "Adjustment":
        """Return itself when no record is lost or made.

        Raises:
            StoreError: When the counts do not add up to nothing.
        """
        aside = self.duplicates + self.conflicts + self.rejected + self.suspended
        if self.loaded + aside:
            message = (
                f"import {self.import_id}: {self.loaded} records more are loaded but "
                f"{-aside} fewer are set aside; nothing was written"
            )
            raise StoreError(message)
        return self


@dataclass(frozen=True)
class Offered:
    """What became of a page of records that were offered again.

    Attributes:
        places: ``member`` and ``line_no`` of the records of this page.
        loaded: STORED rows that count from now on.
        replaced: KEY of stored records that they replace.
        duplicates: Rows of ``duplicate_record``; so for the further three.
    """

    places: pl.DataFrame
    loaded: pl.DataFrame
    replaced: pl.DataFrame
    duplicates: pl.DataFrame
    conflicts: pl.DataFrame
    suspended: pl.DataFrame
    rejected: pl.DataFrame
    adjustment: Adjustment
    dirty: pl.DataFrame
    """CYCLE of the records that count anew or no longer."""


@dataclass(frozen=True)
class Moved:
    """A page of stored records whose owner or wall clock is another now.

    Attributes:
        before: STORED rows as they are stored.
        after: STORED rows of those that have an owner.
        suspended: Rows of ``suspended_record`` of those that have none.
    """

    before: pl.DataFrame
    after: pl.DataFrame
    suspended: pl.DataFrame


Again = Callable[[Transaction, int, str], None]
"""Stores that the provider invoice of an import (id, provider) is worked out again."""


class CorrectionStore:
    """The door for corrections."""

    def __init__(
        self,
        database: Database,
        totals: TotalsStore,
        leases: Leases,
        lease_s: int,
        again: Again,
    ) -> None:
        """Remember the doors; nothing is opened."""
        self._database = database
        self._totals = totals
        self._leases = leases
        self._lease_s = lease_s
        self._again = again
        self.invoices_again: dict[int, str] = {}
        """Imports (id and provider) whose provider invoice changed by this process."""

    # --- looking and deciding -------------------------------------------------------------

    def listed(
        self, *, status: str | None, provider: str | None, limit: int
    ) -> list[ListedImport]:
        """Return the newest imports, newest first."""
        with self._database.snapshot() as tx:
            rows = tx.rows(
                "corrections/imports", status=status, provider=provider, limit_rows=limit
            )
        return [_listed(row) for row in rows]

    def decisions(self, import_id: int) -> list[Decision]:
        """Return what people decided about an import, the oldest first."""
        with self._database.snapshot() as tx:
            rows = tx.rows("corrections/decisions", import_id=import_id)
        return [
            Decision(
                row["decision"],
                row["decided_by"],
                _moment(row["decided_at"]),
                int(row["record_count"]),
                int(row["cost_micros"]),
                row["reason"],
            )
            for row in rows
        ]

    def decide(self, import_id: int, decision: str, by: str, reason: str) -> None:
        """Keep who decided what about an import of which nothing is stored."""
        self._database.run(
            lambda tx: tx.execute(
                "corrections/decide",
                import_id=import_id,
                decision=decision,
                decided_by=by,
                record_count=0,
                cost_micros=0,
                reason=reason[:255],
            )
        )

    def release(self, import_id: int, by: str) -> None:
        """Let an import that waits for a person go on, and keep who let it.

        Raises:
            ConfigError: When it does not wait for a person any more.
        """

        def work(tx: Transaction) -> None:
            released = tx.execute(
                "corrections/release",
                import_id=import_id,
                message=f"released by {by}",
            )
            if released != 1:
                message = f"import {import_id} does not wait for a person any more"
                raise ConfigError(message)
            tx.execute(
                "corrections/decide",
                import_id=import_id,
                decision="release",
                decided_by=by,
                record_count=0,
                cost_micros=0,
                reason="",
            )

        self._database.run(work)

    def free_lost_owners(self) -> None:
        """Unlock the imports whose owner is gone, and free what that owner still holds.

        An operator who unlocks an import says that its owner is gone, or must stop: the
        owner's lease on the provider ends with it, so that the import runs again at once.
        """

        def work(tx: Transaction) -> None:
            tx.execute("import/free_expired")
            tx.execute("corrections/free_lost_owners")

        self._database.run(work)

    def take_up_freed(self, follow: Callable[[Transaction, int, str], None]) -> list[int]:
        """Hand imports that were unlocked by hand, or lost their owner, back to the queue.

        Args:
            follow: Stores the job that imports one (id, provider), in the transaction.

        Returns:
            The imports handed back, oldest first.
        """
        self.free_lost_owners()
        with self._database.snapshot() as tx:
            waiting = tx.rows("corrections/freed")
        taken = []
        for row in waiting:
            import_id, provider = int(row["id"]), str(row["provider"])

            def take(
                tx: Transaction, import_id: int = import_id, provider: str = provider
            ) -> bool:
                if not tx.execute("corrections/take_up", import_id=import_id):
                    return False
                follow(tx, import_id, provider)
                return True

            if self._database.run(take):
                taken.append(import_id)
        return taken

    # --- backing an import out ------------------------------------------------------------

    def revert_figures(self, import_id: int) -> RevertFigures:
        """Say what backing an import out is about."""
        with self._database.snapshot() as tx:
            ledger = _ledger(tx, import_id)
            replaced = _the(tx.row("corrections/replaced_count", import_id=import_id))
            cycles = tx.rows("corrections/cycles", import_id=import_id)
        return RevertFigures(
            ledger.record_count,
            ledger.cost_micros,
            int(replaced["record_count"]),
            len(cycles),
        )

    def require_all_there(self, import_id: int) -> None:
        """See that every record an import loaded is still stored one by one.

        Raises:
            ConfigError: When some became sums after their term: what is left of the
                import cannot be told apart from what other imports brought.
        """
        with self._database.snapshot() as tx:
            _require_all_there(tx, import_id)

    def begin_revert(
        self, lease: Lease, import_id: int, owner: str, by: str, reason: str
    ) -> None:
        """Stop counting an import's records; from this commit on it will be backed out.

        Its cycles wait for totals, its provider invoice is gone, and what later deliveries
        replaced of it is history no longer: it never counts again.
        """

        def work(tx: Transaction) -> None:
            self._leases.require(tx, lease, self._lease_s)
            _require_all_there(tx, import_id)
            stored = _ledger(tx, import_id)
            tx.execute(
                "corrections/decide",
                import_id=import_id,
                decision="revert",
                decided_by=by,
                record_count=stored.record_count,
                cost_micros=stored.cost_micros,
                reason=reason[:255],
            )
            begun = tx.execute(
                "corrections/begin_revert",
                import_id=import_id,
                owner=owner,
                message=f"being backed out by {by}; go on with: etl import:revert "
                f"{import_id} --by NAME",
            )
            if begun != 1:
                message = f"import {import_id} was backed out by another run meanwhile"
                raise ConfigError(message)
            cycles = tx.frame("corrections/cycles", CYCLES, import_id=import_id)
            self._totals.mark_dirty(
                tx, cycles.select(list(CYCLE)), f"import {import_id} reverted"
            )
            tx.execute("provider_invoice/clear_lines", import_id=import_id)
            tx.execute("provider_invoice/clear", import_id=import_id)
            _forget_own_history(tx, import_id)

        self._database.run(work)

    def revert_pages(self, import_id: int) -> list[Page]:
        """Say where the records of an import lie: customers by cycle, then anywhere.

        The last pages are of all customers and all time: they find what an import that
        never completed has stored. For a complete one they are not asked for.
        """
        with self._database.snapshot() as tx:
            cycles = tx.frame("corrections/cycles", CYCLES, import_id=import_id)
            if not cycles.is_empty():
                return list(_cycle_pages(cycles))
            rows = tx.rows("import/customer_ids")
        ids = [int(row["customer_id"]) for row in rows]
        return [
            Page(tuple(ids[start : start + CUSTOMERS_PER_QUERY]), EARLIEST, LATEST)
            for start in range(0, len(ids), CUSTOMERS_PER_QUERY)
        ]

    def revert_page(
        self, lease: Lease, import_id: int, page: Page, customers: pl.DataFrame
    ) -> tuple[int, int]:
        """Take the next records of a page out, and bring back what they had replaced.

        Returns:
            How many records left, and how many came back; (0, 0) when the page is empty.
        """

        def work(tx: Transaction) -> tuple[int, int]:
            self._leases.require(tx, lease, self._lease_s)
            tx.execute("corrections/create_moved_key")
            tx.execute("corrections/clear_moved_key")
            picked = tx.execute(
                "corrections/pick_reverted",
                import_id=import_id,
                customer_ids=list(page.customer_ids),
                from_date=page.from_date,
                to_date=page.to_date,
                limit_rows=PAGE_ROWS,
            )
            if not picked:
                return 0, 0
            figures = _the(tx.row("corrections/moved_figures"))
            _require_count("left", tx.execute("corrections/remove_moved"), picked)
            _write_ledger(
                tx,
                import_id,
                -int(figures["record_count"]),
                -int(figures["cost_micros"]),
                (int(figures["first_line"]), int(figures["last_line"])),
            )
            return picked, self._bring_back(tx, import_id, customers)

        return self._database.run(work)

    def _bring_back(self, tx: Transaction, import_id: int, customers: pl.DataFrame) -> int:
        """Let the records count again that the picked ones had replaced."""
        history = tx.frame("corrections/come_back", HISTORY, import_id=import_id)
        if history.is_empty():
            return 0
        tx.load("call_detail_record", history.select(list(STORED)))
        tx.execute_many("corrections/forget_superseded", history.select("id").to_dicts())
        cycles = cycles_of(history, customers)
        self._totals.mark_dirty(
            tx, cycles.select(list(CYCLE)), f"import {import_id} reverted"
        )
        for other_id in history["import_id"].unique().sort():
            self._invoice_again(tx, other_id)
        return history.height

    def offering(self, import_id: int) -> list[OfferingImport]:
        """Return the complete imports with records set aside because of this one's."""
        with self._database.snapshot() as tx:
            rows = tx.rows("corrections/offered", import_id=import_id)
        return [
            OfferingImport(
                int(row["id"]),
                row["provider"],
                row["file_name"],
                row["sha256"],
                row["control_text"],
                int(row["duplicates"]),
                int(row["conflicts"]),
            )
            for row in rows
        ]

    def offered_places(self, import_id: int, against_import_id: int) -> pl.DataFrame:
        """Return where these records stand in their delivery (PLACES)."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "corrections/offered_places",
                PLACES,
                import_id=import_id,
                against_import_id=against_import_id,
            )

    def offer(self, lease: Lease, against_import_id: int, offered: Offered) -> None:
        """Store what became of a page of records that were offered again: one commit."""
        adjustment = offered.adjustment.conserved()
        import_id = adjustment.import_id

        def work(tx: Transaction) -> None:
            self._leases.require(tx, lease, self._lease_s)
            tx.execute("corrections/create_offered_place")
            tx.execute("corrections/clear_offered_place")
            tx.load("offered_place", offered.places.select("member", "line_no"))
            taken = sum(
                tx.execute(
                    f"corrections/take_{kind}",
                    import_id=import_id,
                    against_import_id=against_import_id,
                )
                for kind in ("duplicate", "conflict")
            )
            _require_count("offered", taken, offered.places.height)
            supersede(tx, import_id, offered.replaced)
            tx.load("call_detail_record", offered.loaded)
            tx.load("duplicate_record", offered.duplicates)
            tx.load("conflict_record", offered.conflicts)
            tx.load("suspended_record", offered.suspended)
            tx.load("rejected_record", offered.rejected)
            self._adjust(tx, adjustment)
            self._totals.mark_dirty(
                tx, offered.dirty, f"import {against_import_id} reverted"
            )

        self._database.run(work)

    def finish_revert(self, lease: Lease, import_id: int, by: str) -> None:
        """Mark an import as backed out; the last write.

        Raises:
            StoreError: When something of it is still stored.
        """

        def work(tx: Transaction) -> None:
            self._leases.require(tx, lease, self._lease_s)
            left = _ledger(tx, import_id)
            replaced = _the(tx.row("corrections/replaced_count", import_id=import_id))
            if (left.record_count, left.cost_micros, int(replaced["record_count"])) != (
                0,
                0,
                0,
            ):
                message = (
                    f"import {import_id}: {left.record_count} records of {left.cost_micros}"
                    f" micros are still stored and {replaced['record_count']} still"
                    " replaced; run: etl audit"
                )
                raise StoreError(message)
            tx.execute("corrections/forget_ledger", import_id=import_id)
            tx.execute("import/clear_cycles", import_id=import_id)
            for kind in ("rejected", "suspended", "conflict", "duplicate"):
                tx.execute(f"import/clear_{kind}", import_id=import_id)
            finished = tx.execute(
                "corrections/finish_revert",
                import_id=import_id,
                message=f"backed out by {by}; import it again with: etl import:release "
                f"{import_id} --by NAME",
            )
            _require_count("finished", finished, 1)

        self._database.run(work)

    # --- owners again ---------------------------------------------------------------------

    def providers(self) -> list[str]:
        """Return the providers with complete imports."""
        with self._database.snapshot() as tx:
            return [str(row["provider"]) for row in tx.rows("corrections/providers")]

    def stored_rows(self, provider: str, since: date | None) -> Iterator[pl.DataFrame]:
        """Read the provider's stored records (STORED) of complete imports, page by page.

        All of them are read in one snapshot, so a record that moves meanwhile is seen once.
        """
        start = EARLIEST if since is None else datetime(since.year, since.month, since.day)  # noqa: DTZ001 - a wall clock
        with self._database.snapshot() as tx:
            unready = [int(row["id"]) for row in tx.rows("totals/unready_imports")]
            ids = [int(row["customer_id"]) for row in tx.rows("import/customer_ids")]
            for first in range(0, len(ids), CUSTOMERS_PER_QUERY):
                yield from tx.frames(
                    "corrections/stored_rows",
                    STORED,
                    provider=provider,
                    customer_ids=ids[first : first + CUSTOMERS_PER_QUERY],
                    since=start,
                    unready_ids=unready or [NO_IMPORT],
                )

    def move(self, lease: Lease, moved: Moved, customers: pl.DataFrame) -> pl.DataFrame:
        """Move records to their owner of now, or back to those that wait: one commit.

        Returns:
            CYCLE of every cycle that records left or came to.
        """

        def work(tx: Transaction) -> pl.DataFrame:
            self._leases.require(tx, lease, self._lease_s)
            _remove(tx, moved.before)
            tx.load("call_detail_record", moved.after)
            tx.load("suspended_record", moved.suspended)
            touched = [pl.DataFrame(schema=CYCLE)]
            for import_id in moved.before["import_id"].unique().sort():
                adjustment = _moved_of(tx, import_id, moved, customers)
                touched.append(adjustment.cycles.select(list(CYCLE)))
                self._adjust(tx, adjustment)
            pairs = pl.concat(touched).unique().sort(list(CYCLE))
            self._totals.mark_dirty(tx, pairs, "owners changed")
            return pairs

        return self._database.run(work)

    def _adjust(self, tx: Transaction, change: Adjustment) -> None:
        """Set the counts, the ledger and the cycles of a complete import right."""
        change.conserved()
        first, last = change.call_dates or (None, None)
        adjusted = tx.execute(
            "corrections/adjust_counts",
            import_id=change.import_id,
            loaded=change.loaded,
            duplicates=change.duplicates,
            conflicts=change.conflicts,
            rejected=change.rejected,
            suspended=change.suspended,
            cost_micros=change.cost_micros,
            first_call_date=first,
            last_call_date=last,
        )
        _require_count("complete", adjusted, 1)
        if change.loaded or change.cost_micros:
            _write_ledger(
                tx, change.import_id, change.loaded, change.cost_micros, change.lines
            )
        _merge_cycles(tx, change.import_id, change.cycles)
        self._invoice_again(tx, change.import_id)

    def _invoice_again(self, tx: Transaction, import_id: int) -> None:
        """Have the provider invoice of an import worked out again, if there is one."""
        row = tx.row("corrections/invoiced", import_id=import_id)
        if row is not None:
            self._again(tx, import_id, str(row["provider"]))
            self.invoices_again[import_id] = str(row["provider"])


# --- pages ------------------------------------------------------------------------------


def _require_all_there(tx: Transaction, import_id: int) -> None:
    if removed := removed_of_import(tx, import_id):
        message = (
            f"{removed} records of import {import_id} were removed after their term and "
            "are sums now, which cannot be taken back; correct its customers with credit "
            "notes (etl invoice:credit), the import stays as it is"
        )
        raise ConfigError(message)


def _cycle_pages(cycles: pl.DataFrame) -> Iterator[Page]:
    """Cut an import's cycles into pages of customers that share one cycle's dates."""
    dates = ["cycle_start_date", "cycle_end_date"]
    grouped = cycles.sort(*dates, "customer_id").group_by(dates, maintain_order=True)
    for (start, end), group in grouped:
        ids = group["customer_id"].to_list()
        for first in range(0, len(ids), CUSTOMERS_PER_QUERY):
            yield Page(
                tuple(ids[first : first + CUSTOMERS_PER_QUERY]),
                _midnight(start),
                _midnight(end),
            )


def _midnight(day: object) -> datetime:
    if not isinstance(day, date):
        message = f"{day!r} is no date"
        raise StoreError(message)
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001 - a wall clock


# --- the ledger -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ledger:
    last_batch_no: int
    record_count: int
    cost_micros: int


def _ledger(tx: Transaction, import_id: int) -> _Ledger:
    row = _the(tx.row("import/ledger", import_id=import_id))
    return _Ledger(
        int(row["last_batch_no"]), int(row["record_count"]), int(row["cost_micros"])
    )


def _write_ledger(
    tx: Transaction,
    import_id: int,
    record_count: int,
    cost_micros: int,
    lines: tuple[int, int],
) -> None:
    """Add a ledger row; records that leave are a negative one, rows are never changed."""
    row = {
        "import_id": import_id,
        "batch_no": _ledger(tx, import_id).last_batch_no + 1,
        "first_line": lines[0],
        "last_line": lines[1],
        "record_count": record_count,
        "cost_micros": cost_micros,
    }
    tx.load("import_batch", pl.DataFrame([row], dict.fromkeys(row, pl.Int64())))


def _merge_cycles(tx: Transaction, import_id: int, change: pl.DataFrame) -> None:
    """Add a change to the cycles an import touched; those without records go."""
    ids = change["customer_id"].unique().sort().to_list()
    for first in range(0, len(ids), CUSTOMERS_PER_QUERY):
        page = ids[first : first + CUSTOMERS_PER_QUERY]
        asked = {"import_id": import_id, "customer_ids": page}
        stored = tx.frame("corrections/cycles_of_customers", CYCLES, **asked)
        ours = change.filter(pl.col("customer_id").is_in(page))
        merged = _summed(pl.concat([stored, ours])).filter(pl.col("record_count") != 0)
        tx.execute("corrections/clear_cycles_of_customers", **asked)
        tx.load(
            "import_cycle",
            merged.select(pl.lit(import_id, pl.Int64).alias("import_id"), pl.all()),
        )


def _summed(cycles: pl.DataFrame) -> pl.DataFrame:
    return (
        cycles.group_by("customer_id", "cycle_start_date")
        .agg(
            pl.col("cycle_end_date").first(),
            exact_sum("record_count"),
            exact_sum("cost_micros"),
        )
        .sort("customer_id", "cycle_start_date")
        .select(list(CYCLES))
    )


def _forget_own_history(tx: Transaction, import_id: int) -> None:
    """Drop the replaced records of an import that is backed out.

    What they had replaced themselves is from now on replaced by whoever replaced them.
    """
    own = tx.frame("corrections/own_history", _OWN_HISTORY, import_id=import_id)
    if own.is_empty():
        return
    replaced = tx.frame("corrections/replaced_by", _REPLACED, import_id=import_id)
    next_ones = own.unique("fingerprint", keep="last").select(
        "fingerprint", "superseded_by_import_id"
    )
    relinked = replaced.join(next_ones, on="fingerprint", how="inner")
    tx.execute_many(
        "corrections/relink_superseded",
        relinked.select("id", "superseded_by_import_id").to_dicts(),
    )
    tx.execute_many("corrections/forget_superseded", own.select("id").to_dicts())
    _write_ledger(tx, import_id, -own.height, -_cost_micros(own), _lines(own))


# --- moving -----------------------------------------------------------------------------


def _remove(tx: Transaction, rows: pl.DataFrame) -> None:
    tx.execute("corrections/create_moved_key")
    tx.execute("corrections/clear_moved_key")
    tx.load("moved_key", rows.select(list(cdr.KEY)))
    _require_count("moved", tx.execute("corrections/remove_moved"), rows.height)


def _moved_of(
    tx: Transaction, import_id: int, moved: Moved, customers: pl.DataFrame
) -> Adjustment:
    """Say how a page of moved records changes one import."""
    is_ours = pl.col("import_id") == import_id
    before, after = moved.before.filter(is_ours), moved.after.filter(is_ours)
    waiting = moved.suspended.filter(is_ours)
    left = _cycles_left(tx, import_id, before)
    came = cycles_of(after, customers)
    dates = after["call_date"].sort()
    return Adjustment(
        import_id,
        loaded=-waiting.height,
        suspended=waiting.height,
        cost_micros=-_cost_micros(waiting),
        lines=_lines(waiting) if waiting.height else (0, 0),
        call_dates=(dates[0], dates[-1]) if after.height else None,
        cycles=_summed(pl.concat([left, came])),
    )


def _cycles_left(tx: Transaction, import_id: int, rows: pl.DataFrame) -> pl.DataFrame:
    """CYCLES, negative, of records that leave: the cycles they were counted in.

    Those are looked up, not computed: a customer's cycle day may have changed since.
    """
    found = [pl.DataFrame(schema=CYCLES)]
    ids = rows["customer_id"].unique().sort().to_list()
    for first in range(0, len(ids), CUSTOMERS_PER_QUERY):
        page = ids[first : first + CUSTOMERS_PER_QUERY]
        cycles = tx.frame(
            "corrections/cycles_of_customers",
            CYCLES,
            import_id=import_id,
            customer_ids=page,
        ).select(list(CYCLE))
        day = pl.col("call_date").dt.date()
        placed = (
            rows.filter(pl.col("customer_id").is_in(page))
            .select("customer_id", "call_date", "cost_micros")
            .join(cycles, on="customer_id")
            .filter((pl.col("cycle_start_date") <= day) & (day < pl.col("cycle_end_date")))
        )
        found.append(
            placed.group_by(list(CYCLE))
            .agg(
                (-pl.len().cast(pl.Int64)).alias("record_count"),
                -exact_sum("cost_micros"),
            )
            .select(list(CYCLES))
        )
    left = pl.concat(found)
    _require_count("counted in a cycle", -int(left["record_count"].sum()), rows.height)
    return left


# --- small ones -------------------------------------------------------------------------


def _cost_micros(rows: pl.DataFrame) -> int:
    return int(rows.select(exact_sum("cost_micros")).item() or 0)


def _lines(rows: pl.DataFrame) -> tuple[int, int]:
    ordered = rows["line_no"].sort()
    return int(ordered[0]), int(ordered[-1])


def _require_count(what: str, found: int, expected: int) -> None:
    if found != expected:
        message = (
            f"{found} of {expected} records were {what}; the page is undone. "
            "Run it again, then: etl audit"
        )
        raise StoreError(message)


def _the(row: Row | None) -> Row:
    if row is None:
        message = "the database answered without a row where one must be"
        raise StoreError(message)
    return row


def _listed(row: Row) -> ListedImport:
    return ListedImport(
        id=int(row["id"]),
        provider=row["provider"],
        file_name=row["file_name"],
        status=row["status"],
        is_locked=bool(row["locked"]),
        is_complete=bool(row["complete"]),
        message=row["message"],
        owner=row["owner"],
        attempts=int(row["attempts"]),
        records=int(row["records"]),
        loaded=int(row["loaded"]),
        duplicates=int(row["duplicates"]),
        conflicts=int(row["conflicts"]),
        rejected=int(row["rejected"]),
        suspended=int(row["suspended"]),
        ignored=int(row["ignored"]),
        cost_micros=int(row["cost_micros"]),
        created_at=_moment(row["created_at"]),
        updated_at=_moment(row["updated_at"]),
    )


def _moment(value: datetime | str) -> datetime:
    """SQLite keeps moments as text; MySQL gives date-times."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value
