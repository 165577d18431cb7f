"""Matching: find who owns a record, by what it was delivered for and when.

Pure. A record is looked up by number, then by line, contract and account; the first of
these that is valid at the record's instant wins. Validity is half-open in dates on the
customer's wall clock, so intervals begin and end at local midnight of that customer.

Every record comes out exactly once: owned, or suspended with a reason. A suspended record
is no fault of the file; it waits until the subscriptions say more.

Units: ``*_utc`` are instants as naive UTC, ``call_date`` is the wall clock of the owner.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

import polars as pl

from transforms.cdr import INSTANT, OWNED, RECORD, Schema, require
from transforms.cycle import cycle_start
from transforms.errors import ContractError, MoneyError
from transforms.money import exact_sum
from transforms.reference import CUSTOMERS, KINDS, SUBSCRIPTIONS, Kind

SUSPENDED: Final[Schema] = {
    **RECORD,
    "reason_code": pl.String(),
    "reason": pl.String(),
}
"""A RECORD without an owner, and why: no_owner, owner_not_valid or other_currency."""

CYCLES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "record_count": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""What one frame of records adds to each cycle it touches; ``[start, end)``."""

LONGEST_CYCLE_DAYS: Final = 31

_COLUMN_OF: Final[dict[Kind, str]] = {
    "number": "subscriber",
    "line": "subscriber",
    "contract": "contract",
    "account": "account",
}
_OPEN_START: Final = datetime(1, 1, 2)  # noqa: DTZ001 - naive UTC, before any record
_OPEN_END: Final = datetime(9999, 12, 31)  # noqa: DTZ001 - naive UTC, after any record

_NO_OWNER: Final = "no subscription knows this number, line, contract or account"
_NOT_VALID: Final = "a subscription knows it, but none is valid at that time"


@dataclass(frozen=True)
class Owners:
    """Who owns what and when, ready to be looked up.

    Make it once for an import with :meth:`build`; it serves every chunk.
    """

    intervals: Mapping[Kind, pl.DataFrame]
    """By kind: identifier, from_utc, to_utc, _owner; sorted by identifier and start."""
    customers: pl.DataFrame
    """_owner (row number), customer_id, _zone_no (in ``zones``), _owner_currency."""
    zones: tuple[str, ...]

    @classmethod
    def build(cls, customers: pl.DataFrame, subscriptions: pl.DataFrame) -> "Owners":
        """Turn validity dates into instants.

        A number that changes hands on 2026-03-01 in Amsterdam does so at
        2026-02-28 23:00 UTC. Where a day has no midnight it begins when the clock jumps;
        where it has two, at the first.

        Args:
            customers: Frame ``CUSTOMERS``.
            subscriptions: Frame ``SUBSCRIPTIONS``.

        Raises:
            ContractError: When a subscription belongs to no customer.
        """
        people = require(customers, CUSTOMERS, "Owners.build customers")
        claims = require(subscriptions, SUBSCRIPTIONS, "Owners.build subscriptions")
        zones = tuple(sorted(set(people["timezone"].to_list())))
        numbers = pl.DataFrame(
            {"timezone": zones, "_zone_no": range(len(zones))},
            {"timezone": pl.String(), "_zone_no": pl.UInt16()},
        )
        owners = (
            people.join(numbers, on="timezone", how="left", maintain_order="left")
            .with_row_index("_owner")
            .select("_owner", "customer_id", "_zone_no", _owner_currency="currency")
        )
        intervals = _intervals(claims, people, owners)
        return cls(intervals, owners, zones)


@dataclass(frozen=True)
class Matched:
    """The records of one frame, each in exactly one of the two, in their order."""

    owned: pl.DataFrame
    """OWNED, and the further columns the records came with."""
    suspended: pl.DataFrame
    """SUSPENDED, and the further columns the records came with."""


