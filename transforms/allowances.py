"""Allowances: usage, and money, that is paid for already, used in the order of events.

Pure. Records come sorted by the instant they began and a stable tie-break. What an
allowance gives a record is then a difference of two running sums::

    given = min(size, needed so far, this record in) - min(size, needed before it)

so that all pools of all customers are drawn down in one pass. A record needs its rest in
whole blocks; the last blocks may cover only part of it, and what is over is priced by the
record's own entry.

Units: seconds, bytes or events for units, whole micros for money. Running sums are
128-bit; a record needs at most 2^54.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.cdr import Schema
from transforms.rate_plan import UNIT_OF, Allowance
from transforms.rate_plan_checks import covers
from transforms.rating_tables import Prepared, scattered

LEFT: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "rate_plan": pl.String(),
    "allowance": pl.String(),
    "subscriber": pl.String(),
    "unit": pl.String(),
    "is_once": pl.Boolean(),
    "size": pl.Int64(),
    "available": pl.Int64(),
    "used": pl.Int64(),
    "left": pl.Int64(),
}
"""What each pool gave in a cycle: of what was ``available`` at its start, what was
``used`` in it, and what is ``left`` at its end. ``subscriber`` is empty where a customer's
lines share the pool; ``unit`` is ``s``, ``bytes``, ``events`` or ``micros``."""

USED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "subscriber": pl.String(),
    "allowance": pl.String(),
    "used": pl.Int64(),
}
"""What was used of one-off allowances before the cycles at hand; ``subscriber`` as in
``LEFT``."""


_CYCLE: Final = ("customer_id", "cycle_start_date")
_POOL: Final = ("customer_id", "subscriber")
"""Whose a pool is, beside its cycle."""


@dataclass(frozen=True)
class Drawn:
    """Records after an allowance was used, and what is left of its pools."""

    records: pl.DataFrame
    left: pl.DataFrame


def draw_units(
    records: pl.DataFrame,
    prepared: Prepared,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> Drawn:
    """Use the allowances of units, one after the other.

    100 min left and calls of 60, 60 and 5 min: 60 and 40 min are covered, then none.

    Args:
        records: Sorted; with entry_no, plan_zone, quantity and rest.
        prepared: The plan.
        cycles: Every cycle at hand: customer_id, cycle_start_date.
        used: Frame ``USED``.

    Returns:
        Records with ``rest`` (units no allowance covers), ``is_covered`` (whether an
        allowance covers such usage at all) and ``is_fee_covered``.
    """
    records = records.with_columns(
        is_covered=pl.lit(value=False), is_fee_covered=pl.lit(value=False)
    )
    left: list[pl.DataFrame] = []
    for allowance in _of_kind(prepared, is_money=False):
        can_use = _can_use(allowance, prepared) & (pl.col("quantity") > 0)
        covered = records.select(can_use.alias("covered")).to_series()
        needed = -(-pl.col("rest") // allowance.block) * allowance.block
        drawn = _draw(records, pl.when(covered).then(needed), allowance, cycles, used)
        given = pl.min_horizontal("rest", pl.lit(drawn.given))
        pays_fee = allowance.connect_fee == "included"
        records = records.with_columns(
            rest=pl.col("rest") - given,
            is_covered=pl.col("is_covered") | covered,
            # Whoever carries the first unit of a record carries its connect fee.
            is_fee_covered=pl.col("is_fee_covered")
            | (pl.lit(pays_fee) & (pl.col("rest") == pl.col("quantity")) & (given > 0)),
        )
        left.append(drawn.left)
    return Drawn(records, _of_plan(left, prepared))


def draw_money(
    records: pl.DataFrame,
    prepared: Prepared,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> Drawn:
    """Use the allowances of money for what is charged; credits give nothing back.

    Args:
        records: Sorted; with entry_no, plan_zone and charge_micros.
        prepared: The plan.
        cycles: Every cycle at hand: customer_id, cycle_start_date.
        used: Frame ``USED``.

    Returns:
        Records with ``charge_micros`` less what was given, and ``allowance_micros``.
    """
    records = records.with_columns(allowance_micros=pl.lit(0, pl.Int64))
    left: list[pl.DataFrame] = []
    for allowance in _of_kind(prepared, is_money=True):
        needed = pl.when(_can_use(allowance, prepared)).then("charge_micros")
        drawn = _draw(records, needed, allowance, cycles, used)
        records = records.with_columns(
            charge_micros=pl.col("charge_micros") - drawn.given,
            allowance_micros=pl.col("allowance_micros") + drawn.given,
        )
        left.append(drawn.left)
    return Drawn(records, _of_plan(left, prepared))


def _of_plan(left: list[pl.DataFrame], prepared: Prepared) -> pl.DataFrame:
    plan = pl.lit(prepared.plan.id).alias("rate_plan")
    named = [each.with_columns(plan).select(list(LEFT)) for each in left]
    return pl.concat([pl.DataFrame(schema=LEFT), *named])


def _of_kind(prepared: Prepared, *, is_money: bool) -> Iterator[Allowance]:
    for allowance in prepared.plan.allowances:
        if (allowance.units is None) == is_money:
            yield allowance


def _can_use(allowance: Allowance, prepared: Prepared) -> pl.Expr:
    """Whether an allowance covers a record, whatever is left of it."""
    plan = prepared.plan
    numbers = [n for n, entry in enumerate(plan.entries) if covers(allowance, entry)]
    number = pl.col("entry_no")
    if numbers == list(range(len(plan.entries))):
        is_covered = number.is_not_null()
    else:
        is_covered = number.is_in(numbers).fill_null(value=False)
    if allowance.zones:
        is_covered &= pl.col("plan_zone").is_in(list(allowance.zones))
    if allowance.valid_from is not None:
        is_covered &= pl.col("wall_date") >= allowance.valid_from
    if allowance.valid_to is not None:
        is_covered &= pl.col("wall_date") < allowance.valid_to
    return is_covered.fill_null(value=False)


@dataclass(frozen=True)
class _Given:
    """What an allowance gave each record, and what is left of its pools."""

    given: pl.Series
    left: pl.DataFrame


def _draw(
    records: pl.DataFrame,
    needed: pl.Expr,
    allowance: Allowance,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> _Given:
    """Give each record what is left for it, by running sums over its pool.

    Only records that need something (above 0, not null) take part.
    """
    asking = records.select("row", *_CYCLE, _line(allowance), _needed=needed).filter(
        pl.col("_needed") > 0
    )
    pool = ["subscriber", *(_CYCLE if allowance.period == "cycle" else ["customer_id"])]
    opened, size = _opened(asking, allowance, used)
    before = pl.col("_needed").cum_sum().over(pool) - pl.col("_needed")
    given = opened.with_columns(pl.col("_needed").cast(pl.Int128)).select(
        "row",
        *_CYCLE,
        "subscriber",
        given=(
            pl.min_horizontal(size, before + pl.col("_needed"))
            - pl.min_horizontal(size, before)
        ).cast(pl.Int64),
    )
    return _Given(
        scattered(given["row"], given["given"], records.height),
        _left(given, records, allowance, cycles, used),
    )


def _opened(
    records: pl.DataFrame, allowance: Allowance, used: pl.DataFrame
) -> tuple[pl.DataFrame, pl.Expr]:
    """What there is to use at the first record: less for one-off pools begun before."""
    whole = pl.lit(allowance.size, pl.Int128)
    if allowance.period == "cycle" or used.is_empty():
        return records, whole
    before = _used_before(allowance, used)
    sizes = before.select(*_POOL, _size=(allowance.size - pl.col("before")).clip(0))
    opened = records.join(sizes, on=_POOL, how="left", maintain_order="left")
    return opened, pl.col("_size").fill_null(allowance.size).cast(pl.Int128)


def _used_before(allowance: Allowance, used: pl.DataFrame) -> pl.DataFrame:
    """What earlier cycles used of one allowance, by pool."""
    own = used.filter(pl.col("allowance") == allowance.name)
    return own.select("customer_id", "subscriber", before="used")


def _line(allowance: Allowance) -> pl.Expr:
    """Whose pool a record draws from: its line's, or none's because they share one."""
    if allowance.pool == "customer":
        return pl.lit("").alias("subscriber")
    return pl.col("subscriber").fill_null("")


def _left(
    given: pl.DataFrame,
    records: pl.DataFrame,
    allowance: Allowance,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> pl.DataFrame:
    """What each pool gave in each cycle, and what is left of it.

    Pools of a customer are there from the start; a line's with its first record.
    """
    key = [*_CYCLE, "subscriber"]
    drawn = given.group_by(key).agg(pl.col("given").cast(pl.Int128).sum())
    is_once = allowance.period == "once"
    if allowance.pool == "customer":
        pools = cycles.with_columns(subscriber=pl.lit(""))
    elif is_once:
        # A one-off pool of a line lasts over every cycle of its customer.
        lines = records.select("customer_id", _line(allowance)).unique()
        pools = cycles.join(lines, on="customer_id")
    else:
        pools = records.select(*_CYCLE, _line(allowance)).unique()
    size = pl.lit(allowance.size, pl.Int128)
    sums = (
        pools.select(key)
        .sort(key)
        .join(drawn, on=key, how="left", maintain_order="left")
        .with_columns(used=pl.col("given").fill_null(0), available=size)
    )
    if is_once:
        earlier = pl.col("used").cum_sum().over(_POOL) - pl.col("used")
        sums = sums.join(
            _used_before(allowance, used), on=_POOL, how="left", maintain_order="left"
        ).with_columns(available=(size - earlier - pl.col("before").fill_null(0)).clip(0))
    unit = "micros" if allowance.units is None else UNIT_OF[allowance.usage[0]]
    return sums.with_columns(
        pl.lit(allowance.name).alias("allowance"),
        pl.lit(unit).alias("unit"),
        pl.lit(is_once).alias("is_once"),
        pl.lit(allowance.size, pl.Int64).alias("size"),
        pl.col("available", "used").cast(pl.Int64),
        (pl.col("available") - pl.col("used")).cast(pl.Int64).alias("left"),
    )
