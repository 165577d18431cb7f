"""The durable command queue: jobs that are done once, whoever dies on the way.

Effects: the database. A job is claimed by compare and set: it is read, then changed only
if its fence and status are still as read, so that two workers cannot both win, on any
engine. Each claim raises the fence, and every later change of the owner names it: an owner
who wakes up late changes nothing. Leases and due times are by the database's clock.

The statuses: ``waiting`` -> ``running`` -> ``done`` | ``failed``, and back to ``waiting``
when a job is not ready, is to be tried again or is handed back. While a job is waiting or
running its ``active_key`` is taken, so that the same work is never queued twice.

Units: ``_s`` seconds; moments are the database's wall clock, without a zone.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from loaders.database import Database, Row, Transaction
from transforms.errors import ConfigError, ContractError, FenceLost

MESSAGE_CHARACTERS = 4000
"""A message is cut here; what follows is in the log."""

KEY_CHARACTERS = 191
"""Longest key a unique index takes on every server."""

CANDIDATES = 16
"""Jobs looked at in one poll: more than one, because others race for the first."""


@dataclass(frozen=True)
class NewJob:
    """A job to store: which command, with what, and what makes it the same work."""

    command: str
    payload: Mapping[str, object]
    work_key: str
    max_attempts: int = 5
    delay_s: float = 0


@dataclass(frozen=True)
class Job:
    """A job as the queue knows it; ``owner`` and ``fence`` are the right to change it."""

    id: int
    command: str
    payload: str
    work_key: str
    run_id: str
    parent_id: int | None
    status: str
    attempts: int
    max_attempts: int
    owner: str | None
    fence: int
    message: str | None
    result: str | None
    available_at: datetime
    lease_until: datetime | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None


class JobQueue:
    """The door for jobs."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def enqueue(
        self, tx: Transaction, job: NewJob, run_id: str, parent_id: int | None = None
    ) -> int:
        """Store a job in the caller's transaction; return its id.

        The same work (command and work key) that is waiting or running already is not
        stored again: the id is then that job's. A job that is running may have read its
        input before the caller's change. Work that must not miss it looks for what is
        left after ``require_fence`` in the transaction that completes it; both wait for
        the same row, so nothing slips between.
        """
        active_key = _active_key(job.command, job.work_key)
        tx.execute(
            "job/store",
            command=job.command,
            payload=_document(job.payload),
            work_key=_folded(job.work_key),
            active_key=active_key,
            run_id=run_id,
            parent_id=parent_id,
            max_attempts=job.max_attempts,
            delay_s=job.delay_s,
        )
        return int(_the(tx.row("job/active", active_key=active_key))["id"])

    def claim(
        self,
        owner: str,
        lease_s: float,
        *,
        commands: Sequence[str] | None = None,
        run_id: str | None = None,
    ) -> Job | None:
        """Take the next due job, of these commands and this run only when given.

        Due is what waits and whose time has come, and what runs under a lease that has
        ended; the message of the latter then says which owner was lost. A job that has
        used all its attempts becomes ``failed`` instead, with its last reason.

        Returns:
            The job, now running under ``owner``, or None when nothing is due.
        """
        while candidates := self._due(commands, run_id):
            for seen in candidates:
                if job := self._take(seen, owner, lease_s):
                    return job
        return None

    def claim_one(self, job_id: int, owner: str, lease_s: float) -> Job | None:
        """Take this job, also before its time; None when another works it or it ended."""
        with self._database.snapshot() as tx:
            seen = tx.row("job/free", id=job_id)
        return None if seen is None else self._take(seen, owner, lease_s)

    def heartbeat(self, job: Job, lease_s: float) -> None:
        """Extend the lease of a job in hand.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        self._database.run(
            lambda tx: _require(
                tx.execute("job/heartbeat", **_proof(job), lease_s=lease_s), job
            )
        )

    def require_fence(self, tx: Transaction, job: Job) -> None:
        """Prove in the caller's transaction that the job is still this owner's.

        The row stays locked until the transaction ends: nobody takes the job over
        between this check and the commit.

        Raises:
            FenceLost: When it is not; the transaction must not commit.
        """
        _require(tx.execute("job/fence", **_proof(job)), job)

    def complete(
        self,
        tx: Transaction,
        job: Job,
        result: Mapping[str, object],
        chained: Sequence[NewJob] = (),
    ) -> tuple[int, ...]:
        """Mark a job done and store what follows it, in the caller's one transaction.

        Doing it again after a commit whose answer was lost changes nothing.

        Returns:
            The ids of the jobs that follow, in order.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        if not tx.execute("job/complete", **_proof(job), result=_document(result)):
            return self._completed_before(tx, job)
        return tuple(self.enqueue(tx, new, job.run_id, job.id) for new in chained)

    def postpone(self, job: Job, seconds: float, message: str) -> None:
        """Put a job back that is not ready yet; the attempt does not count.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        self._wait(job, seconds, message, unused_attempts=1)

    def hand_back(self, job: Job) -> None:
        """Put a job back at once because its worker stops; the attempt does not count.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        self._wait(job, 0, f"handed back by {job.owner}, which stopped", unused_attempts=1)

    def retry_later(self, job: Job, reason: str, seconds: float) -> None:
        """Put a job back to be tried again, or fail it when it has no attempt left.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        if job.attempts >= job.max_attempts:
            self.fail(job, f"gave up after {job.attempts} attempts; last: {reason}")
        else:
            self._wait(job, seconds, reason, unused_attempts=0)

    def fail(self, job: Job, reason: str) -> None:
        """Mark a job failed for this reason; the same work may be sent again.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        text = message_text(reason)
        self._database.run(
            lambda tx: _require(tx.execute("job/fail", **_proof(job), message=text), job)
        )

    def unlock(self, job_id: int) -> Job:
        """Take a running job from its owner by hand, so that it runs again.

        Returns:
            The job as it was: its owner, and since when.

        Raises:
            ConfigError: When there is no such job, or it is not running.
        """

        def free(tx: Transaction) -> Job:
            job = _known(tx, job_id)
            text = message_text(f"unlocked by hand; was with owner {job.owner}")
            if not tx.execute("job/unlock", id=job_id, fence=job.fence, message=text):
                message = f"job {job_id} is {job.status}, not running: nothing to unlock"
                raise ConfigError(message)
            return job

        return self._database.run(free)

    def retry(self, job_id: int) -> None:
        """Make a failed or waiting job due now, with all its attempts before it.

        Raises:
            ConfigError: When there is no such job, it is running or done, or the same
                work is queued again meanwhile.
        """

        def again(tx: Transaction) -> None:
            job = _known(tx, job_id)
            active_key = _active_key(job.command, job.work_key)
            active = tx.row("job/active", active_key=active_key)
            if active is not None and active["id"] != job_id:
                message = f"job {job_id}: the same work is queued as job {active['id']}"
                raise ConfigError(message)
            if not tx.execute("job/retry", id=job_id, active_key=active_key):
                message = f"job {job_id} is {job.status}; only a failed one is retried"
                raise ConfigError(message)

        self._database.run(again)

    def find(self, job_id: int) -> Job:
        """Return one job.

        Raises:
            ConfigError: When there is no such job.
        """
        with self._database.snapshot() as tx:
            return _known(tx, job_id)

    def list(
        self, *, status: str | None = None, command: str | None = None, limit: int = 50
    ) -> tuple[Job, ...]:
        """Return the newest jobs, newest first, of one status or command when given."""
        with self._database.snapshot() as tx:
            rows = tx.rows("job/newest", status=status, command=command, limit_rows=limit)
        return tuple(_job(row) for row in rows)

    def chain(self, run_id: str) -> tuple[Job, ...]:
        """Return all jobs of one run, in the order they were stored."""
        with self._database.snapshot() as tx:
            return tuple(_job(row) for row in tx.rows("job/of_run", run_id=run_id))

    def children(self, job_id: int) -> tuple[int, ...]:
        """Return the ids of the jobs a job was followed by."""
        with self._database.snapshot() as tx:
            return _children(tx, job_id)

    def waiting_count(self) -> int:
        """Return how many jobs wait, due or not."""
        with self._database.snapshot() as tx:
            return int(_the(tx.row("job/waiting"))["waiting"])

    def _due(self, commands: Sequence[str] | None, run_id: str | None) -> Sequence[Row]:
        """Read the next candidates: lost ones first, then waiting ones by their time."""
        wanted: dict[str, object] = {
            "any_command": int(commands is None),
            "commands": list(commands or [""]),
            "run_id": run_id,
            "limit_rows": CANDIDATES,
        }
        with self._database.snapshot() as tx:
            return [*tx.rows("job/lost", **wanted), *tx.rows("job/due", **wanted)]

    def _take(self, seen: Row, owner: str, lease_s: float) -> Job | None:
        """Claim a job as it was seen, or give it up when it is out of attempts."""
        as_seen = {"id": seen["id"], "fence": seen["fence"], "status": seen["status"]}
        lost = f"owner {seen['owner']} lost" if seen["status"] == "running" else None
        if seen["attempts"] >= seen["max_attempts"]:
            reason = f"gave up after {seen['attempts']} attempts; {lost or seen['message']}"
            self._database.run(
                lambda tx: tx.execute("job/bury", **as_seen, message=message_text(reason))
            )
            return None

        def take(tx: Transaction) -> Job | None:
            message = seen["message"] if lost is None else f"{lost}; taken over by {owner}"
            taken = tx.execute(
                "job/claim", **as_seen, owner=owner, lease_s=lease_s, message=message
            )
            return _known(tx, int(seen["id"])) if taken else None

        return self._database.run(take)

    def _wait(
        self, job: Job, seconds: float, message: str, *, unused_attempts: int
    ) -> None:
        text = message_text(message)
        self._database.run(
            lambda tx: _require(
                tx.execute(
                    "job/wait",
                    **_proof(job),
                    delay_s=seconds,
                    unused_attempts=unused_attempts,
                    message=text,
                ),
                job,
            )
        )

    def _completed_before(self, tx: Transaction, job: Job) -> tuple[int, ...]:
        now = _known(tx, job.id)
        is_ours = (now.status, now.owner, now.fence) == ("done", job.owner, job.fence)
        _require(int(is_ours), job)
        return _children(tx, job.id)