def match(records: pl.DataFrame, owners: Owners) -> Matched:
    """Give each record its owner and the owner's wall clock, or a reason to wait.

    A record in another currency than its customer's is suspended too: adding dollars to
    euros would make a total that means nothing.

    Args:
        records: Frame ``RECORD``; further columns are kept.
        owners: Made by :meth:`Owners.build`.

    Returns:
        Owned and suspended records; their numbers add up to the records given.
    """
    require(records, RECORD, "match")
    found, known = _look_up(records, owners)
    placed = (
        records.with_row_index("_row")
        .join(found, on="_row", how="left", maintain_order="left")
        .join(owners.customers, on="_owner", how="left", maintain_order="left")
    )
    same_currency = pl.col("currency") == pl.col("_owner_currency")
    is_owned = pl.col("_owner").is_not_null() & same_currency
    return Matched(
        _owned(placed.filter(is_owned.fill_null(value=False)), records, owners),
        _suspended(placed.filter(~is_owned.fill_null(value=False)), records, known),
    )


def cycles_of(owned: pl.DataFrame, customers: pl.DataFrame) -> pl.DataFrame:
    """Count records and add up costs by the cycle each record falls in.

    With cycle day 1, a call of 2026-10-31 23:59:59 and one of 2026-11-01 00:00:00 on the
    customer's wall clock are in two cycles. An unrated record counts, and adds 0.

    Args:
        owned: Needs ``customer_id``, ``call_date`` and ``cost_micros``.
        customers: Frame ``CUSTOMERS``; must describe every owner.

    Returns:
        Frame ``CYCLES``, sorted by customer and start.

    Raises:
        ContractError: When an owner is not among the customers.
        MoneyError: When a sum does not fit in 64 bits.
    """
    if owned.is_empty():
        return pl.DataFrame(schema=CYCLES)
    days = customers.select("customer_id", "cycle_day")
    by_day = owned.group_by("customer_id", pl.col("call_date").dt.date().alias("day")).agg(
        pl.len().alias("record_count"), pl.col("cost_micros").cast(pl.Int128).sum()
    )
    placed = by_day.join(days, on="customer_id", how="left")
    if placed["cycle_day"].null_count():
        message = "records have an owner that is not among the customers"
        raise ContractError(message)
    start = cycle_start(pl.col("day"), pl.col("cycle_day"))
    by_cycle = placed.group_by("customer_id", "cycle_day", start.alias("cycle_start_date"))
    try:
        summed = by_cycle.agg(exact_sum("record_count"), exact_sum("cost_micros"))
    except pl.exceptions.PolarsError as exc:
        message = "the costs of one cycle add up to more than 64 bits can hold"
        raise MoneyError(message) from exc
    cycles = summed.with_columns(
        cycle_end("cycle_start_date", "cycle_day").alias("cycle_end_date")
    ).sort("customer_id", "cycle_start_date")
    return require(cycles, CYCLES, "cycles_of")


def cycle_end(start: str, cycle_day: str) -> pl.Expr:
    """The end of the cycle that starts on a date: the start of the next one.

    No cycle is longer than 31 days and no two together are shorter than 56, so the day
    31 days on is always in the next cycle.
    """
    into_next = pl.col(start) + pl.duration(days=LONGEST_CYCLE_DAYS)
    return cycle_start(into_next, pl.col(cycle_day))


# --- looking up -------------------------------------------------------------------------


def _intervals(
    claims: pl.DataFrame, people: pl.DataFrame, owners: pl.DataFrame
) -> dict[Kind, pl.DataFrame]:
    zoned = claims.join(
        people.select("customer_id", "timezone"), on="customer_id", how="left"
    ).join(owners.select("customer_id", "_owner"), on="customer_id", how="left")
    if zoned["_owner"].null_count():
        message = "a subscription belongs to a customer that is not described"
        raise ContractError(message)
    instants = _with_midnight(
        _with_midnight(zoned, "valid_from", "from_utc", _OPEN_START),
        "valid_to",
        "to_utc",
        _OPEN_END,
    ).sort("kind", "identifier", "from_utc")
    return {
        kind: instants.filter(pl.col("kind") == kind).select(
            "identifier", "from_utc", "to_utc", "_owner"
        )
        for kind in KINDS
    }


def _with_midnight(
    frame: pl.DataFrame, column: str, name: str, when_open: datetime
) -> pl.DataFrame:
    """Add the instant at which a date begins in the row's zone; few dates are distinct."""
    pairs = frame.select("timezone", column).unique().drop_nulls()
    instants = [_midnight(day, zone) for zone, day in pairs.iter_rows()]
    begins = pairs.with_columns(pl.Series(name, instants, INSTANT))
    return frame.join(begins, on=["timezone", column], how="left").with_columns(
        pl.col(name).fill_null(when_open)
    )


