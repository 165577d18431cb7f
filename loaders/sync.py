"""Syncs: which feeds there are, one row for each time a fetch was due, and how it stands.

Effects: the database. A feed is taken by compare and set on the time of its last sync, in
the transaction that writes its task and its job: two runs of the schedule at once take
each feed once, and a task without a job cannot exist.

The statuses of a task: ``waiting`` -> ``running`` -> ``done`` | ``failed``; ``skipped``
when an earlier task of the feed is still under way, ``idle`` for a look at the schedule
that found nothing due.

Moments are aware date-times in UTC, by the database's clock.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from loaders.database import Database, Row, Transaction
from loaders.imports import NewImport
from loaders.jobs import JobQueue, NewJob, message_text
from transforms.due import Feed
from transforms.errors import ContractError

TaskStatus = Literal["waiting", "running", "done", "failed", "skipped", "idle"]

RUN_NAME = "sync-"
"""What the run of a task's jobs is called, before the task's number."""


@dataclass(frozen=True)
class SyncTask:
    """One row of ``sync_task``."""

    id: int
    provider: str | None
    status: str
    message: str | None
    job_id: int | None = None
    """The job that does it; known to the run that wrote the task."""


@dataclass(frozen=True)
class RunJob:
    """A job of a task's run: how it stands and what it said."""

    id: int
    command: str
    status: str
    message: str | None
    result: str | None


@dataclass(frozen=True)
class TaskState:
    """How a task stands, told from its jobs."""

    status: TaskStatus
    message: str | None


@dataclass(frozen=True)
class Arrived:
    """The sequence numbers of a provider's deliveries for one account so far."""

    numbers: frozenset[str]
    held: frozenset[str]


class SyncStore:
    """The door for the schedule and its tasks."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database
        self._queue = JobQueue(database)

    def now(self) -> datetime:
        """Return the database's time, to the second."""
        with self._database.snapshot() as tx:
            return _moment(_the(tx.row("sync/clock"))["now_s"])

    def feeds(self) -> tuple[Feed, ...]:
        """Return every feed, in the order they were added."""
        with self._database.snapshot() as tx:
            return _feeds(tx)

    def dispatch(
        self,
        as_of: datetime,
        is_due: Callable[[Feed], bool],
        job_for: Callable[[int, str], NewJob],
        idle_message: str,
    ) -> tuple[SyncTask, ...]:
        """Take every feed that is due, and write its task and its job: one commit.

        Args:
            as_of: The moment of this run; the feeds taken remember it.
            is_due: Decides about one feed.
            job_for: Makes the job of a task, by the task's number and the provider.
            idle_message: For the row that is written when nothing is due.

        Returns:
            The tasks written, at least one.
        """

        def work(tx: Transaction) -> tuple[SyncTask, ...]:
            taken = [
                feed
                for feed in _feeds(tx)
                if is_due(feed)
                and tx.execute(
                    "sync/take_feed",
                    id=feed.id,
                    seen_s=_seconds(feed.last_sync_at),
                    as_of_s=_seconds(as_of),
                )
            ]
            if not taken:
                return (_add_task(tx, None, "idle", idle_message),)
            return tuple(self._dispatch_one(tx, feed, job_for) for feed in taken)

        return self._database.run(work)

    def _dispatch_one(
        self, tx: Transaction, feed: Feed, job_for: Callable[[int, str], NewJob]
    ) -> SyncTask:
        task = _add_task(tx, feed, "waiting", None)
        run_id = run_of(task.id)
        job_id = self._queue.enqueue(tx, job_for(task.id, feed.provider), run_id)
        row = _the(tx.row("job/find", id=job_id))
        if row["run_id"] == run_id:
            return SyncTask(task.id, feed.provider, "waiting", None, job_id)
        message = f"an earlier sync is still under way as job {job_id} ({row['status']})"
        tx.execute("sync/skip_task", id=task.id, message=message)
        return SyncTask(task.id, feed.provider, "skipped", message, job_id)

    def follow(
        self, task_id: int, decide: Callable[[Sequence[RunJob]], TaskState]
    ) -> TaskState:
        """Write how a task stands, told from the jobs of its run as they are now."""

        def work(tx: Transaction) -> TaskState:
            tx.execute("sync/hold_task", id=task_id)
            jobs = [
                RunJob(
                    int(row["id"]),
                    row["command"],
                    row["status"],
                    row["message"],
                    row["result"],
                )
                for row in tx.rows("sync/run_jobs", run_id=run_of(task_id))
            ]
            state = decide(jobs)
            text = None if state.message is None else message_text(state.message)
            tx.execute(
                "sync/move_task",
                id=task_id,
                status=state.status,
                message=text,
                has_started=int(state.status != "waiting"),
                has_ended=int(state.status in ("done", "failed")),
            )
            return state

        return self._database.run(work)

    def open_tasks(self) -> list[int]:
        """Return the tasks that are not at their end."""
        with self._database.snapshot() as tx:
            return [int(row["id"]) for row in tx.rows("sync/open_tasks")]

    def tasks(self, most: int = 50) -> tuple[SyncTask, ...]:
        """Return the newest tasks, newest first."""
        with self._database.snapshot() as tx:
            return tuple(
                SyncTask(int(row["id"]), row["provider"], row["status"], row["message"])
                for row in tx.rows("sync/tasks", most=most)
            )

    def arrived(self, provider: str, account: str | None) -> Arrived:
        """Return the sequence numbers of the deliveries that came so far."""
        with self._database.snapshot() as tx:
            return _arrived(tx, provider, account)

    def register_held(
        self, new: NewImport, fault_of: Callable[[Arrived], str | None]
    ) -> bool:
        """Register a delivery that is new and has a fault as held, in one transaction.

        One that was seen before, or has no fault, is left to be registered as usual: a
        hold that a person let go is never put back.

        Args:
            new: The delivery.
            fault_of: Says what is wrong with it, given what came before; None is nothing.
        """

        def work(tx: Transaction) -> bool:
            known = {"provider": new.provider, "sha256": new.sha256}
            if tx.row("import/by_content", **known) is not None:
                return False
            fault = fault_of(_arrived(tx, new.provider, new.account))
            if fault is None:
                return False
            tx.execute("import/register", type=f"{new.provider}_cdr", **vars(new))
            row = _the(tx.row("import/by_content", **known))
            tx.execute("sync/hold_import", import_id=row["id"], message=fault)
            return True

        return self._database.run(work)

    def earlier_import(
        self, provider: str, import_id: int, commands: Sequence[str]
    ) -> int | None:
        """Return the first delivery before this one that is still queued for import."""
        with self._database.snapshot() as tx:
            row = tx.row(
                "sync/earlier_import",
                provider=provider,
                import_id=import_id,
                commands=list(commands),
            )
        return None if row is None else int(row["id"])

    def was_fetched(
        self, provider: str, file_name: str, size_bytes: int, modified_s: int
    ) -> bool:
        """Whether a remote file was fetched since it was last changed.

        When the clocks of the server and the database disagree, the answer may be no: the
        file is then brought again and found to be known by its content.
        """
        with self._database.snapshot() as tx:
            found = tx.row(
                "sync/fetched",
                provider=provider,
                file_name=file_name,
                size_bytes=size_bytes,
                modified_s=modified_s,
            )
        return found is not None

    def is_invoiced(self, import_id: int) -> bool:
        """Whether what the provider charges for an import is worked out."""
        with self._database.snapshot() as tx:
            return tx.row("sync/is_invoiced", import_id=import_id) is not None


