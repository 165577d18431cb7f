"""Totals under rate plans: what each customer pays beside what the provider charges.

Pure. Frames in, frames out. A record is rated under the plan its customer has on the day
of the call, by the customer's clock; on a day without a plan the customer pays what the
provider charges, as under ``standard``. Where a plan changes in mid-cycle each plan rates
its own days, with its own allowances, minimum and maximum, and the lines are put together.

Totals are a function of the records, the plans and the cycles alone, whatever the order
of the records and however they were cut into frames of whole customers.

Units: ``_micros`` whole micros, ``_s`` seconds, ``_bytes`` bytes.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Final

import polars as pl

from transforms.cdr import INSTANT, Schema, require
from transforms.cycle import cycle_start
from transforms.errors import MoneyError
from transforms.match import cycle_end
from transforms.money import exact_sum
from transforms.rating import EVENTS, rate
from transforms.rating_cycle import UNRATED
from transforms.rating_tables import Prepared
from transforms.reference import CUSTOMER_RATE_PLANS
from transforms.totals import CYCLE_KEY, HEADERS, LINES, PAIRS, STANDARD, Totals, finished

RATE_PLAN: Final = "rateplan"

RECORDS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "call_date": INSTANT,
    "started_at_utc": INSTANT,
    "subscriber": pl.String(),
    "usage_type": pl.String(),
    "direction": pl.String(),
    "other": pl.String(),
    "zone": pl.String(),
    "roaming_country": pl.String(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
    "part_state": pl.String(),
    "fingerprint": pl.Int64(),
}
"""What rating needs of a stored record."""

ZONES: Final[Schema] = {"customer_id": pl.Int64(), "timezone": pl.String()}

REASONS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "reason_no": pl.Int64(),
    "usage_type": pl.String(),
    "unrated_code": pl.String(),
    "unrated_reason": pl.String(),
    "cdr_count": pl.Int64(),
    "quantity": pl.Int64(),
}
"""Why usage of a cycle has no price, numbered from 1."""

NAME_CHARS: Final = 128
"""Characters that the plans of one cycle may have together where they are stored."""

REASON_CHARS: Final = 255
ZONE_CHARS: Final = 64

NO_COST: Final = "cost_missing"
NO_COST_REASON: Final = "no plan holds on this day, and the provider gave no cost"

_COUNTS: Final = (
    "cdr_count",
    "unrated_count",
    "duration_s",
    "volume_bytes",
    "events",
    "cost_micros",
    "provider_cost_micros",
)
_LATER_PARTS: Final = ("mid", "last")


@dataclass(frozen=True)
class RatedTotals:
    """Totals, and why usage has no price (REASONS)."""

    totals: Totals
    reasons: pl.DataFrame


@dataclass(frozen=True)
class Planned:
    """Who has which plan and when, and the plans.

    Attributes:
        assignments: Frame ``CUSTOMER_RATE_PLANS``; those of a customer share no day.
        plans: Every plan of the assignments, made ready, by its id.
        zones: Frame ``ZONES``.
    """

    assignments: pl.DataFrame
    plans: Mapping[str, Prepared]
    zones: pl.DataFrame


def in_cycle(assignments: pl.DataFrame, pairs: pl.DataFrame) -> pl.DataFrame:
    """Return the plans that hold on any day of each cycle.

    Returns:
        customer_id, cycle_start_date, rate_plan, valid_from, valid_to.
    """
    ends = pairs.select(*CYCLE_KEY, "cycle_end_date")
    return (
        ends.join(assignments, on="customer_id", how="inner")
        .filter(
            pl.col("valid_from").is_null()
            | (pl.col("valid_from") < pl.col("cycle_end_date")),
            pl.col("valid_to").is_null()
            | (pl.col("valid_to") > pl.col("cycle_start_date")),
        )
        .drop("cycle_end_date")
    )


def rated_totals(
    pages: Iterable[pl.DataFrame], pairs: pl.DataFrame, planned: Planned
) -> RatedTotals:
    """Rate the records of every asked cycle, page by page.

    A cycle without records has what its plan charges for it, such as a minimum.

    Args:
        pages: Frames ``RECORDS`` with ``cycle_start_date``; all records of a cycle are in
            one page, which may hold many cycles.
        pairs: Frame ``PAIRS``, each cycle once.
        planned: The plans and who has them.

    Raises:
        MoneyError: When an amount or a sum reaches 10^18 micros or does not fit.
    """
    asked = require(pairs, PAIRS, "rated_totals pairs")
    spans = in_cycle(
        require(planned.assignments, CUSTOMER_RATE_PLANS, "rated_totals assignments"), asked
    )
    lines: list[pl.DataFrame] = [_no_lines()]
    reasons: list[pl.DataFrame] = [pl.DataFrame(schema=UNRATED)]
    left = asked.select(CYCLE_KEY)
    for page in pages:
        here = page.select(CYCLE_KEY).unique()
        left = left.join(here, on=CYCLE_KEY, how="anti")
        _rate_page(page, here, spans, planned, lines, reasons)
    nothing = pl.DataFrame(schema={**RECORDS, "cycle_start_date": pl.Date()})
    _rate_page(nothing, left, spans, planned, lines, reasons)
    with _exact():
        joined = _joined(pl.concat(lines))
        headers = _headers(asked, joined, spans, planned.plans)
    totals = finished(headers, require(joined, LINES, "rated_totals lines"))
    return RatedTotals(totals, _numbered(pl.concat(reasons)))


def _rate_page(
    page: pl.DataFrame,
    cycles: pl.DataFrame,
    spans: pl.DataFrame,
    planned: Planned,
    lines: list[pl.DataFrame],
    reasons: list[pl.DataFrame],
) -> None:
    """Rate some whole cycles, each plan its own days, and collect what comes of it."""
    own = spans.join(cycles, on=CYCLE_KEY, how="semi")
    records = page.with_row_index("row")
    placed = (
        records.select("row", *CYCLE_KEY, day=pl.col("call_date").dt.date())
        .join(own, on=CYCLE_KEY, how="inner")
        .filter(
            pl.col("valid_from").is_null() | (pl.col("day") >= pl.col("valid_from")),
            pl.col("valid_to").is_null() | (pl.col("day") < pl.col("valid_to")),
        )
        .select("row", "rate_plan")
    )
    for (name,), span in own.sort("rate_plan").group_by("rate_plan", maintain_order=True):
        rows = placed.filter(pl.col("rate_plan") == name).select("row")
        prepared = planned.plans[str(name)]
        events = _events(records.join(rows, on="row", how="semi"), prepared)
        asked = (
            span.select(CYCLE_KEY)
            .unique()
            .join(planned.zones, on="customer_id", how="left")
            .with_columns(pl.col("timezone").fill_null(prepared.plan.timezone))
        )
        sums = rate(events, asked, prepared).sums
        lines.append(
            sums.lines.rename({"charge_micros": "cost_micros"}).select(_no_lines().columns)
        )
        reasons.append(sums.unrated)
    rest = records.join(placed, on="row", how="anti")
    if not rest.is_empty():
        with _exact():
            lines.append(_at_cost(rest))
            reasons.append(_without_cost(rest))


def _events(records: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """Say of stored records what rating needs; see docs/rate-plans.md for the zone."""
    known = list(prepared.zone_of)
    country, zone = pl.col("roaming_country"), pl.col("zone")
    return records.with_columns(
        destination="other",
        zone=pl.when(country.is_in(known))
        .then(country)
        .when(zone.is_in(known))
        .then(zone)
        .otherwise(pl.coalesce(zone, country)),
        continuation=pl.col("part_state").is_in(_LATER_PARTS).fill_null(value=False),
        order_key="fingerprint",
    ).select(list(EVENTS))


def _at_cost(records: pl.DataFrame) -> pl.DataFrame:
    """Lines of days without a plan: the customer pays what the provider charges."""
    return (
        records.with_columns(provider_cost_micros="cost_micros")
        .group_by(*CYCLE_KEY, "usage_type", pl.col("zone").fill_null("").alias("zone"))
        .agg(
            pl.len().cast(pl.Int64).alias("cdr_count"),
            pl.col("cost_micros").null_count().cast(pl.Int64).alias("unrated_count"),
            *(exact_sum(name) for name in _COUNTS[2:]),
        )
        .select(_no_lines().columns)
    )


def _without_cost(records: pl.DataFrame) -> pl.DataFrame:
    quantity = (
        pl.when(pl.col("usage_type") == "voice")
        .then("duration_s")
        .when(pl.col("usage_type") == "data")
        .then("volume_bytes")
        .otherwise("events")
    )
    return (
        records.filter(pl.col("cost_micros").is_null())
        .with_columns(
            quantity=quantity,
            unrated_code=pl.lit(NO_COST),
            unrated_reason=pl.lit(NO_COST_REASON),
        )
        .group_by(*CYCLE_KEY, "usage_type", "unrated_code", "unrated_reason")
        .agg(pl.len().cast(pl.Int64).alias("cdr_count"), exact_sum("quantity"))
        .select(list(UNRATED))
    )


def _no_lines() -> pl.DataFrame:
    schema = {name: dtype for name, dtype in LINES.items() if name != "line_no"}
    return pl.DataFrame(schema={**schema, "provider_cost_micros": pl.Int64()})


def _joined(lines: pl.DataFrame) -> pl.DataFrame:
    """Put the lines of each cycle's plans together, and number them."""
    return (
        lines.with_columns(pl.col("zone").str.slice(0, ZONE_CHARS))
        .group_by(*CYCLE_KEY, "usage_type", "zone")
        .agg(exact_sum(name) for name in _COUNTS)
        .sort(*CYCLE_KEY, "usage_type", "zone")
        .with_columns(line_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(CYCLE_KEY))
    )


