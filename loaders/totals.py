"""Totals: which cycles wait for them, what they are made of, and every revision of them.

Effects: the database. Rules kept here (RELIABILITY 5, 8 and 9):

- totals are made of complete imports only, read in one snapshot, and the copy is proved
  by count and sum against the database before it is used;
- a new revision swaps header and lines in one transaction, and the revision it replaces
  is in the backup table first; an unchanged cycle gets no new revision;
- a dirty mark is cleared only if it is the one that was seen before the records were read.

Two runs of totals at once are kept apart by the caller's lease, which it proves in
``guard``; the lock on the lease row holds until the commit.

Units: ``_micros`` whole micros, ``_s`` seconds, ``_bytes`` bytes.
"""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from itertools import groupby
from typing import Final, cast

import polars as pl

from loaders.database import Database, Transaction
from loaders.frames import frame_of_packed
from loaders.retention import closed_cycles
from transforms.cdr import INSTANT, Schema, require
from transforms.errors import ConfigError, StoreError
from transforms.rated_totals import REASONS, RECORDS
from transforms.revisions import COMPUTED
from transforms.totals import CYCLE_KEY, HEADERS, LINES, PAIRS, USAGE, lines_json

CUSTOMERS_PER_QUERY: Final = 500
"""Customer ids in one range query over the clustered key (measured; see decision 0004)."""

CUSTOMERS_PER_ANSWER: Final = 25
"""Customers whose packed records are fetched together: 2 MiB each at most on MySQL."""

NO_IMPORT: Final = 0
"""An id no import has; it keeps a list of ids from being empty."""

DIRTY: Final[Schema] = {**PAIRS, "mark": pl.Int64(), "reason": pl.String()}
"""A cycle that waits for totals, the mark that was seen on it, and why it was marked."""

CYCLE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
}
"""A cycle: ``[start, end)`` on the customer's wall clock."""

REVISIONS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "revision": pl.Int64(),
}
"""A cycle and the revision that is current."""

STORED_HEADERS: Final[Schema] = {
    "id": pl.Int64(),
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "revision": pl.Int64(),
    "method": pl.String(),
    "rate_plan": pl.String(),
    "rate_plan_version": pl.String(),
    "currency": pl.String(),
    "total_cost_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "content_sha256": pl.String(),
    "created_at": INSTANT,
    "updated_at": INSTANT,
}
"""A header as ``total_usage_new_table`` keeps it."""

BACKUPS: Final[Schema] = {
    **HEADERS,
    "revision": pl.Int64(),
    "lines": pl.String(),
    "backed_up_at": INSTANT,
}
"""A revision as the backup table keeps it; ``lines`` is for ``lines_from_json``."""

REAL: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "total_cost_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
}
"""What a cycle costs as it is stored now."""

PACKED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "record_count": pl.Int64(),
    "cost_micros": pl.Int128(),
    "packed": pl.String(),
}
"""A customer's records in one cycle as one text, with their count and their sum."""

_CELLS: Final[Schema] = {
    name: dtype for name, dtype in USAGE.items() if name != "customer_id"
}
_CLOCK: Final[Schema] = {"moment": INSTANT}
_CURRENT: Final[Schema] = {**REVISIONS, "content_sha256": pl.String()}
_SWAP: Final[Schema] = {**HEADERS, "revision": pl.Int64()}


@dataclass(frozen=True)
class StoredHeader:
    """The header of one cycle as it is stored; ``*_at`` by the database's clock."""

    id: int
    customer_id: int
    cycle_start_date: date
    cycle_end_date: date
    revision: int
    method: str
    rate_plan: str | None
    rate_plan_version: str | None
    currency: str
    total_cost_micros: int
    provider_cost_micros: int
    cdr_count: int
    unrated_count: int
    content_sha256: str
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class StoredTotals:
    """Header and lines of one cycle, read in one snapshot: never of two revisions."""

    header: StoredHeader
    lines: pl.DataFrame


@dataclass(frozen=True)
class Written:
    """What a write did: cycles with a new revision, and cycles that stayed as they were.

    Both are frames ``REVISIONS`` with the revision that is current now.
    """

    changed: pl.DataFrame
    unchanged: pl.DataFrame


Guard = Callable[[Transaction], None]
"""Proves, first in the transaction, that its owner may still write."""

Chain = Callable[[Transaction, Written], None]
"""Stores what follows, last in the transaction."""


