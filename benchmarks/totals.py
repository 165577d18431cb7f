"""Standard totals: read, add up, store, back up; beside a database and frame libraries.

Ours is measured twice: the work alone, in this process, and the whole ``etl
totals:dispatch`` with its start. It writes lines by usage type and zone, a total, a hash
of both and a backup copy; what the others write is said in their names.
"""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any, Final

import pandas as pd
import polars as pl
import sqlalchemy as sa
from mysql.connector.connection_cext import CMySQLConnection

from benchmarks.imports import driver_connection
from benchmarks.measuring import Contest, Ratio, Sample, Side, timed
from benchmarks.world import World, run_etl
from etl.app import App
from etl.chains import DispatchTotals
from etl.handlers import bus_of
from etl.settings import load_settings

CYCLES: Final = """call_detail_record AS r INNER JOIN bench_cycle AS c
    ON r.customer_id = c.customer_id
    AND r.call_date >= c.cycle_start_date AND r.call_date < c.cycle_end_date"""

KEEP_CYCLES: Final = (
    "CREATE TABLE IF NOT EXISTS bench_cycle (PRIMARY KEY (customer_id, cycle_start_date))"
    " SELECT customer_id, cycle_start_date, cycle_end_date FROM import_cycle"
)
FORGET: Final = (
    "DELETE FROM total_usage_line",
    "DELETE FROM total_usage_new_table",
    "DELETE FROM total_usage_new_backup_table",
    "DELETE FROM total_revision",
    "DELETE FROM dirty_cycle",
    "DELETE FROM job",
)
WAIT_AGAIN: Final = (
    "INSERT INTO dirty_cycle"
    " (customer_id, cycle_start_date, cycle_end_date, mark, reason)"
    " SELECT customer_id, cycle_start_date, cycle_end_date, 1, 'bench' FROM bench_cycle"
)
TOTALS: Final = f"""
INSERT INTO total_usage_new_table
    (customer_id, cycle_start_date, cycle_end_date, revision, method, currency,
     total_cost_micros, provider_cost_micros, cdr_count, unrated_count, content_sha256)
SELECT r.customer_id, c.cycle_start_date, c.cycle_end_date, 1, 'standard', 'EUR',
    coalesce(sum(r.cost_micros), 0), coalesce(sum(r.cost_micros), 0), count(*),
    count(*) - count(r.cost_micros), ''
FROM {CYCLES}
GROUP BY r.customer_id, c.cycle_start_date, c.cycle_end_date
"""
LINES: Final = f"""
INSERT INTO total_usage_line
SELECT r.customer_id, c.cycle_start_date,
    row_number() OVER (
        PARTITION BY r.customer_id, c.cycle_start_date ORDER BY r.usage_type, r.zone
    ),
    r.usage_type, coalesce(r.zone, ''), count(*), count(*) - count(r.cost_micros),
    coalesce(sum(r.duration_s), 0), coalesce(sum(r.volume_bytes), 0),
    coalesce(sum(r.events), 0), coalesce(sum(r.cost_micros), 0)
FROM {CYCLES}
GROUP BY r.customer_id, c.cycle_start_date, r.usage_type, r.zone
"""
TOTALS_OF_LINES: Final = """
INSERT INTO total_usage_new_table
    (customer_id, cycle_start_date, cycle_end_date, revision, method, currency,
     total_cost_micros, provider_cost_micros, cdr_count, unrated_count, content_sha256)
SELECT l.customer_id, l.cycle_start_date, c.cycle_end_date, 1, 'standard', 'EUR',
    sum(l.cost_micros), sum(l.cost_micros), sum(l.cdr_count), sum(l.unrated_count), ''
FROM total_usage_line AS l INNER JOIN bench_cycle AS c
    ON l.customer_id = c.customer_id AND l.cycle_start_date = c.cycle_start_date
GROUP BY l.customer_id, l.cycle_start_date, c.cycle_end_date
"""
BACKUP: Final = """
INSERT INTO total_usage_new_backup_table
    (customer_id, cycle_start_date, cycle_end_date, revision, method, currency,
     total_cost_micros, provider_cost_micros, cdr_count, unrated_count, content_sha256,
     `lines`)
SELECT customer_id, cycle_start_date, cycle_end_date, revision, method, currency,
    total_cost_micros, provider_cost_micros, cdr_count, unrated_count, content_sha256, ''
FROM total_usage_new_table
"""
ROWS_OF_ALL: Final = (
    f"SELECT r.customer_id, c.cycle_start_date, r.cost_micros FROM {CYCLES}"
)
SUM_OF_ONE: Final = (
    "SELECT coalesce(sum(cost_micros), 0), count(*) FROM call_detail_record"
    " WHERE customer_id = %s AND call_date >= %s AND call_date < %s"
)
ROWS_OF_ONE: Final = (
    "SELECT usage_type, zone, duration_s, volume_bytes, events, cost_micros"
    " FROM call_detail_record"
    " WHERE customer_id = %s AND call_date >= %s AND call_date < %s"
)
UPSERT: Final = """
INSERT INTO total_usage_new_table
    (customer_id, cycle_start_date, cycle_end_date, revision, method, currency,
     total_cost_micros, provider_cost_micros, cdr_count, unrated_count, content_sha256)
VALUES (%s, %s, %s, 1, 'standard', 'EUR', %s, %s, %s, 0, '')
ON DUPLICATE KEY UPDATE total_cost_micros = VALUES(total_cost_micros)
"""

