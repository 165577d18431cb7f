"""Whatever a plan says, the calls of an invoice add up to its lines, to the micro."""

from datetime import UTC, date

import polars as pl
import pytest

from tests.histories import History, history
from tests.rating_frames import plan_of
from transforms.errors import ConfigError
from transforms.invoice_calls import calls_under_plans, line_sums
from transforms.invoicing import OF_THE_CYCLE
from transforms.rated_totals import RECORDS, ZONES, Planned, rated_totals
from transforms.rating_tables import prepare
from transforms.reference import CUSTOMER_RATE_PLANS
from transforms.totals import PAIRS

UNIT = {"voice": "duration_s", "data": "volume_bytes"}


def records_of(past: History) -> pl.DataFrame:
    rows = [
        {
            **dict.fromkeys(RECORDS),
            "customer_id": each.customer,
            "cycle_start_date": each.cycle,
            "call_date": each.wall.replace(tzinfo=None),
            "started_at_utc": each.start.astimezone(UTC).replace(tzinfo=None),
            "subscriber": each.line,
            "usage_type": each.usage,
            "direction": each.direction,
            "other": each.destination,
            "zone": each.zone,
            UNIT.get(each.usage, "events"): each.quantity,
            "cost_micros": each.cost,
            "part_state": "last" if each.continuation else None,
            "fingerprint": each.key,
        }
        for each in past.events
    ]
    return pl.DataFrame(rows, {**RECORDS, "cycle_start_date": pl.Date()})


def months(records: pl.DataFrame) -> pl.DataFrame:
    cycles = records.select("customer_id", "cycle_start_date").unique(maintain_order=True)
    return cycles.with_columns(
        cycle_end_date=pl.col("cycle_start_date").dt.offset_by("1mo"),
        currency=pl.lit("EUR"),
    ).select(list(PAIRS))


@pytest.mark.parametrize("first", range(1, 31, 15))
def test_the_calls_of_any_history_add_up_to_the_lines(first: int) -> None:
    compared = 0
    for seed in range(first, first + 15):
        past = history(seed)
        try:
            plan = plan_of(past.document, past.files)
        except ConfigError:
            continue
        records = records_of(past)
        pairs = months(records)
        # The plan holds from the middle of a month for some: days without it are at cost.
        since = date(2026, 10, 12) if seed % 2 else None
        ids = pairs["customer_id"].unique().to_list()
        held = [(customer_id, plan.id, since, None) for customer_id in ids]
        planned = Planned(
            pl.DataFrame(held, CUSTOMER_RATE_PLANS, orient="row"),
            {plan.id: prepare(plan)},
            pl.DataFrame([(each, "Europe/Amsterdam") for each in ids], ZONES, orient="row"),
        )
        totals = rated_totals([records], pairs, planned).totals
        calls = calls_under_plans(records, pairs, planned)
        assert calls.height == records.height
        wanted = {
            (row["customer_id"], row["cycle_start_date"], row["usage_type"], row["zone"]): (
                row["cost_micros"]
            )
            for row in totals.lines.iter_rows(named=True)
            if row["usage_type"] not in OF_THE_CYCLE
        }
        found = {
            (*cycle, *place): micros
            for cycle, sums in line_sums(calls).items()
            for place, micros in sums.items()
        }
        assert found == wanted, f"seed {seed}"
        compared += len(found)
    assert compared > 60
