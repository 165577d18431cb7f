"""MySQL and MariaDB: strict sessions, verified connections, LOAD DATA that is proven.

Effects: connects to the server a URL names; keeps load files in a private folder.

Each new connection is checked and set up before it is used: the driver's C extension,
verified TLS unless the server is on this machine, a strict ``sql_mode``. Writing
transactions are READ COMMITTED (who waited for a lock then sees what its last owner
committed); snapshots are REPEATABLE READ and read-only.

Units: ``_s`` seconds, ``_bytes`` bytes.
"""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address
from itertools import chain, count, islice
from pathlib import Path
from typing import Any, Final, cast

import mysql.connector
import polars as pl
import sqlalchemy as sa
from mysql.connector.abstracts import MySQLCursorAbstract
from mysql.connector.connection_cext import CMySQLConnection
from mysql.connector.constants import ClientFlag
from mysql.connector.cursor_cext import CMySQLCursorRaw
from sqlalchemy.engine import URL

from loaders.bulk import (
    Column,
    PrivateFolder,
    csv_batches,
    load_statement,
    quoted,
    require_fit,
    said,
)
from loaders.database import (
    FRAME_ROWS,
    NO_LISTS,
    Database,
    Faults,
    Transaction,
    clause_at,
    parameters_of,
    require_given,
)
from loaders.frames import frame_of_texts, positions
from loaders.upgrade import is_at_head, migrate
from transforms.cdr import Schema
from transforms.errors import ConfigError, StoreBusy, StoreError, StoreUnavailable

CONNECT_TIMEOUT_S: Final = 10
ANSWER_TIMEOUT_S: Final = 600
UPGRADE_PATIENCE_S: Final = 120
CONNECTIONS: Final = 8
MORE_CONNECTIONS: Final = 8
POOL_TIMEOUT_S: Final = 30
NEEDED_PACKET_BYTES: Final = 16 * 1024 * 1024
NEEDED_MARIADB: Final = (10, 6)
NEEDED_MYSQL: Final = (8, 0)

SLICE_ROWS: Final = 10_000

SECONDS = ("connection_timeout", "read_timeout", "write_timeout")
FILES = ("ssl_ca", "ssl_cert", "ssl_key", "unix_socket")
FIXED: Final = {"charset": "utf8mb4", "collation": "utf8mb4_bin"}

BUSY: Final = {
    1020: "the row changed since it was read",
    1205: "lock wait timeout",
    1213: "deadlock",
    1317: "the query was interrupted",
    1467: "no auto-increment value could be read",
    1969: "max_statement_time was exceeded",
    3024: "max_execution_time was exceeded",
}
AWAY: Final = {
    *(1040, 1042, 1053, 1077, 1079, 1080, 1129, 1152, 1158, 1159, 1160, 1161),
    *(1184, 1189, 1190, 1203, 1226, 1927, 2002, 2003, 2005, 2006, 2012, 2013, 2027),
    *(2045, 2048, 2055, 4031),
}
REFUSED: Final = {1044, 1045, 1049, 1130, 1251, 1524, 1698, 2026, 2059, 2061}
"""Errors of connecting that only a person can mend: user, secret, database, TLS."""

NO_LOCAL_INFILE: Final = {1148, 2068, 3948, 4166}
VALUE = re.compile(
    r"\b(entry|value:?|near|string|argument) "
    r"(?:'.*'(?= for (?:key|column) | at (?:row|line) )|'.*$)",
    re.DOTALL,
)
LONG_NUMBER = re.compile(r"\d{5,}")


