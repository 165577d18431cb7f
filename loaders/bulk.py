"""Bulk loading: a frame as the text LOAD DATA LOCAL reads back without one difference.

Pure, but for ``PrivateFolder``, which makes and removes a folder of its own.

LOAD DATA LOCAL turns errors into warnings and some mistakes into nothing at all (``10.7``
into an INT column is 10, silently). So a frame is held against the table's columns first,
and the text is written in the one dialect that survived hostile strings: texts in double
quotes, a quote doubled, no escape character, an unquoted NULL for null.

Units: ``_bytes`` bytes, ``_s`` seconds.
"""

import re
import shutil
import tempfile
import time
import weakref
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from fcntl import LOCK_EX, LOCK_NB, flock
from io import BufferedWriter, BytesIO
from pathlib import Path
from typing import Final

import polars as pl

from transforms.errors import ConfigError, ContractError, StoreError

FOLDER_PREFIX: Final = "cdr-etl-load-"
LOCK_NAME: Final = "lock"
STALE_AFTER_S: Final = 60
MICROS_A_SECOND: Final = 1_000_000
SECONDS_A_DAY: Final = 86_400
EPOCH: Final = date(1970, 1, 1)
FOUR_DIGITS: Final = 1000
MOST_DAYS: Final = 100_000
MANY_ROWS: Final = 1000
"""From so many rows on it is worth a look which columns hold the same in all of them."""
LONGEST_ONCE: Final = 255
"""The most characters of a text that stands in the statement of every batch."""
NAME: Final = re.compile(r"[a-z_][a-z0-9_]{0,63}")

INTEGER_LIMITS: Final = {
    "tinyint": 2**7,
    "smallint": 2**15,
    "mediumint": 2**23,
    "int": 2**31,
    "bigint": 2**63,
}
TEXT_KINDS: Final = ("varchar", "tinytext", "text", "mediumtext", "longtext")


@dataclass(frozen=True)
class Column:
    """A column of a table as the server describes it.

    Attributes:
        name: Its name.
        declared: Its type as declared: ``bigint(20)``, ``varchar(64)``, ``timestamp(6)``.
        is_needed: A row without a value for it would get one that nobody sent.
        is_generated: The server computes it; nothing may be sent.
        is_null_unsaid: A row without a value for it gets null.
    """

    name: str
    declared: str
    is_needed: bool
    is_generated: bool
    is_null_unsaid: bool = False

    @property
    def kind(self) -> str:
        """The type's name: ``bigint``."""
        return re.split(r"[( ]", self.declared, maxsplit=1)[0]

    @property
    def size(self) -> int:
        """The number in the type's brackets, 0 when there is none."""
        found = re.search(r"\((\d+)\)", self.declared)
        return int(found[1]) if found else 0


def quoted(name: str) -> str:
    """Return a table's or column's name in backquotes.

    Raises:
        ContractError: When it is not a plain lower-case name.
    """
    if not NAME.fullmatch(name):
        message = f"{name!r} is not a name of a table or column of this house"
        raise ContractError(message)
    return f"`{name}`"


def load_statement(table: str, sent: "Sent") -> str:
    """Write the LOAD statement of a table.

    Its parameters are the file's path and what is said once, in that order.
    """
    listed = ", ".join(quoted(name) for name in sent.frame.columns)
    once = ", ".join(f"{quoted(name)} = %s" for name in sent.once)
    return (
        f"LOAD DATA LOCAL INFILE %s INTO TABLE {quoted(table)} CHARACTER SET utf8mb4 "
        "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
        f"LINES TERMINATED BY '\\n' ({listed}){once and f' SET {once}'}"
    )


def require_fit(table: str, frame: pl.DataFrame, columns: Sequence[Column]) -> None:
    """Stop unless every value of ``frame`` is one its column can hold as it is.

    Raises:
        ContractError: When a column is unknown, missing, or of another kind.
        StoreError: When a value is too large, too long, too fine or null.
    """
    known = {column.name: column for column in columns}
    faults = [f"{name}: no such column" for name in frame.columns if name not in known]
    faults += [
        f"{column.name}: not given"
        for column in columns
        if column.is_needed and column.name not in frame.columns
    ]
    faults += [
        f"{name}: {dtype} does not go into {known[name].declared}"
        for name, dtype in frame.schema.items()
        if name in known and not _is_fit(dtype, known[name])
    ]
    if faults:
        message = f"rows for table {table} do not match it: {'; '.join(faults)}"
        raise ContractError(message)
    for name in frame.columns:
        fault = _value_fault(frame.get_column(name), known[name])
        if fault:
            message = f"a row for table {table} cannot be stored: {name}: {fault}"
            raise StoreError(message)


