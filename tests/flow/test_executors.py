"""Work on an executor: the same to the byte as here, whoever dies over it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import polars as pl
import pytest
from sqlalchemy.engine import make_url

from etl import early_reading, executors, totals_shares
from etl.chains import DispatchTotals, import_command
from etl.early_reading import ToRead, WasRead, read_early
from etl.executors import (
    ProcessExecutor,
    SerialExecutor,
    in_order,
    make_executor,
    read_spec,
)
from etl.handlers import bus_of
from etl.importing import _OneImport, nothing_follows
from etl.reading import Reading
from etl.settings import Settings, load_settings
from etl.storage import Storage
from etl.totals_shares import Place, bucket_of
from etl.totals_work import Computed
from tests.flow.executor_shares import (
    MARK,
    reading_that_dies_once,
    share_that_dies_once,
)
from tests.flow.executor_tasks import (
    OddError,
    die,
    die_once,
    double,
    fail,
    fail_oddly,
    give_up,
    meet,
)
from tests.flow.import_world import (
    ANNA,
    BERT,
    EXAMPLES,
    World,
    ask,
    call,
    columns,
    mixed_calls,
    results,
    write_routit,
)
from tests.flow.operator_world import Desk
from tests.flow.plan_world import NOVEMBER, OCTOBER, PLAN, PlanWorld, event
from tests.flow.test_workers import still_alive, wait_until
from tests.mariadb import MariaDBServer, execute_all, fresh_database
from transforms.errors import BillingError, ConfigError, FenceLost, WorkerLost
from transforms.match import Owners

ROOT = Path(__file__).parents[2]

Results = dict[str, list[tuple[str, ...]]]

TOTALS = (
    "total_usage_new_table",
    "total_usage_line",
    "total_usage_new_backup_table",
    "total_unrated_reason",
    "total_allowance",
    "dirty_cycle",
)
"""What totals leave behind."""

OF_A_RUN = {"id", "created_at", "updated_at", "backed_up_at", "marked_at", "mark"}

ONCE = """
[[allowance]]
name = "welcome"
usage = "voice"
amount = "0.50"
period = "once"
"""
"""Credit that the first cycle uses up, so that the next one has none."""


# --- the seam -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        # A word that is none, near to one.
        ("thread:2", "did you mean 'threads'?"),
        ("seriel", "did you mean 'serial'?"),
        ("cluster", "it is one of serial, threads:N, processes:N, dask://HOST:PORT"),
        # How many, or where, is missing or no such thing.
        ("threads", "say how many, from 1 to 256, such as threads:4"),
        ("processes:0", "say how many, from 1 to 256, such as processes:4"),
        ("processes:two", "say how many"),
        ("processes:257", "say how many"),
        ("serial:2", "it is one of serial"),
        ("dask:localhost", "name its scheduler, such as dask://127.0.0.1:8786"),
        ("dask://localhost", "name its scheduler"),
        ("dask://me:secret@host:1", "name its scheduler"),
    ],
)
def test_an_executor_that_is_none_is_refused_with_what_was_meant(
    text: str, fault: str
) -> None:
    with pytest.raises(ConfigError) as refused:
        make_executor(text)
    assert fault in str(refused.value)
    with pytest.raises(ConfigError, match="executor"):
        load_settings(executor=text)


def test_dask_that_is_not_installed_is_said_with_the_command_that_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(executors, "find_spec", lambda _name: None)
    with pytest.raises(ConfigError, match=r"pip install 'cdr-etl\[cluster\]'"):
        read_spec("dask://127.0.0.1:8786")


def test_a_cluster_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executors, "CONNECT_S", 0.1)
    with pytest.raises(BillingError, match=r"scheduler at 127\.0\.0\.1:1 does not answer"):
        make_executor("dask://127.0.0.1:1")


def test_each_executor_does_tasks_and_says_how_many_at_a_time(tmp_path: Path) -> None:
    beside = {}
    for spec in ("serial", "threads:3", "processes:2"):
        with make_executor(spec) as executor:
            assert list(executor.map(double, [1, 2, 3])) == [2, 4, 6]
            beside[spec] = executor.beside
    assert beside == {"serial": 0, "threads:3": 3, "processes:2": 2}


def test_work_is_begun_ahead_by_as_many_as_there_are_and_given_back_in_order() -> None:
    begun: list[int] = []
    with make_executor("threads:2") as executor:
        given = in_order(executor, [1, 2, 3, 4], begun.append)
        seen = [(item, len(begun)) for item, _ in given]
    assert seen == [(1, 3), (2, 4), (3, 4), (4, 4)]
    begun.clear()
    assert [len(begun) for _ in in_order(SerialExecutor(), [1, 2, 3], begun.append)] == [
        1,
        2,
        3,
    ]


# --- processes ----------------------------------------------------------------------------


def test_the_task_of_a_killed_process_is_done_again_and_no_other_is_lost(
    tmp_path: Path,
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    with ProcessExecutor(2) as executor:
        futures = [executor.submit(die_once, str(mark), number) for number in range(6)]
        assert [executor.outcome(each) for each in futures] == [0, 1, 2, 3, 4, 5]
    assert not mark.exists()


def test_a_task_that_kills_every_process_is_given_up_and_the_others_are_done() -> None:
    with ProcessExecutor(2) as executor:
        deadly = executor.submit(die, "all")
        others = [executor.submit(double, number) for number in range(3)]
        with pytest.raises(WorkerLost, match=r"3 processes died over one task.* signal 9"):
            executor.outcome(deadly)
        assert [each.result() for each in others] == [0, 2, 4]


def test_an_error_of_a_task_comes_back_as_it_was_raised() -> None:
    with ProcessExecutor(1) as executor:
        with pytest.raises(ConfigError, match="no such key") as raised:
            executor.submit(fail).result()
        assert "executor_tasks.py" in "".join(raised.value.__notes__)
        with pytest.raises(BillingError) as odd:
            executor.submit(fail_oddly).result()
        assert str(odd.value) == (
            f"a task failed: {OddError.__name__}: mysql+mysqlconnector://***@host/etl"
        )
        assert executor.submit(double, 4).result() == 8


def test_two_tasks_run_in_two_processes_at_the_same_time(tmp_path: Path) -> None:
    with ProcessExecutor(2) as executor:
        both = [executor.submit(meet, str(tmp_path), name, 1) for name in ("a", "b")]
        pids = {each.result() for each in both}
        assert pids == set(executor.pids())
    assert len(pids) == 2
    assert still_alive(list(pids)) == []


def test_a_command_that_ends_early_takes_its_processes_with_it(tmp_path: Path) -> None:
    executor = ProcessExecutor(2)
    stuck = [executor.submit(meet, str(tmp_path), name, 9) for name in ("a", "b")]
    while len(list(tmp_path.iterdir())) < 2:
        time.sleep(0.05)
    pids = executor.pids()

    executor.shutdown(cancel_futures=True)

    assert still_alive(pids) == []
    assert [type(each.exception()) for each in stuck] == [CancelledError] * 2
    assert executor.pids() == []


def test_the_processes_of_a_killed_command_end_too(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.flow.executor_tasks", str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True) as command:
        assert command.stdout is not None
        pids = [int(command.stdout.readline()) for _ in range(2)]
        command.kill()
    assert len(set(pids)) == 2
    assert still_alive(pids) == []


# --- the same world twice -----------------------------------------------------------------


@pytest.fixture
def twin_url(
    request: pytest.FixtureRequest, database_url: str, tmp_path: Path
) -> Iterator[str]:
    """Another new database of the same kind, for the run to compare with."""
    if database_url.startswith("sqlite"):
        template: Path = request.getfixturevalue("sqlite_template")
        shutil.copy(template, tmp_path / "twin.db")
        yield f"sqlite:///{tmp_path / 'twin.db'}"
        return
    with fresh_database(request.getfixturevalue("mariadb_server")) as url:
        execute_all(url, request.getfixturevalue("mariadb_template"))
        yield url


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path / "one") as made:
        made.folder.mkdir()
        yield made


@pytest.fixture
def twin(twin_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(twin_url, tmp_path / "two") as made:
        made.folder.mkdir()
        yield made


def content(url: str, tables: Sequence[str] = TOTALS) -> Results:
    """What stands in tables, but for what tells of the run, in texts of both databases."""
    told = {}
    for table in tables:
        names = [name for name in columns(url, table) if name.strip("`") not in OF_A_RUN]
        rows = ask(url, f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - our own names
        told[table] = sorted(tuple(map(str, row)) for row in rows)
    return told


# --- totals -------------------------------------------------------------------------------

AFTER = datetime(2026, 11, 5, 9, 0, tzinfo=UTC)


def with_two_cycles(world: PlanWorld) -> PlanWorld:
    """Put records of two cycles in; some customers have a plan, and credit once."""
    world.customers(dict.fromkeys(range(1, 13), "Europe/Amsterdam"))
    plans = "\n".join(f"{customer},office,," for customer in (2, 5, 7))
    world.plans(plans, office=PLAN + ONCE)
    october = [event(n, 1 + n % 28, 60 + n, customer=1 + n % 12) for n in range(60)]
    november = [
        event(100 + n, 5, 60, customer=1 + n % 9, cycle=NOVEMBER, start=AFTER)
        for n in range(20)
    ]
    world.deliver(*october, *november)
    return world


@pytest.fixture
def by_itself(twin: PlanWorld) -> Results:
    """The totals of one process without an executor."""
    with_two_cycles(twin).dispatch()
    made = content(twin.url)
    # Twelve customers in October and nine of them in November, each total with a copy.
    assert [len(made[table]) for table in TOTALS[:1] + TOTALS[2:3]] == [21, 21]
    assert made["dirty_cycle"] == []
    return made


def test_totals_in_shares_are_those_of_one_process_to_the_byte(
    world: PlanWorld, by_itself: Results
) -> None:
    with_two_cycles(world)
    world.run("totals:dispatch", "--executor", "threads:2")
    assert content(world.url) == by_itself


def test_totals_are_the_same_when_a_process_is_killed_over_its_share(
    world: PlanWorld, by_itself: Results, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    monkeypatch.setenv(MARK, str(mark))
    monkeypatch.setattr(totals_shares, "compute_share", share_that_dies_once)
    monkeypatch.setattr(totals_shares, "SHARES_EACH", 1)
    with_two_cycles(world)

    world.run("totals:dispatch", "--executor", "processes:2")

    assert not mark.exists()
    assert content(world.url) == by_itself


def test_a_share_that_nobody_lives_to_compute_is_computed_here(
    world: PlanWorld, by_itself: Results, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(totals_shares, "compute_share", give_up)
    with_two_cycles(world)

    world.run("totals:dispatch", "--executor", "threads:2")

    assert content(world.url) == by_itself


def test_a_cycle_that_does_not_add_up_is_left_out_of_its_share_and_named(
    world: PlanWorld, twin: PlanWorld
) -> None:
    faults = []
    for each, spec in ((world, "threads:3"), (twin, "serial")):
        each.customers(dict.fromkeys(range(1, 9), "Europe/Amsterdam"))
        most = 10**18 - 1
        for customer in (8, 2):  # the share of 1 and 8 is before that of 2
            each.deliver(
                *(
                    event(10 * customer + n, 5, customer=customer, cost=most)
                    for n in range(2)
                )
            )
        each.deliver(*(event(100 + n, 6, customer=n) for n in range(1, 9)))
        told = each.run("totals:dispatch", "--executor", spec, code=4)
        faults.append(told["steps"][0]["result"]["faults"])
    assert [fault.split(":")[0] for fault in faults[0]] == [
        "customer 2, cycle 2026-10-01",
        "customer 8, cycle 2026-10-01",
    ]
    assert faults[0] == faults[1]
    assert content(world.url) == content(twin.url)
    assert len(content(world.url)["total_usage_new_table"]) == 6


def test_a_share_for_a_run_that_lost_its_lease_is_not_computed(world: PlanWorld) -> None:
    lease = world.app.leases.acquire("totals", "someone", 60)
    stale = (lease.name, lease.owner, lease.fence - 1)
    cycle = (1, OCTOBER, NOVEMBER, "EUR")
    with pytest.raises(FenceLost):
        totals_shares.compute_share(Place.of(world.settings), stale, [cycle])


def test_a_run_of_totals_keeps_its_lease_however_long_it_takes(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with PlanWorld(database_url, tmp_path, lease_seconds=1) as world:
        work = world.app.totals_work
        compute = work._compute
        until = "SELECT lease_until FROM lease WHERE name = 'totals'"

        def slowly(pairs: pl.DataFrame) -> Computed:
            first = world.rows(until)
            deadline_s = time.monotonic() + 30
            while world.rows(until) == first and time.monotonic() < deadline_s:
                time.sleep(0.05)
            assert world.rows(until) != first
            return compute(pairs)

        monkeypatch.setattr(work, "_compute", slowly)
        report = bus_of(with_two_cycles(world).app).run(DispatchTotals())

    assert report.exit_code == 0


def test_all_cycles_of_a_customer_are_in_one_share(world: PlanWorld) -> None:
    pairs = with_two_cycles(world).app.totals.dirty().drop("mark", "reason")
    shares = list(totals_shares.shares_of(pairs, 5))
    customers = [set(share["customer_id"]) for share in shares]
    assert sum(share.height for share in shares) == 21
    assert sum(len(each) for each in customers) == 12
    # The buckets are promised to other machines and later releases: crc32 of the digits.
    assert [bucket_of(customer, 8) for customer in (1, 2, 123456789)] == [7, 5, 6]


def test_neither_a_secret_nor_a_file_of_this_machine_passes_through_a_cluster() -> None:
    url = "mysql+mysqlconnector://etl:hush@db/etl"
    place = Place.of(Settings(database_url=url, executor="dask://scheduler:8786"))
    assert place == Place("mysql+mysqlconnector://", 120)
    with pytest.raises(ConfigError, match="SQLite is a file of this machine"):
        load_settings(executor="dask://scheduler:8786", database_url="sqlite:///etl.db")


def test_a_worker_that_is_not_told_of_the_database_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("ETL_DATABASE_URL", raising=False)
    with pytest.raises(ConfigError, match="set ETL_DATABASE_URL where it was started"):
        Place("mysql+mysqlconnector://", 120).settings()


def test_a_worker_that_looks_at_another_database_is_found_out(
    world: PlanWorld, twin: PlanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    elsewhere = Place.of(twin.settings)
    monkeypatch.setattr(Place, "of", lambda _settings: elsewhere)
    fault = with_two_cycles(world)

    told = fault.run("totals:dispatch", "--executor", "threads:1", code=2)

    assert "names another database" in told["steps"][0]["message"]
    assert len(content(world.url)["dirty_cycle"]) == 21


# --- imports, by file ---------------------------------------------------------------------


def deliveries(folder: Path) -> list[str]:
    """Five files: one repeats and contradicts another, one is a copy, one is no archive."""
    first = write_routit(folder, mixed_calls(60), "CDR_10001_202501.zip")
    second = write_routit(
        folder,
        [call("0", Tijdstip="00:00:00"), call("1", BERT, Totaaltarief="9,00"), call("new")],
        "CDR_10001_202502.zip",
    )
    copy = folder / "CDR_10001_202503.zip"
    copy.write_bytes(first.read_bytes())
    broken = folder / "CDR_10001_202504.zip"
    broken.write_bytes(b"PK\3\4 and no more")
    last = write_routit(
        folder, [call(f"last {n}", BERT) for n in range(30)], "CDR_10001_202505.zip"
    )
    return [str(each) for each in (first, second, copy, broken, last)]


def imported(world: World, *words: str, code: int) -> list[dict[str, object]]:
    """Import the deliveries; return what is said of each, but for how long it took."""
    world.own({ANNA: 1, BERT: 2})
    files = deliveries(world.folder / "in")
    ended = Desk(world.url, world.folder).etl(
        "import", *files, "--provider", "routit", *words, "--json"
    )
    assert ended.code == code, ended.err
    told: list[dict[str, object]] = ended.document["imports"]
    return [{name: each[name] for name in each if name != "seconds"} for each in told]


def test_files_read_ahead_are_imported_as_one_after_the_other_to_the_byte(
    world: PlanWorld, twin: PlanWorld
) -> None:
    expected = imported(twin, code=1)
    assert [each["status"] for each in expected] == [
        *("done", "done", "already_imported", "refused", "done")
    ]

    told = imported(world, "--executor", "threads:2", code=1)

    assert told == expected
    assert results(world.url) == results(twin.url)
    assert world.audit() == []
    assert list((world.folder / "storage" / "work").iterdir()) == []


# A task that reads asks no database: one of them is enough.
@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_files_are_imported_the_same_when_a_process_is_killed_over_one(
    world: PlanWorld, twin: PlanWorld, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mark = tmp_path / "mark"
    mark.touch()
    monkeypatch.setenv(MARK, str(mark))
    monkeypatch.setattr(early_reading, "read_early", reading_that_dies_once)

    told = imported(world, "--executor", "processes:2", code=1)

    assert not mark.exists()
    assert told == imported(twin, code=1)
    assert results(world.url) == results(twin.url)


def test_what_was_read_ahead_is_what_is_loaded(
    world: PlanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_here: list[str] = []
    read = _OneImport.read

    def noted(one: _OneImport, owners: Owners) -> Reading:
        read_here.append(one.row.file_name)
        return read(one, owners)

    monkeypatch.setattr(_OneImport, "read", noted)

    imported(world, "--executor", "threads:2", code=1)

    assert read_here == ["CDR_10001_202504.zip"]  # the refused one, to say why


def test_a_file_whose_owners_changed_since_it_was_read_is_read_again(
    world: PlanWorld,
) -> None:
    world.own({ANNA: 1})
    path = write_routit(world.folder, [call("1"), call("2", BERT)])
    row, profile = world.register(path)
    with make_executor("threads:1") as executor:
        reader = replace(world.app.early_reader(profile, "routit"), executor=executor)
        with reader:
            early = reader.end(reader.begin(row))
            world.own({ANNA: 1, BERT: 2})
            done = world.importer.import_stored(row, profile, nothing_follows, early)
    assert (done.outcome.loaded, done.outcome.suspended) == (2, 0)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
def test_a_file_that_another_machine_cannot_read_alike_is_left_to_the_import(
    world: PlanWorld, caplog: pytest.LogCaptureFixture
) -> None:
    row, profile = world.register(write_routit(world.folder, [call("1")]))
    with make_executor("threads:1") as executor:
        here = replace(world.app.early_reader(profile, "routit"), executor=executor)
        other_profile = replace(here, profile=replace(profile, sha256="another"))
        not_shared = replace(here, storage=Storage(world.folder / "elsewhere"))
        for reader in (other_profile, not_shared):
            with reader:
                assert reader.end(reader.begin(row)) is None
    assert "profile routit is another one where it was to be read" in caplog.messages[0]
    assert "its stored bytes cannot be read" in caplog.messages[1]


def test_a_file_that_kills_its_readers_fails_and_the_others_are_imported(
    world: PlanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    def over_the_second(told: ToRead) -> WasRead | str | None:
        return give_up() if "202502" in told.file_name else read_early(told)

    monkeypatch.setattr(early_reading, "read_early", over_the_second)

    told = imported(world, "--executor", "threads:2", code=3)

    assert [each["status"] for each in told] == [
        *("done", "failed", "already_imported", "refused", "done")
    ]
    assert told[1]["message"] == "3 processes died over one task"
    assert world.table("import_queue", "id", "status") == [
        *((1, "done"), (2, "waiting"), (3, "refused"), (4, "done"))
    ]


# --- a cluster ----------------------------------------------------------------------------


@dataclass
class Cluster:
    """A scheduler and workers on loopback, each a process of its own."""

    folder: Path
    environment: dict[str, str]
    processes: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def __enter__(self) -> Self:
        """Start the scheduler."""
        place = self.folder / "scheduler.json"
        self._begin("scheduler", "--port", "0", "--scheduler-file", str(place))
        deadline_s = time.monotonic() + 60
        while not place.exists() and time.monotonic() < deadline_s:
            time.sleep(0.1)
        self.address = json.loads(place.read_text())["address"].removeprefix("tcp://")
        return self

    def __exit__(self, *_: object) -> None:
        """End every process."""
        for process in self.processes:
            process.kill()
        for process in self.processes:
            process.wait()

    def worker(self, faults: str = "") -> "subprocess.Popen[bytes]":
        """Start a worker of one thread, with a fault to meet."""
        words = ("--nthreads", "1", "--no-nanny", "--local-directory", str(self.folder))
        return self._begin("worker", f"tcp://{self.address}", *words, faults=faults)

    def wait_for(self, workers: int) -> None:
        """Wait until so many workers are ready."""
        # Here: it takes a second, and every test process reads this module.
        from distributed import Client

        untyped: Any = Client
        with untyped(f"tcp://{self.address}", set_as_default=False) as client:
            client.wait_for_workers(workers, timeout=60)

    def said(self) -> str:
        """What all of them wrote."""
        return "".join(each.read_text() for each in self.folder.glob("*.log"))

    def _begin(self, what: str, *words: str, faults: str = "") -> "subprocess.Popen[bytes]":
        module = f"distributed.cli.dask_{what}"
        loopback = ("--host", "127.0.0.1", "--no-dashboard")
        with (self.folder / f"{what}-{len(self.processes)}.log").open("wb") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", module, *words, *loopback],
                cwd=ROOT,
                env={**os.environ, **self.environment, "FAULTS": faults},
                stdout=log,
                stderr=log,
            )
        self.processes.append(process)
        return process


def test_a_cluster_that_loses_a_worker_imports_and_totals_the_same_to_the_byte(
    mariadb_server: MariaDBServer,
    mariadb_template: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as open_now:
        one, two = (
            open_now.enter_context(
                _upgraded(mariadb_server, mariadb_template, tmp_path / name)
            )
            for name in ("one", "two")
        )
        expected = imported(two, code=1)
        two.dispatch()
        secret = str(make_url(one.url).password)
        cluster = Cluster(tmp_path, {"ETL_DATABASE_URL": one.url})
        cluster = open_now.enter_context(cluster)
        doomed = cluster.worker("import_read_early:kill")
        last = cluster.worker()
        cluster.wait_for(2)
        executor = ("--executor", f"dask://{cluster.address}")

        assert imported(one, *executor, code=1) == expected
        assert doomed.wait(10) == -signal.SIGKILL

        doomed = cluster.worker("totals_before_share:kill")
        cluster.wait_for(2)
        one.run("totals:dispatch", *executor)
        assert doomed.wait(10) == -signal.SIGKILL

        assert results(one.url) == results(two.url)
        assert content(one.url) == content(two.url)
        assert len(content(one.url)["total_usage_new_table"]) == 2
        assert secret not in cluster.said()

        monkeypatch.setattr(executors, "LOOK_S", 0.1)
        monkeypatch.setattr(executors, "MOST_LOOKS", 2)
        dask = make_executor(f"dask://{cluster.address}")
        open_now.callback(dask.shutdown, cancel_futures=True)
        assert dask.beside == 1
        last.kill()
        last.wait()
        with pytest.raises(BillingError, match="has no workers any more"):
            dask.outcome(dask.submit(double, 2))


@contextmanager
def _upgraded(
    server: MariaDBServer, template: list[str], folder: Path
) -> Iterator[PlanWorld]:
    folder.mkdir()
    with fresh_database(server) as url:
        execute_all(url, template)
        with PlanWorld(url, folder) as world:
            yield world


# --- several workers ----------------------------------------------------------------------

OTHERS = (
    ("kpn_een", "KPNEEN_123456789_202610.csv"),
    ("yielder", "yielder_4711_2026-10.csv"),
)


def with_jobs(world: World) -> None:
    """Register a delivery of each of three providers, and send for their imports."""
    world.own({ANNA: 1, BERT: 2})
    path = write_routit(world.folder / "in", mixed_calls(60))
    for provider, file in (("routit", path), *((p, EXAMPLES / f) for p, f in OTHERS)):
        row, _ = world.register(file, provider)
        bus_of(world.app).send(import_command(provider, row.id))


def test_workers_on_one_database_come_to_what_one_comes_to_though_one_is_killed(
    world: PlanWorld, twin: PlanWorld
) -> None:
    with_jobs(twin)
    assert Desk(twin.url, twin.folder).etl("worker", "--drain").code == 0

    with_jobs(world)
    desk = Desk(world.url, world.folder)
    doomed = desk.begin("worker", "--drain", faults="import_after_load:kill:2")
    wait_until(world, "SELECT count(*) FROM job WHERE status = 'running'", [(1,)])
    other = desk.begin("worker", "--drain")
    doomed.communicate(timeout=60)
    other.communicate(timeout=60)
    assert (doomed.returncode, other.returncode) == (-signal.SIGKILL, 0)
    time.sleep(1.1)  # until the lease of the killed one ends
    # Whoever found the lease held comes back half a minute later; a person need not wait.
    for (job_id,) in world.rows("SELECT id FROM job WHERE status = 'waiting'"):
        desk.etl("queue:retry", str(job_id))
    assert desk.etl("worker", "--drain").code == 0

    assert results(world.url) == results(twin.url)
    figures = ("customer_id", "cycle_start_date", "content_sha256")
    both = [each.table("total_usage_new_table", *figures) for each in (world, twin)]
    assert both[0] == both[1]
    assert len(both[0]) > 0
    assert world.audit() == []
