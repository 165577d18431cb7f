"""What keeps a cycle from being invoiced, and what is only told."""

from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from transforms.invoice_gates import (
    DELIVERED,
    UNOWNED,
    Facts,
    Limits,
    gates,
    last_ended,
    missing_providers,
    waiting_in,
    waiting_of,
)
from transforms.reference import SUBSCRIPTIONS

OCTOBER, NOVEMBER = date(2026, 10, 1), date(2026, 11, 1)
FINE = Facts(7, OCTOBER, NOVEMBER, as_of=NOVEMBER, cdr_count=3)


def codes(facts: Facts, limits: Limits | None = None) -> list[tuple[str, bool]]:
    found = gates(facts, limits or Limits())
    return [(gate.code, gate.is_blocking) for gate in found]


def test_a_cycle_that_has_ended_and_adds_up_is_let_through() -> None:
    assert codes(FINE) == []


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"as_of": date(2026, 10, 31)}, "cycle_not_ended"),
        ({"is_dirty": True}, "dirty"),
        ({"cdr_count": 0}, "no_lines"),
        ({"unrated_count": 1}, "unrated"),
        ({"waiting_count": 1}, "suspended"),
    ],
)
def test_each_of_these_keeps_a_cycle_back(change: dict[str, object], code: str) -> None:
    facts = replace(FINE, **change)  # type: ignore[arg-type]  # fields of Facts
    assert codes(facts) == [(code, True)]


def test_a_few_records_without_an_owner_are_let_through_when_the_limit_says_so() -> None:
    facts = replace(FINE, waiting_count=5)
    assert codes(facts, Limits(suspended=5)) == []
    assert codes(facts, Limits(suspended=4)) == [("suspended", True)]


@pytest.mark.parametrize(
    ("when", "found"),
    [
        ("warn", [("missing_delivery", False)]),
        ("block", [("missing_delivery", True)]),
        ("ignore", []),
    ],
)
def test_a_missing_delivery_is_told_or_blocks(
    when: str, found: list[tuple[str, bool]]
) -> None:
    limits = Limits(missing_delivery=when)  # type: ignore[arg-type]  # one of the three
    assert codes(replace(FINE, missing_providers=("kpn_een",)), limits) == found


def test_a_charge_alone_is_enough_to_invoice() -> None:
    assert codes(replace(FINE, cdr_count=0, charge_count=1)) == []


def test_what_blocks_is_told_before_what_warns() -> None:
    facts = replace(FINE, unrated_count=1, missing_providers=("kpn_een",))
    assert codes(facts) == [("unrated", True), ("missing_delivery", False)]


def test_a_provider_is_missing_only_when_nobody_has_records_of_it() -> None:
    september = date(2026, 9, 1)
    delivered = pl.DataFrame(
        [
            ("routit", 7, september, OCTOBER),
            ("routit", 8, OCTOBER, NOVEMBER),  # another customer's: it did deliver
            ("kpn_een", 7, september, OCTOBER),
            ("yielder", 8, september, OCTOBER),  # never had records of customer 7
        ],
        DELIVERED,
        orient="row",
    )
    assert missing_providers(delivered, 7, OCTOBER) == ("kpn_een",)
    assert missing_providers(delivered, 8, OCTOBER) == ("yielder",)
    assert missing_providers(delivered, 9, OCTOBER) == ()


def test_records_without_an_owner_count_for_whoever_ever_had_the_number() -> None:
    unowned = pl.DataFrame(
        [
            ("+31600000001", None, None, date(2026, 10, 31), 2),
            ("+31600000001", "C9", None, date(2026, 11, 1), 1),
            ("+31600000003", None, "A1", date(2026, 10, 5), 4),
            ("+31600000099", None, None, date(2026, 10, 5), 50),
        ],
        UNOWNED,
        orient="row",
    )
    claims = pl.DataFrame(
        [
            ("number", "+31600000001", 7, None, OCTOBER),
            ("number", "+31600000001", 8, NOVEMBER, None),
            ("contract", "C9", 7, None, None),
            ("account", "A1", 9, None, OCTOBER),
        ],
        SUBSCRIPTIONS,
        orient="row",
    )
    waiting = waiting_of(unowned, claims)

    assert waiting.rows() == [
        (7, date(2026, 10, 31), 2),
        (7, date(2026, 11, 1), 1),
        (8, date(2026, 10, 31), 2),
        (8, date(2026, 11, 1), 1),
        (9, date(2026, 10, 5), 4),
    ]
    of_seven = [(day, count) for customer, day, count in waiting.rows() if customer == 7]
    assert waiting_in(of_seven, OCTOBER, NOVEMBER) == 2


@pytest.mark.parametrize(
    ("as_of", "cycle_day", "cycle"),
    [
        (date(2026, 11, 2), 1, (OCTOBER, NOVEMBER)),
        (NOVEMBER, 1, (OCTOBER, NOVEMBER)),
        (date(2026, 10, 31), 1, (date(2026, 9, 1), OCTOBER)),
        (date(2026, 11, 2), 15, (date(2026, 9, 15), date(2026, 10, 15))),
        (date(2026, 3, 1), 31, (date(2026, 1, 31), date(2026, 2, 28))),
    ],
)
def test_the_last_cycle_that_has_ended(
    as_of: date, cycle_day: int, cycle: tuple[date, date]
) -> None:
    assert last_ended(as_of, cycle_day) == cycle
