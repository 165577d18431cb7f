"""Money: whole micros, one rounding function, one way to print.

Pure. A micro is 1e-6 of the currency, kept in 64-bit integers so that sums are exact
and equal in Polars, DuckDB, MySQL and SQLite. Nothing here, or above here, is a float.

Units: ``_micros`` whole micros, ``_cents`` whole cents.
"""

from typing import Literal

import polars as pl

MICROS = 1_000_000
"""Micros in one unit of the currency."""

LIMIT_MICROS = 10**18
"""No single amount may reach this; it leaves room to add nine of the largest in BIGINT."""

RoundingMode = Literal["up", "half-up", "half-even", "down"]


def round_ratio(numerator: int, denominator: int, mode: RoundingMode) -> int:
    """Round an exact ratio to a whole number; the only rounding of money there is.

    ``up`` and ``half-up`` go away from zero, so that a credit mirrors its charge:
    5/2 is 3 and -5/2 is -3 under ``half-up``, 2 and -2 under ``half-even`` and ``down``.

    Args:
        numerator: Any whole number.
        denominator: A whole number above zero.
        mode: The named rule of the contract or plan.

    Returns:
        The rounded whole number.

    Raises:
        ValueError: When the denominator is not above zero or the mode is unknown.

    Source:
        docs/decisions/0002-micros-and-rounding.md.
    """
    if denominator <= 0:
        message = f"denominator must be above zero, not {denominator}"
        raise ValueError(message)
    sign = -1 if numerator < 0 else 1
    whole, rest = divmod(abs(numerator), denominator)
    if mode == "up":
        whole += rest > 0
    elif mode == "half-up":
        whole += 2 * rest >= denominator
    elif mode == "half-even":
        whole += 2 * rest > denominator or (2 * rest == denominator and whole % 2 == 1)
    elif mode != "down":
        message = f"unknown rounding mode {mode!r}"
        raise ValueError(message)
    return sign * whole


def decimal_text(micros: int, decimals: int = 6) -> str:
    """Write micros as a decimal number: 1200330 is ``1.200330``, or ``1.20033`` with 5.

    Args:
        micros: Whole micros, of either sign.
        decimals: How many decimals to write; those dropped must be zeros.

    Raises:
        ValueError: When a digit that is not zero would be dropped.
    """
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}"
    if digits[decimals:].strip("0"):
        message = f"{micros} micros do not fit in {decimals} decimals"
        raise ValueError(message)
    kept = digits.ljust(decimals, "0")[:decimals]
    return f"{sign}{whole}.{kept}" if decimals else f"{sign}{whole}"


def exact_sum(column: str) -> pl.Expr:
    """Sum whole numbers without the silent wrap of a 64-bit sum.

    Returns:
        ``Int64``; collecting raises when the sum does not fit. An empty sum is 0.
    """
    return pl.col(column).cast(pl.Int128).sum().cast(pl.Int64, strict=True).alias(column)


def round_ratios(numerator: pl.Expr, denominator: pl.Expr, mode: RoundingMode) -> pl.Expr:
    """Column twin of :func:`round_ratio`: round exact ratios to whole numbers.

    Args:
        numerator: ``Int128``; twice its size plus the denominator must fit in 128 bits.
        denominator: ``Int128`` above zero.
        mode: The named rule of the contract or plan.

    Returns:
        ``Int128``, null where an input is null.

    Source:
        docs/decisions/0002-micros-and-rounding.md.
    """
    size = numerator.abs()
    whole, rest = size // denominator, size % denominator
    added = {
        "up": rest > 0,
        "half-up": 2 * rest >= denominator,
        "half-even": (2 * rest > denominator)
        | ((2 * rest == denominator) & (whole % 2 == 1)),
        "down": pl.lit(value=False),
    }[mode]
    return numerator.sign() * (whole + added.cast(pl.Int128))
