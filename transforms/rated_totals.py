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
from dataclasses import dataclass, field, replace
from datetime import date
from hashlib import sha256
from typing import Final

import polars as pl

from transforms.allowances import LEFT, USED
from transforms.cdr import INSTANT, Schema, require
from transforms.cycle import cycle_start
from transforms.errors import ContractError, MoneyError
from transforms.match import cycle_end
from transforms.money import exact_sum
from transforms.rate_plan import RatePlan
from transforms.rating import EVENTS, Rated, rate
from transforms.rating_cycle import UNRATED
from transforms.rating_tables import Prepared
from transforms.reference import CUSTOMER_RATE_PLANS
from transforms.totals import CYCLE_KEY, HEADERS, LINES, PAIRS, Totals, finished

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


ALLOWANCES: Final[Schema] = {
    **{name: dtype for name, dtype in LEFT.items() if name != "left"},
    "is_once": pl.Int64(),
}
"""What allowances gave in a cycle: what was available at its start, and used in it."""

ONE_OFFS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "rate_plan": pl.String(),
    "allowance": pl.String(),
    "subscriber": pl.String(),
    "used": pl.Int64(),
}
"""What cycles used of one-off allowances: what later cycles begin with depends on it."""


@dataclass(frozen=True)
class RatedTotals:
    """Totals, why usage has no price (REASONS), and what allowances gave (ALLOWANCES)."""

    totals: Totals
    reasons: pl.DataFrame
    allowances: pl.DataFrame


