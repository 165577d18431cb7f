"""A sync killed anywhere, again and again, ends as if nobody had disturbed it."""

import signal
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from etl.profiles import load_profile
from etl.simulator import RoutitSimulator
from etl.sync import dispatch_syncs
from loaders.audit import differences
from loaders.database import Database
from tests import forked
from tests.flow.sync_world import (
    AS_OF,
    EXAMPLES,
    ROUTIT_FILE,
    SECRET,
    SECRET_NAME,
    deliver,
    end_state,
    folder_feed,
    house,
    load_feeds,
    routit_feed,
    rows,
)
from transforms.reference import SyncProfile

UNDISTURBED = ""

FILE = "SP16_00016_20261006020000_000123.DAT"

KILLS = (
    ("after_claim:kill", 0),  # the router claimed, nothing done
    ("before_claim:kill:2", 1),  # the router done, the request not begun
    ("before_claim:kill:2", 2),
    ("before_claim:kill:2", 3),  # downloaded, the import not begun
    ("after_claim:kill:2", 4),  # imported, the provider invoice claimed
    ("before_claim:kill:2", 5),
    ("before_claim:kill:2", 6),  # totals written, their backup not begun
    ("before_claim:kill:2", 7),  # copied, and nobody looked at them yet
)
"""Kills between the steps and inside them, and how many steps are done by then."""

IN_THE_FOLDER = (
    ("collect_registered:kill", 1),
    ("collect_before_finish:kill", 1),
    ("folder_before_move:kill", 3),  # imported, its file not moved yet
)


@pytest.fixture
def routit(monkeypatch: pytest.MonkeyPatch) -> Iterator[RoutitSimulator]:
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


def work(url: str, folder: Path, *plans: str) -> list[str]:
    """Work the feeds in one process after another; how each ended, and jobs done then."""
    words = ("tests.flow.sync_world", url, str(folder), AS_OF.isoformat())
    ended = []
    for plan in plans:
        code = forked.run(*words, faults=plan).returncode
        done = rows(url, "SELECT COUNT(*) FROM job WHERE status = 'done'")[0][0]
        ended.append(f"{code} {plan} {done}")
    return ended


def undisturbed(folder: Path, feed: SyncProfile) -> dict[str, list[tuple[object, ...]]]:
    """What a run of its own leaves when nobody disturbs it."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'etl.db'}"
    with house(url, folder) as app:
        app.database.upgrade()
        load_feeds(app, {feed.provider: feed})
    assert work(url, folder, UNDISTURBED)[0].startswith("0  ")
    return end_state(url)


def killed(plans: Sequence[tuple[str, int]]) -> list[str]:
    """What the children say that were killed as planned."""
    return [f"{-signal.SIGKILL} {plan} {done}" for plan, done in plans]


def same(state: dict[str, list[tuple[object, ...]]]) -> dict[str, list[str]]:
    """A state as text, so that both databases' ways of giving values compare."""
    return {
        table: sorted("|".join(_text(value) for value in row) for row in found)
        for table, found in state.items()
    }


def _text(value: object) -> str:
    return "" if value is None else str(value)


def test_routits_chain_killed_at_each_boundary_ends_as_if_undisturbed(
    database: Database, database_url: str, tmp_path: Path, routit: RoutitSimulator
) -> None:
    feed = routit_feed(routit)
    expected = undisturbed(tmp_path / "quiet", feed)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"routit": feed})

    plans = [plan for plan, _ in KILLS]
    ended = work(database_url, tmp_path, *plans, UNDISTURBED)

    assert ended == [*killed(KILLS), "0  8"]
    assert same(end_state(database_url)) == same(expected)
    assert rows(database_url, "SELECT command, status FROM job ORDER BY id") == [
        ("sync:provider", "done"),
        ("routit:request", "done"),
        ("routit:download", "done"),
        ("routit:import", "done"),
        ("routit:invoice", "done"),
        ("totals:dispatch", "done"),
        ("totals:backup", "done"),
        ("totals:insight", "done"),
    ]
    assert differences(database) == []


def test_a_folder_killed_while_it_is_emptied_ends_as_if_undisturbed(
    database: Database, database_url: str, tmp_path: Path
) -> None:
    quiet, feed = (folder_feed("kpn_sp16", tmp_path / each) for each in ("a", "b"))
    deliver(quiet)
    deliver(feed)
    expected = undisturbed(tmp_path / "quiet", quiet)
    with house(database_url, tmp_path) as app:
        load_feeds(app, {"kpn_sp16": feed})

        plans = [plan for plan, _ in IN_THE_FOLDER]
        first = work(database_url, tmp_path, *plans, UNDISTURBED)
        state = end_state(database_url)
        left = [path.name for path in (tmp_path / "b").glob("*.DAT")]

        dispatch_syncs(app.syncs, AS_OF + timedelta(minutes=5))
        second = work(database_url, tmp_path, "folder_after_move:kill", UNDISTURBED)

    assert first == [*killed(IN_THE_FOLDER), "0  7"]
    assert same(state) == same(expected)
    assert left == [FILE]
    assert second == [*killed((("folder_after_move:kill", 8),)), "0  9"]
    assert [path.name for path in (tmp_path / "b").iterdir() if path.is_file()] == []
    assert [path.name for path in (tmp_path / "b" / "processed").iterdir()] == [FILE]
    assert {**same(end_state(database_url)), "sync_task": []} == {
        **same(expected),
        "sync_task": [],
    }
    assert differences(database) == []
