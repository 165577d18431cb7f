"""The tables: alike on both databases, and what operators' own SQL relies on."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import mysql.connector
import pytest
import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory

from loaders.database import Database
from loaders.open import open_database
from loaders.upgrade import newest_revision
from tests.mariadb import MariaDBServer, connect, fresh_database
from transforms.errors import ConfigError

Rows = list[tuple[object, ...]]
Ask = Callable[[str], Rows]

PROMISED = {
    "sync_profile": "id provider enabled every_minutes last_sync_at settings",
    "sync_task": "id sync_profile_id provider status message created_at started_at"
    " finished_at",
    "import_queue": "id type locked complete message created_at updated_at status"
    " file_name sha256 records loaded duplicates conflicts rejected suspended ignored"
    " cost_micros",
    "call_detail_record": "customer_id call_date started_at_utc import_id member line_no"
    " provider record_id subscriber other direction usage_type duration_s volume_bytes"
    " events cost_micros cost currency rate_class zone flags fingerprint",
    "total_usage_new_table": "id customer_id cycle_start_date total_cost updated_at"
    " total_cost_micros provider_cost_micros cycle_end_date method rate_plan"
    " rate_plan_version cdr_count unrated_count revision",
    "total_usage_new_backup_table": "id customer_id cycle_start_date revision total_cost"
    " total_cost_micros lines backed_up_at",
    "rejected_record": "import_id member line_no reason_code raw",
    "suspended_record": "import_id member line_no reason_code raw",
    "conflict_record": "import_id member line_no reason_code raw",
    "superseded_record": "superseded_by_import_id customer_id call_date cost_micros",
    "import_batch": "import_id batch_no first_line last_line record_count cost_micros",
    "customer": "customer_id name timezone cycle_day currency",
    "subscription": "kind identifier customer_id valid_from valid_to",
    "job": "id status",
}

DOCUMENT = Path(__file__).parents[1] / "document.sql"


def document_statements() -> list[str]:
    """The monitoring and recovery statements of the document operators work by."""
    text = DOCUMENT.read_text(encoding="utf-8")
    return [each.strip() for each in text.split(";") if each.strip()]


@pytest.fixture(params=["sqlite", "mariadb"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The URL of a database without a table."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'new' / 'etl.db'}"
        return
    server: MariaDBServer = request.getfixturevalue("mariadb_server")
    with fresh_database(server) as url:
        yield url


def tables(database: Database) -> dict[str, list[str]]:
    """The columns of every table, as SQLAlchemy finds them."""
    inspector = sa.inspect(database._engine)
    return {
        table: [column["name"] for column in inspector.get_columns(table)]
        for table in inspector.get_table_names()
    }


def indexes(database: Database) -> dict[str, list[tuple[str, ...]]]:
    """The columns of every key and index, by table."""
    inspector = sa.inspect(database._engine)
    found = {}
    for table in inspector.get_table_names():
        keys = [each["column_names"] for each in inspector.get_indexes(table)]
        keys += [
            list(each["column_names"]) for each in inspector.get_unique_constraints(table)
        ]
        keys.append(list(inspector.get_pk_constraint(table)["constrained_columns"]))
        found[table] = sorted({tuple(str(name) for name in each) for each in keys})
    return found


@pytest.fixture
def model(sqlite_url: str) -> Iterator[Database]:
    """A database with all tables, to compare with."""
    with closing(open_database(sqlite_url)) as opened:
        yield opened


@pytest.fixture
def ask(database_url: str) -> Iterator[Ask]:
    """Ask a new database in plain SQL, past the code under test."""
    if database_url.startswith("sqlite"):
        file = database_url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(file, isolation_level=None)) as lite:
            yield lambda text: lite.execute(text).fetchall()
        return
    with closing(connect(database_url)) as server, closing(server.cursor()) as cursor:

        def answer(text: str) -> Rows:
            cursor.execute(text)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

        yield answer


# --- upgrading ------------------------------------------------------------------------


def test_both_databases_have_the_same_tables_columns_and_keys(
    sqlite_url: str, mariadb_url: str
) -> None:
    with (
        closing(open_database(sqlite_url)) as lite,
        closing(open_database(mariadb_url)) as server,
    ):
        assert tables(lite) == tables(server)
        assert indexes(lite) == indexes(server)


def test_every_promised_column_is_there(database: Database) -> None:
    found = tables(database)
    missing = {
        table: set(columns.split()) - set(found.get(table, []))
        for table, columns in PROMISED.items()
    }
    assert {table: names for table, names in missing.items() if names} == {}


def test_an_upgrade_makes_all_tables_and_a_second_one_changes_nothing(
    empty_url: str, model: Database
) -> None:
    with closing(open_database(empty_url)) as new:
        new.upgrade()
        found = tables(new)
        new.upgrade()
        assert tables(new) == found == tables(model)
        assert new.check() == []


def test_two_processes_may_upgrade_at_once(empty_url: str, model: Database) -> None:
    faults: list[BaseException] = []
    start = threading.Barrier(3)

    def upgrade() -> None:
        try:
            with closing(open_database(empty_url)) as new:
                start.wait()
                new.upgrade()
        except BaseException as exc:  # noqa: BLE001 - the test tells of it below
            faults.append(exc)

    threads = [threading.Thread(target=upgrade) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert faults == []
    with closing(open_database(empty_url)) as new:
        assert indexes(new) == indexes(model)


class CutError(Exception):
    """The upgrade is killed here."""


def test_an_upgrade_cut_before_each_of_its_statements_is_finished_by_the_next(
    empty_url: str, model: Database
) -> None:
    with closing(open_database(empty_url)) as new:
        changes = [0]
        allowed = [0]

        def cut(_connection: object, _cursor: object, text: str, *_others: object) -> None:
            words = text.split()[:2]
            if words[:1] == ["CREATE"] or words == ["INSERT", "INTO"]:
                changes[0] += 1
                if changes[0] > allowed[0]:
                    raise CutError

        sa.event.listen(new._engine, "before_cursor_execute", cut)
        cuts = 0
        while True:
            changes[0] = 0
            # SQLite undoes all of it, so each attempt must get one further on its own.
            # On MySQL the mark of one revision commits with the first table of the next.
            allowed[0] = 2 if new.dialect == "mysql" else allowed[0] + 1
            try:
                new.upgrade()
            except CutError:
                cuts += 1
                assert cuts < 200
                continue
            break
        assert cuts > 15
        sa.event.remove(new._engine, "before_cursor_execute", cut)
        assert tables(new) == tables(model)
        assert indexes(new) == indexes(model)


def test_the_newest_revision_is_the_last_file(database: Database) -> None:
    config = Config()
    config.set_main_option("script_location", "loaders:migrations")
    config.set_main_option("path_separator", "os")
    assert ScriptDirectory.from_config(config).get_current_head() == newest_revision()
    with database.snapshot() as tx:
        found = [row["version_num"] for row in tx.rows("database/version")]
        assert found == [newest_revision()]


def test_a_database_that_a_newer_program_upgraded_is_left_alone(
    ask: Ask, database: Database
) -> None:
    ask("UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(ConfigError, match="0999"):
        database.upgrade()


# --- money ----------------------------------------------------------------------------

AMOUNTS = [
    ("NULL", None),
    ("0", "0.000000"),
    ("1", "0.000001"),
    ("-1", "-0.000001"),
    ("999999", "0.999999"),
    ("-1000000", "-1.000000"),
    ("1200330", "1.200330"),
    ("999999999999999999", "999999999999.999999"),
    ("-999999999999999999", "-999999999999.999999"),
]


@pytest.mark.parametrize(("micros", "written"), AMOUNTS)
def test_the_cost_of_a_record_is_its_micros_written_out(
    ask: Ask, micros: str, written: str | None
) -> None:
    ask(
        "INSERT INTO call_detail_record (customer_id, call_date, import_id, member,"  # noqa: S608 - our own numbers
        " line_no, provider, layout, subscriber, other_kind, direction, usage_type,"
        " started_at_utc, currency, flags, fingerprint, cost_micros) VALUES (1,"
        " '2026-10-25 02:30:00', 1, 'm', 1, 'p', 'l', 's', 'o', 'out', 'voice',"
        f" '2026-10-25 00:30:00', 'EUR', '', 1, {micros})"
    )
    [(cost,)] = ask("SELECT cost FROM call_detail_record")
    assert (None if cost is None else str(cost)) == written


def total(total_cost_micros: str, *, at: str) -> str:
    """An INSERT of the totals of customer 123 for January 2025."""
    return (
        "INSERT INTO total_usage_new_table (customer_id, cycle_start_date,"  # noqa: S608 - our own numbers
        " cycle_end_date, revision, method, currency, total_cost_micros,"
        " provider_cost_micros, cdr_count, unrated_count, content_sha256, updated_at)"
        f" VALUES (123, '2025-01-01', '2025-02-01', 1, 'standard', 'EUR',"
        f" {total_cost_micros}, 0, 1, 0, 'x', {at})"
    )


@pytest.mark.parametrize(("micros", "written"), AMOUNTS[1:])
def test_the_total_cost_is_its_micros_written_out(
    ask: Ask, micros: str, written: str
) -> None:
    ask(total(micros, at="'2025-02-01 04:00:00'"))
    [(cost,)] = ask("SELECT total_cost FROM total_usage_new_table")
    assert str(cost) == written


def test_a_row_gets_the_time_it_was_written(ask: Ask, database_url: str) -> None:
    ask("INSERT INTO sync_task (status) VALUES ('done')")
    [(created_at, finished_at)] = ask("SELECT created_at, finished_at FROM sync_task")
    assert finished_at is None
    written = datetime.fromisoformat(str(created_at))
    zone = UTC if database_url.startswith("sqlite") else None
    now = datetime.now(zone).replace(tzinfo=None)
    assert abs(now - written) < timedelta(minutes=5)


# --- what operators rely on -----------------------------------------------------------


def test_the_documents_own_sql_runs_unchanged(mariadb_url: str) -> None:
    statements = document_statements()
    assert len(statements) == 9
    with closing(connect(mariadb_url)) as server, closing(server.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
            if cursor.description:
                cursor.fetchall()


def test_the_documents_sql_finds_what_it_looks_for(mariadb_url: str) -> None:
    syncs, chain, recent, exists, _progress, _volume, locked, free, _ = (
        document_statements()
    )
    with closing(connect(mariadb_url)) as server, closing(server.cursor()) as cursor:

        def ask(text: str) -> Rows:
            cursor.execute(text)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

        ask("INSERT INTO sync_task (status) VALUES ('done'), ('idle')")
        ask(total("12345678", at="NOW()"))
        ask(
            "INSERT INTO import_queue (id, type, provider, locked, status, file_name,"
            " sha256, size_bytes) VALUES (123, 'routit_cdr', 'routit', 1, 'running',"
            " 'a.zip', 'x', 1)"
        )
        assert ask(syncs)[0][0] == 2
        assert [str(each) for each in ask(recent)[0][:3]] == [
            "123",
            "2025-01-01",
            "12.345678",
        ]
        assert ask(chain)[0][1] is None
        assert ask(exists) == [(0,)]
        assert len(ask(locked)) == 1
        ask(free)
        assert ask(locked) == []
        assert ask("SELECT message FROM import_queue") == [("Reset manually",)]


def test_moments_are_timestamps_cycles_are_dates_and_customers_are_bigints(
    mariadb_url: str,
) -> None:
    with closing(connect(mariadb_url)) as server, closing(server.cursor()) as cursor:
        cursor.execute(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = database()"
        )
        found = [tuple(str(each) for each in row) for row in cursor.fetchall()]
    wrong = [
        (table, column, kind)
        for table, column, kind in found
        for suffix, needed in (
            ("_at", "timestamp"),
            ("_until", "timestamp"),
            ("_date", "datetime" if column.endswith("call_date") else "date"),
            ("customer_id", "bigint"),
            ("_micros", "bigint"),
            ("_at_utc", "datetime"),
        )
        if column.endswith(suffix) and kind != needed
    ]
    assert wrong == []


def test_every_table_is_innodb_and_compares_texts_by_their_bytes(
    mariadb_url: str,
) -> None:
    with closing(connect(mariadb_url)) as server, closing(server.cursor()) as cursor:
        cursor.execute(
            "SELECT table_name, engine, table_collation FROM information_schema.tables"
            " WHERE table_schema = database() AND table_name <> 'alembic_version'"
        )
        kinds = {(row[1], row[2]) for row in cursor.fetchall()}
    assert kinds == {("InnoDB", "utf8mb4_bin")}


def test_every_sqlite_table_is_strict(sqlite_url: str) -> None:
    with closing(sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))) as lite:
        loose = lite.execute(
            "SELECT name FROM pragma_table_list WHERE schema = 'main' AND strict = 0"
            " AND type = 'table' AND name NOT LIKE 'sqlite%' AND name <> 'alembic_version'"
        ).fetchall()
    assert loose == []


def test_a_text_longer_than_its_column_is_refused_by_both(ask: Ask) -> None:
    def add(number: int, length: int) -> None:
        ask(
            "INSERT INTO subscription (kind, identifier, customer_id)"  # noqa: S608 - ours
            f" VALUES ('line', '{'é' * length}', {number})"
        )

    add(1, 128)
    with pytest.raises((sqlite3.IntegrityError, mysql.connector.DataError)):
        add(2, 129)
    assert ask("SELECT customer_id FROM subscription") == [(1,)]
