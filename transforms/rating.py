"""Rating: turn what customers used into what it costs them under a rate plan.

Pure. Frames in, frames out; no clock, no database. All customers and cycles in a frame
are rated in few passes over its columns, in whole numbers only. What a record costs
depends on its cycle's records and the plan, never on the order they came in.

Reads top to bottom: put records in order of time, find the entry of each, use the
allowances of units, price what is over, use the allowances of money, add up the cycle.

Units: ``_s`` seconds, ``_bytes`` bytes, ``_micros`` whole micros; ``quantity``, ``rest``
and ``billable`` are in the unit of the usage type. docs/rate-plans.md has the rules.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

import polars as pl

from transforms.allowances import USED, draw_money, draw_units
from transforms.cdr import INSTANT, Schema, require
from transforms.errors import ContractError, MoneyError
from transforms.money import LIMIT_MICROS, round_ratios
from transforms.rate_plan import Rounding
from transforms.rate_plan_values import MOST_UNITS, NANOS_PER_MICRO
from transforms.rate_windows import NO_WINDOW, TimeLines, split, time_lines
from transforms.rating_cycle import CycleSums, add_up
from transforms.rating_match import find_entries
from transforms.rating_tables import NUMBER, WIDE, Prepared, scattered

EVENTS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "subscriber": pl.String(),
    "usage_type": pl.String(),
    "direction": pl.String(),
    "destination": pl.String(),
    "zone": pl.String(),
    "call_date": INSTANT,
    "started_at_utc": INSTANT,
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
    "continuation": pl.Boolean(),
    "order_key": pl.Int64(),
}
"""What rating needs of a record.

