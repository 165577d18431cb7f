"""Records that were set aside: shown to people, and moved on when their owner is known.

Effects: the database. A suspended record is moved in one transaction with everything that
says where it was: its row, its ledger row, the counts of its import, the cycles the import
touched. Who moves records holds the lease on the imports of their provider.

Units: ``_micros`` whole micros.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import polars as pl

from loaders.database import Database, Row, Transaction
from loaders.imports import STORED, WAITING, ledger_rows, supersede
from transforms import cdr
from transforms.errors import StoreError
from transforms.match import CYCLES
from transforms.money import exact_sum

Kind = Literal["rejected", "suspended", "conflict", "duplicate"]

KINDS: Final[tuple[Kind, ...]] = ("rejected", "suspended", "conflict", "duplicate")

LAST_ID: Final = 2**63 - 1

BEFORE_ALL: Final = ("", -1)
"""A place before that of every record: member and line."""


@dataclass(frozen=True)
class Resolved:
    """What becomes of some suspended records of one import, whose owner is known now.

    Attributes:
        import_id: Their import.
        places: ``member`` and ``line_no`` of each of them.
        loaded: STORED rows of those that are loaded, in key order.
        duplicates: Rows of ``duplicate_record``, without their import.
        conflicts: Rows of ``conflict_record``, without their import.
        replaced: Keys (KEY) of stored records that the loaded ones supersede.
        cycles: CYCLES of the loaded ones.
    """

    import_id: int
    places: pl.DataFrame
    loaded: pl.DataFrame
    duplicates: pl.DataFrame
    conflicts: pl.DataFrame
    replaced: pl.DataFrame
    cycles: pl.DataFrame

    @property
    def cost_micros(self) -> int:
        """What the loaded ones cost."""
        return int(self.loaded["cost_micros"].cast(pl.Int128).sum())


class SetAsideStore:
    """The door for records beside the loaded ones."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def records(self, kind: Kind, import_id: int | None, most: int) -> list[Row]:
        """Return records of one kind, those of the newest import first.

        Args:
            kind: Why they were set aside.
            import_id: One import, or None for all.
            most: How many at most.
        """
        with self._database.snapshot() as tx:
            return tx.rows(f"set_aside/{kind}", most=most, **_range(import_id))

    def counts(self, kind: Kind, import_id: int | None) -> dict[str, int]:
        """Return how many records of one kind there are, by reason code."""
        with self._database.snapshot() as tx:
            rows = tx.rows(f"set_aside/count_{kind}", **_range(import_id))
        return {row["reason_code"]: int(row["record_count"]) for row in rows}

    def waiting_imports(self, import_id: int | None) -> list[tuple[str, int]]:
        """Return provider and id of complete imports with suspended records."""
        with self._database.snapshot() as tx:
            rows = tx.rows("set_aside/waiting_imports", **_range(import_id))
        return [(row["provider"], int(row["id"])) for row in rows]

    def page(self, import_id: int, after: tuple[str, int], most: int) -> pl.DataFrame:
        """Read suspended records (WAITING) of one import that stand after a place."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "set_aside/page",
                WAITING,
                import_id=import_id,
                after_member=after[0],
                after_line_no=after[1],
                most=most,
            )

    def is_suspended(self, import_id: int, place: Mapping[str, object]) -> bool:
        """Tell whether the record of a place still waits."""
        with self._database.snapshot() as tx:
            row = tx.row("set_aside/find_suspended", import_id=import_id, **place)
        return row is not None

    def has_provider_invoice(self, tx: Transaction, import_id: int) -> bool:
        """Tell, in the caller's transaction, whether an import was invoiced."""
        found = tx.row("set_aside/has_provider_invoice", import_id=import_id)
        return found is not None

    def resolve(self, tx: Transaction, resolved: Resolved, batch_rows: int) -> None:
        """Move suspended records to where they belong, in the caller's transaction.

        Raises:
            StoreError: When one of them is not suspended any more.
        """
        places = [
            {"import_id": resolved.import_id, **place}
            for place in resolved.places.iter_rows(named=True)
        ]
        removed = tx.execute_many("set_aside/remove_suspended", places)
        if removed != len(places):
            raise _changed(resolved.import_id)
        supersede(tx, resolved.import_id, resolved.replaced)
        self._load(tx, resolved, batch_rows)
        import_id = pl.lit(resolved.import_id, pl.Int64).alias("import_id")
        tx.load("duplicate_record", resolved.duplicates.with_columns(import_id))
        tx.load("conflict_record", resolved.conflicts.with_columns(import_id))
        self._add_cycles(tx, resolved)
        self._adjust(tx, resolved)

    def _load(self, tx: Transaction, resolved: Resolved, batch_rows: int) -> None:
        if resolved.loaded.is_empty():
            return
        rows = cdr.require(resolved.loaded, STORED, "SetAsideStore.resolve")
        ledger = tx.row("import/ledger", import_id=resolved.import_id)
        first_batch_no = 1 + (int(ledger["last_batch_no"]) if ledger else 0)
        tx.load("call_detail_record", rows, batch_rows=batch_rows)
        tx.load(
            "import_batch",
            ledger_rows(rows, resolved.import_id, first_batch_no, batch_rows),
        )

    def _add_cycles(self, tx: Transaction, resolved: Resolved) -> None:
        if resolved.cycles.is_empty():
            return
        touched = tx.frame("set_aside/cycles", CYCLES, import_id=resolved.import_id)
        tx.execute("import/clear_cycles", import_id=resolved.import_id)
        key = ["customer_id", "cycle_start_date", "cycle_end_date"]
        added = (
            pl.concat([touched, resolved.cycles])
            .group_by(key)
            .agg(exact_sum("record_count"), exact_sum("cost_micros"))
            .sort(key)
        )
        import_id = pl.lit(resolved.import_id, pl.Int64).alias("import_id")
        tx.load("import_cycle", added.select(import_id, pl.all()))

    def _adjust(self, tx: Transaction, resolved: Resolved) -> None:
        first, last = _ends(resolved.loaded["call_date"])
        adjusted = tx.execute(
            "set_aside/adjust_import",
            import_id=resolved.import_id,
            resolved=resolved.places.height,
            loaded=resolved.loaded.height,
            duplicates=resolved.duplicates.height,
            conflicts=resolved.conflicts.height,
            cost_micros=resolved.cost_micros,
            first_call_date=first,
            last_call_date=last,
        )
        if adjusted != 1:
            raise _changed(resolved.import_id)


def _range(import_id: int | None) -> dict[str, int]:
    """One import as a range of ids, or all of them."""
    if import_id is None:
        return {"first_import_id": 0, "last_import_id": LAST_ID}
    return {"first_import_id": import_id, "last_import_id": import_id}


def _ends(call_dates: pl.Series) -> tuple[datetime | None, datetime | None]:
    first, last = call_dates.min(), call_dates.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return None, None
    return first, last


def _changed(import_id: int) -> StoreError:
    message = (
        f"the suspended records of import {import_id} changed while they were looked at; "
        "nothing of them was moved, run it again"
    )
    return StoreError(message)
