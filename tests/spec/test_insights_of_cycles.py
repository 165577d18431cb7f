"""What is worth a look in a customer's cycle, and what just is not yet."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import polars as pl
import pytest

from etl.settings import Insights
from transforms.cdr import Schema
from transforms.cycle import Cycle
from transforms.insights import Insight, Thresholds
from transforms.insights_of_cycles import (
    ALLOWANCES,
    BY_TYPE,
    CALLS,
    CHARGES,
    CYCLES,
    HISTORY,
    LINES,
    USE,
    at_a_loss,
    bursts,
    ended_cycles,
    history_begins,
    lines_throughout,
    losses,
    nearly_used,
    new_use,
    notable_use,
    silent_lines,
    unused,
    usage_jumps,
    worth_a_look,
)
from transforms.reference import SUBSCRIPTIONS

LIMITS = Thresholds(**Insights().model_dump())
"""The thresholds as they ship."""

OCTOBER = Cycle(date(2026, 10, 1), date(2026, 11, 1))
BEFORE = (date(2026, 7, 1), date(2026, 8, 1), date(2026, 9, 1))
EURO = 1_000_000


def frame(schema: Schema, *rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema, orient="row")


def cycle(
    customer_id: int = 1,
    total: int = 0,
    cost: int = 0,
    plan: str = "",
    currency: str = "EUR",
) -> tuple[object, ...]:
    return (customer_id, *vars(OCTOBER).values(), 1, plan, currency, total, cost)


def cycles(*rows: tuple[object, ...]) -> pl.DataFrame:
    return frame(CYCLES, *(rows or (cycle(),)))


def about(found: list[Insight]) -> list[tuple[int | None, str, str]]:
    return [(each.customer_id, each.severity, each.subject) for each in found]


# --- a jump -------------------------------------------------------------------------------


def history(*costs: int, currency: str = "EUR") -> pl.DataFrame:
    rows = [
        (1, start, currency, cost, 10)
        for start, cost in zip(BEFORE[-len(costs) :], costs, strict=True)
    ]
    return frame(HISTORY, *rows)


JUMPS: list[tuple[str, tuple[int, ...], int, str | None]] = [
    # usual 30.00: twice as much, and 25.00 more
    ("twice the usual is a jump", (30, 30, 30), 60, "warning"),
    ("a euro less is none", (30, 30, 30), 59, None),
    # the share is there, the amount is not
    ("24.00 more is none, whatever the share", (20, 20, 20), 44, None),
    ("25.00 more is one, when it is twice as much", (20, 20, 20), 45, "warning"),
    ("four times the usual is an alarm", (30, 30, 30), 120, "alarm"),
    ("one mad month before does not hide it", (20, 20, 900), 60, "warning"),
    ("the usual of two months lies between them", (20, 40), 60, "warning"),
    ("of three months one is too little to say", (20,), 60, None),
    ("what cost nothing before jumps at 25.00", (0, 0, 0), 25, "alarm"),
    ("what cost nothing before does not jump at 24.00", (0, 0, 0), 24, None),
]


@pytest.mark.parametrize(
    ("costs", "total", "severity"),
    [each[1:] for each in JUMPS],
    ids=[each[0] for each in JUMPS],
)
def test_a_cycle_is_held_against_the_customers_own_usual(
    costs: tuple[int, ...], total: int, severity: str | None
) -> None:
    before = history(*(cost * EURO for cost in costs))
    found = usage_jumps(cycles(cycle(total=total * EURO)), before, LIMITS)
    assert [each.severity for each in found] == ([severity] if severity else [])


def test_a_jump_tells_the_figures_it_rests_on() -> None:
    before = history(20 * EURO, 40 * EURO)
    (found,) = usage_jumps(cycles(cycle(total=75 * EURO)), before, LIMITS)
    assert found.evidence == {
        "total_micros": 75_000_000,
        "usual_micros": 30_000_000,
        "percent": 250,
        "compared_with": [date(2026, 8, 1), date(2026, 9, 1)],
        "currency": "EUR",
    }
    assert (found.cycle_start_date, found.subject) == (OCTOBER.start, "2026-10-01")


def test_another_currency_is_no_history() -> None:
    before = history(20 * EURO, 20 * EURO, 20 * EURO, currency="USD")
    assert usage_jumps(cycles(cycle(total=75 * EURO)), before, LIMITS) == []


@pytest.mark.parametrize("count", [1, 3, 12, 24])
@pytest.mark.parametrize("cycle_day", [1, 15, 29, 31])
def test_so_many_cycles_before_are_counted_exactly(count: int, cycle_day: int) -> None:
    for month in range(1, 13):
        ended = ended_cycles(date(2027, month, 1), cycle_day, count + 2)
        begins = history_begins(ended[0].start, count)
        assert [each.start >= begins for each in ended[1:]] == [True] * count + [False]


# --- premium use, and use abroad ----------------------------------------------------------


def use(
    customer_id: int = 1,
    usage: str = "voice",
    number: str | None = "mobile",
    country: str | None = None,
    plmn: str | None = None,
    micros: int = EURO,
) -> tuple[object, ...]:
    return (customer_id, usage, number, country, plmn, 2, micros)


NOTABLE: list[tuple[str, tuple[object, ...], list[tuple[str, str]]]] = [
    ("a premium number", use(number="premium"), [("new_premium", "")]),
    ("a paid service", use(usage="content", number="short"), [("new_premium", "")]),
    ("a call at home", use(country="NL"), []),
    ("at home in words", use(country="nederland"), []),
    ("a call in Turkey", use(country="TR"), [("new_roaming", "TR")]),
    ("a network at home", use(plmn="20408"), []),
    ("a network abroad", use(plmn="28602"), [("new_roaming", "28602")]),
    ("the country goes before the network", use(country="NL", plmn="28602"), []),
    (
        "a premium number from abroad is both",
        use(number="premium", country="TR"),
        [("new_premium", ""), ("new_roaming", "TR")],
    ),
]


@pytest.mark.parametrize(
    ("row", "expected"),
    [each[1:] for each in NOTABLE],
    ids=[each[0] for each in NOTABLE],
)
def test_use_is_premium_or_abroad(
    row: tuple[object, ...], expected: list[tuple[str, str]]
) -> None:
    found = notable_use(frame(USE, row), LIMITS)
    assert found.select("kind", "place").rows() == expected


def new(
    now: tuple[object, ...], before: tuple[object, ...] | None = None, cdr_count: int = 10
) -> list[Insight]:
    rows = frame(HISTORY, (1, BEFORE[-1], "EUR", EURO, cdr_count))
    told = worth_a_look(notable_use(frame(USE, now), LIMITS), rows, LIMITS)
    earlier = notable_use(frame(USE, *([before] if before else [])), LIMITS)
    return new_use(cycles(), told, earlier)


def test_premium_use_of_1_00_that_was_not_there_before_is_told() -> None:
    (found,) = new(use(number="premium"))
    assert (found.kind, found.severity) == ("new_premium", "warning")
    assert found.evidence == {"records": 2, "cost_micros": 1_000_000, "currency": "EUR"}


def test_premium_use_of_less_than_1_00_is_not_told() -> None:
    assert new(use(number="premium", micros=999_999)) == []


def test_premium_use_that_was_there_before_is_not_new() -> None:
    assert new(use(number="premium"), before=use(usage="content", micros=1)) == []


def test_a_new_country_is_told_and_a_known_one_is_not() -> None:
    (found,) = new(use(country="TR"), before=use(country="BE"))
    assert (found.kind, found.subject) == ("new_roaming", "2026-10-01 TR")
    assert found.evidence["place"] == "TR"
    assert new(use(country="TR"), before=use(country="TR")) == []


def test_nothing_is_new_to_a_customer_who_used_nothing_before() -> None:
    assert new(use(number="premium"), cdr_count=0) == []


# --- a loss -------------------------------------------------------------------------------


def lost(cost: int, price: int, charges: int = 0) -> list[Insight]:
    paid = frame(CHARGES, (1, charges))
    found = at_a_loss(cycles(cycle(total=price, cost=cost, plan="office")), LIMITS, paid)
    types = frame(
        BY_TYPE, (1, "voice", 1 * EURO, 2 * EURO), (1, "data", 9 * EURO, 5 * EURO)
    )
    return losses(found, types.head(found.height * 2), paid)


def test_a_cycle_that_costs_1_00_more_than_it_brings_is_told_by_usage_type() -> None:
    (found,) = lost(10 * EURO, 9 * EURO)
    assert found.evidence["margin_micros"] == -1_000_000
    assert found.evidence["by_usage_type"] == [
        {
            "usage_type": "data",
            "provider_micros": 9_000_000,
            "own_micros": 5_000_000,
            "margin_micros": -4_000_000,
        },
        {
            "usage_type": "voice",
            "provider_micros": 1_000_000,
            "own_micros": 2_000_000,
            "margin_micros": 1_000_000,
        },
    ]


def test_a_loss_of_less_than_1_00_is_not_told() -> None:
    assert lost(10 * EURO, 9 * EURO + 1) == []


def test_a_subscription_makes_up_for_usage_that_is_in_it() -> None:
    assert lost(10 * EURO, 0, charges=9 * EURO + 1) == []
    (found,) = lost(10 * EURO, 0, charges=9 * EURO)
    assert found.evidence["charges_micros"] == 9_000_000
    assert found.evidence["margin_micros"] == -1_000_000


def test_what_brings_what_it_costs_is_no_loss_whatever_the_threshold() -> None:
    none = replace(LIMITS, loss_amount=0)
    assert at_a_loss(cycles(cycle(total=5, cost=5)), none).is_empty()
    assert at_a_loss(cycles(cycle(total=4, cost=5)), none).height == 1


# --- allowances ---------------------------------------------------------------------------


def pool(
    used: int, available: int = 1000, line: str = "", name: str = "minutes", once: int = 0
) -> tuple[object, ...]:
    return (1, "office", name, line, "s", once, available, used)


@pytest.mark.parametrize(
    ("used", "severities"), [(899, []), (900, ["info"]), (1000, ["info"])]
)
def test_an_allowance_is_nearly_used_from_90_percent_on(
    used: int, severities: list[str]
) -> None:
    found = nearly_used(cycles(), frame(ALLOWANCES, pool(used)), LIMITS)
    assert [each.severity for each in found] == severities


def test_pools_of_lines_that_are_nearly_used_are_told_once() -> None:
    pools = frame(ALLOWANCES, pool(950, line="A"), pool(10, line="B"), pool(1000, line="C"))
    (found,) = nearly_used(cycles(), pools, LIMITS)
    assert found.subject == "2026-10-01 office minutes"
    assert found.evidence == {
        "rate_plan": "office",
        "allowance": "minutes",
        "unit": "s",
        "used": 1950,
        "available": 2000,
        "pools": 2,
        "lines": ["A", "C"],
    }


@pytest.mark.parametrize(("used", "is_told"), [(100, True), (101, False)])
def test_an_allowance_is_unused_up_to_10_percent(used: int, is_told: bool) -> None:  # noqa: FBT001 - a column of the table
    found = unused(cycles(), frame(ALLOWANCES, pool(used)), LIMITS)
    assert bool(found) is is_told


def test_unused_is_what_all_pools_together_leave() -> None:
    pools = frame(ALLOWANCES, pool(0, line="A"), pool(202, line="B"))
    assert unused(cycles(), pools, LIMITS) == []


def test_a_one_off_allowance_keeps_for_later() -> None:
    assert unused(cycles(), frame(ALLOWANCES, pool(0, once=1)), LIMITS) == []


# --- bursts -------------------------------------------------------------------------------

NOON = datetime(2026, 10, 7, 12, 0)  # noqa: DTZ001 - naive UTC, as records have it


def calls(
    count: int, apart_s: int = 60, micros: int = EURO, line: str = "+31600000011"
) -> list[tuple[int, str, datetime, int]]:
    return [(1, line, NOON + timedelta(seconds=apart_s * n), micros) for n in range(count)]


def burst(*rows: tuple[object, ...], limits: Thresholds = LIMITS) -> list[Insight]:
    return bursts(cycles(), frame(CALLS, *rows), limits)


def test_twenty_dear_calls_of_a_line_within_an_hour_are_an_alarm() -> None:
    (found,) = burst(*calls(20))
    assert (found.kind, found.severity) == ("call_burst", "alarm")
    assert found.subject == "2026-10-01 +31600000011"
    assert found.evidence == {
        "line": "+31600000011",
        "calls": 20,
        "cost_micros": 20_000_000,
        "from_utc": NOON,
        "until_utc": NOON + timedelta(minutes=19),
        "currency": "EUR",
    }


def test_nineteen_are_none() -> None:
    assert burst(*calls(19)) == []


def test_twenty_of_two_lines_are_none() -> None:
    assert burst(*calls(10), *calls(10, line="+31600000012")) == []


def test_twenty_in_more_than_an_hour_are_none() -> None:
    # 19 gaps of 190 s are 3610 s; 19 of 189 s are 3591 s.
    assert burst(*calls(20, apart_s=190)) == []
    assert len(burst(*calls(20, apart_s=189))) == 1


def test_twenty_that_cost_less_than_10_00_are_none() -> None:
    assert burst(*calls(20, micros=499_999)) == []
    assert len(burst(*calls(20, micros=500_000))) == 1


def test_calls_without_a_price_count_and_cost_nothing() -> None:
    unpriced = [(*row[:3], None) for row in calls(20)]
    assert burst(*unpriced) == []
    assert len(burst(*unpriced, limits=replace(LIMITS, burst_amount=0))) == 1


def test_the_worst_hour_of_a_line_is_told_and_no_other() -> None:
    later = [
        (who, line, at + timedelta(days=1), micros) for who, line, at, micros in calls(25)
    ]
    (found,) = burst(*calls(20), *later)
    assert found.evidence["calls"] == 25
    assert found.evidence["from_utc"] == NOON + timedelta(days=1)


# --- cycles that are over -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("as_of", "cycle_day", "newest"),
    [
        (date(2026, 11, 1), 1, Cycle(date(2026, 10, 1), date(2026, 11, 1))),
        (date(2026, 10, 31), 1, Cycle(date(2026, 9, 1), date(2026, 10, 1))),
        (date(2026, 11, 3), 15, Cycle(date(2026, 9, 15), date(2026, 10, 15))),
    ],
)
def test_a_cycle_is_over_on_the_day_the_next_one_begins(
    as_of: date, cycle_day: int, newest: Cycle
) -> None:
    ended = ended_cycles(as_of, cycle_day, 3)
    assert ended[0] == newest
    assert [each.end for each in ended[1:]] == [each.start for each in ended[:-1]]


AUTUMN = Cycle(date(2026, 8, 1), date(2026, 11, 1))

SUBSCRIBED: list[tuple[str, tuple[date | None, date | None], bool]] = [
    ("always", (None, None), True),
    ("since the first day", (date(2026, 8, 1), None), True),
    ("since the second day", (date(2026, 8, 2), None), False),
    ("until after the last day", (None, date(2026, 11, 2)), True),
    ("until the last day", (None, date(2026, 11, 1)), False),
]


@pytest.mark.parametrize(
    ("valid", "is_in"),
    [each[1:] for each in SUBSCRIBED],
    ids=[each[0] for each in SUBSCRIBED],
)
def test_a_line_must_have_been_there_all_the_time(
    valid: tuple[date | None, date | None],
    is_in: bool,  # noqa: FBT001 - a column of the table
) -> None:
    claims = frame(SUBSCRIPTIONS, ("number", "+31600000011", 1, *valid))
    assert (lines_throughout(claims, [1], AUTUMN).height == 1) is is_in


def test_contracts_and_accounts_are_no_lines() -> None:
    claims = frame(
        SUBSCRIPTIONS,
        ("contract", "700101", 1, None, None),
        ("account", "K1", 1, None, None),
        ("line", "ext-12", 1, None, None),
    )
    assert lines_throughout(claims, [1], AUTUMN).rows() == [(1, "ext-12")]


def test_silent_lines_are_told_once_for_a_customer() -> None:
    ended = ended_cycles(date(2026, 11, 1), 1, 3)
    silent = frame(LINES, (2, "B"), (1, "C"), (1, "A"))
    first, second = silent_lines(silent, ended)
    assert first.evidence == {
        "lines": ["A", "C"],
        "count": 2,
        "cycles": 3,
        "since": date(2026, 8, 1),
    }
    assert about([first, second]) == [(1, "info", "lines"), (2, "info", "lines")]
    assert first.cycle_start_date == date(2026, 10, 1)
