"""An import killed at every commit is finished by the next run, without a person's help."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import forked
from tests.flow.import_world import (
    ANNA,
    BERT,
    STRANGER,
    World,
    mixed_calls,
    results,
    write_routit,
)
from tests.flow.test_import import ends

OWNERS = {ANNA: 1, BERT: 2}

KILLS = (
    "import_before_claim:kill",
    "import_after_claim:kill",
    "import_after_set_aside:kill",
    "import_before_load:kill",
    "import_after_load:term",
    "import_after_load:kill:2",
    "import_in_finish:kill",
    "import_after_finish:kill",
)


def ended(
    url: str, folder: Path, file: Path | str, provider: str, *plans: str
) -> list[int]:
    """Work in one process after another with a fault plan each; say how each ended."""
    words = ("tests.flow.import_world", url, str(folder), str(file), provider)
    return [forked.run(*words, faults=plan).returncode for plan in plans]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own(OWNERS)
        yield made


@pytest.fixture
def other(sqlite_template: Path, tmp_path: Path) -> Iterator[World]:
    """Another world, in which nothing is killed."""
    copy = tmp_path / "undisturbed.db"
    copy.write_bytes(sqlite_template.read_bytes())
    with World(f"sqlite:///{copy}", tmp_path / "undisturbed") as made:
        made.own(OWNERS)
        yield made


def test_an_import_killed_at_each_commit_in_turn_ends_as_if_undisturbed(
    world: World, other: World, tmp_path: Path
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    other.load(path)

    codes = ended(world.url, tmp_path, path, "routit", *KILLS, "")

    killed = [143 if "term" in plan else -signal.SIGKILL for plan in KILLS]
    assert codes == [*killed, 0]
    assert ends(world) == {
        "loaded": 80,
        "duplicates": 3,
        "conflicts": 1,
        "rejected": 2,
        "suspended": 20,
    }
    assert results(world.url) == other.results()
    assert world.table("import_queue", "attempts") == [(7,)]
    assert world.audit() == []


def test_a_replay_killed_around_its_commit_moves_each_record_once(
    world: World, other: World, tmp_path: Path
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    everyone = {**OWNERS, STRANGER: 1}
    for each in (world, other):
        each.load(path)
        each.own(everyone)
    other.replay()

    plans = [f"replay_{place}_commit:kill" for place in ("before", "in", "after")]
    codes = ended(world.url, tmp_path, path, "replay", *plans, "")

    assert codes == [-signal.SIGKILL] * 3 + [0]
    assert results(world.url) == other.results()
    assert world.audit() == []
