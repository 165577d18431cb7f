"""The command bus: sends commands to the durable queue and works them off, chain by chain.

Effects: the database, one heartbeat thread for each job in hand, the log. A command is a
frozen dataclass of plain values; a handler is a function ``(command, context) -> Outcome``;
which handler serves which command is a table given to the bus, nothing is registered on
import. What follows a command is stored in the transaction that completes it.

How a job ends::

    handler returns Done            done, its chain stored with it
    handler returns NotReady        waiting, the attempt does not count
    LeaseHeld                       waiting, the attempt does not count
    StoreUnavailable, FenceLost,
    SourceUnavailable               waiting, tried again with growing pauses; then failed
    any other error                 failed, with its reason
    Stopped, KeyboardInterrupt      handed back; the exception goes on

Units: ``_s`` seconds.
"""

import json
import logging
import secrets
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import Field, dataclass, field, fields
from difflib import get_close_matches
from typing import Any, ClassVar, Protocol, TypeVar

from pydantic import TypeAdapter, ValidationError

from etl.failpoints import failpoint
from etl.heartbeat import Heartbeat
from etl.logs import about
from etl.verdict import Verdict, judged
from loaders.database import Database, Transaction
from loaders.jobs import Job, JobQueue, NewJob
from transforms.errors import (
    BillingError,
    ConfigError,
    ContractError,
    FenceLost,
    LeaseHeld,
    Stopped,
    StoreError,
    StoreUnavailable,
)

WRITE_ATTEMPTS = 5
"""How often the end of a job is written to a database that does not answer."""

EXIT_CODES_FIRST_TO_LAST = (4, 3, 2, 75, 1)
"""Which exit code a report of several steps has: the gravest of its steps."""

_log = logging.getLogger(__name__)


