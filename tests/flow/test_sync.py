"""The schedule, the router and its tasks: from feeds that are due to backed-up totals."""

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from click.testing import CliRunner

from etl.chains import CHAINS, DispatchTotals, RequestDelivery
from etl.cli import cli
from etl.extract import folder
from etl.handlers import bus_of, handler_table
from etl.profiles import load_profile
from etl.simulator import RoutitSimulator
from etl.sync import dispatch_syncs, state_of
from etl.totals_work import TotalsWork
from loaders.audit import differences
from loaders.sync import RunJob
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLES,
    ROUTIT_FILE,
    SECRET,
    SECRET_NAME,
    deliver,
    five_folders,
    folder_feed,
    house,
    imports,
    links_outside_chains,
    load_feeds,
    routit_feed,
    rows,
    sync,
    task_of,
)
from transforms.errors import (
    ConfigError,
    FenceLost,
    SourceUnavailable,
    StoreUnavailable,
)
from transforms.reference import Reference, SyncProfile, SyncSettings

FIVE_MINUTES = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SECOND_LOOK_S", 0)


@pytest.fixture
def routit(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoutitSimulator]:
    """A RoutIT that has October ready at once."""
    monkeypatch.setenv(SECRET_NAME, SECRET)
    with simulator(pending_replies=0) as running:
        yield running


def simulator(pending_replies: int) -> RoutitSimulator:
    poll = load_profile("routit").source.poll
    assert poll is not None
    deliveries = {("10001", "202610"): EXAMPLES / ROUTIT_FILE}
    return RoutitSimulator(
        deliveries, messages=poll.messages, secret=SECRET, pending_replies=pending_replies
    )


def downloads(routit: RoutitSimulator) -> int:
    return sum(seen.path.startswith("/files") for seen in routit.requests)


# --- the schedule -----------------------------------------------------------------------


def test_each_feed_that_is_due_becomes_one_task_and_one_job(
    database_url: str, tmp_path: Path
) -> None:
    feeds = five_folders(tmp_path)
    feeds["yielder"] = folder_feed("yielder", tmp_path, enabled=False)
    feeds["kpn_een"] = folder_feed("kpn_een", tmp_path, every_minutes=1440)
    with house(database_url, tmp_path) as app:
        load_feeds(app, feeds)
        first = dispatch_syncs(app.syncs, AS_OF)
        bus_of(app).drain()
        second = dispatch_syncs(app.syncs, AS_OF + FIVE_MINUTES)

        told = rows(database_url, "SELECT id, provider, status FROM sync_task ORDER BY id")
    assert [task.provider for task in first.tasks] == [
        "kpn_een",
        "kpn_sp16",
        "tmobile_calvi",
        "vodafone_nl",
    ]
    assert [task.provider for task in second.tasks] == [
        "kpn_sp16",
        "tmobile_calvi",
        "vodafone_nl",
    ]
    assert told == [
        (1, "kpn_een", "done"),
        (2, "kpn_sp16", "done"),
        (3, "tmobile_calvi", "done"),
        (4, "vodafone_nl", "done"),
        (5, "kpn_sp16", "waiting"),
        (6, "tmobile_calvi", "waiting"),
        (7, "vodafone_nl", "waiting"),
    ]


