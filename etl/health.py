"""Health: each critical path looked at from its first part to its last.

Effects: reads the database, writes to it and undoes it, writes a small file to storage.
Every look ends in one finding: fine, or a fault with the next step. A look that cannot be
taken is a fault too; nothing here raises.

Units: ``_s`` seconds, ``_bytes`` bytes.
"""

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Final

from etl.app import App
from etl.chains import CHAINS
from etl.handlers import handler_table
from etl.profiles import load_profile
from etl.sync import fetch_command
from transforms.errors import BillingError, StorageError
from transforms.reference import SyncProfile

SCHEDULE_S: Final = 600
"""A sync is due every five minutes; after ten without one the schedule is broken."""

DUE_S: Final = 900
"""A job that is due for longer than this says that no worker works the queue."""

CYCLES_S: Final = 26 * 3600
"""A night computes every changed cycle; one that waits for longer was missed."""

FREE_BYTES_NEEDED: Final = 2 * 1024**3
"""Room for the deliveries and the temporary work of a night."""

SYNC = "1 master sync"
CHAIN = "2 command chains"
TOTALS = "3 totals"
IMPORT = "4 CDR import"
ALL = "all paths"


@dataclass(frozen=True)
class Finding:
    """What one look at one part of a path found."""

    path: str
    part: str
    ok: bool
    message: str
    next_step: str | None = None


@dataclass(frozen=True)
class _Look:
    """One part of a path, and how it is looked at."""

    path: str
    part: str
    take: Callable[[App], tuple[str, ...]]
    """Returns what is wrong (with its next step), or raises; empty is fine."""
    next_step: str


def findings(app: App) -> Iterator[Finding]:
    """Look at every part of every path, in the order work passes them."""
    reached = _found(
        app,
        _Look(ALL, "database", _database, "set ETL_DATABASE_URL, start the server"),
        "answers",
    )
    yield reached
    for look, fine in LOOKS:
        if reached.ok or look.take is storage_faults:
            yield _found(app, look, fine)
        else:
            yield Finding(
                look.path,
                look.part,
                ok=False,
                message="not looked at: the database does not answer",
                next_step=reached.next_step,
            )


def _found(app: App, look: _Look, fine: str) -> Finding:
    try:
        faults = look.take(app)
    except BillingError as exc:
        faults = (str(exc),)
    except OSError as exc:
        faults = (f"{type(exc).__name__}: {exc.strerror}",)
    if not faults:
        return Finding(look.path, look.part, ok=True, message=fine)
    return Finding(
        look.path,
        look.part,
        ok=False,
        message="; ".join(faults),
        next_step=look.next_step,
    )


# --- the looks --------------------------------------------------------------------------


def _database(app: App) -> tuple[str, ...]:
    app.monitor.clock()
    return ()


def _settings(app: App) -> tuple[str, ...]:
    return tuple(app.database.check())


def _enabled(app: App) -> list[SyncProfile]:
    stored = [each.profile for each in app.reference.sync_profiles()]
    return [profile for profile in stored if profile.enabled]


def _schedule(app: App) -> tuple[str, ...]:
    if not _enabled(app):
        return ()
    age_s = app.monitor.last_sync_age_s()
    if age_s is None:
        return ("sync:manager never ran",)
    if age_s > SCHEDULE_S:
        return (f"sync:manager ran {_time(age_s)} ago; it should every 5 minutes",)
    return ()


def _router(app: App) -> tuple[str, ...]:
    faults = []
    now = app.monitor.clock().replace(tzinfo=UTC)
    for feed in _enabled(app):
        try:
            profile = load_profile(feed.provider, folders=[app.settings.providers])
            fetch_command(feed, profile, now)
        except BillingError as exc:
            faults.append(f"{feed.provider}: {exc}")
    return tuple(faults)


def _deliveries(app: App) -> tuple[str, ...]:
    enabled = {feed.provider for feed in _enabled(app)}
    return tuple(
        f"{each.provider}: {each.message or 'no reason was kept'}"
        for each in app.monitor.failed_syncs()
        if each.provider in enabled
    )


def _queue(app: App) -> tuple[str, ...]:
    queue = app.monitor.queue()
    faults = []
    if queue.oldest_due_s > DUE_S:
        faults.append(
            f"{queue.due:,} jobs are due, the oldest for {_time(queue.oldest_due_s)}: "
            "no worker works the queue"
        )
    faults += [
        f"job {job.id} {job.command} lost its owner {job.owner} {_time(job.age_s)} ago "
        "and nobody took it over"
        for job in queue.lost
        if job.age_s > app.settings.lease_seconds
    ]
    return tuple(faults)


