"""What a rate plan charges beside usage, and what allowances say on an invoice."""

from datetime import date

import pytest

from tests.spec.rating.sheet import plan
from transforms.errors import ConfigError
from transforms.invoice_allowances import Given, allowance_notes
from transforms.plan_charges import plan_charges

OCTOBER = (date(2026, 10, 1), date(2026, 11, 1))
ALWAYS = (None, None)

FEES = """
[[entry]]
name = "calls"
usage = "voice"
price = "0.10"
per = "min"

[[charge]]
name = "Abonnement"
amount = "12.50"
per = "line"

[[charge]]
name = "Korting"
kind = "discount"
amount = "3.10"

[[charge]]
name = "Aansluiten"
kind = "one_off"
amount = "20"
per = "line"
"""


def charged(
    held: tuple[date | None, date | None],
    lines: int = 2,
    sheet: str = FEES,
    cycle: tuple[date, date] = OCTOBER,
) -> list[tuple[str, int, int]]:
    found = plan_charges(plan(sheet), held, cycle, [ALWAYS] * lines)
    return [(each.name, each.amount_micros, each.quantity) for each in found]


# --- fees, discounts, and what is charged once --------------------------------------------


def test_a_whole_month_pays_the_fee_of_each_line_less_the_discount() -> None:
    assert charged(ALWAYS) == [("Abonnement", 25_000_000, 2), ("Korting", -3_100_000, 1)]


@pytest.mark.parametrize(
    ("held", "days", "fee", "discount"),
    [
        # 25.00 and 3.10 for so many of 31 days, half-up to the micro.
        ((date(2026, 9, 1), date(2026, 10, 11)), 10, 8_064_516, -1_000_000),
        ((date(2026, 9, 1), date(2026, 10, 2)), 1, 806_452, -100_000),
        ((date(2025, 1, 1), date(2026, 10, 31)), 30, 24_193_548, -3_000_000),
    ],
)
def test_a_part_of_a_month_pays_by_the_day(
    held: tuple[date, date], days: int, fee: int, discount: int
) -> None:
    assert charged(held) == [
        (f"Abonnement ({days}/31)", fee, 2),
        (f"Korting ({days}/31)", discount, 1),
    ]


def test_what_is_charged_once_stands_on_the_cycle_in_which_the_plan_begins() -> None:
    joined = (date(2026, 10, 22), None)
    assert charged(joined)[-1] == ("Aansluiten", 40_000_000, 2)
    november = (date(2026, 11, 1), date(2026, 12, 1))
    assert [name for name, *_ in charged(joined, cycle=november)] == [
        "Abonnement",
        "Korting",
    ]
    assert charged((OCTOBER[0], None))[-1] == ("Aansluiten", 40_000_000, 2)


@pytest.mark.parametrize(
    "held", [(None, date(2026, 10, 1)), (date(2026, 11, 1), None), (OCTOBER[0],) * 2]
)
def test_a_plan_that_does_not_hold_in_the_cycle_charges_nothing(
    held: tuple[date | None, date | None],
) -> None:
    assert charged(held) == []


def test_a_plan_charges_only_for_its_own_days_of_validity() -> None:
    ends = f"valid_to = 2026-10-16\n{FEES}"
    assert charged(ALWAYS, sheet=ends)[0] == ("Abonnement (15/31)", 12_096_774, 2)


def test_a_line_counts_when_the_customer_has_it_on_any_day_of_the_plan() -> None:
    held = (date(2026, 10, 11), None)
    lines = [
        ALWAYS,
        (None, date(2026, 10, 11)),  # gone the day the plan began
        (date(2026, 10, 31), None),  # came on the last day
        (date(2026, 11, 1), None),  # came after it
    ]
    found = list(plan_charges(plan(FEES), held, OCTOBER, lines))
    assert [(each.name, each.quantity) for each in found] == [
        ("Abonnement (21/31)", 2),
        ("Korting (21/31)", 1),
        ("Aansluiten", 2),
    ]


def test_no_line_is_no_fee_of_a_line() -> None:
    assert charged(ALWAYS, lines=0) == [("Korting", -3_100_000, 1)]