class MySQLFaults(Faults):
    """MySQL's error numbers into ours; values are taken out of their messages."""

    def translate(self, exc: Exception, doing: str) -> StoreError | None:
        """Return what to raise instead of ``exc``, or None when it is not a driver's."""
        cause = exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc
        if isinstance(exc, sa.exc.TimeoutError):
            message = f"{doing}: no database connection came free in {POOL_TIMEOUT_S} s"
            return StoreUnavailable(message)
        number = getattr(cause, "errno", None)
        if not isinstance(cause, mysql.connector.Error) and not _is_interface_error(cause):
            is_ours = isinstance(exc, sa.exc.SQLAlchemyError)
            return StoreError(f"{doing}: {type(exc).__name__}") if is_ours else None
        said = masked(str(getattr(cause, "msg", None) or cause))
        message = f"{doing}: the database says {number}: {said}"
        if number in BUSY:
            return StoreBusy(message)
        if number in AWAY or _is_lost(cause):
            return StoreUnavailable(message)
        if number in NO_LOCAL_INFILE:
            return StoreError(f"{message}; set local_infile=ON on the server")
        return StoreError(message)


def masked(text: str) -> str:
    """Take values out of a server's message: ``Duplicate entry '…' for key 'PRIMARY'``."""
    return LONG_NUMBER.sub("…", VALUE.sub(r"\1 '…'", text))


def _is_interface_error(cause: object) -> bool:
    """The C extension's own error, which is not one of the driver's."""
    return type(cause).__name__ == "MySQLInterfaceError"


def _is_lost(cause: object) -> bool:
    text = str(cause)
    return "Connection not available" in text or "Lost connection" in text


class Connection(CMySQLConnection):
    """The driver's connection by its C extension, that asks for no sign of life.

    The driver pings the server for every cursor, which is for every statement: half of all
    round trips. A connection is pinged when the pool gives it out; one that is lost later
    says so by its next statement.
    """

    def is_connected(self) -> bool:
        """Whether the connection is open, as far as this side knows."""
        if not self._cmysql or self.is_closed():
            return False
        self.handle_unread_result()
        return True


class MySQLDatabase(Database):
    """A database on a MySQL 8+ or MariaDB 10.6+ server."""

    dialect = "mysql"
    writers = CONNECTIONS

    def __init__(self, url: URL, *, temp_dir: Path | None) -> None:
        """Check the URL; nothing is connected yet.

        Raises:
            ConfigError: When the URL asks for what is not allowed, or leaves TLS out.
        """
        self._arguments = connect_arguments(url)
        self._folder = PrivateFolder(temp_dir)
        self._arguments["allow_local_infile_in_path"] = str(self._folder.path)
        self._faults = MySQLFaults()
        self._engine = sa.create_engine(
            "mysql+mysqlconnector://",
            creator=self._connect,
            hide_parameters=True,
            pool_size=CONNECTIONS,
            max_overflow=MORE_CONNECTIONS,
            pool_timeout=POOL_TIMEOUT_S,
            pool_pre_ping=True,
            pool_recycle=1800,
        )

    def upgrade(self) -> None:
        """Bring the schema to the newest revision; nothing to do when it is there."""
        with self._connection() as connection, self._faults.guard("upgrade"):
            if is_at_head(connection, self.dialect):
                return
            connection.rollback()
            lock = clause_at(self.dialect, "database/take_upgrade_lock", NO_LISTS)
            taken = connection.scalar(lock, {"patience_s": UPGRADE_PATIENCE_S})
            if taken != 1:
                message = "another process has been changing the schema for too long"
                raise StoreUnavailable(message)
            try:
                if not is_at_head(connection, self.dialect):
                    migrate(connection)
                connection.commit()
                connection.execute(
                    clause_at(self.dialect, "database/drop_upgrade_lock", NO_LISTS)
                )
            except BaseException:
                connection.invalidate()  # the server drops the lock with the session
                raise

    def check(self) -> list[str]:
        """Return what is wrong with the server's settings; empty when all is fine."""
        with self.transaction() as tx:
            found = {
                str(row["Variable_name"]).lower(): str(row["Value"])
                for row in tx.rows("database/settings")
            }
            mode = tx.row("database/server_mode")
        found["sql_mode"] = str(mode["sql_mode"]) if mode else ""
        return setting_faults(found)

    def close(self) -> None:
        """Let go of every connection and of the private work folder."""
        self._engine.dispose()
        self._folder.close()

    def _connect(self) -> Any:  # noqa: ANN401 - SQLAlchemy takes the driver's own object
        """Open one connection and set its session up."""
        try:
            connection = Connection(**self._arguments)
        except (mysql.connector.Error, OSError) as exc:
            raise _connect_fault(exc) from exc
        try:
            with connection.cursor() as cursor:
                for name in ("session", "isolate_session"):
                    clause = clause_at("mysql", f"database/{name}", NO_LISTS)
                    cursor.execute(clause.text)
        except BaseException:
            connection.close()
            raise
        return connection

    def _begin_write(self, connection: sa.Connection) -> Transaction:
        connection.begin()
        return MySQLTransaction(connection, self._faults, self._folder.path)

    def _begin_snapshot(self, connection: sa.Connection) -> Transaction:
        for name in ("isolate_snapshot", "begin_snapshot"):
            connection.execute(clause_at("mysql", f"database/{name}", NO_LISTS))
        return MySQLTransaction(connection, self._faults, self._folder.path)


