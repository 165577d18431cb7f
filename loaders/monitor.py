"""Monitoring: what operators ask of a live database, the same on both kinds.

Effects: reads the database; ``try_writes`` writes and undoes it. The questions are those
of the document operators work by, and a few more. Ages are by the database's clock.

Units: ``_s`` seconds.
"""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Final, NoReturn

from loaders.database import Database, Row, Transaction
from transforms.errors import StoreError

MOST_SHOWN: Final = 20
"""Rows of one answer; the document's own query stops there too."""


@dataclass(frozen=True)
class Syncs:
    """Syncs of the last ten minutes."""

    sync_count: int
    last_sync: datetime | None


@dataclass(frozen=True)
class RecentImport:
    """An import of the last 24 hours."""

    id: int
    type: str
    status: str
    locked: int
    complete: int
    records: int
    loaded: int
    message: str | None
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class DayVolume:
    """How many records there are of one day."""

    day: date
    cdr_count: int


@dataclass(frozen=True)
class RecentTotals:
    """Totals written in the last hour."""

    customer_id: int
    cycle_start_date: date
    total_cost: str
    revision: int
    updated_at: datetime


@dataclass(frozen=True)
class LostJob:
    """A running job whose owner let the lease end ``age_s`` ago."""

    id: int
    command: str
    owner: str | None
    age_s: int


@dataclass(frozen=True)
class Queue:
    """The command queue: jobs by status, those that are due, and those that lost theirs."""

    waiting: int
    running: int
    failed: int
    due: int
    oldest_due_s: int
    lost: tuple[LostJob, ...]


@dataclass(frozen=True)
class FailedJob:
    """A failed job whose work no later job has done."""

    id: int
    command: str
    work_key: str
    attempts: int
    message: str | None
    finished_at: datetime | None


@dataclass(frozen=True)
class StuckImport:
    """An import that a person, or the next worker, has to look at."""

    id: int
    type: str
    file_name: str
    status: str
    message: str | None
    is_expired: bool
    age_s: int


@dataclass(frozen=True)
class FailedSync:
    """A provider whose newest sync failed."""

    provider: str
    task_id: int
    message: str | None


@dataclass(frozen=True)
class Waiting:
    """How many cycles wait for totals, and how long the oldest has."""

    cycles: int
    oldest_s: int


@dataclass(frozen=True)
class Watched:
    """Everything the monitor shows, read in one view of the database."""

    at: datetime
    syncs: Syncs
    imports: tuple[RecentImport, ...]
    volume: tuple[DayVolume, ...]
    totals: tuple[RecentTotals, ...]
    without_backup: int
    waiting: Waiting
    queue: Queue
    failed_jobs: tuple[FailedJob, ...]


class Monitor:
    """The door for questions about how things go."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def watch(self) -> Watched:
        """Answer every question of the monitor, in one view of the database."""
        with self._database.snapshot() as tx:
            return Watched(
                at=_clock(tx),
                syncs=_syncs(tx),
                imports=tuple(_recent_import(row) for row in tx.rows("monitor/imports")),
                volume=tuple(
                    DayVolume(_day(row["day"]), int(row["cdr_count"]))
                    for row in tx.rows("monitor/volume")
                ),
                totals=_recent_totals(tx),
                without_backup=len(tx.rows("totals/without_backup")),
                waiting=_waiting(tx),
                queue=_queue(tx),
                failed_jobs=_failed_jobs(tx),
            )

    def clock(self) -> datetime:
        """Return the database's time."""
        with self._database.snapshot() as tx:
            return _clock(tx)

    def server(self) -> str:
        """Return which server this is: ``SQLite 3.40.1``."""
        with self._database.snapshot() as tx:
            row = _the(tx.row("monitor/server"))
        return f"{row['name']} {row['version']}"

    def last_sync_age_s(self) -> int | None:
        """Return how long ago a sync was due last; None when none ever was."""
        with self._database.snapshot() as tx:
            row = _the(tx.row("monitor/last_sync"))
        return None if row["age_s"] is None else int(row["age_s"])

    def failed_syncs(self) -> tuple[FailedSync, ...]:
        """Return the providers whose newest sync failed."""
        with self._database.snapshot() as tx:
            rows = tx.rows("monitor/failed_syncs")
        return tuple(
            FailedSync(row["provider"], int(row["id"]), row["message"]) for row in rows
        )

    def queue(self) -> Queue:
        """Return how deep the queue is, and what keeps it."""
        with self._database.snapshot() as tx:
            return _queue(tx)

    def failed_jobs(self) -> tuple[FailedJob, ...]:
        """Return failed jobs whose work no later job has done, newest first."""
        with self._database.snapshot() as tx:
            return _failed_jobs(tx)

    def stuck_imports(self) -> tuple[StuckImport, ...]:
        """Return the imports that somebody has to look at, oldest first."""
        with self._database.snapshot() as tx:
            rows = tx.rows("monitor/stuck_imports")
        return tuple(
            StuckImport(
                int(row["id"]),
                row["type"],
                row["file_name"],
                row["status"],
                row["message"],
                bool(row["expired"]),
                int(row["age_s"]),
            )
            for row in rows
        )

    def waiting(self) -> Waiting:
        """Return how many cycles wait for totals."""
        with self._database.snapshot() as tx:
            return _waiting(tx)

    def late_backups(self) -> int:
        """Return how many totals lack their backup for more than ten minutes."""
        with self._database.snapshot() as tx:
            return int(_the(tx.row("monitor/late_backups"))["late_count"])

    def try_totals(self) -> None:
        """Write totals and undo it.

        Raises:
            StoreError: When they cannot be written.
        """
        self._try("monitor/try_totals")

    def try_records(self) -> None:
        """Write a record and undo it.

        Raises:
            StoreError: When it cannot be written.
        """
        self._try("monitor/try_record")

    def _try(self, path: str) -> None:
        try:
            with self._database.transaction() as tx:
                tx.execute(path)
                _undo()
        except _UndoneError:
            return


