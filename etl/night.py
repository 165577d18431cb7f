"""The nightly run: the story of one night on one screen, its steps below.

Effects: the queue and database through ``App``, and two files in the storage folder:
``nights/<date>/run.json`` for machines and ``report.txt`` for people. One run at a time,
held by a lease. Everything the steps do is in the queue or the database, so a night that
was killed is gone on with by running it again; ``run.json`` remembers when it began.
"""

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from etl.app import App
from etl.bus import Bus
from etl.chains import DispatchTotals
from etl.handlers import bus_of
from etl.heartbeat import Heartbeat
from etl.sync import dispatch_syncs
from loaders.audit import Difference, differences
from loaders.nights import (
    NightImport,
    NightTotals,
    imports_since,
    totals_since,
)
from loaders.sync import SyncTask
from transforms.errors import BillingError, FenceLost, MoneyError
from transforms.money import decimal_text

LEASE = "nightly"
POLL_S = 1.0
FINISHED_WITH_FAULTS = 1

Say = Callable[[str], None]


@dataclass
class Step:
    """One step of the night and how it ended."""

    name: str
    status: str = "running"
    message: str = ""
    seconds: float = 0.0


@dataclass
class Night:
    """A night as far as it has come; ``run.json`` is this, written after every step."""

    name: str
    started_s: int
    """When it began, by the database's clock; kept when a killed night goes on."""
    attempts: int = 1
    status: str = "running"
    steps: list[Step] = field(default_factory=list)
    tasks: list[SyncTask] = field(default_factory=list)
    failed_jobs: list[str] = field(default_factory=list)
    failed_before: list[str] = field(default_factory=list)
    """Jobs that failed in an earlier night and wait for a person still."""
    waiting_jobs: list[str] = field(default_factory=list)
    imports: tuple[NightImport, ...] = ()
    totals: NightTotals | None = None
    audit: list[Difference] = field(default_factory=list)
    exit_code: int = 0


def run_night(app: App, as_of: datetime, patience_s: float, say: Say) -> Night:
    """Run a night: syncs, queue, totals, audit, report.

    Args:
        app: The application.
        as_of: The moment by which feeds are due; its date names the night.
        patience_s: How long to wait for deliveries that a provider is still preparing.
        say: Called with one line for each step.

    Returns:
        The night as it ended; its exit code is the process's.

    Raises:
        LeaseHeld: When another night is running.
    """
    lease = app.leases.acquire(LEASE, app.owner, app.settings.lease_seconds)
    try:
        with Heartbeat(
            lambda: app.leases.renew(lease, app.settings.lease_seconds),
            app.settings.lease_seconds,
            "nightly",
        ) as heartbeat:
            run = _Run(app, _begun(app, as_of), heartbeat.is_lost, say)
            run.walk(as_of, patience_s)
            return run.night
    finally:
        app.leases.release(lease)


def folder_of(app: App, name: str) -> Path:
    """Where the files of a night are."""
    return app.settings.storage / "nights" / name


