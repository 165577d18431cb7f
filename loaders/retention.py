"""Retention: personal data is removed after its term, and every figure stays true.

Effects: the database. Raw lines are emptied, their rows stay counted. Itemised records of
a cycle become sums by import, usage type and zone (``retained_aggregate``), which the
audit counts instead of them; header, lines and invoices of the cycle stay as they are. A
cycle is reduced whole, in one transaction, and only when what is stored is exactly what
its totals say.

Units: ``_micros`` whole micros.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from loaders.database import Database, Transaction
from transforms.cdr import Schema
from transforms.errors import MoneyError

CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "cdr_count": pl.Int64(),
}
"""A cycle whose records are past their term."""

_COUNTED: Final[Schema] = {"import_id": pl.Int64(), "record_count": pl.Int64()}
_IMPORTS: Final[Schema] = {"id": pl.Int64(), "record_count": pl.Int64()}

RAW_TABLES: Final = ("rejected", "suspended", "conflict")

Guard = Callable[[Transaction], None]


@dataclass(frozen=True)
class OldDelivery:
    """A delivered file past its term."""

    import_id: int
    sha256: str
    file_name: str


class RetentionStore:
    """The door for what is removed after its term."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    # --- raw lines ------------------------------------------------------------------------

    def raw_lines(self, before: date) -> dict[int, int]:
        """Count the raw lines of imports that ended before a day, by import."""
        with self._database.snapshot() as tx:
            return dict(
                tx.frame("retention/raw_imports", _IMPORTS, before=before).iter_rows()
            )

    def clear_raw(self, import_id: int) -> int:
        """Empty the raw lines of an import; returns how many there were."""
        return self._database.run(
            lambda tx: sum(
                tx.execute(f"retention/clear_{table}", import_id=import_id)
                for table in RAW_TABLES
            )
        )

    def unowned(self, before: date) -> dict[int, int]:
        """Count the records that wait for an owner since before a day, by import."""
        with self._database.snapshot() as tx:
            return dict(tx.frame("retention/unowned", _COUNTED, before=before).iter_rows())

    def forget_unowned(self, import_id: int, before: date) -> int:
        """Empty who such records were delivered for; returns how many there were."""
        return self._database.run(
            lambda tx: tx.execute(
                "retention/forget_unowned", import_id=import_id, before=before
            )
        )

    # --- itemised records -----------------------------------------------------------------

    def cycles(self, ended_by: date) -> Iterator[tuple[int, date, date, int]]:
        """Read the cycles whose records are past their term, with how many there are."""
        with self._database.snapshot() as tx:
            frame = tx.frame("retention/cycles", CYCLES, ended_by=ended_by)
        yield from frame.iter_rows()

    def reduce(self, customer_id: int, start: date, end: date, guard: Guard) -> int | None:
        """Turn the records of one cycle into sums.

        Args:
            customer_id: Whose.
            start: The start of the cycle.
            end: Its end, not included.
            guard: Called first; raises when this run may no longer write.

        Returns:
            How many records became sums; None when the cycle waits for totals now, or
            holds records that its totals do not count.

        Raises:
            MoneyError: When the sums are not what was removed; nothing is then written.
        """
        cycle = {"customer_id": customer_id, "cycle_start_date": start}
        span = {**cycle, "cycle_end_date": end}

        def work(tx: Transaction) -> int | None:
            guard(tx)
            row = tx.rows("retention/found", **cycle)[0]
            stored = (int(row["record_count"]), int(row["cost_micros"]))
            counted = (int(row["cdr_count"]), int(row["provider_cost_micros"]))
            if int(row["dirty_count"]) or stored != counted:
                return None
            tx.execute("retention/keep_call", **span)
            tx.execute("retention/keep_superseded", **span)
            removed = tx.execute("retention/remove_call", **span)
            tx.execute("retention/remove_superseded", **span)
            tx.execute("retention/forget_lines", **cycle)
            tx.execute("retention/forget_insights", **cycle)
            kept = tx.rows("retention/kept", **cycle)[0]
            if (int(kept["record_count"]), int(kept["cost_micros"])) != stored:
                message = (
                    f"customer {customer_id}, cycle {start}: the sums of its records are "
                    "not its totals; nothing was removed, run: etl audit"
                )
                raise MoneyError(message)
            return removed

        return self._database.run(work)

    # --- delivered files ------------------------------------------------------------------

    def deliveries(self, before: date) -> tuple[OldDelivery, ...]:
        """Read the delivered files that no import needs any more."""
        with self._database.snapshot() as tx:
            rows = tx.rows("retention/deliveries", before=before)
        return tuple(
            OldDelivery(int(row["id"]), str(row["sha256"]), str(row["file_name"]))
            for row in rows
        )


def closed_cycles(tx: Transaction) -> set[tuple[int, date]]:
    """Read the cycles of which nothing can be computed any more."""
    return {
        (int(row["customer_id"]), date.fromisoformat(str(row["cycle_start_date"])))
        for row in tx.rows("retention/closed")
    }


def removed_of_import(tx: Transaction, import_id: int) -> int:
    """Count the records of an import that were removed after their term."""
    return int(tx.rows("retention/of_import", import_id=import_id)[0]["record_count"])