``destination`` is a number as E.164 with its ``+``, else a short code or name as it is.
``order_key`` breaks ties of records that began at one instant: unlike for each of them,
and the same at every run. ``continuation`` marks a later part of a call that was split.
"""

CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "timezone": pl.String(),
}
"""Every cycle at hand, also those without records, with the zone of the customer."""

RATED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "order_key": pl.Int64(),
    "started_at_utc": INSTANT,
    "usage_type": pl.String(),
    "zone": pl.String(),
    "entry": pl.String(),
    "quantity": pl.Int64(),
    "in_allowance": pl.Int64(),
    "overage": pl.Int64(),
    "billable": pl.Int64(),
    "allowance_micros": pl.Int64(),
    "charge_micros": pl.Int64(),
    "cost_micros": pl.Int64(),
    "unrated_code": pl.String(),
    "unrated_reason": pl.String(),
}
"""A record with its price. ``overage``: what an allowance covers but could not give;
``billable``: what is charged for, rounded up. ``charge_micros`` is null for unrated."""

LONGEST_S: Final = 366 * 86_400
"""No call is longer than a year; one that says so is not priced."""

_KEY: Final = ("customer_id", "cycle_start_date")

_REASONS: Final = {
    "plan_not_valid": "the plan is not valid on this day",
    "quantity_missing": "the record has no quantity",
    "quantity_out_of_range": "no such quantity can be priced",
    "cost_missing": "the entry is at cost, and the provider gave none",
}


@dataclass(frozen=True)
class Rated:
    """What records cost.

    Attributes:
        events: Frame ``RATED``, by customer, instant and order key.
        sums: Lines, cycles and unrated usage, each summing to the one before.
        allowances_left: Frame ``transforms.allowances.LEFT``.
    """

    events: pl.DataFrame
    sums: CycleSums
    allowances_left: pl.DataFrame


def rate(
    events: pl.DataFrame,
    cycles: pl.DataFrame,
    prepared: Prepared,
    used: pl.DataFrame | None = None,
) -> Rated:
    """Rate the records of whole cycles.

    Args:
        events: Frame ``EVENTS``, in any order, with every record of each cycle.
        cycles: Frame ``CYCLES``.
        prepared: The plan, made ready by ``transforms.rating_tables.prepare``.
        used: Frame ``USED``: one-off allowances as far as earlier records used them.

    Raises:
        ContractError: When a record is of no cycle at hand, or two have one order key.
        MoneyError: When an amount reaches 10^18 micros.
    """
    before = pl.DataFrame(schema=USED) if used is None else require(used, USED, "rate used")
    asked = require(cycles, CYCLES, "rate cycles").unique().sort(_KEY)
    placed = _placed(require(events, EVENTS, "rate events"), asked)
    covered = _covered(placed, prepared)
    units = draw_units(covered, prepared, asked, before)
    priced = _priced(units.records, prepared)
    money = draw_money(priced, prepared, asked, before)
    rated = money.records
    sums = add_up(rated, asked, prepared)
    return Rated(
        require(_described(rated, prepared), RATED, "rate"),
        sums,
        pl.concat([units.left, money.left]),
    )


# --- which record is priced by which entry ----------------------------------------------


def _placed(events: pl.DataFrame, cycles: pl.DataFrame) -> pl.DataFrame:
    """Number the records in order of time, and give each its quantity."""
    order = ["customer_id", "started_at_utc", "order_key"]
    zoned = events.join(cycles, on=_KEY, how="left").sort(order)
    if zoned["timezone"].null_count():
        message = "a record is of a cycle that was not asked for"
        raise ContractError(message)
    same = pl.all_horizontal(pl.col(name) == pl.col(name).shift(1) for name in order)
    if zoned.select(same.any()).item():
        message = "two records of a customer have one instant and one order key"
        raise ContractError(message)
    quantity = (
        pl.when(pl.col("usage_type") == "voice")
        .then("duration_s")
        .when(pl.col("usage_type") == "data")
        .then("volume_bytes")
        .otherwise("events")
    )
    return zoned.with_row_index("row").with_columns(
        quantity=quantity,
        wall_date=pl.col("call_date").dt.date(),
        continuation=pl.col("continuation").fill_null(value=False),
    )


def _covered(placed: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """Give each record its entry, or the reason why it has none."""
    found = find_entries(placed, prepared).drop("row")
    entry = pl.col("entry_no")
    # The entry's number is its row in the frame of entries.
    attributes = [
        pl.lit(prepared.entries[name]).gather(entry).alias(name)
        for name in prepared.entries.columns
        if name not in ("entry_no", "entry")
    ]
    covered = pl.concat([placed, found], how="horizontal").with_columns(attributes)
    code = _unrated_code(prepared)
    reason = code.replace_strict(_REASONS, default=None, return_dtype=pl.String)
    return covered.with_columns(
        unrated_code=pl.coalesce(code, "unrated_code"),
        unrated_reason=pl.coalesce(reason, "unrated_reason"),
    ).with_columns(
        entry_no=pl.when(pl.col("unrated_code").is_null()).then("entry_no"),
        rest=pl.when(pl.col("unrated_code").is_null()).then("quantity").otherwise(0),
    )


def _unrated_code(prepared: Prepared) -> pl.Expr:
    plan = prepared.plan
    is_early = pl.lit(value=False)
    if plan.valid_from is not None:
        is_early = pl.col("wall_date") < plan.valid_from
    is_late = pl.lit(value=False)
    if plan.valid_to is not None:
        is_late = pl.col("wall_date") >= plan.valid_to
    most = pl.when(pl.col("usage_type") == "voice").then(LONGEST_S).otherwise(MOST_UNITS)
    is_cost_missing = pl.col("markup").is_not_null() & pl.col("cost_micros").is_null()
    return (
        pl.when(is_early | is_late)
        .then(pl.lit("plan_not_valid"))
        .when(pl.col("quantity").is_null())
        .then(pl.lit("quantity_missing"))
        .when((pl.col("quantity") < 0) | (pl.col("quantity") > most))
        .then(pl.lit("quantity_out_of_range"))
        .when(is_cost_missing)
        .then(pl.lit("cost_missing"))
    )


# --- what the rest of a record costs ----------------------------------------------------


def billable_units(rest: pl.Expr, first: pl.Expr, step: pl.Expr) -> pl.Expr:
    """Round usage up to what the plan charges for; no usage is nothing.

    Under 60/6, 1 s bills as 60, 60 s as 60, 61 s as 66.

    Args:
        rest: Whole units, never negative.
        first: The first block.
        step: The steps after it.
    """
    beyond_first = (rest - first).clip(0)
    steps = (beyond_first + step - 1) // step
    return pl.when(rest == 0).then(0).otherwise(first + steps * step)


def _priced(records: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """Price each record: exact sum, one rounding, then its least and most."""
    billable = billable_units(pl.col("rest"), pl.col("first_units"), pl.col("step_units"))
    records = records.with_columns(billable=billable, elapsed=_elapsed())
    lines = _lines_for(records, prepared)
    usage = _usage_sums(records, prepared, lines)
    fees = _fees(records, prepared, lines)
    cost = pl.col("cost_micros").cast(WIDE) * NANOS_PER_MICRO * pl.col("markup")
    exact = pl.when(pl.col("markup").is_not_null()).then(cost).otherwise(usage + fees)
    charge = _rounded(exact, pl.col("denominator"), prepared.plan.rounding)
    is_rated = pl.col("unrated_code").is_null()
    priced = records.with_columns(charge=pl.when(is_rated).then(_within_limits(charge)))
    _check_charges(priced)
    return priced.with_columns(charge_micros=pl.col("charge").cast(pl.Int64))


def _elapsed() -> pl.Expr:
    """How far into the record its rest begins: allowances cover the beginning."""
    return pl.col("quantity") - pl.col("rest")


def _lines_for(records: pl.DataFrame, prepared: Prepared) -> TimeLines | None:
    """Lay the plan's windows out over the time of the records that know windows."""
    seconds = pl.when(pl.col("usage_type") == "voice").then("quantity").otherwise(0)
    windowed = records.select(
        "is_windowed", "timezone", "started_at_utc", seconds=seconds
    ).filter("is_windowed")
    if windowed.is_empty():
        return None
    first, last, most = windowed.select(
        pl.col("started_at_utc").min().dt.date().alias("first"),
        pl.col("started_at_utc").max().dt.date().alias("last"),
        pl.col("seconds").max().clip(0, LONGEST_S).fill_null(0).alias("most"),
    ).row(0)
    zones = windowed["timezone"].unique().sort().to_list()
    return time_lines(prepared.plan, zones, first, last + timedelta(seconds=most))