def run_of(task_id: int) -> str:
    """Name the run of a task's jobs: ``sync-7``."""
    return f"{RUN_NAME}{task_id}"


def task_of(run_id: str) -> int | None:
    """Return the task whose run this is; None when it is a run by hand."""
    number = run_id.removeprefix(RUN_NAME)
    is_ours = run_id.startswith(RUN_NAME) and number.isascii() and number.isdigit()
    return int(number) if is_ours else None


def _add_task(
    tx: Transaction, feed: Feed | None, status: TaskStatus, message: str | None
) -> SyncTask:
    provider = None if feed is None else feed.provider
    task_id = tx.insert(
        "sync/add_task",
        sync_profile_id=None if feed is None else feed.id,
        provider=provider,
        status=status,
        message=message,
    )
    return SyncTask(task_id, provider, status, message)


def _feeds(tx: Transaction) -> tuple[Feed, ...]:
    return tuple(
        Feed(
            int(row["id"]),
            row["provider"],
            bool(row["enabled"]),
            int(row["every_minutes"]),
            None if row["last_sync_s"] is None else _moment(row["last_sync_s"]),
        )
        for row in tx.rows("sync/feeds")
    )


def _arrived(tx: Transaction, provider: str, account: str | None) -> Arrived:
    rows = tx.rows("sync/arrived", provider=provider, account=account)
    return Arrived(
        frozenset(row["sequence"] for row in rows),
        frozenset(row["sequence"] for row in rows if row["status"] == "held"),
    )


def _moment(seconds: object) -> datetime:
    return datetime.fromtimestamp(int(str(seconds)), UTC)


def _seconds(moment: datetime | None) -> int | None:
    return None if moment is None else int(moment.timestamp())


def _the(row: Row | None) -> Row:
    if row is None:
        message = "the database answered without a row where one must be"
        raise ContractError(message)
    return row
