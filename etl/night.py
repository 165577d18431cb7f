"""The nightly run: the story of one night on one screen, its steps below.

Effects: the queue and database through ``App``, and the night's files in the storage
folder (``etl.night_record``). One run at a time, held by a lease. Everything the steps do
is in the queue or the database, so a night that was killed is gone on with by running it
again; ``run.json`` remembers when it began.
"""

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from etl.app import App
from etl.bus import Bus, JobReport
from etl.chains import DispatchTotals, FindInsights, LookAtDay
from etl.handlers import bus_of
from etl.heartbeat import Heartbeat
from etl.night_invoices import (
    LOOK_BACK_S,
    kept_back,
    unwritten,
    warnings,
    write_documents,
)
from etl.night_record import (
    Night,
    NightInsight,
    Step,
    exit_code_of,
    write_report,
    write_run,
)
from etl.sync import dispatch_syncs
from loaders.audit import differences
from loaders.jobs import Job
from loaders.nights import (
    imports_since,
    invoices_since,
    totals_since,
    unrated_usage,
)
from transforms.errors import BillingError, FenceLost, MoneyError, Stopped
from transforms.insight_words import about_whom, hidden, in_words
from transforms.insights import SEVERITIES
from transforms.invoice import Invoice

LEASE = "nightly"
POLL_S = 1.0
MOST_INSIGHTS = 1_000
"""Findings that ``run.json`` holds of one night."""

Say = Callable[[str], None]


def run_night(
    app: App,
    as_of: datetime,
    patience_s: float,
    say: Say,
    *,
    is_invoicing: bool = True,
) -> Night:
    """Run a night: syncs, queue, totals, invoices with their documents, audit, report.

    Args:
        app: The application.
        as_of: The moment by which feeds and invoices are due; its date names the night.
        patience_s: How long to wait for deliveries that a provider is still preparing.
        say: Called with one line for each step.
        is_invoicing: Whether the invoices that are due are issued.

    Returns:
        The night as it ended; its exit code is the process's.

    Raises:
        LeaseHeld: When another night is running.
        Stopped: When the process was asked to stop; the same night again goes on.
    """
    lease = app.leases.acquire(LEASE, app.owner, app.settings.lease_seconds)
    try:
        with Heartbeat(
            lambda: app.leases.renew(lease, app.settings.lease_seconds),
            app.settings.lease_seconds,
            "nightly",
        ) as heartbeat:
            run = _Run(app, as_of, _begun(app, as_of), heartbeat.is_lost, say)
            run.walk(patience_s, is_invoicing=is_invoicing)
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
    return Night(
        name,
        int(before["started_s"]),
        attempts=int(before["attempts"]) + 1,
        task_ids=list(before.get("task_ids", [])),
    )


