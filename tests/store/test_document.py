"""The operators' document: its own SQL, unchanged, tells the truth after real work.

The statements are the document's text (``tests/document.sql``), with its customer 123, its
cycle of January 2025 and its import 123; the data is made to fit them.
"""

import re
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from etl.cli import COMMANDS
from tests.flow.import_world import ANNA, BERT, World, call, write_routit
from tests.flow.operator_world import Desk
from tests.mariadb import connect

DOCUMENT = Path(__file__).parents[1] / "document.sql"
SYNCS, CHAIN, RECENT, EXISTS, PROGRESS, VOLUME, LOCKED, FREE, PROCESSES = (
    each.strip() for each in DOCUMENT.read_text(encoding="utf-8").split(";") if each.strip()
)

PAGE = Path(__file__).parents[2] / "docs" / "operating.md"

Rows = list[tuple[object, ...]]


@pytest.fixture
def world(mariadb_url: str, tmp_path: Path) -> Iterator[World]:
    with World(mariadb_url, tmp_path, lease_seconds=120) as made:
        made.own({ANNA: 123, BERT: 2})
        made.do("ALTER TABLE import_queue AUTO_INCREMENT = 123")
        yield made


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.url, world.folder, lease_s=120)


def asked(world: World, statement: str, zone: str = "+00:00") -> Rows:
    """Ask as an operator does, with a client of any time zone."""
    with closing(connect(world.url)) as server, closing(server.cursor()) as cursor:
        cursor.execute(f"SET time_zone = '{zone}'")
        cursor.execute(statement)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


def delivered(world: World, calls: Sequence[str]) -> str:
    return str(write_routit(world.folder / "in", calls))


JANUARY = (
    call("1", Datum="31-12-2024", Tijdstip="23:59:59"),
    call("2", Datum="01-01-2025", Tijdstip="00:00:00"),
    call("3", Datum="31-01-2025", Tijdstip="23:59:59", Totaaltarief="10,00"),
    call("4", Datum="01-02-2025", Tijdstip="00:00:00"),
    call("5", BERT),
)
"""Customer 123 has two calls in January 2025, for 4.05 and 10 cents."""


@pytest.mark.parametrize("zone", ["+00:00", "+02:00", "-08:00"])
def test_a_run_of_the_schedule_is_seen_within_ten_minutes(
    world: World, desk: Desk, zone: str
) -> None:
    assert asked(world, SYNCS, zone) == [(0, None)]

    assert desk.etl("sync:manager").code == 0

    [(sync_count, last_sync)] = asked(world, SYNCS, zone)
    [(now,)] = asked(world, "SELECT NOW(6)", zone)
    assert sync_count == 1
    assert isinstance(last_sync, datetime)
    assert isinstance(now, datetime)
    assert timedelta(0) <= now - last_sync < timedelta(minutes=2)

    world.do("UPDATE sync_task SET created_at = NOW() - INTERVAL 11 MINUTE")
    assert asked(world, SYNCS, zone) == [(0, None)]


def test_a_reprocessed_cycle_shows_its_totals_and_their_backup(
    world: World, desk: Desk
) -> None:
    assert desk.etl("import", delivered(world, JANUARY), "--provider", "routit").code == 0
    assert asked(world, EXISTS) == [(2,)]
    assert asked(world, CHAIN) == []
    assert asked(world, RECENT) == []

    ended = desk.etl("totals:new", "--customer=123", "--cycle=2025-01-01")

    assert ended.code == 0, ended.err
    [(totals_id, backup_id, customer_id, cycle)] = asked(world, CHAIN)
    assert (customer_id, cycle) == (123, date(2025, 1, 1))
    assert totals_id is not None
    assert backup_id is not None
    [(*found, updated_at)] = asked(world, RECENT)
    assert found == [123, date(2025, 1, 1), Decimal("0.140500")]
    assert isinstance(updated_at, datetime)

    world.do("UPDATE total_usage_new_table SET updated_at = NOW() - INTERVAL 61 MINUTE")
    assert asked(world, RECENT) == []


def test_a_chain_that_broke_off_shows_totals_without_backup(
    world: World, desk: Desk
) -> None:
    desk.etl("import", delivered(world, JANUARY), "--provider", "routit")
    killed = desk.killed(
        *("totals:new", "--customer=123", "--cycle=2025-01-01"),
        faults="before_claim:kill:2",
    )
    assert killed.code == -signal.SIGKILL
    assert [row[1] for row in asked(world, CHAIN)] == [None]

    assert desk.etl("totals:new", "--customer=123", "--cycle=2025-01-01").code == 0

    assert [row[1] is None for row in asked(world, CHAIN)] == [False]


