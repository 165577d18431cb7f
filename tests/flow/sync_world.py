"""A house with feeds: drop folders, a RoutIT, customers, and what came of a sync.

Run as a program it works the feeds in child processes that may be killed, each with a
fault plan of its own, and prints how each ended and how many steps were done then::

    python -m tests.flow.sync_world DATABASE_URL STORAGE AS_OF PLAN...

The plan ``-`` disturbs nothing. The lease is one second, so the next child soon goes on.
"""

import shutil
import sqlite3
import sys
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy.engine import make_url

from etl.app import App
from etl.chains import CHAINS
from etl.extract import folder
from etl.handlers import bus_of
from etl.settings import Settings
from etl.simulator import RoutitSimulator
from etl.sync import dispatch_syncs
from loaders.open import prepare_driver
from loaders.sync import SyncTask
from tests.mariadb import connect
from transforms.reference import (
    CsvFile,
    Line,
    SyncProfile,
    SyncSettings,
    parse_reference,
)

EXAMPLES = Path(__file__).resolve().parents[2] / "etl" / "providers" / "examples"

EXAMPLE_OF = {
    "kpn_een": "KPNEEN_123456789_202610.csv",
    "kpn_sp16": "SP16_00016_20261006020000_000123.DAT",
    "tmobile_calvi": "TMO_CALVI_AC9_202610_0007.tsv",
    "vodafone_nl": "Vodafone_300000061_202603.csv",
    "yielder": "yielder_4711_2026-10.csv",
}
"""The provider's example delivery, for the five that come through a folder."""

OWNER_OF_ACCOUNT = {
    "123456789": 1,
    "00016": 2,
    "AC9": 3,
    "300000061": 4,
    "4711": 5,
    "K10001": 6,
    "K10001C": 6,
}
"""The customer who owns everything of an account in the examples."""

ROUTIT_FILE = "CDR_10001_202610.zip"
SECRET_NAME = "ETL_TEST_ROUTIT_SECRET"  # the name of a variable, not a secret
SECRET = "canary-77ab/sync"
AS_OF = datetime(2026, 11, 3, 2, 0, tzinfo=UTC)
"""Early in November: RoutIT's last month is the example's, October."""

OF_A_RUN = frozenset(
    {
        *("created_at", "updated_at", "started_at", "finished_at", "committed_at"),
        *("marked_at", "lease_until", "duration_ms", "owner", "fence", "attempts"),
        *("mark", "batch_no", "first_line", "last_line", "backed_up_at", "message"),
        *("requested_at", "last_sync_at"),
        *("cost", "total_cost"),
    }
)
"""Columns that tell of the run and not of its result, or repeat another one."""

RESULTS = (
    "import_queue",
    "call_detail_record",
    "suspended_record",
    "rejected_record",
    "dirty_cycle",
    "delivery_request",
    "provider_invoice",
    "provider_invoice_line",
    "total_usage_new_table",
    "total_usage_line",
    "total_usage_new_backup_table",
    "sync_task",
)
"""The tables that must be the same, however often a run was interrupted."""


def house(url: str, place: Path, lease_seconds: int = 60) -> App:
    """Open the application on a database, with its storage below a folder."""
    return App(
        Settings(
            database_url=url,
            storage=place / "storage",
            providers=place / "providers",
            lease_seconds=lease_seconds,
        )
    )


def folder_feed(provider: str, place: Path, **given: object) -> SyncProfile:
    """Make a feed of a drop folder, and the folder."""
    place.mkdir(parents=True, exist_ok=True)
    settings = SyncSettings("folder", folder=str(place))
    return SyncProfile(provider, settings, **given)  # type: ignore[arg-type]  # enabled, every_minutes


def five_folders(place: Path) -> dict[str, SyncProfile]:
    """Make the feeds of the five providers that send files."""
    return {each: folder_feed(each, place / "drop" / each) for each in EXAMPLE_OF}


def routit_feed(routit: RoutitSimulator) -> SyncProfile:
    """Make the feed of a simulated RoutIT; its secret must be in SECRET_NAME."""
    settings = SyncSettings(
        "https",
        url=routit.base_url,
        account="10001",
        auth="oauth2",
        token_url=f"{routit.base_url}/token",
        client_id="demo",
        secret=f"env:{SECRET_NAME}",
    )
    return SyncProfile("routit", settings)


