"""Random histories in both databases cost what the independent rater says, to the micro.

They come in pieces and late, and are totalled now and then, in any order: what counts in
the end is what is stored, of one-off allowances too. ``RATING_HISTORIES`` and
``RATING_SEED`` as in ``test_rating_histories``.
"""

import os
from pathlib import Path
from random import Random

import pytest

from tests.flow.plan_world import PlanWorld
from tests.rater import Event
from tests.stored_histories import (
    Stored,
    expected_left,
    found_cycles,
    found_left,
    keep,
    sound_histories,
)

HISTORIES = int(os.environ.get("RATING_HISTORIES", "100"))
TOGETHER = 50
"""Histories in one database: they are totalled in the same runs."""

FIRST = int(os.environ.get("RATING_SEED", "1"))


@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, TOGETHER))
def test_stored_histories_cost_what_the_independent_rater_says(
    database_url: str, tmp_path: Path, first: int
) -> None:
    histories = list(sound_histories(first, min(TOGETHER, FIRST + HISTORIES - first)))
    random = Random(first)
    events = [event for each in histories for event in each.events]
    late = [event for each in histories for event in late_events(each, random)]
    with PlanWorld(database_url, tmp_path) as world:
        keep(world, histories)
        world.deliver(*(event for event in events if event not in late))
        world.dispatch()
        world.deliver(*late)
        world.dispatch()

        assert_right(world, histories)


@pytest.mark.parametrize("first", [1])
def test_the_order_in_which_cycles_are_computed_changes_nothing_in_the_end(
    database_url: str, tmp_path: Path, first: int
) -> None:
    histories = [each for each in sound_histories(first, 50) if uses_one_offs(each)][:5]
    random = Random(first)
    cycles = [cycle for each in histories for cycle in each.cycles]
    random.shuffle(cycles)
    with PlanWorld(database_url, tmp_path) as world:
        keep(world, histories)
        for customer, start in cycles:
            own = [
                event
                for each in histories
                for event in each.events
                if (event.customer, event.cycle) == (customer, start)
            ]
            world.deliver(*own)
            world.run("totals:new", "--customer", customer, "--cycle", start)
        world.dispatch()

        assert len(histories) == 5
        assert_right(world, histories)
        assert world.table("dirty_cycle", "customer_id") == []


def uses_one_offs(stored: Stored) -> bool:
    """Whether a one-off allowance of its plan is used in more cycles than one."""
    used: dict[tuple[int, str, str], set[int]] = {}
    for (customer, _, line, name), left in stored.expected.left.items():
        used.setdefault((customer, line, name), set()).add(left)
    once = {
        each["name"]
        for each in stored.past.document.get("allowance", [])
        if each["period"] == "once"
    }
    return any(len(left) > 1 for (_, _, name), left in used.items() if name in once)


def late_events(stored: Stored, random: Random) -> list[Event]:
    """About half of what was used in one cycle comes when all else is totalled already."""
    event = random.choice(stored.events)
    own = (event.customer, event.cycle)
    return [
        each
        for each in stored.events
        if (each.customer, each.cycle) == own and random.random() < 0.5
    ]


def assert_right(world: PlanWorld, histories: list[Stored]) -> None:
    """Hold what is stored to what the rater says, history by history."""
    cycles, left = found_cycles(world), found_left(world)
    for each in histories:
        own = {cycle: micros for cycle, micros in cycles.items() if cycle in each.cycles}
        assert own == each.cycles, f"RATING_SEED={each.seed}"
        expected = expected_left(each)
        theirs = {pool: amount for pool, amount in left.items() if pool in expected}
        assert theirs == {pool: expected[pool] for pool in theirs}, each.seed
    assert cycles.keys() == {cycle for each in histories for cycle in each.cycles}
    assert left.keys() <= {pool for each in histories for pool in expected_left(each)}
    assert world.unbalanced() == []
