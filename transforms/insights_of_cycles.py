"""Insights about customers' cycles: costs, use, allowances, bursts and silent lines.

Pure. Frames in, findings out. All customers of a frame are judged in one pass; the cycles
of one frame share their dates, and each customer has one of them.

Units: ``_micros`` whole micros, ``_percent`` whole percent.
"""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, Final

import polars as pl

from transforms.cdr import INSTANT, Schema, require
from transforms.cycle import Cycle, cycle_containing
from transforms.insights import SILENT_LINES, Insight, Severity, Thresholds
from transforms.money import MICROS, exact_sum

LINES_TOLD: Final = 50
"""Lines that evidence names; how many there are stands beside them."""

LONGEST_CYCLE: Final = timedelta(days=31)

OUT_OF_BOUNDS: Final = 100_000
"""The most percent that are told; also what anything is of nothing."""

CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "revision": pl.Int64(),
    "rate_plan": pl.String(),
    "currency": pl.String(),
    "total_cost_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
}
"""Cycles with totals, as they stand; ``rate_plan`` is empty under ``standard``."""

HISTORY: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "currency": pl.String(),
    "total_cost_micros": pl.Int64(),
    "cdr_count": pl.Int64(),
}
"""Totals of the cycles before."""

USE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "usage_type": pl.String(),
    "other_class": pl.String(),
    "roaming_country": pl.String(),
    "plmn": pl.String(),
    "record_count": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""Use that may be premium or abroad, added up over a stretch of time."""

NOTABLE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "kind": pl.String(),
    "place": pl.String(),
    "record_count": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""Use that is premium (no place) or abroad (with the place)."""

BY_TYPE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "usage_type": pl.String(),
    "provider_micros": pl.Int64(),
    "own_micros": pl.Int64(),
}
"""Provider cost and own price of a cycle, by usage type."""

CHARGES: Final[Schema] = {"customer_id": pl.Int64(), "charges_micros": pl.Int64()}
"""What customers pay in a cycle beside usage, whatever they use."""

ALLOWANCES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "rate_plan": pl.String(),
    "allowance": pl.String(),
    "subscriber": pl.String(),
    "unit": pl.String(),
    "is_once": pl.Int64(),
    "available": pl.Int64(),
    "used": pl.Int64(),
}
"""What allowances gave in a cycle; ``subscriber`` is empty where lines share a pool."""

CALLS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "subscriber": pl.String(),
    "started_at_utc": INSTANT,
    "cost_micros": pl.Int64(),
}
"""Calls and messages to premium numbers, to other countries, or dear ones."""

LINES: Final[Schema] = {"customer_id": pl.Int64(), "subscriber": pl.String()}
"""Lines, each once."""


# --- a cycle's totals and records ---------------------------------------------------------


def history_begins(start: date, cycles: int) -> date:
    """The day from which on a cycle is one of so many before ``start``.

    No cycle is longer than 31 days, and up to 24 of them are longer than that many
    stretches of 31 days less one cycle: what starts from this day on is counted exactly.
    """
    return start - LONGEST_CYCLE * cycles


def usage_jumps(
    cycles: pl.DataFrame, history: pl.DataFrame, limits: Thresholds
) -> list[Insight]:
    """Find cycles that cost much more than the customer's earlier ones.

    Usual is the median of the cycles before, in the same currency; of an even number, the
    middle between the two in the middle. At least half as many as ``history_cycles`` must
    have totals. With 200 % and 25, 60.00 after a usual 30.00 is a jump; 59.00 is none, nor
    are 44.00 after a usual 20.00. Twice the share is an alarm.

    Args:
        cycles: Frame ``CYCLES``.
        history: Frame ``HISTORY`` of the ``history_cycles`` before.
        limits: The thresholds.
    """
    now = require(cycles, CYCLES, "usage_jumps")
    costs = pl.col("total_cost_micros").cast(pl.Int128).sort()
    usual = (
        require(history, HISTORY, "usage_jumps history")
        .group_by("customer_id", "currency")
        .agg(costs.alias("costs"), pl.col("cycle_start_date").sort().alias("before"))
        .filter(pl.col("costs").list.len() * 2 >= limits.history_cycles)
        .with_columns(usual_micros=_median("costs"))
    )
    total, usually = pl.col("total_cost_micros").cast(pl.Int128), pl.col("usual_micros")
    found = now.join(usual, on=["customer_id", "currency"], how="inner").filter(
        total - usually >= limits.jump_amount * MICROS,
        total * 100 >= usually * limits.jump_percent,
    )
    return [
        _of_cycle(
            row,
            "usage_jump",
            "alarm" if _percent(row) >= 2 * limits.jump_percent else "warning",
            {
                "total_micros": row["total_cost_micros"],
                "usual_micros": row["usual_micros"],
                "percent": _percent(row),
                "compared_with": row["before"],
                "currency": row["currency"],
            },
        )
        for row in found.sort("customer_id").iter_rows(named=True)
    ]


