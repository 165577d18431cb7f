"""An import that broke off is finished by running it again, to the same end."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path

import polars as pl
import pytest

from etl import failpoints
from etl.importing import Importer, nothing_follows
from etl.stopping import STOP
from loaders.imports import STORED
from tests.flow.import_world import (
    ANNA,
    BERT,
    STRANGER,
    World,
    call,
    mixed_calls,
    results,
    write_routit,
)
from tests.flow.test_import import calvi, ends
from transforms import cdr
from transforms.errors import (
    BillingError,
    ConfigError,
    FenceLost,
    LeaseHeld,
    Stopped,
    StoreError,
    StoreUnavailable,
)

OWNERS = {ANNA: 1, BERT: 2}

MIXED = {"loaded": 80, "duplicates": 3, "conflicts": 1, "rejected": 2, "suspended": 20}
"""Where the records of ``mixed_calls`` end."""


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own(OWNERS)
        yield made


@pytest.fixture(scope="module")
def undisturbed(
    sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory
) -> dict[str, list[tuple[str, ...]]]:
    """What an import of the mixed calls leaves behind that nothing interrupts."""
    folder = tmp_path_factory.mktemp("undisturbed")
    copy = folder / "etl.db"
    copy.write_bytes(sqlite_template.read_bytes())
    with World(f"sqlite:///{copy}", folder) as other:
        other.own(OWNERS)
        other.load(write_routit(folder, mixed_calls()))
        return results(other.url)


@pytest.fixture
def fault(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Plan faults of this process; an empty plan disturbs nothing."""

    def plan(text: str) -> None:
        monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(text))

    return plan


Fault = Callable[[str], None]


