"""UBL by Peppol BIS Billing 3.0: the published business rules, said again for each kind.

Each test names the rules of EN 16931 (BR-), Peppol (PEPPOL-EN16931-) or the Netherlands
(NL-R-) it holds the documents to.
"""

import re
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from xml.etree import ElementTree as ET

import pytest

from tests.invoice_examples import CUSTOMER, EXAMPLES, SUPPLIER, changed, invoice, usage
from transforms.errors import ConfigError
from transforms.invoice import Invoice
from transforms.invoicing import Terms, invoice_amounts
from transforms.ubl import is_credit_note, missing_for_ubl, ubl_document

NS = {
    "cac": "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2",
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}
CENT = Decimal("0.01")

every_kind = pytest.mark.parametrize("name", EXAMPLES)

EAS = {"0106", "0190", "9944", "9930"}
ICD = {"0106", "0190"}
SETTLING = {"credit", "credit of vat in prices", "less to pay"}

HEAD_ORDER = [
    "CustomizationID", "ProfileID", "ID", "IssueDate", "DueDate", "InvoiceTypeCode",
    "CreditNoteTypeCode", "Note", "DocumentCurrencyCode", "BuyerReference",
    "InvoicePeriod", "BillingReference", "AccountingSupplierParty",
    "AccountingCustomerParty", "PaymentMeans", "PaymentTerms", "AllowanceCharge",
    "TaxTotal", "LegalMonetaryTotal", "InvoiceLine", "CreditNoteLine",
]  # fmt: skip
"""The order of the UBL schema, for the parts we write."""


def read(invoice: Invoice) -> ET.Element:
    return ET.fromstring(ubl_document(invoice))


def document(name: str) -> ET.Element:
    return read(EXAMPLES[name])


def text(node: ET.Element, path: str) -> str:
    found = node.find(path, NS)
    assert found is not None, path
    assert found.text, path
    return found.text


def texts(node: ET.Element, path: str) -> list[str]:
    return [each.text or "" for each in node.findall(path, NS)]


def amount(node: ET.Element, path: str) -> Decimal:
    return Decimal(text(node, path))


def lines(root: ET.Element) -> list[ET.Element]:
    return [*root.findall("cac:InvoiceLine", NS), *root.findall("cac:CreditNoteLine", NS)]


def local(tag: str) -> str:
    return tag.rpartition("}")[2]


# --- what it is ---------------------------------------------------------------------------


@every_kind
def test_it_says_by_which_rules_it_is_made(name: str) -> None:
    # BR-01, PEPPOL-EN16931-R001, R004, R007
    root = document(name)
    assert text(root, "cbc:CustomizationID") == (
        "urn:cen.eu:en16931:2017#compliant#urn:fdc:peppol.eu:2017:poacc:billing:3.0"
    )
    assert text(root, "cbc:ProfileID") == "urn:fdc:peppol.eu:2017:poacc:billing:01:1.0"


@every_kind
def test_it_has_number_date_type_and_currency(name: str) -> None:
    # BR-02 to BR-05, PEPPOL-EN16931-P0100, P0101, F001
    root = document(name)
    assert text(root, "cbc:ID") == "F2026-000001"
    assert text(root, "cbc:IssueDate") == "2026-11-02"
    assert text(root, "cbc:DocumentCurrencyCode") == "EUR"
    is_credit = name in SETTLING
    assert local(root.tag) == ("CreditNote" if is_credit else "Invoice")
    kind = "CreditNoteTypeCode" if is_credit else "InvoiceTypeCode"
    assert text(root, f"cbc:{kind}") == ("381" if is_credit else "380")
    assert is_credit_note(EXAMPLES[name]) == is_credit


@every_kind
def test_its_parts_stand_in_the_order_of_the_schema(name: str) -> None:
    found = [HEAD_ORDER.index(local(each.tag)) for each in document(name)]
    assert found == sorted(found)


@every_kind
def test_nothing_in_it_is_empty(name: str) -> None:
    # PEPPOL-EN16931-R008
    empty = [each.tag for each in document(name).iter() if not (each.text or list(each))]
    assert empty == []


@every_kind
def test_it_names_the_buyers_reference_and_the_period(name: str) -> None:
    # PEPPOL-EN16931-R003; BR-29
    root = document(name)
    given = EXAMPLES[name].draft.customer.get("reference")
    assert text(root, "cbc:BuyerReference") == (given or "8")
    assert text(root, "cac:InvoicePeriod/cbc:StartDate") == "2026-10-01"
    assert text(root, "cac:InvoicePeriod/cbc:EndDate") == "2026-10-31"


