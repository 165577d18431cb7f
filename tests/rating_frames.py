"""Random histories as frames for rating; run as a program it prints a digest of many."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC
from hashlib import sha256
from typing import Any

import polars as pl

from tests.histories import History, history
from tests.rater import Event
from transforms.errors import ConfigError
from transforms.rate_plan import RatePlan
from transforms.rate_plan_reading import parse_rate_plan
from transforms.rating import CYCLES, EVENTS, Rated, rate
from transforms.rating_tables import prepare
from transforms.reference import CsvFile, Line

COLUMN = {"voice": "duration_s", "data": "volume_bytes"}


def plan_of(
    document: Mapping[str, Any], files: Mapping[str, Sequence[Mapping[str, str]]]
) -> RatePlan:
    """Read and check a plan whose files are rows."""
    tables = {
        name: CsvFile(
            name, tuple(rows[0]), [Line(place, row) for place, row in enumerate(rows, 2)]
        )
        for name, rows in files.items()
    }
    return parse_rate_plan(document, tables, "")


def rated(past: History, plan: RatePlan) -> Rated:
    """Rate a history."""
    cycles = [(customer, start, past.zones[customer]) for customer, start in past.cycles]
    return rate(
        frame(past.events), pl.DataFrame(cycles, CYCLES, orient="row"), prepare(plan)
    )


def frame(events: Sequence[Event]) -> pl.DataFrame:
    """The records of a history as ``EVENTS``."""
    return pl.DataFrame([_row(event) for event in events], EVENTS)


def _row(event: Event) -> dict[str, object]:
    return {
        "customer_id": event.customer,
        "cycle_start_date": event.cycle,
        "subscriber": event.line,
        "usage_type": event.usage,
        "direction": event.direction,
        "destination": event.destination,
        "zone": event.zone,
        "call_date": event.wall.replace(tzinfo=None),
        "started_at_utc": event.start.astimezone(UTC).replace(tzinfo=None),
        COLUMN.get(event.usage, "events"): event.quantity,
        "cost_micros": event.cost,
        "continuation": event.continuation,
        "order_key": event.key,
    }


def main(first: int, count: int) -> None:
    """Print one digest over everything that rating says of many histories."""
    digest = sha256()
    for seed in range(first, first + count):
        past = history(seed)
        try:
            got = rated(past, plan_of(past.document, past.files))
        except ConfigError:
            continue
        for each in (got.events, got.sums.lines, got.sums.cycles, got.allowances_left):
            digest.update(each.write_csv().encode())
    sys.stdout.write(digest.hexdigest() + "\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
