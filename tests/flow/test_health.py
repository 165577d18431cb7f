"""Health: each critical path is looked at, and what is broken says its next step."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal

import pytest

from etl.chains import BackupTotals, ImportDelivery
from etl.handlers import bus_of
from etl.health import Finding, findings
from loaders.database import Database
from tests.flow.import_world import ANNA, World, call, write_routit
from tests.flow.operator_world import Desk
from tests.flow.test_monitor import ago
from transforms.errors import StoreUnavailable
from transforms.reference import Reference, SyncProfile, SyncSettings

PARTS = [
    ("all paths", "database"),
    ("all paths", "settings"),
    ("1 master sync", "schedule"),
    ("1 master sync", "router"),
    ("1 master sync", "providers"),
    ("2 command chains", "queue"),
    ("2 command chains", "chains"),
    ("2 command chains", "jobs"),
    ("3 totals", "write"),
    ("3 totals", "cycles"),
    ("3 totals", "backup"),
    ("4 CDR import", "storage"),
    ("4 CDR import", "write"),
    ("4 CDR import", "imports"),
]


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 1})
        yield made


def broken(world: World) -> list[Finding]:
    return [finding for finding in findings(world.app) if not finding.ok]


def the_only_fault(world: World) -> Finding:
    [finding] = broken(world)
    return finding


def feed(
    world: World, provider: str, transport: Literal["folder", "https"] = "folder"
) -> None:
    settings = SyncSettings(transport=transport, folder="in")
    profile = SyncProfile(provider, settings, enabled=True, every_minutes=5)
    world.app.reference.replace(Reference(sync_profiles=(profile,)))


def synced(world: World, status: str, minutes: int, message: str = "") -> None:
    world.do(
        "INSERT INTO sync_task (provider, status, message, created_at) VALUES"  # noqa: S608
        f" ('yielder', '{status}', '{message}', {ago(world, minutes)})"
    )


def test_every_part_of_a_sound_system_is_fine(world: World) -> None:
    world.load(write_routit(world.folder / "in", [call("1")]))
    feed(world, "yielder")
    synced(world, "done", 4)

    found = list(findings(world.app))

    assert [(each.path, each.part) for each in found] == PARTS
    assert [each for each in found if not each.ok] == []


def test_looking_leaves_nothing_behind(world: World) -> None:
    before = world.results()

    assert broken(world) == []

    assert world.results() == before
    assert world.table("total_usage_new_table", "id") == []


def test_a_schedule_that_does_not_run_is_a_fault(world: World) -> None:
    feed(world, "yielder")
    assert the_only_fault(world).message == "sync:manager never ran"

    synced(world, "done", 12)

    fault = the_only_fault(world)
    assert (fault.path, fault.part) == ("1 master sync", "schedule")
    assert fault.message == "sync:manager ran 12 min ago; it should every 5 minutes"
    assert "crontab -l" in (fault.next_step or "")


def test_a_feed_of_an_unknown_provider_is_a_fault(world: World) -> None:
    feed(world, "yeilder")
    synced(world, "idle", 1)

    fault = the_only_fault(world)

    assert (fault.path, fault.part) == ("1 master sync", "router")
    assert "there is no provider 'yeilder'" in fault.message


def test_a_feed_that_nothing_fetches_is_a_fault(world: World) -> None:
    feed(world, "yielder", transport="https")
    synced(world, "idle", 1)

    fault = the_only_fault(world)

    assert (fault.path, fault.part) == ("1 master sync", "router")
    assert "sync profile yielder: nothing fetches it by 'https'" in fault.message


def test_a_provider_whose_newest_sync_failed_is_a_fault(world: World) -> None:
    feed(world, "yielder")
    synced(world, "failed", 8, "the folder is gone")

    fault = the_only_fault(world)
    assert (fault.part, fault.message) == ("providers", "yielder: the folder is gone")

    synced(world, "done", 3)
    assert broken(world) == []


def test_a_queue_that_nobody_works_is_a_fault(world: World) -> None:
    bus_of(world.app).send(BackupTotals())
    assert broken(world) == []

    world.do(f"UPDATE job SET available_at = {ago(world, 30)}")  # noqa: S608

    fault = the_only_fault(world)
    assert fault.part == "queue"
    assert fault.message == (
        "1 jobs are due, the oldest for 30 min: no worker works the queue"
    )
    assert (fault.next_step or "").startswith("start a worker: etl worker")


def test_a_job_that_nobody_took_over_from_its_lost_owner_is_a_fault(world: World) -> None:
    bus_of(world.app).send(BackupTotals())
    world.app.jobs.claim("host:1:x", 60)
    world.do(f"UPDATE job SET lease_until = {ago(world, 5)}")  # noqa: S608

    assert the_only_fault(world).message == (
        "job 1 totals:backup lost its owner host:1:x 5 min ago and nobody took it over"
    )


def test_a_failed_step_of_a_chain_is_a_fault_with_its_resume_command(world: World) -> None:
    bus_of(world.app).run(ImportDelivery(99))

    fault = the_only_fault(world)

    assert (fault.path, fault.part) == ("2 command chains", "jobs")
    assert fault.message.startswith("job 1 routit:import 99 failed: there is no import 99")
    assert fault.message.endswith("etl queue:retry 1")


def test_cycles_that_no_night_computed_are_a_fault(world: World) -> None:
    world.load(write_routit(world.folder / "in", [call("1")]))
    assert broken(world) == []

    world.do(f"UPDATE dirty_cycle SET marked_at = {ago(world, 27 * 60)}")  # noqa: S608

    fault = the_only_fault(world)
    assert fault.message == "1 cycles wait for totals, the oldest for 27 h"
    assert fault.next_step == "etl totals:dispatch"


def test_totals_whose_chain_broke_off_are_a_fault(world: World) -> None:
    world.do(
        "INSERT INTO total_usage_new_table (customer_id, cycle_start_date,"  # noqa: S608
        " cycle_end_date, revision, method, currency, total_cost_micros,"
        " provider_cost_micros, cdr_count, unrated_count, content_sha256, updated_at)"
        " VALUES (1, '2025-01-01', '2025-02-01', 1, 'standard', 'EUR', 0, 0, 0, 0, 'x',"
        f" {ago(world, 11)})"
    )

    assert the_only_fault(world).message == (
        "1 totals have no backup: their chain broke off"
    )


def test_an_import_that_failed_or_lost_its_owner_is_a_fault(world: World) -> None:
    world.register(write_routit(world.folder / "in", [call("1")]))
    for status, is_fault in (
        ("waiting", False),
        ("refused", False),
        ("held", False),
        ("failed", True),
        ("reverting", True),
    ):
        world.do(f"UPDATE import_queue SET status = '{status}', message = 'why'")  # noqa: S608
        assert [each.part for each in broken(world)] == ["imports"] * is_fault, status
    world.do(
        "UPDATE import_queue SET status = 'running', locked = 1,"  # noqa: S608
        f" updated_at = {ago(world, 40)}, lease_until = {ago(world, 38)}"
    )

    assert the_only_fault(world).message == (
        "import 1 CDR_10001_202501.zip: its owner is gone for 40 min"
    )


def test_a_storage_folder_that_cannot_be_is_a_fault(world: World, tmp_path: Path) -> None:
    (tmp_path / "a_file").write_text("no folder")
    folder = tmp_path / "a_file" / "storage"
    world.app.settings = world.settings.model_copy(update={"storage": folder})

    fault = the_only_fault(world)

    assert (fault.path, fault.part) == ("4 CDR import", "storage")
    assert fault.message == f"storage {folder} cannot be written: Not a directory"


def test_too_little_room_is_a_fault_that_says_how_much_is_needed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.health.FREE_BYTES_NEEDED", 1 << 60)

    fault = the_only_fault(world)

    assert fault.message.endswith("1099511627776 MB needed")
    assert fault.next_step == "free some space, or set ETL_STORAGE"


def test_totals_that_cannot_be_written_are_a_fault(world: World) -> None:
    world.do("ALTER TABLE total_usage_new_table RENAME TO put_aside")

    parts = [(each.path, each.part) for each in broken(world)]

    assert ("3 totals", "write") in parts


def test_records_that_cannot_be_written_are_a_fault(world: World) -> None:
    world.do("ALTER TABLE call_detail_record RENAME TO put_aside")

    fault = the_only_fault(world)

    assert (fault.path, fault.part) == ("4 CDR import", "write")


def test_a_database_that_is_away_is_said_once_and_the_storage_is_still_looked_at(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_database: Database) -> Callable[[], None]:
        message = "connect: the database says 2002: no answer"
        raise StoreUnavailable(message)

    monkeypatch.setattr(type(world.app.database), "snapshot", away)

    found = list(findings(world.app))

    assert [each.part for each in found if each.ok] == ["storage"]
    assert [each.message for each in found[:2]] == [
        "connect: the database says 2002: no answer",
        "not looked at: the database does not answer",
    ]


def test_health_ends_with_1_when_a_path_is_broken(world: World) -> None:
    desk = Desk(world.url, world.folder)
    fine = desk.etl("health", "--json")
    world.load(write_routit(world.folder / "in", [call("1")]))
    world.do(f"UPDATE dirty_cycle SET marked_at = {ago(world, 27 * 60)}")  # noqa: S608

    broken_told = desk.etl("health")
    document = desk.etl("health", "--json").document

    assert (fine.code, fine.document["ok"]) == (0, True)
    assert [(each["path"], each["part"]) for each in fine.document["findings"]] == PARTS
    assert broken_told.code == 1
    assert broken_told.out.splitlines()[9:12] == [
        "BROKEN 3 totals: cycles: 1 cycles wait for totals, the oldest for 27 h",
        "       next: etl totals:dispatch",
        "ok     3 totals: backup every revision has its copy",
    ]
    assert document["ok"] is False


def test_the_doctor_says_what_runs_here_and_keeps_the_secret(world: World) -> None:
    desk = Desk(world.url, world.folder)

    ended = desk.etl("doctor", "--json")

    found = ended.document
    assert (ended.code, found["ok"], found["faults"]) == (0, True, [])
    assert found["versions"]["polars"].startswith("2.")
    assert ("SQLite" in found["database"]) == world.url.startswith("sqlite")
    if not world.url.startswith("sqlite"):
        assert found["database"].endswith("reached with the C extension")
        secret = world.url.split(":")[2].split("@")[0]
        assert secret not in ended.out + ended.err + desk.etl("doctor").out
    assert found["settings"]["lease_seconds"] == 1
    assert found["storage"]["free_mb"] > 0


def test_the_doctor_names_what_to_mend(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl.health.FREE_BYTES_NEEDED", 1 << 60)

    ended = Desk(world.url, world.folder).etl("doctor")

    assert ended.code == 1
    assert "MB needed; free some space, or set ETL_STORAGE" in ended.out