def _usage_sums(
    records: pl.DataFrame, prepared: Prepared, lines: TimeLines | None
) -> pl.Series:
    """Add up what each record's parts pay in each step: nanos times the denominator."""
    is_cut = pl.col("is_windowed") & (pl.col("usage_type") == "voice")
    charged = records.select(
        "row", "started_at_utc", "timezone", "is_windowed", "quantity", "rest", "billable",
        "elapsed", is_cut=is_cut, is_charged=(pl.col("rest") > 0)
        & pl.col("markup").is_null() & pl.col("volume_no").is_null(),
    ).filter("is_charged")  # fmt: skip
    window = pl.lit(NO_WINDOW, NUMBER)
    whole = charged.filter(~pl.col("is_cut"))
    parts = [whole.select("row", _window_no(window, lines), *_from_to())]
    if lines is not None:
        parts.append(_cut(charged.filter("is_cut"), records, lines))
    paid = _paid(pl.concat(parts), records, prepared)
    sums = paid.group_by("row").agg(pl.col("paid").sum())
    return scattered(sums["row"], sums["paid"], records.height)


def _paid(parts: pl.DataFrame, records: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    """What each part of a record pays in each step: ``row`` and ``paid``.

    Most prices know one step only; the others are looked for by their tier and cut at
    their steps.
    """
    steps, row = prepared.steps, pl.col("row")
    entry_no = pl.lit(records["entry_no"]).gather(row)
    place = entry_no * prepared.window_count + pl.col("window_no")
    placed = parts.with_columns(step=pl.lit(prepared.only_step).gather(place))
    has_one = pl.col("step").is_not_null()
    length = pl.col("to_units") - pl.col("from_units")
    coef, flat = (pl.lit(steps[name]).gather("step") for name in ("coef", "flat"))
    paid = length.cast(WIDE) * coef + flat
    return pl.concat(
        [
            placed.filter(has_one).select("row", paid=paid),
            _paid_by_step(placed.filter(~has_one), records, prepared),
        ]
    )


def _paid_by_step(
    parts: pl.DataFrame, records: pl.DataFrame, prepared: Prepared
) -> pl.DataFrame:
    own = [pl.lit(records[name]).gather("row") for name in ("entry_no", "quantity")]
    priced = (
        parts.with_columns(own)
        .join(prepared.steps, on=["entry_no", "window_no"])
        .filter(
            (pl.col("quantity") > pl.col("tier_from"))
            & (pl.col("quantity") <= pl.col("tier_to"))
        )
    )
    end = pl.min_horizontal("to_units", "step_to")
    overlap = (end - pl.max_horizontal("from_units", "step_from")).clip(0)
    return priced.select("row", paid=overlap.cast(WIDE) * pl.col("coef") + pl.col("flat"))


def _from_to() -> tuple[pl.Expr, pl.Expr]:
    begin = pl.col("elapsed").alias("from_units")
    return begin, (pl.col("elapsed") + pl.col("billable")).alias("to_units")


def _window_no(otherwise: pl.Expr, lines: TimeLines | None) -> pl.Expr:
    """The window in which a record begins; an entry without windows has but one."""
    if lines is None:
        return otherwise.alias("window_no")
    stretch = lines.stretch_at(pl.col("started_at_utc"), pl.col("timezone"))
    number = pl.lit(lines.windows).gather(stretch)
    return pl.when("is_windowed").then(number).otherwise(otherwise).alias("window_no")


def _cut(calls: pl.DataFrame, records: pl.DataFrame, lines: TimeLines) -> pl.DataFrame:
    """Cut calls at windows; what rounding adds to a call is in its last part."""
    spans = calls.select(
        "row", "timezone", "started_at_utc", from_s="elapsed", to_s="quantity"
    )
    added = pl.lit(records["billable"] - records["rest"]).gather("row")
    to_units = pl.col("to_s") + pl.when("is_last").then(added).otherwise(0)
    return split(spans, lines).select(
        "row", "window_no", from_units="from_s", to_units=to_units
    )


def _fees(records: pl.DataFrame, prepared: Prepared, lines: TimeLines | None) -> pl.Series:
    """The connect fee of each record that pays one, by the window it began in."""
    fees = prepared.fees.filter(pl.col("fee") > 0)
    pays = (
        ~pl.col("continuation")
        & ~pl.col("is_fee_covered")
        & ((pl.col("quantity") > 0) | pl.col("is_zero_charged"))
    )
    window = _window_no(pl.lit(NO_WINDOW, NUMBER), lines)
    due = (
        records.select(
            *("row", "entry_no", "is_windowed", "started_at_utc", "timezone"),
            pays=pays & pl.col("entry_no").is_in(fees["entry_no"].implode()),
        )
        .filter("pays")
        .select("row", "entry_no", window)
        .join(fees, on=["entry_no", "window_no"])
    )
    return scattered(due["row"], due["fee"], records.height)


def _rounded(exact: pl.Expr, denominator: pl.Expr, rounding: Rounding) -> pl.Expr:
    """Nanos times a denominator become micros: the one rounding of a charge."""
    nanos_kept = 10 ** (9 - rounding.decimals)
    units = round_ratios(exact, denominator * nanos_kept, rounding.mode)
    micros_kept: int = 10 ** (6 - rounding.decimals)
    return units * micros_kept


def _within_limits(charge: pl.Expr) -> pl.Expr:
    """Hold a charge within its entry's bounds; no least for what costs nothing by rule.

    A call without usage and a later part of a call do not pay the least amount again.
    """
    pays_least = (pl.col("rest") > 0) & ~pl.col("continuation")
    least = pl.when(pays_least).then(pl.col("minimum_micros").cast(WIDE))
    most = pl.col("maximum_micros").cast(WIDE)
    # A bound that is null bounds nothing: horizontal extremes pass over nulls.
    return pl.min_horizontal(pl.max_horizontal(charge, least), most)


def _check_charges(priced: pl.DataFrame) -> None:
    beyond = priced.filter(pl.col("charge").abs() >= LIMIT_MICROS)
    if not beyond.is_empty():
        customer_id, start = beyond.select(_KEY).row(0)
        message = (
            f"customer {customer_id}, cycle {start}: the charge of one record is beyond"
            f" 10^18 micros; look for a wrong quantity or a wrong price"
        )
        raise MoneyError(message)


def _described(rated: pl.DataFrame, prepared: Prepared) -> pl.DataFrame:
    is_rated = pl.col("unrated_code").is_null()
    given = pl.when(is_rated).then(pl.col("quantity") - pl.col("rest")).otherwise(0)
    over = pl.when("is_covered").then("rest").otherwise(0)
    return rated.with_columns(
        entry=pl.lit(prepared.entries["entry"]).gather(pl.col("entry_no")),
        in_allowance=given,
        overage=over,
        billable=pl.col("billable").fill_null(0),
    )
