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
from transforms.rate_plan import Allowance
from transforms.rate_plan_checks import covers
from transforms.rating_tables import Prepared

LEFT: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "subscriber": pl.String(),
    "allowance": pl.String(),
    "size": pl.Int64(),
    "used": pl.Int64(),
    "left": pl.Int64(),
}
"""What is left of each pool at the end of a cycle; ``subscriber`` is empty where a
customer's lines share it. Money in micros."""

USED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "subscriber": pl.String(),
    "allowance": pl.String(),
    "used": pl.Int64(),
}
"""What was used of one-off allowances before the records at hand."""


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
    left: list[pl.DataFrame] = [pl.DataFrame(schema=LEFT)]
    for allowance in _of_kind(prepared, is_money=False):
        block = allowance.block
        can_use = _can_use(allowance, prepared) & (pl.col("quantity") > 0)
        needed = pl.when(can_use).then(-(-pl.col("rest") // block) * block).otherwise(0)
        drawn = _draw(records, allowance, needed, cycles, used)
        given = pl.min_horizontal("rest", "given")
        pays_fee = allowance.connect_fee == "included"
        records = drawn.records.with_columns(
            rest=pl.col("rest") - given,
            is_covered=pl.col("is_covered") | can_use,
            # Whoever carries the first unit of a record carries its connect fee.
            is_fee_covered=pl.col("is_fee_covered")
            | (pl.lit(pays_fee) & (pl.col("rest") == pl.col("quantity")) & (given > 0)),
        ).drop("given")
        left.append(drawn.left)
    return Drawn(records, pl.concat(left))


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
    left: list[pl.DataFrame] = [pl.DataFrame(schema=LEFT)]
    for allowance in _of_kind(prepared, is_money=True):
        charged = pl.col("charge_micros").fill_null(0).clip(0)
        needed = pl.when(_can_use(allowance, prepared)).then(charged).otherwise(0)
        drawn = _draw(records, allowance, needed, cycles, used)
        records = drawn.records.with_columns(
            charge_micros=pl.col("charge_micros") - pl.col("given"),
            allowance_micros=pl.col("allowance_micros") + pl.col("given"),
        ).drop("given")
        left.append(drawn.left)
    return Drawn(records, pl.concat(left))


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


def _draw(
    records: pl.DataFrame,
    allowance: Allowance,
    needed: pl.Expr,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> Drawn:
    """Give each record what is left for it, by running sums over its pool."""
    pool = ["customer_id"]
    pool += ["cycle_start_date"] if allowance.period == "cycle" else []
    pool += ["subscriber"] if allowance.pool == "line" else []
    opened, size = _opened(records, allowance, used)
    before = pl.col("_needed").cum_sum().over(pool) - pl.col("_needed")
    given = opened.with_columns(_needed=needed.cast(pl.Int128)).with_columns(
        given=(
            pl.min_horizontal(size, before + pl.col("_needed"))
            - pl.min_horizontal(size, before)
        ).cast(pl.Int64)
    )
    left = _left(given, allowance, cycles, used)
    return Drawn(given.drop("_needed", "_size", strict=False), left)


def _opened(
    records: pl.DataFrame, allowance: Allowance, used: pl.DataFrame
) -> tuple[pl.DataFrame, pl.Expr]:
    """What there is to use at the first record: less for one-off pools begun before."""
    whole = pl.lit(allowance.size, pl.Int128)
    if allowance.period == "cycle" or used.is_empty():
        return records, whole
    own = _used_before(allowance, used)
    keys = ["customer_id", *(["subscriber"] if allowance.pool == "line" else [])]
    sizes = own.select(*keys, _size=(allowance.size - pl.col("used")).clip(0))
    joined = records.join(
        sizes, on=keys, how="left", maintain_order="left", nulls_equal=True
    )
    return joined, pl.col("_size").fill_null(allowance.size).cast(pl.Int128)


def _used_before(allowance: Allowance, used: pl.DataFrame) -> pl.DataFrame:
    return used.filter(pl.col("allowance") == allowance.name)


def _left(
    given: pl.DataFrame,
    allowance: Allowance,
    cycles: pl.DataFrame,
    used: pl.DataFrame,
) -> pl.DataFrame:
    """What is left of each pool at the end of each cycle.

    Pools of a customer are there from the start; a line's with its first record.
    """
    is_shared = allowance.pool == "customer"
    line = pl.lit("") if is_shared else pl.col("subscriber").fill_null("")
    key = ["customer_id", "cycle_start_date", "subscriber"]
    drawn = (
        given.select("customer_id", "cycle_start_date", line.alias("subscriber"), "given")
        .group_by(key)
        .agg(pl.col("given").cast(pl.Int128).sum())
    )
    if is_shared:
        pools = cycles.with_columns(subscriber=pl.lit(""))
    elif allowance.period == "cycle":
        pools = drawn
    else:
        # A one-off pool of a line lasts over every cycle of its customer.
        lines = drawn.select("customer_id", "subscriber").unique()
        pools = cycles.join(lines, on="customer_id")
    pools = pools.select(key).sort(key)
    sums = pools.join(drawn, on=key, how="left", maintain_order="left").with_columns(
        pl.col("given").fill_null(0)
    )
    if allowance.period == "once":
        once = pl.col("given").cum_sum().over("customer_id", "subscriber")
        own = _used_before(allowance, used).select(
            "customer_id", pl.col("subscriber").fill_null(""), before="used"
        )
        sums = sums.join(
            own, on=["customer_id", "subscriber"], how="left", maintain_order="left"
        ).with_columns(given=once + pl.col("before").fill_null(0))
    return sums.select(
        *key,
        pl.lit(allowance.name).alias("allowance"),
        pl.lit(allowance.size, pl.Int64).alias("size"),
        pl.col("given").cast(pl.Int64).alias("used"),
        (allowance.size - pl.col("given")).clip(0).cast(pl.Int64).alias("left"),
    )
