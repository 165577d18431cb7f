"""Margin: what customers pay for usage beside what providers charge for it.

Pure. Frames in, frames out; sums are exact, and the share is whole hundredths of a
percent, rounded half-up, so that no float stands between two amounts.

Units: ``_micros`` whole micros, ``_bp`` hundredths of a percent.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.cdr import Schema, require
from transforms.money import exact_sum, round_ratio

BY_USAGE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "usage_type": pl.String(),
    "record_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "provider_micros": pl.Int64(),
    "own_micros": pl.Int64(),
    "currency": pl.String(),
}
"""One customer's usage of one type in one cycle, at both prices."""

FIGURES: Final = ("record_count", "unrated_count", "provider_micros", "own_micros")

FULL_BP: Final = 10_000


@dataclass(frozen=True)
class Margin:
    """What is left of an amount when the provider is paid."""

    provider_micros: int
    own_micros: int

    @property
    def margin_micros(self) -> int:
        """Own price less provider cost; below zero is a loss."""
        return self.own_micros - self.provider_micros

    @property
    def share_bp(self) -> int | None:
        """The margin as a share of the own price; None where there is no price.

        10.00 that costs 7.50 leaves 25 %, that is 2500.
        """
        if self.own_micros == 0:
            return None
        sign = -1 if self.own_micros < 0 else 1
        parts = sign * self.margin_micros * FULL_BP
        return round_ratio(parts, abs(self.own_micros), "half-up")


def by_customer(by_usage: pl.DataFrame) -> pl.DataFrame:
    """Add usage types up: one row for each customer, cycle and currency."""
    return _added(by_usage, ["customer_id", "cycle_start_date", "currency"])


def by_type(by_usage: pl.DataFrame) -> pl.DataFrame:
    """Add customers and cycles up: one row for each usage type and currency."""
    return _added(by_usage, ["usage_type", "currency"])


def losses(by_usage: pl.DataFrame) -> pl.DataFrame:
    """Customers and cycles that cost more than they bring, the largest loss first."""
    lost = by_customer(by_usage).filter(pl.col("own_micros") < pl.col("provider_micros"))
    loss = pl.col("own_micros") - pl.col("provider_micros")
    return lost.sort(loss, "customer_id", "cycle_start_date")


def _added(by_usage: pl.DataFrame, keys: list[str]) -> pl.DataFrame:
    rows = require(by_usage, BY_USAGE, "margin")
    sums = [exact_sum(name) for name in FIGURES]
    return rows.group_by(keys).agg(*sums).sort(keys)
