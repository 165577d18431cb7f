"""An invoice's amounts: cents, rounding, VAT, corrections and credits, figure by figure."""

from dataclasses import replace
from datetime import date

import pytest

from etl.profiles import load_profile
from transforms.control import Sidecar, Tally, reconcile
from transforms.errors import ConfigError, MoneyError
from transforms.invoice import Amounts, Draft, issued, number_text, seal
from transforms.invoicing import (
    Charge,
    Terms,
    Usage,
    credit_amounts,
    delta_amounts,
    invoice_amounts,
    standing,
    terms_from,
    terms_record,
)
from transforms.provider_invoice import control_amount
from transforms.vat import VatRule, percent_text, read_percent, rule_of, vat_of, vat_within

USUAL = Terms()


def usage(cost_micros: int, usage_type: str = "voice", zone: str = "") -> Usage:
    return Usage(usage_type, zone, 1, 60, 0, 0, cost_micros)


def line_amounts(amounts: Amounts) -> list[tuple[str, int, int]]:
    return [(line.name, line.amount_micros, line.amount_cents) for line in amounts.lines]


def vat_lines(amounts: Amounts) -> list[tuple[str, int, int, int]]:
    return [
        (line.category, line.rate_bp, line.taxable_cents, line.vat_cents)
        for line in amounts.vat
    ]


# --- from micros to cents -----------------------------------------------------------------


def test_usage_of_whole_cents_needs_no_rounding_line() -> None:
    amounts = invoice_amounts([usage(12_340_000), usage(660_000, "data")], [], USUAL)

    assert line_amounts(amounts) == [("Bellen", 12_340_000, 1234), ("Data", 660_000, 66)]
    assert (amounts.net_cents, amounts.vat_cents, amounts.gross_cents) == (1300, 273, 1573)
    assert amounts.rounding_micros == 0


def test_what_lines_and_sum_differ_by_is_one_line_named_rounding() -> None:
    # 0.014 three times is 0.042: 0.01 a line makes 0.03, the sum is 0.04.
    zones = ("CH", "EU", "US")
    amounts = invoice_amounts([usage(14_000, zone=each) for each in zones], [], USUAL)

    assert line_amounts(amounts) == [
        ("Bellen, CH", 14_000, 1),
        ("Bellen, EU", 14_000, 1),
        ("Bellen, US", 14_000, 1),
        ("Afronding", -2_000, 1),
    ]
    assert amounts.usage_micros == 42_000
    assert amounts.rounding_micros == -2_000
    assert amounts.net_cents == 4


def test_part_of_a_cent_is_kept_in_the_rounding_line() -> None:
    amounts = invoice_amounts([usage(2_466_600)], [], USUAL)

    assert line_amounts(amounts) == [("Bellen", 2_466_600, 247), ("Afronding", 3_400, 0)]
    assert amounts.net_cents == 247


@pytest.mark.parametrize(
    ("mode", "cents"),
    [("half-up", 3), ("half-even", 2), ("down", 2), ("up", 3)],
)
def test_half_a_cent_is_rounded_by_the_named_mode(mode: str, cents: int) -> None:
    terms = Terms(mode=mode)  # type: ignore[arg-type]  # one of the modes
    assert invoice_amounts([usage(25_000)], [], terms).net_cents == cents


def test_a_credit_of_the_provider_mirrors_a_charge() -> None:
    amounts = invoice_amounts([usage(-25_000, "adjustment")], [], USUAL)
    assert line_amounts(amounts) == [
        ("Correctie", -25_000, -3),
        ("Afronding", -5_000, 0),
    ]
    assert (amounts.net_cents, amounts.vat_cents) == (-3, -1)


def test_charges_and_discounts_stand_beside_usage() -> None:
    charges = [
        Charge("recurring", "Abonnement", 25_000_000, 2),
        Charge("one_off", "Aansluiting", 10_000_000),
        Charge("discount", "Korting", -5_000_000),
    ]
    amounts = invoice_amounts([usage(1_000_000)], charges, USUAL)

    assert line_amounts(amounts)[1:] == [
        ("Abonnement", 25_000_000, 2500),
        ("Aansluiting", 10_000_000, 1000),
        ("Korting", -5_000_000, -500),
    ]
    assert amounts.usage_micros == 1_000_000
    assert amounts.charges_micros == 30_000_000
    assert (amounts.net_cents, amounts.gross_cents) == (3100, 3751)