def test_a_look_at_the_schedule_that_finds_nothing_due_leaves_a_row(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        dispatch_syncs(app.syncs)
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatch_syncs(app.syncs, AS_OF)
        dispatch_syncs(app.syncs, AS_OF)

        assert rows(
            database_url,
            "SELECT provider, status, message FROM sync_task ORDER BY id",
        ) == [
            (
                None,
                "idle",
                "there are no feeds; add sync_profiles.toml and run: "
                "etl reference:load DIR",
            ),
            ("yielder", "waiting", None),
            (None, "idle", "nothing was due; 1 of 1 feeds are enabled"),
        ]


def test_the_databases_clock_decides_when_no_moment_is_given(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatched = dispatch_syncs(app.syncs)
        (feed,) = app.syncs.feeds()

        assert feed.last_sync_at == dispatched.as_of
        lately = (
            "SELECT COUNT(*) FROM sync_profile"
            " WHERE last_sync_at > datetime('now', '-60 seconds')"
            if database_url.startswith("sqlite")
            else "SELECT COUNT(*) FROM sync_profile"
            " WHERE last_sync_at > NOW() - INTERVAL 60 SECOND"
        )
        assert rows(database_url, lately) == [(1,)]


def test_two_managers_at_once_take_each_feed_once(
    database_url: str, tmp_path: Path
) -> None:
    rounds, managers = 6, 4
    with house(database_url, tmp_path) as app:
        load_feeds(app, five_folders(tmp_path))
    apps = [house(database_url, tmp_path) for _ in range(managers)]
    together = threading.Barrier(managers)

    def manage(number: int) -> list[str]:
        taken = []
        with apps[number] as app:
            for each in range(rounds):
                together.wait()
                dispatched = dispatch_syncs(app.syncs, AS_OF + each * FIVE_MINUTES)
                taken += [task.status for task in dispatched.tasks]
        return taken

    with ThreadPoolExecutor(managers) as pool:
        statuses = [each for taken in pool.map(manage, range(managers)) for each in taken]

    # Nobody works the queue: the first round's jobs stand for the later ones.
    assert sorted(statuses, key=str) == sorted(
        ["waiting"] * 5 + ["skipped"] * 5 * (rounds - 1) + ["idle"] * statuses.count("idle")
    )
    assert rows(
        database_url,
        "SELECT provider, COUNT(*) FROM sync_task WHERE provider IS NOT NULL "
        "GROUP BY provider ORDER BY provider",
    ) == [
        ("kpn_een", rounds),
        ("kpn_sp16", rounds),
        ("tmobile_calvi", rounds),
        ("vodafone_nl", rounds),
        ("yielder", rounds),
    ]
    assert rows(database_url, "SELECT COUNT(*) FROM job") == [(5,)]


def test_a_feed_whose_sync_is_still_under_way_is_not_started_again(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatch_syncs(app.syncs, AS_OF)
        (task,) = dispatch_syncs(app.syncs, AS_OF + FIVE_MINUTES).tasks

        assert (task.status, task.message) == (
            "skipped",
            "an earlier sync is still under way as job 1 (waiting)",
        )
        assert bus_of(app).drain() == {"done": 2}


def test_a_task_whose_worker_never_came_back_is_told_at_the_next_look(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatch_syncs(app.syncs, AS_OF)
        while app.jobs.claim("dead", 0):
            time.sleep(0.01)  # each of its workers dies, and its lease is over
        dispatch_syncs(app.syncs, AS_OF)

        task = task_of(app, "yielder")
        assert task.status == "failed"
        assert str(task.message).startswith(
            "sync:provider failed: gave up after 5 attempts; owner dead lost"
        )
        assert str(task.message).endswith("etl queue:retry 1")


# --- the router -------------------------------------------------------------------------


def test_one_broken_provider_of_six_stops_no_other(
    database_url: str, tmp_path: Path, routit: RoutitSimulator
) -> None:
    feeds = five_folders(tmp_path) | {"routit": routit_feed(routit)}
    for each in list(feeds.values())[:5]:
        deliver(each)
    place = Path(feeds["vodafone_nl"].settings.folder)
    place.rename(tmp_path / "elsewhere")
    with house(database_url, tmp_path) as app:
        load_feeds(app, feeds)
        ended = sync(app)

        assert ended["failed"] == 1
        assert imports(database_url) == [
            ("kpn_een", "done", 6, 6, 0),
            ("kpn_sp16", "done", 6, 6, 0),
            ("tmobile_calvi", "done", 6, 6, 0),
            ("yielder", "done", 6, 5, 0),
            ("routit", "done", 12, 11, 0),
        ]
        told = {task.provider: task.status for task in app.syncs.tasks() if task.provider}
        assert told == {
            "kpn_een": "done",
            "kpn_sp16": "done",
            "routit": "done",
            "tmobile_calvi": "done",
            "vodafone_nl": "failed",
            "yielder": "done",
        }
        (failed,) = app.jobs.list(status="failed")
        message = str(task_of(app, "vodafone_nl").message)
        assert message == (
            "folder:collect failed: sync profile vodafone_nl: settings.folder = "
            f"'{place}' is not a folder; make it, or mend sync_profiles.toml; mend the "
            f"cause, then go on with: etl queue:retry {failed.id}"
        )

        (tmp_path / "elsewhere").rename(place)
        report = bus_of(app).resume(failed.id)

        assert [step.command for step in report.steps] == [
            "folder:collect",
            "delivery:import",
            "delivery:invoice",
            "totals:dispatch",
            "totals:backup",
            "totals:insight",
        ]
        assert report.exit_code == 0
        assert task_of(app, "vodafone_nl").status == "done"
        assert imports(database_url)[-1] == ("vodafone_nl", "done", 6, 6, 0)
        assert app.totals.dirty().is_empty()
        assert differences(app.database) == []
        assert links_outside_chains(app) == []


def test_an_unknown_provider_is_an_error_of_its_own_task(
    database_url: str, tmp_path: Path
) -> None:
    yielder = folder_feed("yielder", tmp_path / "drop")
    deliver(yielder)
    unknown = SyncProfile("vodafon_nl", SyncSettings("folder", folder=str(tmp_path)))
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": yielder, "vodafon_nl": unknown})
        ended = sync(app)

        assert ended == {"done": 7, "failed": 1}
        assert task_of(app, "yielder").status == "done"
        task = task_of(app, "vodafon_nl")
        assert task.status == "failed"
        assert "there is no provider 'vodafon_nl'" in str(task.message)
        assert "vodafone_nl" in str(task.message)


@pytest.mark.parametrize(
    ("provider", "settings", "why"),
    [
        (
            "yielder",
            SyncSettings("https", url="https://example.invalid", account="1"),
            "sync profile yielder: nothing fetches it by 'https'; settings.transport must "
            "be folder or sftp (https is for routit)",
        ),
        (
            "yielder",
            SyncSettings("sftp", url="sftp://example.invalid/out"),
            "sync profile yielder: settings.client_id, settings.secret, "
            "settings.known_hosts missing for sftp",
        ),
    ],
)
def test_a_transport_that_cannot_fetch_a_provider_says_so(
    database_url: str, tmp_path: Path, provider: str, settings: SyncSettings, why: str
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {provider: SyncProfile(provider, settings)})
        sync(app)

        assert why in str(task_of(app, provider).message)


def test_a_feed_that_was_removed_meanwhile_says_so(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatch_syncs(app.syncs, AS_OF)
        app.reference.replace(Reference(sync_profiles=()))
        bus_of(app).drain()

        assert "there is no sync profile for 'yielder'" in str(
            task_of(app, "yielder").message
        )


def test_a_refused_delivery_fails_its_task_and_names_the_step(
    database_url: str, tmp_path: Path
) -> None:
    feed = folder_feed("kpn_sp16", tmp_path / "drop")
    deliver(feed)
    (file,) = (tmp_path / "drop").glob("*.DAT")
    file.write_bytes(file.read_bytes().replace(b"T", b"U"))
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": feed})
        sync(app)

        task = task_of(app, "kpn_sp16")
        assert task.status == "failed"
        assert str(task.message).startswith("delivery:import failed: ")
        assert rows(database_url, "SELECT COUNT(*) FROM call_detail_record") == [(0,)]


def test_an_import_that_an_operator_reset_runs_again_at_the_next_sync(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = folder_feed("yielder", tmp_path / "drop")
    deliver(feed)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": feed})
        dispatch_syncs(app.syncs, AS_OF)
        monkeypatch.setattr(app.imports, "load", _broken)
        bus_of(app).drain()
        monkeypatch.undo()
        monkeypatch.setattr(folder, "SECOND_LOOK_S", 0)
        assert imports(database_url)[0][1] == "failed"

        # A failed import waits for a person; a sync leaves it alone.
        sync(app, AS_OF + FIVE_MINUTES)
        assert imports(database_url)[0][1] == "failed"
        assert "yielder_4711_2026-10.csv failed as import 1" in str(
            task_of(app, "yielder").message
        )

        _reset(database_url)
        sync(app, AS_OF + 2 * FIVE_MINUTES)
        assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
        assert list((tmp_path / "drop" / "processed").iterdir()) == [
            tmp_path / "drop" / "processed" / "yielder_4711_2026-10.csv"
        ]


def _broken(*_args: object, **_named: object) -> int:
    message = "the volume of the records is not there"
    raise ConfigError(message)


def _reset(url: str) -> None:
    with house(url, Path("unused")) as app, app.database.transaction() as tx:
        tx._connection.exec_driver_sql(
            "UPDATE import_queue SET locked = 0, message = 'Reset manually' WHERE id = 1"
        )


# --- how a task is told -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("jobs", "status", "message"),
    [
        ("sync:provider=waiting", "waiting", None),
        ("sync:provider=done folder:collect=running", "running", None),
        ("sync:provider=done folder:collect=waiting", "waiting", None),
        ("sync:provider=done folder:collect=done", "done", None),
        (
            "folder:collect=done delivery:import=failed delivery:import=running",
            "failed",
            "delivery:import failed: why; mend the cause, then go on with: "
            "etl queue:retry 2",
        ),
        ("", "failed", "its job is no longer in the queue; it will be due again"),
    ],
)
def test_a_task_is_told_from_the_jobs_of_its_run(
    jobs: str, status: str, message: str | None
) -> None:
    told = []
    for number, each in enumerate(jobs.split(), start=1):
        command, _, stands = each.partition("=")
        why = "why" if stands == "failed" else None
        told.append(RunJob(number, command, stands, why, None))
    state = state_of(told)
    assert (state.status, state.message) == (status, message)


def test_more_failures_than_a_message_holds_are_counted() -> None:
    failed = [RunJob(n, "delivery:import", "failed", "why", None) for n in range(1, 6)]
    assert str(state_of(failed).message).endswith("etl queue:retry 3; and 2 more")


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SourceUnavailable("the service is away"), "waiting"),
        (ConfigError("a setting is wrong"), "failed"),
        (ValueError("a mistake of ours"), "failed"),
    ],
)
def test_a_step_that_stops_tells_its_task(
    database_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
    status: str,
) -> None:
    def away(*_: object) -> None:
        raise error

    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        monkeypatch.setattr("etl.collecting.drop_folder", away)
        sync(app)

        task = task_of(app, "yielder")
        assert task.status == status
        assert str(error) in str(task.message)


def test_an_owner_who_lost_the_job_leaves_the_task_to_the_new_one(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})

        def taken_over(*_: object) -> None:
            (job,) = app.jobs.list(status="running")
            app.jobs.unlock(job.id)
            assert app.jobs.claim("the new owner", 60) is not None
            message = "another owner has it"
            raise FenceLost(message)

        monkeypatch.setattr("etl.collecting.drop_folder", taken_over)
        sync(app)

        assert task_of(app, "yielder").status == "running"
        assert app.jobs.list(status="running")[0].owner == "the new owner"


def test_a_task_that_cannot_be_told_does_not_hide_what_happened(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(*_: object) -> None:
        message = "gone"
        raise StoreUnavailable(message)

    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": folder_feed("yielder", tmp_path / "drop")})
        dispatch_syncs(app.syncs, AS_OF)
        monkeypatch.setattr(app.syncs, "follow", away)
        assert bus_of(app).drain() == {"done": 2}


# --- RoutIT -----------------------------------------------------------------------------


def test_routit_is_asked_waits_in_the_queue_and_goes_on_when_it_is_ready(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(SECRET_NAME, SECRET)
    with simulator(pending_replies=1) as routit, house(database_url, tmp_path) as app:
        load_feeds(app, {"routit": routit_feed(routit)})
        ended = sync(app)

        assert ended == {"done": 1, "waiting": 1}
        task = task_of(app, "routit")
        assert task.status == "waiting"
        assert str(task.message).startswith("RoutIT is preparing 10001 202610; retry after")

        (waiting,) = app.jobs.list(status="waiting")
        report = bus_of(app).resume(waiting.id)

        assert [step.command for step in report.steps] == [
            "routit:request",
            "routit:download",
            "routit:import",
            "routit:invoice",
            "totals:dispatch",
            "totals:backup",
            "totals:insight",
        ]
        assert task_of(app, "routit").status == "done"
        assert task_of(app, "routit").message == "CDR_10001_202610.zip to import"
        assert imports(database_url) == [("routit", "done", 12, 11, 0)]
        assert links_outside_chains(app) == []


def test_what_was_downloaded_is_not_asked_for_again_unless_a_person_says_so(
    database_url: str, tmp_path: Path, routit: RoutitSimulator
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"routit": routit_feed(routit)})
        sync(app)
        asked = len(routit.requests)
        sync(app, AS_OF + FIVE_MINUTES)

        assert len(routit.requests) == asked
        assert downloads(routit) == 1
        assert task_of(app, "routit").message == (
            "202610 was already downloaded as import 1 (done)"
        )
        report = bus_of(app).run(RequestDelivery("10001", "202610", again=True))
        assert downloads(routit) == 2
        assert [step.command for step in report.steps][:3] == [
            "routit:request",
            "routit:download",
            "routit:import",
        ]
        assert report.steps[2].result["status"] == "already_imported"
        assert imports(database_url) == [("routit", "done", 12, 11, 0)]


def test_a_chain_that_broke_after_the_download_goes_on_from_the_import(
    database_url: str,
    tmp_path: Path,
    routit: RoutitSimulator,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"routit": routit_feed(routit)})
        monkeypatch.setattr("etl.handlers.provider_invoice", _broken)
        sync(app)
        assert "routit:invoice failed" in str(task_of(app, "routit").message)
        monkeypatch.undo()
        monkeypatch.setenv(SECRET_NAME, SECRET)

        report = bus_of(app).run(RequestDelivery("10001", "202610"))

        assert [step.command for step in report.steps] == [
            "routit:request",
            "routit:import",
            "routit:invoice",
            "totals:dispatch",
            "totals:backup",
            "totals:insight",
        ]
        assert report.exit_code == 0
        assert downloads(routit) == 1


def test_a_service_that_is_away_is_asked_again_later_and_tells_no_secret(
    database_url: str, tmp_path: Path, routit: RoutitSimulator
) -> None:
    settings = SyncSettings(
        **{
            **vars(routit_feed(routit).settings),
            "url": "http://127.0.0.1:9",
            "token_url": "http://127.0.0.1:9/token",
        }
    )
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"routit": SyncProfile("routit", settings)})
        ended = sync(app)

        assert ended == {"done": 1, "waiting": 1}
        task = task_of(app, "routit")
        assert task.status == "waiting"
        assert SECRET not in str(rows(database_url, "SELECT * FROM job"))
        assert SECRET not in str(rows(database_url, "SELECT * FROM sync_task"))