@every_kind
def test_it_has_at_most_one_note(name: str) -> None:
    # PEPPOL-EN16931-R002
    assert len(document(name).findall("cbc:Note", NS)) <= 1


@every_kind
def test_a_correction_names_what_it_corrects(name: str) -> None:
    # NL-R-001, BR-55
    path = "cac:BillingReference/cac:InvoiceDocumentReference/cbc:ID"
    assert texts(document(name), path) == list(EXAMPLES[name].draft.refers_to)
    assert name not in SETTLING or EXAMPLES[name].draft.refers_to


# --- who it is from and for ---------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("side", ["AccountingSupplierParty", "AccountingCustomerParty"])
def test_each_party_has_name_address_and_electronic_address(name: str, side: str) -> None:
    # BR-06 to BR-11, BR-62, BR-63, PEPPOL-EN16931-R010, R020, CL008
    party = document(name).find(f"cac:{side}/cac:Party", NS)
    assert party is not None
    endpoint = party.find("cbc:EndpointID", NS)
    assert endpoint is not None
    assert endpoint.get("schemeID") in EAS
    assert text(party, "cac:PartyLegalEntity/cbc:RegistrationName")
    country = text(party, "cac:PostalAddress/cac:Country/cbc:IdentificationCode")
    assert re.fullmatch("[A-Z]{2}", country)
    if country == "NL":  # NL-R-002, NL-R-004
        for part in ("StreetName", "CityName", "PostalZone"):
            assert text(party, f"cac:PostalAddress/cbc:{part}")


@every_kind
def test_a_dutch_party_is_known_by_its_register_number(name: str) -> None:
    # NL-R-003, NL-R-005
    root = document(name)
    for side in ("AccountingSupplierParty", "AccountingCustomerParty"):
        number = root.find(f"cac:{side}/cac:Party/cac:PartyLegalEntity/cbc:CompanyID", NS)
        if number is not None:
            assert number.get("schemeID") in ICD
    supplier = "cac:AccountingSupplierParty/cac:Party/cac:PartyLegalEntity/cbc:CompanyID"
    assert text(root, supplier) == "12345678"


@every_kind
def test_the_supplier_has_a_vat_number(name: str) -> None:
    # BR-S-02, BR-Z-02, BR-E-02, BR-AE-02, BR-CO-09, BR-CO-26
    tax = "cac:AccountingSupplierParty/cac:Party/cac:PartyTaxScheme"
    assert text(document(name), f"{tax}/cbc:CompanyID") == "NL001234567B01"
    assert text(document(name), f"{tax}/cac:TaxScheme/cbc:ID") == "VAT"


def test_a_public_body_is_reached_by_its_oin() -> None:
    path = "cac:AccountingCustomerParty/cac:Party/cbc:EndpointID"
    endpoint = document("public body").find(path, NS)
    assert endpoint is not None
    assert (endpoint.text, endpoint.get("schemeID")) == ("00000001234567890000", "0190")


# --- how to pay ---------------------------------------------------------------------------


@every_kind
def test_who_must_pay_is_told_how_and_when(name: str) -> None:
    # BR-CO-25, BR-49, BR-50, BR-61, NL-R-007, NL-R-008
    root = document(name)
    if (
        amount(root, "cac:LegalMonetaryTotal/cbc:PayableAmount") > 0
        and name not in SETTLING
    ):
        assert text(root, "cbc:DueDate") == "2026-12-02"
        assert text(root, "cac:PaymentMeans/cbc:PaymentMeansCode") == "30"
        account = "cac:PaymentMeans/cac:PayeeFinancialAccount/cbc:ID"
        assert text(root, account) == "NL91ABNA0417164300"
        assert text(root, "cac:PaymentMeans/cbc:PaymentID") == "F2026-000001"
    else:
        assert root.find("cac:PaymentMeans", NS) is None
        assert text(root, "cac:PaymentTerms/cbc:Note")


# --- what it adds up to -------------------------------------------------------------------


@every_kind
def test_amounts_have_two_decimals_and_the_currency(name: str) -> None:
    # BR-DEC-*, PEPPOL-EN16931-R051
    for each in document(name).iter():
        if each.get("currencyID"):
            assert each.get("currencyID") == "EUR"
            assert re.fullmatch(r"-?[0-9]+\.[0-9]{2}", each.text or "")