def test_the_progress_of_imports_is_seen(world: World, desk: Desk) -> None:
    desk.etl("import", delivered(world, JANUARY), "--provider", "routit")
    world.do(
        "INSERT INTO import_queue (type, provider, status, file_name, sha256, size_bytes,"
        " created_at) VALUES ('routit_cdr', 'routit', 'waiting', 'old.zip', 'x', 1,"
        " NOW() - INTERVAL 25 HOUR)"
    )

    [(import_id, kind, locked, complete, created_at, updated_at)] = asked(world, PROGRESS)

    assert (import_id, kind, locked, complete) == (123, "routit_cdr", 0, 1)
    assert isinstance(created_at, datetime)
    assert isinstance(updated_at, datetime)
    assert created_at <= updated_at


def test_the_volume_of_the_last_days_is_counted_by_day(world: World, desk: Desk) -> None:
    today = datetime.now(UTC).date()
    calls = [
        call(f"{days}-{number}", Datum=f"{today - timedelta(days=days):%d-%m-%Y}")
        for days, count in ((1, 3), (2, 1), (9, 2))
        for number in range(count)
    ]
    assert desk.etl("import", delivered(world, calls), "--provider", "routit").code == 0

    assert asked(world, VOLUME) == [
        (today - timedelta(days=1), 3),
        (today - timedelta(days=2), 1),
    ]


def test_the_documents_recovery_makes_a_killed_import_run_again_at_once(
    world: World, desk: Desk
) -> None:
    calls = [call(str(number)) for number in range(60)]
    file = delivered(world, calls)
    killed = desk.killed(
        "import", file, "--provider", "routit", faults="import_after_load:kill"
    )
    assert killed.code == -signal.SIGKILL
    assert [row[0] for row in asked(world, LOCKED)] == [123]

    asked(world, FREE)

    assert asked(world, LOCKED) == []
    assert [row[2:4] for row in asked(world, PROGRESS)] == [(0, 0)]
    ended = desk.etl("routit:import")
    assert ended.code == 0, ended.err
    assert [row[2:4] for row in asked(world, PROGRESS)] == [(0, 1)]
    assert world.table("call_detail_record", "count(*)") == [(60,)]
    assert world.audit() == []


def test_a_worker_runs_an_import_again_that_the_document_unlocked(
    world: World, desk: Desk
) -> None:
    file = delivered(world, [call(str(number)) for number in range(60)])
    desk.killed("import", file, "--provider", "routit", faults="import_after_load:kill")
    assert desk.etl("worker", "--drain").out == "Nothing was due.\n"

    asked(world, FREE)
    ended = desk.etl("worker", "--drain", "--json")

    # import, invoice, totals, backup, insight
    assert ended.document["jobs"] == {"done": 5}
    assert [row[2:4] for row in asked(world, PROGRESS)] == [(0, 1)]
    assert world.audit() == []


def test_a_failed_import_runs_again_and_one_that_waits_for_a_person_does_not(
    world: World, desk: Desk
) -> None:
    world.register(write_routit(world.folder / "in", [call("1")]))
    for status, jobs in (("refused", {}), ("held", {}), ("failed", {"done": 5})):
        world.do(f"UPDATE import_queue SET status = '{status}', message = 'why'")  # noqa: S608 - ours
        asked(world, FREE)

        ended = desk.etl("worker", "--drain", "--json")

        assert ended.document["jobs"] == jobs, status


def test_every_command_of_the_operators_page_exists() -> None:
    page = PAGE.read_text(encoding="utf-8")
    named = set(re.findall(r"`etl ([a-z:-]+)", page)) | set(
        re.findall(r"^(?:\S+ \S+ \* \* \*  )?etl ([a-z:-]+)", page, re.MULTILINE)
    )
    assert {"health", "import:revert", "sync:manager"} < named
    assert named - set(COMMANDS) == set()


def test_every_recipe_of_the_document_has_its_place_on_the_operators_page() -> None:
    page = PAGE.read_text(encoding="utf-8")
    recipes = (
        "systemctl status cron",
        "crontab -l",
        "sync:manager -vvv",
        "tail -100 /var/log/syslog",
        "debug:event-dispatcher",
        "cache:clear",
        "messenger:stop-workers",
        "totals:new --customer=123 --cycle=2025-01-01 -vvv",
        "SHOW PROCESSLIST",
        "SELECT COUNT(*) FROM call_detail_record",
        "UPDATE import_queue SET locked = 0, message = 'Reset manually'",
        "check_critical_paths.sh",
    )
    assert [recipe for recipe in recipes if recipe not in page] == []


def test_every_exit_code_is_explained_on_the_operators_page() -> None:
    explained = re.findall(r"^\| (\d+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert explained == ["0", "1", "2", "3", "4", "75", "143"]


def test_the_document_looks_for_locks_and_finds_its_own_question(world: World) -> None:
    assert any("SHOW PROCESSLIST" in str(row) for row in asked(world, PROCESSES))
