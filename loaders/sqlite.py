"""SQLite: the embedded store, one file, strict tables, a write lock taken at once.

Effects: makes the file (0600) and its folder (0700), reads and writes it.

The file is in WAL mode with every commit synced. A writing transaction takes the write
lock as it begins, so that two of them queue up instead of failing half-way. Never open
the file with a second library in the same process: two SQLite copies drop each other's
locks.

Units: ``_ms`` milliseconds.
"""

import errno
import os
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, cast

import polars as pl
import sqlalchemy as sa
from sqlalchemy.engine import URL

from loaders.bulk import Column, quoted, said
from loaders.database import FRAME_ROWS, NO_LISTS, Database, Faults, Transaction, clause_at
from loaders.frames import frame_of_values, positions
from loaders.upgrade import is_at_head, migrate
from transforms.cdr import Schema
from transforms.errors import (
    ConfigError,
    ContractError,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)

SLICE_ROWS: Final = 10_000
CACHE_KIB: Final = 64 * 1024
BUSY_TIMEOUT_MS: Final = 30_000
NEEDED_VERSION: Final = (3, 37)
SYNCHRONOUS_FULL: Final = "2"
MEMORY = ("", ":memory:")

# The driver looks for an adapter of each null it is given, through three protocols that
# no null has; one that gives it back ends the search and saves a fifth of an insert.
sqlite3.register_adapter(type(None), {None: None}.get)


class SQLiteFaults(Faults):
    """SQLite's result codes into ours."""

    def translate(self, exc: Exception, doing: str) -> StoreError | None:
        """Return what to raise instead of ``exc``, or None when it is not a driver's."""
        cause = exc.orig if isinstance(exc, sa.exc.DBAPIError) else exc
        if isinstance(exc, sa.exc.TimeoutError):
            return StoreUnavailable(f"{doing}: no database connection came free")
        if isinstance(cause, OverflowError):
            return StoreError(f"{doing}: a number does not fit 64 bits")
        if not isinstance(cause, sqlite3.Error):
            is_ours = isinstance(exc, sa.exc.SQLAlchemyError)
            return StoreError(f"{doing}: {type(exc).__name__}") if is_ours else None
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
        message = f"{doing}: the database says {code}: {cause}"
        if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return StoreBusy(message)
        if code == sqlite3.SQLITE_CANTOPEN:
            return StoreUnavailable(message)
        return StoreError(message)


class SQLiteDatabase(Database):
    """A database in one SQLite file."""

    dialect = "sqlite"
    writers = 1

    def __init__(self, url: URL) -> None:
        """Make the file when it is missing; it is opened by the first question.

        Raises:
            ConfigError: When the URL names no file, or the file cannot be made.
        """
        if url.query:
            message = f"ETL_DATABASE_URL has unknown options {', '.join(sorted(url.query))}"
            raise ConfigError(message)
        self._path = _file(url)
        self._faults = SQLiteFaults()
        self._engine = sa.create_engine(
            URL.create("sqlite", database=str(self._path)),
            connect_args={"isolation_level": None, "timeout": BUSY_TIMEOUT_MS / 1000},
            hide_parameters=True,
        )
        sa.event.listen(self._engine, "connect", _set_up)

    def upgrade(self) -> None:
        """Bring the schema to the newest revision; nothing to do when it is there.

        The write lock keeps other processes away, and the whole upgrade is one
        transaction: it is there, or not at all.
        """
        with self._connection() as connection, self._faults.guard("upgrade"):
            if is_at_head(connection, self.dialect):
                return
            connection.rollback()
            _say(connection, "allow_writes", "begin")
            try:
                if not is_at_head(connection, self.dialect):
                    migrate(connection)
                connection.commit()
            except BaseException:
                connection.invalidate()
                raise

    def check(self) -> list[str]:
        """Return what is wrong with the connection's settings; empty when all is fine."""
        with self.snapshot() as tx:
            found = {
                str(row["name"]): str(row["value"]) for row in tx.rows("database/settings")
            }
        needed = {
            "foreign_keys": "1",
            "journal_mode": "wal",
            "synchronous": SYNCHRONOUS_FULL,
        }
        faults = [
            f"{name} is {found.get(name)}; it must be {value}"
            for name, value in needed.items()
            if found.get(name) != value
        ]
        if sqlite3.sqlite_version_info[:2] < NEEDED_VERSION:
            faults.append(f"SQLite is {found['version']}; it must be 3.37 or newer")
        return faults

    def close(self) -> None:
        """Let go of every connection."""
        self._engine.dispose()

    def _begin_write(self, connection: sa.Connection) -> Transaction:
        _say(connection, "allow_writes", "begin")
        return SQLiteTransaction(connection, self._faults)

    def _begin_snapshot(self, connection: sa.Connection) -> Transaction:
        _say(connection, "forbid_writes", "begin_snapshot", "fix_snapshot")
        return SQLiteTransaction(connection, self._faults)