# --- chains -----------------------------------------------------------------------------


def test_every_command_of_the_chains_has_a_handler(tmp_path: Path) -> None:
    with house(f"sqlite:///{tmp_path / 'etl.db'}", tmp_path) as app:
        assert handler_table(app).keys() == CHAINS.keys()
    followers = {each for chained in CHAINS.values() for each in chained}
    assert followers <= CHAINS.keys()


def test_totals_sent_for_while_totals_run_are_computed_afterwards(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    feed = folder_feed("yielder", tmp_path / "drop")
    deliver(feed)
    compute: Callable[..., object] = TotalsWork._compute
    sent: list[int] = []

    with house(database_url, tmp_path) as app, house(database_url, tmp_path) as other:

        def late(work: TotalsWork, pairs: pl.DataFrame) -> object:
            computed = compute(work, pairs)
            if not sent:  # another cycle changes behind the back of this run
                with other.database.transaction() as tx:
                    other.totals.mark_dirty(tx, pairs, "import 99")
                sent.append(bus_of(other).send(DispatchTotals()))
            return computed

        monkeypatch.setattr(TotalsWork, "_compute", late)
        load_feeds(app, {"yielder": feed})
        sync(app)

        dispatched = app.jobs.list(command="totals:dispatch")
        assert [job.status for job in dispatched] == ["done", "done"]
        assert sent == [dispatched[1].id]
        assert dispatched[0].parent_id == dispatched[1].id
        assert app.totals.dirty().is_empty()


# --- the command line -------------------------------------------------------------------


def run(*words: str) -> tuple[int, Any]:
    """Run a command with ``--json``; its exit code is the value click hands back."""
    result = CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, json.loads(result.stdout)


@pytest.fixture
def at_home(database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder where commands find their settings, and two feeds, one of them broken."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ETL_DATABASE_URL", database_url)
    yielder = folder_feed("yielder", tmp_path / "drop")
    deliver(yielder)
    broken = folder_feed("vodafone_nl", tmp_path / "gone")
    shutil.rmtree(tmp_path / "gone")
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"yielder": yielder, "vodafone_nl": broken})
    return tmp_path


