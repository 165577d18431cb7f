"""Local time: declared formats only, and the two hours a year that need a rule."""

from typing import Any

import polars as pl
import pytest

from transforms.local_time import Before, Placed, period_of, read_starts
from transforms.profile import Time
from transforms.time_format import time_format

AMSTERDAM = "Europe/Amsterdam"


def rules(**changes: Any) -> Time:  # noqa: ANN401 - any key of [layout.time]
    given = {"columns": ("at",), "format": "%d-%m-%Y %H:%M:%S", "timezone": AMSTERDAM}
    return Time(**{**given, **changes})


def starts(texts: list[str | None], time: Time, before: Before | None = None) -> Placed:
    cells = [pl.Series(texts, dtype=pl.String)]
    return read_starts(cells, None, time, before or Before())[0]


def utc(texts: list[str | None], time: Time) -> list[str | None]:
    return written(starts(texts, time).utc)


def written(instants: pl.Series) -> list[str | None]:
    return [None if each is None else each.isoformat() for each in instants.to_list()]


@pytest.mark.parametrize(
    ("declared", "text", "expected"),
    [
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:29:48", "2026-10-03T08:29:48"),
        ("%d-%m-%Y %H:%M:%S", "3-1-2026 1:2:3", "2026-01-03T00:02:03"),
        ("%d-%m-%Y %H:%M:%S", "29-02-2028 00:00:00", "2028-02-28T23:00:00"),
        ("%m/%d/%Y %I:%M %p", "10/03/2026 01:05 PM", "2026-10-03T11:05:00"),
        ("%d %b %Y %H:%M", "3 Oct 2026 10:29", "2026-10-03T08:29:00"),
        ("%d%m%y%H%M", "0310261029", "2026-10-03T08:29:00"),
        ("%Y%m%d%H%M%S", "20261003102948", "2026-10-03T08:29:48"),
        ("%Y-%j %H:%M", "2026-276 10:00", "2026-10-03T08:00:00"),
        ("%Y-%m-%d %H:%M:%S.%f", "2026-10-03 10:00:00.5", "2026-10-03T08:00:00.500000"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00+00:00", "2026-10-25T01:30:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00Z", "2026-10-25T01:30:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00+0200", "2026-10-24T23:30:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00-03:30", "2026-10-25T05:00:00"),
        ("epoch_s", "1792893600", "2026-10-25T02:00:00"),
        ("epoch_ms", "1792893600123", "2026-10-25T02:00:00.123000"),
    ],
)
def test_a_time_in_the_declared_format_is_an_instant(
    declared: str, text: str, expected: str
) -> None:
    assert utc([text], rules(format=declared)) == [expected]


@pytest.mark.parametrize(
    ("declared", "text"),
    [
        ("%d-%m-%Y %H:%M:%S", "2026-10-03 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "10-23-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "31-02-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "29-02-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "00-10-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03-10-26 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 24:00:00"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 23:59:60"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:60:00"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:29"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:29:48 "),
        ("%d-%m-%Y %H:%M:%S", " 03-10-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026  10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03- 10-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:29:48x"),
        ("%d-%m-%Y %H:%M:%S", "03-10-2026 10:29:48.5"),
        ("%d-%m-%Y %H:%M:%S", "03/10/2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "03-10-+2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "٠٣-10-2026 10:29:48"),
        ("%d-%m-%Y %H:%M:%S", "01-01-0000 00:00:00"),
        ("%d-%m-%Y %H:%M:%S", "31-12-9999 23:59:59"),
        ("%Y%m%d%H%M%S", "2026103102948"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00+99:00"),
        ("%Y-%m-%dT%H:%M:%S%z", "2026-10-25T01:30:00 CET"),
        ("epoch_s", "-1"),
        ("epoch_s", "1e9"),
        ("epoch_s", "1792893600123"),
        ("epoch_s", "1792893600.5"),
    ],
)
def test_a_time_in_any_other_form_is_no_time(declared: str, text: str) -> None:
    found = starts([text], rules(format=declared))
    assert (found.utc.item(), found.fault.item()) == (None, "time_unreadable")


def test_an_hour_that_is_skipped_moves_one_hour_on_or_is_rejected() -> None:
    skipped: list[str | None] = ["29-03-2026 01:59:59", "29-03-2026 02:15:00"]
    shifted = starts(skipped, rules())
    assert utc(skipped, rules()) == ["2026-03-29T00:59:59", "2026-03-29T01:15:00"]
    assert shifted.is_shifted.to_list() == [False, True]
    rejected = starts(skipped, rules(nonexistent="reject"))
    assert rejected.fault.to_list() == [None, "time_nonexistent"]


def test_an_hour_that_comes_twice_is_the_first_or_the_second_by_rule() -> None:
    twice: list[str | None] = ["25-10-2026 02:15:00", "25-10-2026 03:00:00"]
    assert utc(twice, rules(ambiguous="first")) == [
        "2026-10-25T00:15:00",
        "2026-10-25T02:00:00",
    ]
    assert utc(twice, rules(ambiguous="second"))[0] == "2026-10-25T01:15:00"
    assert starts(twice, rules()).is_ambiguous.to_list() == [True, False]


def in_second_run(times: list[str]) -> list[bool]:
    texts: list[str | None] = [f"25-10-2026 {time}" for time in times]
    found = starts(texts, rules(ambiguous="file_order"))
    summer = starts(texts, rules(ambiguous="first"))
    return (found.utc != summer.utc).to_list()


@pytest.mark.parametrize(
    ("times", "expected"),
    [
        # Going on: still the first run.
        (["01:59:30", "02:45:00"], [False, False]),
        (["02:10:00", "02:10:00", "02:45:00"], [False, False, False]),
        # Stepping back: the clock was put back, and stays so.
        (["02:45:00", "02:10:00"], [False, True]),
        (["02:45:00", "02:10:00", "02:20:00"], [False, True, True]),
        (["02:45:00", "02:10:00", "02:50:00", "02:05:00"], [False, True, True, True]),
        # After three o'clock it can only be the second run.
        (["03:05:00", "02:50:00"], [False, True]),
        # A record of another hour between them starts again.
        (["02:45:00", "02:10:00", "01:00:00", "02:20:00"], [False, True, False, False]),
    ],
)
def test_the_order_of_the_file_tells_the_two_runs_apart(
    times: list[str], expected: list[bool]
) -> None:
    assert in_second_run(times) == expected


def test_the_order_of_the_file_goes_on_across_chunks() -> None:
    time = rules(ambiguous="file_order")
    before, found = Before(), []
    for text in ("02:45:00", "02:10:00", "02:20:00"):
        cells = [pl.Series([f"25-10-2026 {text}"])]
        placed, before = read_starts(cells, None, time, before)
        found.append(placed.utc.item().isoformat())
    assert found == ["2026-10-25T00:45:00", "2026-10-25T01:10:00", "2026-10-25T01:20:00"]


def test_another_day_says_nothing_about_the_doubled_hour() -> None:
    texts: list[str | None] = ["24-10-2026 23:00:00", "25-10-2026 02:10:00"]
    assert utc(texts, rules(ambiguous="file_order"))[1] == "2026-10-25T00:10:00"


def test_a_time_that_cannot_be_read_is_passed_over_by_the_order() -> None:
    texts: list[str | None] = ["25-10-2026 02:45:00", "x", "25-10-2026 02:10:00"]
    assert utc(texts, rules(ambiguous="file_order"))[2] == "2026-10-25T01:10:00"


def test_a_zone_that_changes_by_half_an_hour_is_read_right() -> None:
    texts: list[str | None] = ["05-04-2026 01:29:59", "05-04-2026 01:45:00"]
    found = starts(texts, rules(timezone="Australia/Lord_Howe"))
    assert found.is_ambiguous.to_list() == [False, True]


def test_the_offset_of_a_column_wins_over_the_zone() -> None:
    time = rules(format="%Y%m%d%H%M%S", offset_column="offset")
    cells = [pl.Series(["20261025021500"] * 4)]
    offsets = pl.Series(["+0100", "+02:00", None, "1"])
    placed, _ = read_starts(cells, offsets, time, Before())
    assert written(placed.utc) == [
        "2026-10-25T01:15:00",
        "2026-10-25T00:15:00",
        "2026-10-25T00:15:00",
        None,
    ]
    assert placed.is_ambiguous.to_list() == [False, False, True, False]
    assert placed.fault.to_list() == [None, None, None, "offset_unreadable"]


def test_a_date_alone_is_its_midnight_where_the_profile_takes_one() -> None:
    time = rules(columns=("day", "time"), date_only_format="%d-%m-%Y")
    days = pl.Series(["31-07-2026", "31-07-2026", "x", None])
    times = pl.Series([None, "10:00:00", None, "10:00:00"])
    placed, _ = read_starts([days, times], None, time, Before())
    assert written(placed.utc)[0] == "2026-07-30T22:00:00"
    assert placed.is_date_only.to_list() == [True, False, False, False]
    assert placed.fault.to_list() == [None, None, "time_unreadable", "time_missing"]


@pytest.mark.parametrize(
    ("declared", "fault"),
    [
        ("%d-%m-%Y %T", "unknown directive %T"),
        ("%z %d-%m-%Y", "unknown directive %z (%z must stand at the end)"),
        ("%d-%m %H:%M", "needs a year, a month and a day"),
        ("%d-%m-%Y %I:%M", "%I and %p come together"),
        ("%d-%m-%Y %H:%M:%S%f", "%f must follow a '.'"),
        ("%d-%m-%Y %", "a single '%' ends the format"),
    ],
)
def test_a_format_that_cannot_be_read_strictly_is_refused(
    declared: str, fault: str
) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the message is compared whole
        time_format(declared)
    assert str(caught.value) == fault


@pytest.mark.parametrize("period", ["202610", "2026-10", "20261003", "2026-10-03"])
def test_the_month_of_a_file_name_is_a_month_in_amsterdam(period: str) -> None:
    found = period_of(period, 62)
    assert found is not None
    assert found.begin.isoformat() == "2026-09-30T22:00:00"
    assert found.end.isoformat() == "2026-10-31T23:00:00"
    assert found.late.isoformat() == "2026-07-30T22:00:00"


@pytest.mark.parametrize("period", [None, "", "202613", "2610", "october"])
def test_a_file_name_without_a_month_has_no_period(period: str | None) -> None:
    assert period_of(period, 62) is None
