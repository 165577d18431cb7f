"""The world the benchmarks measure in: a delivery, databases of their own, our command.

Effects: temporary folders (in memory where there is room), server processes, and ``etl``
as a process of its own. Everything a benchmark reads it has made itself, from a seed.
"""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import polars as pl
from sqlalchemy.engine import make_url

from etl.generate import Demand, Generated, generate_routit
from loaders.imports import STORED
from tests.mariadb import (
    MariaDBServer,
    connect,
    execute_all,
    fresh_database,
    schema_statements,
)

ROOT: Final = Path(__file__).resolve().parents[1]
MEMORY: Final = Path("/dev/shm")
ETL: Final = (sys.executable, "-m", "etl")
REFERENCE_TABLES: Final = ("customer", "subscription", "reference_state")
LOOK_EVERY_S: Final = 0.02
ROWS_A_CUSTOMER: Final = 200
FEWEST_CUSTOMERS: Final = 200
CYCLE: Final = "2026-10-01"
"""A day of the month the generated calls are in."""

SERVER_OPTIONS: Final = (
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=1G",
    "--innodb-flush-log-at-trx-commit=1",
    "--innodb-doublewrite=1",
    "--skip-log-bin",
)
"""Every commit is synced, as the product demands; the rest is stated with the results."""


@dataclass(frozen=True)
class Ended:
    """A process that ended: how long it took, what it needed, what it said."""

    seconds: float
    peak_mb: float
    said: str

    @property
    def document(self) -> Any:  # noqa: ANN401 - a JSON document
        """What ``--json`` printed."""
        return json.loads(self.said)


def run_etl(*words: str, database_url: str, storage: Path, **settings: object) -> Ended:
    """Run ``etl`` as an operator does, whole process, and wait for it.

    Raises:
        RuntimeError: When it fails; rejected records (exit 1) are no failure here.
    """
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "ETL_DATABASE_URL": database_url,
        "ETL_STORAGE": str(storage),
        **{f"ETL_{name.upper()}": str(value) for name, value in settings.items()},
    }
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        began = time.perf_counter()
        process = subprocess.Popen(
            [*ETL, *words], env=environment, cwd=ROOT, stdout=out, stderr=err
        )
        watch = _Watch(process.pid)
        process.wait()
        seconds = time.perf_counter() - began
        peak_mb = watch.peak_mb()
        out.seek(0)
        err.seek(0)
        said, complained = out.read().decode(), err.read().decode()
    if process.returncode not in (0, 1):
        message = f"etl {' '.join(words)}: exit {process.returncode}: {complained[-2000:]}"
        raise RuntimeError(message)
    return Ended(seconds, peak_mb, said)


class _Watch:
    """Watches how much memory a process has held at most.

    What the system tells of an ended child is no use: it counts the memory of the process
    that started it too.
    """

    def __init__(self, pid: int) -> None:
        self._status = Path(f"/proc/{pid}/status")
        self._peak_kib = 0
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def peak_mb(self) -> float:
        """The most that was seen, once the process has ended."""
        self._thread.join()
        return self._peak_kib / 1024

    def _look(self) -> None:
        while (found := self._high_water_kib()) is not None:
            self._peak_kib = max(self._peak_kib, found)
            time.sleep(LOOK_EVERY_S)

    def _high_water_kib(self) -> int | None:
        try:
            lines = self._status.read_text().splitlines()
        except OSError:
            return None
        sizes = [int(line.split()[1]) for line in lines if line.startswith("VmHWM:")]
        return sizes[0] if sizes else None


