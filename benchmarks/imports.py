"""Imports: from a provider's ZIP to rows in ``call_detail_record``, beside plain loading.

Our side is the whole command, ``etl import``: start of the process, reading, checking,
normalising, duplicates, ledger, 1000-row batches. The other sides get the rows ready-made,
converted by us beforehand and not on the clock, and only put them into the same table.
"""

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

import pandas as pd
import polars as pl
import sqlalchemy as sa
from mysql.connector.connection_cext import CMySQLConnection
from sqlalchemy.engine import make_url

from benchmarks.measuring import Contest, Ratio, Sample, Side, timed
from benchmarks.world import World
from loaders.imports import STORED
from transforms.cdr import KEY

TABLE: Final = "call_detail_record"
ALTERNATIVES: Final = (
    "mysql-connector executemany",
    "SQLAlchemy executemany",
    "pandas to_sql",
    "polars write_database",
    "dlt",
)
BATCH_ROWS: Final = 1000
SLOW_PART: Final = 10
"""Sides that need many times as long load a tenth; they are compared by rows a second."""

Rows = Sequence[tuple[Any, ...]]


def mariadb_contest(world: World, place: str) -> Contest:
    """Hold our import against bare LOAD DATA and the usual ways, on MariaDB."""
    texts = LoadFiles(world)
    with_others = place == "memory"
    sides = [
        Side("etl import", partial(_ours_on_mariadb, world, place)),
        Side(
            "bare LOAD DATA, delivered order",
            partial(_bare, world, place, [texts.delivered]),
        ),
        Side("bare LOAD DATA, sorted", partial(_bare, world, place, [texts.sorted])),
        Side(
            "bare LOAD DATA, sorted, 2 connections",
            partial(_bare, world, place, texts.halves),
        ),
    ]
    writers: dict[str, Callable[[str, World], float]] = {
        "mysql-connector executemany": _executemany,
        "SQLAlchemy executemany": _sqlalchemy,
        "pandas to_sql": _pandas,
        "polars write_database": _polars,
        "dlt": _dlt,
    }
    if with_others:
        sides += [
            Side(name, partial(_other, world, place, writers[name]), rounds=1)
            for name in ALTERNATIVES
        ]
    ratios = [
        Ratio(
            f"import_{place}_to_bare_load",
            "etl import",
            ("bare LOAD DATA, delivered order",),
            1.5,
        ),
        Ratio(f"import_{place}_to_sorted_load", "etl import", ("bare LOAD DATA, sorted",)),
        Ratio(
            f"import_{place}_to_two_sorted_loads",
            "etl import",
            ("bare LOAD DATA, sorted, 2 connections",),
        ),
    ]
    if with_others:
        ratios.append(Ratio("import_to_best_other_way", "etl import", ALTERNATIVES, 5.0))
    where = "in memory" if with_others else "on disk"
    return Contest(
        f"import-mariadb-{place}",
        f"ZIP to call_detail_record, MariaDB, its data {where}",
        sides,
        ratios,
        [
            "Ours is the whole process, from the ZIP; the others load ready-made rows.",
            f"The other ways load the first {world.rows // SLOW_PART:,} rows.",
        ],
    )


def sqlite_contest(world: World) -> Contest:
    """Hold our import against sqlite3's executemany of ready tuples."""
    return Contest(
        "import-sqlite",
        "ZIP to call_detail_record, SQLite",
        [
            Side("etl import", partial(_ours_on_sqlite, world)),
            Side(
                "executemany of ready tuples, delivered order",
                partial(_sqlite_executemany, world, []),
            ),
            Side(
                "executemany of ready tuples, sorted",
                partial(_sqlite_executemany, world, list(KEY)),
            ),
        ],
        [
            Ratio(
                "import_sqlite_to_executemany",
                "etl import",
                ("executemany of ready tuples, delivered order",),
                0.8,
            ),
            Ratio(
                "import_sqlite_to_sorted_executemany",
                "etl import",
                ("executemany of ready tuples, sorted",),
            ),
        ],
        ["Both write the same table with the same settings: WAL, every commit synced."],
    )