def test_fees_of_the_provider_are_usage_of_type_fee() -> None:
    amounts = invoice_amounts([usage(5_950_000, "fee")], [], USUAL)
    assert line_amounts(amounts) == [("Kosten van de aanbieder", 5_950_000, 595)]
    assert amounts.usage_micros == 5_950_000


def test_usage_stands_in_the_order_people_look_for_it() -> None:
    types = ["adjustment", "fee", "data", "new", "voice", "sms"]
    amounts = invoice_amounts([usage(10_000, each) for each in types], [], USUAL)
    found = [line.usage_type for line in amounts.lines]
    assert found == ["voice", "sms", "data", "fee", "adjustment", "new"]


def test_lines_are_named_in_the_customers_language() -> None:
    amounts = invoice_amounts([usage(14_000, zone="EU")], [], Terms(language="en"))
    assert [line.name for line in amounts.lines] == ["Calls, EU", "Rounding"]


# --- VAT ----------------------------------------------------------------------------------


def test_vat_is_rounded_once_for_the_invoice_or_once_for_each_line() -> None:
    # Three lines of 0.07: once over 0.21 is 0.04, three times 0.01 is 0.03.
    lines = [usage(70_000, zone=each) for each in ("A", "B", "C")]
    once = invoice_amounts(lines, [], USUAL)
    by_line = invoice_amounts(lines, [], Terms(VatRule(rounding="line")))

    assert vat_lines(once) == [("S", 2100, 21, 4)]
    assert vat_lines(by_line) == [("S", 2100, 21, 3)]
    assert [line.vat_cents for line in by_line.lines] == [1, 1, 1]
    assert [line.vat_cents for line in once.lines] == [None, None, None]


def test_reverse_charge_adds_no_vat_and_says_why() -> None:
    rule = rule_of({"vat_category": "AE", "vat_number": "DE123456789"}, VatRule(), "c")
    amounts = invoice_amounts([usage(100_000_000)], [], Terms(rule))

    assert vat_lines(amounts) == [("AE", 0, 10_000, 0)]
    assert amounts.vat[0].reason == "Btw verlegd"
    assert amounts.gross_cents == 10_000


def test_a_charge_may_have_a_rate_of_its_own() -> None:
    exempt = VatRule(rate_bp=0, category="E", reason="Schadevergoeding")
    charges = [Charge("one_off", "Schade", 50_000_000, vat=exempt)]
    amounts = invoice_amounts([usage(10_000_000)], charges, USUAL)

    assert vat_lines(amounts) == [("S", 2100, 1000, 210), ("E", 0, 5000, 0)]
    assert amounts.vat[1].reason == "Schadevergoeding"
    assert amounts.gross_cents == 6210


def test_vat_that_prices_hold_is_taken_out_of_them() -> None:
    # 121.00 holds 21.00; 1.00 holds 0.17 (0.1735), and the customer pays 1.00.
    inclusive = Terms(VatRule(prices_include=True))
    amounts = invoice_amounts([usage(121_000_000)], [], inclusive)
    small = invoice_amounts([usage(1_000_000)], [], inclusive)

    assert line_amounts(amounts) == [
        ("Bellen", 121_000_000, 12_100),
        ("Btw begrepen in de prijzen", -21_000_000, -2_100),
    ]
    assert (amounts.net_cents, amounts.vat_cents, amounts.gross_cents) == (
        10_000,
        2_100,
        12_100,
    )
    assert amounts.usage_micros == 121_000_000
    assert (small.net_cents, small.vat_cents, small.gross_cents) == (83, 17, 100)


def test_vat_is_worked_out_over_cents_by_the_named_mode() -> None:
    assert vat_of(4950, VatRule()) == 1040  # 10.395
    assert vat_of(4950, VatRule(mode="down")) == 1039
    assert vat_of(-4950, VatRule()) == -1040
    assert vat_of(4900, VatRule(rate_bp=900)) == 441
    assert vat_within(12_100, VatRule()) == 2_100


@pytest.mark.parametrize(
    ("text", "rate_bp"), [("21", 2100), ("9.5", 950), ("9,5", 950), ("0.25", 25), ("0", 0)]
)
def test_a_rate_is_read_in_percent(text: str, rate_bp: int) -> None:
    assert read_percent(text) == rate_bp
    assert read_percent(percent_text(rate_bp)) == rate_bp


