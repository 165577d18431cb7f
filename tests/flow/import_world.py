"""A small world to import into: owners, deliveries written by hand, and what came of them.

Run as a program it imports files in child processes that may be killed, each with a fault
plan of its own, and prints how each of them ended::

    python -m tests.flow.import_world DATABASE_URL FOLDER FILE PROVIDER PLAN...

The plan ``-`` disturbs nothing. The lease is one second, so the next child soon takes over.
"""

import contextlib
import sqlite3
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import polars as pl
from sqlalchemy.engine import make_url

from etl.app import App
from etl.importing import Finish, Importer, nothing_follows
from etl.profiles import load_profile
from etl.reading import sidecar_text
from etl.registering import register_stored
from etl.replay import Replayed, Replayer
from etl.settings import Settings
from etl.stopping import STOP
from loaders.audit import Difference, differences
from loaders.imports import ImportRow
from loaders.open import prepare_driver
from tests.mariadb import connect
from transforms.errors import LeaseHeld, Stopped
from transforms.profile import Profile
from transforms.reference import CUSTOMERS, SUBSCRIPTIONS, Reference

EXAMPLES = Path(__file__).resolve().parents[2] / "etl" / "providers" / "examples"

LATEST = datetime(2026, 12, 1)  # noqa: DTZ001 - naive UTC; the examples are older

HEADER = (
    "UniqueId,Klantnummer,ChannelId,Datum,Tijdstip,Afzender,Bestemming,Duur,Platform,"
    "Totaaltarief,Starttarief,Minuuttarief,Verkeersklasse,Richting,Extensie,Roaming,"
    "Bundel,Ordernummer"
)

ANNA, BERT = "31600000011", "31600000012"
"""Two numbers of RoutIT; by default Anna is customer 1 and Bert is customer 2."""

OF_A_RUN = frozenset(
    {
        *("created_at", "updated_at", "started_at", "finished_at", "committed_at"),
        *("marked_at", "superseded_at", "lease_until", "duration_ms", "owner"),
        *("fence", "attempts", "mark", "batch_no", "first_line", "last_line"),
    }
)
"""Columns that tell of the run and not of the records."""

RESULTS = (
    "import_queue",
    "import_cycle",
    "dirty_cycle",
    "call_detail_record",
    "superseded_record",
    "rejected_record",
    "suspended_record",
    "conflict_record",
    "duplicate_record",
)
"""The tables that must be the same, however often a run was interrupted."""


def call(record_id: str, number: str = ANNA, **cells: str) -> str:
    """Write one outgoing RoutIT call of 60 s for 4.05 cents."""
    given = {
        "UniqueId": record_id,
        "Klantnummer": "K10001",
        "Datum": "05-01-2025",
        "Tijdstip": "10:00:00",
        "Afzender": number,
        "Bestemming": "31200000021",
        "Duur": "60",
        "Platform": "Mobiel",
        "Totaaltarief": "4,05",
        "Richting": "uitgaand",
        "Extensie": "voice",
        "Ordernummer": "700101",
        **cells,
    }
    return ",".join(_cell(given.pop(name, "")) for name in HEADER.split(","))


def _cell(value: str) -> str:
    return f'"{value}"' if "," in value else value


def write_routit(
    folder: Path, calls: Sequence[str], name: str = "", header: str = HEADER
) -> Path:
    """Write a RoutIT delivery of mobile calls."""
    path = folder / (name or "CDR_10001_202501.zip")
    path.parent.mkdir(parents=True, exist_ok=True)
    member = zipfile.ZipInfo("CDR_Mobile_10001_202501.csv", (2025, 2, 1, 6, 0, 0))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, "".join(f"{line}\r\n" for line in (header, *calls)))
    return path


STRANGER = "31600000099"
"""A number that nobody owns."""


def mixed_calls(count: int = 100) -> list[str]:
    """Write calls of Anna, Bert and a stranger; some repeat, some are faulty."""
    numbers = (ANNA, BERT, ANNA, STRANGER, BERT)
    calls = [
        call(str(n), numbers[n % 5], Tijdstip=f"{n % 24:02}:{n % 60:02}:00")
        for n in range(count)
    ]
    repeated = [calls[0], calls[7], calls[3]]
    dearer = [call("1", BERT, Totaaltarief="9,99")]
    faulty = [call("bad", Totaaltarief="x"), call("worse", Datum="31-02-2025")]
    return [*calls[:50], *repeated, *dearer, *calls[50:], *faulty]


