"""UBL by Peppol BIS Billing 3.0: the published business rules, said again for each kind.

Each test names the rules of EN 16931 (BR-), Peppol (PEPPOL-EN16931-) or the Netherlands
(NL-R-) it holds the documents to.
"""

import random
import re
from dataclasses import replace
from decimal import ROUND_HALF_UP, Decimal
from xml.etree import ElementTree as ET

import pytest

from tests.invoice_examples import (
    BY_LINE,
    CUSTOMER,
    EXAMPLES,
    EXEMPT,
    REVERSED,
    SUPPLIER,
    changed,
    invoice,
    usage,
)
from tests.ubl_rules import NS, RULES, broken
from transforms.errors import ConfigError
from transforms.invoice import Invoice
from transforms.invoicing import (
    Charge,
    Terms,
    Usage,
    credit_amounts,
    delta_amounts,
    invoice_amounts,
)
from transforms.ubl import is_credit_note, missing_for_ubl, ubl_document
from transforms.vat import VatRule

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


# --- every rule at once -------------------------------------------------------------------


@every_kind
def test_it_breaks_none_of_the_published_rules(name: str) -> None:
    assert broken(document(name)) == {}


SUPPLIER_PARTY = "cac:AccountingSupplierParty/cac:Party"
CUSTOMER_PARTY = "cac:AccountingCustomerParty/cac:Party"
ADDRESS = "cac:PostalAddress"
CATEGORY = "cac:TaxTotal/cac:TaxSubtotal/cac:TaxCategory"
LINE = "cac:InvoiceLine"
SUMS = "cac:LegalMonetaryTotal"