@pytest.mark.parametrize("text", ["", "-1", "101", "21%", "2.123", "twenty", "2１"])
def test_what_is_no_percentage_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a percentage"):
        read_percent(text)


@pytest.mark.parametrize(
    ("details", "told"),
    [
        ({"vat_category": "X"}, "vat_category must be one of S, Z, E, AE"),
        ({"vat_category": "AE"}, "vat_number is needed"),
        ({"vat_category": "E"}, "vat_reason is needed"),
        ({"vat_rate": "0"}, "zero-rated is Z"),
        ({"vat_rate": "x"}, "vat_rate: 'x' is not a percentage"),
        ({"vat_rounding": "never"}, "vat_rounding must be invoice or line"),
    ],
)
def test_a_wrong_vat_rule_names_the_customer(details: dict[str, str], told: str) -> None:
    with pytest.raises(ConfigError, match="customer 7: ") as caught:
        rule_of(details, VatRule(), "customer 7")
    assert told in str(caught.value)


def test_a_customers_own_rule_goes_before_the_usual_one() -> None:
    rule = rule_of({"vat_rate": "9", "vat_rounding": "line"}, VatRule(), "customer 7")
    assert (rule.rate_bp, rule.rounding) == (900, "line")
    assert rule_of({}, VatRule(rate_bp=500), "customer 7").rate_bp == 500
    assert rule_of({"vat_category": "Z"}, VatRule(), "customer 7").rate_bp == 0


def test_terms_are_read_back_as_they_were_kept() -> None:
    exempt = VatRule(0, "E", "line", "half-even", reason="Vrijgesteld")
    terms = Terms(exempt, "down", "en")
    assert terms_from(terms_record(terms)) == terms
    assert terms_from(terms_record(USUAL)) == USUAL


# --- corrections --------------------------------------------------------------------------


def test_a_delta_brings_what_was_invoiced_to_what_the_cycle_comes_to_now() -> None:
    first = invoice_amounts([usage(2_466_600), usage(500_000, "data")], [], USUAL)
    now = [usage(3_000_000), usage(250_000, "sms")]
    delta = delta_amounts([first], now, USUAL)

    assert delta is not None
    assert line_amounts(delta) == [
        ("Bellen", 533_400, 53),
        ("Sms", 250_000, 25),
        ("Data", -500_000, -50),
        ("Afronding", -3_400, 0),
    ]
    # 2.97 was invoiced, the cycle comes to 3.25.
    assert (first.net_cents, delta.net_cents) == (297, 28)
    assert first.usage_micros + delta.usage_micros == 3_250_000
    assert (delta.vat_cents, delta.gross_cents) == (6, 34)


def test_a_change_that_is_not_a_cent_is_not_corrected() -> None:
    first = invoice_amounts([usage(2_466_600)], [], USUAL)  # 2.47
    assert delta_amounts([first], [usage(2_474_900)], USUAL) is None
    one_cent = delta_amounts([first], [usage(2_475_100)], USUAL)
    assert one_cent is not None
    assert one_cent.net_cents == 1


def test_parts_of_a_cent_are_not_lost_between_deltas() -> None:
    documents = [invoice_amounts([usage(4_000)], [], USUAL)]
    for cost_micros in (8_000, 12_000, 16_000):
        delta = delta_amounts(documents, [usage(cost_micros)], USUAL)
        documents += [delta] if delta is not None else []
    assert [each.net_cents for each in documents] == [0, 1, 1]
    assert sum(each.usage_micros for each in documents) == 16_000


def test_a_cycle_without_records_any_more_is_given_back_whole() -> None:
    charges = [Charge("recurring", "Abonnement", 25_000_000)]
    first = invoice_amounts([usage(2_466_600)], charges, USUAL)
    delta = delta_amounts([first], [], USUAL)
    assert delta is not None
    assert delta.net_cents == 2500 - 2747
    assert line_amounts(delta)[0] == ("Bellen", -2_466_600, -247)


def test_a_delta_of_prices_with_vat_in_them_keeps_them() -> None:
    inclusive = Terms(VatRule(prices_include=True))
    first = invoice_amounts([usage(1_000_000)], [], inclusive)
    delta = delta_amounts([first], [usage(3_000_000)], inclusive)
    assert delta is not None
    assert first.gross_cents + delta.gross_cents == 300


