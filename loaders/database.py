"""The database door: transactions, statements by path, frames in and frames out.

Effects: everything here talks to a database. ``MySQLDatabase`` (``loaders/mysql.py``) and
``SQLiteDatabase`` (``loaders/sqlite.py``) keep the same promises, which one suite in
``tests/store/`` holds them to::

    with database.transaction() as tx:
        tx.execute("import/claim", import_id=7, owner="worker-1")
        tx.load("call_detail_record", frame)

A statement's path is looked up as ``<dialect>/<path>``, else as ``any/<path>``. Driver
errors leave this room as ``StoreError`` and its kin, without values and without secrets.

Units: instants are naive, by the database's clock; ``_s`` seconds.
"""

import random
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from datetime import date, datetime
from functools import cache
from typing import Final, Literal, TypeVar

import polars as pl
import sqlalchemy as sa

from sql import statement
from transforms.cdr import Schema
from transforms.errors import (
    BillingError,
    ContractError,
    StoreBusy,
    StoreError,
    StoreUnavailable,
)

Dialect = Literal["mysql", "sqlite"]
Row = sa.RowMapping
"""One row of an answer; ``row["name"]`` is its value as the driver gave it."""

T = TypeVar("T")

NO_LISTS: Final[frozenset[str]] = frozenset()
FRAME_ROWS: Final = 100_000
WRITE_BATCH_ROWS: Final = 1000
FIRST_WAIT_S: Final = 0.05
LONGEST_WAIT_S: Final = 2.0


class Faults(ABC):
    """How one driver's exceptions become ours."""

    @abstractmethod
    def translate(self, exc: Exception, doing: str) -> StoreError | None:
        """Return what to raise instead of ``exc``, or None when it is not a driver's."""

    @contextmanager
    def guard(self, doing: str) -> Iterator[None]:
        """Turn a driver's exception within into ours; ``doing`` says what was asked."""
        try:
            yield
        except BillingError:
            raise
        except Exception as exc:
            fault = self.translate(exc, doing)
            if fault is None:
                raise
            raise fault from exc