def _median(name: str) -> pl.Expr:
    """The middle of a sorted list of whole numbers; of two middle ones, half their sum."""
    values = pl.col(name).list
    lower, upper = values.get((values.len() - 1) // 2), values.get(values.len() // 2)
    return (lower + upper) // 2


def _percent(row: Mapping[str, Any]) -> int:
    """How many percent of the usual cost a cycle costs; of nothing it is out of bounds."""
    usual = int(row["usual_micros"])
    if usual <= 0:
        return OUT_OF_BOUNDS
    return min(int(row["total_cost_micros"]) * 100 // usual, OUT_OF_BOUNDS)


def notable_use(use: pl.DataFrame, limits: Thresholds) -> pl.DataFrame:
    """Say which use is premium and which is abroad, and where.

    Premium is a paid service, or a number that bills its caller. Abroad is a country, or
    without one a network, that is not among the home ones.

    Returns:
        Frame ``NOTABLE``, one row for a customer, a kind and a place.
    """
    rows = require(use, USE, "notable_use")
    country = pl.col("roaming_country").fill_null("")
    homes = [each.lower() for each in limits.home_countries]
    abroad = (country != "") & ~country.str.to_lowercase().is_in(homes)
    guest = (country == "") & ~pl.col("plmn").str.starts_with(limits.home_network)
    premium = (pl.col("usage_type") == "content") | (pl.col("other_class") == "premium")
    place = pl.when(country != "").then(country).otherwise("plmn")
    parts = [
        rows.filter(premium).with_columns(kind=pl.lit("new_premium"), place=pl.lit("")),
        rows.filter(abroad | guest).with_columns(kind=pl.lit("new_roaming"), place=place),
    ]
    keys = ["customer_id", "kind", "place"]
    return (
        pl.concat(parts)
        .group_by(keys)
        .agg(exact_sum("record_count"), exact_sum("cost_micros"))
        .sort(keys)
        .select(list(NOTABLE))
    )


def worth_a_look(
    notable: pl.DataFrame, history: pl.DataFrame, limits: Thresholds
) -> pl.DataFrame:
    """Keep use that costs enough, of customers who used anything in the cycles before."""
    known = history.filter(pl.col("cdr_count") > 0).select("customer_id").unique()
    dear = pl.col("cost_micros") >= limits.new_use_amount * MICROS
    return notable.filter(dear).join(known, on="customer_id", how="semi")


def new_use(
    cycles: pl.DataFrame, notable: pl.DataFrame, before: pl.DataFrame
) -> list[Insight]:
    """Find premium use, and countries, that a customer did not have in the cycles before.

    Args:
        cycles: Frame ``CYCLES``.
        notable: Frame ``NOTABLE`` of these cycles, as :func:`worth_a_look` left it.
        before: Frame ``NOTABLE`` of the cycles before.
    """
    keys = ["customer_id", "kind", "place"]
    found = notable.join(before, on=keys, how="anti").join(
        require(cycles, CYCLES, "new_use"), on="customer_id", how="inner"
    )
    return [
        _of_cycle(
            row,
            row["kind"],
            "warning" if row["kind"] == "new_premium" else "info",
            {
                **({"place": row["place"]} if row["place"] else {}),
                "records": row["record_count"],
                "cost_micros": row["cost_micros"],
                "currency": row["currency"],
            },
            row["place"],
        )
        for row in found.sort(keys).iter_rows(named=True)
    ]


def at_a_loss(
    cycles: pl.DataFrame, limits: Thresholds, charges: pl.DataFrame | None = None
) -> pl.DataFrame:
    """Keep cycles (CYCLES) that cost so much more than they bring.

    Args:
        cycles: Frame ``CYCLES``.
        limits: The thresholds.
        charges: Frame ``CHARGES``: what customers pay whatever they use; without it usage
            alone must make up for what it costs.
    """
    paid = pl.DataFrame(schema=CHARGES) if charges is None else charges
    beside = (
        cycles.select("customer_id")
        .join(paid, on="customer_id", how="left", maintain_order="left")["charges_micros"]
        .fill_null(0)
    )
    loss = pl.col("provider_cost_micros") - pl.col("total_cost_micros") - beside
    return cycles.filter(loss >= max(limits.loss_amount * MICROS, 1))


def losses(
    lost: pl.DataFrame, by_type: pl.DataFrame, charges: pl.DataFrame
) -> list[Insight]:
    """Tell the cycles at a loss, with the usage types that make it, the largest first.

    Args:
        lost: Frame ``CYCLES``, as :func:`at_a_loss` left it.
        by_type: Frame ``BY_TYPE`` of them.
        charges: Frame ``CHARGES`` of them.
    """
    margin = pl.col("own_micros") - pl.col("provider_micros")
    types = (
        require(by_type, BY_TYPE, "losses")
        .with_columns(margin_micros=margin)
        .sort("customer_id", "margin_micros", "usage_type")
        .group_by("customer_id", maintain_order=True)
        .agg(
            pl.struct("usage_type", "provider_micros", "own_micros", "margin_micros").alias(
                "types"
            )
        )
    )
    found = lost.join(types, on="customer_id", how="left").join(
        require(charges, CHARGES, "losses charges"), on="customer_id", how="left"
    )
    return [
        _of_cycle(row, "negative_margin", "warning", _loss_evidence(row))
        for row in found.sort("customer_id").iter_rows(named=True)
    ]


def _loss_evidence(row: Mapping[str, Any]) -> dict[str, object]:
    cost, usage = row["provider_cost_micros"], row["total_cost_micros"]
    charges = row["charges_micros"] or 0
    return {
        "provider_micros": cost,
        "usage_micros": usage,
        "charges_micros": charges,
        "own_micros": usage + charges,
        "margin_micros": usage + charges - cost,
        "rate_plan": row["rate_plan"],
        "by_usage_type": row["types"] or [],
        "currency": row["currency"],
    }


def nearly_used(
    cycles: pl.DataFrame, allowances: pl.DataFrame, limits: Thresholds
) -> list[Insight]:
    """Find allowances of which a pool is used up to the share that is worth a word.

    One finding for an allowance of a customer, however many of its lines' pools it is.
    """
    used = pl.col("used").cast(pl.Int128) * 100
    is_near = (pl.col("available") > 0) & (
        used >= pl.col("available").cast(pl.Int128) * limits.allowance_percent
    )
    found = _by_allowance(cycles, allowances, is_near)
    return [
        _of_cycle(
            row,
            "allowance_nearly_used",
            "info",
            _allowance_evidence(row),
            f"{row['rate_plan']} {row['allowance']}",
        )
        for row in found.iter_rows(named=True)
    ]


def unused(
    cycles: pl.DataFrame, allowances: pl.DataFrame, limits: Thresholds
) -> list[Insight]:
    """Find allowances of which hardly anything was used in cycles that are over.

    All pools of an allowance are taken together. One-off allowances keep for later and
    are no loss.
    """
    found = _by_allowance(cycles, allowances, pl.col("is_once") == 0).filter(
        pl.col("available") > 0,
        pl.col("used").cast(pl.Int128) * 100
        <= pl.col("available").cast(pl.Int128) * limits.unused_percent,
    )
    return [
        _of_cycle(
            row,
            "allowance_unused",
            "info",
            {k: v for k, v in _allowance_evidence(row).items() if k != "lines"},
            f"{row['rate_plan']} {row['allowance']}",
        )
        for row in found.iter_rows(named=True)
    ]


def _by_allowance(
    cycles: pl.DataFrame, allowances: pl.DataFrame, is_told: pl.Expr
) -> pl.DataFrame:
    """Put the pools that are told together, one row for an allowance of a customer."""
    keys = ["customer_id", "rate_plan", "allowance", "unit"]
    pools = (
        require(allowances, ALLOWANCES, "insights allowances")
        .filter(is_told)
        .sort(*keys, "subscriber")
        .group_by(keys, maintain_order=True)
        .agg(
            exact_sum("available"),
            exact_sum("used"),
            pl.len().cast(pl.Int64).alias("pools"),
            pl.col("subscriber").filter(pl.col("subscriber") != "").alias("lines"),
        )
        .rename({"rate_plan": "plan"})
    )
    now = require(cycles, CYCLES, "insights cycles").drop("rate_plan")
    return pools.join(now, on="customer_id", how="inner").rename({"plan": "rate_plan"})


def _allowance_evidence(row: Mapping[str, Any]) -> dict[str, object]:
    return {
        "rate_plan": row["rate_plan"],
        "allowance": row["allowance"],
        "unit": row["unit"],
        "used": row["used"],
        "available": row["available"],
        "pools": row["pools"],
        "lines": row["lines"][:LINES_TOLD],
    }


def bursts(cycles: pl.DataFrame, calls: pl.DataFrame, limits: Thresholds) -> list[Insight]:
    """Find lines with many dear calls in a short time, the worst stretch of each line.

    A stretch ends with a call and holds those of the ``burst_minutes`` before it. The
    worst has the most calls; of equals the dearest, then the first.
    """
    line = ["customer_id", "subscriber"]
    stretches = (
        require(calls, CALLS, "bursts")
        .with_columns(pl.col("cost_micros").fill_null(0))
        .sort(*line, "started_at_utc")
        .rolling("started_at_utc", period=f"{limits.burst_minutes}m", group_by=line)
        .agg(
            pl.len().cast(pl.Int64).alias("calls"),
            exact_sum("cost_micros"),
            pl.col("started_at_utc").min().alias("first"),
        )
        .filter(
            pl.col("calls") >= limits.burst_calls,
            pl.col("cost_micros") >= limits.burst_amount * MICROS,
        )
    )
    worst = (
        stretches.sort(
            *line,
            "calls",
            "cost_micros",
            "started_at_utc",
            descending=[False, False, True, True, False],
        )
        .group_by(line, maintain_order=True)
        .first()
        .join(require(cycles, CYCLES, "bursts cycles"), on="customer_id", how="inner")
    )
    return [
        _of_cycle(
            row,
            "call_burst",
            "alarm",
            {
                "line": row["subscriber"],
                "calls": row["calls"],
                "cost_micros": row["cost_micros"],
                "from_utc": row["first"],
                "until_utc": row["started_at_utc"],
                "currency": row["currency"],
            },
            row["subscriber"],
        )
        for row in worst.iter_rows(named=True)
    ]


def _of_cycle(
    row: Mapping[str, Any],
    kind: str,
    severity: Severity,
    evidence: Mapping[str, object],
    about: str = "",
) -> Insight:
    """Make a finding about a customer's cycle, or about something in it."""
    start = row["cycle_start_date"]
    return Insight(
        kind,
        severity,
        evidence,
        customer_id=row["customer_id"],
        cycle_start_date=start,
        subject=f"{start} {about}".rstrip(),
    )


# --- cycles that are over -----------------------------------------------------------------


def ended_cycles(as_of: date, cycle_day: int, count: int) -> list[Cycle]:
    """Return the cycles that have ended by a day, the newest first."""
    found: list[Cycle] = []
    end = cycle_containing(as_of, cycle_day).start
    for _ in range(count):
        found.append(cycle_containing(end - timedelta(days=1), cycle_day))
        end = found[-1].start
    return found


def lines_throughout(
    subscriptions: pl.DataFrame, customer_ids: Sequence[int], span: Cycle
) -> pl.DataFrame:
    """Return the lines (LINES) that customers had all the time, and have still.

    Args:
        subscriptions: Frame ``SUBSCRIPTIONS``.
        customer_ids: Of these customers.
        span: From the first day on; one that ends with the last is not had any more.
    """
    begins, ends = pl.col("valid_from"), pl.col("valid_to")
    return (
        subscriptions.filter(
            pl.col("kind").is_in(["number", "line"]),
            pl.col("customer_id").is_in(list(customer_ids)),
            begins.is_null() | (begins <= span.start),
            ends.is_null() | (ends > span.end),
        )
        .select("customer_id", subscriber="identifier")
        .unique()
        .sort("customer_id", "subscriber")
    )


def silent_lines(silent: pl.DataFrame, cycles: Sequence[Cycle]) -> list[Insight]:
    """Tell the lines that were not used in any of these cycles, once for a customer.

    Args:
        silent: Frame ``LINES``: what is left when all that was used is taken away.
        cycles: The cycles, the newest first.
    """
    grouped = (
        silent.sort("customer_id", "subscriber")
        .group_by("customer_id", maintain_order=True)
        .agg(pl.col("subscriber"))
    )
    return [
        Insight(
            SILENT_LINES,
            "info",
            {
                "lines": lines[:LINES_TOLD],
                "count": len(lines),
                "cycles": len(cycles),
                "since": cycles[-1].start,
            },
            customer_id=customer_id,
            cycle_start_date=cycles[0].start,
            subject="lines",
        )
        for customer_id, lines in grouped.iter_rows()
    ]
