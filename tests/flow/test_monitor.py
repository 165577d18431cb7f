"""The monitor answers the operators' questions, alike on both databases."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from etl.chains import BackupTotals, ImportDelivery
from etl.handlers import bus_of
from loaders.monitor import DayVolume, LostJob, Monitor
from tests.flow.import_world import ANNA, BERT, World, call, write_routit
from tests.flow.operator_world import Desk


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 123, BERT: 2})
        yield made


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.url, world.folder)


@pytest.fixture
def monitor(world: World) -> Monitor:
    return world.app.monitor


def ago(world: World, minutes: int) -> str:
    """A moment so many minutes before the database's now, as its own SQL says it."""
    if world.url.startswith("sqlite"):
        return f"strftime('%Y-%m-%d %H:%M:%f', 'now', '-{minutes} minutes')"
    return f"CURRENT_TIMESTAMP(6) - INTERVAL {minutes} MINUTE"


def delivered(world: World, *calls: str, name: str = "") -> str:
    return str(write_routit(world.folder / "in", calls, name))


def test_syncs_of_the_last_ten_minutes_are_counted(world: World, monitor: Monitor) -> None:
    assert monitor.watch().syncs.sync_count == 0
    assert monitor.last_sync_age_s() is None
    for minutes in (11, 9, 3):
        world.do(
            "INSERT INTO sync_task (status, created_at)"  # noqa: S608 - ours
            f" VALUES ('idle', {ago(world, minutes)})"
        )

    seen = monitor.watch()

    assert seen.syncs.sync_count == 2
    assert seen.syncs.last_sync is not None
    assert seen.at - seen.syncs.last_sync < timedelta(minutes=4)
    assert monitor.last_sync_age_s() in range(180, 200)


def test_a_real_day_is_seen_from_its_imports_to_its_backups(
    world: World, desk: Desk, monitor: Monitor
) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=each) for each in (1, 2, 2, 8)]
    calls = [call(f"{n}", Datum=f"{day:%d-%m-%Y}") for n, day in enumerate(days)]
    file = delivered(world, *calls, call("9"))
    assert desk.etl("import", file, "--provider", "routit").code == 0

    seen = monitor.watch()
    [one] = seen.imports
    assert (one.id, one.type, one.status) == (1, "routit_cdr", "done")
    assert (one.locked, one.complete, one.records, one.loaded) == (0, 1, 5, 5)
    assert seen.volume == (DayVolume(days[0], 1), DayVolume(days[1], 2))
    assert (seen.totals, seen.waiting.cycles > 0) == ((), True)

    assert desk.etl("totals:new", "--customer=123", "--cycle=2025-01-01").code == 0

    seen = monitor.watch()
    [total] = seen.totals
    assert (total.customer_id, total.cycle_start_date) == (123, date(2025, 1, 1))
    assert (total.total_cost, total.revision) == ("0.040500", 1)
    assert seen.without_backup == 0


def test_what_is_older_than_the_question_is_not_shown(
    world: World, desk: Desk, monitor: Monitor
) -> None:
    desk.etl("import", delivered(world, call("1")), "--provider", "routit")
    desk.etl("totals:new", "--customer=123", "--cycle=2025-01-01")
    world.do(f"UPDATE import_queue SET created_at = {ago(world, 1441)}")  # noqa: S608
    world.do(f"UPDATE total_usage_new_table SET updated_at = {ago(world, 61)}")  # noqa: S608

    seen = monitor.watch()

    assert (seen.imports, seen.totals) == ((), ())


def test_totals_without_their_backup_are_counted(
    world: World, desk: Desk, monitor: Monitor
) -> None:
    desk.etl("import", delivered(world, call("1")), "--provider", "routit")
    desk.etl("totals:dispatch")
    world.do("DELETE FROM total_usage_new_backup_table")

    assert monitor.watch().without_backup == 1
    assert monitor.late_backups() == 0  # not for ten minutes yet

    world.do(f"UPDATE total_usage_new_table SET updated_at = {ago(world, 11)}")  # noqa: S608
    assert monitor.late_backups() == 1


def test_the_depth_of_the_queue_and_its_oldest_job_are_told(
    world: World, monitor: Monitor
) -> None:
    bus = bus_of(world.app)
    first = bus.send(ImportDelivery(7))
    bus.send(BackupTotals())
    world.do(f"UPDATE job SET available_at = {ago(world, 20)} WHERE id = {first}")  # noqa: S608

    queue = monitor.queue()

    assert (queue.waiting, queue.due, queue.running, queue.failed) == (2, 2, 0, 0)
    assert queue.oldest_due_s in range(1200, 1260)


def test_a_job_whose_owner_is_gone_is_named(world: World, monitor: Monitor) -> None:
    job_id = bus_of(world.app).send(BackupTotals())
    world.app.jobs.claim("host:1:x", 60)
    world.do(f"UPDATE job SET lease_until = {ago(world, 5)}")  # noqa: S608

    [lost] = monitor.queue().lost

    assert lost == LostJob(job_id, "totals:backup", "host:1:x", lost.age_s)
    assert lost.age_s in range(300, 330)


def test_a_failed_job_is_shown_until_its_work_is_done(
    world: World, desk: Desk, monitor: Monitor
) -> None:
    bus = bus_of(world.app)
    bus.run(ImportDelivery(1))  # there is no such import

    [failed] = monitor.failed_jobs()
    assert (failed.command, failed.work_key) == ("routit:import", "1")
    assert (failed.message or "").startswith("there is no import 1")
    shown = desk.etl("monitor").out
    assert f"failed: job {failed.id} routit:import 1: there is no import 1" in shown
    assert f"etl queue:retry {failed.id}" in shown

    world.register(Path(delivered(world, call("1"))))
    bus.run(ImportDelivery(1))

    assert monitor.failed_jobs() == ()


def test_the_monitor_is_one_document_or_a_picture_for_people(
    world: World, desk: Desk
) -> None:
    desk.etl("import", delivered(world, call("1")), "--provider", "routit")
    desk.etl("totals:dispatch")

    told = desk.etl("monitor").out.splitlines()
    document = desk.etl("monitor", "--json").document

    assert told[1] == "syncs of the last 10 minutes: 0"
    assert told[2] == "imports of the last 24 hours: 1"
    assert "totals without backup: 0" in told
    assert (
        "queue: 0 wait, 0 of them due; 0 run, 0 of them without their owner; 0 failed"
        in (told)
    )
    assert set(document) == {
        *("at", "syncs", "imports", "volume", "totals", "without_backup", "waiting"),
        *("queue", "failed_jobs"),
    }
    assert document["totals"][0]["total_cost"] == "0.040500"


def test_watching_is_for_people_and_a_document_for_programs(desk: Desk) -> None:
    ended = desk.etl("monitor", "--watch", "--json")

    assert ended.code == 2
    assert "--watch shows one picture after another" in ended.err