def _begun(app: App, as_of: datetime) -> Night:
    """Begin a night, or go on with the one of this date that was broken off."""
    name = as_of.date().isoformat()
    now_s = int(app.syncs.now().timestamp())
    try:
        before = json.loads((folder_of(app, name) / "run.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return Night(name, now_s)
    if before.get("status") != "running":
        return Night(name, now_s)
    return Night(name, int(before["started_s"]), attempts=int(before["attempts"]) + 1)


@dataclass
class _Run:
    app: App
    night: Night
    is_lost: Callable[[], bool]
    say: Say

    def walk(self, as_of: datetime, patience_s: float) -> None:
        bus = bus_of(self.app)
        self.write()
        with self.step("sync") as step:
            dispatched = dispatch_syncs(self.app.syncs, as_of)
            due = [task for task in dispatched.tasks if task.job_id is not None]
            step.message = f"{len(due)} feeds were due"
        with self.step("queue") as step:
            step.message = self.drain(bus, patience_s)
        with self.step("totals") as step:
            report = bus.run(DispatchTotals(), self.app.stop)
            if report.failed_step is not None:
                raise BillingError(report.failed_step.message)
            figures = report.steps[0].result
            step.message = f"{figures.get('new_revisions', 0)} new revisions"
        with self.step("audit") as step:
            self.night.audit = differences(self.app.database)
            step.message = f"{len(self.night.audit)} differences"
        self.conclude([task.id for task in dispatched.tasks])

    def drain(self, bus: Bus, patience_s: float) -> str:
        """Work the queue until nothing is due, waiting a while for what is not ready."""
        give_up_at = time.monotonic() + patience_s
        ended = bus.drain(self.app.stop)
        while self.app.jobs.waiting_count() and time.monotonic() < give_up_at:
            self.require_lease()
            time.sleep(min(POLL_S, patience_s))
            ended += bus.drain(self.app.stop)
        return ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))

    @contextmanager
    def step(self, name: str) -> Iterator[Step]:
        """Time a step and write how it ended; a failing one does not end the night."""
        self.require_lease()
        step = Step(name)
        self.night.steps.append(step)
        began = time.monotonic()
        try:
            yield step
            step.status = "done"
        except FenceLost:
            raise
        except BillingError as exc:
            step.status, step.message = "failed", str(exc)
        finally:
            step.seconds = round(time.monotonic() - began, 3)
            self.write()
            self.say(
                f"{name}: {step.status}" + (f" ({step.message})" if step.message else "")
            )

    def require_lease(self) -> None:
        if self.is_lost():
            message = "the night's lease could not be kept; run it again to go on"
            raise FenceLost(message)

    def conclude(self, task_ids: Sequence[int]) -> None:
        """Gather what the night did, decide its exit code, write its files."""
        night, app = self.night, self.app
        tasks = {task.id: task for task in app.syncs.tasks(most=len(task_ids) + 100)}
        night.tasks = [tasks[each] for each in task_ids if each in tasks]
        began = datetime.fromtimestamp(night.started_s, UTC).replace(tzinfo=None)
        for job in app.jobs.list(status="failed", limit=100):
            is_new = job.finished_at is not None and job.finished_at >= began
            into = night.failed_jobs if is_new else night.failed_before
            into.append(
                f"{job.command} {job.work_key}: {job.message}; go on with: "
                f"etl queue:retry {job.id}"
            )
        night.waiting_jobs = [
            f"{job.command} {job.work_key}: {job.message or 'waits'}"
            for job in app.jobs.list(status="waiting", limit=100)
        ]
        night.imports = imports_since(app.database, night.started_s)
        night.totals = totals_since(app.database, night.started_s)
        night.exit_code = exit_code_of(night)
        night.status = "done"
        self.write()
        report = folder_of(app, night.name) / "report.txt"
        _replace(report, report_text(night))

    def write(self) -> None:
        """Write ``run.json``, whole or not at all."""
        document = json.dumps(asdict(self.night), indent=2, default=str)
        _replace(folder_of(self.app, self.night.name) / "run.json", document + "\n")


def exit_code_of(night: Night) -> int:
    """Decide the exit code: 4 before 3 before 1 before 0.

    4: money does not reconcile. 3: a step of the night itself failed. 1: a feed, a job or
    a delivery failed, or records were rejected or in conflict. 0: also nothing to do.
    """
    if night.audit:
        return MoneyError.exit_code
    if any(step.status == "failed" for step in night.steps):
        return BillingError.exit_code
    is_faulty = (
        night.failed_jobs
        or any(task.status == "failed" for task in night.tasks)
        or any(each.status in ("refused", "failed") for each in night.imports)
        or any(each.outcome.rejected or each.outcome.conflicts for each in night.imports)
    )
    return FINISHED_WITH_FAULTS if is_faulty else 0


def report_text(night: Night) -> str:
    """Write the report of a night for people."""
    lines = [
        f"Night of {night.name}: {'all is well' if not night.exit_code else 'look below'}"
    ]
    lines += [
        f"  {step.name:8} {step.status:8} {step.seconds:8.1f} s  {step.message}"
        for step in night.steps
    ]
    lines += ["", "Feeds"]
    lines += [
        f"  {task.provider or '-':16} {task.status:8} {task.message or ''}".rstrip()
        for task in night.tasks
    ]
    lines += ["", "Deliveries"]
    lines += [_import_line(each) for each in night.imports] or ["  none"]
    if night.totals is not None:
        totals = night.totals
        lines += [
            "",
            f"Totals: {totals.totals:,} written for {totals.customers:,} customers, "
            f"{totals.cdr_count:,} records, {totals.unrated_count:,} of them unrated, "
            f"worth {decimal_text(totals.total_cost_micros)}",
        ]
    lines += _section("Failed, and how to go on", night.failed_jobs)
    lines += _section("Failed before, and still waiting for a person", night.failed_before)
    lines += _section("Waiting for a provider", night.waiting_jobs)
    lines += _section(
        "Audit",
        [f"{one.check}: {one.where}: {one.expected} / {one.found}" for one in night.audit]
        or ["every record and every micro is accounted for"],
    )
    return "\n".join(lines) + "\n"


def _import_line(each: NightImport) -> str:
    outcome = each.outcome
    told = (
        f"  {each.provider:16} {each.file_name:40} {each.status:8} "
        f"{outcome.records:>9,} records {outcome.loaded:>9,} loaded"
    )
    aside = {
        "duplicates": outcome.duplicates,
        "conflicts": outcome.conflicts,
        "rejected": outcome.rejected,
        "suspended": outcome.suspended,
    }
    told += "".join(f", {count:,} {name}" for name, count in aside.items() if count)
    is_fault = each.status != "done" and each.message
    return told + (f"\n    {each.message}" if is_fault else "")


def _section(title: str, lines: Sequence[str]) -> list[str]:
    return ["", title, *(f"  {line}" for line in lines)] if lines else []


def _replace(path: Path, text: str) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    with part.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)
