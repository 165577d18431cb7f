"""Reports over a period: totals and invoices of the cycles that contain a day.

Effects: reads the database.

Units: ``_micros`` whole micros, ``_cents`` whole cents.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from loaders.database import Database
from transforms.cdr import Schema

CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "currency": pl.String(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "total_cost_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
    "is_dirty": pl.Int64(),
}
"""Totals of cycles; ``is_dirty`` is 1 where they wait to be computed anew."""

INVOICED: Final[Schema] = {
    "kind": pl.String(),
    "currency": pl.String(),
    "documents": pl.Int64(),
    "net_cents": pl.Int64(),
    "vat_cents": pl.Int64(),
    "gross_cents": pl.Int64(),
}
"""What was invoiced, added up by kind of document."""


@dataclass(frozen=True)
class Period:
    """Totals (CYCLES) and invoices (INVOICED) of the cycles of a day, read as one state."""

    cycles: pl.DataFrame
    invoiced: pl.DataFrame


def period_of(database: Database, day: date) -> Period:
    """Read what is known of the cycles that contain a day."""
    with database.snapshot() as tx:
        return Period(
            tx.frame("report/cycles", CYCLES, day=day),
            tx.frame("report/invoices", INVOICED, day=day),
        )