def _is_fit(dtype: pl.DataType, column: Column) -> bool:
    if column.is_generated:
        return False
    if dtype == pl.Null():
        return True
    if isinstance(dtype, pl.Datetime):
        is_naive = dtype.time_zone is None and dtype.time_unit == "us"
        return is_naive and column.kind in ("datetime", "timestamp")
    if dtype == pl.Date():
        return column.kind == "date"
    if dtype.is_integer():
        return column.kind in INTEGER_LIMITS and "unsigned" not in column.declared
    return dtype == pl.String() and column.kind in TEXT_KINDS


def _value_fault(values: pl.Series, column: Column) -> str | None:
    """Say what the server would change about some value, if it would."""
    if isinstance(values.dtype, pl.Datetime):
        return _time_fault(values, column)
    if values.dtype.is_integer():
        limit = INTEGER_LIMITS[column.kind]
        low, high = values.min(), values.max()
        if low is not None and (low < -limit or high >= limit):  # type: ignore[operator]  # an integer column's extremes are integers
            return f"a number does not fit {column.declared}"
    return None


def _time_fault(values: pl.Series, column: Column) -> str | None:
    unit_micros = 10 ** (6 - column.size)
    if unit_micros > 1 and (values.dt.epoch("us") % unit_micros != 0).any():
        return f"a time is finer than {column.declared}"
    return None


@dataclass(frozen=True)
class Sent:
    """What a database is told of some rows.

    Attributes:
        frame: The columns that are sent row by row.
        once: What is the same in every row, said in the statement instead.
    """

    frame: pl.DataFrame
    once: Mapping[str, str | int]


def said(frame: pl.DataFrame, columns: Sequence[Column]) -> Sent:
    """Take out of the rows what the database need not be told in every one.

    A column that holds nothing but null is left out where that is what silence means,
    and one that holds the same in every row is said once. Half of a provider's columns
    are such; each one that is sent costs time in every row.
    """
    silent = {column.name for column in columns if column.is_null_unsaid}
    told = [
        column
        for column in frame.get_columns()
        if column.name not in silent or column.null_count() < frame.height
    ]
    once = _same(told) if frame.height >= MANY_ROWS else {}
    rest = [column for column in told if column.name not in once]
    # A file needs a column, so that its lines can be counted.
    return Sent(pl.DataFrame(rest), once) if rest else Sent(frame, {})


def _same(columns: Iterable[pl.Series]) -> dict[str, str | int]:
    """The short texts and whole numbers that every row holds."""
    found = {}
    for column in columns:
        first = column[0]
        is_short = isinstance(first, int) or (
            isinstance(first, str) and len(first) <= LONGEST_ONCE and "\0" not in first
        )
        if is_short and (column == first).all(ignore_nulls=False):
            found[column.name] = first
    return found


def csv_batches(frame: pl.DataFrame, batch_rows: int) -> Iterator[memoryview]:
    """Format a frame once and cut the text into pieces of ``batch_rows`` rows.

    The cut is found by counting line ends: as many as there are rows, and those that
    stand inside the rows' own texts.
    """
    buffer = BytesIO()
    pl.DataFrame(_written(frame)).write_csv(
        buffer, include_header=False, quote_style="non_numeric", null_value="NULL"
    )
    written = buffer.getvalue()
    view = memoryview(written)
    start = 0
    for line_ends in _line_ends(frame, written, batch_rows):
        end = _after_line_ends(written, start, line_ends)
        yield view[start:end]
        start = end
    if start != len(written):
        message = f"{len(written) - start} bytes of a load file belong to no row"
        raise ContractError(message)


def _written(frame: pl.DataFrame) -> Iterator[pl.Series]:
    """The columns as they are written: times as MySQL reads them without a question."""
    for column in frame.get_columns():
        if isinstance(column.dtype, pl.Datetime):
            yield _time_text(column)
        elif column.dtype == pl.Date():
            yield column.dt.strftime("%Y-%m-%d")
        else:
            yield column