IN_DATABASE: Final = "INSERT ... SELECT ... GROUP BY, sums only"
ONE_BY_ONE: Final = "a query and an upsert for each customer, sums in SQL"
ROW_BY_ROW: Final = "a query and an upsert for each customer, rows added up in Python"


@contextmanager
def totals_contest(world: World) -> Iterator[Contest]:
    """Fill a database once and hold our totals against the other ways to make them."""
    with world.mariadb() as url:
        world.import_delivery(url)
        with closing(driver_connection(url)) as connection:
            _run(connection, KEEP_CYCLES)
        yield Contest(
            "totals-mariadb",
            f"Standard totals of {world.rows:,} records of {world.customers:,} customers",
            [
                Side("etl totals:dispatch, the work", partial(_work, world, url)),
                Side("etl totals:dispatch, whole process", partial(_process, world, url)),
                Side(IN_DATABASE, partial(_in_database, world, url, [TOTALS])),
                Side(
                    "INSERT ... SELECT ... GROUP BY, lines, totals and backup",
                    partial(_in_database, world, url, [LINES, TOTALS_OF_LINES, BACKUP]),
                ),
                Side("pandas, sums only", partial(_pandas, world, url)),
                Side("Polars alone, sums only", partial(_polars, world, url)),
                Side(ONE_BY_ONE, partial(_by_customer, world, url, _summed), rounds=1),
                Side(ROW_BY_ROW, partial(_by_customer, world, url, _added_up), rounds=1),
            ],
            [
                Ratio(
                    "totals_to_in_database",
                    "etl totals:dispatch, the work",
                    (IN_DATABASE,),
                    1.0,
                ),
                Ratio(
                    "totals_to_same_work_in_database",
                    "etl totals:dispatch, the work",
                    ("INSERT ... SELECT ... GROUP BY, lines, totals and backup",),
                ),
                Ratio(
                    "totals_to_one_by_one",
                    "etl totals:dispatch, the work",
                    (ONE_BY_ONE,),
                    20.0,
                ),
                Ratio(
                    "totals_to_row_by_row",
                    "etl totals:dispatch, the work",
                    (ROW_BY_ROW,),
                ),
                Ratio(
                    "totals_to_frames",
                    "etl totals:dispatch, the work",
                    ("pandas, sums only", "Polars alone, sums only"),
                ),
            ],
            ["Every side starts from no totals; each customer and cycle is written once."],
        )


# --- ours -------------------------------------------------------------------------------


def _work(world: World, url: str) -> Sample:
    _forget(url, waiting=True)
    storage = str(world.storage())
    with App(load_settings(database_url=url, storage=storage)) as app:
        app.database.check()
        bus = bus_of(app)
        seconds = timed(lambda: bus.run(DispatchTotals(None), app.stop))
    require_totals(world, url)
    return Sample(seconds, world.rows)


def _process(world: World, url: str) -> Sample:
    _forget(url, waiting=True)
    ended = run_etl("totals:dispatch", database_url=url, storage=world.storage())
    require_totals(world, url)
    return Sample(ended.seconds, world.rows, ended.peak_mb)


# --- the others -------------------------------------------------------------------------


def _in_database(world: World, url: str, statements: list[str]) -> Sample:
    _forget(url)
    with closing(driver_connection(url)) as connection:
        seconds = timed(lambda: _run(connection, *statements))
    require_totals(world, url)
    return Sample(seconds, world.rows)


