"""MySQL and MariaDB: what only a server can do to us, and what we demand of it."""

import stat
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime
from pathlib import Path

import mysql.connector
import polars as pl
import pytest
import sqlalchemy as sa

from loaders import bulk
from loaders import mysql as door
from loaders.bulk import Column, PrivateFolder, remove_stale, require_fit
from loaders.database import Database, Transaction
from loaders.mysql import MySQLFaults, connect_arguments, masked, setting_faults
from loaders.open import open_database, prepare_driver
from tests.mariadb import MariaDBServer, connect, execute_all, fresh_database, work_folder
from tests.store.statements import statements_of_tests
from transforms.errors import (
    ConfigError,
    ContractError,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)


@pytest.fixture(autouse=True)
def _statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with statements_of_tests(monkeypatch):
        yield


@pytest.fixture
def database(mariadb_url: str) -> Iterator[Database]:
    with closing(open_database(mariadb_url)) as opened:
        yield opened


@pytest.fixture(scope="module")
def frail_server() -> Iterator[MariaDBServer]:
    """A server of this module's own, to be killed."""
    server = MariaDBServer(work_folder())
    server.start()
    yield server
    server.remove()


@pytest.fixture
def frail(frail_server: MariaDBServer, mariadb_template: list[str]) -> Iterator[Database]:
    """A database on the server that will be killed."""
    with fresh_database(frail_server) as url:
        execute_all(url, mariadb_template)
        with closing(open_database(url)) as opened:
            yield opened


def add(tx: Transaction, number: int) -> None:
    tx.execute("test/add", customer_id=number, name="Bakker", details="{}")


def count(database: Database) -> int:
    with database.snapshot() as tx:
        return len(tx.rows("test/names"))


def customer(**columns: object) -> pl.DataFrame:
    ready = {
        "customer_id": [1],
        "name": ["Bakker"],
        "timezone": ["Europe/Amsterdam"],
        "cycle_day": [1],
        "currency": ["EUR"],
        "details": ["{}"],
    }
    return pl.DataFrame({**ready, **columns})


# --- a server that goes away ----------------------------------------------------------


def test_a_killed_server_undoes_the_transaction_and_a_restarted_one_is_used_again(
    frail: Database, frail_server: MariaDBServer
) -> None:
    with frail.transaction() as tx:
        add(tx, 1)

    def work(tx: Transaction) -> None:
        add(tx, 2)
        frail_server.kill()
        add(tx, 3)

    with pytest.raises(StoreUnavailable):
        frail.run(work)
    with pytest.raises(StoreUnavailable):
        count(frail)
    frail_server.start()
    assert count(frail) == 1


def test_a_server_killed_before_the_commit_is_told_of(
    frail: Database, frail_server: MariaDBServer
) -> None:
    def work(tx: Transaction) -> None:
        add(tx, 1)
        frail_server.kill()

    with pytest.raises(StoreUnavailable, match="commit"):
        frail.run(work)
    frail_server.start()
    assert count(frail) == 0


def test_a_server_killed_before_a_load_is_told_of(
    frail: Database, frail_server: MariaDBServer
) -> None:
    def work(tx: Transaction) -> None:
        tx.rows("test/names")
        frail_server.kill()
        tx.load("customer", customer())

    with pytest.raises(StoreUnavailable, match="load customer"):
        frail.run(work)
    frail_server.start()
    assert count(frail) == 0
    with frail.transaction() as tx:
        assert tx.load("customer", customer()) == 1


def test_an_interrupted_query_may_be_run_again(
    database: Database, mariadb_url: str
) -> None:
    def work(tx: Transaction) -> None:
        number = tx._connection.exec_driver_sql("SELECT connection_id()").scalar_one()
        kill = [f"KILL QUERY {number}"]
        killer = threading.Timer(0.2, execute_all, [mariadb_url, kill])
        killer.start()
        try:
            tx.rows("test/count_long")
        finally:
            killer.join()

    with pytest.raises(StoreBusy):
        database.run(work, attempts=1)


def test_a_server_that_does_not_answer_is_given_up_in_time(mariadb_url: str) -> None:
    began = time.monotonic()
    with (
        closing(open_database(f"{mariadb_url}&read_timeout=1")) as database,
        pytest.raises(StoreUnavailable),
    ):
        database.run(lambda tx: tx.rows("test/sleep_long"))
    assert time.monotonic() - began < 6


# --- what is demanded of a server -----------------------------------------------------


