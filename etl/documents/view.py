"""What an invoice looks like to a person: every figure and word as text.

Pure. HTML and PDF print this, so that they say the same. Nothing is computed that the
stored invoice does not say; dates, amounts and quantities are only written out.

Units: ``_cents`` whole cents, ``_bytes`` bytes, ``_s`` seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from transforms.invoice import CREDIT, DELTA, Draft, Invoice, InvoiceLine
from transforms.invoice_texts import (
    DECIMAL,
    UNBROKEN,
    data_text,
    duration_text,
    hundredths,
    money,
    whole,
)
from transforms.vat import REVERSE_CHARGE, VatLine, percent_text

A_DAY: Final = timedelta(days=1)

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "nl": {
        "invoice": "Factuur",
        "delta": "Correctiefactuur",
        "credit": "Creditnota",
        "number": "Nummer",
        "date": "Datum",
        "due": "Vervaldatum",
        "period": "Periode",
        "customer": "Klantnummer",
        "reference": "Uw kenmerk",
        "corrects": "Corrigeert",
        "reason": "Reden",
        "description": "Omschrijving",
        "quantity": "Aantal",
        "usage": "Verbruik",
        "amount": "Bedrag",
        "vat": "Btw",
        "net": "Totaal excl. btw",
        "gross": "Te betalen",
        "refund": "U ontvangt terug",
        "until": "t/m",
        "over": "over",
        "vat_number": "Btw-nummer",
        "kvk": "KvK-nummer",
        "oin": "OIN",
        "iban": "IBAN",
        "bic": "BIC",
        "pay": "Wilt u het bedrag uiterlijk op {due} overmaken op {iban}, onder vermelding "
        "van {number}?",
        "owed": "Dit bedrag wordt met u verrekend of aan u terugbetaald.",
        "attention": "T.a.v.",
        "notes": "Bundels en tegoeden",
        "AE": "Btw verlegd naar de afnemer",
        "E": "Vrijgesteld van btw",
        "Z": "Nultarief",
        "page": "Pagina",
    },
    "en": {
        "invoice": "Invoice",
        "delta": "Correction invoice",
        "credit": "Credit note",
        "number": "Number",
        "date": "Date",
        "due": "Due date",
        "period": "Period",
        "customer": "Customer number",
        "reference": "Your reference",
        "corrects": "Corrects",
        "reason": "Reason",
        "description": "Description",
        "quantity": "Quantity",
        "usage": "Usage",
        "amount": "Amount",
        "vat": "VAT",
        "net": "Total excl. VAT",
        "gross": "To pay",
        "refund": "You get back",
        "until": "to",
        "over": "on",
        "vat_number": "VAT number",
        "kvk": "Chamber of Commerce",
        "oin": "OIN",
        "iban": "IBAN",
        "bic": "BIC",
        "pay": "Please transfer the amount by {due} to {iban}, stating {number}.",
        "owed": "This amount is settled with you or paid back to you.",
        "attention": "Attn.",
        "notes": "Bundles and credit",
        "AE": "VAT reverse-charged",
        "E": "Exempt from VAT",
        "Z": "Zero rate",
        "page": "Page",
    },
}

MONTHS: Final[Mapping[str, tuple[str, ...]]] = {
    "nl": (
        "januari", "februari", "maart", "april", "mei", "juni", "juli", "augustus",
        "september", "oktober", "november", "december",
    ),
    "en": (
        "January", "February", "March", "April", "May", "June", "July", "August",
        "September", "October", "November", "December",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class LineView:
    """One line as it is printed."""

    name: str
    quantity: str
    usage: str
    amount: str
    is_rounding: bool


@dataclass(frozen=True)
class View:
    """An invoice as it is printed, from top to bottom."""

    language: str
    title: str
    number: str
    supplier_name: str
    supplier: tuple[str, ...]
    supplier_facts: tuple[tuple[str, str], ...]
    customer: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]
    headings: tuple[str, str, str, str]
    lines: tuple[LineView, ...]
    sums: tuple[tuple[str, str], ...]
    total: tuple[str, str]
    remarks: tuple[str, ...]
    notes_title: str
    notes: tuple[str, ...]
    """What allowances gave and what is left of them."""
    payment: str
    page_word: str


def view_of(invoice: Invoice) -> View:
    """Write out an invoice in its customer's language."""
    draft = invoice.draft
    language = draft.terms.get("language", "nl")
    words = WORDS[language]
    amounts = draft.amounts
    currency = draft.currency
    is_owed = amounts.gross_cents < 0
    due = date_text(draft.due_date, language)
    iban = grouped(draft.supplier.get("iban", "")).replace(" ", UNBROKEN)
    paid_by = words["pay"].format(due=due, iban=iban, number=invoice.number)
    return View(
        language=language,
        title=words[draft.kind],
        number=invoice.number,
        supplier_name=draft.supplier.get("name", ""),
        supplier=_address(draft.supplier),
        supplier_facts=_supplier_facts(draft.supplier, words),
        customer=_customer(draft.customer, words),
        facts=_facts(invoice, words, language),
        headings=(
            words["description"],
            words["quantity"],
            words["usage"],
            words["amount"],
        ),
        lines=tuple(
            _line(line, language, currency) for line in amounts.lines if _is_printed(line)
        ),
        sums=(
            (words["net"], money(amounts.net_cents, currency, language)),
            *(
                (_vat_name(vat, language), money(vat.vat_cents, currency, language))
                for vat in amounts.vat
            ),
        ),
        total=(
            words["refund"] if is_owed else words["gross"],
            money(abs(amounts.gross_cents), currency, language),
        ),
        remarks=_vat_reasons(amounts.vat, language),
        notes_title=words["notes"],
        notes=draft.notes,
        payment=words["owed"] if is_owed else paid_by if amounts.gross_cents else "",
        page_word=words["page"],
    )


