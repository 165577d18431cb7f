"""Charges beside usage: subscriptions, connections, discounts, as a list of rows.

Pure. Rows of text in, a frame out, checked whole: every fault is found before one message
lists them with line and column.

Units: ``_micros`` whole micros of the customer's currency.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import date
from typing import Final, NoReturn, TypeVar, get_args

import polars as pl

from transforms.cdr import Schema
from transforms.errors import ConfigError
from transforms.invoicing import ChargeKind
from transforms.money import LIMIT_MICROS, MICROS

COLUMNS: Final = (
    "customer_id",
    "kind",
    "name",
    "amount",
    "quantity",
    "valid_from",
    "valid_to",
)
REQUIRED: Final = COLUMNS[:4]

CHARGES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "kind": pl.String(),
    "name": pl.String(),
    "amount_micros": pl.Int64(),
    "quantity": pl.Int64(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
}
"""What is charged beside usage; ``[valid_from, valid_to)``, null is open."""

FAULTS_SHOWN: Final = 20

T = TypeVar("T")


def read_charges(
    file: str, rows: Sequence[Mapping[str, str]], customers: Collection[int]
) -> pl.DataFrame:
    """Check a list of charges as a whole.

    A ``recurring`` charge, a ``discount`` and a ``minimum`` stand on the invoice of every
    cycle they are valid in; ``one_off`` on that of the cycle its ``valid_from`` lies in.
    The amount is of all pieces together, before VAT; that of a discount is below zero.

    Args:
        file: The file's name, for messages.
        rows: Cells by column, as text; the first is on line 2.
        customers: Ids that exist.

    Returns:
        Frame ``CHARGES``, in the order of the rows.

    Raises:
        ConfigError: One message with up to 20 faults, each with line and column.
    """
    faults: list[str] = []
    found = []
    for line_no, row in enumerate(rows, start=2):
        cells = _Cells(file, line_no, row, faults)
        customer_id = cells.read("customer_id", _whole)
        kind = cells.read("kind", _kind)
        charge = (
            customer_id,
            kind,
            cells.read("name", _name),
            cells.read("amount", read_micros),
            cells.read("quantity", lambda text: _whole(text or "1")),
            cells.read("valid_from", _day),
            cells.read("valid_to", _day),
        )
        if customer_id is not None and customer_id not in customers:
            cells.fault("customer_id", f"there is no customer {customer_id}")
        if kind == "one_off" and charge[5] is None:
            cells.fault("valid_from", "is when a one_off charge falls; it must be given")
        if kind == "discount" and charge[3] is not None and charge[3] > 0:
            cells.fault("amount", "of a discount must be below zero")
        found.append(charge)
    if faults:
        _refuse(faults)
    return pl.DataFrame(found, CHARGES, orient="row")


class _Cells:
    """One row, and where its faults go."""

    def __init__(
        self, file: str, line_no: int, row: Mapping[str, str], faults: list[str]
    ) -> None:
        self._place = f"{file} line {line_no}"
        self._row = row
        self._faults = faults

    def read(self, column: str, parse: Callable[[str], T]) -> T | None:
        """Parse one cell; None, with a fault noted, when it is not what it must be."""
        try:
            return parse((self._row.get(column) or "").strip())
        except ValueError as exc:
            self.fault(column, str(exc))
            return None

    def fault(self, column: str, text: str) -> None:
        self._faults.append(f"{self._place} column {column}: {text}")


def _refuse(faults: Sequence[str]) -> NoReturn:
    shown = [f"  {fault}" for fault in faults[:FAULTS_SHOWN]]
    if len(faults) > FAULTS_SHOWN:
        shown.append(f"  and {len(faults) - FAULTS_SHOWN} more")
    message = "\n".join(["charges are not loaded; mend these and load again:", *shown])
    raise ConfigError(message)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text) or int(text) == 0:
        message = "must be a whole number from 1"
        raise ValueError(message)
    return int(text)


def _kind(text: str) -> str:
    if text not in get_args(ChargeKind):
        message = f"must be one of {', '.join(get_args(ChargeKind))}"
        raise ValueError(message)
    return text


def _name(text: str) -> str:
    if not text.isprintable() or not 0 < len(text) <= 255:
        message = "must be one line of 1 to 255 characters"
        raise ValueError(message)
    return text


def read_micros(text: str) -> int:
    """Read an amount such as ``-12.50`` exactly.

    Raises:
        ValueError: When it is no such amount.
    """
    found = re.fullmatch(r"(-?)([0-9]{1,12})(?:\.([0-9]{1,6}))?", text)
    if found is None:
        message = "must be an amount such as 12.50, with at most six decimals"
        raise ValueError(message)
    micros = int(found[2]) * MICROS + int((found[3] or "").ljust(6, "0"))
    if micros >= LIMIT_MICROS:
        message = "is beyond any amount"
        raise ValueError(message)
    return -micros if found[1] else micros


def _day(text: str) -> date | None:
    if not text:
        return None
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
        message = "must be a date written YYYY-MM-DD"
        raise ValueError(message)
    return date.fromisoformat(text)
