"""The invoice as UBL 2.1, by Peppol BIS Billing 3.0 (EN 16931) with the Dutch rules.

Pure: an invoice in, bytes of XML out. A credit note, and a delta that gives back, is a UBL
CreditNote with positive amounts; everything else is an Invoice. What the standard needs
and nobody has told us is named, not made up.

Units: ``_cents`` whole cents. Source: https://docs.peppol.eu/poacc/billing/3.0/ and the
rules BR-*, BR-CO-*, PEPPOL-EN16931-R* and NL-R-* published with it.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Final
from xml.etree import ElementTree as ET

from transforms.errors import ConfigError
from transforms.invoice import CREDIT, DELTA, MICROS_A_CENT, Draft, Invoice, InvoiceLine
from transforms.money import decimal_text, round_ratio
from transforms.vat import FULL_BP, VatLine, percent_text

CUSTOMIZATION: Final = (
    "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
)
PROFILE: Final = "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"

NAMESPACES: Final[Mapping[str, str]] = {
    "xmlns:cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "xmlns:cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
ROOTS: Final[Mapping[str, str]] = {
    name: f"urn:oasis:names:specification:ubl:schema:xsd:{name}-2"
    for name in ("Invoice", "CreditNote")
}

INVOICE_CODE: Final = "380"
CREDIT_NOTE_CODE: Final = "381"
CREDIT_TRANSFER: Final = "30"
ONE: Final = "C62"
"""UNECE recommendation 20: one, of anything."""

KVK, OIN = "0106", "0190"

CENTS_OFF: Final = 100
"""From here on VAT rounded line by line is too far from the VAT over the sum."""

VAT_SCHEMES: Final[Mapping[str, str]] = {
    "AT": "9914", "BE": "9925", "BG": "9926", "CH": "9927", "CY": "9928", "CZ": "9929",
    "DE": "9930", "EE": "9931", "GB": "9932", "EL": "9933", "HR": "9934", "IE": "9935",
    "LI": "9936", "LT": "9937", "LU": "9938", "LV": "9939", "MC": "9940", "MT": "9943",
    "NL": "9944", "PL": "9945", "PT": "9946", "RO": "9947", "SI": "9949", "SK": "9950",
    "FR": "9957", "HU": "9910", "ES": "9920",
}  # fmt: skip
"""The address scheme of a VAT number, by the country it begins with."""

EXEMPTION_CODES: Final[Mapping[str, str]] = {"AE": "VATEX-EU-AE"}

FORBIDDEN: Final = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that no XML document may hold."""


class _Node:
    """An element that is being written, its children in the order they are added."""

    def __init__(self, element: ET.Element) -> None:
        self.element = element

    def group(self, name: str) -> "_Node":
        """Add an element of elements."""
        return _Node(ET.SubElement(self.element, f"cac:{name}"))

    def text(self, name: str, value: str, **attributes: str) -> None:
        """Add an element with text; an empty one is left out, as the standard wants."""
        clean = FORBIDDEN.sub("\N{REPLACEMENT CHARACTER}", value).strip()
        if clean:
            ET.SubElement(self.element, f"cbc:{name}", attributes).text = clean


def ubl_document(invoice: Invoice) -> bytes:
    """Write an invoice as UBL.

    Raises:
        ConfigError: Naming what the standard needs and the invoice does not hold.
    """
    missing = missing_for_ubl(invoice)
    if missing:
        message = f"{invoice.number} cannot be written as UBL: {'; '.join(missing)}"
        raise ConfigError(message)
    paper = _Paper(invoice)
    root = paper.written()
    ET.indent(root)
    written: bytes = ET.tostring(root, encoding="UTF-8", xml_declaration=True)
    return written + b"\n"


def missing_for_ubl(invoice: Invoice) -> list[str]:
    """Name what the standard needs that neither supplier nor customer has given."""
    draft = invoice.draft
    faults = [
        f"[supplier] of etl.toml: {fault}"
        for fault in _party_faults(draft.supplier, is_dutch_pair=True)
    ]
    if draft.supplier.get("country") == "NL" and not _legal_id(draft.supplier):
        faults.append("[supplier] of etl.toml: kvk or oin")
    if not draft.supplier.get("iban") and not is_credit_note(invoice):
        faults.append("[supplier] of etl.toml: iban")
    if not draft.supplier.get("vat_number"):
        faults.append("[supplier] of etl.toml: vat_number")
    faults += [
        f"VAT by line is {decimal_text(abs(off) * MICROS_A_CENT, 2)} off the VAT over all, "
        "and the standard wants less than 1.00; give this customer vat_rounding invoice"
        for off in map(_off_cents, draft.amounts.vat)
        if abs(off) >= CENTS_OFF
    ]
    is_dutch = draft.supplier.get("country") == draft.customer.get("country") == "NL"
    faults += [
        f"customer {draft.customer_id}: {fault}"
        for fault in _party_faults(draft.customer, is_dutch_pair=is_dutch)
    ]
    return faults