class SQLiteTransaction(Transaction):
    """One open transaction on SQLite."""

    dialect = "sqlite"

    def __init__(self, connection: sa.Connection, faults: Faults) -> None:
        """Work on ``connection``."""
        super().__init__(connection, faults)
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
        with self._guard(path):
            result = self._run(path, params)
            order = positions(list(result.keys()), schema, path)
            try:
                while rows := result.cursor.fetchmany(batch_rows):
                    columns = list(zip(*rows, strict=True))
                    yield frame_of_values([columns[at] for at in order], schema, path)
            finally:
                result.close()

    def load(self, table: str, frame: pl.DataFrame, *, batch_rows: int = 1000) -> int:
        """Insert all rows of ``frame`` into ``table``, each exactly as it is, or raise."""
        if frame.is_empty():
            return 0
        try:
            with self._guard(f"load {table}"):
                self._insert(table, frame)
        except BaseException as exc:
            self._broken = f"load {table}: {exc}"
            raise
        return frame.height

    def _insert(self, table: str, frame: pl.DataFrame) -> None:
        _require_storable(frame)
        driver = self._driver()
        sent = said(frame, self._columns(table))
        once = {name: self._literal(value) for name, value in sent.once.items()}
        statement = insert_statement(table, sent.frame.columns, once)
        before = driver.total_changes
        for rows in sent.frame.iter_slices(SLICE_ROWS):
            driver.executemany(statement, _rows(rows))
        stored = driver.total_changes - before
        if stored != frame.height:
            message = f"table {table} took {stored} of {frame.height} rows"
            raise StoreError(message)

    def _columns(self, table: str) -> list[Column]:
        """The table's columns, asked once in each transaction (temporary ones too)."""
        if table not in self._tables:
            rows = self._driver().execute(f"PRAGMA table_info({quoted(table)})")
            self._tables[table] = [_column(*row) for row in rows]
        return self._tables[table]

    def _literal(self, value: str | int) -> str:
        """Let SQLite write a value as it stands in a statement."""
        (row,) = self.rows("database/quote", value=value)
        return str(row["literal"])

    def _driver(self) -> sqlite3.Connection:
        return cast("sqlite3.Connection", self._connection.connection.dbapi_connection)


def _column(
    _number: int, name: str, declared: str, is_not_null: int, default: object, _key: int
) -> Column:
    """One row of PRAGMA table_info."""
    is_needed = bool(is_not_null) and default is None
    is_null_unsaid = not is_not_null and default is None
    return Column(
        name, declared, is_needed, is_generated=False, is_null_unsaid=is_null_unsaid
    )


def _say(connection: sa.Connection, *names: str) -> None:
    for name in names:
        connection.execute(clause_at("sqlite", f"database/{name}", NO_LISTS))


def insert_statement(table: str, columns: Sequence[str], once: Mapping[str, str]) -> str:
    """Write the INSERT of one row.

    Args:
        table: The table's name.
        columns: What its parameters are, in their order.
        once: What is the same in every row, by column, as literals.
    """
    listed = ", ".join(quoted(name) for name in (*columns, *once))
    values = ", ".join((*("?" for _ in columns), *once.values()))
    return f"INSERT INTO {quoted(table)} ({listed}) VALUES ({values})"  # noqa: S608 - names are checked, literals are SQLite's own


def _require_storable(frame: pl.DataFrame) -> None:
    for name, dtype in frame.schema.items():
        is_time = dtype == pl.Date() or dtype == pl.Datetime("us")
        if not (is_time or dtype.is_integer() or dtype in (pl.String(), pl.Null())):
            message = f"column {name!r} is {dtype}, which is not stored"
            raise ContractError(message)


def _rows(frame: pl.DataFrame) -> Iterator[tuple[object, ...]]:
    """The rows as SQLite keeps them, dates and date-times as texts."""
    return zip(*(_values(column) for column in frame.get_columns()), strict=True)


def _values(column: pl.Series) -> list[object]:
    dtype = column.dtype
    if isinstance(dtype, pl.Datetime):
        is_fine = (column.dt.epoch("us") % 1_000_000 != 0).any()
        pattern = "%Y-%m-%d %H:%M:%S%.6f" if is_fine else "%Y-%m-%d %H:%M:%S"
        return column.dt.strftime(pattern).to_list()
    if dtype == pl.Date():
        return column.dt.strftime("%Y-%m-%d").to_list()
    return column.to_list()


def _set_up(driver: sqlite3.Connection, _record: object) -> None:
    """Set a new connection up: patience first, so that the rest may wait its turn."""
    for pragma in (
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "synchronous = FULL",
        "foreign_keys = ON",
        "temp_store = MEMORY",
        f"cache_size = -{CACHE_KIB}",
    ):
        driver.execute(f"PRAGMA {pragma}")
    _use_wal(driver)


def _use_wal(driver: sqlite3.Connection) -> None:
    """Switch the file to WAL once; the switch itself does not wait for others."""
    deadline = time.monotonic() + BUSY_TIMEOUT_MS / 1000
    while driver.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        try:
            driver.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _file(url: URL) -> Path:
    """Return the file a URL names, made with its folder when missing."""
    if url.database in (None, *MEMORY) or str(url.database).startswith("file:"):
        message = (
            "ETL_DATABASE_URL names no SQLite file; write sqlite:///var/etl.db "
            "(three slashes and a path; four for an absolute one)"
        )
        raise ConfigError(message)
    path = Path(str(url.database)).absolute()
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A file that is there is not opened: to close it again would drop every lock that
        # this process has on it, and another process would take our log away from us.
        with suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except OSError as exc:
        message = f"the database file {path} cannot be used: {exc.strerror}"
        raise ConfigError(message) from exc
    if not os.access(path, os.R_OK | os.W_OK):
        message = f"the database file {path} cannot be used: {os.strerror(errno.EACCES)}"
        raise ConfigError(message)
    return path
