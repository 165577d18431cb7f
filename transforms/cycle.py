"""Cycles: the half-open wall-clock months a customer is billed for.

Pure. A cycle is ``[start, end)`` in the customer's own zone; it starts on the customer's
cycle day, and days 29 to 31 fall on the last day of a shorter month. ``start`` and ``end``
are dates: a call of ``end`` 00:00:00 belongs to the next cycle. Days of 23 and 25 hours
need no rule here, because the wall clock decides.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date, timedelta

import polars as pl


@dataclass(frozen=True, order=True)
class Cycle:
    """One billing cycle, half-open: ``start`` is in, ``end`` is out."""

    start: date
    end: date


def cycle_containing(day: date, cycle_day: int) -> Cycle:
    """Return the cycle that contains a wall-clock day.

    With cycle day 31, 2025-02-28 starts the cycle ``[2025-02-28, 2025-03-31)``.

    Args:
        day: A date on the customer's wall clock.
        cycle_day: 1 to 31.

    Raises:
        ValueError: When the cycle day is outside 1 to 31.
    """
    if not 1 <= cycle_day <= 31:
        message = f"cycle_day must be 1 to 31, not {cycle_day}"
        raise ValueError(message)
    this_start = _start_in_month(day.year, day.month, cycle_day)
    if day < this_start:
        before = day.replace(day=1) - timedelta(days=1)
        return Cycle(_start_in_month(before.year, before.month, cycle_day), this_start)
    after = date(day.year + day.month // 12, day.month % 12 + 1, 1)
    return Cycle(this_start, _start_in_month(after.year, after.month, cycle_day))


def _start_in_month(year: int, month: int, cycle_day: int) -> date:
    return date(year, month, min(cycle_day, monthrange(year, month)[1]))


def cycle_start(call_date: pl.Expr, cycle_day: pl.Expr) -> pl.Expr:
    """Column twin of :func:`cycle_containing`: the start date of each row's cycle.

    Args:
        call_date: Wall-clock date or date-time of the billing zone.
        cycle_day: Whole number 1 to 31 for each row.

    Returns:
        A ``Date`` for each row; null where either input is null.
    """
    day = call_date.dt.date()
    month = day.dt.truncate("1mo")
    this_start = _start_in(month, cycle_day)
    return (
        pl.when(day >= this_start)
        .then(this_start)
        .otherwise(_start_in(month.dt.offset_by("-1mo"), cycle_day))
    )


def _start_in(month: pl.Expr, cycle_day: pl.Expr) -> pl.Expr:
    days_in_month = month.dt.month_end().dt.day().cast(pl.Int32)
    offset = pl.min_horizontal(cycle_day.cast(pl.Int32), days_in_month) - 1
    return month + pl.duration(days=offset)