def _midnight(day: date, zone: str) -> datetime:
    # fold=0 gives the first of two midnights, and for one that does not exist the
    # instant of the jump, because the offset before the jump is used.
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone))
    return local.astimezone(UTC).replace(tzinfo=None)


def _look_up(records: pl.DataFrame, owners: Owners) -> tuple[pl.DataFrame, pl.Series]:
    """Find the owner of each record.

    Returns:
        A frame _row, _owner for the records that have one, and the row numbers of records
        that some subscription knows, valid or not.
    """
    open_rows = records.select(
        "subscriber", "contract", "account", "started_at_utc", "flags"
    ).with_row_index("_row")
    found: list[pl.DataFrame] = []
    known: list[pl.Series] = []
    for kind in KINDS:
        intervals = owners.intervals[kind]
        if intervals.is_empty() or open_rows.is_empty():
            continue
        hits = _hits(open_rows, intervals, kind)
        valid = _valid(hits)
        found.append(valid)
        known.append(hits["_row"])
        open_rows = open_rows.join(valid, on="_row", how="anti", maintain_order="left")
    nobody = pl.DataFrame(schema={"_row": pl.UInt32(), "_owner": pl.UInt32()})
    return pl.concat([nobody, *found]), pl.concat([nobody["_row"], *known]).unique()


def _hits(rows: pl.DataFrame, intervals: pl.DataFrame, kind: Kind) -> pl.DataFrame:
    key = _COLUMN_OF[kind]
    if kind == "line":
        # A masked number stands for many numbers; it is kept, never joined on.
        masked = pl.col("flags").str.contains("_masked", literal=True)
        hidden = masked & pl.col(key).str.contains(r"[xX*]{2,}$")
        rows = rows.filter(~hidden)
    return rows.select("_row", key, "started_at_utc").join(
        intervals,
        left_on=key,
        right_on="identifier",
        how="inner",
        maintain_order="left_right",
    )


def _valid(hits: pl.DataFrame) -> pl.DataFrame:
    """Keep the interval that holds at the record's instant.

    Two owners in different zones can both be right for the hour in which midnight has
    come to one and not to the other; the one who came last has it.
    """
    at = pl.col("started_at_utc")
    holds = hits.filter((pl.col("from_utc") <= at) & (at < pl.col("to_utc")))
    latest = holds.unique("_row", keep="last", maintain_order=True)
    return latest.select("_row", "_owner")


def _owned(placed: pl.DataFrame, records: pl.DataFrame, owners: Owners) -> pl.DataFrame:
    further = [name for name in records.columns if name not in RECORD]
    return placed.with_columns(_wall_clock(placed, owners).alias("call_date")).select(
        *OWNED, *further
    )


def _wall_clock(placed: pl.DataFrame, owners: Owners) -> pl.Expr:
    """The wall clock of each row's zone; one conversion for each zone that occurs."""
    present = placed["_zone_no"].unique().to_list()
    clock = pl.lit(None, dtype=INSTANT)
    utc = pl.col("started_at_utc").dt.replace_time_zone("UTC")
    for number in present:
        local = utc.dt.convert_time_zone(owners.zones[number]).dt.replace_time_zone(None)
        clock = pl.when(pl.col("_zone_no") == number).then(local).otherwise(clock)
    return clock


def _suspended(
    placed: pl.DataFrame, records: pl.DataFrame, known: pl.Series
) -> pl.DataFrame:
    has_owner = pl.col("_owner").is_not_null()
    is_known = pl.col("_row").is_in(known.implode())
    code = (
        pl.when(has_owner)
        .then(pl.lit("other_currency"))
        .when(is_known)
        .then(pl.lit("owner_not_valid"))
        .otherwise(pl.lit("no_owner"))
    )
    currencies = pl.format(
        "the record is in {}, its customer's currency is {}", "currency", "_owner_currency"
    )
    reason = (
        pl.when(has_owner)
        .then(currencies)
        .when(is_known)
        .then(pl.lit(_NOT_VALID))
        .otherwise(pl.lit(_NO_OWNER))
    )
    further = [name for name in records.columns if name not in RECORD]
    return placed.select(
        *RECORD, code.alias("reason_code"), reason.alias("reason"), *further
    )
