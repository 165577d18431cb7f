"""Gates: what keeps a customer's cycle from being invoiced, each with its reason.

Pure. A gate says what was found and what to do. One that blocks keeps this cycle back and
no other; one that only warns is told beside the invoice.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date
from typing import Final, Literal

import polars as pl

from transforms.cdr import Schema
from transforms.cycle import cycle_containing

WhenMissing = Literal["warn", "block", "ignore"]

DELIVERED: Final[Schema] = {
    "provider": pl.String(),
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
}
"""Which providers' complete deliveries touched which cycle."""

UNOWNED: Final[Schema] = {
    "subscriber": pl.String(),
    "contract": pl.String(),
    "account": pl.String(),
    "day": pl.Date(),
    "record_count": pl.Int64(),
}
"""Records that wait for an owner, counted by what they were delivered for and the day."""

WAITING: Final[Schema] = {
    "customer_id": pl.Int64(),
    "day": pl.Date(),
    "record_count": pl.Int64(),
}
"""Records that wait for an owner, by the customer who had or has their number."""


@dataclass(frozen=True)
class Limits:
    """How much may be amiss before a cycle is kept back."""

    suspended: int = 0
    """Records of a customer's numbers that may wait for an owner."""
    missing_delivery: WhenMissing = "warn"


@dataclass(frozen=True)
class Gate:
    """One reason to look twice."""

    code: str
    message: str
    is_blocking: bool = True


@dataclass(frozen=True)
class Facts:
    """What is known of one cycle when it is to be invoiced."""

    customer_id: int
    start: date
    end: date
    as_of: date
    cdr_count: int = 0
    unrated_count: int = 0
    charge_count: int = 0
    is_dirty: bool = False
    waiting_count: int = 0
    missing_providers: tuple[str, ...] = ()


def gates(facts: Facts, limits: Limits) -> tuple[Gate, ...]:
    """Look at a cycle from every side; an empty answer lets it pass.

    Args:
        facts: What is known of the cycle.
        limits: How much may be amiss.

    Returns:
        Every gate that is met, blocking ones first.
    """
    found = [*_time(facts), *_totals(facts), *_records(facts, limits)]
    return tuple(sorted(found, key=lambda gate: not gate.is_blocking))


def _time(facts: Facts) -> Iterable[Gate]:
    if facts.end > facts.as_of:
        yield Gate(
            "cycle_not_ended",
            f"the cycle runs until {facts.end} and it is {facts.as_of}; invoice it then",
        )


def _totals(facts: Facts) -> Iterable[Gate]:
    if facts.is_dirty:
        yield Gate(
            "dirty", "records came or went since its totals; run: etl totals:dispatch"
        )
    elif not facts.cdr_count and not facts.charge_count:
        yield Gate("no_lines", "there is nothing to invoice in this cycle")
    if facts.unrated_count:
        yield Gate(
            "unrated",
            f"{facts.unrated_count} records have no price; complete the rate plan and "
            "compute the totals again",
        )


def _records(facts: Facts, limits: Limits) -> Iterable[Gate]:
    if facts.waiting_count > limits.suspended:
        yield Gate(
            "suspended",
            f"{facts.waiting_count} records of its numbers wait for an owner; mend the "
            "subscriptions and run: etl rejects:replay",
        )
    if facts.missing_providers and limits.missing_delivery != "ignore":
        names = ", ".join(facts.missing_providers)
        yield Gate(
            "missing_delivery",
            f"{names} delivered for the cycle before and not for this one",
            is_blocking=limits.missing_delivery == "block",
        )


def missing_providers(
    delivered: pl.DataFrame, customer_id: int, start: date
) -> tuple[str, ...]:
    """Which providers a customer had records of in the cycle before, and nobody has now.

    A provider that brought anything for this cycle, or a later one, of any customer has
    delivered: that this customer made no calls is no missing delivery.

    Args:
        delivered: Frame ``DELIVERED``.
        customer_id: The customer.
        start: The start of the cycle; the one before ends there.
    """
    own = delivered.filter(
        (pl.col("customer_id") == customer_id) & (pl.col("cycle_end_date") == start)
    )
    came = delivered.filter(pl.col("cycle_start_date") >= start)
    gone = set(own["provider"].to_list()) - set(came["provider"].to_list())
    return tuple(sorted(gone))


def waiting_of(unowned: pl.DataFrame, subscriptions: pl.DataFrame) -> pl.DataFrame:
    """Count the records that wait for an owner by the customers they may belong to.

    A customer who once had a number, or will have it, may be who the record belongs to:
    until that is known an invoice may lack it.

    Args:
        unowned: Frame ``UNOWNED``.
        subscriptions: Frame ``SUBSCRIPTIONS``.

    Returns:
        Frame ``WAITING``.
    """
    columns = {
        "number": "subscriber",
        "line": "subscriber",
        "contract": "contract",
        "account": "account",
    }
    rows = unowned.with_row_index("_row")
    claims = [
        rows.join(
            subscriptions.filter(pl.col("kind") == kind).select(
                "identifier", "customer_id"
            ),
            left_on=column,
            right_on="identifier",
            how="inner",
        ).select("_row", "customer_id", "day", "record_count")
        for kind, column in columns.items()
    ]
    once = pl.concat(claims).unique(["_row", "customer_id"])
    return (
        once.group_by("customer_id", "day")
        .agg(pl.col("record_count").sum())
        .sort("customer_id", "day")
        .select(*WAITING)
    )


def waiting_in(waiting: Collection[tuple[date, int]], start: date, end: date) -> int:
    """How many of a customer's waiting records lie in a cycle, to the day (UTC)."""
    return sum(count for day, count in waiting if start <= day < end)


def last_ended(as_of: date, cycle_day: int) -> tuple[date, date]:
    """The newest cycle that has ended by a day.

    On 2026-11-02 that is [2026-10-01, 2026-11-01) with cycle day 1, and
    [2026-09-15, 2026-10-15) with cycle day 15.
    """
    running = cycle_containing(as_of, cycle_day)
    end = running.start
    before = cycle_containing(date.fromordinal(end.toordinal() - 1), cycle_day)
    return before.start, before.end
