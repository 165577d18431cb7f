"""Windows on the time line: which price holds at an instant, and where a call is cut.

Pure. A window is said in wall-clock time of the customer's zone. Here it becomes a step
function over instants: on the night the clock goes back, 02:30 comes twice and so does
the window that begins then; on the night it goes forward, a window that would begin at
02:30 begins at 03:00.

Units: instants are naive UTC; ``_s`` whole seconds from the start of the record.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from transforms.cdr import INSTANT
from transforms.rate_plan import HOLIDAY, WEEKDAYS, RatePlan

_DAY: Final = timedelta(days=1)
_SECOND_US: Final = 1_000_000

NO_WINDOW: Final = 0
"""The number of the one window of a plan, or an entry, that knows none."""


@dataclass(frozen=True)
class TimeLines:
    """The windows of a plan in every zone there is, one after the other.

    Attributes:
        begins: Instants at which a window begins, rising within each zone.
        windows: The number of the window that begins there.
        zones: For each zone where its stretch of ``begins`` starts and ends.
    """

    begins: pl.Series
    windows: pl.Series
    zones: Mapping[str, tuple[int, int]]

    def stretch_at(self, instant: pl.Expr, zone: pl.Expr) -> pl.Expr:
        """The place in ``begins`` of the window that holds at an instant."""
        found = pl.lit(None, dtype=pl.Int64)
        for name, (start, end) in self.zones.items():
            own = pl.lit(self.begins[start:end])
            place = own.search_sorted(instant, side="right").cast(pl.Int64) + (start - 1)
            found = pl.when(zone == name).then(place).otherwise(found)
        return found


def time_lines(plan: RatePlan, zones: list[str], first: date, last: date) -> TimeLines:
    """Lay the windows of a plan out over the days of records, in each zone.

    Args:
        plan: Its windows and holidays.
        zones: Zones of customers.
        first: A UTC date on or before the first instant asked for.
        last: A UTC date on or after the last one.
    """
    begins: list[datetime] = []
    windows: list[int] = []
    places: dict[str, tuple[int, int]] = {}
    for name in zones:
        start = len(begins)
        for instant, window in _line(plan, ZoneInfo(name), first, last):
            begins.append(instant)
            windows.append(window)
        places[name] = (start, len(begins))
    return TimeLines(
        pl.Series("begins", begins, INSTANT),
        pl.Series("windows", windows, pl.Int32),
        places,
    )


def _line(
    plan: RatePlan, zone: ZoneInfo, first: date, last: date
) -> list[tuple[datetime, int]]:
    numbers = {name: number for number, name in enumerate(plan.windows)}
    by_day: dict[str, list[tuple[int, int]]] = {}
    for name, spans in plan.windows.items():
        for span in spans:
            by_day.setdefault(span.day, []).append((span.start, numbers[name]))
    for each in by_day.values():
        each.sort()
    minutes = sorted({minute for each in by_day.values() for minute, _ in each})
    line: list[tuple[datetime, int]] = []
    for instant in _candidates(zone, minutes, first, last):
        wall = instant.astimezone(zone)
        day = HOLIDAY if wall.date() in plan.holidays else WEEKDAYS[wall.weekday()]
        now = wall.hour * 60 + wall.minute
        window = [number for start, number in by_day[day] if start <= now][-1]
        if not line or line[-1][1] != window:
            line.append((instant.replace(tzinfo=None), window))
    return line


def _candidates(
    zone: ZoneInfo, minutes: list[int], first: date, last: date
) -> list[datetime]:
    """Every instant at which the window may change, in UTC, from one day before on."""
    begin = datetime.combine(first - _DAY, time(), UTC)
    end = datetime.combine(last + 2 * _DAY, time(), UTC)
    found = {begin}
    day = first - 2 * _DAY
    while day <= last + 2 * _DAY:
        found.update(_jump(zone, datetime.combine(day, time(), UTC)))
        for minute in minutes:
            wall = time(minute // 60, minute % 60)
            # A clock that goes back shows a time twice: fold 0 and fold 1.
            for fold in (0, 1):
                local = datetime.combine(day, wall, zone).replace(fold=fold)
                found.add(local.astimezone(UTC))
        day += _DAY
    return sorted(instant for instant in found if begin <= instant < end)


def _jump(zone: ZoneInfo, low: datetime) -> list[datetime]:
    """Find the second within a UTC day at which the zone's clock jumps, if it does."""
    high = low + _DAY
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return []
    while high - low > timedelta(seconds=1):
        middle = (low + (high - low) / 2).replace(microsecond=0)
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return [high]


def split(calls: pl.DataFrame, lines: TimeLines) -> pl.DataFrame:
    """Cut calls where a window begins; a second belongs to the window it begins in.

    A call of 19:59:30 for 60 s with windows that meet at 20:00 is cut at 30 s.

    Args:
        calls: row, timezone, started_at_utc, from_s, to_s (elapsed, ``from_s < to_s``).
        lines: Windows over the time of the calls.

    Returns:
        row, window_no, from_s, to_s and is_last, for each part of each call.
    """
    at_start = pl.col("started_at_utc") + _seconds(pl.col("from_s"))
    at_end = pl.col("started_at_utc") + _seconds(pl.col("to_s") - 1)
    placed = calls.select(
        "row",
        "started_at_utc",
        "from_s",
        "to_s",
        first=lines.stretch_at(at_start, pl.col("timezone")),
        last=lines.stretch_at(at_end, pl.col("timezone")),
    )
    is_whole = pl.col("first") == pl.col("last")
    whole = placed.filter(is_whole).select(
        "row",
        window_no=pl.lit(lines.windows).gather(pl.col("first")),
        from_s="from_s",
        to_s="to_s",
        is_last=pl.lit(value=True),
    )
    return pl.concat([whole, _cut(placed.filter(~is_whole), lines)])


def _cut(calls: pl.DataFrame, lines: TimeLines) -> pl.DataFrame:
    """Cut calls that are not within one window."""
    parts = calls.with_columns(
        stretch=pl.int_ranges("first", pl.col("last") + 1, dtype=pl.Int64)
    ).explode("stretch", empty_as_null=True, keep_nulls=True)
    is_first, is_last = (pl.col("stretch") == pl.col(name) for name in ("first", "last"))
    begin = pl.lit(lines.begins).gather(pl.col("stretch"))
    end = pl.lit(lines.begins).gather(pl.min_horizontal("last", pl.col("stretch") + 1))
    return parts.select(
        "row",
        window_no=pl.lit(lines.windows).gather(pl.col("stretch")),
        from_s=pl.when(is_first).then("from_s").otherwise(_elapsed(begin)),
        to_s=pl.when(is_last).then("to_s").otherwise(_elapsed(end)),
        is_last=is_last,
    )


def _seconds(count: pl.Expr) -> pl.Expr:
    return (count * _SECOND_US).cast(pl.Duration("us"))


def _elapsed(instant: pl.Expr) -> pl.Expr:
    """Whole seconds of a call that have begun before an instant."""
    elapsed_us = (instant - pl.col("started_at_utc")).dt.total_microseconds()
    return -(-elapsed_us // _SECOND_US)


def midnight(day: date, zone: str) -> datetime:
    """The instant, naive UTC, at which a date begins in a zone."""
    local = datetime.combine(day, time(), ZoneInfo(zone))
    return local.astimezone(UTC).replace(tzinfo=None)
