"""The nightly run: one broken feed, one night at a time, and nights that were killed."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner

from etl.cli import cli
from etl.extract import folder
from etl.night import folder_of, run_night
from etl.night_record import Night, exit_code_of, report_text
from etl.profiles import load_profile
from etl.simulator import RoutitSimulator
from etl.sync import dispatch_syncs
from loaders.audit import Difference, differences
from tests import forked
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLE_OF,
    EXAMPLES,
    ROUTIT_FILE,
    SECRET,
    SECRET_NAME,
    deliver,
    end_state,
    five_folders,
    house,
    imports,
    load_feeds,
    routit_feed,
)
from transforms.errors import LeaseHeld


@pytest.fixture(autouse=True)
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "SECOND_LOOK_S", 0)


@pytest.fixture
def routit(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoutitSimulator]:
    """A RoutIT that has October ready at once."""
    monkeypatch.setenv(SECRET_NAME, SECRET)
    poll = load_profile("routit").source.poll
    assert poll is not None
    with RoutitSimulator(
        {("10001", "202610"): EXAMPLES / ROUTIT_FILE},
        messages=poll.messages,
        pending_replies=0,
        secret=SECRET,
    ) as running:
        yield running


def silent(_line: str) -> None:
    """Nobody listens."""


def test_a_night_imports_five_feeds_and_names_the_sixth_that_is_broken(
    database_url: str, tmp_path: Path, routit: RoutitSimulator
) -> None:
    feeds = {**five_folders(tmp_path), "routit": routit_feed(routit)}
    with house(database_url, tmp_path) as app:
        load_feeds(app, feeds)
        for provider in EXAMPLE_OF:
            deliver(feeds[provider])
        broken = Path(feeds["kpn_sp16"].settings.folder) / EXAMPLE_OF["kpn_sp16"]
        whole = broken.read_bytes()
        broken.write_bytes(whole[:-139])  # the trailer is cut off

        night = run_night(app, AS_OF, 0, silent)

        assert night.exit_code == 1
        by_provider = {each.provider: each.status for each in night.imports}
        assert by_provider == {
            "kpn_een": "done",
            "kpn_sp16": "refused",
            "routit": "done",
            "tmobile_calvi": "done",
            "vodafone_nl": "done",
            "yielder": "done",
        }
        assert [task.provider for task in night.tasks if task.status == "failed"] == [
            "kpn_sp16"
        ]
        report = report_text(night)
        assert "exactly one trailer is needed, 0 found" in report
        assert "go on with: etl queue:retry" in report
        assert not differences(app.database)


def test_a_night_with_nothing_due_ends_well_and_says_so(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        load_feeds(app, {})
        night = run_night(app, AS_OF, 0, silent)
        assert (night.exit_code, night.imports) == (0, ())
        assert [(step.name, step.status) for step in night.steps] == [
            ("sync", "done"),
            ("queue", "done"),
            ("totals", "done"),
            ("insights", "done"),
            ("invoices", "done"),
            ("documents", "done"),
            ("audit", "done"),
        ]


def test_a_night_removes_what_killed_runs_left_in_storage_a_day_ago(
    sqlite_url: str, tmp_path: Path
) -> None:
    storage = tmp_path / "storage"
    old, new = storage / "work" / "import-1", storage / "work" / "import-2"
    for left in (old, new):
        left.mkdir(parents=True)
        (left / "spool").write_bytes(b"x")
    os.utime(old / "spool", (0, 0))
    os.utime(old, (0, 0))

    given = ["nightly", "--as-of=2026-11-02", "--patience=0"]
    env = {"ETL_DATABASE_URL": sqlite_url, "ETL_STORAGE": str(storage)}
    ended = CliRunner().invoke(cli, given, env=env, standalone_mode=False)

    assert ended.return_value == 0
    assert "storage: removed 1 leftovers of killed runs" in ended.output
    assert (old.exists(), new.exists()) == (False, True)


def test_a_second_night_at_the_same_time_gives_way(
    database_url: str, tmp_path: Path
) -> None:
    with house(database_url, tmp_path) as app:
        lease = app.leases.acquire("nightly", "another owner", 60)
        with pytest.raises(LeaseHeld):
            run_night(app, AS_OF, 0, silent)
        app.leases.release(lease)
        assert run_night(app, AS_OF, 0, silent).exit_code == 0


def test_the_night_is_told_in_run_json_and_in_a_report(
    database_url: str, tmp_path: Path
) -> None:
    feeds = five_folders(tmp_path)
    with house(database_url, tmp_path) as app:
        load_feeds(app, feeds)
        deliver(feeds["kpn_een"])
        run_night(app, AS_OF, 0, silent)
        place = folder_of(app, "2026-11-03")
        told = json.loads((place / "run.json").read_text(encoding="utf-8"))
        assert told["status"] == "done"
        assert [each["file_name"] for each in told["imports"]] == [EXAMPLE_OF["kpn_een"]]
        assert told["imports"][0]["outcome"]["loaded"] == 6
        assert told["totals"]["cdr_count"] == 6
        report = (place / "report.txt").read_text(encoding="utf-8")
        assert "every record and every micro is accounted for" in report


@pytest.mark.parametrize("point", ["after_claim:kill:3", "import_after_finish:kill:1"])
def test_a_killed_night_goes_on_to_the_same_end(
    database_url: str, tmp_path: Path, point: str
) -> None:
    feeds = {"yielder": five_folders(tmp_path)["yielder"]}
    with house(database_url, tmp_path, lease_seconds=1) as app:
        load_feeds(app, feeds)
        deliver(feeds["yielder"])
    words = ["nightly", "--as-of", "2026-11-03T02:00:00", "--patience", "20"]
    environment = {
        **os.environ,
        "ETL_DATABASE_URL": database_url,
        "ETL_STORAGE": str(tmp_path / "storage"),
        "ETL_LEASE_SECONDS": "1",
    }
    killed = forked.run("etl", *words, env=environment, cwd=tmp_path, faults=point)
    assert killed.returncode == -9
    again = _until_the_lease_is_free(words, environment, tmp_path)
    assert again.returncode == 1, again.stderr  # one record of yielder's is rejected
    assert imports(database_url) == [("yielder", "done", 6, 5, 0)]
    with house(database_url, tmp_path) as app:
        assert not differences(app.database)
        told = json.loads((folder_of(app, "2026-11-03") / "run.json").read_text("utf-8"))
    assert told["attempts"] == 2
    assert [each["outcome"]["loaded"] for each in told["imports"]] == [5]
    assert end_state(database_url)["dirty_cycle"] == []


def test_a_night_waits_for_the_lease_of_a_job_whose_worker_is_dead(
    database_url: str, tmp_path: Path
) -> None:
    feeds = {"yielder": five_folders(tmp_path)["yielder"]}
    with house(database_url, tmp_path, lease_seconds=1) as app:
        load_feeds(app, feeds)
        deliver(feeds["yielder"])
        dispatch_syncs(app.syncs, AS_OF)
        assert app.jobs.claim("a dead worker", 1) is not None

        night = run_night(app, AS_OF, 0, silent)

        assert [each.outcome.loaded for each in night.imports] == [5]
        assert night.running_jobs == []


def test_a_job_that_stays_in_another_workers_hands_is_told(
    database_url: str, tmp_path: Path
) -> None:
    feeds = {"yielder": five_folders(tmp_path)["yielder"]}
    with house(database_url, tmp_path, lease_seconds=1) as app:
        load_feeds(app, feeds)
        dispatch_syncs(app.syncs, AS_OF)
        assert app.jobs.claim("a busy worker", 60) is not None

        night = run_night(app, AS_OF, 0, silent)

        told = ["sync:provider yielder: its lease is held by a busy worker"]
        assert night.running_jobs == told
        assert told[0] in report_text(night)


def _until_the_lease_is_free(
    words: list[str], environment: dict[str, str], place: Path
) -> forked.Completed:
    """Run again as a scheduler would: 75 means the killed night's lease still lives."""
    for _ in range(20):
        done = forked.run("etl", *words, env=environment, cwd=place)
        if done.returncode != LeaseHeld.exit_code:
            return done
    message = "the lease of a killed night did not end"
    raise AssertionError(message)


@pytest.mark.parametrize(
    ("night", "expected"),
    [
        (Night("2026-11-03", 0), 0),
        (Night("2026-11-03", 0, waiting_jobs=["routit:request 10001 202610: waits"]), 0),
        (Night("2026-11-03", 0, failed_before=["routit:import 7: refused"]), 0),
        (Night("2026-11-03", 0, failed_jobs=["routit:import 7: refused"]), 1),
        (Night("2026-11-03", 0, audit=[Difference("import_ledger", "import 7", 2, 1)]), 4),
    ],
)
def test_the_exit_code_says_what_needs_a_person(night: Night, expected: int) -> None:
    assert exit_code_of(night) == expected