def _headers(
    pairs: pl.DataFrame,
    lines: pl.DataFrame,
    spans: pl.DataFrame,
    plans: Mapping[str, Prepared],
) -> pl.DataFrame:
    sums = lines.group_by(CYCLE_KEY).agg(
        exact_sum(name)
        for name in ("cost_micros", "provider_cost_micros", "cdr_count", "unrated_count")
    )
    return (
        pairs.join(_names(spans, plans), on=CYCLE_KEY, how="left")
        .join(sums.rename({"cost_micros": "total_cost_micros"}), on=CYCLE_KEY, how="left")
        .with_columns(
            pl.lit(RATE_PLAN).alias("method"),
            pl.col(
                "total_cost_micros", "provider_cost_micros", "cdr_count", "unrated_count"
            ).fill_null(0),
        )
        .select([name for name in HEADERS if name != "content_sha256"])
    )


def _names(spans: pl.DataFrame, plans: Mapping[str, Prepared]) -> pl.DataFrame:
    """Name the plans of each cycle in the order of their days, and their version.

    The version of one plan is its own; of several it is the hash of theirs and of the
    days from which each holds.
    """
    rows: list[tuple[object, ...]] = []
    ordered = spans.sort(*CYCLE_KEY, "valid_from", nulls_last=False)
    for key, group in ordered.group_by(CYCLE_KEY, maintain_order=True):
        names = group["rate_plan"].to_list()
        name = " + ".join(dict.fromkeys(names))
        if len(name) > NAME_CHARS:
            name = f"{len(names)} plans, {names[0]} first"
        versions = [plans[each].plan.sha256 for each in names]
        days = group.select("valid_from", "valid_to").rows()
        whole = f"{versions} {days}"
        version = versions[0]
        if len(names) > 1:
            version = sha256(whole.encode()).hexdigest()
        rows.append((*key, name, version))
    return pl.DataFrame(
        rows,
        {
            "customer_id": pl.Int64(),
            "cycle_start_date": pl.Date(),
            "rate_plan": pl.String(),
            "rate_plan_version": pl.String(),
        },
        orient="row",
    )