class TotalsStore:
    """The door for totals."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def mark_dirty(self, tx: Transaction, pairs: pl.DataFrame, reason: str) -> None:
        """Mark cycles for totals, inside the caller's transaction.

        Args:
            tx: The transaction that changes the records.
            pairs: Needs customer_id, cycle_start_date and cycle_end_date.
            reason: Why, for people: ``import 7``.
        """
        if not pairs.is_empty():
            stage(tx, pairs)
            tx.execute("totals/mark_dirty", reason=reason)

    def dirty(
        self, customer_id: int | None = None, day: date | None = None
    ) -> pl.DataFrame:
        """Read the cycles that wait for totals (DIRTY), sorted by cycle.

        Args:
            customer_id: Only this customer's.
            day: Only the cycle of each customer that contains this day.
        """
        with self._database.snapshot() as tx:
            return self.dirty_in(tx, customer_id, day)

    def dirty_in(
        self, tx: Transaction, customer_id: int | None = None, day: date | None = None
    ) -> pl.DataFrame:
        """Do what :meth:`dirty` does, inside the caller's transaction."""
        return tx.frame("totals/dirty", DIRTY, customer_id=customer_id, day=day)

    def records(
        self, tx: Transaction, pairs: pl.DataFrame, *, batch_rows: int = 100_000
    ) -> Generator[pl.DataFrame, None, None]:
        """Read what totals need (USAGE) of the records of the asked cycles.

        Only complete imports count. Every customer's records are proved against the
        database in the same snapshot, so totals made of all frames are made of all
        records.

        Args:
            tx: A snapshot; nothing else may be asked of it until the end.
            pairs: Needs customer_id, cycle_start_date and cycle_end_date, each once.
            batch_rows: The most rows of one frame.

        Raises:
            StoreError: When the copy is not what the database holds.
        """
        _refuse_closed(tx, pairs)
        unready = _unready(tx)
        for page in _pages(pairs):
            yield from _unpacked(tx, page, unready, batch_rows)

    def customers_records(
        self, tx: Transaction, pairs: pl.DataFrame, *, page_rows: int = 200_000
    ) -> Generator[pl.DataFrame, None, None]:
        """Read what rating needs of the asked cycles, each whole in one frame.

        The copy is proved as :meth:`records` proves it. A frame is the records of so many
        customers as it takes to reach ``page_rows``, so memory holds that many and one
        customer's cycle more.

        Args:
            tx: A snapshot; nothing else may be asked of it until the end.
            pairs: Needs customer_id, cycle_start_date and cycle_end_date, each once.
            page_rows: From how many rows a frame is handed on.

        Yields:
            Frames ``RECORDS`` with ``cycle_start_date``.

        Raises:
            StoreError: When the copy is not what the database holds.
        """
        _refuse_closed(tx, pairs)
        unready = _unready(tx)
        path = "rate_plan/records"
        for start, pages in groupby(_pages(pairs), lambda page: page["cycle_start_date"]):
            frames = (
                frame
                for page in pages
                for frame in _proved(tx, page, unready, 50_000, path, RECORDS)
            )
            for frame in _whole_customers(frames, page_rows):
                yield frame.with_columns(cycle_start_date=pl.lit(start, pl.Date))

    def write(
        self,
        headers: pl.DataFrame,
        lines: pl.DataFrame,
        seen: pl.DataFrame,
        *,
        guard: Guard,
        chain: Chain,
        reasons: pl.DataFrame | None = None,
    ) -> Written:
        """Store totals: a new revision where the content changed, nothing elsewhere.

        Args:
            headers: Frame ``HEADERS``.
            lines: Frame ``LINES`` of the same cycles.
            seen: Marks as :meth:`dirty` gave them, before the records were read; may lack
                cycles that were not dirty.
            guard: Called first; raises when this run may no longer write.
            chain: Called last, with what was written; its writes are in the same commit.
            reasons: Frame ``REASONS``: why usage of these cycles has no price; None leaves
                what is stored of that.

        Returns:
            The cycles written and the cycles left as they were.
        """
        new = require(headers, HEADERS, "TotalsStore.write headers")
        rows = require(lines, LINES, "TotalsStore.write lines")
        marks = seen.select(*CYCLE_KEY, "mark")
        pairs = new.join(marks, on=CYCLE_KEY, how="left", maintain_order="left")

        def work(tx: Transaction) -> Written:
            guard(tx)
            stage(tx, pairs)
            current = tx.frame("totals/lock_current", _CURRENT)
            changed, unchanged = _compare(new, current)
            tx.execute("totals/clear_dirty")
            if reasons is not None:
                tx.execute("rate_plan/delete_reasons")
                unrated = require(reasons, REASONS, "TotalsStore.write reasons")
                tx.load("total_unrated_reason", unrated)
            if not changed.is_empty():
                _swap(tx, changed, rows)
            written = Written(_revisions(changed), _revisions(unchanged))
            chain(tx, written)
            return written

        return self._database.run(work)

    def clock(self, tx: Transaction) -> datetime:
        """Read what time it is by the database's clock, before the records are read."""
        moment: datetime = tx.frame("monitor/clock", _CLOCK).item()
        return moment

    def explain(
        self,
        tx: Transaction,
        changed: pl.DataFrame,
        seen: pl.DataFrame,
        read_at: datetime,
        reason: str = COMPUTED,
    ) -> None:
        """Keep why revisions were made, inside the transaction that writes them.

        Args:
            tx: The transaction of :meth:`write`.
            changed: Frame ``REVISIONS``: the new revisions.
            seen: Frame ``DIRTY``: the marks that are cleared with them.
            read_at: When the records were read, by the database's clock.
            reason: Why cycles without a mark were computed.
        """
        marks = seen.select(*CYCLE_KEY, "reason")
        rows = changed.join(marks, on=CYCLE_KEY, how="left", maintain_order="left")
        told = rows.with_columns(pl.col("reason").fill_null(reason), read_at=read_at)
        tx.load("total_revision", told.with_columns(pl.col("read_at").cast(INSTANT)))

    def backup(self, pairs: pl.DataFrame) -> int:
        """Copy the current revision of cycles into the backup table where it is missing.

        Args:
            pairs: Needs customer_id, cycle_start_date and cycle_end_date.

        Returns:
            How many revisions were copied; a copy that exists is never overwritten.
        """
        return self._database.run(lambda tx: self.backup_in(tx, pairs))

    def backup_in(self, tx: Transaction, pairs: pl.DataFrame) -> int:
        """Do what :meth:`backup` does, inside the caller's transaction."""
        if pairs.is_empty():
            return 0
        stage(tx, pairs)
        tx.frame("totals/lock_current", _CURRENT)
        return _back_up(tx)

    def without_backup(self) -> pl.DataFrame:
        """Read the cycles (CYCLE) whose current revision has no copy yet."""
        with self._database.snapshot() as tx:
            return tx.frame("totals/without_backup", CYCLE)

    def backups(self, customer_id: int, cycle_start_date: date) -> pl.DataFrame:
        """Read every kept revision (BACKUPS) of one cycle, the oldest first."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "totals/backups",
                BACKUPS,
                customer_id=customer_id,
                cycle_start_date=cycle_start_date,
            )

    def current(self, customer_id: int, cycle_start_date: date) -> StoredTotals | None:
        """Read header and lines of one cycle as one state; None when it has no totals."""
        with self._database.snapshot() as tx:
            header = _header(tx, customer_id, cycle_start_date)
            lines = _lines(tx, customer_id, cycle_start_date)
        return None if header is None else StoredTotals(header, lines)

    def header(self, customer_id: int, cycle_start_date: date) -> StoredHeader | None:
        """Read the header of one cycle, or None when it has no totals."""
        with self._database.snapshot() as tx:
            return _header(tx, customer_id, cycle_start_date)

    def lines(self, customer_id: int, cycle_start_date: date) -> pl.DataFrame:
        """Read the lines of one cycle (LINES), in their order."""
        with self._database.snapshot() as tx:
            return _lines(tx, customer_id, cycle_start_date)

    def real(self, customer_ids: list[int]) -> pl.DataFrame:
        """Read what the cycles of these customers cost (REAL)."""
        found = [pl.DataFrame(schema=REAL)]
        with self._database.snapshot() as tx:
            for first in range(0, len(customer_ids), CUSTOMERS_PER_QUERY):
                page = customer_ids[first : first + CUSTOMERS_PER_QUERY]
                found.append(tx.frame("rate_plan/real_totals", REAL, customer_ids=page))
        return pl.concat(found)

    def largest(self, most: int) -> pl.DataFrame:
        """Read the headers (STORED_HEADERS) that cost the most, dearest first."""
        with self._database.snapshot() as tx:
            return tx.frame("totals/largest", STORED_HEADERS, most=most)


# --- reading ----------------------------------------------------------------------------


def _header(
    tx: Transaction, customer_id: int, cycle_start_date: date
) -> StoredHeader | None:
    frame = tx.frame(
        "totals/header",
        STORED_HEADERS,
        customer_id=customer_id,
        cycle_start_date=cycle_start_date,
    )
    return None if frame.is_empty() else StoredHeader(**frame.row(0, named=True))


def _lines(tx: Transaction, customer_id: int, cycle_start_date: date) -> pl.DataFrame:
    return tx.frame(
        "totals/lines",
        LINES,
        customer_id=customer_id,
        cycle_start_date=cycle_start_date,
    )


def _pages(pairs: pl.DataFrame) -> Iterator[dict[str, object]]:
    """Cut the cycles into pages of customers that share one cycle's dates.

    Ranges are then exact: no row is read that no asked cycle holds.
    """
    dates = ["cycle_start_date", "cycle_end_date"]
    for (start, end), group in pairs.sort(*dates, "customer_id").group_by(
        dates, maintain_order=True
    ):
        ids = group["customer_id"].to_list()
        for first in range(0, len(ids), CUSTOMERS_PER_QUERY):
            yield {
                "customer_ids": ids[first : first + CUSTOMERS_PER_QUERY],
                "cycle_start_date": start,
                "cycle_end_date": end,
            }


def _refuse_closed(tx: Transaction, pairs: pl.DataFrame) -> None:
    """Stop before totals are made of a cycle whose records are not all there."""
    asked = set(pairs.select(CYCLE_KEY).iter_rows())
    closed = sorted(asked & closed_cycles(tx))
    if closed:
        customer_id, start = closed[0]
        message = (
            f"customer {customer_id}, cycle {start}: its records were removed after their"
            " term, so its totals stay as they are"
        )
        raise ConfigError(message)


def _unready(tx: Transaction) -> list[int]:
    return [int(row["id"]) for row in tx.rows("totals/unready_imports")] or [NO_IMPORT]


def _whole_customers(
    frames: Iterator[pl.DataFrame], page_rows: int
) -> Iterator[pl.DataFrame]:
    """Cut frames that come by customer where one customer ends and the next begins."""
    held: list[pl.DataFrame] = []
    for frame in frames:
        held.append(frame)
        is_one = held[0]["customer_id"][0] == frame["customer_id"][-1]
        if is_one or sum(each.height for each in held) < page_rows:
            continue
        joined = pl.concat(held)
        is_last = pl.col("customer_id") == joined["customer_id"][-1]
        whole = joined.filter(~is_last)
        held = [joined.filter(is_last)]
        if not whole.is_empty():
            yield whole
    if held:
        yield pl.concat(held)


def _unpacked(
    tx: Transaction, page: dict[str, object], unready: list[int], batch_rows: int
) -> Iterator[pl.DataFrame]:
    """Read a page by one text for each customer, and by rows who has none that is whole.

    A text the database cut, and a customer it says nothing of, are the same here: the
    records are read again and proved by another answer.
    """
    left = set(cast("list[int]", page["customer_ids"]))
    packs = tx.frames(
        "totals/packed",
        PACKED,
        batch_rows=CUSTOMERS_PER_ANSWER,
        unready_ids=unready,
        **page,
    )
    for some in _gathered(packs, batch_rows):
        records = _whole(some)
        left.difference_update(records["customer_id"].unique())
        yield from records.iter_slices(batch_rows)
    if left:
        rest = {**page, "customer_ids": sorted(left)}
        yield from _proved(tx, rest, unready, batch_rows, "totals/records", USAGE)


def _gathered(packs: Iterator[pl.DataFrame], rows: int) -> Iterator[pl.DataFrame]:
    """Join packed customers until they hold so many records: few frames are quicker."""
    held: list[pl.DataFrame] = []
    count = 0
    for frame in packs:
        held.append(frame)
        count += int(frame["record_count"].sum())
        if count >= rows:
            yield pl.concat(held)
            held, count = [], 0
    if held:
        yield pl.concat(held)


def _whole(packs: pl.DataFrame) -> pl.DataFrame:
    """Unpack (USAGE) the customers whose records are as many and as dear as they must be.

    A cut text lacks the end of its last line at least; it is never read.
    """
    ends = pl.col("packed").str.count_matches("\n", literal=True)
    whole = packs.filter(ends == pl.col("record_count"))
    cells = frame_of_packed("".join(whole["packed"]), _CELLS, "totals/packed")
    ids = whole.select(pl.col("customer_id").repeat_by("record_count").explode())
    records = pl.concat([ids, cells], how="horizontal")
    found = records.group_by("customer_id").agg(pl.col("cost_micros").cast(pl.Int128).sum())
    wrong = found.join(whole, on=["customer_id", "cost_micros"], how="anti")
    return records.join(wrong, on="customer_id", how="anti") if wrong.height else records


def _proved(
    tx: Transaction,
    page: dict[str, object],
    unready: list[int],
    batch_rows: int,
    path: str,
    schema: Schema,
) -> Iterator[pl.DataFrame]:
    proof = tx.rows("totals/records_proof", unready_ids=unready, **page)[0]
    expected = (int(proof["record_count"]), int(proof["cost_micros"]))
    count = 0
    cost_micros = 0
    for frame in tx.frames(
        path, schema, batch_rows=batch_rows, unready_ids=unready, **page
    ):
        count += frame.height
        cost_micros += int(frame["cost_micros"].cast(pl.Int128).sum() or 0)
        yield frame
    if (count, cost_micros) != expected:
        message = (
            f"the copy of the records of cycle {page['cycle_start_date']} is not what the"
            f" database holds: {count} of {expected[0]} records, {cost_micros} of"
            f" {expected[1]} micros; nothing was written, run totals again"
        )
        raise StoreError(message)


# --- writing ----------------------------------------------------------------------------


def stage(tx: Transaction, pairs: pl.DataFrame) -> None:
    """Hand the cycles to the database as ``totals_pair``, a table of this connection.

    Args:
        tx: The transaction that asks about them next.
        pairs: Needs ``CYCLE``; a column ``mark`` is handed over too.
    """
    marked = pairs if "mark" in pairs.columns else pairs.with_columns(mark=None)
    rows = marked.with_columns(pl.col("mark").cast(pl.Int64)).select(*CYCLE, "mark")
    tx.execute("totals/create_pair")
    tx.execute("totals/clear_pair")
    tx.load("totals_pair", rows.sort(CYCLE_KEY))


def _compare(new: pl.DataFrame, current: pl.DataFrame) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split headers into changed and unchanged, each with the revision it has now."""
    stored = current.rename({"content_sha256": "stored_sha256"})
    placed = new.join(stored, on=CYCLE_KEY, how="left", maintain_order="left")
    is_same = pl.col("content_sha256").eq_missing(pl.col("stored_sha256"))
    next_revision = (pl.col("revision").fill_null(0) + 1).alias("revision")
    changed = placed.filter(~is_same).with_columns(next_revision)
    return changed.drop("stored_sha256"), placed.filter(is_same).drop("stored_sha256")


