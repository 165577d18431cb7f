"""The command bus: chains, waiting, failing, stopping and the way by hand."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

import pytest

from etl import failpoints
from etl.bus import (
    Bus,
    Context,
    Done,
    JobReport,
    NotReady,
    Outcome,
    Route,
    Step,
    new_job,
    route,
    routes,
)
from etl.verdict import judged, redacted
from loaders.database import Database
from loaders.jobs import Job, JobQueue, NewJob
from loaders.leases import Leases
from tests.flow.bus_commands import TOTALS, Backup, Insight, Totals, chain, count_effect
from transforms.errors import (
    BillingError,
    ConfigError,
    ContractError,
    DeliveryRefused,
    FenceLost,
    LeaseHeld,
    MoneyError,
    SourceUnavailable,
    Stopped,
    StoreUnavailable,
)


@dataclass(frozen=True)
class Fetch:
    """A command whose handler each test gives."""

    name: ClassVar[str] = "routit:request"
    account: str

    @property
    def work_key(self) -> str:
        return self.account


FETCH = Fetch("10001")
Handler = Callable[[Fetch, Context], Outcome]


def bus_of(database: Database, *more: Route, owner: str = "worker-1") -> Bus:
    table = {**chain(), **routes(*more)}
    return Bus(database, table, owner=owner, lease_s=60, first_pause_s=0.02)


def fetching(database: Database, handler: Handler, owner: str = "worker-1") -> Bus:
    return bus_of(database, route(Fetch, handler), owner=owner)


def raising(error: BaseException) -> Handler:
    def handler(command: Fetch, context: Context) -> Outcome:
        raise error

    return handler


def effects(database: Database) -> dict[str, int]:
    leases = Leases(database)
    return {name: leases.signals(name) for name in ("totals", "backup", "insight")}


def fault(monkeypatch: pytest.MonkeyPatch, plan: str) -> None:
    monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(plan))


def only_job(database: Database) -> Job:
    (job,) = JobQueue(database).list()
    return job


def test_a_command_by_hand_works_its_whole_chain(database: Database) -> None:
    report = bus_of(database).run(TOTALS)

    assert [(step.command, step.status) for step in report.steps] == [
        ("totals:new", "done"),
        ("totals:backup", "done"),
        ("insight:new", "done"),
    ]
    assert report.steps[0].result == {"did": "totals"}
    assert report.steps[1].result == {"customer": 123}
    assert (report.failed_step, report.resume, report.exit_code) == (None, None, 0)
    assert effects(database) == {"totals": 1, "backup": 1, "insight": 1}
    stored = JobQueue(database).chain(report.run_id)
    assert [job.id for job in stored] == [step.job_id for step in report.steps]


def test_a_worker_works_the_chain_of_a_sent_command(database: Database) -> None:
    bus = bus_of(database)
    bus.send(TOTALS)

    assert bus.drain() == {"done": 3}
    assert bus.work_one() is None
    assert effects(database) == {"totals": 1, "backup": 1, "insight": 1}


def test_eight_workers_take_each_chain_through_once(database: Database) -> None:
    bus = bus_of(database)
    for customer in range(6):
        bus.send(replace(TOTALS, customer=customer))

    def work(number: int) -> int:
        mine = bus_of(database, owner=f"worker-{number}")
        return sum(mine.drain().values())

    with ThreadPoolExecutor(8) as pool:
        worked = sum(pool.map(work, range(8)))
    worked += sum(bus.drain().values())

    assert worked == 18
    assert effects(database) == {"totals": 6, "backup": 6, "insight": 6}


def test_the_jobs_of_a_run_by_hand_are_not_taken_by_a_worker(database: Database) -> None:
    other = bus_of(database, owner="worker-2")
    seen: list[Step | None] = []

    def handler(command: Fetch, context: Context) -> Outcome:
        done = context.database.run(
            lambda tx: context.finish(tx, {}, (Backup(123), Insight(456)))
        )
        seen.append(other.work_one())
        return done

    report = fetching(database, handler).run(FETCH)

    assert seen == [None]
    assert [step.status for step in report.steps] == ["done"] * 4


def test_a_command_in_another_hand_is_refused_naming_the_owner(database: Database) -> None:
    bus = bus_of(database)
    bus.send(TOTALS)
    assert JobQueue(database).claim("worker-2", 60) is not None

    with pytest.raises(LeaseHeld, match="totals:new is in hand of worker-2 until"):
        bus.run(TOTALS)


def test_a_command_by_hand_takes_over_what_a_sender_left_waiting(
    database: Database,
) -> None:
    bus = bus_of(database)
    job_id = bus.send(TOTALS)

    assert bus.run(TOTALS).steps[0].job_id == job_id
    assert effects(database) == {"totals": 1, "backup": 1, "insight": 1}


def test_a_job_that_is_not_ready_waits_and_keeps_its_attempts(database: Database) -> None:
    bus = fetching(database, lambda command, context: NotReady(600, "still collecting"))

    report = bus.run(FETCH)

    job = only_job(database)
    assert [step.status for step in report.steps] == ["waiting"]
    assert (report.steps[0].message, report.exit_code) == ("still collecting", 0)
    assert (job.attempts, job.available_at > job.created_at) == (0, True)
    assert bus.work_one() is None


def test_a_service_that_is_away_is_asked_again_until_the_attempts_end(
    database: Database,
) -> None:
    bus = fetching(database, raising(SourceUnavailable("provider answers 503")))
    bus.send(FETCH)

    statuses = []
    while only_job(database).status == "waiting":
        bus.drain()
        statuses.append(only_job(database).status)
        time.sleep(0.05)  # the pauses are 0.02, 0.04, 0.08 and 0.16 s

    job = only_job(database)
    assert job.attempts == 5
    assert job.message == "gave up after 5 attempts; last: provider answers 503"
    assert statuses.count("failed") == 1


def test_by_hand_a_service_that_is_away_is_reported_at_once(database: Database) -> None:
    away = [SourceUnavailable("provider answers 503")]

    def handler(command: Fetch, context: Context) -> Outcome:
        if away:
            raise away.pop()
        return Done({"ready": True})

    bus = fetching(database, handler)
    report = bus.run(FETCH)
    failed = report.failed_step

    assert failed is not None
    assert (failed.status, failed.message) == ("waiting", "provider answers 503")
    assert (report.exit_code, report.resume) == (3, f"etl queue:retry {failed.job_id}")
    assert bus.resume(failed.job_id).steps[0].status == "done"


@pytest.mark.parametrize(
    ("error", "exit_code", "message"),
    [
        (ConfigError("no folder set"), 2, "no folder set"),
        (DeliveryRefused("control total differs"), 1, "control total differs"),
        (MoneyError("sums differ"), 4, "sums differ"),
        (
            ValueError("cannot use mysql://etl:hunter2@db/etl for 31612345678"),
            3,
            "ValueError: cannot use mysql://***@db/etl for *********78",
        ),
    ],
)
def test_an_error_a_second_try_cannot_mend_fails_the_job_at_once(
    database: Database, error: Exception, exit_code: int, message: str
) -> None:
    report = fetching(database, raising(error)).run(FETCH)

    job = only_job(database)
    assert (job.status, job.message, job.attempts) == ("failed", message, 1)
    assert report.exit_code == exit_code
    assert report.resume == f"etl queue:retry {job.id}"


def test_the_traceback_of_an_unforeseen_error_is_in_the_log_only(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    fetching(database, raising(ZeroDivisionError("by zero"))).run(FETCH)

    assert "Traceback" in caplog.text
    assert only_job(database).message == "ZeroDivisionError: by zero"


def test_a_failing_step_stops_its_chain_and_names_how_to_go_on(database: Database) -> None:
    repaired: list[bool] = []

    def handler(command: Backup, context: Context) -> Outcome:
        if not repaired:
            message = "disk full"
            raise ConfigError(message)
        return Done({}, (Insight(command.customer),))

    bus = bus_of(database, route(Backup, handler))
    report = bus.run(TOTALS)
    repaired.append(True)

    assert [(step.command, step.status) for step in report.steps] == [
        ("totals:new", "done"),
        ("totals:backup", "failed"),
    ]
    assert report.failed_step == report.steps[1]
    rest = bus.resume(report.steps[1].job_id)
    assert [(step.command, step.status) for step in rest.steps] == [
        ("totals:backup", "done"),
        ("insight:new", "done"),
    ]
    assert rest.run_id == report.run_id


def test_one_failing_job_does_not_stop_the_others(database: Database) -> None:
    bus = fetching(database, raising(ConfigError("no folder set")))
    bus.send(FETCH)
    bus.send(TOTALS)

    assert bus.drain() == {"failed": 1, "done": 3}


def test_a_job_that_meets_a_held_lease_waits_for_it(database: Database) -> None:
    report = fetching(database, raising(LeaseHeld("import:routit is held"))).run(FETCH)

    job = only_job(database)
    assert (job.status, job.attempts) == ("waiting", 0)
    assert report.exit_code == 75


@pytest.mark.parametrize("error", [Stopped("after batch 7"), KeyboardInterrupt()])
def test_a_worker_that_is_stopped_hands_its_job_back(
    database: Database, error: BaseException
) -> None:
    bus = fetching(database, raising(error))
    bus.send(FETCH)

    with pytest.raises(type(error)):
        bus.drain()

    job = only_job(database)
    assert (job.status, job.attempts, job.owner) == ("waiting", 0, None)
    assert fetching(database, lambda command, context: Done()).drain() == {"done": 1}


def test_a_handler_leaves_at_its_next_checkpoint_when_asked_to_stop(
    database: Database,
) -> None:
    asked: list[bool] = []

    def handler(command: Fetch, context: Context) -> Outcome:
        context.checkpoint()
        asked.append(True)
        context.checkpoint()
        return Done()

    bus = fetching(database, handler)
    bus.send(FETCH)

    with pytest.raises(Stopped, match="stopped after a checkpoint"):
        bus.drain(stop=lambda: bool(asked))
    assert only_job(database).status == "waiting"


def test_a_chain_by_hand_stops_between_two_steps(database: Database) -> None:
    bus = bus_of(database)

    with pytest.raises(Stopped, match="go on with: etl worker --drain"):
        bus.run(TOTALS, stop=lambda: True)

    statuses = [job.status for job in JobQueue(database).list()]
    assert statuses == ["waiting", "done"]


def test_a_command_nobody_serves_fails_naming_the_nearest(database: Database) -> None:
    job = NewJob("totals:nwe", {}, "123")
    database.run(lambda tx: JobQueue(database).enqueue(tx, job, "run-1"))

    bus_of(database).drain()

    message = only_job(database).message or ""
    assert "nothing serves command 'totals:nwe'; did you mean 'totals:new'?" in message


def test_a_payload_of_another_version_fails_naming_each_key(database: Database) -> None:
    job = NewJob("totals:new", {"customer": "123", "cylce": "2025-01-01"}, "123")
    database.run(lambda tx: JobQueue(database).enqueue(tx, job, "run-1"))

    bus_of(database).drain()

    stored = only_job(database)
    assert stored.status == "failed"
    assert stored.message == (
        "totals:new: the stored payload is not this command: unknown key 'cylce'; "
        "customer: Input should be a valid integer; cycle: Field required"
    )


def test_a_command_comes_out_of_the_queue_as_it_went_in(database: Database) -> None:
    came: list[Totals] = []

    def handler(command: Totals, context: Context) -> Outcome:
        came.append(command)
        return Done()

    sent = replace(TOTALS, note="caf\u00e9 'quoted' \\ \n :name %s")
    bus_of(database, route(Totals, handler)).run(sent)

    assert came == [sent]


def test_two_handlers_for_one_command_are_refused() -> None:
    with pytest.raises(ContractError, match="two handlers: routit:request"):
        routes(
            route(Fetch, lambda command, context: Done()),
            route(Fetch, lambda command, context: Done()),
        )


def test_work_finished_in_a_transaction_that_broke_is_not_done(database: Database) -> None:
    def handler(command: Fetch, context: Context) -> Outcome:
        with suppress(ZeroDivisionError), context.database.transaction() as tx:
            context.finish(tx, {}, (Backup(1),))
            raise ZeroDivisionError
        return Done()

    report = fetching(database, handler).run(FETCH)

    assert report.steps[0].message == (
        "routit:request: the handler finished its job in a transaction that was not "
        "committed"
    )
    assert only_job(database).status == "failed"


def test_an_error_after_the_last_commit_leaves_the_work_done(database: Database) -> None:
    def handler(command: Fetch, context: Context) -> Outcome:
        context.database.run(lambda tx: context.finish(tx, {"n": 1}, (Backup(1),)))
        message = "the answer to COMMIT was lost"
        raise StoreUnavailable(message)

    report = fetching(database, handler).run(FETCH)

    assert [step.status for step in report.steps] == ["done", "done", "done"]
    assert report.exit_code == 0


def test_a_commit_whose_answer_was_lost_is_not_done_twice(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = database.run
    lost: list[bool] = []

    def run_and_lose_one_answer(work: Callable[..., object], attempts: int = 5) -> object:
        answer = run(work, attempts)
        if effects(database)["backup"] and not lost:
            lost.append(True)
            message = "the connection was lost in COMMIT"
            raise StoreUnavailable(message)
        return answer

    def handler(command: Backup, context: Context) -> Outcome:
        with context.database.transaction() as tx:
            count_effect(tx, "backup")
        return Done({}, (Insight(123),))

    bus = bus_of(database, route(Backup, handler))
    monkeypatch.setattr(database, "run", run_and_lose_one_answer)
    report = bus.run(Backup(123))

    assert lost == [True]
    assert [step.status for step in report.steps] == ["done", "done"]
    assert len(JobQueue(database).list()) == 2


def test_a_completion_that_breaks_off_leaves_no_chain_behind(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    fault(monkeypatch, "in_complete:raise")
    bus = bus_of(database)
    bus.send(Backup(123))

    bus.drain()

    job = only_job(database)
    assert (job.status, job.message) == (
        "failed",
        "FaultInjectedError: fault at in_complete",
    )


def test_a_long_healthy_job_keeps_its_lease(database: Database) -> None:
    def handler(command: Fetch, context: Context) -> Outcome:
        time.sleep(1.0)
        assert JobQueue(database).claim("worker-2", 60) is None
        context.checkpoint()
        return Done()

    bus = Bus(database, routes(route(Fetch, handler)), owner="worker-1", lease_s=0.5)

    assert bus.run(FETCH).steps[0].status == "done"
    assert only_job(database).attempts == 1


def test_a_worker_whose_job_was_taken_over_is_told_and_writes_nothing(
    database: Database,
) -> None:
    def handler(command: Fetch, context: Context) -> Outcome:
        JobQueue(database).unlock(context.job.id)
        waited_until_s = time.monotonic() + 5
        while not context.lost() and time.monotonic() < waited_until_s:
            time.sleep(0.01)
        with pytest.raises(FenceLost):
            context.checkpoint()
        return Done({}, (Backup(1),))

    bus = Bus(database, routes(route(Fetch, handler)), owner="worker-1", lease_s=0.6)
    bus.send(FETCH)

    assert bus.drain(stop=stop_after(1)) == {"lost": 1}
    job = only_job(database)
    assert (job.status, job.result) == ("waiting", None)


def stop_after(jobs: int) -> Callable[[], bool]:
    asked = iter([False] * jobs)
    return lambda: next(asked, True)


def test_a_worker_that_cannot_beat_counts_itself_as_lost(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(self: JobQueue, job: Job, lease_s: float) -> None:
        message = "the database does not answer"
        raise StoreUnavailable(message)

    def handler(command: Fetch, context: Context) -> Outcome:
        assert not context.lost()
        time.sleep(0.4)
        assert context.lost()
        return Done()

    monkeypatch.setattr(JobQueue, "heartbeat", away)
    bus = Bus(database, routes(route(Fetch, handler)), owner="worker-1", lease_s=0.3)

    assert bus.run(FETCH).steps[0].status == "done"


def test_the_pauses_between_attempts_double_up_to_an_hour(database: Database) -> None:
    bus_of(database).send(TOTALS)
    job = only_job(database)
    away = SourceUnavailable("away")

    pauses = [
        judged(away, replace(job, attempts=attempt), 30).pause_s
        for attempt in (1, 2, 3, 9, 40)
    ]
    asked = judged(SourceUnavailable("busy", 900), replace(job, attempts=1), 30)

    assert 30 <= pauses[0] <= 37.5
    assert 60 <= pauses[1] <= 75
    assert 120 <= pauses[2] <= 150
    assert pauses[3:] == [3600, 3600]
    assert asked.pause_s == 900


@pytest.mark.parametrize(
    ("text", "hidden"),
    [
        ("no file /var/etl/a.csv", "no file /var/etl/a.csv"),
        ("https://u:p@host/x?token=t&y=1 gone", "https://***@host/x?*** gone"),
        ("password='hunter2' refused", "password='***' refused"),
        ("Authorization: Bearer abc.def", "Authorization: ***"),
        ('{"api_key": "k-1"}', '{"api_key": "***"}'),
        ("+31612345678 and 0031612345678", "+*********78 and ***********78"),
        ("batch 1234567", "batch 1234567"),
    ],
)
def test_an_unforeseen_message_gives_no_secret_and_no_number_away(
    text: str, hidden: str
) -> None:
    assert redacted(text) == hidden


def test_a_report_has_the_gravest_exit_code_of_its_steps() -> None:
    def report(*codes: int) -> JobReport:
        steps = [
            Step(n, "import", "failed", {}, None, code) for n, code in enumerate(codes)
        ]
        return JobReport("run-1", tuple(steps))

    assert report().exit_code == 0
    assert report(0, 1, 3).exit_code == 3
    assert report(3, 4, 1).exit_code == 4
    assert report(1, 75).exit_code == 75
    assert BillingError.exit_code == report(2, 3).exit_code


def test_a_job_is_stored_as_plain_values() -> None:
    assert new_job(TOTALS) == NewJob(
        "totals:new",
        {"customer": 123, "cycle": "2025-01-01", "note": None},
        "123 2025-01-01",
    )