def message_text(text: str) -> str:
    r"""Make a text safe to keep and to print: one line, no control characters, cut.

    A newline becomes ``\n`` in two characters, an escape ``\x1b``, half an emoji
    ``\ud83d``; what is longer than 4,000 characters ends in an ellipsis.
    """
    safe = "".join(
        character if character.isprintable() else ascii(character)[1:-1]
        for character in text[: MESSAGE_CHARACTERS + 1]
    )
    if len(safe) <= MESSAGE_CHARACTERS:
        return safe
    return safe[: MESSAGE_CHARACTERS - 1] + "…"


def _active_key(command: str, work_key: str) -> str:
    return _folded(f"{command} {_folded(work_key)}")


def _folded(key: str) -> str:
    """Shorten a key beyond what an index takes to its start and its hash."""
    if len(key) <= KEY_CHARACTERS:
        return key
    digest = sha256(key.encode()).hexdigest()
    return f"{key[: KEY_CHARACTERS - 1 - len(digest)]}#{digest}"


def _document(values: Mapping[str, object]) -> str:
    return json.dumps(values, ensure_ascii=False, sort_keys=True, allow_nan=False)


def _proof(job: Job) -> dict[str, object]:
    return {"id": job.id, "owner": job.owner, "fence": job.fence}


def _require(rowcount: int, job: Job) -> None:
    if rowcount != 1:
        message = (
            f"job {job.id} {job.command} (fence {job.fence}) is no longer "
            f"{job.owner}'s; what was not committed is undone"
        )
        raise FenceLost(message)


