"""Everything that is kept about one customer, for the person who asks.

Effects: reads the database, in one snapshot. Records that wait for an owner are nobody's
yet and are not among it.
"""

from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

import polars as pl

from loaders.database import Transaction
from loaders.imports import STORED
from transforms.cdr import Schema

SHORT: Final = (
    "subscriptions",
    "rate_plans",
    "charges",
    "totals",
    "totals_lines",
    "allowances",
    "revisions",
    "aggregates",
    "insights",
)
"""Lists that fit in one document; each is the statement ``export/<name>``."""

CALLS: Final[Schema] = {
    name: dtype for name, dtype in STORED.items() if name != "customer_id"
}

SET_ASIDE: Final = ("conflicts", "duplicates")


class CustomerData:
    """The door for what is kept about a customer; made for one snapshot."""

    def __init__(self, tx: Transaction, customer_id: int) -> None:
        """Ask within ``tx``, a snapshot."""
        self._tx = tx
        self._customer_id = customer_id

    def customer(self) -> dict[str, object] | None:
        """Read the customer, or None when there is none of this id."""
        row = self._tx.row("export/customer", customer_id=self._customer_id)
        return None if row is None else _plain(dict(row))

    def short(self, name: str) -> list[dict[str, object]]:
        """Read one of the short lists (SHORT)."""
        return self._rows(f"export/{name}")

    def set_aside(self, name: str) -> list[dict[str, object]]:
        """Read one of the lists of records that were not loaded (SET_ASIDE)."""
        return self._rows(f"export/{name}")

    def superseded(self) -> list[dict[str, object]]:
        """Read the records that a later delivery replaced."""
        return self._rows("export/superseded")

    def calls(self) -> Iterator[pl.DataFrame]:
        """Read every record (CALLS), a frame at a time."""
        return self._tx.frames("export/calls", CALLS, customer_id=self._customer_id)

    def _rows(self, path: str) -> list[dict[str, object]]:
        rows = self._tx.rows(path, customer_id=self._customer_id)
        return [_plain(dict(row)) for row in rows]


def _plain(row: dict[str, Any]) -> dict[str, object]:
    """Values as both databases give them alike: whole numbers and texts."""
    return {name: _value(value) for name, value in row.items()}


def _value(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value)
    if isinstance(value, datetime):
        return value.isoformat(" ")
    return value.isoformat() if isinstance(value, date) else value