class Transaction(ABC):
    """One open database transaction; made by ``Database.transaction`` or ``.snapshot``.

    Attributes:
        dialect: Which folder of ``sql/`` its statements come from first.
    """

    dialect: Dialect

    def __init__(self, connection: sa.Connection, faults: Faults) -> None:
        """Work on ``connection``, which is inside its transaction already."""
        self._connection = connection
        self._faults = faults
        self._broken: str | None = None

    def execute(self, path: str, /, **params: object) -> int:
        """Run one statement and return how many rows it found (not: changed).

        Raises:
            StoreError: When the database refuses it.
        """
        with self._guard(path):
            return self._run(path, params).rowcount

    def insert(self, path: str, /, **params: object) -> int:
        """Run an INSERT of one row and return the id the database gave it.

        Raises:
            StoreError: When the database refuses it.
        """
        with self._guard(path):
            return int(self._run(path, params).lastrowid)

    def execute_many(self, path: str, rows: Sequence[Mapping[str, object]]) -> int:
        """Run one statement for each row, a thousand at a time; return the rows found.

        Raises:
            StoreError: When the database refuses one of them.
        """
        found = 0
        with self._guard(path):
            clause = self._clause(path)
            for start in range(0, len(rows), WRITE_BATCH_ROWS):
                batch = rows[start : start + WRITE_BATCH_ROWS]
                bound = [self._bound(row) for row in batch]
                found += self._connection.execute(clause, bound).rowcount
        return found

    def rows(self, path: str, /, **params: object) -> list[Row]:
        """Run one query and return all its rows.

        Raises:
            StoreError: When the database refuses it.
        """
        with self._guard(path):
            return list(self._run(path, params).mappings().all())

    def row(self, path: str, /, **params: object) -> Row | None:
        """Run one query and return its first row, or None when it has none.

        Raises:
            StoreError: When the database refuses it.
        """
        found = self.rows(path, **params)
        return found[0] if found else None

    def frame(self, path: str, /, schema: Schema, **params: object) -> pl.DataFrame:
        """Run one query and return all its rows as a frame with exactly ``schema``.

        Raises:
            StoreError: When the database refuses it.
            ContractError: When the answer has other columns or values than the schema.
        """
        frames = list(self.frames(path, schema, batch_rows=FRAME_ROWS, **params))
        return pl.concat(frames) if frames else pl.DataFrame(schema=schema)

    @abstractmethod
    def frames(
        self,
        path: str,
        /,
        schema: Schema,
        *,
        batch_rows: int = FRAME_ROWS,
        **params: object,
    ) -> Iterator[pl.DataFrame]:
        """Run one query and yield its rows in frames of at most ``batch_rows`` rows.

        Read the iterator to its end, or close it, before asking anything else of this
        transaction: the answer comes over the same connection.

        Raises:
            StoreError: When the database refuses it.
            ContractError: When the answer has other columns or values than the schema.
        """

    @abstractmethod
    def load(self, table: str, frame: pl.DataFrame, *, batch_rows: int = 1000) -> int:
        """Insert all rows of ``frame`` into ``table``, each exactly as it is, or raise.

        The frame's columns are the table's, by name. Dates need ``Date``, date-times
        naive ``Datetime("us")``, whole numbers an integer type, texts ``String``; no
        value is ever converted, cut or rounded.

        Args:
            table: The table's name.
            frame: Ready rows.
            batch_rows: Rows handed to the database in one statement (MySQL).

        Returns:
            The number of rows stored, which is the height of the frame.

        Raises:
            StoreError: When a row cannot be stored as it is. The transaction is lost.
        """

    def _run(self, path: str, params: Mapping[str, object]) -> sa.CursorResult[object]:
        bound = self._bound(params)
        clause = self._clause(path, bound)
        require_given(path, parameters_of(clause), bound)
        return self._connection.execute(clause, bound)

    def _clause(
        self, path: str, bound: Mapping[str, object] | None = None
    ) -> sa.TextClause:
        lists = [name for name, value in (bound or {}).items() if isinstance(value, list)]
        return clause_at(self.dialect, path, frozenset(lists))

    def _bound(self, params: Mapping[str, object]) -> dict[str, object]:
        return {name: self._value(name, value) for name, value in params.items()}

    def _value(self, name: str, value: object) -> object:
        if isinstance(value, datetime) and value.tzinfo is not None:
            message = f"parameter {name!r} has a time zone; the database holds naive times"
            raise ContractError(message)
        if isinstance(value, (list, tuple)):
            return [self._value(name, each) for each in value]
        if isinstance(value, date) and self.dialect == "sqlite":
            return sqlite_time(value)
        return value

    @contextmanager
    def _guard(self, path: str) -> Iterator[None]:
        try:
            with self._faults.guard(path):
                yield
        except StoreUnavailable as exc:
            self._broken = str(exc)
            raise

    def require_whole(self) -> None:
        """Refuse to commit after a fault that took the transaction with it.

        Raises:
            StoreError: When such a fault was caught and ignored within the transaction.
        """
        if self._broken is not None:
            message = f"the transaction was lost and must be run again: {self._broken}"
            raise StoreError(message)


