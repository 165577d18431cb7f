"""The provider's invoice: what one import is charged, by customer, contract and usage.

Pure. Frames in, frames out; DuckDB adds up in memory, one frame at a time. The lines add
up to the header to the micro, and the header to the loaded records of the import.

Units: ``_micros`` whole micros of the invoice's currency.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from sql import statement
from transforms.cdr import Schema, require
from transforms.errors import ContractError
from transforms.money import MICROS
from transforms.totals import Engine, exact

CHARGED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "contract": pl.String(),
    "usage_type": pl.String(),
    "currency": pl.String(),
    "cost_micros": pl.Int64(),
}
"""What a provider's invoice needs of a record."""

INVOICE_LINES: Final[Schema] = {
    "line_no": pl.Int64(),
    "customer_id": pl.Int64(),
    "contract": pl.String(),
    "usage_type": pl.String(),
    "record_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""Lines sorted by customer, contract and usage type; no contract is ``''``."""


@dataclass(frozen=True)
class ProviderInvoice:
    """What a provider charges for one import."""

    currency: str
    record_count: int
    unrated_count: int
    cost_micros: int
    lines: pl.DataFrame
    """Frame ``INVOICE_LINES``."""


def provider_invoice(
    records: Iterable[pl.DataFrame], engine: Engine, *, currency: str = "EUR"
) -> ProviderInvoice:
    """Add up what the provider charges for the loaded records of one import.

    Args:
        records: Frames with the columns of ``CHARGED``, in any order.
        engine: Where and how DuckDB works.
        currency: The currency of an invoice without records.

    Raises:
        ContractError: When the records are in more than one currency.
        MoneyError: When a sum does not fit in 64 bits.
    """
    with engine.connect() as connection, exact():
        connection.execute(statement("duckdb/provider_invoice/create_charges"))
        for frame in records:
            connection.register("records", require(frame, CHARGED, "provider_invoice"))
            connection.execute(statement("duckdb/provider_invoice/add_charges"))
            connection.unregister("records")
        lines = connection.sql(statement("duckdb/provider_invoice/lines")).pl()
        headers = connection.sql(statement("duckdb/provider_invoice/headers")).fetchall()
    if len(headers) > 1:
        listed = ", ".join(str(header[0]) for header in headers)
        message = f"one import is charged in more than one currency: {listed}"
        raise ContractError(message)
    own, records_charged, unrated, cost_micros = (headers or [(currency, 0, 0, 0)])[0]
    return ProviderInvoice(
        currency=str(own),
        record_count=int(records_charged),
        unrated_count=int(unrated),
        cost_micros=int(cost_micros),
        lines=require(lines, INVOICE_LINES, "provider_invoice lines"),
    )


_PROVEN: Final = re.compile(r"records, amount (-?)([0-9]+)\.([0-9]{6}), as the ")
"""What an import keeps of a control record it was proven by (``transforms.control``)."""


def control_amount(message: str) -> int | None:
    """Read back what the control records of a delivery add up to, or None without one.

    ``6 records, amount 0.110000, as the sidecar says`` is 110000 micros; a delivery of
    several files has one such proof for each, and they add up.
    """
    found = _PROVEN.findall(message)
    amounts = [
        (-1 if sign else 1) * (int(units) * MICROS + int(micros))
        for sign, units, micros in found
    ]
    return sum(amounts) if amounts else None