class Command(Protocol):
    """A frozen dataclass of plain values that asks for one piece of work."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]  # what makes it a dataclass
    name: ClassVar[str]

    @property
    def work_key(self) -> str:
        """What makes two of these commands the same work: ``"123 2025-01-01"``."""


@dataclass(frozen=True)
class Done:
    """The work is done: what came of it, and the commands that follow."""

    result: Mapping[str, object] = field(default_factory=dict)
    chained: tuple[Command, ...] = ()


@dataclass(frozen=True)
class NotReady:
    """The work cannot be done yet; ask again later."""

    retry_after_s: float
    message: str


Outcome = Done | NotReady
Stop = Callable[[], bool]
"""Answers whether this process was asked to stop."""

C = TypeVar("C", bound=Command)
T = TypeVar("T")


def never() -> bool:
    """Never stop."""
    return False


class Context:
    """What a handler may ask of the bus while it works.

    Attributes:
        job: The job in hand.
        database: The database the job lives in.
    """

    def __init__(
        self,
        job: Job,
        queue: JobQueue,
        database: Database,
        *,
        lost: Callable[[], bool],
        stop: Stop,
        reserve_s: float,
    ) -> None:
        self.job = job
        self.database = database
        self.lost = lost
        """Answers whether another owner may have taken the job over."""
        self._queue = queue
        self._stop = stop
        self._reserve_s = reserve_s
        self._followers: tuple[int, ...] | None = None

    @property
    def followers(self) -> tuple[int, ...] | None:
        """The ids of the jobs that follow; None while the job is not finished."""
        return self._followers

    def checkpoint(self) -> None:
        """Call between batches: leaves the handler when it should not go on.

        Raises:
            FenceLost: When the lease could not be kept.
            Stopped: When the process was asked to stop.
        """
        if self.lost():
            message = (
                f"job {self.job.id}: the lease could not be kept; nothing more written"
            )
            raise FenceLost(message)
        if self._stop():
            message = f"job {self.job.id} {self.job.command}: stopped after a checkpoint"
            raise Stopped(message)

    def require_fence(self, tx: Transaction) -> None:
        """Prove in the handler's transaction that the job is still this owner's.

        Raises:
            FenceLost: When it is not; the transaction must not commit.
        """
        self._queue.require_fence(tx, self.job)

    def finish(
        self,
        tx: Transaction,
        result: Mapping[str, object],
        chained: Sequence[Command] = (),
    ) -> Done:
        """Complete the job in the handler's own last transaction.

        The bus then does not complete it again: ``return context.finish(tx, {...})``.

        Raises:
            FenceLost: When the job is no longer this owner's.
        """
        jobs = [new_job(command, delay_s=self._reserve_s) for command in chained]
        self._followers = self._queue.complete(tx, self.job, result, jobs)
        return Done(result, tuple(chained))


@dataclass(frozen=True)
class Route:
    """Which work serves a command; made by ``route``."""

    command: str
    work: Callable[[str, Context], Outcome]


def route(command: type[C], handler: Callable[[C, Context], Outcome]) -> Route:
    """Let ``handler`` serve ``command``."""
    return Route(
        command.name,
        lambda payload, context: handler(_read(command, payload), context),
    )


def routes(*served: Route) -> dict[str, Route]:
    """Make the table of who serves what.

    Raises:
        ContractError: When two handlers serve one command.
    """
    counts = Counter(each.command for each in served)
    if twice := sorted(name for name, count in counts.items() if count > 1):
        message = f"served by two handlers: {', '.join(twice)}"
        raise ContractError(message)
    return {each.command: each for each in served}


def new_job(command: Command, *, delay_s: float = 0) -> NewJob:
    """Turn a command into a job to store."""
    payload = TypeAdapter(type(command)).dump_python(command, mode="json")
    return NewJob(command.name, payload, command.work_key, delay_s=delay_s)


@dataclass(frozen=True)
class Step:
    """How one job of a run ended, as far as this process saw it.

    Attributes:
        job_id: The job's number in the queue.
        command: The command's name.
        status: The job's status, or ``lost`` when another owner took it over.
        result: What its handler returned; empty unless done.
        message: Why it is not done, or None.
        exit_code: 0 when it is done or not ready yet, else what the error says.
    """

    job_id: int
    command: str
    status: str
    result: Mapping[str, object]
    message: str | None
    exit_code: int


@dataclass(frozen=True)
class JobReport:
    """What became of a command given by hand and of its chain."""

    run_id: str
    steps: tuple[Step, ...]

    @property
    def failed_step(self) -> Step | None:
        """The first step that did not do its work, or None."""
        return next((step for step in self.steps if step.exit_code), None)

    @property
    def resume(self) -> str | None:
        """The command that goes on where this run broke off, or None."""
        failed = self.failed_step
        return None if failed is None else f"etl queue:retry {failed.job_id}"

    @property
    def exit_code(self) -> int:
        """The gravest of the steps' exit codes: 4 before 3 before 2, 75 and 1."""
        codes = {step.exit_code for step in self.steps}
        return next((code for code in EXIT_CODES_FIRST_TO_LAST if code in codes), 0)


