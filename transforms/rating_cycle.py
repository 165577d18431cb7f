"""The cycle: what records add up to, and what is priced for a whole cycle at once.

Pure. Lines by usage type and zone come from the records; cycle-volume pricing and the
least and most of a cycle are lines of their own, so that lines always sum to the total.

Units: ``_micros`` whole micros; volumes in seconds, bytes or events.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.cdr import Schema, require
from transforms.errors import MoneyError
from transforms.money import LIMIT_MICROS, exact_sum, round_ratios
from transforms.rate_plan import CycleVolume, Limits
from transforms.rate_plan_values import MOST_UNITS
from transforms.rating_tables import NUMBER, WIDE, Prepared

VOLUME_LINE: Final = "cycle_volume"
MINIMUM_LINE: Final = "cycle_minimum"
MAXIMUM_LINE: Final = "cycle_maximum"
"""What stands for the usage type in a line that no record made; ``zone`` says which."""

LINES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "line_no": pl.Int64(),
    "usage_type": pl.String(),
    "zone": pl.String(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
    "charge_micros": pl.Int64(),
}
"""A line of a cycle: our charge beside what the provider charges."""

CYCLE_SUMS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "charge_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "minimum_applied": pl.Boolean(),
    "maximum_applied": pl.Boolean(),
}

UNRATED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "usage_type": pl.String(),
    "unrated_code": pl.String(),
    "unrated_reason": pl.String(),
    "cdr_count": pl.Int64(),
    "quantity": pl.Int64(),
}

_KEY: Final = ("customer_id", "cycle_start_date")
_SUMS: Final = ("duration_s", "volume_bytes", "events", "provider_cost_micros")


@dataclass(frozen=True)
class CycleSums:
    """Frames ``LINES``, ``CYCLE_SUMS`` (one row for each cycle) and ``UNRATED``."""

    lines: pl.DataFrame
    cycles: pl.DataFrame
    unrated: pl.DataFrame


def add_up(rated: pl.DataFrame, cycles: pl.DataFrame, prepared: Prepared) -> CycleSums:
    """Add the records of each cycle up, with what is priced for the cycle as a whole.

    Args:
        rated: Priced records, with their entry's volume_no.
        cycles: Every cycle at hand, also those without records.
        prepared: The plan.

    Raises:
        MoneyError: When a sum does not fit or reaches 10^18 micros.
    """
    with _exact():
        usage = _usage_lines(rated)
        volumes = _volume_lines(rated, prepared)
        before = _sums(pl.concat([usage, volumes]), cycles)
    limit = _limit_lines(before, prepared.plan.cycle)
    lines = pl.concat([usage, volumes, limit]).sort(*_KEY, "usage_type", "zone")
    totals = _sums(lines, cycles).with_columns(
        minimum_applied=_has_line(limit, MINIMUM_LINE),
        maximum_applied=_has_line(limit, MAXIMUM_LINE),
    )
    with _exact():
        unrated = _unrated(rated)
    _check_limit(totals)
    numbered = lines.with_columns(
        line_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(_KEY)
    )
    return CycleSums(
        require(numbered, LINES, "add_up lines"),
        require(totals, CYCLE_SUMS, "add_up cycles"),
        require(unrated, UNRATED, "add_up unrated"),
    )


@contextmanager
def _exact() -> Iterator[None]:
    """Turn "does not fit" into ours; a sum is right or there is none."""
    try:
        yield
    except pl.exceptions.InvalidOperationError as exc:
        if "conversion from" not in str(exc):
            raise
        message = "a sum over the records of a cycle does not fit in 64 bits"
        raise MoneyError(message) from exc


def _usage_lines(rated: pl.DataFrame) -> pl.DataFrame:
    named = rated.rename({"cost_micros": "provider_cost_micros"})
    return named.group_by(
        *_KEY, "usage_type", pl.col("zone").fill_null("").alias("zone")
    ).agg(
        pl.len().cast(pl.Int64).alias("cdr_count"),
        pl.col("charge_micros").null_count().cast(pl.Int64).alias("unrated_count"),
        *(exact_sum(name) for name in (*_SUMS, "charge_micros")),
    )


# --- pricing by the volume of a cycle ---------------------------------------------------


def _volume_lines(rated: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    counted = rated.filter(pl.col("volume_no").is_not_null() & (pl.col("rest") > 0))
    found = [
        _of_volume(counted.filter(pl.col("volume_no") == number), number, volume, prepared)
        for number, volume in enumerate(prepared.plan.volumes)
    ]
    return pl.concat([_usage_lines(rated.clear()), *found])


def _of_volume(
    counted: pl.DataFrame, number: int, volume: CycleVolume, prepared: Prepared
) -> pl.DataFrame:
    """Price what a customer, or each of its lines, used in a cycle, rounded once."""
    pool = [*_KEY, *(["subscriber"] if volume.pool == "line" else [])]
    pools = counted.group_by(pool).agg(pl.col("billable").cast(WIDE).sum().alias("volume"))
    if pools.filter(pl.col("volume") > MOST_UNITS).height:
        message = f"the volume of {volume.name!r} in one cycle is beyond 2^53"
        raise MoneyError(message)
    tiers = prepared.volumes.filter(pl.col("volume_no") == number)
    amount = _by_tier(volume)
    exact = (
        pools.with_columns(volume_no=pl.lit(number, NUMBER))
        .join(tiers, on="volume_no")
        .group_by(pool)
        .agg(amount.sum().alias("exact"))
    )
    rounding = prepared.plan.rounding
    denominator = pl.lit(
        prepared.volume_denominators[number] * 10 ** (9 - rounding.decimals), WIDE
    )
    charge = round_ratios(pl.col("exact"), denominator, rounding.mode) * 10 ** (
        6 - rounding.decimals
    )
    bounded = exact.with_columns(charge=_bounded(charge, volume.limits))
    return bounded.group_by(_KEY).agg(
        pl.lit(VOLUME_LINE).first().alias("usage_type"),
        pl.lit(volume.name).first().alias("zone"),
        *(pl.lit(0, pl.Int64).first().alias(name) for name in _COUNTS),
        pl.col("charge").sum().cast(pl.Int64, strict=True).alias("charge_micros"),
    )


_COUNTS: Final = ("cdr_count", "unrated_count", *_SUMS)


def _by_tier(volume: CycleVolume) -> pl.Expr:
    """What one tier adds: nanos times the denominator.

    1500 units at 2 up to 1000 and 1 beyond: graduated 2000 + 500, volume 1500.
    """
    used = pl.col("volume")
    is_reached = used > pl.col("tier_from")
    if volume.mode == "package":
        started = (used + pl.col("package") - 1) // pl.col("package")
        return started * pl.col("flat")
    if volume.mode == "volume":
        is_own = is_reached & (used <= pl.col("tier_to"))
        return pl.when(is_own).then(used * pl.col("coef") + pl.col("flat")).otherwise(0)
    within = (pl.min_horizontal(used, "tier_to") - pl.col("tier_from")).clip(0)
    flat = pl.when(is_reached).then("flat").otherwise(0)
    return within.cast(WIDE) * pl.col("coef") + flat


def _bounded(charge: pl.Expr, limits: Limits) -> pl.Expr:
    least, most = limits.minimum_micros, limits.maximum_micros
    if least is not None:
        charge = pl.max_horizontal(charge, pl.lit(least, WIDE))
    if most is not None:
        charge = pl.min_horizontal(charge, pl.lit(most, WIDE))
    return charge


# --- the least and the most of a cycle --------------------------------------------------


def _sums(lines: pl.DataFrame, cycles: pl.DataFrame) -> pl.DataFrame:
    names = ("charge_micros", "provider_cost_micros", "cdr_count", "unrated_count")
    sums = lines.group_by(_KEY).agg(exact_sum(name) for name in names)
    return (
        cycles.select(_KEY)
        .join(sums, on=_KEY, how="left", maintain_order="left")
        .with_columns(pl.col(names).fill_null(0))
    )


def _limit_lines(before: pl.DataFrame, limits: Limits) -> pl.DataFrame:
    """Lines that lift a cycle to its least, or hold it to its most."""
    charge = pl.col("charge_micros").cast(WIDE)
    moved = before.with_columns(
        added=(_bounded(charge, limits) - charge).cast(pl.Int64)
    ).filter(pl.col("added") != 0)
    word = pl.when(pl.col("added") > 0).then(pl.lit(MINIMUM_LINE))
    return moved.select(
        *_KEY,
        word.otherwise(pl.lit(MAXIMUM_LINE)).alias("usage_type"),
        pl.lit("").alias("zone"),
        *(pl.lit(0, pl.Int64).alias(name) for name in _COUNTS),
        pl.col("added").alias("charge_micros"),
    )


def _has_line(limit: pl.DataFrame, word: str) -> pl.Expr:
    own = limit.filter(pl.col("usage_type") == word).select(pl.struct(_KEY)).to_series()
    return pl.struct(_KEY).is_in(own.implode())


def _check_limit(totals: pl.DataFrame) -> None:
    beyond = totals.filter(pl.col("charge_micros").abs() >= LIMIT_MICROS)
    if not beyond.is_empty():
        customer_id, start = beyond.select(_KEY).row(0)
        message = f"customer {customer_id}, cycle {start}: beyond 10^18 micros"
        raise MoneyError(message)


def _unrated(rated: pl.DataFrame) -> pl.DataFrame:
    key = [*_KEY, "usage_type", "unrated_code", "unrated_reason"]
    return (
        rated.filter(pl.col("unrated_code").is_not_null())
        .group_by(key)
        .agg(
            pl.len().cast(pl.Int64).alias("cdr_count"),
            exact_sum("quantity"),
        )
        .sort(key)
    )
