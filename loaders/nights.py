"""Nights: what changed in the database since a nightly run began.

Effects: reads the database. "Since" is a moment of the database's clock, so that what a
killed run did before it was killed still belongs to the night that goes on.

Units: ``_s`` seconds since 1970, ``_ms`` milliseconds, ``_micros`` whole micros.
"""

from dataclasses import dataclass

from loaders.database import Database, Row
from transforms.errors import StoreError
from transforms.outcome import Outcome


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
