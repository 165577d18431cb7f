"""Matching: find the entry of the plan that covers each record, or say why none does.

Pure. Reads top to bottom: the plan's zone of each record, then for each usage type,
direction and zone one binary search of all destinations at once.
"""

from typing import Final, cast

import polars as pl

from transforms.rate_plan import RatePlan
from transforms.rate_scopes import ANY_ZONE, Place
from transforms.rating_tables import NUMBER, Prepared

ZONE_UNKNOWN: Final = "zone_unknown"
NO_ENTRY: Final = "no_entry"


def find_entries(records: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """Find the entry of each record.

    Entries for the record's zone go before those for any zone; within them the longest
    prefix wins. A zone the plan does not know is never taken for home.

    Args:
        records: row (its place in the frame), usage_type, direction, zone, destination.
        prepared: The plan.

    Returns:
        row, plan_zone, entry_no, unrated_code and unrated_reason, in the same order.
    """
    asked = records.select(
        "row",
        "usage_type",
        pl.col("direction").fill_null("out"),
        _plan_zone(prepared),
        "zone",
        pl.col("destination").fill_null(""),
    )
    place = ["usage_type", "direction", "plan_zone"]
    groups = asked.select("row", *place, "destination").partition_by(place, as_dict=True)
    number = pl.Series("entry_no", [None] * asked.height, NUMBER)
    for (usage, direction, zone), group in groups.items():
        if zone is not None:
            at = cast("Place", (usage, direction, zone))
            number = number.scatter(group["row"], _of_place(at, group, prepared))
    found = asked.with_columns(number)
    why = _unrated(found.filter(pl.col("entry_no").is_null()), prepared.plan)
    return found.select("row", "plan_zone", "entry_no").join(
        why, on="row", how="left", maintain_order="left"
    )


def _plan_zone(prepared: Prepared) -> pl.Expr:
    """The plan's zone of each record: empty for none, null for one it does not know."""
    zone = pl.col("zone").fill_null("")
    if not prepared.zone_of:
        return pl.lit(ANY_ZONE).alias("plan_zone")
    known = {ANY_ZONE: ANY_ZONE, **prepared.zone_of}
    return zone.replace_strict(known, default=None, return_dtype=pl.String).alias(
        "plan_zone"
    )


def _of_place(place: Place, group: pl.DataFrame, prepared: Prepared) -> pl.Series:
    """The entry of each destination of one place; null for nobody's."""
    usage, direction, zone = place
    number = pl.Series("entry_no", [None] * group.height, NUMBER)
    for scope_zone in dict.fromkeys((zone, ANY_ZONE)):
        scope = prepared.scopes.get((usage, direction, scope_zone))
        if scope is not None:
            begins, covers = scope
            place_in = begins.search_sorted(group["destination"], side="right") - 1
            number = number.zip_with(number.is_not_null(), covers.gather(place_in))
    return number


def _unrated(records: pl.DataFrame, plan: RatePlan) -> pl.DataFrame:
    """Say why no entry covers these records: row, unrated_code and unrated_reason."""
    zone = pl.col("plan_zone")
    where = pl.when(zone == ANY_ZONE).then(pl.lit("")).otherwise(", zone " + zone)
    nobody = pl.format(
        "no entry of plan {} covers {} {}{} to this destination",
        pl.lit(plan.id),
        "usage_type",
        "direction",
        where,
    )
    unknown = pl.format("plan {} knows no zone {}", pl.lit(plan.id), pl.col("zone"))
    is_unknown = zone.is_null()
    return records.select(
        "row",
        unrated_code=pl.when(is_unknown)
        .then(pl.lit(ZONE_UNKNOWN))
        .otherwise(pl.lit(NO_ENTRY)),
        unrated_reason=pl.when(is_unknown).then(unknown).otherwise(nobody),
    )