class World:
    """A database, a storage folder, and the imports between them."""

    def __init__(self, url: str, folder: Path, **settings: object) -> None:
        self.url = url
        self.folder = folder
        given: dict[str, Any] = {"chunk_rows": 50, "batch_rows": 4} | settings
        self.settings = Settings(
            database_url=url, storage=folder / "storage", batches_per_commit=2, **given
        )
        self._open = contextlib.ExitStack()
        self.app = self._open.enter_context(App(self.settings))

    def __enter__(self) -> "World":
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    def own(self, owners: Mapping[str, int], zone: str = "Europe/Amsterdam") -> None:
        """Say who owns which number, for ever; customers have cycle day 1.

        ``number:31600000011``, ``line:…``, ``contract:…`` or ``account:…``; a bare name
        is a number.
        """
        ids = sorted({1, 2, *owners.values()})
        people = [(each, f"Customer {each}", zone, 1, "EUR", "{}") for each in ids]
        claims = [(*_claim(name), owner, None, None) for name, owner in owners.items()]
        self.app.reference.replace(
            Reference(
                customers=pl.DataFrame(people, CUSTOMERS, orient="row"),
                subscriptions=pl.DataFrame(claims, SUBSCRIPTIONS, orient="row"),
            )
        )

    @property
    def importer(self) -> Importer:
        """An importer that lives in December 2026."""
        return replace(self.app.importer(), latest_utc=LATEST)

    def register(
        self, path: Path, provider: str = "routit", name: str = ""
    ) -> tuple[ImportRow, Profile]:
        """Bring a delivery into storage and queue."""
        profile = load_profile(provider, folders=[self.settings.providers])
        stored = self.app.storage.keep(path, limit_bytes=1 << 30)
        row = register_stored(
            self.app.imports,
            stored,
            name or path.name,
            profile,
            sidecar_text(path, profile),
        )
        return row, profile

    def load(
        self, path: Path, provider: str = "routit", finish: Finish = nothing_follows
    ) -> ImportRow:
        """Import a file as ``etl import`` does."""
        row, profile = self.register(path, provider)
        return self.importer.import_stored(row, profile, finish)

    def replay(
        self, import_id: int | None = None, *, dry_run: bool = False
    ) -> list[Replayed]:
        """Replay as ``etl rejects:replay`` does."""
        replayer = Replayer(self.importer, self.app.set_aside, lambda _tx, _row: None)
        return replayer.replay(import_id, dry_run=dry_run)

    def audit(self) -> list[Difference]:
        """Whatever does not add up."""
        return differences(self.app.database)

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Ask the database in the test's own words, past the code under test."""
        return ask(self.url, query)

    def table(self, name: str, *columns: str, where: str = "") -> list[tuple[Any, ...]]:
        """Some columns of a table, sorted."""
        condition = f" WHERE {where}" if where else ""
        query = f"SELECT {', '.join(columns)} FROM {name}{condition}"  # noqa: S608 - ours
        return sorted(self.rows(query))

    def do(self, change: str) -> None:
        """Change the database in the test's own words, as an operator might."""
        ask(self.url, change)

    def results(self) -> dict[str, list[tuple[str, ...]]]:
        """All that imports leave behind, but for what tells of the run itself."""
        return results(self.url)


def _claim(name: str) -> tuple[str, str]:
    kind, colon, identifier = name.rpartition(":")
    return (kind, identifier) if colon else ("number", f"+{identifier}")


def results(url: str) -> dict[str, list[tuple[str, ...]]]:
    """Every result table of a database, sorted, in texts that both databases share."""
    told = {}
    for table in RESULTS:
        names = [name for name in columns(url, table) if name.strip("`") not in OF_A_RUN]
        rows = ask(url, f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - our own names
        told[table] = sorted(tuple(map(str, row)) for row in rows)
    return told


def columns(url: str, table: str) -> list[str]:
    """The columns of a table; the running number of a history row is none."""
    if url.startswith("sqlite"):
        found = [str(row[1]) for row in ask(url, f"PRAGMA table_xinfo({table})")]
    else:
        found = [str(row[0]) for row in ask(url, f"SHOW COLUMNS FROM {table}")]
    return [f"`{name}`" for name in found if table != "superseded_record" or name != "id"]


def ask(url: str, query: str) -> list[tuple[Any, ...]]:
    """Ask a database by its plain driver."""
    parsed = make_url(url)
    if parsed.drivername == "sqlite":
        with closing(sqlite3.connect(str(parsed.database), timeout=30)) as file, file:
            return file.execute(query).fetchall()
    with closing(connect(url)) as server, closing(server.cursor()) as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()] if cursor.description else []


# --- as a program -------------------------------------------------------------------------


def _load_when_free(world: World, file: Path, provider: str) -> None:
    deadline_s = time.monotonic() + 20
    while time.monotonic() < deadline_s:
        with contextlib.suppress(LeaseHeld):
            if provider == "replay":
                world.replay()
            else:
                world.load(file, provider)
            return
        time.sleep(0.05)
    raise TimeoutError


def _load(url: str, folder: str, file: str, provider: str) -> int:
    prepare_driver(url)
    STOP.install()
    try:
        with World(url, Path(folder), lease_seconds=1) as world:
            _load_when_free(world, Path(file), provider)
    except Stopped:
        return Stopped.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(_load(*sys.argv[1:]))