@pytest.mark.usefixtures("at_home")
def test_the_manager_merely_enqueues(database_url: str) -> None:
    code, foreseen = run("sync:manager", "--as-of", "2026-11-03T02:00", "--dry-run")
    assert (code, [task["provider"] for task in foreseen["tasks"]]) == (
        0,
        ["yielder", "vodafone_nl"],
    )
    assert rows(database_url, "SELECT COUNT(*) FROM sync_task") == [(0,)]

    code, document = run("sync:manager", "--as-of", "2026-11-03 03:00+01:00")

    assert code == 0
    assert document == {
        "as_of": "2026-11-03T02:00:00+00:00",
        "tasks": [
            {
                "id": number,
                "provider": provider,
                "status": "waiting",
                "job_id": number,
                "message": None,
            }
            for number, provider in ((1, "yielder"), (2, "vodafone_nl"))
        ],
    }
    assert imports(database_url) == []
    assert rows(database_url, "SELECT DISTINCT status FROM job") == [("waiting",)]


@pytest.mark.usefixtures("at_home")
def test_a_worker_that_drains_exits_1_when_a_provider_is_broken(database_url: str) -> None:
    run("sync:manager")
    result = CliRunner().invoke(cli, ["worker", "--drain"], standalone_mode=False)

    assert result.return_value == 1
    assert "sync profile vodafone_nl: settings.folder" in result.output
    assert "etl queue:retry" in result.output
    assert imports(database_url) == [("yielder", "done", 6, 5, 0)]


@pytest.mark.usefixtures("at_home")
def test_the_manager_does_the_work_itself_when_asked(database_url: str) -> None:
    code, document = run("sync:manager", "--run")

    assert code == 1
    assert [run["resume"] for run in document["runs"]] == [None, "etl queue:retry 9"]
    assert imports(database_url) == [("yielder", "done", 6, 5, 0)]


@pytest.mark.usefixtures("at_home")
def test_a_moment_that_is_none_is_refused() -> None:
    result = CliRunner().invoke(cli, ["sync:manager", "--as-of", "yesterday"])
    assert result.exit_code == 2
    assert "'yesterday' is not a moment such as 2026-10-25T03:00" in result.output
