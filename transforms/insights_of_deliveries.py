"""Insights about what providers bring: late, missing, twice, or nobody's.

Pure. Frames in, findings out.

Units: ``_micros`` whole micros, ``_percent`` whole percent.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import polars as pl

from transforms.cdr import Schema, require
from transforms.cycle import Cycle
from transforms.insights import MISSING_DELIVERY, Insight, Thresholds
from transforms.money import exact_sum

GAPS: Final = 6
"""How many gaps between deliveries say what is usual; half of them must be there."""

UNMATCHED: Final[Schema] = {
    "provider": pl.String(),
    "subscriber": pl.String(),
    "record_count": pl.Int64(),
    "cost_micros": pl.Int64(),
    "first_day": pl.Date(),
    "last_day": pl.Date(),
}
"""Records that wait for an owner, by what they were delivered for; days in UTC."""

DUPLICATES: Final[Schema] = {
    "import_id": pl.Int64(),
    "provider": pl.String(),
    "file_name": pl.String(),
    "records": pl.Int64(),
    "duplicates": pl.Int64(),
}
"""Complete imports that had duplicates."""

DELIVERED: Final[Schema] = {
    "provider": pl.String(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "customers": pl.Int64(),
}
"""Of how many customers a provider's complete deliveries touched a cycle."""

ARRIVALS: Final[Schema] = {"provider": pl.String(), "day": pl.Date()}
"""The days on which complete deliveries came, each once."""


def missing_deliveries(
    delivered: pl.DataFrame, ended: Sequence[Cycle], as_of: date, limits: Thresholds
) -> list[Insight]:
    """Find providers that brought the cycle before, and nothing from this one on.

    Args:
        delivered: Frame ``DELIVERED``.
        ended: The cycles to look at.
        as_of: The day; a cycle that ended less than ``missing_days`` ago still has time.
        limits: The thresholds.
    """
    rows = require(delivered, DELIVERED, "missing_deliveries")
    newest = rows.group_by("provider").agg(newest=pl.col("cycle_start_date").max())
    found: list[Insight] = []
    for cycle in sorted(set(ended)):
        if as_of - cycle.end < timedelta(days=limits.missing_days):
            continue
        gone = (
            rows.filter(pl.col("cycle_end_date") == cycle.start)
            .group_by("provider")
            .agg(exact_sum("customers"))
            .join(newest.filter(pl.col("newest") < cycle.start), on="provider", how="semi")
        )
        found += [
            Insight(
                MISSING_DELIVERY,
                "warning",
                {"customers_before": customers, "cycle_end_date": cycle.end},
                provider=provider,
                cycle_start_date=cycle.start,
                subject=str(cycle.start),
            )
            for provider, customers in gone.sort("provider").iter_rows()
        ]
    return found


def late_deliveries(
    arrivals: pl.DataFrame, as_of: date, limits: Thresholds
) -> list[Insight]:
    """Find providers whose next delivery is due for longer than any gap lately.

    The longest of the last six gaps between days with deliveries is what may be: three
    days for a daily feed that rests at weekends, 31 for a monthly one. At least three gaps
    must be known.
    """
    found: list[Insight] = []
    rows = require(arrivals, ARRIVALS, "late_deliveries").sort("provider", "day")
    for (provider,), group in rows.group_by("provider", maintain_order=True):
        days = group["day"].to_list()
        gaps = [(b - a).days for a, b in pairwise(days)][-GAPS:]
        if len(gaps) * 2 < GAPS:
            continue
        expected_by = days[-1] + timedelta(days=max(gaps))
        if as_of - expected_by < timedelta(days=limits.late_days):
            continue
        found.append(
            Insight(
                "late_delivery",
                "warning",
                {
                    "last_came": days[-1],
                    "expected_by": expected_by,
                    "longest_gap_days": max(gaps),
                },
                provider=str(provider),
                subject="deliveries",
            )
        )
    return found


def duplicate_shares(imports: pl.DataFrame, limits: Thresholds) -> list[Insight]:
    """Find imports of which too many records had come before."""
    found = require(imports, DUPLICATES, "duplicate_shares").filter(
        pl.col("duplicates") >= limits.duplicate_records,
        pl.col("duplicates") * 100 >= pl.col("records") * limits.duplicate_percent,
    )
    return [
        Insight(
            "duplicate_share",
            "warning",
            {
                "import_id": row["import_id"],
                "file_name": row["file_name"],
                "records": row["records"],
                "duplicates": row["duplicates"],
                "percent": row["duplicates"] * 100 // row["records"],
            },
            provider=row["provider"],
            subject=f"import {row['import_id']}",
        )
        for row in found.sort("import_id").iter_rows(named=True)
    ]


def unmatched_numbers(unmatched: pl.DataFrame, limits: Thresholds) -> list[Insight]:
    """Tell, once for a provider, how much waits for an owner.

    The numbers themselves are nobody's yet, so evidence does not name them; they are
    listed by ``etl rejects:list``.
    """
    found = (
        require(unmatched, UNMATCHED, "unmatched_numbers")
        .group_by("provider")
        .agg(
            pl.len().cast(pl.Int64).alias("numbers"),
            exact_sum("record_count"),
            exact_sum("cost_micros"),
            pl.col("first_day").min(),
            pl.col("last_day").max(),
        )
        .filter(pl.col("record_count") >= limits.unmatched_records)
    )
    return [
        Insight(
            "unmatched_numbers",
            "warning",
            {
                "numbers": row["numbers"],
                "records": row["record_count"],
                "cost_micros": row["cost_micros"],
                "first_day": row["first_day"],
                "last_day": row["last_day"],
            },
            provider=row["provider"],
            subject="numbers",
        )
        for row in found.sort("provider").iter_rows(named=True)
    ]
