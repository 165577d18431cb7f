"""Random histories in a database: each with its own plan and its own two customers."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Any

import polars as pl

from tests.flow.plan_world import PlanWorld
from tests.histories import History, history
from tests.rater import Event, Outcome, rate_plainly
from tests.rating_frames import plan_of
from transforms.errors import ConfigError
from transforms.reference import CUSTOMER_RATE_PLANS, CUSTOMERS, RatePlanText, Reference

Cycle = tuple[int, date]
Pool = tuple[int, date, str, str]


@dataclass(frozen=True)
class Stored:
    """A history whose plan and customers are in a database, and what it must cost.

    Attributes:
        seed: What it was made from.
        first: What is added to its customers' ids, so that no two histories share any.
        events: Its records, under these ids.
        expected: What the independent rater says, under the history's own ids.
    """

    seed: int
    first: int
    past: History
    events: list[Event]
    expected: Outcome

    @property
    def plan_id(self) -> str:
        """The id of its plan, which is nobody else's."""
        return f"random_{self.seed}"

    @property
    def cycles(self) -> dict[Cycle, int]:
        """What each of its cycles with records must cost."""
        own = {(event.customer, event.cycle) for event in self.events}
        costs = self.expected.cycles
        return {
            (customer, start): costs[customer - self.first, start]
            for customer, start in own
        }


def sound_histories(first: int, count: int) -> Iterator[Stored]:
    """Make the histories of some seeds whose plans are sound."""
    for seed in range(first, first + count):
        past = history(seed)
        own = past.document | {"id": f"random_{seed}"}
        try:
            plan_of(own, past.files)
        except ConfigError:
            continue
        offset = 10 * (seed - first)
        events = [replace(each, customer=each.customer + offset) for each in past.events]
        expected = rate_plainly(own, past.files, past.events, past.cycles)
        yield Stored(seed, offset, replace(past, document=own), events, expected)


def keep(world: PlanWorld, histories: Sequence[Stored]) -> None:
    """Load the customers and the plans of histories, and give them to each other."""
    people, plans, given = [], [], []
    for each in histories:
        plans.append(_text(each))
        for customer, zone in each.past.zones.items():
            number = customer + each.first
            people.append((number, f"Customer {number}", zone, 1, "EUR", "{}"))
            given.append((number, each.plan_id, None, None))
    world.app.reference.replace(
        Reference(
            customers=pl.DataFrame(people, CUSTOMERS, orient="row"),
            rate_plans=tuple(plans),
            customer_rate_plans=pl.DataFrame(given, CUSTOMER_RATE_PLANS, orient="row"),
        )
    )


def found_cycles(world: PlanWorld) -> dict[Cycle, int]:
    """What each cycle costs as it is stored."""
    rows = world.table(
        "total_usage_new_table", "customer_id", "cycle_start_date", "total_cost_micros"
    )
    return {(customer, _day(start)): micros for customer, start, micros in rows}


def found_left(world: PlanWorld) -> dict[Pool, int]:
    """What is left of each pool as it is stored."""
    rows = world.table(
        "total_allowance",
        *("customer_id", "cycle_start_date", "subscriber", "allowance"),
        "available - used",
    )
    return {(row[0], _day(row[1]), row[2], row[3]): row[4] for row in rows}


def expected_left(stored: Stored) -> dict[Pool, int]:
    """What must be left of each pool."""
    return {
        (customer + stored.first, start, line, name): left
        for (customer, start, line, name), left in stored.expected.left.items()
    }


def _day(value: object) -> date:
    return date.fromisoformat(str(value))


def _text(stored: Stored) -> RatePlanText:
    document = stored.past.document
    text = "\n".join(
        f"{json.dumps(name)} = {toml(each)}" for name, each in document.items()
    )
    files = {
        name: "\n".join(",".join(row) for row in [tuple(rows[0]), *map(dict.values, rows)])
        for name, rows in stored.past.files.items()
    }
    kept = json.dumps({"plan": text, "files": files})
    return RatePlanText(stored.plan_id, "1", "EUR", None, None, kept)


def toml(value: Any) -> str:  # noqa: ANN401 - any value TOML knows
    """Write a value as TOML on one line."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(name)} = {toml(each)}" for name, each in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, (date, Decimal)):
        return str(value)
    return json.dumps(value)
