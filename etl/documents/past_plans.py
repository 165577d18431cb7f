"""Rate plans as they were when invoices were made.

Effects: reads the database. An invoice knows the revision of the totals it was made of,
and a revision the version of its plan. That is mostly the version of today; when it is
not, a version that was current then is still stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from etl.rate_plan_files import stored_rate_plan
from loaders.allowances import one_offs_of
from loaders.database import Transaction
from loaders.invoices import InvoiceStore
from loaders.rate_plans import RatePlanStore
from loaders.totals import CYCLE
from transforms.cdr import Schema, require
from transforms.invoice import Invoice
from transforms.rated_totals import ZONES, Planned, in_cycle, plan_names
from transforms.rating_tables import Prepared, prepare
from transforms.reference import CUSTOMER_RATE_PLANS, CUSTOMERS

Cycle = tuple[int, date]
Version = tuple[str, str]
"""The name of a plan, or of the plans of one cycle, and the version."""

CYCLES: Final[Schema] = {"customer_id": pl.Int64(), "cycle_start_date": pl.Date()}


def cycle_of(invoice: Invoice) -> Cycle:
    """The cycle an invoice is of."""
    return invoice.draft.customer_id, invoice.draft.cycle_start_date


@dataclass(frozen=True)
class Past:
    """The plans of invoices as they were.

    Attributes:
        planned: What the cycles are rated by.
        cycles: The cycles that can be rated so.
        lost: The cycles whose plan, as it was then, nobody can tell any more.
    """

    planned: Planned
    cycles: pl.DataFrame
    lost: set[Cycle]


@dataclass(frozen=True)
class _Now:
    """The plans of today: who has them in these cycles, and how those are named."""

    spans: pl.DataFrame
    plans: dict[str, Prepared]
    names: dict[Cycle, Version]

    def of(self, cycle: Cycle) -> pl.DataFrame:
        """The plans that hold in one cycle, with their days."""
        return self.spans.filter(
            pl.col("customer_id") == cycle[0], pl.col("cycle_start_date") == cycle[1]
        )


class PastPlans:
    """Finds the plans of invoices."""

    def __init__(self, invoices: InvoiceStore, plans: RatePlanStore) -> None:
        """Remember the doors; each version of a plan is read and made ready once."""
        self._invoices = invoices
        self._plans = plans
        self._prepared: dict[Version, Prepared] = {}

    def __call__(self, tx: Transaction, invoices: Sequence[Invoice]) -> Past:
        """Find the plans of invoices, each of a cycle of its own."""
        zones = require(tx.frame("reference/customers", CUSTOMERS), ZONES, "PastPlans")
        nobody = pl.DataFrame(schema=CUSTOMER_RATE_PLANS)
        if not invoices:
            return Past(Planned(nobody, {}, zones), pl.DataFrame(schema=CYCLES), set())
        now = self._now(tx, invoices)
        made_by = self._invoices.plans_of(tx, invoices)
        used = one_offs_of(tx, sorted({each.draft.customer_id for each in invoices}))
        plans: dict[str, Prepared] = {}
        found: dict[Cycle, pl.DataFrame] = {}
        for invoice in invoices:
            version = made_by.get(invoice.number)
            days = self._held(tx, invoice, version, now, plans)
            if days is not None:
                found[cycle_of(invoice)] = days
        held = pl.concat([nobody, *found.values()])
        return Past(
            Planned(held, plans, zones, _under_their_keys(used, held)),
            pl.DataFrame(list(found), CYCLES, orient="row"),
            {cycle_of(each) for each in invoices} - found.keys(),
        )

    def _now(self, tx: Transaction, invoices: Sequence[Invoice]) -> _Now:
        rows = [(*cycle_of(each), each.draft.cycle_end_date) for each in invoices]
        pairs = pl.DataFrame(rows, CYCLE, orient="row")
        spans = in_cycle(self._plans.assignments_in(tx), pairs)
        names = spans["rate_plan"].unique().to_list()
        plans = {
            stored.id: self._ready((stored.id, stored.version), stored.document)
            for stored in self._plans.plans_in(tx, names)
        }
        spans = spans.filter(pl.col("rate_plan").is_in(list(plans)))
        named = plan_names(spans, plans).iter_rows()
        return _Now(
            spans,
            plans,
            {
                (customer_id, start): (name, version)
                for customer_id, start, name, version in named
            },
        )

    def _held(
        self,
        tx: Transaction,
        invoice: Invoice,
        version: Version | None,
        now: _Now,
        plans: dict[str, Prepared],
    ) -> pl.DataFrame | None:
        """Say which plans held on which days of an invoice's cycle, and keep them ready.

        Returns:
            Frame ``CUSTOMER_RATE_PLANS`` within the cycle, or None when its plan is lost.
        """
        cycle, end = cycle_of(invoice), invoice.draft.cycle_end_date
        own = now.of(cycle)
        if version is None:
            return None
        if now.names.get(cycle) == version:
            plans |= {name: now.plans[name] for name in own["rate_plan"].to_list()}
        else:
            kept = self._kept(tx, version)
            if kept is None:
                return None
            plans[_key(version)] = kept
            own = _with_days_of(own, version, cycle)
        return own.select(
            "customer_id",
            "rate_plan",
            pl.max_horizontal("valid_from", pl.lit(cycle[1])),
            pl.min_horizontal("valid_to", pl.lit(end)),
        )

    def _kept(self, tx: Transaction, version: Version) -> Prepared | None:
        """A version of one plan that is stored; None where there is no such version."""
        if version in self._prepared:
            return self._prepared[version]
        document = self._invoices.plan_document_in(tx, *version)
        return None if document is None else self._ready(version, document)

    def _ready(self, version: Version, document: str) -> Prepared:
        if version not in self._prepared:
            self._prepared[version] = prepare(stored_rate_plan(document))
        return self._prepared[version]


def _key(version: Version) -> str:
    """What an earlier version of a plan goes by; no plan's name has a blank in it."""
    return " ".join(version)


def _with_days_of(own: pl.DataFrame, version: Version, cycle: Cycle) -> pl.DataFrame:
    """Give a plan in an earlier version its days: those it has now, or the whole cycle."""
    if set(own["rate_plan"].to_list()) == {version[0]}:
        return own.with_columns(rate_plan=pl.lit(_key(version)))
    open_ended = (*cycle, _key(version), None, None)
    return pl.DataFrame([open_ended], own.schema, orient="row")


def _under_their_keys(used: pl.DataFrame, held: pl.DataFrame) -> pl.DataFrame:
    """Say what was used of one-off allowances under the keys that plans go by here."""
    keys = held.select("customer_id", key="rate_plan").unique()
    return (
        used.join(keys, on="customer_id", how="inner")
        .filter(pl.col("key").str.split(" ").list.first() == pl.col("rate_plan"))
        .with_columns(rate_plan="key")
        .select(used.columns)
    )