def _off_cents(vat: VatLine) -> int:
    """How far VAT is from the VAT over the taxable sum: BR-CO-17 has a bound for it."""
    return vat.vat_cents - round_ratio(vat.taxable_cents * vat.rate_bp, FULL_BP, "half-up")


def is_credit_note(invoice: Invoice) -> bool:
    """Whether an invoice gives money back for documents before it."""
    draft = invoice.draft
    return draft.kind == CREDIT or (draft.kind == DELTA and draft.amounts.gross_cents < 0)


def _party_faults(party: Mapping[str, str], *, is_dutch_pair: bool) -> Iterator[str]:
    if not re.fullmatch("[A-Z]{2}", party.get("country", "")):
        yield "country (two capitals)"
    if _endpoint(party) is None:
        yield "kvk, oin or vat_number, as its electronic address"
    if is_dutch_pair and party.get("country") == "NL":
        yield from (each for each in ("street", "postcode", "city") if not party.get(each))


def _legal_id(party: Mapping[str, str]) -> tuple[str, str] | None:
    """The number of a Dutch company or public body, and its scheme."""
    if party.get("kvk"):
        return party["kvk"], KVK
    return (party["oin"], OIN) if party.get("oin") else None


def _endpoint(party: Mapping[str, str]) -> tuple[str, str] | None:
    """Where a party receives documents, and the scheme of that address."""
    if party.get("oin"):
        return party["oin"], OIN
    if party.get("kvk"):
        return party["kvk"], KVK
    vat_number = party.get("vat_number", "")
    scheme = VAT_SCHEMES.get(vat_number[:2])
    return (vat_number, scheme) if scheme else None


