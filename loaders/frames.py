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


def _typed(texts: pl.Series, name: str, dtype: pl.DataType, path: str) -> pl.Series:
    try:
        if isinstance(dtype, pl.Datetime):
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