def _chains(app: App) -> tuple[str, ...]:
    served = handler_table(app).keys()
    followers = {name for names in CHAINS.values() for name in names}
    unserved = sorted((set(CHAINS) | followers) - served)
    return tuple(f"nothing serves the command {name}" for name in unserved)


def _failed_jobs(app: App) -> tuple[str, ...]:
    return tuple(
        f"job {job.id} {job.command} {job.work_key} failed: {job.message}; "
        f"etl queue:retry {job.id}"
        for job in app.monitor.failed_jobs()
    )


def _totals_written(app: App) -> tuple[str, ...]:
    app.monitor.try_totals()
    return ()


def _cycles(app: App) -> tuple[str, ...]:
    waiting = app.monitor.waiting()
    if waiting.oldest_s <= CYCLES_S:
        return ()
    return (
        f"{waiting.cycles:,} cycles wait for totals, the oldest for "
        f"{_time(waiting.oldest_s)}",
    )


def _backups(app: App) -> tuple[str, ...]:
    late = app.monitor.late_backups()
    return (f"{late:,} totals have no backup: their chain broke off",) if late else ()


def storage_faults(app: App) -> tuple[str, ...]:
    """Say what keeps the storage folder from taking deliveries; empty when nothing does."""
    folder = app.settings.storage
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"\0" * 4096)
    except OSError as exc:
        message = f"storage {folder} cannot be written: {exc.strerror}"
        raise StorageError(message) from exc
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES_NEEDED:
        return ()
    return (_no_room(folder, free),)


def _no_room(folder: Path, free_bytes: int) -> str:
    return (
        f"storage {folder}: {free_bytes // 1024**2} MB free, "
        f"{FREE_BYTES_NEEDED // 1024**2} MB needed"
    )


def _records_written(app: App) -> tuple[str, ...]:
    app.monitor.try_records()
    return ()


def _imports(app: App) -> tuple[str, ...]:
    return tuple(
        f"import {each.id} {each.file_name}: "
        + (
            f"its owner is gone for {_time(each.age_s)}"
            if each.is_expired
            else f"{each.status}, {each.message}"
        )
        for each in app.monitor.stuck_imports()
        if each.is_expired or each.status in ("failed", "reverting")
    )


LOOKS: Final = (
    (
        _Look(ALL, "settings", _settings, "change the named settings; etl doctor"),
        "are what an import needs",
    ),
    (
        _Look(
            SYNC,
            "schedule",
            _schedule,
            "check cron (systemctl status cron; crontab -l), then by hand: "
            "etl sync:manager -vvv",
        ),
        "sync:manager runs, or no feed is enabled",
    ),
    (
        _Look(
            SYNC, "router", _router, "correct sync_profiles.toml: etl reference:load DIR"
        ),
        "knows how to fetch every enabled provider",
    ),
    (
        _Look(
            SYNC,
            "providers",
            _deliveries,
            "mend the cause; the next sync:manager tries again",
        ),
        "no provider's newest sync failed",
    ),
    (
        _Look(CHAIN, "queue", _queue, "start a worker: etl worker; etl queue:list"),
        "is alive",
    ),
    (
        _Look(CHAIN, "chains", _chains, "install the program whole; etl chains"),
        "every command of a chain is served",
    ),
    (
        _Look(CHAIN, "jobs", _failed_jobs, "mend the cause, then: etl queue:retry ID"),
        "none failed",
    ),
    (
        _Look(
            TOTALS, "write", _totals_written, "see who holds the table: SHOW PROCESSLIST"
        ),
        "totals can be written",
    ),
    (
        _Look(TOTALS, "cycles", _cycles, "etl totals:dispatch"),
        "none waits for longer than a night",
    ),
    (
        _Look(TOTALS, "backup", _backups, "etl totals:dispatch"),
        "every revision has its copy",
    ),
    (
        _Look(IMPORT, "storage", storage_faults, "free some space, or set ETL_STORAGE"),
        "is writable and has space",
    ),
    (
        _Look(
            IMPORT, "write", _records_written, "see who holds the table: SHOW PROCESSLIST"
        ),
        "records can be written",
    ),
    (
        _Look(
            IMPORT,
            "imports",
            _imports,
            "etl import:list; a worker takes up what lost its owner; etl routit:import",
        ),
        "none failed or lost its owner",
    ),
)
"""Every look after the database itself, with what is said when all is fine."""


def _time(seconds: int) -> str:
    """Say a time as people do: 42 s, 12 min, 3 h, 2 days."""
    for unit, length_s in (("days", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * length_s:
            return f"{seconds // length_s} {unit}"
    return f"{seconds} s"
