"""Which feeds are due, what of them is asked for, and which numbers are missing."""

from datetime import UTC, datetime

import pytest

from transforms.due import Feed, is_due, last_month, missing_numbers, numbers_text


def at(clock: str, day: str = "2026-11-03") -> datetime:
    return datetime.fromisoformat(f"{day}T{clock}+00:00")


def feed(last: str | None, every_minutes: int = 5, *, is_enabled: bool = True) -> Feed:
    return Feed(1, "yielder", is_enabled, every_minutes, None if last is None else at(last))


@pytest.mark.parametrize(
    ("last", "every_minutes", "now", "due"),
    [
        # never fetched: due at once
        (None, 5, "10:00:00", True),
        # the interval is over, to the minute
        ("10:00:00", 5, "10:04:59", False),
        ("10:00:00", 5, "10:05:00", True),
        # a schedule that comes a second early the next time does not skip a turn
        ("10:00:01", 5, "10:05:00", True),
        ("10:00:59", 5, "10:04:59", False),
        # the same run again, or one that began a moment before
        ("10:00:00", 5, "10:00:00", False),
        ("10:00:30", 5, "10:00:29", False),
        ("10:00:00", 1, "09:59:59", False),
        # a long interval
        ("02:00:00", 1440, "23:59:59", False),
        # a clock that went wrong by more than the interval is not waited for
        ("10:06:00", 5, "10:00:59", True),
        ("10:05:00", 5, "10:00:00", False),
    ],
)
def test_a_feed_is_due_when_its_minutes_are_over(
    last: str | None, every_minutes: int, now: str, *, due: bool
) -> None:
    assert is_due(feed(last, every_minutes), at(now)) is due


def test_a_feed_that_is_switched_off_is_never_due() -> None:
    assert not is_due(feed(None, is_enabled=False), at("10:00:00"))


@pytest.mark.parametrize(
    ("moment", "period"),
    [
        ("2026-11-03T02:00:00+00:00", "202610"),
        ("2026-01-15T12:00:00+00:00", "202512"),
        ("2026-03-31T12:00:00+00:00", "202602"),
        # in Amsterdam it is October already
        ("2026-09-30T22:30:00+00:00", "202609"),
        ("2026-09-30T21:30:00+00:00", "202608"),
        # and in winter an hour later
        ("2026-11-30T23:30:00+00:00", "202611"),
        ("2026-11-30T22:30:00+00:00", "202610"),
    ],
)
def test_last_month_is_counted_on_the_providers_wall_clock(
    moment: str, period: str
) -> None:
    assert last_month(datetime.fromisoformat(moment), "Europe/Amsterdam") == period


def test_last_month_takes_a_moment_of_any_offset() -> None:
    moment = datetime(2026, 9, 30, 23, 0, tzinfo=UTC)
    assert last_month(moment.astimezone(), "Europe/Amsterdam") == "202609"


@pytest.mark.parametrize(
    ("number", "arrived", "held", "missing"),
    [
        # the first delivery ever misses nothing
        (123, set(), set(), ()),
        # the next one
        (124, {123}, set(), ()),
        # one is missing
        (125, {123}, set(), (range(124, 125),)),
        # two stretches are missing
        (128, {123, 126}, {126}, (range(124, 126), range(127, 128))),
        # one that is held does not stand for what is missing before it
        (126, {123, 125}, {125}, (range(124, 125),)),
        # but once it was let go it does
        (126, {123, 125}, set(), ()),
        # the missing one comes late: nothing is missing before it
        (124, {123, 125}, {125}, ()),
        # one from before the first
        (7, {123}, set(), ()),
        # one that was sent again with other content
        (123, {122, 123}, set(), ()),
    ],
)
def test_numbers_are_missing_from_the_last_delivery_that_is_not_held(
    number: int, arrived: set[int], held: set[int], missing: tuple[range, ...]
) -> None:
    assert missing_numbers(number, arrived, held) == missing


def test_missing_numbers_are_told_as_the_provider_writes_them() -> None:
    assert numbers_text([range(124, 125)], 6) == "000124"
    assert (
        numbers_text([range(8, 10), range(11, 12)], 4) == "0008 to 0009, 0011 (3 numbers)"
    )
    many = [range(number, number + 1) for number in range(1, 13, 2)]
    assert numbers_text(many, 2) == "01, 03, 05, 07, 09, … (6 numbers)"
