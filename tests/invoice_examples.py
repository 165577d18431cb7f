"""Invoices to look at: one of each kind, with every way VAT can fall."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date

from transforms.invoice import Amounts, Draft, Invoice, issued
from transforms.invoicing import (
    Charge,
    Terms,
    Usage,
    credit_amounts,
    delta_amounts,
    invoice_amounts,
    terms_record,
)
from transforms.vat import VatRule

SUPPLIER = {
    "name": "Voorbeeld Telecom BV",
    "street": "Voorbeeldstraat 1",
    "postcode": "1234 AB",
    "city": "Amsterdam",
    "country": "NL",
    "vat_number": "NL001234567B01",
    "kvk": "12345678",
    "iban": "NL91ABNA0417164300",
    "email": "facturen@voorbeeld.example",
}
CUSTOMER = {
    "customer_id": "7",
    "name": "Klant & Zonen BV",
    "attention": "mevrouw J. de Vries",
    "street": "Stationsplein 12",
    "postcode": "3511 CE",
    "city": "Utrecht",
    "country": "NL",
    "kvk": "87654321",
    "reference": "PO 118",
}
ABROAD = {
    "customer_id": "8",
    "name": "Kunde GmbH",
    "country": "DE",
    "vat_number": "DE123456789",
}

USUAL = Terms()


def usage(cost_micros: int, usage_type: str = "voice", zone: str = "") -> Usage:
    size = 1_500_000 if usage_type == "data" else 0
    seconds = 3_661 if usage_type == "voice" else 0
    return Usage(usage_type, zone, 1_234, seconds, size, 0, cost_micros)


def invoice(
    amounts: Amounts,
    *,
    kind: str = "invoice",
    customer: Mapping[str, str] = CUSTOMER,
    refers_to: Sequence[str] = (),
    terms: Terms = USUAL,
    reason: str = "",
    number: int = 1,
) -> Invoice:
    draft = Draft(
        kind=kind,  # type: ignore[arg-type]  # one of the kinds
        customer_id=int(customer["customer_id"]),
        cycle_start_date=date(2026, 10, 1),
        cycle_end_date=date(2026, 11, 1),
        document_no=1,
        base_revision=0,
        revision=1,
        totals_sha256="a" * 64,
        method="standard",
        currency="EUR",
        issue_date=date(2026, 11, 2),
        due_date=date(2026, 12, 2),
        refers_to=tuple(refers_to),
        issued_by="",
        reason=reason,
        supplier=SUPPLIER,
        customer=customer,
        terms=terms_record(terms),
        notes=(),
        amounts=amounts,
    )
    return issued(draft, "F", number)


MONTH = [
    usage(2_466_600),
    usage(14_000, "data"),
    usage(14_000, "sms", "EU"),
    usage(14_000, "sms", "US"),
    usage(-550_000, "adjustment"),
]
CHARGES = [
    Charge("recurring", "Abonnement", 25_000_000, 2),
    Charge("discount", "Korting", -5_000_000),
]
FULL = invoice_amounts(MONTH, CHARGES, USUAL)

BY_LINE = Terms(VatRule(rounding="line"))
REVERSED = Terms(VatRule(0, "AE", reason="Btw verlegd"))
EXEMPT = VatRule(0, "E", reason="Schadevergoeding")
INCLUSIVE = Terms(VatRule(prices_include=True))


def _delta(cost_micros: int) -> Amounts:
    amounts = delta_amounts([FULL], [usage(cost_micros)], USUAL)
    assert amounts is not None
    return amounts


EXAMPLES: Mapping[str, Invoice] = {
    "invoice": invoice(FULL),
    "vat by line": invoice(
        invoice_amounts([usage(70_000, zone=each) for each in "ABC"], [], BY_LINE),
        terms=BY_LINE,
    ),
    "reverse charge": invoice(
        invoice_amounts([usage(100_000_000)], [], REVERSED),
        customer=ABROAD,
        terms=REVERSED,
    ),
    "exempt charge": invoice(
        invoice_amounts(
            [usage(10_000_000)],
            [Charge("one_off", "Schade", 50_000_000, vat=EXEMPT)],
            USUAL,
        )
    ),
    "zero rate": invoice(
        invoice_amounts([usage(10_000_000)], [], Terms(VatRule(0, "Z"))),
        terms=Terms(VatRule(0, "Z")),
    ),
    "vat in prices": invoice(
        invoice_amounts([usage(121_000_000)], [], INCLUSIVE), terms=INCLUSIVE
    ),
    "below zero": invoice(invoice_amounts([usage(-10_000_000, "adjustment")], [], USUAL)),
    "more to pay": invoice(_delta(9_000_000), kind="delta", refers_to=["F2026-000001"]),
    "less to pay": invoice(_delta(1_000_000), kind="delta", refers_to=["F2026-000001"]),
    "credit": invoice(
        credit_amounts([FULL]),
        kind="credit",
        refers_to=["F2026-000001", "F2026-000002"],
        reason="verkeerd adres",
    ),
    "credit of vat in prices": invoice(
        credit_amounts([invoice_amounts([usage(121_000_000)], [], INCLUSIVE)]),
        kind="credit",
        refers_to=["F2026-000001"],
        terms=INCLUSIVE,
    ),
    "public body": invoice(
        FULL,
        customer={
            **{name: text for name, text in CUSTOMER.items() if name != "kvk"},
            "oin": "00000001234567890000",
        },
    ),
}


def changed(example: Invoice, **customer: str) -> Invoice:
    """The same invoice for a customer of whom some details differ; empty takes one away."""
    details = {**example.draft.customer, **customer}
    kept = {name: text for name, text in details.items() if text}
    return replace(example, draft=replace(example.draft, customer=kept))
