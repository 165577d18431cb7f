"""A chain killed at every boundary, over and over, comes to the end it would have had."""

import signal
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import chain as joined
from pathlib import Path

import pytest

from etl.profiles import load_profile
from etl.simulator import RoutitSimulator
from loaders.audit import differences
from loaders.open import open_database
from tests.faults.conftest import Maker, Run
from tests.faults.forks import Ended, Forks, leaks
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLES,
    ROUTIT_FILE,
    SECRET,
    SECRET_NAME,
    end_state,
    house,
    load_feeds,
    routit_feed,
    rows,
)

CHAIN = (
    "sync:provider",
    "routit:request",
    "routit:download",
    "routit:import",
    "routit:invoice",
    "totals:dispatch",
    "totals:backup",
    "totals:insight",
)
"""The five steps from request to totals, the router before them, a copy and a look."""

IN_HAND, FOLLOWER_WAITS, AT_THE_END = (
    "after_claim:kill",  # a step is claimed, nothing of it is done
    "before_claim:kill:2",  # it is done and its follower waits
    "in_complete:kill",  # it is completed, but not committed
)

KILLS = (
    *(IN_HAND, AT_THE_END, FOLLOWER_WAITS),
    *(IN_HAND, AT_THE_END, FOLLOWER_WAITS),
    *(IN_HAND, FOLLOWER_WAITS),
    *(IN_HAND, "import_in_finish:kill", FOLLOWER_WAITS),
    *(IN_HAND, FOLLOWER_WAITS),
    *(IN_HAND, FOLLOWER_WAITS),
    *(IN_HAND, "insight_before_commit:kill", FOLLOWER_WAITS),
)
"""Where each child is killed: at every boundary of the chain, in turn."""

State = dict[str, list[tuple[object, ...]]]


@pytest.fixture
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(SECRET_NAME, SECRET)


@contextmanager
def chain(maker: Maker, name: str) -> Iterator[tuple[str, Path]]:
    """A RoutIT with one delivery, and a database that does not know it yet."""
    poll = load_profile("routit").source.poll
    assert poll is not None
    delivery = {("10001", "202610"): EXAMPLES / ROUTIT_FILE}
    folder = maker.folder / f"chain-{name}"
    with ExitStack() as stack:
        routit = stack.enter_context(
            RoutitSimulator(
                delivery, messages=poll.messages, pending_replies=0, secret=SECRET
            )
        )
        url = stack.enter_context(maker.fresh(name))
        with house(url, folder) as app:
            load_feeds(app, {"routit": routit_feed(routit)})
        yield url, folder


def ended_state(url: str) -> State:
    """What a chain left, and that it adds up."""
    database = open_database(url)
    assert differences(database) == []
    database.close()
    steps = rows(url, "SELECT command, status FROM job ORDER BY id")
    assert steps == [(step, "done") for step in CHAIN]
    assert rows(url, "SELECT COUNT(*) FROM lease WHERE owner IS NOT NULL") == [(0,)]
    return end_state(url)


@pytest.mark.usefixtures("secret")
def test_a_chain_killed_at_each_boundary_again_and_again_ends_as_if_undisturbed(
    maker: Maker, run: Run
) -> None:
    rounds = run.rounds(usual=20, quick=2)
    with maker.forks(-1) as forks, chain(maker, "quiet") as (url, folder):
        assert work(forks, url, folder).code == 0
        expected = ended_state(url)

    def lane(number: int, share: int) -> list[str]:
        with maker.forks(number) as forks:
            names = [f"{number}-{each}" for each in range(share)]
            return [name for name in names if killed(forks, maker, name) != expected]

    assert [*joined.from_iterable(run.in_lanes(rounds, lane))] == []
    run.tell(chains=rounds, kills=rounds * len(KILLS), differing_ends=0)


def work(forks: Forks, url: str, folder: Path, faults: str = "") -> Ended:
    """Work the feeds in a child until nothing is left to do, or until it is killed."""
    day = AS_OF.isoformat()
    return forks.run("work_feeds", url, faults=faults, folder=str(folder), as_of=day)


def killed(forks: Forks, maker: Maker, name: str) -> State:
    """Work a chain in one child after the other, each killed at the next boundary."""
    with chain(maker, name) as (url, folder):
        for place, plan in enumerate(KILLS):
            ended = work(forks, url, folder, plan)
            assert ended.code == -signal.SIGKILL, (place, plan, ended.said)
        last = work(forks, url, folder)
        assert last.code == 0, last.said
        assert leaks(folder, SECRET, maker.secret) == []
        return ended_state(url)
