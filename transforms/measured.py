"""Measured: when a record started, how much it used and what the provider charged.

Pure. These three read what the profile says of time, quantity and money out of the cells
of a chunk; the rules themselves are in ``transforms.local_time``, ``transforms.quantity``
and ``transforms.amount``.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import polars as pl

from transforms.amount import read_micros, without_vat
from transforms.local_time import (
    FIRST_INSTANT,
    Before,
    Period,
    Placed,
    read_ends,
    read_starts,
)
from transforms.part import Fault, Part, fault_where
from transforms.profile import Layout, Quantity, money_exponent
from transforms.quantity import FACTORS, read_quantities

QUANTITY_COLUMNS: Final = {"voice": "duration_s", "data": "volume_bytes"}
"""Which column holds the quantity of a usage type; all others count ``events``."""

_ONE_DAY: Final = timedelta(days=1)
_SECOND: Final = 1_000_000


# --- time ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class TimeCells:
    """The cells a start (and perhaps an end) is written in; null where empty."""

    start: list[pl.Series]
    offset: pl.Series | None
    end: list[pl.Series]


@dataclass(frozen=True)
class Bounds:
    """What a start is held against: the month of the file name, and the latest instant."""

    period: Period | None
    latest_utc: datetime | None


def read_time(
    cells: TimeCells, layout: Layout, bounds: Bounds, before: Before
) -> tuple[Part, Before]:
    """Read start and end of each record.

    Returns:
        A part with ``start`` (to the microsecond, for the key), ``started_at_utc`` (whole
        seconds, a fraction is cut) and ``span_us`` (end minus start, null without an
        end); and what the next chunk is compared with.
    """
    placed, after = read_starts(cells.start, cells.offset, layout.time, before)
    text = _joined(cells.start)
    unlikely = _unlikely(placed.utc, bounds)
    faults = [
        Fault(placed.fault, _offset_or(text, cells, placed.fault)),
        Fault(unlikely, text),
    ]
    flags = {
        "time_ambiguous": placed.is_ambiguous,
        "time_shifted": placed.is_shifted,
        "date_only": placed.is_date_only,
        **_period_flags(placed.utc, bounds.period),
    }
    columns = {"start": placed.utc, "started_at_utc": placed.utc.dt.truncate("1s")}
    if cells.end:
        ends, end_flags, end_faults = _read_span(cells, layout, placed)
        columns["span_us"] = ends
        flags |= end_flags
        faults += end_faults
    return Part(columns, faults, flags), after


def _joined(cells: list[pl.Series]) -> pl.Series:
    return pl.select(pl.concat_str(cells, separator=" ", ignore_nulls=True)).to_series()


def _offset_or(text: pl.Series, cells: TimeCells, fault: pl.Series) -> pl.Series:
    if cells.offset is None:
        return text
    is_offset = (fault == "offset_unreadable").fill_null(value=False)
    return cells.offset.zip_with(is_offset, text)


def _unlikely(utc: pl.Series, bounds: Bounds) -> pl.Series:
    latest = bounds.latest_utc
    is_future = (
        pl.lit(value=False) if latest is None else pl.col("start") > latest + _ONE_DAY
    )
    code = (
        pl.when(pl.col("start") < FIRST_INSTANT)
        .then(pl.lit("time_implausible"))
        .when(is_future)
        .then(pl.lit("time_in_future"))
    )
    return pl.DataFrame({"start": utc}).select(code.alias("code"))["code"]


def _period_flags(utc: pl.Series, period: Period | None) -> Mapping[str, pl.Series]:
    if period is None:
        return {}
    return {
        "outside_period": (utc < period.begin) | (utc >= period.end),
        "late_record": utc < period.late,
    }


def _read_span(
    cells: TimeCells, layout: Layout, placed: Placed
) -> tuple[pl.Series, Mapping[str, pl.Series], list[Fault]]:
    ends = read_ends(cells.end, cells.offset, layout.time, placed)
    span = (ends.utc - placed.utc).dt.total_microseconds()
    return span, {"end_rolled": ends.is_rolled}, [Fault(ends.fault, _joined(cells.end))]


# --- quantity -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Counted:
    """What a quantity is read from, row by row.

    Attributes:
        usage: Usage type, null where unknown.
        cells: The cells a quantity names, by ``cell_name``; a quantity is null where its
            cell holds nothing, a unit is as delivered.
        span_us: End minus start in microseconds, where the layout has ends.
    """

    usage: pl.Series
    cells: Mapping[str, pl.Series]
    span_us: pl.Series | None


def cell_name(usage: str, what: str) -> str:
    """Name the cell of one usage's quantity: ``quantity.voice.column``."""
    return f"quantity.{usage}.{what}"


