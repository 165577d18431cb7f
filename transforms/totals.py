"""Totals: what each customer used and what the provider charges for it, by cycle.

Pure. Frames in, frames out; DuckDB adds up in memory, locked down, and puts what does not
fit in memory into the folder its caller gives it. Totals are a function of the records
and the cycles alone: equal records give equal bytes, whatever their order, the number of
frames they came in and the number of threads.

Under ``standard`` a customer pays what the provider charges: ``total_cost_micros`` and
``provider_cost_micros`` are both the sum of ``cost_micros``. An unrated record (null
cost) is counted and adds nothing; it is never priced at 0.

Units: ``_micros`` whole micros, ``_s`` seconds, ``_bytes`` bytes.
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Final

import polars as pl

from sql import statement
from transforms.cdr import INSTANT, Schema, require
from transforms.cycle import cycle_start
from transforms.errors import ContractError, MoneyError
from transforms.match import cycle_end
from transforms.money import LIMIT_MICROS

if TYPE_CHECKING:
    import duckdb

STANDARD: Final = "standard"

PAIRS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "currency": pl.String(),
}
"""A cycle to total: ``[cycle_start_date, cycle_end_date)`` on the customer's wall clock."""

USAGE: Final[Schema] = {
    "customer_id": pl.Int64(),
    "call_date": INSTANT,
    "usage_type": pl.String(),
    "zone": pl.String(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""What totals need of a record."""

HEADERS: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "cycle_end_date": pl.Date(),
    "method": pl.String(),
    "rate_plan": pl.String(),
    "rate_plan_version": pl.String(),
    "currency": pl.String(),
    "total_cost_micros": pl.Int64(),
    "provider_cost_micros": pl.Int64(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "content_sha256": pl.String(),
}
"""The sum of one cycle. ``content_sha256`` covers the header and its lines."""

LINES: Final[Schema] = {
    "customer_id": pl.Int64(),
    "cycle_start_date": pl.Date(),
    "line_no": pl.Int64(),
    "usage_type": pl.String(),
    "zone": pl.String(),
    "cdr_count": pl.Int64(),
    "unrated_count": pl.Int64(),
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
}
"""The lines of a cycle by usage type and zone, numbered from 1; no zone is ``''``."""

CYCLE_KEY: Final = ("customer_id", "cycle_start_date")
"""What tells one cycle from another."""


@dataclass(frozen=True)
class Engine:
    """DuckDB in memory, without files, network or changes of settings.

    It takes a fiftieth of a second to open, so all work of a process shares one, and its
    limit of memory; it is opened by the first that asks.

    Attributes:
        temp_directory: Where sums spill to; a folder of this process alone.
        memory_limit: How much memory to use before, such as ``512MB``.
        threads: How many threads to work with.
    """

    temp_directory: str
    memory_limit: str = "512MB"
    threads: int = 2

    @contextmanager
    def connect(self) -> Iterator["duckdb.DuckDBPyConnection"]:
        """Lend a connection: its registered frames and temporary tables end with it."""
        with self._opened.cursor() as connection:
            yield connection

    def close(self) -> None:
        """Let go of its memory and of what it spilled."""
        opened = self.__dict__.pop("_opened", None)
        if opened is not None:
            opened.close()

    @cached_property
    def _opened(self) -> "duckdb.DuckDBPyConnection":
        import duckdb  # a tenth of a second that only who adds up should spend

        opened = duckdb.connect()
        # The order matters: once external access is off, the folder cannot be set.
        for step, value in (
            ("temp_directory", {"folder": self.temp_directory}),
            ("memory_limit", {"amount": self.memory_limit}),
            ("threads", {"count": self.threads}),
            ("no_progress_bar", None),
            ("no_external_access", None),
            ("locked", None),
        ):
            opened.execute(statement(f"duckdb/session/{step}"), value)
        return opened


@dataclass(frozen=True)
class Totals:
    """Headers (HEADERS) and their lines (LINES), both sorted by cycle."""

    headers: pl.DataFrame
    lines: pl.DataFrame


def standard_totals(
    records: Iterable[pl.DataFrame], pairs: pl.DataFrame, engine: Engine
) -> Totals:
    """Add up the records of every asked cycle, all cycles in one pass.

    Three calls of 0.0405 and one unrated call give a total of 0.1215 with a count of 4
    and an unrated count of 1. Records outside the asked cycles add nothing; a cycle
    without records has a header of zeros and no lines.

    Args:
        records: Frames with the columns of ``USAGE``, in any order; only one is in
            memory at a time.
        pairs: Frame ``PAIRS``, each cycle once.
        engine: Where and how DuckDB works.

    Raises:
        ContractError: When a cycle is asked for twice.
        MoneyError: When a sum does not fit, naming the cycle where that is known.
    """
    asked = require(pairs, PAIRS, "standard_totals pairs")
    if asked.select(CYCLE_KEY).is_duplicated().any():
        message = "totals were asked for one cycle twice"
        raise ContractError(message)
    with engine.connect() as connection, exact():
        connection.register("pairs", asked)
        connection.execute(statement("duckdb/totals/create_usage"))
        for frame in records:
            connection.register("records", require(frame, USAGE, "standard_totals records"))
            connection.execute(statement("duckdb/totals/add_usage"))
            connection.unregister("records")
        lines = connection.sql(statement("duckdb/totals/lines")).pl()
        headers = connection.sql(statement("duckdb/totals/headers")).pl()
    named = headers.with_columns(
        pl.lit(STANDARD).alias("method"),
        pl.lit(None, pl.String).alias("rate_plan"),
        pl.lit(None, pl.String).alias("rate_plan_version"),
    )
    return finished(named, require(lines, LINES, "standard_totals lines"))


@contextmanager
def exact() -> Iterator[None]:
    """Turn DuckDB's "does not fit" into ours; a sum is right or there is none.

    Raises:
        MoneyError: When a sum within does not fit in 64 or 128 bits.
    """
    import duckdb

    try:
        yield
    except (duckdb.ConversionException, duckdb.OutOfRangeException) as exc:
        message = "a sum over the records does not fit in 64 bits; nothing was written"
        raise MoneyError(message) from exc


def finished(headers: pl.DataFrame, lines: pl.DataFrame) -> Totals:
    """Check the amounts and seal each header with the hash of its content.

    Args:
        headers: Every column of ``HEADERS`` but ``content_sha256``.
        lines: Frame ``LINES``, sorted by cycle and line number.

    Raises:
        MoneyError: When a total reaches 10^18 micros, naming customer and cycle.
    """
    _check_limit(headers)
    sealed = headers.sort(CYCLE_KEY).with_columns(_content_sha256(headers, lines))
    return Totals(require(sealed, HEADERS, "totals headers"), lines)


def cycle_pairs(customers: pl.DataFrame, day: date) -> pl.DataFrame:
    """The cycle of each customer that contains a day, as ``PAIRS``.

    2025-01-01 asks for ``[2025-01-01, 2025-02-01)`` of a customer with cycle day 1, and
    for ``[2024-12-15, 2025-01-15)`` of one with cycle day 15.

    Args:
        customers: Frame ``CUSTOMERS``, or the part of it that is asked for.
        day: A date on the customer's wall clock.
    """
    start = cycle_start(pl.lit(day), pl.col("cycle_day"))
    return customers.with_columns(start.alias("cycle_start_date")).select(
        "customer_id",
        "cycle_start_date",
        cycle_end("cycle_start_date", "cycle_day").alias("cycle_end_date"),
        "currency",
    )


def _check_limit(headers: pl.DataFrame) -> None:
    amounts = ("total_cost_micros", "provider_cost_micros")
    fits = [pl.col(name).is_between(1 - LIMIT_MICROS, LIMIT_MICROS - 1) for name in amounts]
    beyond = headers.filter(~pl.all_horizontal(fits))
    if not beyond.is_empty():
        customer_id, start = beyond.select(CYCLE_KEY).row(0)
        message = (
            f"customer {customer_id}, cycle {start}: the total is beyond 10^18 micros;"
            f" look for a wrong amount in call_detail_record"
        )
        raise MoneyError(message)


def _content_sha256(headers: pl.DataFrame, lines: pl.DataFrame) -> pl.Series:
    """Hash each header with its lines, in the order of the sorted headers.

    The text is one line of fields for the header and one for each line, every field with
    its length before it, so that no value can be taken for another.
    """
    own_columns = [name for name in HEADERS if name != "content_sha256"]
    bodies = lines.group_by(CYCLE_KEY).agg(
        _canonical([name for name in LINES if name not in CYCLE_KEY])
        .sort_by("line_no")
        .str.join("\n")
        .alias("body")
    )
    texts = (
        headers.sort(CYCLE_KEY)
        .select(*CYCLE_KEY, _canonical(own_columns).alias("head"))
        .join(bodies, on=CYCLE_KEY, how="left", maintain_order="left")
        .select(pl.concat_str("head", pl.col("body").fill_null(""), separator="\n"))
    )
    digests = [sha256(text.encode()).hexdigest() for text in texts.to_series()]
    return pl.Series("content_sha256", digests, pl.String)


def _canonical(columns: list[str]) -> pl.Expr:
    fields = [pl.col(name).cast(pl.String) for name in columns]
    sized = [
        pl.format("{}:{}", field.str.len_bytes(), field).fill_null("-") for field in fields
    ]
    return pl.concat_str(sized, separator=",")


def lines_json(lines: pl.DataFrame) -> pl.DataFrame:
    """Write the lines of each cycle as one JSON array of objects, for the backup table.

    Returns:
        A frame customer_id, cycle_start_date, lines; cycles without lines are not in it.
    """
    texts = ("usage_type", "zone")
    own_columns = [name for name in LINES if name not in CYCLE_KEY]
    fields = [
        pl.format(
            '"{}":{}', pl.lit(name), _json_text(lines, name) if name in texts else name
        )
        for name in own_columns
    ]
    objects = pl.concat_str(pl.lit("{"), pl.concat_str(fields, separator=","), pl.lit("}"))
    return lines.group_by(CYCLE_KEY, maintain_order=True).agg(
        pl.concat_str(
            pl.lit("["), objects.sort_by("line_no").str.join(","), pl.lit("]")
        ).alias("lines")
    )


def _json_text(lines: pl.DataFrame, column: str) -> pl.Expr:
    """Quote the few distinct texts of a column as JSON does."""
    distinct = lines[column].unique().to_list()
    quoted = [json.dumps(text, ensure_ascii=False) for text in distinct]
    return pl.col(column).replace_strict(distinct, quoted, return_dtype=pl.String)


def lines_from_json(customer_id: int, cycle_start_date: date, text: str) -> pl.DataFrame:
    """Read back as ``LINES`` what :func:`lines_json` wrote of one cycle."""
    rows = json.loads(text)
    key = {"customer_id": customer_id, "cycle_start_date": cycle_start_date}
    return pl.DataFrame([{**key, **row} for row in rows], LINES)