def _time_text(values: pl.Series) -> pl.Series:
    """Write instants: 2026-10-25 02:30:00 as the number 20261025023000.

    The server takes the number for the same instant, and fewer characters to read are
    the faster load. A fraction, or a year of fewer than four digits, needs the long form.
    """
    micros = values.dt.epoch("us")
    if (micros % MICROS_A_SECOND != 0).any():
        return values.dt.strftime("%Y-%m-%d %H:%M:%S%.6f")
    first, last = values.min(), values.max()
    if not isinstance(first, datetime) or not isinstance(last, datetime):
        return values.cast(pl.String)
    days = pl.date_range(first.date(), last.date(), eager=True)
    if first.year < FOUR_DIGITS or len(days) > MOST_DAYS:
        return values.dt.strftime("%Y-%m-%d %H:%M:%S")
    year, month, day = (
        part.cast(pl.Int64) for part in (days.dt.year(), days.dt.month(), days.dt.day())
    )
    day_numbers = year * 10_000 + month * 100 + day
    seconds = micros // MICROS_A_SECOND
    second = seconds % SECONDS_A_DAY
    places = seconds // SECONDS_A_DAY - days[0].toordinal() + EPOCH.toordinal()
    clock = second // 3600 * 10_000 + second // 60 % 60 * 100 + second % 60
    return (day_numbers.gather(places) * 1_000_000 + clock).alias(values.name)


def _line_ends(frame: pl.DataFrame, written: bytes, batch_rows: int) -> list[int]:
    """How many line ends each batch of the written text holds."""
    rows = [
        min(batch_rows, frame.height - start)
        for start in range(0, frame.height, batch_rows)
    ]
    if written.count(b"\n") == frame.height:
        return rows
    strings = [name for name, dtype in frame.schema.items() if dtype == pl.String()]
    inside = frame.select(
        pl.sum_horizontal(
            pl.col(strings).str.count_matches("\n", literal=True).fill_null(0)
        ).cast(pl.Int64)
    ).to_series()
    return [
        count + int(inside.slice(number * batch_rows, count).sum())
        for number, count in enumerate(rows)
    ]


def _after_line_ends(written: bytes, start: int, count: int) -> int:
    """Return the place after ``count`` line ends; guesses, counts, then walks the rest."""
    end = min(len(written), start + count * _line_bytes(written, start))
    missing = count - written.count(b"\n", start, end)
    while missing > 0:
        end = written.index(b"\n", end) + 1
        missing -= 1
    while missing < 0:
        end = written.rindex(b"\n", start, end)
        missing += 1
    return written.rindex(b"\n", start, end) + 1


def _line_bytes(written: bytes, start: int) -> int:
    """The length of a line near ``start``, as a guess for its neighbours."""
    return written.index(b"\n", start) + 1 - start


class PrivateFolder:
    """A folder only we can read, for the files one process hands to the server.

    It goes when it is closed, when its owner is forgotten, and at the end of the process.
    What a killed process left behind is removed by the next one.

    Attributes:
        path: The folder, mode 0700.
    """

    def __init__(self, parent: Path | None) -> None:
        """Make the folder below ``parent``, or below the system's temporary folder.

        Raises:
            ConfigError: When no folder can be made there.
        """
        above = Path(tempfile.gettempdir()) if parent is None else parent
        try:
            above.mkdir(mode=0o700, parents=True, exist_ok=True)
            remove_stale(above)
            self.path = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX, dir=above)).resolve()
            lock = (self.path / LOCK_NAME).open("wb")
        except OSError as exc:
            message = f"no work folder can be made in {above}: {exc.strerror}"
            raise ConfigError(message) from exc
        flock(lock, LOCK_EX)
        self._finalizer = weakref.finalize(self, _remove, self.path, lock)

    def close(self) -> None:
        """Remove the folder and what is in it."""
        self._finalizer()


def remove_stale(above: Path) -> None:
    """Remove the folders of processes that were killed: old, and nobody holds the lock."""
    for folder in above.glob(f"{FOLDER_PREFIX}*"):
        try:
            is_old = time.time() - folder.stat().st_mtime > STALE_AFTER_S
            if is_old and folder.is_dir() and not folder.is_symlink():
                with (folder / LOCK_NAME).open("rb+") as lock:
                    flock(lock, LOCK_EX | LOCK_NB)
                    shutil.rmtree(folder, ignore_errors=True)
        except OSError:
            continue  # in use, another user's, or gone already


def _remove(path: Path, lock: BufferedWriter) -> None:
    shutil.rmtree(path, ignore_errors=True)
    lock.close()