@every_kind
def test_the_sums_add_up(name: str) -> None:
    # BR-12 to BR-15, BR-CO-10, 11, 13, 14, 15, 16
    root = document(name)
    total = root.find("cac:LegalMonetaryTotal", NS)
    assert total is not None
    of_lines = sum(amount(line, "cbc:LineExtensionAmount") for line in lines(root))
    allowed = sum(
        amount(each, "cbc:Amount") for each in root.findall("cac:AllowanceCharge", NS)
    )
    vat = sum(
        amount(each, "cbc:TaxAmount")
        for each in root.findall("cac:TaxTotal/cac:TaxSubtotal", NS)
    )
    assert amount(total, "cbc:LineExtensionAmount") == of_lines
    assert Decimal((texts(total, "cbc:AllowanceTotalAmount") or ["0"])[0]) == allowed
    assert amount(total, "cbc:TaxExclusiveAmount") == of_lines - allowed
    assert amount(root, "cac:TaxTotal/cbc:TaxAmount") == vat
    assert amount(total, "cbc:TaxInclusiveAmount") == of_lines - allowed + vat
    assert amount(total, "cbc:PayableAmount") == of_lines - allowed + vat
    sign = -1 if name in SETTLING else 1
    gross = sign * EXAMPLES[name].draft.amounts.gross_cents
    assert amount(total, "cbc:PayableAmount") == gross * CENT


@every_kind
def test_vat_is_broken_down_by_category_and_rate(name: str) -> None:
    # BR-45 to BR-48, BR-CO-17, 18, BR-S-08, BR-Z-08, BR-E-08, BR-AE-08
    root = document(name)
    subtotals = root.findall("cac:TaxTotal/cac:TaxSubtotal", NS)
    taxed: dict[tuple[str, str], Decimal] = {}
    for line in lines(root):
        category = line.find("cac:Item/cac:ClassifiedTaxCategory", NS)
        assert category is not None
        key = (text(category, "cbc:ID"), text(category, "cbc:Percent"))
        taxed[key] = taxed.get(key, Decimal(0)) + amount(line, "cbc:LineExtensionAmount")
    for each in root.findall("cac:AllowanceCharge", NS):
        category = each.find("cac:TaxCategory", NS)
        assert category is not None
        key = (text(category, "cbc:ID"), text(category, "cbc:Percent"))
        taxed[key] -= amount(each, "cbc:Amount")
    found = {}
    for each in subtotals:
        category = each.find("cac:TaxCategory", NS)
        assert category is not None
        key = (text(category, "cbc:ID"), text(category, "cbc:Percent"))
        taxable, vat = amount(each, "cbc:TaxableAmount"), amount(each, "cbc:TaxAmount")
        found[key] = taxable
        exact = taxable * Decimal(key[1]) / 100
        # Rounded by line, or taken out of prices, it may be a few cents off; never more.
        slack = Decimal("0.02") if name in ("vat by line",) else Decimal("0.01")
        assert abs(vat - exact.quantize(CENT, ROUND_HALF_UP)) <= slack
        assert text(category, "cac:TaxScheme/cbc:ID") == "VAT"
    assert found == taxed
    assert len(subtotals) == len(found) >= 1


def test_why_no_vat_is_charged_is_said_where_it_must_be() -> None:
    # BR-E-10, BR-AE-10; BR-S-10, BR-Z-10: and nowhere else
    reason = ".//cac:TaxSubtotal/cac:TaxCategory/cbc:TaxExemptionReason"
    code = ".//cac:TaxSubtotal/cac:TaxCategory/cbc:TaxExemptionReasonCode"
    assert texts(document("reverse charge"), reason) == ["Btw verlegd"]
    assert texts(document("reverse charge"), code) == ["VATEX-EU-AE"]
    assert texts(document("exempt charge"), reason) == ["Schadevergoeding"]
    for name in ("invoice", "zero rate", "vat in prices"):
        assert texts(document(name), reason) == texts(document(name), code) == []


def test_reverse_charge_names_the_buyers_vat_number() -> None:
    # BR-AE-02, BR-AE-05
    root = document("reverse charge")
    tax = "cac:AccountingCustomerParty/cac:Party/cac:PartyTaxScheme/cbc:CompanyID"
    assert text(root, tax) == "DE123456789"
    assert texts(root, ".//cac:ClassifiedTaxCategory/cbc:Percent") == ["0"]


