"""The calls of invoices, read for many at a time and priced as they were invoiced.

Effects: reads the database. A batch is read whole before anything is written from it, so
that no connection waits for a disk. Under a rate plan calls are rated again by the version
their invoice was made with: the current one, or one that was current then and is kept.

Units: ``_micros`` whole micros.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from typing import Final

import polars as pl

from etl.documents.past_plans import Cycle, Past, PastPlans, cycle_of
from loaders.database import Database, Transaction
from loaders.retention import closed_cycles
from loaders.totals import CYCLE, TotalsStore
from transforms.invoice import INVOICE, Invoice
from transforms.invoice_calls import (
    CALLS,
    Itemised,
    calls_at_cost,
    calls_under_plans,
    line_sums,
)
from transforms.rated_totals import RATE_PLAN
from transforms.totals import CYCLE_KEY

INVOICES_A_BATCH: Final = 200
CALLS_A_BATCH: Final = 200_000
"""A batch of invoices ends with the one that brings it to so many calls."""

REMOVED: Final = "its records were removed after their term"

NO_CALLS: Final = Itemised(pl.DataFrame(schema=CALLS), {})
NO_AMOUNT: Final = pl.lit(None, pl.Int64).alias("amount_micros")

Found = Itemised | str
"""The calls of an invoice, or why there are none to be had."""


def batches(invoices: Iterable[Invoice]) -> Iterator[list[Invoice]]:
    """Cut invoices into batches of bounded size, each cycle at most once in one."""
    batch: list[Invoice] = []
    cycles: set[Cycle] = set()
    calls = 0
    for invoice in invoices:
        if batch and (
            cycle_of(invoice) in cycles
            or calls >= CALLS_A_BATCH
            or len(batch) >= INVOICES_A_BATCH
        ):
            yield batch
            batch, cycles, calls = [], set(), 0
        batch.append(invoice)
        cycles.add(cycle_of(invoice))
        calls += sum(
            line.quantity for line in invoice.draft.amounts.lines if line.kind == "usage"
        )
    if batch:
        yield batch


@dataclass(frozen=True)
class _Read:
    """What was read in one snapshot for a batch."""

    pairs: pl.DataFrame
    pages: list[pl.DataFrame]
    past: Past
    closed: set[Cycle]


class CallReader:
    """Reads the calls of invoices."""

    def __init__(
        self, database: Database, totals: TotalsStore, past_plans: PastPlans
    ) -> None:
        """Remember the doors; nothing is opened."""
        self._database = database
        self._totals = totals
        self._past_plans = past_plans

    def __call__(self, invoices: Sequence[Invoice]) -> dict[str, Found]:
        """Read the calls of invoices, each of a cycle of its own, by their numbers.

        A correction has no calls of its own: what it corrects is in its lines.
        """
        asked = [each for each in invoices if each.draft.kind == INVOICE]
        if not asked:
            return {}
        with self._database.snapshot() as tx:
            read = self._read(tx, asked)
        priced = dict(_priced(read))
        return {each.number: _found(each, read, priced) for each in asked}

    def _read(self, tx: Transaction, invoices: Sequence[Invoice]) -> _Read:
        closed = closed_cycles(tx)
        still = [each for each in invoices if cycle_of(each) not in closed]
        past = self._past_plans(tx, [each for each in still if is_rated(each)])
        rows = [(*cycle_of(each), each.draft.cycle_end_date) for each in still]
        pairs = pl.DataFrame(rows, CYCLE, orient="row")
        with closing(self._totals.customers_records(tx, pairs)) as pages:
            return _Read(pairs, list(pages), past, closed)


def is_rated(invoice: Invoice) -> bool:
    """Whether the usage of an invoice was priced by a rate plan."""
    return invoice.draft.method == RATE_PLAN


def _priced(read: _Read) -> Iterator[tuple[Cycle, Itemised]]:
    """Price every page, and cut it into the calls of each cycle."""
    for page in read.pages:
        rated = page.join(read.past.cycles, on=CYCLE_KEY, how="semi")
        parts = [calls_at_cost(page.join(read.past.cycles, on=CYCLE_KEY, how="anti"))]
        if not rated.is_empty():
            pairs = read.pairs.join(rated, on=CYCLE_KEY, how="semi")
            parts.append(calls_under_plans(rated, pairs, read.past.planned))
        calls = pl.concat(parts)
        sums = line_sums(calls)
        for cycle, own in calls.partition_by(CYCLE_KEY, as_dict=True).items():
            yield _cycle(*cycle), Itemised(own, sums[_cycle(*cycle)])


def _cycle(customer_id: int, start: date) -> Cycle:
    return customer_id, start


def _found(invoice: Invoice, read: _Read, priced: Mapping[Cycle, Itemised]) -> Found:
    cycle = cycle_of(invoice)
    if cycle in read.closed:
        return f"{invoice.number}: {REMOVED}"
    itemised = priced.get(cycle, NO_CALLS)
    if cycle not in read.past.lost:
        return itemised
    # What the provider charges is not what the customer pays: no amounts at all.
    return Itemised(itemised.calls.with_columns(NO_AMOUNT), {}, is_priced=False)
