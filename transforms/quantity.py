"""Quantities: seconds, bytes and events from what the provider counted, exact.

Pure. A quantity is read in the declared grammar, multiplied by its unit and given as a
whole number of seconds (voice), bytes (data) or events (all others). A fraction of one
is rounded up, because it was used, and is flagged.

Units: ``kB`` is 1000 bytes and ``KiB`` is 1024; ``ds`` is a tenth of a second.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import polars as pl

from transforms.amount import MOST_POWERS, POWERS, read_decimals
from transforms.profile import CLOCK_UNITS, Locale

FACTORS: Final = {
    "s": Fraction(1),
    "ds": Fraction(1, 10),
    "min": Fraction(60),
    "B": Fraction(1),
    "kB": Fraction(1000),
    "KiB": Fraction(1024),
    "MB": Fraction(1000**2),
    "MiB": Fraction(1024**2),
    "GB": Fraction(1000**3),
    "GiB": Fraction(1024**3),
    "event": Fraction(1),
}
"""Seconds, bytes or events in one of each unit."""

LIMIT: Final = 10**18
"""No quantity may reach this; it leaves room to add nine of the largest in BIGINT."""

_CLOCKS: Final = {
    "hh:mm:ss": r"^([0-9]{1,6}):([0-5][0-9]):([0-5][0-9])$",
    "mm:ss": r"^()([0-9]{1,8}):([0-5][0-9])$",
}


@dataclass(frozen=True)
class Quantities:
    """What was counted, row by row.

    Attributes:
        amount: Int64 seconds, bytes or events; null where there is a fault.
        is_rounded: Whether a fraction was rounded up.
        fault: quantity_missing, quantity_unreadable, quantity_negative or
            quantity_too_large; null for a quantity.
    """

    amount: pl.Series
    is_rounded: pl.Series
    fault: pl.Series


def read_quantities(text: pl.Series, unit: pl.Series, locale: Locale) -> Quantities:
    """Read quantities, each in its own unit.

    ``10,5`` MiB is 11010048 bytes, ``00:03:05`` is 185 seconds, ``1.5`` min is 90.
    ``0,3`` KiB is 307.2 bytes: 308, flagged.

    Args:
        text: The cells; null where there is none.
        unit: A unit of ``FACTORS`` or a clock unit for each row; null where unknown.
        locale: The layout's way of writing numbers.
    """
    clocks = [clock for clock in CLOCK_UNITS if (unit == clock).any()]
    numbers = read_decimals(text, locale)
    if clocks:
        numbers = _with_clocks(numbers, text, unit, clocks)
    factors = unit.to_frame("unit").with_columns(
        up=_by_unit({unit: factor.numerator for unit, factor in FACTORS.items()}, unit),
        down=_by_unit({unit: factor.denominator for unit, factor in FACTORS.items()}, unit),
    )
    frame = numbers.with_columns(
        text.alias("text"),
        up=factors["up"],
        down=factors["down"] * POWERS.gather(numbers["scale"].clip(0, MOST_POWERS)),
    )
    return _counted(frame)


def _by_unit(values: Mapping[str, int], unit: pl.Series) -> pl.Expr:
    """Look up a whole number for each row's unit; null where the unit is unknown.

    The units of a chunk are few, so the rows are compared with each of them.
    """
    found = pl.lit(None, dtype=pl.Int128)
    for word in unit.unique().drop_nulls().to_list():
        value = values.get(word, 1 if word in CLOCK_UNITS else None)
        number = pl.lit(value, dtype=pl.Int128)
        found = pl.when(pl.col("unit") == word).then(number).otherwise(found)
    return found


def _counted(frame: pl.DataFrame) -> Quantities:
    """Multiply by the unit, round up what is left over, name the faults."""
    # At most 36 digits times 2**30 does not fit; numbers this large are no quantity.
    is_huge = pl.col("significand").is_null() | (
        pl.col("significand").abs() // POWERS[18] >= POWERS[9]
    )
    product = pl.when(~is_huge).then(pl.col("significand") * pl.col("up"))
    counted = frame.with_columns(product.alias("product")).with_columns(
        amount=(pl.col("product") + pl.col("down") - 1) // pl.col("down"),
        is_rounded=(pl.col("product") % pl.col("down") != 0).fill_null(value=False),
    )
    fault = (
        pl.when(pl.col("text").is_null())
        .then(pl.lit("quantity_missing"))
        .when(~pl.col("is_readable"))
        .then(pl.lit("quantity_unreadable"))
        .when(pl.col("significand") < 0)
        .then(pl.lit("quantity_negative"))
        .when(is_huge | (pl.col("amount") >= LIMIT))
        .then(pl.lit("quantity_too_large"))
    )
    done = counted.with_columns(fault=fault).with_columns(
        amount=pl.when(pl.col("fault").is_null()).then("amount").cast(pl.Int64)
    )
    return Quantities(done["amount"], done["is_rounded"], done["fault"])


def _with_clocks(
    numbers: pl.DataFrame, text: pl.Series, unit: pl.Series, clocks: list[str]
) -> pl.DataFrame:
    """Replace the rows written as a clock by their seconds."""
    frame = numbers.with_columns(text.alias("text"), unit.alias("unit"))
    for clock in clocks:
        seconds = _clock_seconds(pl.col("text"), _CLOCKS[clock])
        is_clock = (pl.col("unit") == clock).fill_null(value=False)
        frame = frame.with_columns(
            pl.when(is_clock).then(seconds).otherwise("significand").alias("significand"),
            pl.when(is_clock).then(0).otherwise("scale").cast(pl.Int32).alias("scale"),
            pl.when(is_clock)
            .then(pl.col("text").str.contains(_CLOCKS[clock]).fill_null(value=False))
            .otherwise("is_readable")
            .alias("is_readable"),
        )
    return frame.drop("text", "unit")


def _clock_seconds(text: pl.Expr, pattern: str) -> pl.Expr:
    parts = text.str.extract_groups(pattern)
    hours, minutes, seconds = (
        parts.struct.field(str(place)).cast(pl.Int128, strict=False) for place in (1, 2, 3)
    )
    return hours.fill_null(0) * 3600 + minutes * 60 + seconds