@dataclass(frozen=True)
class Planned:
    """Who has which plan and when, and the plans.

    Attributes:
        assignments: Frame ``CUSTOMER_RATE_PLANS``; those of a customer share no day.
        plans: Every plan of the assignments, made ready, by its id.
        zones: Frame ``ZONES``.
        one_offs: Frame ``ONE_OFFS``: what other cycles of these customers used.
    """

    assignments: pl.DataFrame
    plans: Mapping[str, Prepared]
    zones: pl.DataFrame
    one_offs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=ONE_OFFS))


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

    A cycle without records has what its plan charges for it, such as a minimum. What an
    asked cycle used of a one-off allowance is not there any more in the asked cycles
    after it; what cycles that are not asked used is in ``planned``.

    Args:
        pages: Frames ``RECORDS`` with ``cycle_start_date``; all records of a cycle are in
            one page, which may hold many cycles. A later page has no earlier cycles.
        pairs: Frame ``PAIRS``, each cycle once.
        planned: The plans and who has them.

    Raises:
        ContractError: When an earlier cycle comes after a later one.
        MoneyError: When an amount or a sum reaches 10^18 micros or does not fit.
    """
    asked = require(pairs, PAIRS, "rated_totals pairs")
    spans = in_cycle(
        require(planned.assignments, CUSTOMER_RATE_PLANS, "rated_totals assignments"), asked
    )
    others = planned.one_offs.join(asked, on=CYCLE_KEY, how="anti")
    found = _Found(replace(planned, one_offs=others))
    left = asked.select(CYCLE_KEY)
    for page in _in_rising_order(pages, planned):
        here = page.select(CYCLE_KEY).unique()
        left = left.join(here, on=CYCLE_KEY, how="anti")
        _rate_page(page, spans.join(here, on=CYCLE_KEY, how="semi"), found)
    nothing = pl.DataFrame(schema={**RECORDS, "cycle_start_date": pl.Date()})
    _rate_page(nothing, spans.join(left, on=CYCLE_KEY, how="semi"), found)
    with _exact():
        joined = _joined(pl.concat(found.lines))
        headers = _headers(asked, joined, spans, planned.plans)
    totals = finished(headers, require(joined, LINES, "rated_totals lines"))
    allowances = pl.concat(found.allowances).sort(list(ALLOWANCES)[:5])
    return RatedTotals(totals, _numbered(pl.concat(found.reasons)), allowances)


@dataclass
class _Found:
    """What came of the pages so far, and what the next one begins with."""

    planned: Planned
    lines: list[pl.DataFrame] = field(default_factory=lambda: [_no_lines()])
    reasons: list[pl.DataFrame] = field(
        default_factory=lambda: [pl.DataFrame(schema=UNRATED)]
    )
    allowances: list[pl.DataFrame] = field(
        default_factory=lambda: [pl.DataFrame(schema=ALLOWANCES)]
    )

    def add(self, rated: Rated) -> None:
        """Keep what some cycles came to under one plan."""
        lines = rated.sums.lines.rename({"charge_micros": "cost_micros"})
        self.lines.append(lines.select(_no_lines().columns))
        self.reasons.append(rated.sums.unrated)
        allowances = rated.allowances_left.with_columns(pl.col("is_once").cast(pl.Int64))
        self.allowances.append(allowances.select(list(ALLOWANCES)))
        known = pl.concat([self.planned.one_offs, one_offs_in(rated.allowances_left)])
        self.planned = replace(self.planned, one_offs=known)


def _in_rising_order(
    pages: Iterable[pl.DataFrame], planned: Planned
) -> Iterator[pl.DataFrame]:
    """See that no cycle comes after one that begins with what it left."""
    latest = date.min
    is_ordered = any(has_one_offs(each.plan) for each in planned.plans.values())
    for page in pages:
        if is_ordered and not page.is_empty():
            starts = page["cycle_start_date"].unique().sort().to_list()
            if starts[0] < latest:
                message = f"records of the cycle of {starts[0]} came after {latest}'s"
                raise ContractError(message)
            latest = starts[-1]
        yield page


def _rate_page(page: pl.DataFrame, spans: pl.DataFrame, found: _Found) -> None:
    """Rate some whole cycles, each plan its own days, and collect what comes of it."""
    records = page.with_row_index("row")
    placed = placed_days(records, spans)
    for rated in rated_by_plan(records, placed, spans, found.planned):
        found.add(rated)
    rest = records.join(placed, on="row", how="anti")
    if not rest.is_empty():
        with _exact():
            found.lines.append(_at_cost(rest))
            found.reasons.append(_without_cost(rest))


def placed_days(records: pl.DataFrame, spans: pl.DataFrame) -> pl.DataFrame:
    """Say which plan holds on the day of each record; ``row`` and ``rate_plan``."""
    return (
        records.select("row", *CYCLE_KEY, day=pl.col("call_date").dt.date())
        .join(spans, on=CYCLE_KEY, how="inner")
        .filter(
            pl.col("valid_from").is_null() | (pl.col("day") >= pl.col("valid_from")),
            pl.col("valid_to").is_null() | (pl.col("day") < pl.col("valid_to")),
        )
        .select("row", "rate_plan")
    )


def rated_by_plan(
    records: pl.DataFrame, placed: pl.DataFrame, spans: pl.DataFrame, planned: Planned
) -> Iterator[Rated]:
    """Rate records plan by plan, each plan the days it holds on.

    Args:
        records: Frame ``RECORDS`` with ``cycle_start_date`` and ``row``, of whole cycles.
        placed: What :func:`placed_days` says of them.
        spans: The plans that hold in these cycles, as :func:`in_cycle` returns them.
        planned: The plans, the customers' zones, and what other cycles used.
    """
    known = planned.one_offs.join(spans, on=CYCLE_KEY, how="anti")
    for (name,), span in spans.sort("rate_plan").group_by("rate_plan", maintain_order=True):
        prepared = planned.plans[str(name)]
        rows = placed.filter(pl.col("rate_plan") == name).select("row")
        is_all = rows.height == records.height
        own_records = records if is_all else records.join(rows, on="row", how="semi")
        events = _events(own_records, prepared)
        asked = (
            span.select(CYCLE_KEY)
            .unique()
            .join(planned.zones, on="customer_id", how="left")
            .with_columns(pl.col("timezone").fill_null(prepared.plan.timezone))
        )
        own = known.filter(pl.col("rate_plan") == name)
        for cycles, part in _one_after_the_other(asked, events, prepared):
            rated = rate(part, cycles, prepared, _used_before(cycles, own))
            own = pl.concat([own, one_offs_in(rated.allowances_left)])
            yield rated


def _one_after_the_other(
    cycles: pl.DataFrame, events: pl.DataFrame, prepared: Prepared
) -> Iterator[tuple[pl.DataFrame, pl.DataFrame]]:
    """Cut cycles and their records where what one used is gone in the next."""
    starts = cycles["cycle_start_date"].unique().sort()
    if len(starts) <= 1 or not has_one_offs(prepared.plan):
        yield cycles, events
        return
    for start in starts:
        own = pl.col("cycle_start_date") == start
        yield cycles.filter(own), events.filter(own)


def has_one_offs(plan: RatePlan) -> bool:
    """Tell whether what a cycle costs depends on the cycles before it."""
    return any(allowance.period == "once" for allowance in plan.allowances)


def _used_before(cycles: pl.DataFrame, known: pl.DataFrame) -> pl.DataFrame:
    """What was used of a plan's one-off allowances before some cycles begin (USED)."""
    if known.is_empty():
        return pl.DataFrame(schema=USED)
    begins = cycles.group_by("customer_id").agg(begin=pl.col("cycle_start_date").min())
    return (
        known.join(begins, on="customer_id", how="inner")
        .filter(pl.col("cycle_start_date") < pl.col("begin"))
        .group_by("customer_id", "subscriber", "allowance")
        .agg(pl.col("used").sum())
        .select(list(USED))
    )


