"""The sync manager, the router, and how a task is followed: path 1 of the system.

Effects: the database. ``dispatch_syncs`` decides which feeds are due and stores one task
and one job for each; it fetches nothing. ``sync_provider`` is the router: it sends a feed
to the handler of its transport. ``followed`` wraps every handler, so that a task's row in
``sync_task`` tells how its whole chain stands, from the schedule to the last total.
"""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from etl.app import App
from etl.bus import Context, Done, NotReady, Outcome, new_job
from etl.chains import (
    ROUTIT,
    CollectFolder,
    CollectSftp,
    RequestDelivery,
    SyncProvider,
    import_command,
)
from etl.collecting import imports_to_resume
from etl.profiles import load_profile
from etl.verdict import judged
from loaders.jobs import NewJob
from loaders.sync import RunJob, SyncStore, SyncTask, TaskState, TaskStatus, task_of
from transforms.due import Feed, is_due, last_month
from transforms.errors import ConfigError, FenceLost, StoreError
from transforms.profile import Profile
from transforms.reference import SyncProfile

FAILURES_TOLD = 3
"""Failed jobs that a task's message tells; of further ones it says how many."""

C = TypeVar("C")

Handler = Callable[[App, C, Context], Outcome]
Fetch = CollectFolder | CollectSftp | RequestDelivery

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Dispatched:
    """What one run of the schedule did."""

    as_of: datetime
    tasks: tuple[SyncTask, ...]


def dispatch_syncs(syncs: SyncStore, as_of: datetime | None = None) -> Dispatched:
    """Store a task and a job for every feed that is due; at least one row is written.

    Tasks whose worker was lost for good are brought up to date first.

    Args:
        syncs: The schedule.
        as_of: The moment to decide by; the database's clock when not given.
    """
    for task_id in syncs.open_tasks():
        syncs.follow(task_id, state_of)
    moment = syncs.now() if as_of is None else as_of.astimezone(UTC)

    def job_for(task_id: int, provider: str) -> NewJob:
        return new_job(SyncProvider(task_id, provider, moment.isoformat()))

    tasks = syncs.dispatch(
        moment, lambda feed: is_due(feed, moment), job_for, _idle(syncs.feeds())
    )
    return Dispatched(moment, tasks)


def due_feeds(syncs: SyncStore, as_of: datetime | None = None) -> Dispatched:
    """Tell what ``dispatch_syncs`` would do; nothing is written."""
    moment = syncs.now() if as_of is None else as_of.astimezone(UTC)
    due = (feed for feed in syncs.feeds() if is_due(feed, moment))
    return Dispatched(
        moment, tuple(SyncTask(0, feed.provider, "due", None) for feed in due)
    )


def _idle(feeds: Sequence[Feed]) -> str:
    enabled = sum(feed.is_enabled for feed in feeds)
    if not feeds:
        return "there are no feeds; add sync_profiles.toml and run: etl reference:load DIR"
    return f"nothing was due; {enabled} of {len(feeds)} feeds are enabled"


def sync_provider(app: App, command: SyncProvider, context: Context) -> Outcome:
    """Send a feed to the handler of its transport; imports that were reset go along."""
    feed = app.feed(command.provider)
    profile = load_profile(command.provider, folders=[app.settings.providers])
    fetch = fetch_command(feed, profile, datetime.fromisoformat(command.as_of))
    resumed = [
        import_command(command.provider, import_id)
        for import_id in imports_to_resume(app, command.provider)
    ]
    result = {"transport": feed.settings.transport, "resumed_imports": len(resumed)}
    return Done(result, (*resumed, fetch))


def fetch_command(feed: SyncProfile, profile: Profile, as_of: datetime) -> Fetch:
    """Return the command that fetches a feed.

    Raises:
        ConfigError: When nothing fetches this provider by this transport.
    """
    match feed.settings.transport:
        case "folder":
            return CollectFolder(feed.provider)
        case "sftp":
            return CollectSftp(feed.provider)
        case "https" if feed.provider == ROUTIT:
            zone = profile.layouts[0].time.timezone
            return RequestDelivery(feed.settings.account, last_month(as_of, zone))
        case transport:
            message = (
                f"sync profile {feed.provider}: nothing fetches it by {transport!r}; "
                f"settings.transport must be folder or sftp (https is for {ROUTIT})"
            )
            raise ConfigError(message)


def followed(handler: Handler[C]) -> Handler[C]:
    """Let a handler's job keep the task up to date that it belongs to, if it has one."""

    def work(app: App, command: C, context: Context) -> Outcome:
        task_id = task_of(context.job.run_id)
        if task_id is None:
            return handler(app, command, context)
        _tell(
            app, task_id, RunJob(context.job.id, context.job.command, "running", None, None)
        )
        try:
            outcome = handler(app, command, context)
        except FenceLost:
            raise  # the new owner tells
        except BaseException as error:
            _tell(app, task_id, _stopped(context, error))
            raise
        _tell(app, task_id, _ended(context, outcome))
        return outcome

    return work


def _stopped(context: Context, error: BaseException) -> RunJob:
    """How a job will stand after an error, as the bus will judge it."""
    job = context.job
    verdict = judged(error, job, 0)
    is_last = verdict.action == "retry" and job.attempts >= job.max_attempts
    status = "failed" if verdict.action == "fail" or is_last else "waiting"
    return RunJob(job.id, job.command, status, verdict.reason, None)


def _ended(context: Context, outcome: Outcome) -> RunJob:
    job = context.job
    if isinstance(outcome, NotReady):
        return RunJob(job.id, job.command, "waiting", outcome.message, None)
    # What follows is stored with the completion, which may still be to come.
    is_stored = context.followers is not None or not outcome.chained
    result = json.dumps(dict(outcome.result), default=str)
    return RunJob(job.id, job.command, "done" if is_stored else "running", None, result)


def _tell(app: App, task_id: int, own: RunJob) -> None:
    """Write how a task stands; a database that is away does not hide what happened."""

    def decide(jobs: Sequence[RunJob]) -> TaskState:
        return state_of([own if job.id == own.id else job for job in jobs])

    try:
        app.syncs.follow(task_id, decide)
    except StoreError as error:
        _log.warning("sync task %d could not be told: %s", task_id, error)


def state_of(jobs: Sequence[RunJob]) -> TaskState:
    """Tell from the jobs of a task's run how the task stands.

    A failed step makes the task failed, with the step, the reason and the way to go on;
    otherwise the task is done when no step is left.
    """
    failed = [job for job in jobs if job.status == "failed"]
    if failed:
        told = [
            f"{job.command} failed: {job.message}; mend the cause, then go on with: "
            f"etl queue:retry {job.id}"
            for job in failed[:FAILURES_TOLD]
        ]
        more = len(failed) - len(told)
        return TaskState("failed", "; ".join(told) + (f"; and {more} more" if more else ""))
    waiting = [job for job in jobs if job.status == "waiting"]
    status: TaskStatus = "done"
    if any(job.status == "running" for job in jobs):
        status = "running"
    elif waiting:
        status = "waiting"
    if not jobs:
        return TaskState(
            "failed", "its job is no longer in the queue; it will be due again"
        )
    said = [job.message for job in waiting if job.message] or _results(jobs)
    return TaskState(status, "; ".join(said) or None)


def _results(jobs: Sequence[RunJob]) -> list[str]:
    """What the fetching steps found, in their own words."""
    results = [json.loads(job.result) for job in jobs if job.result]
    return [str(result["found"]) for result in results if result.get("found")]