FILE_NUMBERS = count(1)
"""Names of load files: no two of this process are the same."""


class MySQLTransaction(Transaction):
    """One open transaction on MySQL or MariaDB."""

    dialect = "mysql"

    def __init__(self, connection: sa.Connection, faults: Faults, folder: Path) -> None:
        """Work on ``connection``; load files go to ``folder``."""
        super().__init__(connection, faults)
        self._folder = folder
        self._tables: dict[str, list[Column]] = {}

    def frames(
        self,
        path: str,
        /,
        schema: Schema,
        *,
        batch_rows: int = FRAME_ROWS,
        **params: object,
    ) -> Iterator[pl.DataFrame]:
        """Run one query and yield its rows in frames of at most ``batch_rows`` rows."""
        query, bound = self._compiled(path, params)
        with self._guard(path):
            driver = self._driver()
            cursor = driver.cursor(cursor_class=CMySQLCursorRaw)
            cursor.execute(query, cast("dict[str, Any]", bound))
            found = [str(each[0]) for each in cursor.description or []]
            try:
                order = positions(found, schema, path)
                for columns in _text_columns(driver, len(order), batch_rows):
                    yield frame_of_texts([columns[at] for at in order], schema, path)
            finally:
                driver.consume_results()
                cursor.close()

    def load(self, table: str, frame: pl.DataFrame, *, batch_rows: int = 1000) -> int:
        """Insert all rows of ``frame`` into ``table``, each exactly as it is, or raise."""
        if frame.is_empty():
            return 0
        try:
            with self._guard(f"load {table}"):
                columns = self._columns(table)
                require_fit(table, frame, columns)
                sent = said(frame, columns)
                query, once = load_statement(table, sent), (*sent.once.values(),)
                left = frame.height
                # One cursor for all batches: with each new one the driver pings the server.
                with self._driver().cursor() as cursor:
                    for batch in csv_batches(sent.frame, batch_rows):
                        self._hand_over(cursor, query, once, batch)
                        self._require_stored(cursor, table, min(left, batch_rows))
                        left -= batch_rows
        except BaseException as exc:
            # The driver may be in the middle of an answer: never ask it anything again.
            self._broken = f"load {table}: {exc}"
            self._connection.invalidate()
            raise
        return frame.height

    def _hand_over(
        self,
        cursor: MySQLCursorAbstract,
        query: str,
        once: tuple[str | int, ...],
        batch: memoryview,
    ) -> None:
        """Let the server read one batch from a file that is gone afterwards."""
        path = self._folder / f"{next(FILE_NUMBERS)}.csv"
        write_private(path, batch)
        try:
            cursor.execute(query, (str(path), *once))
        finally:
            path.unlink()

    def _require_stored(self, cursor: MySQLCursorAbstract, table: str, rows: int) -> None:
        """Prove that each row of the last batch was stored as it is."""
        stored, warned = cursor.rowcount, cursor.warning_count
        if stored != rows or warned:
            warning = self._first_warning()
            message = (
                f"table {table} took {stored} of {rows} rows as they are, with {warned} "
                f"warnings; nothing of them is kept{warning}"
            )
            raise StoreError(message)

    def _first_warning(self) -> str:
        with self._driver().cursor() as cursor:
            cursor.execute(clause_at("mysql", "database/warnings", NO_LISTS).text)
            warnings = cursor.fetchall()
        if not warnings:
            return ""
        _level, number, text = (str(each) for each in warnings[0])
        return f"; the database says {number}: {masked(text)}"

    def _columns(self, table: str) -> list[Column]:
        """The table's columns, asked once in each transaction (temporary ones too)."""
        if table not in self._tables:
            with self._driver().cursor() as cursor:
                cursor.execute(f"SHOW COLUMNS FROM {quoted(table)}")
                self._tables[table] = [_column(*row) for row in cursor.fetchall()]
        return self._tables[table]

    def _compiled(
        self, path: str, params: Mapping[str, object]
    ) -> tuple[str, dict[str, object]]:
        """The statement and its values as the driver wants them."""
        bound = self._bound(params)
        clause = self._clause(path, bound)
        names = parameters_of(clause)
        require_given(path, names, bound)
        given = clause.bindparams(**{name: bound[name] for name in sorted(names)})
        compiled = given.compile(
            dialect=self._connection.dialect, compile_kwargs={"render_postcompile": True}
        )
        return str(compiled), dict(compiled.params)

    def _driver(self) -> CMySQLConnection:
        return cast("CMySQLConnection", self._connection.connection.dbapi_connection)


