"""Looking back at totals: what changed between revisions, and what another plan would cost.

Effects: reads the database, writes nothing. Putting a revision back is in
``etl.totals_work``.
"""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from loaders.database import Database
from loaders.rate_plans import RatePlanStore
from loaders.reference import ReferenceStore
from loaders.totals import TotalsStore
from transforms.cdr import require
from transforms.errors import ConfigError, StoreError
from transforms.money import decimal_text
from transforms.rate_plan import RatePlan
from transforms.rated_totals import (
    ZONES,
    Planned,
    history_pairs,
    plan_for_all,
    rated_totals,
    savings,
)
from transforms.rating_tables import prepare
from transforms.revisions import (
    BEFORE_ALL,
    Facts,
    corrected_records,
    facts_of,
    line_changes,
    plan_change,
)
from transforms.totals import CYCLE_KEY, PAIRS, cycle_pairs, lines_from_json

Document = dict[str, Any]


@dataclass(frozen=True)
class Revision:
    """One revision of a cycle with its lines."""

    facts: Facts
    total_cost_micros: int
    lines: pl.DataFrame


class TotalsHistory:
    """Compares totals: with their own past, and with another plan."""

    def __init__(
        self, database: Database, totals: TotalsStore, reference: ReferenceStore
    ) -> None:
        """Remember the doors; nothing is opened."""
        self._database = database
        self._totals = totals
        self._reference = reference
        self._plans = RatePlanStore(database)

    def diff(
        self, customer_id: int, day: date, first: int | None, last: int | None
    ) -> Document:
        """Compare two revisions of a cycle, line by line; by default the last two.

        Raises:
            ConfigError: When there is no such customer.
            StoreError: When the cycle has no totals, or no such revision.
        """
        pair = self._pair(customer_id, day)
        start, end = pair["cycle_start_date"][0], pair["cycle_end_date"][0]
        revisions = self.revisions(customer_id, start)
        newest = max(revisions, default=0)
        to = newest if last is None else last
        since = to - 1 if first is None else first
        is_first = since == 0 and first is None and to in revisions
        for number in (to,) if is_first else (since, to):
            if number not in revisions:
                message = (
                    f"customer {customer_id} has no revision {number} for the cycle of"
                    f" {start}; it has {newest}"
                )
                raise StoreError(message)
        now = revisions[to]
        was = _nothing(now) if is_first else revisions[since]
        happened = replace(
            self._plans.happened(customer_id, start, end),
            reasons=tuple(
                revisions[number].facts.reason
                for number in sorted(revisions)
                if was.facts.revision < number <= to
            ),
        )
        read_after, read_at = was.facts.read_at, now.facts.read_at
        return {
            "customer_id": customer_id,
            "cycle_start_date": start,
            "cycle_end_date": end,
            "from_revision": was.facts.revision,
            "to_revision": now.facts.revision,
            "was_micros": was.total_cost_micros,
            "is_micros": now.total_cost_micros,
            "was": decimal_text(was.total_cost_micros),
            "is": decimal_text(now.total_cost_micros),
            "plan": plan_change(was.facts, now.facts),
            "reasons": [each for each in dict.fromkeys(happened.reasons) if each],
            "imports": [
                {
                    "import_id": import_id,
                    "file": file,
                    "records": records,
                    "late": finished.date() >= end,
                }
                for import_id, file, records, finished in self._plans.imports(
                    customer_id, start
                )
                if read_after < finished <= read_at
            ],
            "corrected": corrected_records(happened.corrections, read_after, read_at),
            "lines": line_changes(was.facts, was.lines, now.facts, now.lines, happened),
        }

    def revisions(self, customer_id: int, start: date) -> dict[int, Revision]:
        """Read every revision of a cycle that is kept, the current one included."""
        made = self._plans.made(customer_id, start)
        found = {
            int(row["revision"]): Revision(
                facts_of(row, made, row["backed_up_at"]),
                int(row["total_cost_micros"]),
                lines_from_json(customer_id, start, row["lines"]),
            )
            for row in self._totals.backups(customer_id, start).iter_rows(named=True)
        }
        current = self._totals.current(customer_id, start)
        if current is not None:
            header = current.header
            found[header.revision] = Revision(
                facts_of(vars(header), made, header.updated_at),
                header.total_cost_micros,
                current.lines,
            )
        return found

    def simulate(
        self, plans: Sequence[RatePlan], customer_id: int | None, day: date, cycles: int
    ) -> Document:
        """Rate history under other plans, beside what it cost, best saving first.

        A plan's own validity is not looked at: the question is what it would have cost.

        Args:
            plans: The plans to try.
            customer_id: Only this customer; None for all that pay in the plan's currency.
            day: A day of the newest cycle.
            cycles: How many cycles, that one and those before it.

        Raises:
            ConfigError: When there is no such customer.
        """
        customers = self._reference.customers()
        if customer_id is not None:
            customers = customers.filter(pl.col("customer_id") == customer_id)
            if customers.is_empty():
                message = f"there is no customer {customer_id}"
                raise ConfigError(message)
        rows = [self._tried(plan, customers, day, cycles) for plan in plans]
        ranked = pl.concat(rows).sort(
            pl.col("unrated_count") > 0,
            "saving_micros",
            "customer_id",
            "rate_plan",
            descending=[False, True, False, False],
        )
        return {
            "cycle": day,
            "cycles": cycles,
            "plans": [plan.id for plan in plans],
            "customers": ranked.to_dicts(),
        }

    def _tried(
        self, plan: RatePlan, customers: pl.DataFrame, day: date, cycles: int
    ) -> pl.DataFrame:
        own = customers.filter(pl.col("currency") == plan.currency)
        asked = history_pairs(own, day, cycles)
        real = self._totals.real(own["customer_id"].to_list())
        pairs = asked.join(real, on=CYCLE_KEY, how="semi").select(list(PAIRS))
        prepared = prepare(replace(plan, valid_from=None, valid_to=None))
        zones = require(customers, ZONES, "TotalsHistory zones")
        planned = Planned(plan_for_all(pairs, plan.id), {plan.id: prepared}, zones)
        with (
            self._database.snapshot() as tx,
            closing(self._totals.customers_records(tx, pairs)) as pages,
        ):
            rated = rated_totals(pages, pairs, planned)
        return savings(plan.id, rated.totals.headers, real)

    def _pair(self, customer_id: int, day: date) -> pl.DataFrame:
        customers = self._reference.customers().filter(pl.col("customer_id") == customer_id)
        if customers.is_empty():
            message = f"there is no customer {customer_id}"
            raise ConfigError(message)
        return cycle_pairs(customers, day)


def _nothing(first: Revision) -> Revision:
    """What there was before the first revision: the same plan, and no lines."""
    facts = replace(first.facts, revision=0, read_at=BEFORE_ALL)
    return Revision(facts, 0, first.lines.clear())
