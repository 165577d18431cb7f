"""The published rules for invoices, said again: each names what it finds in a document.

EN 16931 (BR-), Peppol BIS Billing 3.0 (PEPPOL-EN16931-), the Netherlands (NL-R- there,
BR-NL- in NLCIUS), and the order of elements in the schema of UBL 2.1. Only rules for
parts that we write; that we write no others is a rule as well.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from decimal import ROUND_HALF_UP, Decimal
from typing import Final
from xml.etree import ElementTree as ET

NS: Final = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
CENT: Final = Decimal("0.01")

Check = Callable[["Document"], Iterator[object]]


@dataclass(frozen=True)
class Rule:
    """A rule by its published names, and what in a document breaks it."""

    names: str
    check: Check


RULES: Final[list[Rule]] = []


def rule(names: str) -> Callable[[Check], Check]:
    """Put a check among the rules."""

    def added(check: Check) -> Check:
        RULES.append(Rule(names, check))
        return check

    return added


class Document:
    """A UBL document, to ask questions of."""

    def __init__(self, root: ET.Element) -> None:
        self.root = root
        self.kind = local(root.tag)
        self.is_credit = self.kind == "CreditNote"
        self.lines = root.findall(f"cac:{self.kind}Line", NS)
        self.allowances = root.findall("cac:AllowanceCharge", NS)
        self.subtotals = root.findall("cac:TaxTotal/cac:TaxSubtotal", NS)
        supplier, customer = (
            root.find(f"cac:Accounting{side}Party/cac:Party", NS)
            for side in ("Supplier", "Customer")
        )
        assert supplier is not None
        assert customer is not None
        self.supplier, self.customer = supplier, customer

    @property
    def parties(self) -> tuple[ET.Element, ET.Element]:
        return self.supplier, self.customer

    def sum(self, name: str) -> Decimal:
        return amount(self.root, f"cac:LegalMonetaryTotal/cbc:{name}")

    @property
    def is_domestic(self) -> bool:
        return all(country(each) == "NL" for each in self.parties)


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


def text(node: ET.Element, path: str) -> str:
    found = node.find(path, NS)
    return "" if found is None else (found.text or "").strip()


def texts(node: ET.Element, path: str) -> list[str]:
    return [(each.text or "").strip() for each in node.findall(path, NS)]


def amount(node: ET.Element, path: str) -> Decimal:
    """An amount; 0 where there is none, which rules of their own do not let pass."""
    found = text(node, path)
    return Decimal(found) if re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", found) else Decimal(0)


def country(party: ET.Element) -> str:
    return text(party, "cac:PostalAddress/cac:Country/cbc:IdentificationCode")


def scheme(party: ET.Element, path: str) -> str | None:
    found = party.find(path, NS)
    return None if found is None else found.get("schemeID")


def lacking(node: ET.Element, *paths: str) -> Iterator[str]:
    return (path for path in paths if not text(node, path))


LEGAL_ID: Final = "cac:PartyLegalEntity/cbc:CompanyID"
VAT_ID: Final = "cac:PartyTaxScheme/cbc:CompanyID"
ENDPOINT: Final = "cbc:EndpointID"
LINE_VAT: Final = "cac:Item/cac:ClassifiedTaxCategory"

# --- code lists ---------------------------------------------------------------------------

INVOICE_CODES: Final = {
    "71", "80", "82", "84", "102", "218", "219", "326", "331", "380", "382", "383", "384",
    "386", "388", "393", "395", "553", "575", "623", "780", "817", "870", "875", "876",
    "877",
}  # fmt: skip
CREDIT_CODES: Final = {"81", "83", "381", "396", "532"}
CURRENCIES: Final = {"EUR", "GBP", "USD", "CHF", "DKK", "NOK", "SEK", "PLN", "CZK", "HUF"}
COUNTRIES: Final = {
    "AT", "BE", "BG", "CH", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR",
    "HR", "HU", "IE", "IT", "LI", "LT", "LU", "LV", "MC", "MT", "NL", "NO", "PL", "PT",
    "RO", "SE", "SI", "SK", "US", "XI",
}  # fmt: skip
EAS: Final = {
    "0002", "0007", "0009", "0037", "0060", "0088", "0096", "0106", "0130", "0135", "0142",
    "0147", "0151", "0170", "0183", "0184", "0188", "0190", "0191", "0192", "0193", "0195",
    "0196", "0198", "0199", "0200", "0201", "0202", "0204", "0208", "0209", "0210", "0211",
    "0212", "0213", "0215", "0216", "0218", "0221", "0225", "0230", "0235", "9910", "9913",
    "9914", "9915", "9918", "9919", "9920", "9922", "9923", "9924", "9925", "9926", "9927",
    "9928", "9929", "9930", "9931", "9932", "9933", "9934", "9935", "9936", "9937", "9938",
    "9939", "9940", "9941", "9942", "9943", "9944", "9945", "9946", "9947", "9948", "9949",
    "9950", "9951", "9952", "9953", "9957", "9959",
}  # fmt: skip
DUTCH_IDS: Final = {"0106", "0190"}
VAT_CATEGORIES: Final = {"S", "Z", "E", "AE"}
VATEX: Final = {"AE": {"VATEX-EU-AE"}}
"""Reason codes that go with one category of VAT only, and that category with no other."""
DUTCH_MEANS: Final = {"30", "48", "49", "57", "58", "59"}
PAYMENT_MEANS: Final = DUTCH_MEANS | {"1", "10", "20", "31", "42", "54", "55", "68", "97"}

# --- which elements there are, and in which order -----------------------------------------

ORDER: Final = {
    "Invoice": (
        "CustomizationID ProfileID ID IssueDate DueDate InvoiceTypeCode Note TaxPointDate"
        " DocumentCurrencyCode TaxCurrencyCode AccountingCost BuyerReference InvoicePeriod"
        " OrderReference BillingReference ContractDocumentReference AccountingSupplierParty"
        " AccountingCustomerParty PayeeParty TaxRepresentativeParty Delivery PaymentMeans"
        " PaymentTerms AllowanceCharge TaxTotal LegalMonetaryTotal InvoiceLine"
    ),
    "CreditNote": (
        "CustomizationID ProfileID ID IssueDate TaxPointDate CreditNoteTypeCode Note"
        " DocumentCurrencyCode TaxCurrencyCode AccountingCost BuyerReference InvoicePeriod"
        " OrderReference BillingReference ContractDocumentReference AccountingSupplierParty"
        " AccountingCustomerParty PayeeParty TaxRepresentativeParty Delivery PaymentMeans"
        " PaymentTerms AllowanceCharge TaxTotal LegalMonetaryTotal CreditNoteLine"
    ),
    "InvoicePeriod": "StartDate EndDate DescriptionCode",
    "BillingReference": "InvoiceDocumentReference",
    "InvoiceDocumentReference": "ID IssueDate",
    "AccountingSupplierParty": "Party",
    "AccountingCustomerParty": "Party",
    "Party": (
        "EndpointID PartyIdentification PartyName PostalAddress PartyTaxScheme"
        " PartyLegalEntity Contact"
    ),
    "PartyName": "Name",
    "PostalAddress": (
        "StreetName AdditionalStreetName CityName PostalZone CountrySubentity AddressLine"
        " Country"
    ),
    "Country": "IdentificationCode",
    "PartyTaxScheme": "CompanyID TaxScheme",
    "TaxScheme": "ID",
    "PartyLegalEntity": "RegistrationName CompanyID CompanyLegalForm",
    "Contact": "Name Telephone ElectronicMail",
    "PaymentMeans": "PaymentMeansCode PaymentID CardAccount PayeeFinancialAccount",
    "PayeeFinancialAccount": "ID Name FinancialInstitutionBranch",
    "FinancialInstitutionBranch": "ID",
    "PaymentTerms": "Note",
    "AllowanceCharge": (
        "ChargeIndicator AllowanceChargeReasonCode AllowanceChargeReason"
        " MultiplierFactorNumeric Amount BaseAmount TaxCategory"
    ),
    "TaxTotal": "TaxAmount TaxSubtotal",
    "TaxSubtotal": "TaxableAmount TaxAmount TaxCategory",
    "TaxCategory": "ID Percent TaxExemptionReasonCode TaxExemptionReason TaxScheme",
    "ClassifiedTaxCategory": "ID Percent TaxScheme",
    "LegalMonetaryTotal": (
        "LineExtensionAmount TaxExclusiveAmount TaxInclusiveAmount AllowanceTotalAmount"
        " ChargeTotalAmount PrepaidAmount PayableRoundingAmount PayableAmount"
    ),
    "InvoiceLine": (
        "ID Note InvoicedQuantity LineExtensionAmount AccountingCost InvoicePeriod"
        " OrderLineReference DocumentReference AllowanceCharge Item Price"
    ),
    "CreditNoteLine": (
        "ID Note CreditedQuantity LineExtensionAmount AccountingCost InvoicePeriod"
        " OrderLineReference DocumentReference AllowanceCharge Item Price"
    ),
    "Item": "Description Name BuyersItemIdentification ClassifiedTaxCategory",
    "Price": "PriceAmount BaseQuantity AllowanceCharge",
}

ATTRIBUTES: Final = {
    "EndpointID": {"schemeID"},
    "CompanyID": {"schemeID"},
    "InvoicedQuantity": {"unitCode"},
    "CreditedQuantity": {"unitCode"},
}


@rule("UBL 2.1: order of elements; UBL-CR-*: no others")
def _order(document: Document) -> Iterator[object]:
    for node in document.root.iter():
        children = [local(child.tag) for child in node]
        known = ORDER.get(local(node.tag), "").split()
        yield from (f"{local(node.tag)}/{name}" for name in children if name not in known)
        places = [known.index(name) for name in children if name in known]
        if places != sorted(places):
            yield local(node.tag), children


@rule("UBL-DT-*")
def _attributes(document: Document) -> Iterator[object]:
    for node in document.root.iter():
        name = local(node.tag)
        is_money = name.endswith("Amount")
        allowed = {"currencyID"} if is_money else ATTRIBUTES.get(name, set())
        yield from (f"{name}@{key}" for key in node.attrib if key not in allowed)


@rule("PEPPOL-EN16931-R008")
def _nothing_empty(document: Document) -> Iterator[object]:
    for node in document.root.iter():
        if not list(node) and not (node.text or "").strip():
            yield local(node.tag)


@rule("UBL-SR-*: at most once")
def _once(document: Document) -> Iterator[object]:
    many = {"BillingReference", "AllowanceCharge", "InvoiceLine", "CreditNoteLine"}
    for node in document.root.iter():
        names = [local(child.tag) for child in node]
        again = many | ({"TaxSubtotal"} if local(node.tag) == "TaxTotal" else set())
        yield from (name for name in names if names.count(name) > 1 and name not in again)


# --- the document -------------------------------------------------------------------------


@rule("BR-01, PEPPOL-EN16931-R001, R004, R007")
def _process(document: Document) -> Iterator[object]:
    customization = text(document.root, "cbc:CustomizationID")
    if not customization.startswith(
        "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
    ):
        yield customization
    profile = text(document.root, "cbc:ProfileID")
    if not re.fullmatch(r"urn:fdc:peppol\.eu:2017:poacc:billing:[0-9]{2}:1\.0", profile):
        yield profile


@rule("BR-02, BR-03, BR-04, BR-05")
def _head(document: Document) -> Iterator[object]:
    kind = "cbc:CreditNoteTypeCode" if document.is_credit else "cbc:InvoiceTypeCode"
    head = ("cbc:ID", "cbc:IssueDate", kind, "cbc:DocumentCurrencyCode")
    yield from lacking(document.root, *head)


@rule("PEPPOL-EN16931-P0100, P0101, BR-CL-01, BR-NL-7, BR-NL-9")
def _type(document: Document) -> Iterator[object]:
    codes = CREDIT_CODES if document.is_credit else INVOICE_CODES
    name = "CreditNoteTypeCode" if document.is_credit else "InvoiceTypeCode"
    if text(document.root, f"cbc:{name}") not in codes:
        yield name


@rule("BR-CL-03, BR-CL-04, PEPPOL-EN16931-CL007, R051")
def _currency(document: Document) -> Iterator[object]:
    own = text(document.root, "cbc:DocumentCurrencyCode")
    if own not in CURRENCIES:
        yield own
    for node in document.root.iter():
        if local(node.tag).endswith("Amount") and node.get("currencyID") != own:
            yield local(node.tag), node.get("currencyID")


@rule("PEPPOL-EN16931-F001")
def _dates(document: Document) -> Iterator[object]:
    for node in document.root.iter():
        if local(node.tag).endswith("Date"):
            try:
                if date.fromisoformat(node.text or "").isoformat() != node.text:
                    yield node.text
            except ValueError:
                yield node.text


@rule("PEPPOL-EN16931-R003")
def _reference(document: Document) -> Iterator[object]:
    yield from lacking(document.root, "cbc:BuyerReference")


@rule("BR-29, BR-CO-19, BR-CO-03")
def _period(document: Document) -> Iterator[object]:
    start, end = (
        text(document.root, f"cac:InvoicePeriod/cbc:{name}")
        for name in ("StartDate", "EndDate")
    )
    if not start or not end or end < start:
        yield start, end
    if text(document.root, "cbc:TaxPointDate") and text(
        document.root, "cac:InvoicePeriod/cbc:DescriptionCode"
    ):
        yield "TaxPointDate"


@rule("BR-55, NL-R-001, BR-NL-8")
def _corrects(document: Document) -> Iterator[object]:
    references = document.root.findall("cac:BillingReference", NS)
    path = "cac:InvoiceDocumentReference/cbc:ID"
    yield from (path for each in references if not text(each, path))
    if document.is_credit and country(document.supplier) == "NL" and not references:
        yield "no reference"


# --- parties ------------------------------------------------------------------------------


@rule("BR-06 to BR-11")
def _names(document: Document) -> Iterator[object]:
    for party in document.parties:
        yield from lacking(party, "cac:PartyLegalEntity/cbc:RegistrationName")
        if country(party) not in COUNTRIES:  # BR-CL-14
            yield country(party)


@rule("PEPPOL-EN16931-R010, R020, BR-62, BR-63, BR-CL-25, PEPPOL-EN16931-CL008")
def _endpoints(document: Document) -> Iterator[object]:
    for party in document.parties:
        if not text(party, ENDPOINT) or scheme(party, ENDPOINT) not in EAS:
            yield text(party, ENDPOINT), scheme(party, ENDPOINT)


@rule("BR-CO-26")
def _known(document: Document) -> Iterator[object]:
    if not text(document.supplier, LEGAL_ID) and not text(document.supplier, VAT_ID):
        yield "no number of the supplier"


@rule("BR-CO-09")
def _vat_numbers(document: Document) -> Iterator[object]:
    for party in document.parties:
        number = text(party, VAT_ID)
        if number and number[:2] not in COUNTRIES | {"EL"}:
            yield number
        if number and text(party, "cac:PartyTaxScheme/cac:TaxScheme/cbc:ID") != "VAT":
            yield "TaxScheme"


@rule("NL-R-002, NL-R-004, BR-NL-3, BR-NL-4")
def _addresses(document: Document) -> Iterator[object]:
    if country(document.supplier) != "NL":
        return
    for party in document.parties:
        if country(party) == "NL":
            needed = ("StreetName", "CityName", "PostalZone")
            yield from lacking(party, *(f"cac:PostalAddress/cbc:{each}" for each in needed))


@rule("NL-R-003, NL-R-005, BR-NL-1, BR-NL-10, BR-CL-11")
def _registers(document: Document) -> Iterator[object]:
    if country(document.supplier) != "NL":
        return
    if scheme(document.supplier, LEGAL_ID) not in DUTCH_IDS:
        yield "supplier", scheme(document.supplier, LEGAL_ID)
    known = scheme(document.customer, LEGAL_ID)
    has_number = bool(text(document.customer, LEGAL_ID))
    if document.is_domestic and has_number and known not in DUTCH_IDS:
        yield "customer", known


# --- payment ------------------------------------------------------------------------------


@rule("BR-CO-25")
def _when(document: Document) -> Iterator[object]:
    is_said = text(document.root, "cbc:DueDate") or text(
        document.root, "cac:PaymentTerms/cbc:Note"
    )
    if document.sum("PayableAmount") > 0 and not is_said:
        yield "neither due date nor terms"


@rule("BR-49, BR-50, BR-61, BR-CL-16, NL-R-007, NL-R-008, BR-NL-11, BR-NL-12")
def _how(document: Document) -> Iterator[object]:
    means = document.root.findall("cac:PaymentMeans", NS)
    owed = document.sum("PayableAmount") > 0 and not document.is_credit
    if owed and country(document.supplier) == "NL" and not means:
        yield "no payment means"
    for each in means:
        code = text(each, "cbc:PaymentMeansCode")
        if code not in (DUTCH_MEANS if document.is_domestic else PAYMENT_MEANS):
            yield code
        if code in {"30", "58"}:
            yield from lacking(each, "cac:PayeeFinancialAccount/cbc:ID")


# --- sums ---------------------------------------------------------------------------------


@rule("BR-DEC-*")
def _decimals(document: Document) -> Iterator[object]:
    for node in document.root.iter():
        if node.get("currencyID") and not re.fullmatch(
            r"-?[0-9]+(\.[0-9]{1,2})?", node.text or ""
        ):
            yield local(node.tag), node.text


@rule("BR-12, BR-13, BR-14, BR-15")
def _there(document: Document) -> Iterator[object]:
    for name in (
        "LineExtensionAmount", "TaxExclusiveAmount", "TaxInclusiveAmount", "PayableAmount",
    ):  # fmt: skip
        yield from lacking(document.root, f"cac:LegalMonetaryTotal/cbc:{name}")


@rule("BR-CO-10")
def _line_sum(document: Document) -> Iterator[object]:
    found = sum(amount(line, "cbc:LineExtensionAmount") for line in document.lines)
    if document.sum("LineExtensionAmount") != found:
        yield found


@rule("BR-CO-11")
def _allowance_sum(document: Document) -> Iterator[object]:
    found = sum((amount(each, "cbc:Amount") for each in document.allowances), Decimal(0))
    said = text(document.root, "cac:LegalMonetaryTotal/cbc:AllowanceTotalAmount")
    if Decimal(said or "0") != found or (document.allowances and not said):
        yield said, found


@rule("BR-CO-13")
def _net_sum(document: Document) -> Iterator[object]:
    allowed = text(document.root, "cac:LegalMonetaryTotal/cbc:AllowanceTotalAmount")
    found = document.sum("LineExtensionAmount") - Decimal(allowed or "0")
    if document.sum("TaxExclusiveAmount") != found:
        yield found


@rule("BR-CO-14")
def _vat_sum(document: Document) -> Iterator[object]:
    found = sum(amount(each, "cbc:TaxAmount") for each in document.subtotals)
    if amount(document.root, "cac:TaxTotal/cbc:TaxAmount") != found:
        yield found


@rule("BR-CO-15")
def _gross_sum(document: Document) -> Iterator[object]:
    vat = amount(document.root, "cac:TaxTotal/cbc:TaxAmount")
    if document.sum("TaxInclusiveAmount") != document.sum("TaxExclusiveAmount") + vat:
        yield vat


@rule("BR-CO-16")
def _payable(document: Document) -> Iterator[object]:
    if document.sum("PayableAmount") != document.sum("TaxInclusiveAmount"):
        yield document.sum("PayableAmount")


# --- VAT ----------------------------------------------------------------------------------


@rule("PEPPOL-EN16931-R053, R054, R005, BR-53")
def _one_total(document: Document) -> Iterator[object]:
    totals = document.root.findall("cac:TaxTotal", NS)
    if len(totals) != 1 or not document.subtotals:
        yield len(totals)
    if text(document.root, "cbc:TaxCurrencyCode"):
        yield "TaxCurrencyCode"


@rule("BR-45, BR-46, BR-47, BR-48, BR-CO-18, BR-CL-17, BR-CL-18")
def _breakdown(document: Document) -> Iterator[object]:
    for each in document.subtotals:
        needed = (
            "cbc:TaxableAmount", "cbc:TaxAmount", "cac:TaxCategory/cbc:Percent",
            "cac:TaxCategory/cac:TaxScheme/cbc:ID",
        )  # fmt: skip
        yield from lacking(each, *needed)
        if text(each, "cac:TaxCategory/cbc:ID") not in VAT_CATEGORIES:
            yield text(each, "cac:TaxCategory/cbc:ID")
    if not document.subtotals:
        yield "none"


def categories(document: Document) -> Iterator[tuple[str, Decimal, Decimal]]:
    """Category, rate and amount of each line and, below zero, of each allowance."""
    for line in document.lines:
        node = line.find(LINE_VAT, NS)
        if node is not None:
            net = amount(line, "cbc:LineExtensionAmount")
            yield text(node, "cbc:ID"), amount(node, "cbc:Percent"), net
    for each in document.allowances:
        node = each.find("cac:TaxCategory", NS)
        if node is not None:
            yield (
                text(node, "cbc:ID"),
                amount(node, "cbc:Percent"),
                -amount(each, "cbc:Amount"),
            )


@rule("BR-S-01, BR-S-08, BR-Z-01, BR-Z-08, BR-E-01, BR-E-08, BR-AE-01, BR-AE-08")
def _by_category(document: Document) -> Iterator[object]:
    taxed: dict[tuple[str, Decimal], Decimal] = {}
    for category, rate, net in categories(document):
        taxed[category, rate] = taxed.get((category, rate), Decimal(0)) + net
    found = [
        (
            (
                text(each, "cac:TaxCategory/cbc:ID"),
                amount(each, "cac:TaxCategory/cbc:Percent"),
            ),
            amount(each, "cbc:TaxableAmount"),
        )
        for each in document.subtotals
    ]
    if len(dict(found)) != len(found) or dict(found) != taxed:
        yield found, taxed


@rule("BR-CO-04, BR-S-05, BR-S-06, BR-Z-05, BR-Z-06, BR-E-05, BR-E-06, BR-AE-05, BR-AE-06")
def _rates(document: Document) -> Iterator[object]:
    found = list(categories(document))
    if len(found) != len(document.lines) + len(document.allowances):
        yield "a line without a category"
    for category, rate, _ in found:
        if not (rate > 0 if category == "S" else rate == 0):
            yield category, rate


@rule("BR-CO-17, BR-S-09, BR-Z-09, BR-E-09, BR-AE-09")
def _vat(document: Document) -> Iterator[object]:
    for each in document.subtotals:
        taxable, vat = amount(each, "cbc:TaxableAmount"), amount(each, "cbc:TaxAmount")
        rate = amount(each, "cac:TaxCategory/cbc:Percent")
        exact = (taxable * rate / 100).quantize(CENT, ROUND_HALF_UP)
        # The published rule lets VAT rounded line by line be less than one unit off.
        if abs(vat - exact) >= 1 or (rate == 0 and vat != 0):
            yield taxable, rate, vat


@rule("BR-S-02, BR-Z-02, BR-E-02, BR-AE-02, BR-S-03, BR-Z-03, BR-E-03, BR-AE-03")
def _vat_parties(document: Document) -> Iterator[object]:
    if not text(document.supplier, VAT_ID):
        yield "supplier"
    is_reversed = any(category == "AE" for category, _, _ in categories(document))
    has_number = text(document.customer, VAT_ID) or text(document.customer, LEGAL_ID)
    if is_reversed and not has_number:
        yield "customer"


@rule("BR-S-10, BR-Z-10, BR-E-10, BR-AE-10, BR-CL-22, PEPPOL-EN16931-P0104 to P0111")
def _reasons(document: Document) -> Iterator[object]:
    for each in document.subtotals:
        category = text(each, "cac:TaxCategory/cbc:ID")
        code = text(each, "cac:TaxCategory/cbc:TaxExemptionReasonCode")
        is_said = bool(code or text(each, "cac:TaxCategory/cbc:TaxExemptionReason"))
        if is_said != (category in {"E", "AE"}):
            yield category, is_said
        if code and code not in VATEX.get(category, set()):
            yield category, code


# --- allowances and lines -----------------------------------------------------------------


@rule("BR-31, BR-32, BR-33, BR-CO-21, PEPPOL-EN16931-R043")
def _allowances(document: Document) -> Iterator[object]:
    for each in document.allowances:
        needed = ("cbc:Amount", "cbc:AllowanceChargeReason", "cac:TaxCategory/cbc:ID")
        yield from lacking(each, *needed)
        if text(each, "cbc:ChargeIndicator") != "false":
            yield text(each, "cbc:ChargeIndicator")


@rule("BR-16, BR-21, BR-22, BR-23, BR-24, BR-25, BR-26, BR-CL-23")
def _lines(document: Document) -> Iterator[object]:
    quantity = "cbc:CreditedQuantity" if document.is_credit else "cbc:InvoicedQuantity"
    for line in document.lines:
        needed = (
            "cbc:ID", quantity, "cbc:LineExtensionAmount", "cac:Item/cbc:Name",
            "cac:Price/cbc:PriceAmount",
        )  # fmt: skip
        yield from lacking(line, *needed)
        found = line.find(quantity, NS)
        if found is not None and found.get("unitCode") != "C62":
            yield found.get("unitCode")
    if not document.lines:
        yield "none"
    numbers = [text(line, "cbc:ID") for line in document.lines]
    if len(set(numbers)) != len(numbers):
        yield numbers


@rule("BR-27, BR-28, PEPPOL-EN16931-R044, R046")
def _prices(document: Document) -> Iterator[object]:
    for line in document.lines:
        if amount(line, "cac:Price/cbc:PriceAmount") < 0:
            yield text(line, "cac:Price/cbc:PriceAmount")


@rule("PEPPOL-EN16931-R120, R121")
def _products(document: Document) -> Iterator[object]:
    quantity = "cbc:CreditedQuantity" if document.is_credit else "cbc:InvoicedQuantity"
    for line in document.lines:
        product = amount(line, quantity) * amount(line, "cac:Price/cbc:PriceAmount")
        if amount(line, "cbc:LineExtensionAmount") != product:
            yield product


def broken(root: ET.Element) -> dict[str, list[object]]:
    """Every rule that a document breaks, with what was found."""
    document = Document(root)
    found = {each.names: list(each.check(document)) for each in RULES}
    return {names: faults for names, faults in found.items() if faults}