@pytest.mark.parametrize(
    "point",
    [
        *("import_after_claim:raise", "import_before_set_aside:raise"),
        *("import_after_set_aside:raise", "import_before_load:raise"),
        *("import_after_load:raise", "import_before_load:raise:3"),
        *("import_after_load:enospc:2", "import_before_finish:raise"),
        *("import_in_finish:raise", "import_after_finish:raise"),
    ],
)
def test_an_import_that_broke_off_anywhere_ends_as_if_undisturbed(
    world: World,
    tmp_path: Path,
    undisturbed: dict[str, list[tuple[str, ...]]],
    fault: Fault,
    point: str,
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    fault(point)
    with pytest.raises((failpoints.FaultInjectedError, OSError)):
        world.load(path)
    assert world.audit() == []
    assert world.table("import_queue", "locked") == [(0,)]

    fault("")
    done = world.load(path)

    assert done.status == "done"
    assert ends(world) == MIXED
    assert world.results() == undisturbed
    assert world.audit() == []


def broken_off(world: World, path: Path, fault: Fault, provider: str = "routit") -> int:
    """Import until some but not all of Anna's 40 records are stored; return how many."""
    fault("import_after_load:raise:2")
    with pytest.raises(failpoints.FaultInjectedError):
        world.load(path, provider)
    fault("")
    (stored,) = world.table("call_detail_record", "count(*)")
    assert 10 < stored[0] < 40
    return int(stored[0])


# --- the world changed meanwhile ----------------------------------------------------------


@pytest.mark.parametrize(
    ("owners", "expected"),
    [
        # Anna's number went to Bert's company.
        ({ANNA: 2, BERT: 2}, MIXED),
        # The stranger is known now.
        (
            {ANNA: 1, BERT: 2, STRANGER: 1},
            {"loaded": 100, "duplicates": 3, "conflicts": 1, "rejected": 2},
        ),
    ],
)
def test_owners_that_changed_meanwhile_neither_lose_nor_double_a_record(
    world: World,
    tmp_path: Path,
    fault: Fault,
    owners: dict[str, int],
    expected: dict[str, int],
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    broken_off(world, path, fault)
    of_anna = world.table("call_detail_record", "record_id", where="customer_id = 1")
    world.own(owners)

    world.load(path)

    assert ends(world) == expected
    still = world.table("call_detail_record", "record_id", where="customer_id = 1")
    assert set(of_anna) <= set(still)
    touched = world.table("import_cycle", "customer_id", "record_count")
    counted = world.rows(
        "SELECT customer_id, count(*) FROM call_detail_record GROUP BY customer_id"
    )
    assert touched == sorted(counted)
    assert {each[0] for each in world.table("dirty_cycle", "customer_id")} == {1, 2}
    assert world.audit() == []


def test_what_is_stored_of_an_owner_who_left_meanwhile_stays(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    stored = broken_off(world, path, fault)
    world.own({BERT: 2})

    world.load(path)

    left = 40 - stored  # of Anna's records, that were not loaded in time
    assert ends(world) == {**MIXED, "loaded": 80 - left, "suspended": 20 + left}
    assert world.audit() == []


def test_a_clock_that_was_wrong_neither_loses_nor_doubles_a_record(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    # The first run takes what is later than noon of the 4th for a mistake.
    at_first = datetime(2025, 1, 4, 10, 30)  # noqa: DTZ001 - naive UTC
    twice = call("0", Tijdstip="23:00:00", Totaaltarief="9,99")
    calls = [twice, *(call(str(n), Tijdstip=f"{n % 10:02}:00:00") for n in range(45))]
    row, profile = world.register(write_routit(tmp_path, calls))
    fault("import_after_load:raise:2")
    with pytest.raises(failpoints.FaultInjectedError):
        replace(world.importer, latest_utc=at_first).import_stored(
            row, profile, nothing_follows
        )
    fault("")
    assert world.table("rejected_record", "reason_code") == [("time_in_future",)]

    world.load(tmp_path / "CDR_10001_202501.zip")

    # Record 0 is stored as line 3 said; line 2 of the same id came to light too late.
    assert ends(world) == {"loaded": 45, "conflicts": 1}
    assert world.table("conflict_record", "line_no") == [(2,)]
    assert world.table("rejected_record", "count(*)") == [(0,)]
    assert world.audit() == []


def test_what_was_replaced_before_the_break_still_needs_new_totals(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    world.own({"account:AC9": 1})
    # Ten records of August are replaced first, fifty of September later.
    days = ["2026-08-20"] * 10 + ["2026-09-20"] * 50
    first = [f"C{n} {day}T12:00:00Z 10" for n, day in enumerate(days)]
    world.load(calvi(tmp_path, first, 7), "tmobile_calvi")
    world.do("DELETE FROM dirty_cycle")
    new_days = ["2026-10-01"] * 10 + ["2026-10-20"] * 50
    again = [f"C{n} {day}T12:00:00Z 20" for n, day in enumerate(new_days)]
    later = calvi(tmp_path, again, 8)
    fault("import_after_load:raise:3")
    with pytest.raises(failpoints.FaultInjectedError):
        world.load(later, "tmobile_calvi")
    fault("")
    august = "call_date < '2026-09-01'"
    assert world.table("call_detail_record", "count(*)", where=august) == [(0,)]

    world.load(later, "tmobile_calvi")

    dirty = world.table("dirty_cycle", "cycle_start_date")
    months = ["2026-08-01", "2026-09-01", "2026-10-01"]
    assert [str(each[0]) for each in dirty] == months
    assert world.table("superseded_record", "count(*)") == [(60,)]
    assert ends(world, 2) == {"loaded": 60}
    assert world.audit() == []


def test_a_profile_may_not_change_in_the_middle_of_a_delivery(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    stored = broken_off(world, path, fault)
    row, profile = world.register(path)
    mended = replace(profile, version="0.2", sha256="f" * 64)

    with pytest.raises(ConfigError, match=f"{stored} of its records were read by ano"):
        world.importer.import_stored(row, mended, nothing_follows)

    assert world.load(path).status == "done"


def test_a_profile_may_change_before_anything_is_stored(
    world: World, tmp_path: Path
) -> None:
    row, profile = world.register(write_routit(tmp_path, [call("1")]))
    mended = replace(profile, version="0.2", sha256="f" * 64)

    world.importer.import_stored(row, mended, nothing_follows)

    asked = ("profile_version", "profile_sha256")
    assert world.table("import_queue", *asked) == [("0.2", "f" * 64)]


def test_records_that_vanished_from_a_broken_import_stop_it(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    stored = broken_off(world, path, fault)
    world.do("DELETE FROM call_detail_record WHERE record_id = '0'")

    told = f"the ledger has {stored} records but {stored - 1} are found"
    with pytest.raises(StoreError, match=told):
        world.load(path)


# --- who may write ------------------------------------------------------------------------


def test_a_broken_import_is_finished_before_another_of_its_provider(
    world: World, tmp_path: Path, fault: Fault
) -> None:
    first = write_routit(tmp_path, mixed_calls())
    broken_off(world, first, fault)

    again = [call("0", Tijdstip="00:00:00"), call("77", BERT)]
    second = world.load(write_routit(tmp_path, again, "CDR_10001_202502.zip"))

    assert world.table("import_queue", "id", "status") == [(1, "done"), (2, "done")]
    assert ends(world, 1) == MIXED
    assert (second.outcome.duplicates, second.outcome.conflicts) == (1, 1)
    assert world.audit() == []


class Watched:
    """An importer that lets the test do something while it works."""

    def __init__(self, world: World, at_call: int, act: Callable[[], None]) -> None:
        self._left = at_call
        self._act = act
        self.importer: Importer = replace(world.importer, progress=self._count)

    def _count(self, _records: int) -> None:
        self._left -= 1
        if self._left == 0:
            self._act()


def test_two_imports_of_one_provider_do_not_run_at_once(
    world: World, tmp_path: Path
) -> None:
    other = write_routit(tmp_path, [call("x")], "CDR_10001_202502.zip")
    held: list[str] = []

    def second() -> None:
        with pytest.raises(LeaseHeld) as told:
            world.load(other)
        held.append(str(told.value))

    row, profile = world.register(write_routit(tmp_path, mixed_calls()))
    Watched(world, 5, second).importer.import_stored(row, profile, nothing_follows)

    assert len(held) == 1
    assert "lease import:routit is held by" in held[0]
    assert world.load(other).outcome.loaded == 1


RESET = "UPDATE import_queue SET locked = 0, message = 'Reset manually' WHERE id = 1"


@pytest.mark.parametrize("at_call", [1, 6])
def test_an_operators_reset_stops_the_run_and_lets_the_import_run_again(
    world: World,
    tmp_path: Path,
    undisturbed: dict[str, list[tuple[str, ...]]],
    at_call: int,
) -> None:
    row, profile = world.register(write_routit(tmp_path, mixed_calls()))
    watched = Watched(world, at_call, lambda: world.do(RESET))

    with pytest.raises(FenceLost, match="taken over or unlocked"):
        watched.importer.import_stored(row, profile, nothing_follows)

    told = world.table("import_queue", "locked", "complete", "message")
    assert told == [(0, 0, "Reset manually")]
    assert world.app.imports.runnable("routit") == [1]
    assert world.load(tmp_path / "CDR_10001_202501.zip").status == "done"
    assert world.results() == undisturbed


def test_an_owner_who_wakes_up_late_cannot_commit(
    database_url: str, tmp_path: Path
) -> None:
    with World(database_url, tmp_path, lease_seconds=1) as world:
        world.own(OWNERS)
        row, _ = world.register(write_routit(tmp_path, [call("1")]))
        imports = world.app.imports
        late = imports.claim(row, imports.take_provider("routit", "sleeper"))
        time.sleep(1.1)

        done = world.load(tmp_path / "CDR_10001_202501.zip")

        rows = pl.DataFrame(schema=STORED)
        nothing = pl.DataFrame(schema=cdr.KEY)
        with pytest.raises(FenceLost):
            imports.load(late, rows, first_batch_no=2, batch_rows=10, replaced=nothing)
        with pytest.raises(FenceLost):
            imports.stop(late, "failed", "too late", done.outcome)
        assert world.table("import_queue", "status", "fence") == [("done", 2)]


def test_a_run_asked_to_stop_hands_the_import_back(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, profile = world.register(write_routit(tmp_path, mixed_calls()))
    watched = Watched(world, 6, lambda: monkeypatch.setattr(STOP, "_asked", True))

    with pytest.raises(Stopped):
        watched.importer.import_stored(row, profile, nothing_follows)

    monkeypatch.setattr(STOP, "_asked", False)
    assert world.table("import_queue", "status", "locked") == [("waiting", 0)]
    assert world.table("call_detail_record", "count(*)") != [(0,)]
    assert world.load(tmp_path / "CDR_10001_202501.zip").status == "done"
    assert ends(world) == MIXED


# --- the database went away ---------------------------------------------------------------


class Cut:
    """Loses the answer to the first commit after a named point."""

    def __init__(self, point: str, commit: Callable[[object], None]) -> None:
        self._point = point
        self._commit = commit
        self.is_armed = False
        self.is_over = False
        self.happens = True

    def pass_by(self, name: str) -> None:
        self.is_armed |= name == self._point and not self.is_over

    def commit(self, connection: object) -> None:
        if not self.is_armed:
            return self._commit(connection)
        self.is_armed, self.is_over = False, True
        if self.happens:
            self._commit(connection)
        message = "commit: the connection was lost"
        raise StoreUnavailable(message)


@pytest.mark.parametrize("is_committed", [True, False])
@pytest.mark.parametrize("step", ["set_aside", "load", "finish"])
def test_a_commit_whose_answer_was_lost_is_neither_lost_nor_doubled(
    world: World,
    tmp_path: Path,
    undisturbed: dict[str, list[tuple[str, ...]]],
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    *,
    is_committed: bool,
) -> None:
    database = world.app.database
    cut = Cut(f"import_before_{step}", database._commit)  # type: ignore[arg-type]  # takes its own connections
    cut.happens = is_committed
    monkeypatch.setattr(database, "_commit", cut.commit)
    monkeypatch.setattr(failpoints, "_PLAN", cut)
    monkeypatch.setattr("loaders.imports.RECONNECT_WAITS_S", (0, 0))

    done = world.load(write_routit(tmp_path, mixed_calls()))

    assert cut.is_over
    assert done.status == "done"
    assert world.results() == undisturbed
    assert world.audit() == []


def test_a_database_that_stays_away_ends_the_run(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row, profile = world.register(write_routit(tmp_path, mixed_calls()))
    monkeypatch.setattr("loaders.imports.RECONNECT_WAITS_S", (0, 0))
    importer = world.importer

    def away(_connection: object) -> None:
        message = "commit: the connection was lost"
        raise StoreUnavailable(message)

    with monkeypatch.context() as patch:
        patch.setattr(world.app.database, "_commit", away)
        with pytest.raises(BillingError, match="the connection was lost"):
            importer.import_stored(row, profile, nothing_follows)

    assert world.load(tmp_path / "CDR_10001_202501.zip").status == "done"
    assert ends(world) == MIXED