def one_offs_in(allowances: pl.DataFrame) -> pl.DataFrame:
    """What cycles used of one-off allowances (ONE_OFFS), of all their allowances."""
    own = allowances.filter(pl.col("is_once").cast(pl.Boolean), pl.col("used") != 0)
    return own.select(list(ONE_OFFS))


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
        pairs.join(plan_names(spans, plans), on=CYCLE_KEY, how="left")
        .join(sums.rename({"cost_micros": "total_cost_micros"}), on=CYCLE_KEY, how="left")
        .with_columns(
            pl.lit(RATE_PLAN).alias("method"),
            pl.col(
                "total_cost_micros", "provider_cost_micros", "cdr_count", "unrated_count"
            ).fill_null(0),
        )
        .select([name for name in HEADERS if name != "content_sha256"])
    )


def plan_names(spans: pl.DataFrame, plans: Mapping[str, Prepared]) -> pl.DataFrame:
    """Name the plans of each cycle in the order of their days, and their version.

    The version of one plan is its own; of several it is the hash of theirs and of the
    days from which each holds.
    """
    ordered = spans.sort(*CYCLE_KEY, "valid_from", nulls_last=False)
    versions = {name: prepared.plan.sha256 for name, prepared in plans.items()}
    version = pl.col("rate_plan").replace_strict(versions, return_dtype=pl.String)
    named = ordered.select(*CYCLE_KEY, "rate_plan", rate_plan_version=version)
    is_alone = ~named.select(CYCLE_KEY).is_duplicated()
    shared = [
        (*key, *_names_together(group, versions))
        for key, group in ordered.filter(~is_alone).group_by(CYCLE_KEY, maintain_order=True)
    ]
    together = pl.DataFrame(shared, named.schema, orient="row")
    return pl.concat([named.filter(is_alone), together])


def _names_together(spans: pl.DataFrame, versions: Mapping[str, str]) -> tuple[str, str]:
    """Name several plans of one cycle, and what stands for their versions."""
    names = spans["rate_plan"].to_list()
    name = " + ".join(dict.fromkeys(names))
    if len(name) > NAME_CHARS:
        name = f"{len(names)} plans, {names[0]} first"
    days = spans.select("valid_from", "valid_to").rows()
    whole = f"{[versions[each] for each in names]} {days}"
    return name, sha256(whole.encode()).hexdigest()


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
