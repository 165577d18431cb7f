"""What is worth a look in what providers bring, and what just is not yet."""

from datetime import date, timedelta

import polars as pl
import pytest

from etl.settings import Insights
from transforms.cdr import Schema
from transforms.cycle import Cycle
from transforms.insights import Thresholds
from transforms.insights_of_deliveries import (
    ARRIVALS,
    DELIVERED,
    DUPLICATES,
    UNMATCHED,
    duplicate_shares,
    late_deliveries,
    missing_deliveries,
    unmatched_numbers,
)

LIMITS = Thresholds(**Insights().model_dump())

SEPTEMBER = Cycle(date(2026, 9, 1), date(2026, 10, 1))
OCTOBER = Cycle(date(2026, 10, 1), date(2026, 11, 1))


def frame(schema: Schema, *rows: tuple[object, ...]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema, orient="row")


# --- missing ------------------------------------------------------------------------------


def brought(provider: str, cycle: Cycle, customers: int = 3) -> tuple[object, ...]:
    return (provider, cycle.start, cycle.end, customers)


def missed(*rows: tuple[object, ...], as_of: date = date(2026, 11, 6)) -> list[str]:
    found = missing_deliveries(frame(DELIVERED, *rows), [OCTOBER], as_of, LIMITS)
    return [str(each.provider) for each in found]


def test_a_provider_that_brought_september_and_no_october_is_missed() -> None:
    rows = (brought("routit", SEPTEMBER), brought("yielder", SEPTEMBER))
    assert missed(*rows, brought("yielder", OCTOBER)) == ["routit"]


def test_a_provider_has_five_days_after_the_end_of_a_cycle() -> None:
    assert missed(brought("routit", SEPTEMBER), as_of=date(2026, 11, 5)) == []


def test_a_provider_that_brought_a_later_cycle_has_delivered() -> None:
    november = Cycle(date(2026, 11, 1), date(2026, 12, 1))
    assert missed(brought("routit", SEPTEMBER), brought("routit", november)) == []


def test_a_provider_that_never_brought_september_is_not_missed_in_october() -> None:
    august = Cycle(date(2026, 8, 1), date(2026, 9, 1))
    assert missed(brought("routit", august)) == []


def test_a_missing_delivery_says_of_how_many_customers_it_was_before() -> None:
    rows = frame(DELIVERED, brought("routit", SEPTEMBER, 12))
    (found,) = missing_deliveries(rows, [OCTOBER], date(2026, 11, 6), LIMITS)
    assert found.evidence == {"customers_before": 12, "cycle_end_date": date(2026, 11, 1)}
    assert found.cycle_start_date == date(2026, 10, 1)


# --- late ---------------------------------------------------------------------------------


def came(*gaps: int, last: date = date(2026, 11, 2)) -> pl.DataFrame:
    days = [last]
    for gap in reversed(gaps):
        days.append(days[-1] - timedelta(days=gap))
    return frame(ARRIVALS, *(("routit", day) for day in days))


LATE = [
    # a daily feed that rests at weekends; the last came on Monday 2 November
    ("three days and two more", (1, 1, 1, 1, 3), date(2026, 11, 7), True),
    ("three days and one more", (1, 1, 1, 1, 3), date(2026, 11, 6), False),
    # a monthly one
    ("a month and two days", (30, 31, 30), date(2026, 12, 5), True),
    ("a month and a day", (30, 31, 30), date(2026, 12, 4), False),
    ("two gaps say nothing yet", (1, 1), date(2026, 12, 31), False),
    (
        "what is long ago says nothing any more",
        (40, 1, 1, 1, 1, 1, 1),
        date(2026, 11, 5),
        True,
    ),
]


@pytest.mark.parametrize(
    ("gaps", "as_of", "is_late"),
    [each[1:] for each in LATE],
    ids=[each[0] for each in LATE],
)
def test_a_delivery_is_late_two_days_beyond_the_longest_gap_lately(
    gaps: tuple[int, ...],
    as_of: date,
    is_late: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert bool(late_deliveries(came(*gaps), as_of, LIMITS)) is is_late


def test_a_late_delivery_tells_the_same_every_day_until_it_comes() -> None:
    first, second = (
        late_deliveries(came(1, 1, 3), date(2026, 11, day), LIMITS) for day in (7, 20)
    )
    assert first == second
    assert first[0].evidence == {
        "last_came": date(2026, 11, 2),
        "expected_by": date(2026, 11, 5),
        "longest_gap_days": 3,
    }


# --- duplicates ---------------------------------------------------------------------------

SHARES = [
    (1000, 100, 10),
    (1000, 99, None),  # a record short of both
    (1001, 100, None),  # enough records, a little short of the share
    (200, 99, None),  # half of them, but too few to matter
    (200, 100, 50),
]


@pytest.mark.parametrize(("records", "duplicates", "percent"), SHARES)
def test_a_tenth_of_a_delivery_and_a_hundred_records_are_too_many_duplicates(
    records: int, duplicates: int, percent: int | None
) -> None:
    row = (7, "routit", "CDR.zip", records, duplicates)
    found = duplicate_shares(frame(DUPLICATES, row), LIMITS)
    assert [each.evidence["percent"] for each in found] == ([percent] if percent else [])
    assert [each.subject for each in found] == (["import 7"] if percent else [])


# --- nobody's -----------------------------------------------------------------------------


def waits(number: str, records: int) -> tuple[object, ...]:
    return ("routit", number, records, 40_500, date(2026, 10, 3), date(2026, 10, 9))


def test_what_waits_for_an_owner_is_told_once_for_a_provider_without_a_number() -> None:
    rows = frame(UNMATCHED, waits("+31600000099", 2), waits("+31600000098", 3))
    (found,) = unmatched_numbers(rows, LIMITS)
    assert found.provider == "routit"
    assert found.evidence == {
        "numbers": 2,
        "records": 5,
        "cost_micros": 81_000,
        "first_day": date(2026, 10, 3),
        "last_day": date(2026, 10, 9),
    }


def test_fewer_records_than_the_threshold_may_wait_without_a_word() -> None:
    patient = Thresholds(**(Insights().model_dump() | {"unmatched_records": 6}))
    rows = frame(UNMATCHED, waits("+31600000099", 2), waits("+31600000098", 3))
    assert unmatched_numbers(rows, patient) == []
    assert len(unmatched_numbers(frame(UNMATCHED, waits("x", 6)), patient)) == 1