# --- ours -------------------------------------------------------------------------------


def _ours_on_mariadb(world: World, place: str) -> Sample:
    with world.mariadb(place) as url:
        ended = world.import_delivery(url)
    return Sample(ended.seconds, world.rows, ended.peak_mb)


def _ours_on_sqlite(world: World) -> Sample:
    with world.sqlite() as url:
        ended = world.import_delivery(url)
    return Sample(ended.seconds, world.rows, ended.peak_mb)


# --- LOAD DATA as it comes --------------------------------------------------------------


class LoadFiles:
    """Files of ready rows as LOAD DATA reads them, made when first asked for."""

    def __init__(self, world: World) -> None:
        """Remember the world; nothing is written yet."""
        self._world = world

    def delivered(self) -> Path:
        """All rows as they were delivered."""
        return self._file("delivered", lambda: self._world.converted)

    def sorted(self) -> Path:
        """All rows in the order of the table's key."""
        return self._file("sorted", lambda: self._world.converted.sort(list(KEY)))

    @property
    def halves(self) -> list[Callable[[], Path]]:
        """The first and the second half of the sorted rows."""
        return [partial(self._half, 0), partial(self._half, 1)]

    def _half(self, number: int) -> Path:
        rows = self._world.converted
        middle = rows.height // 2
        return self._file(
            f"half-{number}",
            lambda: (
                rows.sort(list(KEY)).slice(number * middle, rows.height - middle)
                if number
                else rows.sort(list(KEY)).head(middle)
            ),
        )

    def _file(self, name: str, rows: Callable[[], pl.DataFrame]) -> Path:
        path = self._world.folder / f"{name}.csv"
        if not path.exists():
            moments = pl.col(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
            rows().with_columns(moments).write_csv(
                path, include_header=False, quote_style="non_numeric", null_value="NULL"
            )
        return path


LOAD: Final = (
    f"LOAD DATA LOCAL INFILE %s INTO TABLE {TABLE} CHARACTER SET utf8mb4 "
    "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' ESCAPED BY '' "
    f"LINES TERMINATED BY '\\n' ({', '.join(STORED)})"
)


def _bare(world: World, place: str, files: Sequence[Callable[[], Path]]) -> Sample:
    """Load each file over a connection of its own, all at the same time."""
    paths = [make() for make in files]
    with world.mariadb(place) as url:
        connections = [driver_connection(url, local_infile=True) for _ in paths]
        threads = [
            threading.Thread(target=_load_file, args=(connection, path))
            for connection, path in zip(connections, paths, strict=True)
        ]

        def load() -> None:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        seconds = timed(load)
        _require_rows(connections[0], world.converted.height)
        for connection in connections:
            connection.close()
    return Sample(seconds, world.rows)


def _load_file(connection: CMySQLConnection, path: Path) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(LOAD, (str(path),))
    connection.commit()


def driver_connection(url: str, *, local_infile: bool = False) -> CMySQLConnection:
    """Open a connection of the driver's own, with its C extension."""
    parsed = make_url(url)
    return CMySQLConnection(
        user=parsed.username,
        password=parsed.password,
        database=parsed.database,
        unix_socket=parsed.query["unix_socket"],
        allow_local_infile=local_infile,
        charset="utf8mb4",
        collation="utf8mb4_bin",
    )


def _require_rows(connection: CMySQLConnection, expected: int) -> None:
    with closing(connection.cursor()) as cursor:
        cursor.execute(f"SELECT count(*) FROM {TABLE}")
        found: Any = cursor.fetchall()[0][0]
    if found != expected:
        message = f"{found} rows are stored where {expected} were loaded"
        raise RuntimeError(message)


# --- the usual ways ---------------------------------------------------------------------


def _other(world: World, place: str, write: Callable[[str, World], float]) -> Sample:
    with world.mariadb(place) as url:
        seconds = write(url, world)
    return Sample(seconds, _some(world).height)


def _some(world: World) -> pl.DataFrame:
    return world.converted.head(world.rows // SLOW_PART)


def _in_batches(rows: Iterator[tuple[Any, ...]]) -> Iterator[list[tuple[Any, ...]]]:
    while batch := list(islice(rows, BATCH_ROWS)):
        yield batch


def _executemany(url: str, world: World) -> float:
    """The driver writes executemany of an INSERT as one statement with many rows."""
    rows = _some(world).rows()
    marks = ", ".join(["%s"] * len(STORED))
    insert = f"INSERT INTO {TABLE} ({', '.join(STORED)}) VALUES ({marks})"
    connection = driver_connection(url)

    def work() -> None:
        with closing(connection.cursor()) as cursor:
            for batch in _in_batches(iter(rows)):
                cursor.executemany(insert, batch)
        connection.commit()

    seconds = timed(work)
    _require_rows(connection, len(rows))
    connection.close()
    return seconds


def _sqlalchemy(url: str, world: World) -> float:
    rows = _some(world).to_dicts()
    engine = sa.create_engine(url)
    table = sa.table(TABLE, *(sa.column(name) for name in STORED))

    def work() -> None:
        with engine.begin() as connection:
            for start in range(0, len(rows), BATCH_ROWS):
                connection.execute(sa.insert(table), rows[start : start + BATCH_ROWS])

    return _timed_and_closed(work, engine)


def _pandas(url: str, world: World) -> float:
    frame = pd.DataFrame(_some(world).to_dict(as_series=False))
    engine = sa.create_engine(url)

    def work() -> None:
        frame.to_sql(TABLE, engine, if_exists="append", index=False, chunksize=BATCH_ROWS)

    return _timed_and_closed(work, engine)


def _polars(url: str, world: World) -> float:
    rows = _some(world)
    engine = sa.create_engine(url)

    def work() -> None:
        with engine.begin() as connection:
            rows.write_database(
                TABLE,
                connection,
                if_table_exists="append",
                engine="sqlalchemy",
                engine_options={"chunksize": BATCH_ROWS},
            )

    return _timed_and_closed(work, engine)


def _dlt(url: str, world: World) -> float:
    """Let dlt load rows into a table that it makes itself, as it does."""
    import dlt

    rows = _some(world).to_arrow()
    pipelines = world.folder / "dlt"
    engine = sa.create_engine(url)
    pipeline = dlt.pipeline(
        "benchmark",
        pipelines_dir=str(pipelines),
        destination=dlt.destinations.sqlalchemy(engine),
        dataset_name=str(make_url(url).database),
    )

    def work() -> None:
        pipeline.run(rows, table_name="dlt_record", write_disposition="append")

    seconds = _timed_and_closed(work, engine)
    pipeline.drop()
    return seconds


def _timed_and_closed(work: Callable[[], object], engine: sa.Engine) -> float:
    seconds = timed(work)
    engine.dispose()
    return seconds


# --- SQLite -----------------------------------------------------------------------------


def _sqlite_executemany(world: World, order: list[str]) -> Sample:
    rows = world.converted.sort(order) if order else world.converted
    moments = pl.col(pl.Datetime("us")).dt.strftime("%Y-%m-%d %H:%M:%S")
    tuples: Rows = rows.with_columns(moments).rows()
    marks = ", ".join("?" for _ in STORED)
    insert = f"INSERT INTO {TABLE} ({', '.join(STORED)}) VALUES ({marks})"
    with world.sqlite() as url:
        connection = sqlite3.connect(url.removeprefix("sqlite:///"))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA cache_size = -65536")

        def work() -> None:
            connection.executemany(insert, tuples)
            connection.commit()

        seconds = timed(work)
        connection.close()
    return Sample(seconds, world.rows)