def test_a_credit_note_takes_every_line_back() -> None:
    first = invoice_amounts([usage(2_466_600)], [], USUAL)
    delta = delta_amounts([first], [usage(3_000_000)], USUAL)
    assert delta is not None
    credit = credit_amounts([first, delta])

    assert credit.usage_micros == -3_000_000
    assert credit.net_cents == -(first.net_cents + delta.net_cents)
    assert credit.vat_cents == -(first.vat_cents + delta.vat_cents)
    assert line_amounts(credit) == [
        ("Bellen", -2_466_600, -247),
        ("Bellen", -533_400, -53),
        ("Afronding", 0, 0),
    ]
    assert [line.line_no for line in credit.lines] == [1, 2, 3]


# --- the sealed document ------------------------------------------------------------------


def draft(amounts: Amounts, kind: str = "invoice", document_no: int = 1) -> Draft:
    return Draft(
        kind=kind,  # type: ignore[arg-type]  # one of the kinds
        customer_id=7,
        cycle_start_date=date(2026, 10, 1),
        cycle_end_date=date(2026, 11, 1),
        document_no=document_no,
        base_revision=0,
        revision=1,
        totals_sha256="a" * 64,
        method="standard",
        currency="EUR",
        issue_date=date(2026, 11, 2),
        due_date=date(2026, 12, 2),
        refers_to=(),
        issued_by="",
        reason="",
        supplier={"name": "S"},
        customer={"name": "C"},
        terms=terms_record(USUAL),
        notes=(),
        amounts=amounts,
    )


def test_a_number_says_series_year_and_place() -> None:
    assert number_text("F", 2026, 17) == "F2026-000017"
    assert number_text("F", 2026, 1_234_567) == "F2026-1234567"


def test_the_seal_changes_with_anything_the_invoice_says() -> None:
    invoice = issued(draft(invoice_amounts([usage(2_466_600)], [], USUAL)), "F", 1)
    assert invoice.number == "F2026-000001"
    assert seal(invoice) == invoice.content_sha256

    other_name = replace(invoice, draft=replace(invoice.draft, customer={"name": "D"}))
    lines = (replace(invoice.draft.amounts.lines[0], quantity=2),)
    other_line = replace(
        invoice,
        draft=replace(invoice.draft, amounts=replace(invoice.draft.amounts, lines=lines)),
    )
    assert len({seal(invoice), seal(other_name), seal(other_line)}) == 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"net_cents": 248},
        {"vat_cents": 51},
        {"gross_cents": 300},
        {"usage_micros": 2_466_601},
        {"rounding_micros": 3_401},
        {"charges_micros": 1},
        {"lines": ()},
        {"vat": ()},
    ],
)
def test_an_invoice_that_does_not_add_up_is_not_issued(wrong: dict[str, object]) -> None:
    amounts = replace(
        invoice_amounts([usage(2_466_600)], [], USUAL),
        **wrong,  # type: ignore[arg-type]  # whatever it is, it is wrong
    )
    with pytest.raises(MoneyError, match="customer 7, cycle 2026-10-01"):
        issued(draft(amounts), "F", 1)


def test_documents_stand_until_they_are_credited() -> None:
    amounts = invoice_amounts([usage(1_000_000)], [], USUAL)
    kinds = ["invoice", "delta", "credit", "invoice", "delta"]
    documents = [draft(amounts, kind, no) for no, kind in enumerate(kinds, start=1)]
    assert standing(documents[:2]) == documents[:2]
    assert standing(documents[:3]) == []
    assert standing(documents) == documents[3:]


# --- what providers charge ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "micros"),
    [
        ("6 records, amount 0.110000, as the sidecar says", 110_000),
        ("6 records, amount -2.485000, as the trailer says", -2_485_000),
        ("a: 1 records, amount 1.000000, as the total row says; 2 records, amount 0.500000,"
         " as the total row says", 1_500_000),
        ("6 records, as the trailer says", None),
        ("the profile declares no control record", None),
        ("", None),
    ],
)  # fmt: skip
def test_what_a_control_record_proved_is_read_back(
    message: str, micros: int | None
) -> None:
    assert control_amount(message) == micros


def test_what_an_import_keeps_of_its_control_record_can_be_read_back() -> None:
    layout = load_profile("tmobile_calvi").layouts[0]
    sidecar = Sidecar("x.ctl", "records=2\namount=0.30000\nsha256=ab", "ab")
    proven = reconcile(layout, Tally(records=2, amount_micros=300_000), sidecar)
    assert proven.ok, proven.message
    assert control_amount(proven.message) == 300_000
