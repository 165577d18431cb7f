"""Columns of a database answer into a frame, by schema and without a guess.

Pure. Whatever does not fit its column's type raises; nothing is rounded or cut.
"""

from collections.abc import Sequence

import polars as pl

from transforms.cdr import Schema
from transforms.errors import ContractError

TIME_FORMAT = "%Y-%m-%d %H:%M:%S%.f"
WHOLE_SECONDS = "%Y-%m-%d %H:%M:%S"
"""Read four times as quickly: all records begin at a whole second."""
WHOLE_SECONDS_CHARS = 19
DATE_FORMAT = "%Y-%m-%d"
MICROS_A_SECOND = 1_000_000


def positions(found: Sequence[str], schema: Schema, path: str) -> list[int]:
    """Return where each column of ``schema`` stands in the answer.

    Raises:
        ContractError: When the answer lacks a column or has one too many.
    """
    if sorted(found) != sorted(schema):
        message = f"{path} yields {', '.join(found)}; needed are {', '.join(schema)}"
        raise ContractError(message)
    return [found.index(name) for name in schema]


def frame_of_texts(columns: Sequence[pl.Series], schema: Schema, path: str) -> pl.DataFrame:
    """Read columns of texts, as a server sends them, into the types of ``schema``.

    ``"42"`` is 42 in an Int64 column, ``"2026-10-25 02:30:00"`` an instant in a Datetime
    one; null stays null.

    Raises:
        ContractError: When a text is not a value of its column's type.
    """
    pairs = zip(columns, schema.items(), strict=True)
    return pl.DataFrame(
        [_typed(texts, name, dtype, path) for texts, (name, dtype) in pairs]
    )


def frame_of_values(
    columns: Sequence[Sequence[object]], schema: Schema, path: str
) -> pl.DataFrame:
    """Put columns of integers, floats and texts, as SQLite gives them, under ``schema``.

    Raises:
        ContractError: When a value is not one of its column's type.
    """
    typed = []
    for values, (name, dtype) in zip(columns, schema.items(), strict=True):
        is_time = dtype == pl.Date() or isinstance(dtype, pl.Datetime)
        try:
            if is_time:
                column = pl.Series(name, values, dtype=pl.String(), strict=True)
            else:
                column = pl.Series(name, values, dtype=dtype, strict=True)
        except (TypeError, OverflowError, pl.exceptions.PolarsError):
            raise _misfit(name, dtype, path) from None  # the cause would print the value
        typed.append(_typed(column, name, dtype, path) if is_time else column)
    return pl.DataFrame(typed)


def frame_of_packed(lines: str, schema: Schema, path: str) -> pl.DataFrame:
    """Read lines of cells, as a statement packs them, into the types of ``schema``.

    ``2026-10-25 02:30:00,x766F696365,,60`` is an instant, ``voice``, null and 60. Cells are
    joined by commas and every line ends with a newline; an empty cell is null, and a text
    is ``x`` with its bytes in hexadecimal digits: no text can be taken for two cells. An
    instant may also be whole seconds since 1970.

    Raises:
        ContractError: When a cell is not a value of its column's type.
    """
    if not lines:
        return pl.DataFrame(schema=schema)
    sent = {
        name: dtype if dtype.is_integer() else pl.String() for name, dtype in schema.items()
    }
    try:
        cells = pl.read_csv(
            lines.encode(), has_header=False, schema=sent, quote_char=None
        ).with_columns(
            pl.col(name).str.slice(1).str.decode("hex").cast(pl.String)
            for name, dtype in schema.items()
            if dtype == pl.String()
        )
    except pl.exceptions.PolarsError:
        message = f"{path} packs cells that are not what they must be"
        raise ContractError(message) from None  # the cause would print them
    return pl.DataFrame(
        [
            _instants(cells[name], name, path)
            if isinstance(dtype, pl.Datetime)
            else cells[name]
            for name, dtype in schema.items()
        ]
    )


def _instants(texts: pl.Series, name: str, path: str) -> pl.Series:
    """Read instants that are all seconds since 1970, or all texts: none can be both."""
    seconds = texts.cast(pl.Int64, strict=False)
    if seconds.null_count() > texts.null_count():
        return _typed(texts, name, pl.Datetime("us"), path)
    return (seconds * MICROS_A_SECOND).cast(pl.Datetime("us"))


def _typed(texts: pl.Series, name: str, dtype: pl.DataType, path: str) -> pl.Series:
    try:
        if texts.null_count() == len(texts):
            typed = pl.Series(name, [None] * len(texts), dtype)
        elif isinstance(dtype, pl.Datetime):
            longest = texts.str.len_bytes().max()
            is_whole = longest == WHOLE_SECONDS_CHARS
            wanted = WHOLE_SECONDS if is_whole else TIME_FORMAT
            typed = texts.str.to_datetime(wanted, time_unit="us", strict=True)
        elif dtype == pl.Date():
            typed = texts.str.to_date(DATE_FORMAT, strict=True)
        else:
            typed = texts.cast(dtype, strict=True)
    except pl.exceptions.PolarsError:
        raise _misfit(name, dtype, path) from None  # the cause would print the value
    return typed.alias(name)


def _misfit(name: str, dtype: pl.DataType, path: str) -> ContractError:
    return ContractError(f"{path} yields a value in column {name!r} that is not {dtype}")