def test_a_badly_set_server_is_told_of_with_what_it_needs(tmp_path: Path) -> None:
    server = MariaDBServer(
        work_folder(),
        [
            "--innodb-flush-log-at-trx-commit=2",
            "--local-infile=0",
            "--sql-mode=NO_ENGINE_SUBSTITUTION",
            "--max-allowed-packet=1M",
            "--default-storage-engine=MyISAM",
            "--max-statement-time=30",
        ],
    )
    try:
        server.start()
        with fresh_database(server) as url, closing(open_database(url)) as database:
            assert sorted(database.check()) == [
                "default_storage_engine is MyISAM; it must be InnoDB",
                "innodb_flush_log_at_trx_commit is 2; it must be 1",
                "local_infile is OFF; it must be ON",
                "max_allowed_packet is 1048576; it must be at least 16777216",
                "max_statement_time is 30.000000; it must be 0",
                "sql_mode is NO_ENGINE_SUBSTITUTION; it must be one with"
                " STRICT_TRANS_TABLES or STRICT_ALL_TABLES",
            ]
            database.upgrade()
            with pytest.raises(StoreError, match="local_infile=ON"):
                database.run(lambda tx: tx.load("customer", customer()))
    finally:
        server.remove()


def test_old_servers_and_statement_logs_are_told_of() -> None:
    assert setting_faults({"version": "10.5.27-MariaDB", "sql_mode": "STRICT_ALL_TABLES"})
    assert setting_faults({"version": "5.7.44"})
    assert setting_faults({"log_bin": "ON", "binlog_format": "STATEMENT"})
    for version in ("10.6.1-MariaDB-log", "11.8.2-MariaDB", "8.0.36", "8.0.11-TiDB-v7.5.0"):
        assert setting_faults({"version": version}) == []


def test_a_session_is_strict_whatever_the_server_says(database: Database) -> None:
    with database.transaction() as tx:
        mode = tx._connection.exec_driver_sql("SELECT @@sql_mode").scalar_one()
    assert "STRICT_TRANS_TABLES" in str(mode)


def test_the_driver_without_its_extension_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "_mysql_connector", None)
    for name in ("loaders.mysql", "mysql.connector.connection_cext"):
        monkeypatch.delitem(sys.modules, name)
    for opens in (open_database, prepare_driver):
        with pytest.raises(ConfigError, match="without its C extension"):
            opens("mysql+mysqlconnector://u:canary@127.0.0.1/etl")


def test_a_statement_is_one_round_trip(database: Database) -> None:
    with database.transaction() as tx:
        connection = tx._connection
        asked = "SHOW SESSION STATUS LIKE 'Com_admin_commands'"
        pings = [connection.exec_driver_sql(asked).one()[1] for _ in range(5)]
    assert set(pings) == {pings[0]}


# --- how it may be reached ------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("mysql+mysqlconnector://u:canary@db.example.nl/etl", "ssl_ca"),
        ("mysql+mysqlconnector://u:canary@10.0.0.7/etl", "ssl_ca"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1.example.nl/etl", "ssl_ca"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1/", "no database"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1/etl?ssl_verify_cert=0", "ssl_verify"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1/etl?allow_local_infile=1", "allow_l"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1/etl?charset=latin1", "utf8mb4"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1/etl?read_timeout=soon", "read_timeout"),
        ("mysql+pymysql://u:canary@127.0.0.1/etl", "mysqlconnector"),
        ("postgresql://u:canary@127.0.0.1/etl", "mysqlconnector"),
        ("u:canary@127.0.0.1", "not a database URL"),
        ("mysql+mysqlconnector://u:canary@127.0.0.1:port/etl", "not a database URL"),
    ],
)
def test_a_url_that_is_not_safe_or_not_ours_is_refused_without_its_secret(
    url: str, told: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=told) as caught:
        open_database(url, temp_dir=tmp_path)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_server_elsewhere_must_prove_who_it_is() -> None:
    url = sa.make_url("mysql+mysqlconnector://u:s@db.example.nl/etl?ssl_ca=/etc/ca.pem")
    arguments = connect_arguments(url)
    assert arguments["ssl_verify_cert"] is True
    assert arguments["ssl_verify_identity"] is True
    assert arguments["ssl_disabled"] is False
    assert arguments["ssl_ca"] == "/etc/ca.pem"


def test_a_server_without_tls_is_refused_when_tls_is_asked_for(
    mariadb_server: MariaDBServer, tmp_path: Path
) -> None:
    authority = tmp_path / "ca.pem"
    authority.write_text("not a certificate")
    url = f"{mariadb_server.tcp_url('etl')}?ssl_ca={authority}"
    with (
        closing(open_database(url)) as database,
        pytest.raises((ConfigError, StoreUnavailable)),
    ):
        count(database)