def deliver(feed: SyncProfile, *names: str) -> None:
    """Put example deliveries into a feed's folder, with their control files."""
    place = Path(feed.settings.folder)
    for name in names or (EXAMPLE_OF[feed.provider],):
        for found in sorted(EXAMPLES.glob(f"{name}*")):
            shutil.copy(found, place / found.name)


def load_feeds(app: App, feeds: Mapping[str, SyncProfile]) -> None:
    """Store feeds, and an owner for every account of the examples."""
    customers = "".join(f"{each},Customer {each},,,\n" for each in range(1, 7))
    lines = (f"{account},account,{owner},," for account, owner in OWNER_OF_ACCOUNT.items())
    owned = parse_reference(
        _csv("customers.csv", "customer_id,name,timezone,cycle_day,currency\n" + customers),
        _csv(
            "subscriptions.csv",
            "identifier,kind,customer_id,valid_from,valid_to\n" + "\n".join(lines),
        ),
    )
    app.reference.replace(replace(owned, sync_profiles=tuple(feeds.values())))


def _csv(name: str, text: str) -> CsvFile:
    header, *lines = (line.split(",") for line in text.splitlines())
    rows = [
        Line(number, dict(zip(header, line, strict=True)))
        for number, line in enumerate(lines, start=2)
    ]
    return CsvFile(name, tuple(header), rows)


def sync(app: App, as_of: datetime = AS_OF) -> dict[str, int]:
    """Dispatch what is due and work the queue; how many jobs ended with which status."""
    dispatch_syncs(app.syncs, as_of)
    return dict(bus_of(app).drain())


def task_of(app: App, provider: str) -> SyncTask:
    """The newest task of a provider."""
    return next(task for task in app.syncs.tasks() if task.provider == provider)


def rows(url: str, query: str) -> list[tuple[object, ...]]:
    """Ask a database something of the test's own."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        with closing(sqlite3.connect(str(parsed.database))) as asked:
            return [tuple(row) for row in asked.execute(query)]
    with closing(connect(url)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return [tuple(row) for row in cursor.fetchall()]


def imports(url: str) -> list[tuple[object, ...]]:
    """Provider, status, records, loaded and suspended of every import, oldest first."""
    return rows(
        url,
        "SELECT provider, status, records, loaded, suspended FROM import_queue ORDER BY id",
    )


def end_state(url: str) -> dict[str, list[tuple[object, ...]]]:
    """What a run left in the tables of its result, each sorted."""
    return {table: _content(url, table) for table in RESULTS}


def _content(url: str, table: str) -> list[tuple[object, ...]]:
    is_sqlite = url.startswith("sqlite")
    columns = (
        [str(row[1]) for row in rows(url, f"PRAGMA table_info({table})")]
        if is_sqlite
        else [str(row[0]) for row in rows(url, f"SHOW COLUMNS FROM {table}")]
    )
    kept = [name for name in columns if name not in OF_A_RUN]
    listed = ", ".join(f"`{name}`" for name in kept)
    found = rows(url, f"SELECT {listed} FROM {table}")  # noqa: S608 - names of ours
    return sorted(found, key=repr)


def links_outside_chains(app: App) -> list[tuple[str, str]]:
    """Which job followed which although ``CHAINS`` does not say so."""
    jobs = {job.id: job for job in app.jobs.list(limit=10_000)}
    return [
        (parent.command, job.command)
        for job in jobs.values()
        if job.parent_id is not None
        and job.command not in CHAINS[(parent := jobs[job.parent_id]).command]
    ]


# --- as a program -------------------------------------------------------------------------

LEASE_S = 1


def work_until_empty(url: str, storage: Path, as_of: datetime) -> None:
    """Work every feed, and the job of a worker that was killed before."""
    prepare_driver(url)
    with house(url, storage, lease_seconds=LEASE_S) as app:
        if not app.syncs.tasks():
            dispatch_syncs(app.syncs, as_of)
        if app.jobs.list(status="running"):
            time.sleep(LEASE_S + 0.1)  # of the one that was killed before
        deadline_s = time.monotonic() + 30
        bus = bus_of(app)
        while any(job.status in ("waiting", "running") for job in app.jobs.list()):
            bus.drain()
            time.sleep(0.02)
            if time.monotonic() > deadline_s:
                raise TimeoutError


if __name__ == "__main__":
    folder.SECOND_LOOK_S = 0  # type: ignore[misc]  # nobody writes meanwhile
    work_until_empty(sys.argv[1], Path(sys.argv[2]), datetime.fromisoformat(sys.argv[3]))
