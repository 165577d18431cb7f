"""The calls of an invoice one by one, each with what it costs its customer.

Pure. Under ``standard`` a call costs what the provider charges. Under a rate plan it is
rated again by the version of the plan that its invoice was made with, so the amounts of
the calls add up to the lines of the invoice. What a plan charges for a whole cycle (a
volume, a minimum, a maximum) is no call's: it stays a line of its own.

Units: ``_micros`` whole micros; ``quantity`` and ``in_allowance`` in seconds, bytes or
events, as the usage type counts.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from transforms.cdr import INSTANT, Schema, require
from transforms.invoice import Invoice, InvoiceLine
from transforms.invoicing import OF_THE_CYCLE
from transforms.rated_totals import (
    ZONE_CHARS,
    Planned,
    in_cycle,
    placed_days,
    rated_by_plan,
)
from transforms.totals import CYCLE_KEY

CALLS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "call_date": INSTANT,
    "usage_type": pl.String(),
    "direction": pl.String(),
    "subscriber": pl.String(),
    "other": pl.String(),
    "zone": pl.String(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "quantity": pl.Int64(),
    "in_allowance": pl.Int64(),
    "allowance_micros": pl.Int64(),
    "amount_micros": pl.Int64(),
}
"""A call as its customer sees it.

``in_allowance`` is how much of ``quantity`` an allowance covers, ``allowance_micros`` what
an allowance of money paid for it; ``amount_micros`` is what is left to pay. A call without
an amount has no price.
"""

_PRICED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "started_at_utc": INSTANT,
    "fingerprint": pl.Int64(),
    "zone": pl.String(),
    "quantity": pl.Int64(),
    "in_allowance": pl.Int64(),
    "allowance_micros": pl.Int64(),
    "amount_micros": pl.Int64(),
}
_PRICED_KEY: Final = ("customer_id", "started_at_utc", "fingerprint")


Place = tuple[str, str]
"""The usage type and zone of a line."""

Sums = Mapping[Place, int]
"""What calls come to, by the line they belong to."""


@dataclass(frozen=True)
class Itemised:
    """The calls of one invoice (CALLS), with their sums.

    ``is_priced`` says whether anybody can tell now what each of them cost.
    """

    calls: pl.DataFrame
    sums: Sums
    is_priced: bool = True

    @property
    def micros(self) -> int:
        """What all calls come to."""
        return sum(self.sums.values())


@dataclass(frozen=True)
class Difference:
    """A line of an invoice that its calls do not add up to."""

    usage_type: str
    zone: str
    invoiced_micros: int
    calls_micros: int


def calls_at_cost(records: pl.DataFrame) -> pl.DataFrame:
    """Price calls at what the provider charges.

    Args:
        records: Frame ``rated_totals.RECORDS`` with ``cycle_start_date``.

    Returns:
        Frame ``CALLS``, by cycle and in the order of time.
    """
    return _in_order(_at_cost(records))


def calls_under_plans(
    records: pl.DataFrame, pairs: pl.DataFrame, planned: Planned
) -> pl.DataFrame:
    """Price the calls of whole cycles under the plan of each day.

    Args:
        records: Frame ``rated_totals.RECORDS`` with ``cycle_start_date``; every record of
            each cycle.
        pairs: customer_id, cycle_start_date and cycle_end_date of these cycles.
        planned: The plans as they were for the invoices, and who has them.

    Returns:
        Frame ``CALLS``, by cycle and in the order of time.
    """
    numbered = records.with_row_index("row")
    spans = in_cycle(planned.assignments, pairs)
    placed = placed_days(numbered, spans)
    priced = [
        rated.events.rename(
            {"order_key": "fingerprint", "charge_micros": "amount_micros"}
        ).select(list(_PRICED))
        for rated in rated_by_plan(numbered, placed, spans, planned)
    ]
    own = numbered.join(placed, on="row", how="semi").drop("zone")
    rated = own.join(
        pl.concat([pl.DataFrame(schema=_PRICED), *priced]), on=_PRICED_KEY, how="left"
    )
    rest = _at_cost(numbered.join(placed, on="row", how="anti"))
    return _in_order(pl.concat([rated, rest], how="diagonal"))


def _at_cost(records: pl.DataFrame) -> pl.DataFrame:
    return records.with_columns(
        quantity=pl.lit(None, pl.Int64),
        in_allowance=pl.lit(0, pl.Int64),
        allowance_micros=pl.lit(0, pl.Int64),
        amount_micros="cost_micros",
    )


def _in_order(calls: pl.DataFrame) -> pl.DataFrame:
    ordered = calls.sort(*CYCLE_KEY, "call_date", "fingerprint")
    return require(ordered, CALLS, "invoice calls")


def lines_of_the_cycle(invoice: Invoice) -> list[InvoiceLine]:
    """The lines of usage that no call adds to."""
    lines = invoice.draft.amounts.lines
    return [line for line in lines if line.usage_type in OF_THE_CYCLE]


def line_sums(calls: pl.DataFrame) -> dict[tuple[int, date], Sums]:
    """Add up the amounts of calls (CALLS) by cycle and line, whatever their size."""
    by_line = (
        calls.group_by(
            *CYCLE_KEY, "usage_type", pl.col("zone").fill_null("").str.slice(0, ZONE_CHARS)
        )
        .agg(pl.col("amount_micros").cast(pl.Int128).sum())
        .sort(*CYCLE_KEY, "usage_type", "zone")
    )
    found: dict[tuple[int, date], dict[Place, int]] = {}
    for customer_id, start, usage_type, zone, micros in by_line.iter_rows():
        found.setdefault((customer_id, start), {})[usage_type, zone] = int(micros)
    return {**found}


def differences(invoice: Invoice, sums: Sums) -> list[Difference]:
    """Find the lines of an invoice that its calls do not add up to.

    Records that came or went since the invoice show here; a delta invoice brings the
    customer what they change.

    Args:
        invoice: The invoice.
        sums: What its calls come to.
    """
    said = {
        (line.usage_type, line.zone): line.amount_micros
        for line in invoice.draft.amounts.lines
        if line.kind == "usage" and line.usage_type not in OF_THE_CYCLE
    }
    return [
        Difference(usage_type, zone, said.get(place, 0), sums.get(place, 0))
        for place in sorted(said.keys() | sums.keys())
        if said.get(place, 0) != sums.get(place, 0)
        for usage_type, zone in [place]
    ]