def test_the_loopback_port_works_as_the_socket_does(
    mariadb_server: MariaDBServer, mariadb_url: str
) -> None:
    name = str(sa.make_url(mariadb_url).database)
    with closing(open_database(mariadb_server.tcp_url(name))) as database:
        with database.transaction() as tx:
            assert tx.load("customer", customer()) == 1
        assert count(database) == 1


def test_a_wrong_secret_is_the_operators_to_mend(mariadb_url: str) -> None:
    url = sa.make_url(mariadb_url).set(password="canary")
    with (
        closing(open_database(url.render_as_string(hide_password=False))) as database,
        pytest.raises(ConfigError, match="ETL_DATABASE_URL") as caught,
    ):
        count(database)
    assert "canary" not in str(caught.value)


def test_a_database_that_is_not_there_is_the_operators_to_mend(
    mariadb_server: MariaDBServer,
) -> None:
    with (
        closing(open_database(mariadb_server.url("not_there"))) as database,
        pytest.raises(ConfigError, match="not_there"),
    ):
        count(database)


def test_nobody_at_the_port_is_worth_trying_again_later(tmp_path: Path) -> None:
    url = f"mysql+mysqlconnector://u:canary@localhost/etl?unix_socket={tmp_path / 'no'}"
    with closing(open_database(url)) as database, pytest.raises(StoreUnavailable) as caught:
        count(database)
    assert "canary" not in str(caught.value)


# --- loading is proven ----------------------------------------------------------------

CONVERTED = {
    "a word for a number": {"cycle_day": ["first"]},
    "a number with a tail": {"cycle_day": ["1 day"]},
    "nothing for a number": {"cycle_day": [""]},
    "a number beyond 64 bits": {"cycle_day": ["9223372036854775808"]},
    "a text too long": {"currency": ["EURO"]},
    "a null where a value is needed": {"name": pl.Series([None], dtype=pl.String)},
}


@pytest.mark.parametrize("columns", CONVERTED.values(), ids=CONVERTED.keys())
def test_what_the_server_would_convert_is_refused_even_without_our_own_check(
    database: Database, monkeypatch: pytest.MonkeyPatch, columns: dict[str, object]
) -> None:
    monkeypatch.setattr(door, "require_fit", lambda *_: None)
    with pytest.raises(StoreError, match="nothing of them is kept"):
        database.run(lambda tx: tx.load("customer", customer(**columns)))
    assert count(database) == 0


@pytest.mark.parametrize("columns", CONVERTED.values(), ids=CONVERTED.keys())
def test_what_is_said_once_for_all_rows_is_not_converted_either(
    database: Database, monkeypatch: pytest.MonkeyPatch, columns: dict[str, object]
) -> None:
    monkeypatch.setattr(door, "require_fit", lambda *_: None)
    monkeypatch.setattr(bulk, "MANY_ROWS", 2)
    two = [
        customer(**columns),
        customer(**columns).with_columns(customer_id=pl.lit(2, pl.Int64)),
    ]
    with pytest.raises(StoreError):
        database.run(lambda tx: tx.load("customer", pl.concat(two)))
    assert count(database) == 0


COLUMNS = [
    Column("id", "bigint(20)", is_needed=False, is_generated=False),
    Column("small", "int(11)", is_needed=False, is_generated=False),
    Column("name", "varchar(8)", is_needed=True, is_generated=False),
    Column("at", "datetime", is_needed=False, is_generated=False),
    Column("moment", "timestamp(6)", is_needed=False, is_generated=False),
    Column("day", "date", is_needed=False, is_generated=False),
    Column("cost", "decimal(18,6)", is_needed=False, is_generated=True),
]
TICK = datetime.fromisoformat("2026-10-25 02:30:00.000001")


@pytest.mark.parametrize(
    "columns",
    [
        {"id": ["1e3"]},
        {"id": [10.7]},
        {"id": pl.Series([2**63], dtype=pl.UInt64)},
        {"small": [2**31]},
        {"small": [-(2**31) - 1]},
        {"at": ["2026-10-25 02:30:00"]},
        {"at": [TICK]},
        {"at": pl.Series([TICK]).dt.replace_time_zone("UTC")},
        {"day": [TICK]},
        {"moment": pl.Series([TICK]).dt.cast_time_unit("ms")},
        {"cost": [1]},
        {"name": [1]},
        {"name": [b"x"]},
        {"other": [1]},
    ],
)
def test_a_value_its_column_would_change_is_refused_before_it_is_sent(
    columns: dict[str, object],
) -> None:
    with pytest.raises((ContractError, StoreError)):
        require_fit("t", pl.DataFrame({"name": ["x"], **columns}), COLUMNS)