@every_kind
def test_each_line_is_quantity_times_price(name: str) -> None:
    # BR-16, BR-21 to BR-28, PEPPOL-EN16931-R120, R121
    root = document(name)
    found = lines(root)
    assert found
    ids = [text(line, "cbc:ID") for line in found]
    assert len(set(ids)) == len(ids)
    for line in found:
        quantity = [
            *line.findall("cbc:InvoicedQuantity", NS),
            *line.findall("cbc:CreditedQuantity", NS),
        ][0]
        assert quantity.get("unitCode") == "C62"
        price = amount(line, "cac:Price/cbc:PriceAmount")
        assert price >= 0
        net = amount(line, "cbc:LineExtensionAmount")
        assert Decimal(quantity.text or "") * price == net
        assert text(line, "cac:Item/cbc:Name")


def test_the_rounding_line_is_written_when_it_is_a_cent() -> None:
    found = texts(document("invoice"), "cac:InvoiceLine/cac:Item/cbc:Name")
    assert found[-1] == "Afronding"
    part_of_a_cent = invoice(invoice_amounts([usage(2_466_600)], [], Terms()))
    assert [line.name for line in part_of_a_cent.draft.amounts.lines] == [
        "Bellen",
        "Afronding",
    ]
    assert texts(read(part_of_a_cent), ".//cac:Item/cbc:Name") == ["Bellen"]


def test_vat_in_prices_is_an_allowance_on_the_document() -> None:
    # BR-31 to BR-33, PEPPOL-EN16931-R043
    allowance = document("vat in prices").find("cac:AllowanceCharge", NS)
    assert allowance is not None
    assert text(allowance, "cbc:ChargeIndicator") == "false"
    assert text(allowance, "cbc:AllowanceChargeReason") == "Btw begrepen in de prijzen"
    assert amount(allowance, "cbc:Amount") == Decimal("21.00")


# --- what is missing, and what is hostile -------------------------------------------------


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"street": ""}, "customer 7: street"),
        ({"postcode": "", "city": ""}, "customer 7: postcode; customer 7: city"),
        ({"country": "Nederland"}, "customer 7: country (two capitals)"),
        ({"kvk": ""}, "customer 7: kvk, oin or vat_number, as its electronic address"),
        ({"kvk": "", "vat_number": "XX1"}, "as its electronic address"),
    ],
)
def test_what_the_standard_needs_is_named(details: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ubl_document(changed(EXAMPLES["invoice"], **details))
    assert told in str(caught.value)


def test_a_supplier_that_is_not_described_is_named_whole() -> None:
    example = EXAMPLES["invoice"]
    bare = replace(example, draft=replace(example.draft, supplier={"country": "NL"}))
    assert missing_for_ubl(bare) == [
        "[supplier] of etl.toml: kvk, oin or vat_number, as its electronic address",
        "[supplier] of etl.toml: street",
        "[supplier] of etl.toml: postcode",
        "[supplier] of etl.toml: city",
        "[supplier] of etl.toml: kvk or oin",
        "[supplier] of etl.toml: iban",
        "[supplier] of etl.toml: vat_number",
    ]


def test_an_address_abroad_needs_no_street() -> None:
    assert missing_for_ubl(EXAMPLES["reverse charge"]) == []


@pytest.mark.parametrize(
    "hostile", ["<b>&]]>", "\x00\x01\x0b", "\ud800", "\ufffe", "a\u2028b", "=1+1", "  "]
)
def test_whatever_a_customer_is_called_it_is_one_well_formed_name(hostile: str) -> None:
    root = read(changed(EXAMPLES["invoice"], attention=f"x{hostile}y"))
    path = "cac:AccountingCustomerParty/cac:Party/cac:Contact/cbc:Name"
    found = text(root, path)
    assert found.startswith("x")
    assert found.endswith("y")
    assert len(root.findall(path, NS)) == 1


@every_kind
def test_the_same_invoice_is_the_same_bytes(name: str) -> None:
    assert ubl_document(EXAMPLES[name]) == ubl_document(EXAMPLES[name])


def test_the_examples_are_who_they_say() -> None:
    assert (SUPPLIER["country"], CUSTOMER["country"]) == ("NL", "NL")