class Bus:
    """Sends commands and works them off; several may share one database."""

    def __init__(
        self,
        database: Database,
        table: Mapping[str, Route],
        *,
        owner: str,
        lease_s: float,
        first_pause_s: float = 30,
    ) -> None:
        """Remember the database and who serves what; nothing is opened.

        Args:
            database: Where the jobs are.
            table: Who serves what; see ``routes``.
            owner: Names this process among all others: host, pid, something random.
            lease_s: How long a silent owner keeps a job.
            first_pause_s: The pause before a second attempt; it doubles each time.
        """
        self._database = database
        self._queue = JobQueue(database)
        self._table = table
        self._owner = owner
        self._lease_s = lease_s
        self._first_pause_s = first_pause_s

    def send(self, command: Command) -> int:
        """Store a command for any worker; the same work queued already is that job."""
        return self._send(new_job(command))

    def run(self, command: Command, stop: Stop = never) -> JobReport:
        """Work a command and its chain in this process, and say how each step ended.

        The jobs go through the queue, reserved for this process for one lease: a kill
        leaves them for any worker, or for the same command given again.

        Raises:
            LeaseHeld: When another owner works this command now.
            Stopped: When ``stop`` says so; what was in hand is handed back.
        """
        return self._follow(self._send(new_job(command, delay_s=self._lease_s)), stop)

    def resume(self, job_id: int, stop: Stop = never) -> JobReport:
        """Work a failed or waiting job and its chain in this process.

        Raises:
            ConfigError: When the job is done or running, or queued again meanwhile.
            LeaseHeld: When another owner was quicker.
            Stopped: When ``stop`` says so; what was in hand is handed back.
        """
        self._queue.retry(job_id)
        return self._follow(job_id, stop)

    def work_one(self, stop: Stop = never) -> Step | None:
        """Work the next due job; None when nothing is due.

        Raises:
            Stopped: When ``stop`` says so; the job is handed back.
        """
        failpoint("before_claim")
        job = self._queue.claim(self._owner, self._lease_s)
        failpoint("after_claim")
        return None if job is None else self._work(job, stop, reserve_s=0)[0]

    def drain(self, stop: Stop = never) -> Counter[str]:
        """Work whatever is due until nothing is, or until asked to stop.

        Returns:
            How many jobs ended with which status.

        Raises:
            Stopped: When asked to stop within a job, which is handed back.
        """
        ended: Counter[str] = Counter()
        while not stop() and (step := self.work_one(stop)):
            ended[step.status] += 1
        return ended

    def _send(self, job: NewJob) -> int:
        run_id = secrets.token_hex(8)
        failpoint("before_send")
        job_id = self._database.run(lambda tx: self._queue.enqueue(tx, job, run_id))
        failpoint("after_send")
        return job_id

    def _follow(self, first_id: int, stop: Stop) -> JobReport:
        """Work a job, then those that follow it, breadth first."""
        steps: list[Step] = []
        ahead, met = deque([first_id]), {first_id}
        while ahead:
            if steps and stop():
                message = f"stopped before job {ahead[0]}; go on with: etl worker --drain"
                raise Stopped(message)
            step, followers = self._work_by_id(ahead.popleft(), stop)
            if step.status == "running" and not steps:
                raise LeaseHeld(step.message)
            steps.append(step)
            ahead.extend(new for new in followers if new not in met)
            met.update(followers)
        return JobReport(self._queue.find(first_id).run_id, tuple(steps))

    def _work_by_id(self, job_id: int, stop: Stop) -> tuple[Step, tuple[int, ...]]:
        failpoint("before_claim")
        job = self._queue.claim_one(job_id, self._owner, self._lease_s)
        failpoint("after_claim")
        if job is None:
            return self._worked_elsewhere(job_id)
        return self._work(job, stop, reserve_s=self._lease_s)

    def _worked_elsewhere(self, job_id: int) -> tuple[Step, tuple[int, ...]]:
        """Say how a job stands that this process could not take."""
        job = self._queue.find(job_id)
        message, exit_code = job.message, 0
        if job.status == "running":
            message = (
                f"job {job.id} {job.command} is in hand of {job.owner} until "
                f"{job.lease_until} (database clock); wait, or: etl queue:unlock {job.id}"
            )
            exit_code = LeaseHeld.exit_code
        elif job.status == "failed":
            exit_code = BillingError.exit_code
        return _step(job, job.status, message, exit_code), self._queue.children(job_id)

    def _work(
        self, job: Job, stop: Stop, *, reserve_s: float
    ) -> tuple[Step, tuple[int, ...]]:
        """Do one claimed job and write how it ended."""
        with about(run_id=job.run_id, job_id=job.id):
            _log.info("job begun", extra={"command": job.command, "key": job.work_key})
            return self._do(job, stop, reserve_s=reserve_s)

    def _do(
        self, job: Job, stop: Stop, *, reserve_s: float
    ) -> tuple[Step, tuple[int, ...]]:
        began, exit_code = time.monotonic(), 0

        def renew() -> None:
            self._queue.heartbeat(job, self._lease_s)

        with Heartbeat(renew, self._lease_s, f"job {job.id}") as heartbeat:
            context = Context(
                job,
                self._queue,
                self._database,
                lost=heartbeat.is_lost,
                stop=stop,
                reserve_s=reserve_s,
            )
            try:
                self._conclude(context, self._handle(context))
            except BaseException as error:  # a job must end, whatever it met
                verdict = judged(error, job, self._first_pause_s)
                if verdict.is_unforeseen:
                    _log.exception("job %d %s failed", job.id, job.command)
                self._settle(job, verdict)
                if verdict.action == "hand_back":
                    raise
                exit_code = verdict.exit_code
        step = self._ended(job, exit_code)
        _tell(step, time.monotonic() - began)
        return step, (context.followers or ()) if step.status == "done" else ()

    def _handle(self, context: Context) -> Outcome:
        job = context.job
        served = self._table.get(job.command)
        if served is None:
            near = get_close_matches(job.command, self._table, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            message = f"job {job.id}: nothing serves command {job.command!r}{hint}"
            raise ConfigError(message)
        return served.work(job.payload, context)

    def _conclude(self, context: Context, outcome: Outcome) -> None:
        """Complete or postpone a job whose handler came to its end."""
        if isinstance(outcome, NotReady):
            verdict = Verdict("postpone", outcome.message, 0, outcome.retry_after_s)
            self._settle(context.job, verdict)
        elif context.followers is None:
            self._surely(lambda: self._complete(context, outcome))
        elif self._queue.find(context.job.id).status == "running":
            message = (
                f"{context.job.command}: the handler finished its job in a transaction "
                "that was not committed"
            )
            raise ContractError(message)

    def _complete(self, context: Context, done: Done) -> None:
        def write(tx: Transaction) -> None:
            context.finish(tx, done.result, done.chained)
            failpoint("in_complete")

        failpoint("before_complete")
        self._database.run(write)
        failpoint("after_complete")

    def _settle(self, job: Job, verdict: Verdict) -> None:
        """Write how a job ended that was not completed.

        A job that is not this owner's any more, or is done, is left as it is. A worker
        that stops goes on stopping when the database is away; the lease then ends.
        """
        failpoint("before_settle")
        try:
            self._surely(lambda: self._write(job, verdict))
        except FenceLost as error:
            _log.warning("job %d %s: %s", job.id, job.command, error)
        except StoreError:
            if verdict.action != "hand_back":
                raise
            _log.exception("job %d %s could not be handed back", job.id, job.command)
        failpoint("after_settle")

    def _write(self, job: Job, verdict: Verdict) -> None:
        match verdict.action:
            case "postpone":
                self._queue.postpone(job, verdict.pause_s, verdict.reason)
            case "retry":
                self._queue.retry_later(job, verdict.reason, verdict.pause_s)
            case "fail":
                self._queue.fail(job, verdict.reason)
            case "hand_back":
                self._queue.hand_back(job)

    def _ended(self, job: Job, exit_code: int) -> Step:
        """Read back how a job ended: what is committed counts, not what was meant."""
        now = self._surely(lambda: self._queue.find(job.id))
        if now.status == "done" and now.fence == job.fence:
            return _step(now, "done", None, 0)
        if now.status == "running" or now.fence != job.fence:
            message = f"another owner took job {job.id} over"
            return _step(now, "lost", message, FenceLost.exit_code)
        return _step(now, now.status, now.message, exit_code)

    def _surely(self, work: Callable[[], T]) -> T:
        """Do a write that may be done twice, while the database comes back."""
        for attempt in range(1, WRITE_ATTEMPTS):
            try:
                return work()
            except StoreUnavailable as error:
                _log.warning("the database does not answer, trying again: %s", error)
                time.sleep(min(0.2 * 2**attempt, self._lease_s / 4))
        return work()


def _read(command: type[C], payload: str) -> C:
    """Make a command of a stored payload, whole or not at all.

    Raises:
        ContractError: Naming every missing, unknown and mistyped key.
    """
    known = {each.name for each in fields(command)}
    unknown = sorted(set(json.loads(payload)) - known)
    faults = [f"unknown key {key!r}" for key in unknown]
    try:
        made = TypeAdapter(command).validate_json(payload, strict=True)
    except ValidationError as error:
        faults += [
            f"{'.'.join(map(str, fault['loc']))}: {fault['msg']}"
            for fault in error.errors(include_input=False, include_url=False)
        ]
    if faults:
        message = f"{command.name}: the stored payload is not this command: "
        raise ContractError(message + "; ".join(faults))
    return made


def _tell(step: Step, seconds: float) -> None:
    """Log how a step ended: its plain figures, or why it did not come to its end."""
    figures = {
        f"result_{name}": value
        for name, value in step.result.items()
        if isinstance(value, (int, str))
    }
    ended = {"command": step.command, "status": step.status, "reason": step.message}
    extra = {**ended, "seconds": round(seconds, 3), **figures}
    level = logging.WARNING if step.status in ("failed", "lost") else logging.INFO
    _log.log(level, "job ended", extra=extra)


def _step(job: Job, status: str, message: str | None, exit_code: int) -> Step:
    result = json.loads(job.result) if job.result else {}
    return Step(job.id, job.command, status, result, message, exit_code)
