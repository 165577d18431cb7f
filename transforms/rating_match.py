"""Matching: find the entry of the plan that covers each record, or say why none does.

Pure. Reads top to bottom: the plan's zone of each record, then for each usage type,
direction and zone one binary search of all destinations at once.
"""

from collections.abc import Iterator
from typing import Final, cast

import polars as pl

from transforms.rate_plan import RatePlan
from transforms.rate_scopes import ANY_ZONE, Place
from transforms.rating_tables import NUMBER, Prepared

ZONE_UNKNOWN: Final = "zone_unknown"
NO_ENTRY: Final = "no_entry"

_FOUND: Final = {
    "row": pl.UInt32(),
    "plan_zone": pl.String(),
    "entry_no": NUMBER,
    "unrated_code": pl.String(),
    "unrated_reason": pl.String(),
}


def find_entries(records: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """Find the entry of each record.

    Entries for the record's zone go before those for any zone; within them the longest
    prefix wins. A zone the plan does not know is never taken for home.

    Args:
        records: row, usage_type, direction, zone, destination; rows in rising order.
        prepared: The plan.

    Returns:
        row, plan_zone, entry_no, unrated_code and unrated_reason, sorted by row.
    """
    asked = records.select(
        "row",
        "usage_type",
        pl.col("direction").fill_null("out"),
        _plan_zone(prepared),
        "zone",
        pl.col("destination").fill_null(""),
    )
    by_place = asked.partition_by(
        ["usage_type", "direction", "plan_zone"], as_dict=True, include_key=True
    )
    found = [
        each
        for (usage, direction, zone), group in by_place.items()
        for each in _of_place((usage, direction, zone), group, prepared)
    ]
    empty = pl.DataFrame(schema=_FOUND)
    return pl.concat([empty, *found]).sort("row")


def _plan_zone(prepared: Prepared) -> pl.Expr:
    """The plan's zone of each record: empty for none, null for one it does not know."""
    zone = pl.col("zone").fill_null("")
    if not prepared.zone_of:
        return pl.lit(ANY_ZONE).alias("plan_zone")
    known = {ANY_ZONE: ANY_ZONE, **prepared.zone_of}
    return zone.replace_strict(known, default=None, return_dtype=pl.String).alias(
        "plan_zone"
    )


def _of_place(
    place: tuple[object, ...], group: pl.DataFrame, prepared: Prepared
) -> Iterator[pl.DataFrame]:
    usage, direction, zone = place
    if zone is None:
        yield _unrated(group, ZONE_UNKNOWN, _unknown_zone(prepared.plan))
        return
    number = pl.Series("entry_no", [None] * group.height, NUMBER)
    for scope_zone in dict.fromkeys((str(zone), ANY_ZONE)):
        key = cast("Place", (usage, direction, scope_zone))
        if key in prepared.scopes:
            begins, covers = prepared.scopes[key]
            place_in = begins.search_sorted(group["destination"], side="right") - 1
            number = number.zip_with(number.is_not_null(), covers.gather(place_in))
    where = f", zone {zone}" if zone else ""
    reason = (
        f"no entry of plan {prepared.plan.id} covers {usage} {direction}{where} to this"
        f" destination"
    )
    covered = group.with_columns(number.alias("entry_no"))
    yield _unrated(covered.filter(pl.col("entry_no").is_null()), NO_ENTRY, pl.lit(reason))
    yield covered.filter(pl.col("entry_no").is_not_null()).select(
        "row",
        "plan_zone",
        "entry_no",
        pl.lit(None, pl.String).alias("unrated_code"),
        pl.lit(None, pl.String).alias("unrated_reason"),
    )


def _unknown_zone(plan: RatePlan) -> pl.Expr:
    return pl.format("plan {} knows no zone {}", pl.lit(plan.id), pl.col("zone"))


def _unrated(group: pl.DataFrame, code: str, reason: pl.Expr) -> pl.DataFrame:
    return group.select(
        "row",
        "plan_zone",
        pl.lit(None, NUMBER).alias("entry_no"),
        pl.lit(code).alias("unrated_code"),
        reason.alias("unrated_reason"),
    )