def test_a_value_its_column_holds_is_sent() -> None:
    row = pl.DataFrame(
        {
            "id": [-(2**63)],
            "small": [2**31 - 1],
            "name": ["x"],
            "at": [TICK.replace(microsecond=0)],
            "moment": [TICK],
            "day": [TICK.date()],
        }
    )
    require_fit("t", row, COLUMNS)
    with pytest.raises(ContractError, match="name: not given"):
        require_fit("t", row.drop("name"), COLUMNS)


def test_a_moment_reads_back_to_its_microsecond(database: Database) -> None:
    row = pl.DataFrame(
        {
            "customer_id": [1],
            "cycle_start_date": [TICK.date()],
            "cycle_end_date": [TICK.date()],
            "mark": [1],
            "reason": ["x"],
            "marked_at": [TICK.replace(hour=12)],
        }
    )
    schema = {
        "customer_id": pl.Int64(),
        "cycle_start_date": pl.Date(),
        "marked_at": pl.Datetime("us"),
    }
    with database.transaction() as tx:
        tx.load("dirty_cycle", row)
        assert tx.frame("test/days", schema)["marked_at"][0] == TICK.replace(hour=12)


def test_a_temporary_table_takes_rows_like_any_other(database: Database) -> None:
    with database.transaction() as tx:
        tx._connection.exec_driver_sql("CREATE TEMPORARY TABLE wanted (id BIGINT)")
        assert tx.load("wanted", pl.DataFrame({"id": [1, 2]})) == 2


def test_values_are_taken_out_of_what_the_server_says() -> None:
    for said in (
        "Duplicate entry '31612345678-O'Brien' for key 'PRIMARY'",
        "Incorrect integer value: 'O'Brien' for column `etl`.`customer`.`x` at row 1",
        "Truncated incorrect DOUBLE value: 'O'Brien'",
        "You have an error in your SQL syntax; check near 'O'Brien' at line 1",
        "row 31612345678 of O",
    ):
        assert "Brien" not in masked(said)
        assert "31612345678" not in masked(said)
    assert masked("Duplicate entry 'x' for key 'PRIMARY'").endswith("for key 'PRIMARY'")


@pytest.mark.parametrize(
    ("number", "ours"),
    [
        (1205, StoreBusy),
        (1213, StoreBusy),
        (1020, StoreBusy),
        (2006, StoreUnavailable),
        (2013, StoreUnavailable),
        (1040, StoreUnavailable),
        (1290, StoreError),
        (1114, StoreError),
    ],
)
def test_the_servers_error_numbers_become_ours(number: int, ours: type[StoreError]) -> None:
    exc = mysql.connector.errors.OperationalError(msg="x", errno=number)
    assert type(MySQLFaults().translate(exc, "commit")) is ours


# --- the private folder ---------------------------------------------------------------


def test_load_files_are_in_a_folder_only_we_can_read_and_do_not_stay(
    mariadb_url: str, tmp_path: Path
) -> None:
    database = open_database(mariadb_url, temp_dir=tmp_path)
    [folder] = tmp_path.iterdir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with database.transaction() as tx:
        tx.load("customer", customer())
    assert [path.name for path in folder.iterdir()] == [bulk.LOCK_NAME]
    database.close()
    assert list(tmp_path.iterdir()) == []


def test_a_file_outside_the_folder_is_never_sent(
    database: Database, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("canary")

    def work(tx: Transaction) -> None:
        tx.execute("test/load_file", path=str(secret))

    with pytest.raises(StoreError, match="test/load_file"):
        database.run(work)


def test_what_a_killed_process_left_behind_is_removed_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = tmp_path / f"{bulk.FOLDER_PREFIX}left"
    left.mkdir()
    (left / bulk.LOCK_NAME).touch()
    (left / "1.csv").write_text("records")
    other = tmp_path / "other"
    other.mkdir()
    used = PrivateFolder(tmp_path)
    assert left.exists()  # too young to tell
    monkeypatch.setattr(bulk, "STALE_AFTER_S", -1)
    remove_stale(tmp_path)
    assert sorted(tmp_path.iterdir()) == sorted([other, used.path])
    used.close()
    assert list(tmp_path.iterdir()) == [other]


def test_the_tests_own_connection_is_the_c_extension(mariadb_url: str) -> None:
    with closing(connect(mariadb_url)) as connection:
        assert type(connection).__name__ == "CMySQLConnection"