def read_quantity(counted: Counted, layout: Layout) -> Part:
    """Read the quantity of each record by the rule of its usage type.

    Returns:
        A part with ``quantity`` and its three homes: ``duration_s``, ``volume_bytes`` and
        ``events``, of which one is filled.
    """
    frame = _quantity_frame(counted, layout)
    read = read_quantities(frame["text"], frame["unit"], layout.locale)
    frame = frame.with_columns(
        read=read.amount, is_rounded=read.is_rounded, read_fault=read.fault
    ).with_columns(
        quantity=pl.coalesce("given", "read"),
        fault=pl.when(pl.col("given").is_null() & (pl.col("unit") != ""))
        .then("read_fault")
        .otherwise("given_fault"),
        is_rounded=pl.when(pl.col("given").is_null())
        .then("is_rounded")
        .otherwise("given_is_rounded"),
    )
    unit_fault = fault_where(
        frame["unit"].is_null() & frame["usage"].is_not_null(),
        "unknown_unit",
        frame["unit_text"],
    )
    homes = frame.select(
        pl.when(_home() == name).then("quantity").alias(name)
        for name in ("duration_s", "volume_bytes", "events")
    )
    return Part(
        columns={"quantity": frame["quantity"], **homes.to_dict()},
        faults=(unit_fault, Fault(frame["fault"], frame["text"])),
        flags={"quantity_rounded": frame["is_rounded"]},
    )


def _home() -> pl.Expr:
    return (
        pl.when(pl.col("usage") == "voice")
        .then(pl.lit("duration_s"))
        .when(pl.col("usage") == "data")
        .then(pl.lit("volume_bytes"))
        .otherwise(pl.lit("events"))
    )


def _quantity_frame(counted: Counted, layout: Layout) -> pl.DataFrame:
    """Choose for each row the text and unit of its usage, or the quantity given.

    ``unit`` is empty where the quantity is given (by const, or by end minus start) and
    null where the provider's word for it is unknown.
    """
    none = pl.lit(None, dtype=pl.String)
    text, unit, unit_text = none, pl.lit(""), none
    given, lacks = pl.lit(None, dtype=pl.Int64), none
    rounded = pl.lit(value=False)
    for usage, spec in layout.quantity.items():
        is_usage = pl.col("usage") == usage
        if spec.from_:
            given = pl.when(is_usage).then(_span_seconds()).otherwise(given)
            rounded = (
                pl.when(is_usage).then(pl.col("span") % _SECOND != 0).otherwise(rounded)
            )
            missing = pl.when(pl.col("span").is_null()).then(pl.lit("end_missing"))
            lacks = pl.when(is_usage).then(missing).otherwise(lacks)
        elif spec.const is not None:
            given = pl.when(is_usage).then(_constant(spec)).otherwise(given)
        else:
            value = counted.cells[cell_name(usage, "column")]
            text = pl.when(is_usage).then(value).otherwise(text)
            unit = pl.when(is_usage).then(_unit(usage, spec, counted)).otherwise(unit)
            if spec.unit_column:
                word = counted.cells[cell_name(usage, "unit_column")]
                unit_text = pl.when(is_usage).then(word).otherwise(unit_text)
    span = counted.span_us
    return (
        pl.DataFrame({"usage": counted.usage})
        .with_columns(span=pl.lit(None, dtype=pl.Int64) if span is None else span)
        .with_columns(
            text=text,
            unit=unit,
            unit_text=unit_text,
            given=given,
            given_fault=lacks,
            given_is_rounded=rounded.fill_null(value=False),
        )
    )


def _span_seconds() -> pl.Expr:
    return (pl.col("span") + _SECOND - 1) // _SECOND


def _constant(spec: Quantity) -> pl.Expr:
    exact = (spec.const or 0) * FACTORS[spec.unit]
    return pl.lit(-(-exact.numerator // exact.denominator), dtype=pl.Int64)


def _unit(usage: str, spec: Quantity, counted: Counted) -> pl.Expr:
    if not spec.unit_column:
        return pl.lit(spec.unit)
    word = counted.cells[cell_name(usage, "unit_column")]
    return pl.lit(word.replace_strict(spec.units, default=None, return_dtype=pl.String))


# --- money --------------------------------------------------------------------------------


@dataclass(frozen=True)
class Priced:
    """What was charged, as a part of the record and as the file wrote it.

    Attributes:
        part: ``cost_micros`` without VAT, null where unrated, and ``price_decimals``.
        written_micros: As written, for the control record; null where it cannot be read.
    """

    part: Part
    written_micros: pl.Series


def read_price(amount: pl.Series, is_unrated: pl.Series, layout: Layout) -> Priced:
    """Read the provider's price of each record.

    An unrated record has no price, which is not the same as a price of nothing.

    Args:
        amount: The cells; null where empty.
        is_unrated: Whether the feed marks the record as not priced yet.
        layout: Says what one unit is worth and whether VAT is in it.
    """
    money = layout.money
    exponent = money_exponent(money.unit, money.currency) or 0
    read = read_micros(amount, layout.locale, exponent)
    written = read["micros"]
    price = written.zip_with(~is_unrated, pl.Series([None], dtype=pl.Int64))
    decimals = read["decimals"].zip_with(~is_unrated, pl.Series([None], dtype=pl.Int32))
    fault = read["fault"].zip_with(~is_unrated, pl.Series([None], dtype=pl.String))
    flags = {"unrated": is_unrated}
    if money.vat == "inc":
        flags["vat_removed"] = price.is_not_null()
        price = without_vat(price, money.vat_rate)
        decimals = pl.select(
            pl.when(price.is_not_null()).then(6).cast(pl.Int32)
        ).to_series()
    nothing = amount.is_null() & is_unrated
    part = Part(
        columns={"cost_micros": price, "price_decimals": decimals},
        faults=(Fault(fault, amount),),
        flags=flags,
    )
    return Priced(part, pl.Series([0], dtype=pl.Int64).zip_with(nothing, written))
