"""Nights: what changed in the database since a nightly run began.

Effects: reads the database. "Since" is a moment of the database's clock, so that what a
killed run did before it was killed still belongs to the night that goes on.

Units: ``_s`` seconds since 1970, ``_ms`` milliseconds, ``_micros`` whole micros,
``_cents`` whole cents.
"""

from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from loaders.database import Database, Row
from transforms.cdr import Schema
from transforms.errors import StoreError
from transforms.outcome import Outcome

_INVOICES: Final[Schema] = {
    "invoice_number": pl.String(),
    "year": pl.Int64(),
    "kind": pl.String(),
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "currency": pl.String(),
    "gross_cents": pl.Int64(),
}


@dataclass(frozen=True)
class NightImport:
    """A delivery that was worked on, and how it stands."""

    id: int
    provider: str
    file_name: str
    status: str
    message: str | None
    outcome: Outcome
    duration_ms: int


@dataclass(frozen=True)
class NightTotals:
    """The totals that were written, added up."""

    totals: int
    customers: int
    cdr_count: int
    unrated_count: int
    total_cost_micros: int


@dataclass(frozen=True)
class NightInvoice:
    """An invoice, a delta invoice or a credit note that was issued."""

    number: str
    year: int
    kind: str
    customer_id: int
    cycle_start_date: date
    currency: str
    gross_cents: int


@dataclass(frozen=True)
class Unrated:
    """Usage that a plan has no price for, of every cycle in which it is so."""

    rate_plan: str
    usage_type: str
    code: str
    reason: str
    customers: int
    records: int


def imports_since(database: Database, since_s: int) -> tuple[NightImport, ...]:
    """Return the deliveries that were worked on since a moment, oldest first."""
    with database.snapshot() as tx:
        return tuple(_import(row) for row in tx.rows("night/imports", since_s=since_s))


def totals_since(database: Database, since_s: int) -> NightTotals:
    """Return what the totals written since a moment add up to."""
    with database.snapshot() as tx:
        row = tx.row("night/totals", since_s=since_s)
    if row is None:
        message = "the totals of the night could not be counted"
        raise StoreError(message)
    return NightTotals(
        **{name: int(row[name]) for name in NightTotals.__dataclass_fields__}
    )


def invoices_since(database: Database, since_s: int) -> tuple[NightInvoice, ...]:
    """Return what was invoiced since a moment, in the order of the numbers."""
    with database.snapshot() as tx:
        rows = tx.frame("night/invoices", _INVOICES, since_s=since_s).rows()
    return tuple(NightInvoice(*row) for row in rows)


def unrated_usage(database: Database) -> tuple[Unrated, ...]:
    """Return what has no price as totals stand now, the most records first."""
    with database.snapshot() as tx:
        return tuple(
            Unrated(
                rate_plan=row["rate_plan"],
                usage_type=row["usage_type"],
                code=row["unrated_code"],
                reason=row["unrated_reason"],
                customers=int(row["customers"]),
                records=int(row["cdr_count"]),
            )
            for row in tx.rows("night/unrated")
        )


def _import(row: Row) -> NightImport:
    counts = {name: int(row[name]) for name in Outcome.__dataclass_fields__}
    return NightImport(
        id=int(row["id"]),
        provider=row["provider"],
        file_name=row["file_name"],
        status=row["status"],
        message=row["message"],
        outcome=Outcome(**counts),
        duration_ms=int(row["duration_ms"]),
    )