SPOILT: list[tuple[str, str, str, str | None]] = [
    ("UBL 2.1", "invoice", "cbc:DueDate", "<after>"),
    ("UBL 2.1", "invoice", "cbc:ID", "<OrderNumber>"),
    ("UBL-DT-", "invoice", "cbc:ID", "<attribute>"),
    ("PEPPOL-EN16931-R008", "invoice", "cbc:BuyerReference", " "),
    ("UBL-SR-", "invoice", "cbc:BuyerReference", "<twice>"),
    ("UBL-SR-", "invoice", "cac:TaxTotal/cbc:TaxAmount", "<twice>"),
    ("BR-01,", "invoice", "cbc:CustomizationID", "urn:cen.eu:en16931:2017"),
    ("BR-01,", "invoice", "cbc:ProfileID", "urn:fdc:peppol.eu:2017:poacc:billing"),
    ("BR-02,", "invoice", "cbc:ID", None),
    ("BR-02,", "credit", "cbc:CreditNoteTypeCode", None),
    ("P0100", "invoice", "cbc:InvoiceTypeCode", "381"),
    ("P0100", "credit", "cbc:CreditNoteTypeCode", "380"),
    ("BR-CL-03", "invoice", "cbc:DocumentCurrencyCode", "EUX"),
    ("F001", "invoice", "cbc:IssueDate", "02-11-2026"),
    ("F001", "invoice", "cbc:DueDate", "20261202"),
    ("PEPPOL-EN16931-R003", "invoice", "cbc:BuyerReference", None),
    ("BR-29", "invoice", "cac:InvoicePeriod/cbc:EndDate", "2026-09-30"),
    ("NL-R-001", "credit", "cac:BillingReference", None),
    ("NL-R-001", "more to pay", "cac:BillingReference//cbc:ID", None),
    ("BR-06", "invoice", f"{SUPPLIER_PARTY}//cbc:RegistrationName", None),
    ("BR-06", "invoice", f"{CUSTOMER_PARTY}//cbc:IdentificationCode", "XX"),
    ("R010", "invoice", f"{CUSTOMER_PARTY}/cbc:EndpointID", None),
    ("R010", "invoice", f"{SUPPLIER_PARTY}/cbc:EndpointID", "<unknown scheme>"),
    ("BR-CO-26", "invoice", f"{SUPPLIER_PARTY}//cbc:CompanyID", None),
    ("BR-CO-09", "reverse charge", f"{CUSTOMER_PARTY}//cbc:CompanyID", "123456789"),
    ("BR-CO-09", "invoice", f"{SUPPLIER_PARTY}//cac:TaxScheme/cbc:ID", "GST"),
    ("NL-R-002", "invoice", f"{SUPPLIER_PARTY}/{ADDRESS}/cbc:StreetName", None),
    ("NL-R-002", "invoice", f"{CUSTOMER_PARTY}/{ADDRESS}/cbc:PostalZone", None),
    ("NL-R-003", "invoice", f"{SUPPLIER_PARTY}//cbc:CompanyID", "<unknown scheme>"),
    ("NL-R-003", "invoice", f"{CUSTOMER_PARTY}//cbc:CompanyID", "<unknown scheme>"),
    ("BR-CO-25", "invoice", "cbc:DueDate", None),
    ("BR-49", "invoice", "cac:PaymentMeans", None),
    ("BR-49", "invoice", "cac:PaymentMeans/cbc:PaymentMeansCode", "10"),
    ("BR-49", "invoice", "cac:PaymentMeans/cac:PayeeFinancialAccount", None),
    ("BR-DEC-", "invoice", f"{SUMS}/cbc:PayableAmount", "26.570"),
    ("BR-12", "invoice", f"{SUMS}/cbc:TaxExclusiveAmount", None),
    ("BR-CO-10", "invoice", f"{LINE}/cbc:LineExtensionAmount", "9.99"),
    ("BR-CO-11", "vat in prices", "cac:AllowanceCharge/cbc:Amount", "20.99"),
    ("BR-CO-11", "vat in prices", f"{SUMS}/cbc:AllowanceTotalAmount", None),
    ("BR-CO-13", "invoice", f"{SUMS}/cbc:TaxExclusiveAmount", "21.97"),
    ("BR-CO-14", "invoice", "cac:TaxTotal/cbc:TaxAmount", "4.60"),
    ("BR-CO-15", "invoice", f"{SUMS}/cbc:TaxInclusiveAmount", "26.56"),
    ("BR-CO-16", "invoice", f"{SUMS}/cbc:PayableAmount", "26.56"),
    ("R053", "invoice", "cac:TaxTotal", "<twice>"),
    ("R053", "invoice", "cac:TaxTotal/cac:TaxSubtotal", None),
    ("BR-45", "invoice", f"{CATEGORY}/cbc:Percent", None),
    ("BR-45", "invoice", f"{CATEGORY}/cbc:ID", "O"),
    ("BR-S-08", "invoice", "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxableAmount", "21.95"),
    ("BR-S-08", "invoice", f"{CATEGORY}/cbc:ID", "Z"),
    ("BR-CO-04", "invoice", f"{LINE}/cac:Item/cac:ClassifiedTaxCategory", None),
    ("BR-CO-04", "invoice", f"{LINE}/cac:Item//cbc:Percent", "0"),
    ("BR-CO-04", "zero rate", f"{LINE}/cac:Item//cbc:Percent", "21"),
    ("BR-CO-04", "vat in prices", "cac:AllowanceCharge/cac:TaxCategory", None),
    ("BR-CO-17", "invoice", "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount", "5.61"),
    ("BR-CO-17", "zero rate", "cac:TaxTotal/cac:TaxSubtotal/cbc:TaxAmount", "0.01"),
    ("BR-S-02", "invoice", f"{SUPPLIER_PARTY}/cac:PartyTaxScheme", None),
    ("BR-S-02", "reverse charge", f"{CUSTOMER_PARTY}/cac:PartyTaxScheme", None),
    ("BR-S-10", "reverse charge", f"{CATEGORY}/cbc:TaxExemptionReasonCode", "VATEX-EU-G"),
    ("BR-S-10", "exempt charge", f"{CATEGORY}/cbc:TaxExemptionReason", None),
    ("BR-S-10", "exempt charge", f"{CATEGORY}/cbc:ID", "Z"),
    ("BR-31", "vat in prices", "cac:AllowanceCharge/cbc:AllowanceChargeReason", None),
    ("BR-31", "vat in prices", "cac:AllowanceCharge/cbc:ChargeIndicator", "true"),
    ("BR-16", "invoice", LINE, None),
    ("BR-16", "invoice", f"{LINE}/cbc:ID", "2"),
    ("BR-16", "invoice", f"{LINE}/cac:Item/cbc:Name", None),
    ("BR-16", "invoice", f"{LINE}/cbc:InvoicedQuantity", "<unknown unit>"),
    ("BR-27", "invoice", f"{LINE}/cac:Price/cbc:PriceAmount", "-2.47"),
    ("R120", "invoice", f"{LINE}/cac:Price/cbc:PriceAmount", "2.46"),
]  # fmt: skip
"""A rule, an example, and what is put wrong in it: every rule must be able to fail."""