def _numbered(reasons: pl.DataFrame) -> pl.DataFrame:
    key = [*CYCLE_KEY, "usage_type", "unrated_code", "unrated_reason"]
    cut = reasons.with_columns(pl.col("unrated_reason").str.slice(0, REASON_CHARS))
    with _exact():
        added = cut.group_by(key).agg(exact_sum("cdr_count"), exact_sum("quantity"))
    numbered = added.sort(key).with_columns(
        reason_no=pl.int_range(1, pl.len() + 1, dtype=pl.Int64).over(CYCLE_KEY)
    )
    return require(numbered, REASONS, "rated_totals reasons")


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


# --- what history would have cost -------------------------------------------------------


def history_pairs(customers: pl.DataFrame, day: date, cycles: int) -> pl.DataFrame:
    """The cycle of each customer that contains a day, and those before it, as ``PAIRS``."""
    at = customers.select("customer_id", "currency", "cycle_day", day=pl.lit(day))
    found = [pl.DataFrame(schema=PAIRS)]
    for _ in range(cycles):
        starts = at.with_columns(
            cycle_start_date=cycle_start(pl.col("day"), pl.col("cycle_day"))
        )
        ends = cycle_end("cycle_start_date", "cycle_day")
        found.append(starts.with_columns(cycle_end_date=ends).select(list(PAIRS)))
        at = starts.select(
            "customer_id",
            "currency",
            "cycle_day",
            day=pl.col("cycle_start_date") - pl.duration(days=1),
        )
    return pl.concat(found).sort(CYCLE_KEY)


