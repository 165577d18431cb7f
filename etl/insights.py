"""Insights as work: what is looked at when, and the findings that stand afterwards.

Effects: the database. What is found is decided in ``transforms.insights_of_cycles`` and
``…_of_deliveries``, what stands is kept by ``loaders.insights``. Every page of customers is
read in one snapshot and settled in one transaction, with a mark on the revision that was
looked at: a run that was killed is gone on with by running it again.
"""

from collections.abc import Iterator, Sequence
from datetime import date

import polars as pl

from etl.bus import Context, Done
from etl.chains import FindInsights
from etl.failpoints import failpoint
from etl.settings import Insights
from loaders.database import Database, Transaction
from loaders.insights import (
    IDS_PER_QUERY,
    Asked,
    InsightReader,
    InsightStore,
    Settled,
    Standing,
    mark_looked,
    of_span,
    settle,
    standing,
    unlooked_in,
)
from loaders.reference import ReferenceStore
from transforms.cycle import Cycle
from transforms.insights import (
    MISSING_DELIVERY,
    OF_A_CYCLE,
    OF_AN_ENDED_CYCLE,
    OF_DELIVERIES,
    SILENT_LINES,
    Insight,
    Thresholds,
)
from transforms.insights_of_cycles import (
    LINES,
    at_a_loss,
    bursts,
    ended_cycles,
    history_begins,
    lines_throughout,
    losses,
    nearly_used,
    new_use,
    notable_use,
    silent_lines,
    unused,
    usage_jumps,
    worth_a_look,
)
from transforms.insights_of_deliveries import (
    duplicate_shares,
    late_deliveries,
    missing_deliveries,
    unmatched_numbers,
)
from transforms.money import MICROS

Found = list[Insight]


class InsightWork:
    """Looks at cycles and deliveries, and keeps what is found."""

    def __init__(
        self,
        database: Database,
        insights: InsightStore,
        reference: ReferenceStore,
        settings: Insights,
    ) -> None:
        """Remember the doors and the thresholds; nothing is opened."""
        self._database = database
        self._insights = insights
        self._reference = reference
        self._limits = Thresholds(**settings.model_dump())

    # --- cycles whose totals changed ------------------------------------------------------

    def cycles(
        self,
        customer_id: int | None,
        cycle_start: date | None,
        day: date | None,
        context: Context,
    ) -> Done:
        """Look at every cycle whose totals changed since someone looked.

        Args:
            customer_id: Only at this customer's.
            cycle_start: Only at the cycle that begins then.
            day: And at the cycles that contain this day, changed or not.
            context: The job in hand.
        """
        waiting = self._insights.unlooked(customer_id, cycle_start, day)
        settled = Settled()
        for page in _pages(waiting):
            context.checkpoint()
            found = self._look_at_cycles(page)
            settled += self._settle_cycles(page, found, context)
        figures = {"cycles": waiting.height, **vars(settled)}

        def finish(tx: Transaction) -> Done:
            # A job that was sent while this one ran is this one; see DispatchTotals.
            context.require_fence(tx)
            left = unlooked_in(tx, customer_id, cycle_start)
            again = FindInsights(customer_id, _iso(cycle_start))
            return context.finish(tx, figures, () if left.is_empty() else (again,))

        return self._database.run(finish)

    def _look_at_cycles(self, page: pl.DataFrame) -> Found:
        """Find what there is in cycles that share their dates, in one snapshot."""
        limits = self._limits
        span = Cycle(page["cycle_start_date"][0], page["cycle_end_date"][0])
        now = of_span(page["customer_id"].to_list(), span)
        begins = history_begins(span.start, limits.history_cycles)
        earlier = Cycle(begins, span.start)
        with self._database.snapshot() as tx:
            reader = InsightReader(tx)
            history = reader.history(of_span(now.customer_ids, earlier))
            notable = worth_a_look(notable_use(reader.use(now), limits), history, limits)
            charges = reader.charges(_of(at_a_loss(page, limits), now))
            lost = at_a_loss(page, limits, charges)
            return [
                *usage_jumps(page, history, limits),
                *new_use(page, notable, self._use_before(reader, notable, earlier)),
                *losses(lost, reader.by_type(_of(lost, now)), charges),
                *nearly_used(page, reader.allowances(now), limits),
                *bursts(page, reader.calls(now, limits.dear_call_amount * MICROS), limits),
            ]

    def _use_before(
        self, reader: InsightReader, notable: pl.DataFrame, earlier: Cycle
    ) -> pl.DataFrame:
        """What those used before who use something worth a look now; often nobody."""
        ids = notable["customer_id"].unique().sort().to_list()
        if not ids:
            return notable.clear()
        return notable_use(reader.use(of_span(ids, earlier)), self._limits)

    def _settle_cycles(self, page: pl.DataFrame, found: Found, context: Context) -> Settled:
        start = page["cycle_start_date"][0]
        ids = page["customer_id"].to_list()

        def work(tx: Transaction) -> Settled:
            context.require_fence(tx)
            before = standing(tx, OF_A_CYCLE, ids)
            settled = settle(tx, found, _of_cycle(before, start))
            mark_looked(tx, page, "cycle")
            failpoint("insight_before_commit")
            return settled

        return self._database.run(work)

    # --- what a day brings ----------------------------------------------------------------

    def day(self, as_of: date, context: Context) -> Done:
        """Look at the cycles that have ended by a day, and at what providers brought."""
        customers = self._reference.customers()
        subscriptions = self._reference.subscriptions()
        settled, looked = Settled(), 0
        for cycle_day in customers["cycle_day"].unique().sort().to_list():
            ended = ended_cycles(as_of, cycle_day, self._limits.silent_cycles)
            for page in self._over(cycle_day, ended[0]):
                context.checkpoint()
                found = self._look_at_ended(page, ended, subscriptions)
                settled += self._settle_ended(page, found, context)
                looked += page.height
        months = _months(customers, as_of, self._limits.history_cycles)
        found = self._look_at_deliveries(months, as_of)

        def finish(tx: Transaction) -> Done:
            context.require_fence(tx)
            before = _of_months(standing(tx, OF_DELIVERIES), months)
            told = settled + settle(tx, found, before)
            return context.finish(tx, {"cycles": looked, **vars(told)})

        return self._database.run(finish)

    def _over(self, cycle_day: int, cycle: Cycle) -> Iterator[pl.DataFrame]:
        """Pages of ended cycles that were not looked at as they stand (CYCLES)."""
        with self._database.snapshot() as tx:
            waiting = InsightReader(tx).ended(cycle_day, cycle)
        yield from waiting.iter_slices(IDS_PER_QUERY)

    def _look_at_ended(
        self, page: pl.DataFrame, ended: Sequence[Cycle], subscriptions: pl.DataFrame
    ) -> Found:
        """Find what there is in cycles that are over, in one snapshot."""
        with self._database.snapshot() as tx:
            reader = InsightReader(tx)
            now = of_span(page["customer_id"].to_list(), ended[0])
            silent = _silent(reader, now.customer_ids, ended, subscriptions)
            return [
                *unused(page, reader.allowances(now), self._limits),
                *silent_lines(silent, ended),
            ]

    def _settle_ended(self, page: pl.DataFrame, found: Found, context: Context) -> Settled:
        start = page["cycle_start_date"][0]
        ids = page["customer_id"].to_list()

        def work(tx: Transaction) -> Settled:
            context.require_fence(tx)
            stands = standing(tx, OF_AN_ENDED_CYCLE, ids)
            silent = [each for each in stands if each.kind == SILENT_LINES]
            settled = settle(tx, found, [*silent, *_of_cycle(stands, start)])
            mark_looked(tx, page, "ended")
            failpoint("insight_before_commit")
            return settled

        return self._database.run(work)

    def _look_at_deliveries(self, months: Sequence[Cycle], as_of: date) -> Found:
        limits = self._limits
        with self._database.snapshot() as tx:
            reader = InsightReader(tx)
            since = min((each.start for each in months), default=as_of)
            return [
                *missing_deliveries(reader.delivered(since), months, as_of, limits),
                *late_deliveries(reader.arrivals(), as_of, limits),
                *duplicate_shares(reader.duplicates(), limits),
                *unmatched_numbers(reader.unmatched(), limits),
            ]