def spoil(root: ET.Element, path: str, how: str | None) -> None:
    """Change every such element: leave it out, write it anew, or something worse."""
    parents = {child: parent for parent in root.iter() for child in parent}
    for node in root.findall(path, NS):
        parent = parents[node]
        match how:
            case None:
                parent.remove(node)
            case "<twice>":
                parent.append(node)
            case "<after>":
                parent.remove(node)
                parent.append(node)
            case "<OrderNumber>":
                ET.SubElement(parent, "OrderNumber").text = "1"
            case "<attribute>" | "<unknown scheme>":
                node.set("schemeID", "9999")
            case "<unknown unit>":
                node.set("unitCode", "XXX")
            case _:
                node.text = how


@pytest.mark.parametrize(("names", "name", "path", "how"), SPOILT)
def test_a_rule_notices_what_breaks_it(
    names: str, name: str, path: str, how: str | None
) -> None:
    root = document(name)
    assert root.findall(path, NS), "there is nothing to spoil"
    spoil(root, path, how)
    assert any(names in each for each in broken(root)), broken(root)


def test_every_rule_is_seen_to_fail() -> None:
    unseen = [
        rule.names for rule in RULES if not any(names in rule.names for names, *_ in SPOILT)
    ]
    assert unseen == []


def random_invoices(seed: int) -> list[Invoice]:
    """An invoice of anything, what corrects it, and what takes both back."""
    chance = random.Random(seed)
    own = chance.choice([VatRule(), VatRule(900), VatRule(0, "Z"), EXEMPT, REVERSED.vat])
    terms = Terms(
        replace(
            own,
            rounding=chance.choice(["invoice", "line"]),
            prices_include=own.category == "S" and chance.random() < 0.3,
            mode=chance.choice(["half-up", "half-even", "up", "down"]),
        ),
        chance.choice(["half-up", "half-even", "up", "down"]),
        chance.choice(["nl", "en"]),
    )

    def month() -> list[Usage]:
        types = ["voice", "data", "sms", "adjustment", "cycle_minimum"]
        return [
            usage(chance.randint(-(10**7), 10**8), each, zone)
            for each in chance.sample(types, chance.randint(1, 5))
            for zone in chance.sample(["", "EU", "US"], chance.randint(1, 3))
        ]

    charges = [
        Charge(
            "recurring",
            f"Charge {number}",
            chance.randint(-(10**7), 10**8),
            vat=chance.choice([None, None, EXEMPT]),
        )
        for number in range(chance.randint(0, 3))
    ]
    first = invoice_amounts(month(), charges, terms)
    made = [invoice(first, terms=terms)]
    second = delta_amounts([first], month(), terms)
    if second is not None:
        made.append(invoice(second, kind="delta", terms=terms, refers_to=["F1"]))
    stands = [first] if second is None else [first, second]
    made.append(
        invoice(credit_amounts(stands), kind="credit", terms=terms, refers_to=["F1", "F2"])
    )
    customer = {"vat_number": "NL001234567B02"} if own.category == "AE" else {}
    return [changed(each, **customer) for each in made]


@pytest.mark.parametrize("seed", range(60))
def test_whatever_is_invoiced_breaks_none_of_the_published_rules(seed: int) -> None:
    for each in random_invoices(seed):
        assert broken(read(each)) == {}, each.draft


def test_vat_by_line_that_is_too_far_off_is_no_ubl() -> None:
    # 300 lines of 0.02 have 0.00 VAT each, and 1.26 over their sum.
    lines = [usage(20_000, zone=f"Z{number}") for number in range(300)]
    far_off = invoice(invoice_amounts(lines, [], BY_LINE), terms=BY_LINE)
    assert missing_for_ubl(far_off) == [
        "VAT by line is 1.26 off the VAT over all, and the standard wants less than 1.00; "
        "give this customer vat_rounding invoice"
    ]
    near = invoice(invoice_amounts(lines[:237], [], BY_LINE), terms=BY_LINE)
    assert missing_for_ubl(near) != []
    assert missing_for_ubl(invoice(invoice_amounts(lines[:235], [], BY_LINE))) == []


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