def plan_for_all(pairs: pl.DataFrame, name: str) -> pl.DataFrame:
    """Give every customer one plan for ever, as ``CUSTOMER_RATE_PLANS``."""
    return (
        pairs.select("customer_id")
        .unique()
        .sort("customer_id")
        .with_columns(
            rate_plan=pl.lit(name),
            valid_from=pl.lit(None, pl.Date),
            valid_to=pl.lit(None, pl.Date),
        )
    )


def savings(name: str, headers: pl.DataFrame, real: pl.DataFrame) -> pl.DataFrame:
    """Add up by customer what cycles would have cost, beside what they did cost.

    Args:
        name: The plan that was tried.
        headers: Frame ``HEADERS`` under that plan.
        real: customer_id, cycle_start_date, total_cost_micros, provider_cost_micros.
    """
    stored = real.select(*CYCLE_KEY, real_micros="total_cost_micros")
    with _exact():
        return (
            headers.join(stored, on=CYCLE_KEY, how="inner")
            .rename({"total_cost_micros": "simulated_micros"})
            .group_by("customer_id")
            .agg(
                pl.len().cast(pl.Int64).alias("cycles"),
                exact_sum("real_micros"),
                exact_sum("simulated_micros"),
                exact_sum("provider_cost_micros"),
                exact_sum("unrated_count"),
            )
            .with_columns(
                rate_plan=pl.lit(name),
                saving_micros=pl.col("real_micros") - pl.col("simulated_micros"),
            )
        )


# --- what changed between two revisions -------------------------------------------------


@dataclass(frozen=True)
class Facts:
    """What is known of one revision of a cycle, beside its lines."""

    revision: int
    method: str
    rate_plan: str | None
    rate_plan_version: str | None


def line_changes(
    was: Facts, was_lines: pl.DataFrame, now: Facts, now_lines: pl.DataFrame
) -> list[dict[str, object]]:
    """Compare two revisions line by line; lines that are equal are left out.

    Returns:
        One entry a line: usage_type, zone, ``was`` and ``is`` (cost_micros, cdr_count,
        unrated_count; null where there is no such line) and ``why``.
    """
    by_place = [
        {(row["usage_type"], row["zone"]): row for row in lines.iter_rows(named=True)}
        for lines in (was_lines, now_lines)
    ]
    before, after = by_place
    plan_changed = plan_change(was, now) is not None
    changes: list[dict[str, object]] = []
    for place in sorted({*before, *after}):
        old, new = before.get(place), after.get(place)
        if old is not None and new is not None and _same(old, new):
            continue
        usage_type, zone = place
        changes.append(
            {
                "usage_type": usage_type,
                "zone": zone,
                "was": _shown(old),
                "is": _shown(new),
                "why": _why(old, new, plan_changed=plan_changed),
            }
        )
    return changes


def plan_change(was: Facts, now: Facts) -> str | None:
    """Say how the way of pricing changed, or None when it did not."""
    names = [_priced_by(facts) for facts in (was, now)]
    if names[0] != names[1]:
        return f"priced by {names[1]} instead of {names[0]}"
    if was.rate_plan_version != now.rate_plan_version:
        return f"another version of {names[1]}"
    return None


def _priced_by(facts: Facts) -> str:
    return STANDARD if facts.rate_plan is None else f"rate plan {facts.rate_plan}"


_COMPARED: Final = (
    "cdr_count",
    "unrated_count",
    "duration_s",
    "volume_bytes",
    "events",
    "cost_micros",
)


def _same(old: Mapping[str, object], new: Mapping[str, object]) -> bool:
    return all(old[name] == new[name] for name in _COMPARED)


def _shown(row: Mapping[str, object] | None) -> dict[str, object] | None:
    if row is None:
        return None
    return {name: row[name] for name in ("cost_micros", "cdr_count", "unrated_count")}


def _why(
    old: Mapping[str, object] | None,
    new: Mapping[str, object] | None,
    *,
    plan_changed: bool,
) -> list[str]:
    """As far as the lines tell: how many records came or went, and else what changed."""
    counts = [0 if row is None else int(str(row["cdr_count"])) for row in (old, new)]
    more = counts[1] - counts[0]
    why = []
    if more > 0:
        why.append(f"{more} records added")
    if more < 0:
        why.append(f"{-more} records gone")
    if plan_changed:
        why.append("plan changed")
    elif more == 0 and any(counts):
        why.append("records corrected")
    return why or ["follows from other lines"]
