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
from tests.stored_histories import (
    Stored,
    differences,
    in_two_pieces,
    keep,
    sound_histories,
)

HISTORIES = int(os.environ.get("RATING_HISTORIES", "200"))
TOGETHER = 50
"""Histories in one database: they are totalled in the same runs."""

FIRST = int(os.environ.get("RATING_SEED", "1"))


@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, TOGETHER))
def test_stored_histories_cost_what_the_independent_rater_says(
    database_url: str, tmp_path: Path, first: int
) -> None:
    histories = list(sound_histories(first, min(TOGETHER, FIRST + HISTORIES - first)))
    with PlanWorld(database_url, tmp_path) as world:
        # Each comes in two pieces on one of the databases, and whole on the other.
        late_ones = int(database_url.startswith("sqlite"))
        in_two_pieces(world, histories[late_ones::2], histories[1 - late_ones :: 2])

        assert differences(world, histories) == []


def test_the_order_in_which_cycles_are_computed_changes_nothing_in_the_end(
    database_url: str, tmp_path: Path
) -> None:
    histories = [each for each in sound_histories(1, 50) if uses_one_offs(each)][:5]
    random = Random(1)
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
        assert differences(world, histories) == []


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
