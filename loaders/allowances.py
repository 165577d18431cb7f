"""Allowances: what each gave in a cycle, and which later cycles depend on that.

Effects: the database. What is left of a one-off allowance at the start of a cycle is what
the cycles before it did not use. So whenever a cycle's use of one changes, the later
cycles that it covers are marked for totals; they are computed again from what is stored
then, and in the end every figure is what computing all cycles in their order gives,
whatever the order they were computed in.
"""

from typing import Final

import polars as pl

from loaders.database import Transaction
from loaders.totals import CYCLE, TotalsStore, stage
from transforms.cdr import require
from transforms.rated_totals import ALLOWANCES, ONE_OFFS, one_offs_in
from transforms.revisions import ONE_OFF
from transforms.totals import CYCLE_KEY

IDS_PER_QUERY: Final = 500


def one_offs_of(tx: Transaction, customer_ids: list[int]) -> pl.DataFrame:
    """Read what cycles of these customers used of one-off allowances (ONE_OFFS)."""
    found = [
        tx.frame("rate_plan/one_offs", ONE_OFFS, customer_ids=page)
        for page in _pages(customer_ids)
    ]
    return pl.concat([pl.DataFrame(schema=ONE_OFFS), *found])


def write_allowances(
    tx: Transaction, totals: TotalsStore, pairs: pl.DataFrame, allowances: pl.DataFrame
) -> int:
    """Store what allowances gave in some cycles, inside the caller's transaction.

    Args:
        tx: The transaction that writes the totals of these cycles.
        totals: Marks the cycles that must be computed again.
        pairs: The cycles, all of one computation: needs ``CYCLE``.
        allowances: Frame ``ALLOWANCES``: every allowance of these cycles.

    Returns:
        How many later cycles were marked.
    """
    rows = require(allowances, ALLOWANCES, "write_allowances")
    stage(tx, pairs)
    before = tx.frame("rate_plan/allowances_of_pairs", ALLOWANCES)
    changed = _differing(before, rows).select(CYCLE_KEY).unique()
    if changed.is_empty():
        return 0
    stage(tx, pairs.join(changed, on=CYCLE_KEY, how="semi"))
    tx.execute("rate_plan/delete_allowances")
    tx.load("total_allowance", rows.join(changed, on=CYCLE_KEY, how="semi"))
    moved = _differing(one_offs_in(before), one_offs_in(rows))
    depending = _depending(tx, moved).join(pairs, on=CYCLE_KEY, how="anti")
    totals.mark_dirty(tx, depending, ONE_OFF)
    return depending.height


def _differing(before: pl.DataFrame, after: pl.DataFrame) -> pl.DataFrame:
    """The rows that only one of two frames has."""
    names = before.columns
    return pl.concat(
        [
            before.join(after, on=names, how="anti"),
            after.join(before, on=names, how="anti"),
        ]
    )


def _depending(tx: Transaction, moved: pl.DataFrame) -> pl.DataFrame:
    """The cycles (CYCLE) after the first one of each customer whose use has changed.

    Cycles that wait already are among them: another run may be computing one from what
    was stored before, and must not clear its mark.
    """
    since = moved.group_by("customer_id").agg(since=pl.col("cycle_start_date").min())
    ids = since["customer_id"].sort().to_list()
    found = [
        tx.frame("rate_plan/depending", CYCLE, customer_ids=page) for page in _pages(ids)
    ]
    return (
        pl.concat([pl.DataFrame(schema=CYCLE), *found])
        .unique(CYCLE_KEY)
        .join(since, on="customer_id", how="inner")
        .filter(pl.col("cycle_start_date") > pl.col("since"))
        .select(list(CYCLE))
    )


def _pages(customer_ids: list[int]) -> list[list[int]]:
    return [
        customer_ids[first : first + IDS_PER_QUERY]
        for first in range(0, len(customer_ids), IDS_PER_QUERY)
    ]
