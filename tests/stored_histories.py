"""Random histories in a database: each with its own plan and its own two customers.

Run as a program it stores many, checks each, and prints a digest of all that is stored, so
that two runs can be held against each other::

    POLARS_MAX_THREADS=1 python -m tests.stored_histories DATABASE_URL FOLDER FIRST COUNT
"""

import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, Final

import polars as pl

from loaders.open import prepare_driver
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
    people, plans = [], []
    given: list[tuple[object, ...]] = []
    for each in histories:
        plans.append(_text(each))
        for customer, zone in each.past.zones.items():
            number = customer + each.first
            people.append((number, f"Customer {number}", zone, 1, "EUR", "{}"))
            given += _given(number, each)
    world.app.reference.replace(
        Reference(
            customers=pl.DataFrame(people, CUSTOMERS, orient="row"),
            rate_plans=tuple(plans),
            customer_rate_plans=pl.DataFrame(given, CUSTOMER_RATE_PLANS, orient="row"),
        )
    )


def _given(customer: int, stored: Stored) -> list[tuple[object, ...]]:
    """Give a customer its plan: at once, or by every other seed in two stretches of days.

    A plan that follows itself in mid-cycle is still the same plan.
    """
    if stored.seed % 2:
        return [(customer, stored.plan_id, None, None)]
    middle = date(2026, 10, 25)
    return [
        (customer, stored.plan_id, None, middle),
        (customer, stored.plan_id, middle, None),
    ]


def in_two_pieces(
    world: PlanWorld, histories: Sequence[Stored], later: Sequence[Stored] = ()
) -> None:
    """Load histories and total them; half of one cycle of each comes late.

    What is ``later`` comes all at once, beside what is late of the others: half the work.
    """
    random = Random(histories[0].seed)
    late = [event for each in histories for event in _late_events(each, random)]
    events = [event for each in histories for event in each.events]
    keep(world, [*histories, *later])
    world.deliver(*(event for event in events if event not in late))
    world.dispatch()
    world.deliver(*late, *(event for each in later for event in each.events))
    world.dispatch()


def _late_events(stored: Stored, random: Random) -> list[Event]:
    event = random.choice(stored.events)
    own = (event.customer, event.cycle)
    return [
        each
        for each in stored.events
        if (each.customer, each.cycle) == own and random.random() < 0.5
    ]


def differences(world: PlanWorld, histories: Sequence[Stored]) -> list[str]:
    """Say where what is stored is not what the rater says, history by history."""
    cycles, left = found_cycles(world), found_left(world)
    found = [f"not asked for: {each}" for each in world.table("dirty_cycle", "customer_id")]
    found += [f"audit: {check}" for check in world.unbalanced()]
    for each in histories:
        again = f"RATING_SEED={each.seed}"
        for cycle, micros in each.cycles.items():
            if cycles.pop(cycle, None) != micros:
                found.append(f"{again}: cycle {cycle}")
        expected = expected_left(each)
        theirs = {pool: left.pop(pool) for pool in list(left) if pool in expected}
        found += [f"{again}: {pool}" for pool in theirs if theirs[pool] != expected[pool]]
    return [*found, *(f"nobody's: {each}" for each in [*cycles, *left])]


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


TOLD: Final = {
    "total_usage_new_table": "customer_id, cycle_start_date, content_sha256, revision",
    "total_usage_line": "customer_id, cycle_start_date, line_no, cost_micros, cdr_count",
    "total_allowance": "customer_id, cycle_start_date, allowance, subscriber, used",
    "total_unrated_reason": "customer_id, cycle_start_date, unrated_reason, cdr_count",
}
"""What is in the digest: the same on either database, and for any number of threads."""


def digest(world: PlanWorld) -> str:
    """Hash what is stored of totals."""
    told = sha256()
    for table, columns in TOLD.items():
        for row in world.table(table, *columns.split(", ")):
            told.update(repr([str(each) for each in row]).encode())
    return told.hexdigest()


def main(url: str, folder: str, first: int, count: int) -> int:
    """Store and check histories; 1 and what is wrong when something is."""
    prepare_driver(url)
    histories = list(sound_histories(first, count))
    with PlanWorld(url, Path(folder)) as world:
        in_two_pieces(world, histories)
        wrong = differences(world, histories)
        told = {"histories": len(histories), "digest": digest(world), "wrong": wrong}
    sys.stdout.write(json.dumps(told) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])))