def _text_columns(
    driver: CMySQLConnection, width: int, batch_rows: int
) -> Iterator[list[pl.Series]]:
    """Read the open answer as columns of texts.

    The C extension's own ``fetch_row`` is asked directly: the driver's ``fetchmany`` runs
    Python code for each value and is 3 times slower. The values of a slice of rows go
    into one series, which is then dealt out over the columns; small slices keep Python's
    garbage collector from walking a million live tuples.
    """
    extension = cast("Any", driver)._cmysql
    fetched = iter(extension.fetch_row, None)
    while True:
        slices: list[pl.Series] = []
        for start in range(0, batch_rows, SLICE_ROWS):
            rows = list(islice(fetched, min(SLICE_ROWS, batch_rows - start)))
            if rows:
                slices.append(_texts(list(chain.from_iterable(rows))))
        if not slices:
            return
        dealt = pl.concat(slices)
        yield [dealt.gather_every(width, offset) for offset in range(width)]


def _texts(values: list[bytes | None]) -> pl.Series:
    return pl.Series(values, dtype=pl.Binary, strict=True).cast(pl.String)


def write_private(path: Path, content: memoryview) -> None:
    """Write a new file that only we can read; never follows or replaces anything."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        file.write(content)


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return what the driver is told, from a URL that is checked whole.

    Raises:
        ConfigError: When the URL has an unknown option, or a server elsewhere is to be
            reached without TLS that is verified.
    """
    options = {name: value for name, value in url.query.items() if isinstance(value, str)}
    known = {*SECONDS, *FILES, *FIXED}
    unknown = sorted(set(url.query) - known)
    if unknown:
        message = (
            f"ETL_DATABASE_URL has unknown options {', '.join(unknown)}; "
            f"known are {', '.join(sorted(known))}"
        )
        raise ConfigError(message)
    if not url.database:
        message = "ETL_DATABASE_URL names no database; write …@HOST/NAME"
        raise ConfigError(message)
    _require_fixed(options)
    return {
        "user": url.username or "",
        "password": url.password or "",
        "database": url.database,
        "client_flags": [ClientFlag.FOUND_ROWS],
        "allow_local_infile": False,
        "connection_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": ANSWER_TIMEOUT_S,
        "write_timeout": ANSWER_TIMEOUT_S,
        **FIXED,
        **{name: _seconds(name, options[name]) for name in SECONDS if name in options},
        **_way(url, options),
    }