class Database(ABC):
    """A database that holds the house's tables; opened by ``loaders.open``."""

    dialect: Dialect
    writers: int
    """How many transactions can write at the same time with a gain."""
    _engine: sa.Engine
    _faults: Faults

    @abstractmethod
    def upgrade(self) -> None:
        """Bring the schema to the newest revision; nothing to do when it is there.

        Two processes may ask at once, and one that was killed may ask again.

        Raises:
            StoreError: When the database refuses a change.
        """

    @abstractmethod
    def check(self) -> list[str]:
        """Return what is wrong with the database's settings; empty when all is fine.

        Each fault names the variable, its value and the value needed.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of every connection and of the private work folder."""

    @abstractmethod
    def _begin_write(self, connection: sa.Connection) -> Transaction: ...

    @abstractmethod
    def _begin_snapshot(self, connection: sa.Connection) -> Transaction: ...

    def transaction(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that may write: commits on leaving, undoes on an exception.

        Raises:
            StoreUnavailable: When the database cannot be reached, or was lost during
                COMMIT; in that case read the ledger, the commit may have happened.
        """
        return self._transaction()

    def snapshot(self) -> AbstractContextManager[Transaction]:
        """Open a transaction that only reads and sees one state of the database.

        Raises:
            StoreUnavailable: When the database cannot be reached.
        """
        return self._snapshot()

    def run(self, work: Callable[[Transaction], T], attempts: int = 5) -> T:
        """Run ``work`` in a transaction, and whole again when another was in its way.

        Waits 0.05 s, then twice as long each time, give or take half.

        Raises:
            StoreBusy: When the last attempt met another transaction as well.
        """
        for attempt in range(1, attempts):
            try:
                return self._attempt(work)
            except StoreBusy:
                time.sleep(_wait_s(attempt))
        return self._attempt(work)

    def _attempt(self, work: Callable[[Transaction], T]) -> T:
        with self.transaction() as tx:
            return work(tx)

    @contextmanager
    def _transaction(self) -> Iterator[Transaction]:
        with self._connection() as connection:
            try:
                with self._faults.guard("begin"):
                    tx = self._begin_write(connection)
                yield tx
                tx.require_whole()
            except BaseException:
                _undo(connection)
                raise
            self._commit(connection)

    @contextmanager
    def _snapshot(self) -> Iterator[Transaction]:
        with self._connection() as connection:
            try:
                with self._faults.guard("begin snapshot"):
                    tx = self._begin_snapshot(connection)
                yield tx
            finally:
                _undo(connection)

    @contextmanager
    def _connection(self) -> Iterator[sa.Connection]:
        with self._faults.guard("connect"):
            connection = self._engine.connect()
        try:
            yield connection
        finally:
            with self._faults.guard("disconnect"):
                connection.close()

    def _commit(self, connection: sa.Connection) -> None:
        """Commit, and throw the connection away when that fails: it may be half-way."""
        try:
            with self._faults.guard("commit"):
                connection.commit()
        except BaseException:
            _undo(connection)
            connection.invalidate()
            raise


@cache
def clause_at(dialect: Dialect, path: str, lists: frozenset[str]) -> sa.TextClause:
    """Return the statement at a path, ready to bind; ``lists`` expand in ``IN :name``.

    Raises:
        ContractError: When there is no such statement, or the driver would misread it.
    """
    text = _statement(dialect, path)
    clause = sa.text(text)
    named = sorted(lists & parameters_of(clause))
    return clause.bindparams(*(sa.bindparam(name, expanding=True) for name in named))


@cache
def parameters_of(clause: sa.TextClause) -> frozenset[str]:
    """The names a statement binds."""
    return frozenset(clause.compile().params)


def require_given(path: str, needed: frozenset[str], given: Mapping[str, object]) -> None:
    """Stop when a statement is asked without one of its parameters.

    Raises:
        ContractError: Naming the statement and what is missing.
    """
    missing = sorted(needed - given.keys())
    if missing:
        message = f"statement {path} is asked without {', '.join(missing)}"
        raise ContractError(message)


def _statement(dialect: Dialect, path: str) -> str:
    for folder in (dialect, "any"):
        try:
            text = statement(f"{folder}/{path}")
        except FileNotFoundError:
            continue
        return _without_comments(text, path)
    message = f"there is no statement sql/{dialect}/{path}.sql or sql/any/{path}.sql"
    raise ContractError(message)


def _without_comments(text: str, path: str) -> str:
    """Drop comment lines, so that nothing in them is taken for a parameter."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("--")]
    bare = "\n".join(lines).strip().removesuffix(";")
    if "%(" in bare:
        message = f"sql/…/{path}.sql holds '%(', which MySQL's driver would replace"
        raise ContractError(message)
    return bare


def sqlite_time(value: date) -> str:
    """Write a date or date-time as SQLite keeps it: ``2026-10-25 02:30:00``."""
    if not isinstance(value, datetime):
        return value.isoformat()
    return value.isoformat(" ", "microseconds" if value.microsecond else "seconds")


def _undo(connection: sa.Connection) -> None:
    """Roll back; a connection that cannot even do that is thrown away."""
    try:
        connection.rollback()
    except Exception:  # noqa: BLE001 - whatever it is, the first fault is the one to tell
        connection.invalidate()


def _wait_s(attempt: int) -> float:
    usual_s = min(FIRST_WAIT_S * 2.0 ** (attempt - 1), LONGEST_WAIT_S)
    return usual_s * random.uniform(0.5, 1.5)