@pytest.mark.parametrize(
    ("sheet", "told"),
    [
        (FEES.replace("12.50", "-12.50"), "charge[Abonnement].amount: must be an amount"),
        (FEES.replace("12.50", "0"), "charge[Abonnement].amount: must be above 0"),
        (FEES.replace('per = "line"', 'per = "phone"'), "charge[Abonnement].per: must be"),
        (FEES.replace("one_off", "once"), "charge[Aansluiten].kind: must be"),
        (FEES.replace('name = "Korting"\n', ""), "charge[2].name: missing"),
        (
            FEES.replace("Korting", "Aansluiten"),
            "charge[Aansluiten]: the name stands twice",
        ),
        (FEES.replace("per =", "pr ="), "unknown key (did you mean 'per'?)"),
    ],
)
def test_a_charge_that_is_not_right_is_named(sheet: str, told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        plan(sheet)
    assert told in str(caught.value)


# --- what allowances gave -----------------------------------------------------------------


def given(unit: str, size: int, used: int, **more: object) -> Given:
    fields: dict[str, object] = {
        "rate_plan": "office",
        "allowance": "Bundel",
        "subscriber": "",
        "unit": unit,
        "is_once": False,
        "size": size,
        "available": size,
        "used": used,
    }
    return Given(**(fields | more))  # type: ignore[arg-type]  # the fields above


def noted(*pools: Given, language: str = "nl") -> list[str]:
    notes = allowance_notes(pools, language, "EUR")
    return [note.replace("\N{NO-BREAK SPACE}", " ") for note in notes]


@pytest.mark.parametrize(
    ("unit", "size", "used", "told"),
    [
        ("s", 60_000, 2_700, "1.000 min inbegrepen, 45 min gebruikt, 955 min over"),
        ("s", 60_000, 2_701, "1.000 min inbegrepen, 0:45:01 gebruikt, 15:54:59 over"),
        ("bytes", 10**10, 10**9, "10,00 GB inbegrepen, 1,00 GB gebruikt, 9,00 GB over"),
        ("events", 100, 100, "100 inbegrepen, 100 gebruikt, 0 over"),
        (
            "micros",
            5_000_000,
            40_500,
            "€ 5,00 inbegrepen, € 0,0405 gebruikt, € 4,9595 over",
        ),
    ],
)
def test_an_allowance_says_what_is_included_used_and_left(
    unit: str, size: int, used: int, told: str
) -> None:
    assert noted(given(unit, size, used)) == [f"Bundel: {told}"]


def test_an_allowance_that_is_given_once_says_what_there_was_of_it() -> None:
    once = given("micros", 25_000_000, 2_000_000, is_once=True, available=12_000_000)
    assert noted(once) == [
        "Bundel (eenmalig): € 12,00 beschikbaar, € 2,00 gebruikt, € 10,00 over"
    ]
    assert noted(once, language="en") == [
        "Bundel (once): € 12.00 available, € 2.00 used, € 10.00 left"
    ]


def test_lines_with_an_allowance_each_are_named_while_they_are_few() -> None:
    pools = [
        given("s", 600, used, subscriber=f"+3160000000{line}")
        for line, used in enumerate((0, 60, 600, 600, 30))
    ]
    assert noted(*pools)[:2] == [
        "Bundel, +31600000000: 10 min inbegrepen, 0 min gebruikt, 10 min over",
        "Bundel, +31600000001: 10 min inbegrepen, 1 min gebruikt, 9 min over",
    ]
    assert len(noted(*pools)) == 5
    more = [*pools, given("s", 600, 300, subscriber="+31600000009")]
    assert noted(*more, given("events", 10, 1, allowance="Sms")) == [
        "Bundel: 10 min inbegrepen voor elk van 6 nummers, samen 0:26:30 gebruikt; "
        "bij 2 is niets over",
        "Sms: 10 inbegrepen, 1 gebruikt, 9 over",
    ]


def test_plans_that_share_a_name_of_an_allowance_are_told_apart() -> None:
    both = [given("s", 600, 60), given("s", 1200, 60, rate_plan="other")]
    assert noted(*both) == [
        "Bundel: 10 min inbegrepen, 1 min gebruikt, 9 min over",
        "Bundel: 20 min inbegrepen, 1 min gebruikt, 19 min over",
    ]
