"""Workers: end when they are told, hand back what they had, and survive each other."""

import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.bus import Bus, Step, Stop
from etl.chains import FindInsights, ImportDelivery
from etl.handlers import bus_of
from etl.workers import stop_workers, take_up_freed, work, work_in_processes
from tests.flow.import_world import ANNA, World, call, write_routit
from tests.flow.operator_world import Desk
from transforms.errors import StoreUnavailable

PATIENCE_S = 30


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path, lease_seconds=1) as made:
        made.own({ANNA: 1})
        yield made


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.url, world.folder)


def wait_until(world: World, question: str, answer: object) -> None:
    """Wait until a question to the database has this answer."""
    deadline_s = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline_s:
        if world.rows(question) == answer:
            return
        time.sleep(0.1)
    pytest.fail(f"{question}: {world.rows(question)}, not {answer}")


def send_job(world: World) -> int:
    """Send for a look at totals: a job that nothing follows."""
    return bus_of(world.app).send(FindInsights())


def test_a_worker_that_is_told_to_stop_finishes_its_job_and_ends_with_0(
    world: World, desk: Desk
) -> None:
    process = desk.begin("worker")
    send_job(world)
    wait_until(world, "SELECT status FROM job", [("done",)])

    assert desk.etl("queue:stop-workers").code == 0

    out, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert out == "1 jobs done\n"


def test_a_worker_that_starts_after_the_signal_works(world: World) -> None:
    stop_workers(world.app)
    send_job(world)
    steps: list[Step] = []

    work(world.app, drain=True, tell=steps.append)

    assert [step.status for step in steps] == ["done"]


def test_a_worker_on_sigterm_hands_its_import_back_and_ends_with_143(
    world: World, desk: Desk
) -> None:
    path = write_routit(world.folder / "in", [call(str(n)) for n in range(60)])
    world.register(path)
    bus_of(world.app).send(ImportDelivery(1))

    ended = desk.killed("worker", faults="import_after_load:term")

    assert ended.code == 143
    assert world.table("job", "command", "status", "attempts", "owner") == [
        ("routit:import", "waiting", 0, None)
    ]
    assert world.table("import_queue", "status", "locked", "complete") == [
        ("waiting", 0, 0)
    ]
    assert desk.etl("worker", "--drain").code == 0
    assert world.table("call_detail_record", "count(*)") == [(60,)]
    assert world.audit() == []


def test_the_job_of_a_killed_worker_is_taken_over_when_its_lease_ends(
    world: World, desk: Desk
) -> None:
    path = write_routit(world.folder / "in", [call(str(n)) for n in range(60)])
    world.register(path)
    bus_of(world.app).send(ImportDelivery(1))

    killed = desk.killed("worker", faults="import_after_load:kill")
    assert killed.code == -signal.SIGKILL
    assert world.table("import_queue", "locked", "complete") == [(1, 0)]
    time.sleep(1.1)

    ended = desk.etl("worker", "--drain", "--json")

    assert ended.document["jobs"] == {"done": 5}
    assert world.table("import_queue", "locked", "complete") == [(0, 1)]
    assert world.audit() == []


def test_several_processes_share_the_queue_and_each_job_is_done_once(
    world: World, desk: Desk
) -> None:
    bus = bus_of(world.app)
    for number in range(12):
        bus.send(FindInsights(number, "2025-01-01"))
    steps: list[Step] = []

    lost = work_in_processes(world.settings, 2, drain=True, verbose=0, tell=steps.append)

    assert lost == []
    assert Counter(step.status for step in steps) == {"done": 12}
    assert len({step.job_id for step in steps}) == 12
    assert world.table("job", "DISTINCT fence") == [(1,)]


def test_sigterm_ends_every_process_of_a_worker(world: World, desk: Desk) -> None:
    process = desk.begin("worker", "--concurrency", "2")
    send_job(world)
    wait_until(world, "SELECT status FROM job", [("done",)])
    children = _children(process.pid)

    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 143
    assert len(children) >= 2
    assert still_alive(children) == []


