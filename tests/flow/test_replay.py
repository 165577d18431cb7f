"""A suspended record is loaded once its owner is known, and no record is billed twice."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from etl import failpoints
from etl.replay import Replayed
from loaders.imports import ImportStore
from loaders.leases import Lease
from tests.flow.import_world import (
    ANNA,
    BERT,
    STRANGER,
    World,
    call,
    mixed_calls,
    write_routit,
)
from tests.flow.test_import import calvi, ends
from transforms.errors import FenceLost, LeaseHeld

OWNERS = {ANNA: 1, BERT: 2}
EVERYONE = {**OWNERS, STRANGER: 2}

OF_STRANGER = call("9", STRANGER)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path, chunk_rows=6) as made:
        made.own(OWNERS)
        yield made


def delivered(world: World, tmp_path: Path, *calls: str) -> None:
    """Import one more delivery of RoutIT."""
    number = world.table("import_queue", "count(*)")[0][0] + 1
    world.load(write_routit(tmp_path, calls, f"CDR_10001_2025{number:02}.zip"))


def moved(world: World) -> list[tuple[int, int, int, int]]:
    """Replay; for each import: loaded, duplicates, conflicts, still suspended."""
    replayed = world.replay()
    assert world.audit() == []
    return [(one.loaded, one.duplicates, one.conflicts, one.suspended) for one in replayed]


def test_suspended_records_are_loaded_when_their_owner_is_known(
    world: World, tmp_path: Path
) -> None:
    world.load(write_routit(tmp_path, mixed_calls()))
    world.do("DELETE FROM dirty_cycle WHERE customer_id = 2")
    world.own(EVERYONE)

    (replayed,) = world.replay()

    assert replayed == Replayed(1, "routit", examined=20, loaded=20, cost_micros=810_000)
    assert ends(world) == {"loaded": 100, "duplicates": 3, "conflicts": 1, "rejected": 2}
    assert world.table("import_queue", "cost_micros") == [(4_050_000,)]
    assert world.table("suspended_record", "count(*)") == [(0,)]
    touched = world.table("import_cycle", "customer_id", "record_count", "cost_micros")
    assert touched == [(1, 40, 1_620_000), (2, 60, 2_430_000)]
    assert world.table("dirty_cycle", "customer_id") == [(1,), (2,)]
    assert world.audit() == []


def test_a_second_replay_changes_nothing(world: World, tmp_path: Path) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    world.own(EVERYONE)
    world.replay()
    before = world.results()

    assert world.replay() == []
    assert world.results() == before


def test_what_still_has_no_owner_stays(world: World, tmp_path: Path) -> None:
    delivered(world, tmp_path, OF_STRANGER, call("8", "31600000098"))
    world.own(EVERYONE)

    assert moved(world) == [(1, 0, 0, 1)]
    assert world.table("suspended_record", "line_no") == [(3,)]
    assert ends(world) == {"loaded": 1, "suspended": 1}


def test_a_dry_replay_writes_nothing(world: World, tmp_path: Path) -> None:
    delivered(world, tmp_path, OF_STRANGER, call("8", "31600000098"))
    world.own(EVERYONE)
    before = world.results()

    (looked,) = world.replay(dry_run=True)

    assert (looked.loaded, looked.suspended) == (1, 1)
    assert world.results() == before


@pytest.mark.parametrize(
    ("again", "expected"),
    [
        (OF_STRANGER, (0, 1, 0, 0)),
        (call("9", STRANGER, Totaaltarief="9,99"), (0, 0, 1, 0)),
        (call("9", STRANGER, Tijdstip="11:00:00"), (0, 0, 1, 0)),
        (call("9", ANNA), (0, 0, 1, 0)),
    ],
)
def test_a_record_that_was_loaded_by_a_later_delivery_is_not_loaded_again(
    world: World, tmp_path: Path, again: str, expected: tuple[int, ...]
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    world.own(EVERYONE)
    delivered(world, tmp_path, again, call("1"))

    assert moved(world) == [expected]
    assert world.table("call_detail_record", "import_id") == [(2,), (2,)]


def test_a_record_that_was_suspended_twice_is_loaded_once(
    world: World, tmp_path: Path
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    delivered(world, tmp_path, OF_STRANGER, call("1"))
    world.own(EVERYONE)

    assert moved(world) == [(1, 0, 0, 0), (0, 1, 0, 0)]


def test_only_one_import_is_replayed_when_only_one_is_asked_for(
    world: World, tmp_path: Path
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    delivered(world, tmp_path, call("8", STRANGER))
    world.own(EVERYONE)

    assert [one.import_id for one in world.replay(2)] == [2]
    assert world.table("suspended_record", "import_id") == [(1,)]


@pytest.mark.parametrize(
    ("suspended_in", "loaded_in", "expected", "left"),
    [
        # The re-rated record waited: it replaces the one that is stored.
        (8, 7, (1, 0, 0, 0), [(1, 200_000)]),
        # What waited was re-rated by a later delivery meanwhile.
        (7, 8, (0, 0, 1, 0), [(2, 100_000)]),
    ],
)
def test_a_re_rated_record_that_waited_takes_its_place_by_delivery(
    world: World,
    tmp_path: Path,
    suspended_in: int,
    loaded_in: int,
    expected: tuple[int, ...],
    left: list[tuple[int, int]],
) -> None:
    at = "2026-10-01T12:00:00Z"
    world.load(calvi(tmp_path, [f"C1 {at} 20 {STRANGER}"], suspended_in), "tmobile_calvi")
    world.load(calvi(tmp_path, [f"C1 {at} 10 {ANNA}"], loaded_in), "tmobile_calvi")
    world.own(EVERYONE)

    assert moved(world) == [expected]
    assert world.table("call_detail_record", "import_id", "cost_micros") == left
    replaced = world.table("superseded_record", "import_id", "superseded_by_import_id")
    assert replaced == ([(2, 1)] if expected[0] else [])


# --- who may write ------------------------------------------------------------------------


def test_a_replay_gives_way_to_an_import_of_the_provider(
    world: World, tmp_path: Path
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    world.own(EVERYONE)
    world.app.imports.take_provider("routit", "another")

    with pytest.raises(LeaseHeld, match="held by another"):
        world.replay()
    assert world.table("suspended_record", "count(*)") == [(1,)]


def test_a_replay_whose_lease_was_taken_over_moves_nothing(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    world.own(EVERYONE)
    before = world.results()
    keep = world.app.imports.keep_provider

    def taken_over(lease: Lease) -> None:
        keep(lease)
        world.do("UPDATE lease SET fence = fence + 1 WHERE name = 'import:routit'")

    monkeypatch.setattr(ImportStore, "keep_provider", staticmethod(taken_over))
    with pytest.raises(FenceLost, match="was taken over"):
        world.replay()
    assert world.results() == before


def test_a_broken_import_is_finished_before_its_provider_is_replayed(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered(world, tmp_path, OF_STRANGER)
    with monkeypatch.context() as patch:
        plan = failpoints.fault_plan("import_after_load:raise")
        patch.setattr(failpoints, "_PLAN", plan)
        with pytest.raises(failpoints.FaultInjectedError):
            delivered(world, tmp_path, *(call(str(n), BERT) for n in range(9)))
    world.own(EVERYONE)

    world.replay()

    assert world.table("import_queue", "id", "status") == [(1, "done"), (2, "done")]
    assert ends(world, 1) == {"loaded": 1}
    assert world.audit() == []