def _swap(tx: Transaction, changed: pl.DataFrame, lines: pl.DataFrame) -> None:
    stage(tx, changed)
    _back_up(tx)
    tx.execute("totals/delete_lines")
    own = lines.join(changed.select(CYCLE_KEY), on=CYCLE_KEY, how="semi")
    tx.load("total_usage_line", own.sort(*CYCLE_KEY, "line_no"))
    tx.execute("totals/create_swap")
    tx.execute("totals/clear_swap")
    tx.load("totals_swap", require(changed, _SWAP, "totals swap").sort(CYCLE_KEY))
    tx.execute("totals/upsert_headers")


def _back_up(tx: Transaction) -> int:
    """Copy the staged cycles' current revisions that have no copy yet."""
    missing = tx.frame("totals/missing_backups", _SWAP)
    if missing.is_empty():
        return 0
    bodies = lines_json(tx.frame("totals/pair_lines", LINES))
    copies = missing.join(bodies, on=CYCLE_KEY, how="left", maintain_order="left")
    rows = copies.with_columns(pl.col("lines").fill_null("[]"))
    return tx.load("total_usage_new_backup_table", rows)


def _revisions(headers: pl.DataFrame) -> pl.DataFrame:
    return require(headers, REVISIONS, "TotalsStore revisions")