def _is_printed(line: InvoiceLine) -> bool:
    """A rounding of less than a cent is for the books, not for the customer."""
    return line.kind != "rounding" or line.amount_cents != 0


def _line(line: InvoiceLine, language: str, currency: str) -> LineView:
    counts = line.kind not in ("rounding", "vat_included") and line.quantity != 0
    return LineView(
        name=line.name,
        quantity=whole(line.quantity, language) if counts else "",
        usage=usage_text(line, language),
        amount=money(line.amount_cents, currency, language),
        is_rounding=line.kind == "rounding",
    )


def usage_text(line: InvoiceLine, language: str) -> str:
    """Say how much was used: time, or data; nothing where the quantity says it."""
    if line.duration_s:
        return duration_text(line.duration_s)
    return data_text(line.volume_bytes, language) if line.volume_bytes else ""


def date_text(day: date, language: str) -> str:
    """Write a date in words: ``2 november 2026``."""
    return f"{day.day} {MONTHS[language][day.month - 1]} {day.year}"


def grouped(iban: str) -> str:
    """Write an IBAN in fours."""
    plain = iban.replace(" ", "")
    return " ".join(plain[at : at + 4] for at in range(0, len(plain), 4))


def _address(party: Mapping[str, str]) -> tuple[str, ...]:
    town = "  ".join(part for part in (party.get("postcode"), party.get("city")) if part)
    country = party.get("country", "")
    lines = (
        party.get("street", ""),
        party.get("street2", ""),
        town,
        "" if country == "NL" else country,
    )
    return tuple(line for line in lines if line)


def _customer(customer: Mapping[str, str], words: Mapping[str, str]) -> tuple[str, ...]:
    attention = customer.get("attention", "")
    to = f"{words['attention']} {attention}" if attention else ""
    vat = customer.get("vat_number", "")
    number = f"{words['vat_number']} {vat}" if vat else ""
    lines = (customer.get("name", ""), to, *_address(customer), number)
    return tuple(line for line in lines if line)


def _supplier_facts(
    supplier: Mapping[str, str], words: Mapping[str, str]
) -> tuple[tuple[str, str], ...]:
    facts = [
        (words[name], supplier[name])
        for name in ("kvk", "oin", "vat_number", "iban", "bic")
        if supplier.get(name)
    ]
    facts += [("", supplier[name]) for name in ("email", "phone") if supplier.get(name)]
    iban = words["iban"]
    return tuple((name, grouped(text) if name == iban else text) for name, text in facts)


def _facts(
    invoice: Invoice, words: Mapping[str, str], language: str
) -> tuple[tuple[str, str], ...]:
    draft = invoice.draft
    facts = [
        (words["number"], invoice.number),
        (words["date"], date_text(draft.issue_date, language)),
        (words["period"], period_text(draft, words, language)),
        (words["customer"], draft.customer.get("customer_id", str(draft.customer_id))),
    ]
    if draft.amounts.gross_cents > 0:
        facts.insert(2, (words["due"], date_text(draft.due_date, language)))
    if draft.customer.get("reference"):
        facts.append((words["reference"], draft.customer["reference"]))
    if draft.kind in (DELTA, CREDIT):
        facts.append((words["corrects"], ", ".join(draft.refers_to)))
    if draft.reason:
        facts.append((words["reason"], draft.reason))
    return tuple(facts)


def period_text(draft: Draft, words: Mapping[str, str], language: str) -> str:
    """Write the cycle with its last day, as people count: ``1 t/m 31 oktober 2026``."""
    first, last = draft.cycle_start_date, draft.cycle_end_date - A_DAY
    is_one_month = (first.year, first.month) == (last.year, last.month)
    begins = str(first.day) if is_one_month else date_text(first, language)
    return f"{begins} {words['until']} {date_text(last, language)}"


def _vat_name(vat: VatLine, language: str) -> str:
    words = WORDS[language]
    rate = percent_text(vat.rate_bp).replace(".", DECIMAL[language])
    taxable = hundredths(vat.taxable_cents, language)
    return f"{words['vat']} {rate}% {words['over']} {taxable}"


def _vat_reasons(vat: tuple[VatLine, ...], language: str) -> tuple[str, ...]:
    """Say why no VAT is charged; what the Dutch law wants said is also said in Dutch."""
    words = WORDS[language]
    said = []
    for each in vat:
        reason = each.reason or words.get(each.category, "")
        if each.category == "AE" and reason == REVERSE_CHARGE and language != "nl":
            reason = f"{words['AE']} ({reason})"
        said += [reason] if each.category != "S" else []
    return tuple(dict.fromkeys(said))