def _known(tx: Transaction, job_id: int) -> Job:
    row = tx.row("job/find", id=job_id)
    if row is None:
        message = f"there is no job {job_id}; list them with: etl queue:list"
        raise ConfigError(message)
    return _job(row)


def _children(tx: Transaction, job_id: int) -> tuple[int, ...]:
    return tuple(int(row["id"]) for row in tx.rows("job/children", parent_id=job_id))


def _the(row: Row | None) -> Row:
    if row is None:  # a count and a key just written always have a row
        message = "the database answered without a row where one must be"
        raise ContractError(message)
    return row


def _job(row: Row) -> Job:
    return Job(
        id=row["id"],
        command=row["command"],
        payload=row["payload"],
        work_key=row["work_key"],
        run_id=row["run_id"],
        parent_id=row["parent_id"],
        status=row["status"],
        attempts=row["attempts"],
        max_attempts=row["max_attempts"],
        owner=row["owner"],
        fence=row["fence"],
        message=row["message"],
        result=row["result"],
        available_at=_moment(row["available_at"]),
        lease_until=_moment_or_none(row["lease_until"]),
        created_at=_moment(row["created_at"]),
        started_at=_moment_or_none(row["started_at"]),
        finished_at=_moment_or_none(row["finished_at"]),
    )


def _moment(value: datetime | str) -> datetime:
    """SQLite keeps moments as text; MySQL gives date-times."""
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _moment_or_none(value: datetime | str | None) -> datetime | None:
    return None if value is None else _moment(value)
