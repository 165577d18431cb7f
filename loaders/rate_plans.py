"""Rate plans in the database: every version loaded, who has which, and unrated usage.

Effects: the database. A plan is kept with the texts it was read from, and a version that
was ever current stays, so that the figures of an old revision can be traced. A plan that
changed, or a customer who got another one, leaves a mark on each cycle it touches.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime
from hashlib import sha256
from typing import Final

import polars as pl

from loaders.database import Database, Transaction
from loaders.totals import CYCLE, TotalsStore
from transforms.cdr import INSTANT, Schema, require
from transforms.rated_totals import ALLOWANCES, REASONS, in_cycle
from transforms.reference import CUSTOMER_RATE_PLANS, RatePlanText
from transforms.revisions import ARRIVALS, CORRECTIONS, Happened

IDS_PER_QUERY: Final = 500

_PLANS: Final[Schema] = {
    "rate_plan": pl.String(),
    "version": pl.String(),
    "currency": pl.String(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
}

_ROWS: Final[Schema] = {
    "rate_plan": pl.String(),
    "version": pl.String(),
    "is_current": pl.Int64(),
    "currency": pl.String(),
    "valid_from": pl.Date(),
    "valid_to": pl.Date(),
    "document": pl.String(),
}

_IMPORTS: Final[Schema] = {
    "import_id": pl.Int64(),
    "file_name": pl.String(),
    "record_count": pl.Int64(),
    "finished_at": INSTANT,
}


_REVISIONS: Final[Schema] = {
    "revision": pl.Int64(),
    "reason": pl.String(),
    "read_at": INSTANT,
}


@dataclass(frozen=True)
class StoredPlan:
    """The current version of a plan, with its texts."""

    id: str
    version: str
    document: str


class RatePlanStore:
    """The door for rate plans."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def assignments_in(self, tx: Transaction) -> pl.DataFrame:
        """Read which customer has which plan (CUSTOMER_RATE_PLANS)."""
        return tx.frame("rate_plan/assignments", CUSTOMER_RATE_PLANS)

    def plans_in(self, tx: Transaction, names: Iterable[str]) -> tuple[StoredPlan, ...]:
        """Read the current version of these plans; one that is gone is left out."""
        found = []
        for name in sorted(set(names)):
            row = tx.row("rate_plan/document", rate_plan=name)
            if row is not None:
                found.append(StoredPlan(name, str(row["version"]), str(row["document"])))
        return tuple(found)

    def reasons(self, customer_id: int, cycle_start_date: date) -> pl.DataFrame:
        """Read why usage of a cycle has no price (REASONS)."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "rate_plan/reasons",
                REASONS,
                customer_id=customer_id,
                cycle_start_date=cycle_start_date,
            )

    def allowances(self, customer_id: int, cycle_start_date: date) -> pl.DataFrame:
        """Read what the allowances of a cycle gave (ALLOWANCES)."""
        with self._database.snapshot() as tx:
            return tx.frame(
                "rate_plan/allowances",
                ALLOWANCES,
                customer_id=customer_id,
                cycle_start_date=cycle_start_date,
            )

    def imports(
        self, customer_id: int, cycle_start_date: date
    ) -> list[tuple[int, str, int, datetime]]:
        """Read what brought records of a cycle: id, file, records, when it was done."""
        with self._database.snapshot() as tx:
            frame = tx.frame(
                "rate_plan/imports_of_cycle",
                _IMPORTS,
                customer_id=customer_id,
                cycle_start_date=cycle_start_date,
            )
        return [(row[0], row[1], row[2], row[3]) for row in frame.iter_rows()]

    def happened(self, customer_id: int, start: date, end: date) -> Happened:
        """Read what came to the records of a cycle and was replaced in it."""
        cycle = {
            "customer_id": customer_id,
            "cycle_start_date": start,
            "cycle_end_date": end,
        }
        with self._database.snapshot() as tx:
            return Happened(
                tx.frame("rate_plan/arrivals", ARRIVALS, **cycle),
                tx.frame("rate_plan/corrections", CORRECTIONS, **cycle),
                end,
            )

    def made(self, customer_id: int, start: date) -> dict[int, tuple[str, datetime]]:
        """Read why each revision of a cycle was made, and when its records were read.

        A revision from before this was kept is not among them.
        """
        with self._database.snapshot() as tx:
            frame = tx.frame(
                "rate_plan/revisions",
                _REVISIONS,
                customer_id=customer_id,
                cycle_start_date=start,
            )
        return {number: (reason, read_at) for number, reason, read_at in frame.iter_rows()}


def plan_currencies(tx: Transaction) -> dict[str, str]:
    """Read the currency of every current plan, by its id."""
    frame = tx.frame("rate_plan/plans", _PLANS)
    return dict(frame.select("rate_plan", "currency").iter_rows())


def plans_sha256(plans: Iterable[RatePlanText]) -> str:
    """Hash which plans are loaded, in which version."""
    text = json.dumps(sorted((plan.id, plan.version) for plan in plans))
    return sha256(text.encode()).hexdigest()


def replace_plans(tx: Transaction, plans: tuple[RatePlanText, ...]) -> list[str]:
    """Make these plans the current ones, inside the caller's transaction.

    Returns:
        The ids of plans that are new, changed or gone.
    """
    before = dict(
        tx.frame("rate_plan/plans", _PLANS).select("rate_plan", "version").iter_rows()
    )
    after = {plan.id: plan.version for plan in plans}
    tx.execute("rate_plan/retire")
    for plan in plans:
        known = tx.execute("rate_plan/revive", rate_plan=plan.id, version=plan.version)
        if not known:
            tx.load("rate_plan", _row(plan))
    names = sorted({*before, *after})
    return [name for name in names if before.get(name) != after.get(name)]


def _row(plan: RatePlanText) -> pl.DataFrame:
    row = (
        plan.id,
        plan.version,
        1,
        plan.currency,
        plan.valid_from,
        plan.valid_to,
        plan.document,
    )
    return pl.DataFrame([row], _ROWS, orient="row")


def replace_assignments(tx: Transaction, assignments: pl.DataFrame) -> pl.DataFrame:
    """Replace who has which plan, inside the caller's transaction.

    Returns:
        The rows that came and the rows that went (CUSTOMER_RATE_PLANS).
    """
    rows = require(assignments, CUSTOMER_RATE_PLANS, "replace_assignments")
    before = tx.frame("rate_plan/assignments", CUSTOMER_RATE_PLANS)
    tx.execute("rate_plan/clear_assignments")
    tx.load("customer_rate_plan", rows)
    names = list(CUSTOMER_RATE_PLANS)
    came = rows.join(before, on=names, how="anti", nulls_equal=True)
    went = before.join(rows, on=names, how="anti", nulls_equal=True)
    return pl.concat([came, went])


def mark_cycles(
    tx: Transaction, totals: TotalsStore, assignments: pl.DataFrame, reason: str
) -> int:
    """Mark the cycles with totals that these assignments touch.

    Cycles that have records but no totals yet wait for them already.

    Returns:
        How many cycles were marked.
    """
    ids = assignments["customer_id"].unique().sort().to_list()
    marked = 0
    for start in range(0, len(ids), IDS_PER_QUERY):
        page = ids[start : start + IDS_PER_QUERY]
        cycles = tx.frame("rate_plan/cycles_of_customers", CYCLE, customer_ids=page)
        touched = in_cycle(assignments, cycles)
        pairs = cycles.join(touched, on=["customer_id", "cycle_start_date"], how="semi")
        totals.mark_dirty(tx, pairs, reason)
        marked += pairs.height
    return marked