def _way(url: URL, options: Mapping[str, str]) -> dict[str, Any]:
    """How the server is reached: its socket, this machine, or verified TLS."""
    if "unix_socket" in options:
        return {"unix_socket": options["unix_socket"], "ssl_disabled": True}
    host = url.host or "127.0.0.1"
    place = {"host": host, "port": url.port or 3306}
    if "ssl_ca" in options:
        files = {name: options[name] for name in FILES if name in options}
        verified = {"ssl_verify_cert": True, "ssl_verify_identity": True}
        return {**place, **files, **verified, "ssl_disabled": False}
    if _is_this_machine(host):
        return place
    message = (
        f"the database server {host} is not on this machine and its certificate would "
        "not be verified; add ?ssl_ca=/path/to/ca.pem to ETL_DATABASE_URL"
    )
    raise ConfigError(message)


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _require_fixed(options: Mapping[str, str]) -> None:
    for name, value in FIXED.items():
        if options.get(name, value) != value:
            message = f"ETL_DATABASE_URL has {name}={options[name]}; it must be {value}"
            raise ConfigError(message)


def _seconds(name: str, text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        message = f"ETL_DATABASE_URL has {name}={text}; it must be a number of seconds"
        raise ConfigError(message)
    return int(text)


def _connect_fault(exc: Exception) -> ConfigError | StoreUnavailable:
    number = getattr(exc, "errno", None)
    said = masked(str(getattr(exc, "msg", None) or exc))
    if number in REFUSED:
        message = f"the database refuses us ({number}: {said}); check ETL_DATABASE_URL"
        return ConfigError(message)
    return StoreUnavailable(f"the database cannot be reached ({number}: {said})")


def _column(
    name: str, declared: str | bytes, null: str, _key: str, default: object, extra: str
) -> Column:
    """One row of SHOW COLUMNS."""
    kind = declared.decode() if isinstance(declared, bytes) else declared
    is_generated = "GENERATED" in extra.upper().replace("DEFAULT_GENERATED", "")
    is_filled = default is not None or "auto_increment" in extra.lower() or is_generated
    return Column(
        name,
        kind.lower(),
        is_needed=null == "NO" and not is_filled,
        is_generated=is_generated,
        is_null_unsaid=null == "YES" and not is_filled,
    )


def setting_faults(found: Mapping[str, str]) -> list[str]:
    """Return what is wrong with a server's settings, one sentence each.

    ``{"local_infile": "OFF", …}`` yields ``local_infile is OFF; it must be ON``.
    """
    rules: list[tuple[str, str, Callable[[str], bool]]] = [
        ("local_infile", "ON", _is("ON", "1")),
        ("innodb_flush_log_at_trx_commit", "1", _is("1")),
        ("default_storage_engine", "InnoDB", _is("InnoDB")),
        ("sql_mode", "one with STRICT_TRANS_TABLES or STRICT_ALL_TABLES", _is_strict),
        ("character_set_client", "utf8mb4", _is("utf8mb4")),
        ("character_set_connection", "utf8mb4", _is("utf8mb4")),
        ("collation_connection", "utf8mb4_bin", _is("utf8mb4_bin")),
        ("max_allowed_packet", f"at least {NEEDED_PACKET_BYTES}", _is_large_packet),
        ("read_only", "OFF", _is("OFF", "0")),
        ("max_statement_time", "0", lambda value: float(value) == 0),
        ("version", "MySQL 8.0 or MariaDB 10.6 or newer", _is_new),
    ]
    faults = [
        f"{name} is {found[name] or 'empty'}; it must be {needed}"
        for name, needed, is_right in rules
        if name in found and not is_right(found[name])
    ]
    if found.get("log_bin") == "ON" and found.get("binlog_format") == "STATEMENT":
        faults.append("binlog_format is STATEMENT; it must be ROW or MIXED")
    return faults


def _is(*right: str) -> Callable[[str], bool]:
    return lambda value: value.lower() in {each.lower() for each in right}


def _is_strict(mode: str) -> bool:
    return bool({"STRICT_TRANS_TABLES", "STRICT_ALL_TABLES"} & set(mode.split(",")))


def _is_large_packet(value: str) -> bool:
    return int(value) >= NEEDED_PACKET_BYTES


def _is_new(version: str) -> bool:
    numbers = tuple(int(each) for each in re.findall(r"\d+", version)[:2])
    return numbers >= (NEEDED_MARIADB if "mariadb" in version.lower() else NEEDED_MYSQL)