@dataclass
class _Run:
    app: App
    as_of: datetime
    night: Night
    is_lost: Callable[[], bool]
    say: Say
    fresh: dict[str, Invoice] = field(default_factory=dict)
    """The invoices this run issued, by number."""

    def walk(self, patience_s: float, *, is_invoicing: bool) -> None:
        bus = bus_of(self.app)
        self.write()
        with self.step("sync") as step:
            step.message = self.sync()
        with self.step("queue") as step:
            step.message = self.drain(bus, patience_s)
        with self.step("totals") as step:
            step.message = self.total(bus)
        with self.step("insights") as step:
            step.message = self.look(bus)
        if is_invoicing:
            with self.step("invoices") as step:
                step.message = self.invoice()
            with self.step("documents") as step:
                step.message = self.document()
        with self.step("audit") as step:
            self.night.audit = differences(self.app.database)
            step.message = f"{len(self.night.audit)} differences"
        self.conclude()

    def sync(self) -> str:
        """Dispatch what is due."""
        tasks = dispatch_syncs(self.app.syncs, self.as_of).tasks
        self.night.task_ids += [task.id for task in tasks]
        due = [task for task in tasks if task.job_id is not None]
        return f"{len(due)} feeds were due"

    def drain(self, bus: Bus, patience_s: float) -> str:
        """Work the queue until nothing is due, waiting a while for what is not ready.

        A job that somebody else has in hand is waited for as long as its lease may last:
        its owner may be dead, such as the run that was killed before this one.
        """
        began = time.monotonic()
        ended = bus.drain(self.app.stop)
        while self.is_to_wait(time.monotonic() - began, patience_s):
            self.require_lease()
            time.sleep(POLL_S)
            ended += bus.drain(self.app.stop)
        return ", ".join(f"{count} {status}" for status, count in sorted(ended.items()))

    def is_to_wait(self, waited_s: float, patience_s: float) -> bool:
        """Whether something may still become due."""
        if waited_s < patience_s and self.app.jobs.waiting_count():
            return True
        lease_s = self.app.settings.lease_seconds + POLL_S
        return waited_s < max(patience_s, lease_s) and bool(self.running())

    def running(self) -> tuple[Job, ...]:
        """The jobs that somebody has in hand."""
        return self.app.jobs.list(status="running", limit=100)

    def total(self, bus: Bus) -> str:
        """Compute every cycle that waits, those that were left out before among them."""
        report = _done(bus.run(DispatchTotals(), self.app.stop))
        results = [step.result for step in report.steps]
        self.night.left_out = sorted({each for one in results for each in _faults(one)})
        revisions = sum(_count(one, "new_revisions") for one in results)
        left_out = len(self.night.left_out)
        told = f", {left_out} cycles left out" if left_out else ""
        return f"{revisions} new revisions{told}"

    def look(self, bus: Bus) -> str:
        """Look at totals nobody looked at yet, and at what the day brings."""
        day = self.as_of.date().isoformat()
        for command in (FindInsights(), LookAtDay(day)):
            _done(bus.run(command, self.app.stop))
        self.night.insights = self.insights()
        return f"{len(self.night.insights)} new or changed"

    def insights(self) -> list[NightInsight]:
        """What was found since the night began, the gravest first, then the newest."""
        since = datetime.fromtimestamp(self.night.started_s, UTC).replace(tzinfo=None)
        found = [
            NightInsight(
                row["id"],
                row["severity"],
                row["kind"],
                about_whom(row["customer_id"], row["provider"], row["cycle_start_date"]),
                in_words(row["kind"], row["evidence"], hidden),
            )
            for row in self.app.insights.listed(since=since, most=MOST_INSIGHTS)
        ]
        return sorted(found, key=lambda each: -SEVERITIES.index(each.severity))

    def invoice(self) -> str:
        """Issue what is due; whoever cannot be invoiced keeps nobody else back."""
        run = self.app.invoicing.due(self.as_of.date())
        self.fresh = {each.number: each for each in run.invoices}
        self.night.kept_back = kept_back(run)
        self.night.to_look_at = warnings(run)
        told = f"{len(run.invoices)} issued"
        kept = len(self.night.kept_back)
        return told + (f", {kept} kept back" if kept else "")

    def document(self) -> str:
        """Write the documents of what was issued, lately included."""
        waiting = unwritten(self.app, self.night.started_s - LOOK_BACK_S, self.fresh)
        self.night.documents = write_documents(self.app, waiting, self.require_lease)
        return f"of {self.night.documents.invoices} invoices"

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
        except (FenceLost, Stopped):
            step.status = "stopped"
            raise
        except BillingError as exc:
            step.status, step.message = "failed", str(exc)
            step.exit_code = exc.exit_code
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

    def conclude(self) -> None:
        """Gather what the night did, decide its exit code, write its files."""
        night, app = self.night, self.app
        tasks = {task.id: task for task in app.syncs.tasks(most=len(night.task_ids) + 100)}
        night.tasks = [tasks[each] for each in night.task_ids if each in tasks]
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
        night.running_jobs = [
            f"{job.command} {job.work_key}: its lease is held by {job.owner}"
            for job in self.running()
        ]
        night.imports = imports_since(app.database, night.started_s)
        night.totals = totals_since(app.database, night.started_s)
        night.unrated = unrated_usage(app.database)
        night.open_insights = sum(app.insights.open_counts().values())
        night.invoices = invoices_since(app.database, night.started_s)
        night.exit_code = exit_code_of(night)
        night.status = "done"
        write_report(folder_of(app, night.name), night)
        self.write()

    def write(self) -> None:
        write_run(folder_of(self.app, self.night.name), self.night)


def _done(report: JobReport) -> JobReport:
    """Stop the step when its command did not do its work."""
    failed = report.failed_step
    if failed is None:
        return report
    kind = MoneyError if failed.exit_code == MoneyError.exit_code else BillingError
    raise kind(failed.message)


def _faults(result: Mapping[str, object]) -> list[str]:
    faults = result.get("faults")
    return [str(each) for each in faults] if isinstance(faults, list) else []


def _count(result: Mapping[str, object], name: str) -> int:
    found = result.get(name)
    return found if isinstance(found, int) else 0