class _Paper:
    """One invoice on its way to XML."""

    def __init__(self, invoice: Invoice) -> None:
        self.invoice = invoice
        self.draft: Draft = invoice.draft
        self.is_credit = is_credit_note(invoice)
        self.sign = -1 if self.is_credit else 1
        lines = self.draft.amounts.lines
        self.included = [each for each in lines if each.kind == "vat_included"]
        self.lines = [
            each
            for each in lines
            if each.kind != "vat_included"
            and not (each.kind == "rounding" and each.amount_cents == 0)
        ]

    def written(self) -> ET.Element:
        """Write all parts, in the order of the schema."""
        name = "CreditNote" if self.is_credit else "Invoice"
        attributes = {"xmlns": ROOTS[name], **NAMESPACES}
        root = _Node(ET.Element(name, attributes))
        self.head(root)
        self.supplier(root.group("AccountingSupplierParty").group("Party"))
        self.customer(root.group("AccountingCustomerParty").group("Party"))
        self.payment(root)
        self.vat_in_prices(root)
        self.vat(root.group("TaxTotal"))
        self.sums(root.group("LegalMonetaryTotal"))
        for line in self.lines:
            self.line(root.group(f"{name}Line"), line)
        return root.element

    def head(self, root: _Node) -> None:
        """Write what the document is, and what it is about."""
        draft = self.draft
        root.text("CustomizationID", CUSTOMIZATION)
        root.text("ProfileID", PROFILE)
        root.text("ID", self.invoice.number)
        root.text("IssueDate", draft.issue_date.isoformat())
        if self.is_credit:
            root.text("CreditNoteTypeCode", CREDIT_NOTE_CODE)
        else:
            root.text("DueDate", draft.due_date.isoformat())
            root.text("InvoiceTypeCode", INVOICE_CODE)
        root.text("Note", " ".join(part for part in (draft.reason, *draft.notes) if part))
        root.text("DocumentCurrencyCode", draft.currency)
        # The buyer's own reference; without one, what we know the buyer by.
        root.text(
            "BuyerReference", draft.customer.get("reference") or str(draft.customer_id)
        )
        period = root.group("InvoicePeriod")
        period.text("StartDate", draft.cycle_start_date.isoformat())
        last = draft.cycle_end_date.toordinal() - 1
        period.text("EndDate", draft.cycle_end_date.fromordinal(last).isoformat())
        for number in draft.refers_to:
            reference = root.group("BillingReference").group("InvoiceDocumentReference")
            reference.text("ID", number)

    def supplier(self, party: _Node) -> None:
        """Write who issues it."""
        self.party(party, self.draft.supplier)
        contact = party.group("Contact")
        supplier = self.draft.supplier
        contact.text("Name", supplier["name"])
        contact.text("Telephone", supplier.get("phone", ""))
        contact.text("ElectronicMail", supplier.get("email", ""))

    def customer(self, party: _Node) -> None:
        """Write who it is for."""
        customer = self.draft.customer
        self.party(party, customer)
        if customer.get("attention") or customer.get("email"):
            contact = party.group("Contact")
            contact.text("Name", customer.get("attention", ""))
            contact.text("ElectronicMail", customer.get("email", ""))

    def party(self, node: _Node, party: Mapping[str, str]) -> None:
        """Write a party: address, VAT number, legal name and number."""
        endpoint = _endpoint(party)
        if endpoint is not None:
            node.text("EndpointID", endpoint[0], schemeID=endpoint[1])
        node.group("PartyName").text("Name", party["name"])
        address = node.group("PostalAddress")
        address.text("StreetName", party.get("street", ""))
        address.text("AdditionalStreetName", party.get("street2", ""))
        address.text("CityName", party.get("city", ""))
        address.text("PostalZone", party.get("postcode", ""))
        address.group("Country").text("IdentificationCode", party["country"])
        if party.get("vat_number"):
            tax = node.group("PartyTaxScheme")
            tax.text("CompanyID", party["vat_number"])
            tax.group("TaxScheme").text("ID", "VAT")
        entity = node.group("PartyLegalEntity")
        entity.text("RegistrationName", party["name"])
        legal = _legal_id(party)
        if legal is not None:
            entity.text("CompanyID", legal[0], schemeID=legal[1])

    def payment(self, root: _Node) -> None:
        """Write how to pay; what is given back is settled."""
        supplier = self.draft.supplier
        if self.is_credit or self.draft.amounts.gross_cents < 0:
            root.group("PaymentTerms").text("Note", "Dit bedrag wordt verrekend.")
            return
        means = root.group("PaymentMeans")
        means.text("PaymentMeansCode", CREDIT_TRANSFER)
        means.text("PaymentID", self.invoice.number)
        account = means.group("PayeeFinancialAccount")
        account.text("ID", supplier.get("iban", "").replace(" ", ""))
        account.text("Name", supplier["name"])
        if supplier.get("bic"):
            account.group("FinancialInstitutionBranch").text("ID", supplier["bic"])

    def vat_in_prices(self, root: _Node) -> None:
        """Write the VAT that prices held as an allowance on the document."""
        for line in self.included:
            allowance = root.group("AllowanceCharge")
            allowance.text("ChargeIndicator", "false")
            allowance.text("AllowanceChargeReason", line.name)
            self.amount(allowance, "Amount", -line.amount_cents)
            self.category(
                allowance.group("TaxCategory"), line.vat_category, line.vat_rate_bp
            )

    def vat(self, total: _Node) -> None:
        """Write the VAT and its breakdown."""
        self.amount(total, "TaxAmount", self.draft.amounts.vat_cents)
        for each in self.draft.amounts.vat:
            part = total.group("TaxSubtotal")
            self.amount(part, "TaxableAmount", each.taxable_cents)
            self.amount(part, "TaxAmount", each.vat_cents)
            self.exemption(part.group("TaxCategory"), each)

    def exemption(self, node: _Node, vat: VatLine) -> None:
        """Write a category of the breakdown, with the reason where no VAT is charged."""
        node.text("ID", vat.category)
        node.text("Percent", percent_text(vat.rate_bp))
        if vat.category in ("E", "AE"):
            node.text("TaxExemptionReasonCode", EXEMPTION_CODES.get(vat.category, ""))
            node.text("TaxExemptionReason", vat.reason)
        node.group("TaxScheme").text("ID", "VAT")

    def category(self, node: _Node, category: str, rate_bp: int) -> None:
        """Write the VAT category of a line or allowance."""
        node.text("ID", category)
        node.text("Percent", percent_text(rate_bp))
        node.group("TaxScheme").text("ID", "VAT")

    def sums(self, total: _Node) -> None:
        """Write what it adds up to."""
        amounts = self.draft.amounts
        included = -sum(each.amount_cents for each in self.included)
        self.amount(total, "LineExtensionAmount", amounts.net_cents + included)
        self.amount(total, "TaxExclusiveAmount", amounts.net_cents)
        self.amount(total, "TaxInclusiveAmount", amounts.gross_cents)
        if included:
            self.amount(total, "AllowanceTotalAmount", included)
        self.amount(total, "PayableAmount", amounts.gross_cents)

    def line(self, node: _Node, line: InvoiceLine) -> None:
        """Write one line: one piece at its amount; an amount below zero is minus one."""
        cents = self.sign * line.amount_cents
        node.text("ID", str(line.line_no))
        quantity = "CreditedQuantity" if self.is_credit else "InvoicedQuantity"
        node.text(quantity, "-1" if cents < 0 else "1", unitCode=ONE)
        self.amount(node, "LineExtensionAmount", line.amount_cents)
        item = node.group("Item")
        item.text("Description", _described(line))
        item.text("Name", line.name)
        self.category(
            item.group("ClassifiedTaxCategory"), line.vat_category, line.vat_rate_bp
        )
        self.amount(node.group("Price"), "PriceAmount", self.sign * abs(cents))

    def amount(self, node: _Node, name: str, cents: int) -> None:
        """Write an amount in the document's currency; of a credit note with its sign."""
        text = decimal_text(self.sign * cents * MICROS_A_CENT, 2)
        node.text(name, text, currencyID=self.draft.currency)


def _described(line: InvoiceLine) -> str:
    """Say what was used: ``12 records, 3600 s``."""
    if line.kind != "usage":
        return ""
    parts = [f"{line.quantity} records"]
    parts += [f"{line.duration_s} s"] if line.duration_s else []
    parts += [f"{line.volume_bytes} bytes"] if line.volume_bytes else []
    return ", ".join(parts)