def _pages(cycles: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Cut cycles into pages that share their dates, of so many customers as fit a query."""
    dates = ["cycle_start_date", "cycle_end_date"]
    for _, group in cycles.group_by(dates, maintain_order=True):
        yield from group.iter_slices(IDS_PER_QUERY)


def _of(cycles: pl.DataFrame, asked: Asked) -> Asked:
    """Ask the same for the customers of these cycles only."""
    return Asked(cycles["customer_id"].to_list(), asked.since, asked.before)


def _of_cycle(stands: Sequence[Standing], start: date) -> list[Standing]:
    return [
        each
        for each in stands
        if each.cycle_start_date == start and each.kind != SILENT_LINES
    ]


def _silent(
    reader: InsightReader,
    customer_ids: list[int],
    ended: Sequence[Cycle],
    subscriptions: pl.DataFrame,
) -> pl.DataFrame:
    """The lines that were there all the time and not used in any of these cycles (LINES).

    Each cycle is read only for the customers who have such a line still. Nothing is said
    of a time before the first records, or of records that were removed after their term.
    """
    span = Cycle(ended[-1].start, ended[0].end)
    known_since = reader.known_since()
    if known_since is None or known_since > span.start:
        return pl.DataFrame(schema=LINES)
    reduced = {who for who, start in reader.closed() if span.start <= start < span.end}
    ids = [each for each in customer_ids if each not in reduced]
    silent = lines_throughout(subscriptions, ids, span)
    for cycle in ended:
        ids = silent["customer_id"].unique().sort().to_list()
        if not ids:
            break
        used = reader.lines_used(of_span(ids, cycle))
        silent = silent.join(used, on=list(LINES), how="anti")
    return silent


def _months(customers: pl.DataFrame, as_of: date, count: int) -> list[Cycle]:
    """The cycles of all customers that have ended lately, each once."""
    days = customers["cycle_day"].unique().to_list()
    return sorted({each for day in days for each in ended_cycles(as_of, day, count)})


def _of_months(stands: Sequence[Standing], months: Sequence[Cycle]) -> list[Standing]:
    """What was looked at: deliveries missed in older cycles are not."""
    starts = {each.start for each in months}
    return [
        each
        for each in stands
        if each.kind != MISSING_DELIVERY or each.cycle_start_date in starts
    ]


def _iso(day: date | None) -> str | None:
    return None if day is None else day.isoformat()