def _pandas(world: World, url: str) -> Sample:
    _forget(url)
    engine = sa.create_engine(url)

    def work() -> None:
        rows = pd.read_sql(ROWS_OF_ALL, engine)
        key = ["customer_id", "cycle_start_date"]
        sums = rows.groupby(key).agg(
            total_cost_micros=("cost_micros", "sum"), cdr_count=("cost_micros", "size")
        )
        done = sums.reset_index().assign(
            provider_cost_micros=sums["total_cost_micros"].to_numpy(),
            cycle_end_date=sums.index.get_level_values(1),
            revision=1,
            method="standard",
            currency="EUR",
            unrated_count=0,
            content_sha256="",
        )
        done.to_sql(
            "total_usage_new_table",
            engine,
            if_exists="append",
            index=False,
            chunksize=1000,
        )

    seconds = timed(work)
    engine.dispose()
    require_totals(world, url)
    return Sample(seconds, world.rows)


def _polars(world: World, url: str) -> Sample:
    _forget(url)
    engine = sa.create_engine(url)

    def work() -> None:
        with engine.begin() as connection:
            rows = pl.read_database(ROWS_OF_ALL, connection)
            sums = rows.group_by("customer_id", "cycle_start_date").agg(
                pl.col("cost_micros").sum().alias("total_cost_micros"),
                pl.len().alias("cdr_count"),
            )
            done = sums.with_columns(
                pl.col("total_cost_micros").alias("provider_cost_micros"),
                pl.col("cycle_start_date").alias("cycle_end_date"),
                revision=1,
                method=pl.lit("standard"),
                currency=pl.lit("EUR"),
                unrated_count=0,
                content_sha256=pl.lit(""),
            )
            done.write_database(
                "total_usage_new_table",
                connection,
                if_table_exists="append",
                engine="sqlalchemy",
                engine_options={"chunksize": 1000},
            )

    seconds = timed(work)
    engine.dispose()
    require_totals(world, url)
    return Sample(seconds, world.rows)


Adder = Callable[[CMySQLConnection, tuple[Any, ...]], tuple[int, int]]


def _by_customer(world: World, url: str, add: Adder) -> Sample:
    """One query, one upsert and one commit for each customer's cycle."""
    _forget(url)
    with closing(driver_connection(url)) as connection:
        with closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT customer_id, cycle_start_date, cycle_end_date FROM bench_cycle"
            )
            cycles: list[Any] = cursor.fetchall()

        def work() -> None:
            with closing(connection.cursor()) as cursor:
                for cycle in cycles:
                    cost_micros, count = add(connection, cycle)
                    cursor.execute(UPSERT, (*cycle, cost_micros, cost_micros, count))
                    connection.commit()

        seconds = timed(work)
    require_totals(world, url)
    return Sample(seconds, world.rows)


def _summed(connection: CMySQLConnection, cycle: tuple[Any, ...]) -> tuple[int, int]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(SUM_OF_ONE, cycle)
        summed: list[Any] = cursor.fetchall()
        ((cost_micros, count),) = summed
    return int(cost_micros), int(count)


def _added_up(connection: CMySQLConnection, cycle: tuple[Any, ...]) -> tuple[int, int]:
    with closing(connection.cursor()) as cursor:
        cursor.execute(ROWS_OF_ONE, cycle)
        rows: list[Any] = cursor.fetchall()
    return sum(row[5] or 0 for row in rows), len(rows)


# --- before and after -------------------------------------------------------------------


def _forget(url: str, *, waiting: bool = False) -> None:
    with closing(driver_connection(url)) as connection:
        _run(connection, *FORGET, *([WAIT_AGAIN] if waiting else []))


def require_totals(world: World, url: str) -> None:
    """Hold the sum of all totals to what the delivery must cost."""
    with closing(driver_connection(url)) as connection, closing(connection.cursor()) as c:
        c.execute(
            "SELECT sum(total_cost_micros), sum(cdr_count) FROM total_usage_new_table"
        )
        summed: list[Any] = c.fetchall()
        ((cost_micros, count),) = summed
    expected = world.delivery.expected
    if (int(cost_micros), int(count)) != (expected.cost_micros, expected.loaded):
        message = (
            f"totals of {cost_micros} micros over {count} records: expected {expected}"
        )
        raise RuntimeError(message)


def _run(connection: CMySQLConnection, *statements: str) -> None:
    with closing(connection.cursor()) as cursor:
        for statement in statements:
            cursor.execute(statement)
    connection.commit()
