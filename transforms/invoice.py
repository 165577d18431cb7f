"""The invoice: its parts as values, and the seal over them.

Pure. An invoice belongs to one cycle of one customer. What a cycle was invoiced is a row
of documents: the invoice, perhaps delta invoices after it, perhaps a credit note over all
of them. Each says from which revision of the totals to which it goes (0 is nothing
invoiced), so the usage of all of them is the usage of the revision invoiced last.

Every line has its exact amount in micros and what is charged for it in cents; both
columns add up to the header, with one line named rounding where they would not.

Units: ``_micros`` whole micros, ``_cents`` whole cents, ``_bp`` hundredths of a percent.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Final, Literal

from transforms.errors import MoneyError
from transforms.money import MICROS
from transforms.vat import VatLine

Kind = Literal["invoice", "delta", "credit"]

INVOICE: Final[Kind] = "invoice"
DELTA: Final[Kind] = "delta"
CREDIT: Final[Kind] = "credit"

LineKind = Literal[
    "usage", "recurring", "one_off", "discount", "minimum", "vat_included", "rounding"
]

MICROS_A_CENT: Final = MICROS // 100

NOTHING_INVOICED: Final = 0
"""The revision of a cycle of which nothing is invoiced."""


@dataclass(frozen=True)
class InvoiceLine:
    """One line; ``usage_type`` and ``zone`` are empty for what is not usage."""

    line_no: int
    kind: LineKind
    name: str
    usage_type: str
    zone: str
    quantity: int
    """Records of usage, pieces of a charge."""
    duration_s: int
    volume_bytes: int
    events: int
    amount_micros: int
    amount_cents: int
    vat_category: str
    vat_rate_bp: int
    vat_cents: int | None
    """The line's own VAT, where VAT is rounded by line."""


@dataclass(frozen=True)
class Amounts:
    """What an invoice adds up to."""

    usage_micros: int
    charges_micros: int
    rounding_micros: int
    net_cents: int
    vat_cents: int
    gross_cents: int
    lines: tuple[InvoiceLine, ...]
    vat: tuple[VatLine, ...]


@dataclass(frozen=True)
class Draft:
    """An invoice before it has its number."""

    kind: Kind
    customer_id: int
    cycle_start_date: date
    cycle_end_date: date
    document_no: int
    """1 for the first document of the cycle, and so on."""
    base_revision: int
    """The revision of the totals that was invoiced before this document."""
    revision: int
    """The revision that is invoiced with it."""
    totals_sha256: str
    method: str
    currency: str
    issue_date: date
    due_date: date
    refers_to: tuple[str, ...]
    """Numbers of the documents it corrects."""
    issued_by: str
    reason: str
    supplier: Mapping[str, str]
    customer: Mapping[str, str]
    terms: Mapping[str, str]
    """The VAT rule, rounding and language it was made under."""
    notes: tuple[str, ...]
    amounts: Amounts


@dataclass(frozen=True)
class Invoice:
    """An issued invoice: never changed, only corrected by a later one."""

    number: str
    series: str
    year: int
    sequence_no: int
    draft: Draft
    content_sha256: str = field(default="")


def number_text(series: str, year: int, sequence_no: int) -> str:
    """Write an invoice number: series F, year 2026, the 17th is ``F2026-000017``."""
    return f"{series}{year}-{sequence_no:06d}"


def issued(draft: Draft, series: str, sequence_no: int) -> Invoice:
    """Give a draft its number, and seal it.

    Raises:
        MoneyError: When its lines do not add up to its header.
    """
    require_sums(draft)
    year = draft.issue_date.year
    number = number_text(series, year, sequence_no)
    unsealed = Invoice(number, series, year, sequence_no, draft)
    return replace(unsealed, content_sha256=seal(unsealed))


def seal(invoice: Invoice) -> str:
    """Hash everything an invoice says; equal content gives an equal hash."""
    content = asdict(replace(invoice, content_sha256=""))
    text = json.dumps(
        content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str
    )
    return sha256(text.encode()).hexdigest()


def require_sums(draft: Draft) -> None:
    """Prove that lines, VAT and header say the same, in micros and in cents.

    Raises:
        MoneyError: Naming the customer and each sum that differs.
    """
    amounts = draft.amounts
    lines = amounts.lines
    by_kind = {
        "usage": sum(each.amount_micros for each in lines if each.kind == "usage"),
        "rounding": sum(each.amount_micros for each in lines if each.kind == "rounding"),
    }
    all_micros = sum(each.amount_micros for each in lines)
    sums = {
        "usage": (amounts.usage_micros, by_kind["usage"]),
        "rounding": (amounts.rounding_micros, by_kind["rounding"]),
        "charges": (
            amounts.charges_micros,
            all_micros - by_kind["usage"] - by_kind["rounding"],
        ),
        "lines in micros": (amounts.net_cents * MICROS_A_CENT, all_micros),
        "lines in cents": (amounts.net_cents, sum(each.amount_cents for each in lines)),
        "taxable": (amounts.net_cents, sum(each.taxable_cents for each in amounts.vat)),
        "VAT": (amounts.vat_cents, sum(each.vat_cents for each in amounts.vat)),
        "to pay": (amounts.gross_cents, amounts.net_cents + amounts.vat_cents),
    }
    faults = [
        f"{name}: {header} and {found}"
        for name, (header, found) in sums.items()
        if header != found
    ]
    if faults:
        message = (
            f"customer {draft.customer_id}, cycle {draft.cycle_start_date}: an invoice "
            f"that does not add up is not issued: {'; '.join(faults)}"
        )
        raise MoneyError(message)