class World:
    """One run of the benchmarks: its folders, its delivery, its servers."""

    def __init__(self, folder: Path, rows: int) -> None:
        """Work in an empty folder with a delivery of ``rows`` records."""
        self.folder = folder
        self.rows = rows
        self.customers = max(FEWEST_CUSTOMERS, rows // ROWS_A_CUSTOMER)
        self._servers: dict[str, MariaDBServer] = {}
        self._templates: dict[str, list[str]] = {}
        self._open = ExitStack()

    @cached_property
    def delivery(self) -> Generated:
        """The delivery; its reference data lies beside it."""
        reference = self.folder / "reference"
        reference.mkdir()
        return generate_routit(reference, Demand(self.rows, self.customers))

    @cached_property
    def converted(self) -> pl.DataFrame:
        """The rows the delivery becomes (STORED), in the order they were delivered.

        They are read back from a database that our own import filled, so every side loads
        the same rows into the same columns.
        """
        with self.sqlite() as url:
            self.import_delivery(url)
            path = url.removeprefix("sqlite:///")
            listed = ", ".join(STORED)
            with closing(sqlite3.connect(path)) as connection:
                rows = connection.execute(f"SELECT {listed} FROM call_detail_record")
                frames = []
                while fetched := rows.fetchmany(50_000):
                    columns = dict(zip(STORED, zip(*fetched, strict=True), strict=True))
                    frames.append(_typed(columns))
        return pl.concat(frames).sort("member", "line_no", descending=[True, False])

    def import_delivery(self, url: str, **settings: object) -> Ended:
        """Import the delivery with our own command, and hold the counts to what they are.

        Raises:
            RuntimeError: When a record ended elsewhere than it should.
        """
        ended = run_etl(
            "import",
            str(self.delivery.path),
            "--provider",
            "routit",
            "--json",
            database_url=url,
            storage=self.storage(),
            **settings,
        )
        (done,) = ended.document["imports"]
        expected = vars(self.delivery.expected)
        found = {name: done[name] for name in expected}
        if done["status"] != "done" or found != expected:
            message = f"the import came to {done}, where {expected} was expected"
            raise RuntimeError(message)
        return ended

    def storage(self) -> Path:
        """An empty storage folder."""
        path = self.folder / "storage"
        shutil.rmtree(path, ignore_errors=True)
        return path

    @contextmanager
    def sqlite(self) -> Iterator[str]:
        """A new SQLite database with schema and reference data; yields its URL."""
        folder = self.folder / "sqlite"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        shutil.copy(self._sqlite_template, folder / "etl.db")
        try:
            yield f"sqlite:///{folder / 'etl.db'}"
        finally:
            shutil.rmtree(folder)

    @contextmanager
    def mariadb(self, place: str = "memory") -> Iterator[str]:
        """A new MariaDB database with schema and reference data; yields its URL.

        Args:
            place: ``memory`` or ``disk``: where the server keeps its data.
        """
        with fresh_database(self.server(place)) as url:
            execute_all(url, self._template(place))
            yield url

    def server(self, place: str) -> MariaDBServer:
        """The MariaDB server that keeps its data in memory, or on disk."""
        if place not in self._servers:
            parent = self.folder if place == "memory" else Path(tempfile.gettempdir())
            folder = Path(tempfile.mkdtemp(prefix="cdr-etl-bench-", dir=parent))
            server = MariaDBServer(folder, SERVER_OPTIONS)
            self._servers[place] = server
            server.start()
        return self._servers[place]

    def server_version(self) -> str:
        """What the server calls itself."""
        url = self.server("memory").url("")
        with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute("SELECT version()")
            return str(cursor.fetchall()[0][0])

    def close(self) -> None:
        """Stop the servers and remove their folders."""
        self._open.close()
        for server in self._servers.values():
            server.remove()

    @cached_property
    def _sqlite_template(self) -> Path:
        path = self.folder / "template.db"
        url = f"sqlite:///{path}"
        run_etl("db:upgrade", database_url=url, storage=self.storage())
        self._load_reference(url)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path

    def _template(self, place: str) -> list[str]:
        """The statements that make a database like the first one of this server."""
        if place not in self._templates:
            url = self._open.enter_context(fresh_database(self.server(place)))
            run_etl("db:upgrade", database_url=url, storage=self.storage())
            self._load_reference(url)
            name = str(make_url(url).database)
            copies = [
                f"INSERT INTO {table} SELECT * FROM {name}.{table}"
                for table in REFERENCE_TABLES
            ]
            self._templates[place] = [*schema_statements(url), *copies]
        return self._templates[place]

    def _load_reference(self, url: str) -> None:
        folder = str(self.delivery.path.parent)
        run_etl("reference:load", folder, database_url=url, storage=self.storage())


def _typed(columns: Mapping[str, Any]) -> pl.DataFrame:
    frame = pl.DataFrame(
        {
            name: pl.Series(
                name,
                columns[name],
                pl.String() if isinstance(dtype, pl.Datetime) else dtype,
            )
            for name, dtype in STORED.items()
        }
    )
    moments = [
        pl.col(name).str.to_datetime(time_unit="us")
        for name, dtype in STORED.items()
        if isinstance(dtype, pl.Datetime)
    ]
    return frame.with_columns(moments)


@contextmanager
def world(rows: int, bytes_a_row: int = 4_000) -> Iterator[World]:
    """Make a world, in memory where there is room for it, and remove it afterwards."""
    needed = 2_000_000_000 + rows * bytes_a_row
    has_room = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > needed
    parent = MEMORY if has_room else None
    folder = Path(tempfile.mkdtemp(prefix="cdr-etl-bench-", dir=parent))
    made = World(folder, rows)
    try:
        yield made
    finally:
        made.close()
        shutil.rmtree(folder, ignore_errors=True)