class _UndoneError(Exception):
    """Raised on purpose: what was written is undone."""


def _undo() -> NoReturn:
    raise _UndoneError


def _clock(tx: Transaction) -> datetime:
    return _moment(_the(tx.row("monitor/clock"))["moment"])


def _syncs(tx: Transaction) -> Syncs:
    row = _the(tx.row("monitor/syncs"))
    return Syncs(int(row["sync_count"]), _moment_or_none(row["last_sync"]))


def _recent_import(row: Row) -> RecentImport:
    return RecentImport(
        id=int(row["id"]),
        type=row["type"],
        status=row["status"],
        locked=int(row["locked"]),
        complete=int(row["complete"]),
        records=int(row["records"]),
        loaded=int(row["loaded"]),
        message=row["message"],
        created_at=_moment(row["created_at"]),
        updated_at=_moment(row["updated_at"]),
    )


def _recent_totals(tx: Transaction) -> tuple[RecentTotals, ...]:
    return tuple(
        RecentTotals(
            int(row["customer_id"]),
            _day(row["cycle_start_date"]),
            str(row["total_cost"]),
            int(row["revision"]),
            _moment(row["updated_at"]),
        )
        for row in tx.rows("monitor/recent_totals", limit_rows=MOST_SHOWN)
    )


def _waiting(tx: Transaction) -> Waiting:
    row = _the(tx.row("monitor/waiting_cycles"))
    return Waiting(int(row["cycle_count"]), int(row["age_s"] or 0))


def _queue(tx: Transaction) -> Queue:
    depth = {str(row["status"]): int(row["job_count"]) for row in tx.rows("monitor/queue")}
    due = _the(tx.row("monitor/due_jobs"))
    return Queue(
        waiting=depth.get("waiting", 0),
        running=depth.get("running", 0),
        failed=depth.get("failed", 0),
        due=int(due["due_count"]),
        oldest_due_s=int(due["age_s"] or 0),
        lost=tuple(
            LostJob(int(row["id"]), row["command"], row["owner"], int(row["age_s"]))
            for row in tx.rows("monitor/lost_jobs")
        ),
    )


def _failed_jobs(tx: Transaction) -> tuple[FailedJob, ...]:
    rows = tx.rows("monitor/failed_jobs", limit_rows=MOST_SHOWN)
    return tuple(
        FailedJob(
            int(row["id"]),
            row["command"],
            row["work_key"],
            int(row["attempts"]),
            row["message"],
            _moment_or_none(row["finished_at"]),
        )
        for row in rows
    )


def _the(row: Row | None) -> Row:
    if row is None:
        message = "the database answered without a row where one must be"
        raise StoreError(message)
    return row


def _moment(value: datetime | str) -> datetime:
    """SQLite keeps moments as text; MySQL gives date-times."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _moment_or_none(value: datetime | str | None) -> datetime | None:
    return None if value is None else _moment(value)


def _day(value: date | str) -> date:
    return date.fromisoformat(value) if isinstance(value, str) else value