def test_the_processes_of_a_killed_worker_end_too(world: World, desk: Desk) -> None:
    process = desk.begin("worker", "--concurrency", "2")
    send_job(world)
    wait_until(world, "SELECT status FROM job", [("done",)])
    children = _children(process.pid)
    assert len(children) >= 2

    process.kill()
    process.communicate(timeout=PATIENCE_S)

    assert still_alive(children) == []


def still_alive(pids: list[int]) -> list[int]:
    """The processes that live on, after the time they may take to end."""
    deadline_s = time.monotonic() + PATIENCE_S
    while any(map(_lives, pids)) and time.monotonic() < deadline_s:
        time.sleep(0.1)
    return [pid for pid in pids if _lives(pid)]


def _children(pid: int) -> list[int]:
    return [
        int(child)
        for listed in Path(f"/proc/{pid}/task").glob("*/children")
        for child in listed.read_text().split()
    ]


def _lives(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def test_a_database_that_comes_back_is_waited_for(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    send_job(world)
    pauses: list[float] = []
    monkeypatch.setattr("etl.workers.time.sleep", pauses.append)
    away = iter(["connect: no answer", "connect: no answer"])
    work_one = Bus.work_one

    def flickering(bus: Bus, stop: Stop) -> Step | None:
        if message := next(away, None):
            raise StoreUnavailable(message)
        return work_one(bus, stop)

    monkeypatch.setattr(Bus, "work_one", flickering)
    steps: list[Step] = []

    work(world.app, drain=True, tell=steps.append)

    assert [step.status for step in steps] == ["done"]
    assert pauses == [0.5, 1.0]


def test_a_failed_job_is_told_with_the_command_to_go_on(world: World, desk: Desk) -> None:
    bus_of(world.app).send(ImportDelivery(99))

    ended = desk.etl("worker", "--drain")

    assert ended.code == 1
    assert ended.out.splitlines() == [
        "job 1 routit:import failed: there is no import 99; see: etl import:list",
        "  mend the cause, then go on with: etl queue:retry 1",
        "1 jobs failed",
    ]


def test_an_import_freed_by_its_lease_is_queued_once(world: World) -> None:
    path = write_routit(world.folder / "in", [call("1")])
    world.register(path)
    world.do("UPDATE import_queue SET status = 'running', locked = 0")

    assert [take_up_freed(world.app), take_up_freed(world.app)] == [1, 0]

    assert world.table("job", "command", "work_key", "status") == [
        ("routit:import", "1", "waiting")
    ]


def test_the_list_shows_who_has_a_job_and_for_how_long(world: World, desk: Desk) -> None:
    running, waiting = send_job(world), bus_of(world.app).send(ImportDelivery(5))
    world.app.jobs.claim_one(running, "host:12:ab", 60)
    old = "2026-01-01 00:00:00"
    world.do(f"UPDATE job SET started_at = '{old}' WHERE id = {running}")  # noqa: S608

    told = desk.etl("queue:list").out.splitlines()
    jobs = desk.etl("queue:list", "--json").document["jobs"]

    assert "host:12:ab" in told[1]
    assert [(each["id"], each["status"], each["owner"]) for each in jobs] == [
        (running, "running", "host:12:ab"),
        (waiting, "waiting", None),
    ]
    assert jobs[0]["age_s"] > 86_400
    assert jobs[1]["age_s"] in range(60)


def test_a_failed_job_is_listed_however_many_came_after_it(
    world: World, desk: Desk
) -> None:
    bus = bus_of(world.app)
    bus.run(ImportDelivery(99))
    for _ in range(3):
        bus.run(FindInsights())

    listed = desk.etl("queue:list", "--limit", "2", "--json").document["jobs"]
    every = desk.etl("queue:list", "--limit", "2", "--all", "--json").document["jobs"]

    assert [each["status"] for each in listed] == ["failed"]
    assert [each["status"] for each in every] == ["failed", "done", "done"]


def test_unlocking_says_who_had_the_job_and_for_how_long(world: World, desk: Desk) -> None:
    job_id = send_job(world)
    world.app.jobs.claim_one(job_id, "host:12:ab", 60)

    ended = desk.etl("queue:unlock", str(job_id))

    assert ended.code == 0
    assert ended.out.startswith("job 1 totals:insight was held by host:12:ab for ")
    assert world.table("job", "status", "owner") == [("waiting", None)]
