"""``sync:manager``: store a task and a job for every feed that is due."""

from datetime import UTC, datetime

import click

from etl.app import App
from etl.bus import JobReport
from etl.commands.options import SET_ASIDE_EXIT, Voice, gravest, with_app
from etl.commands.reports import report_document, tell_report
from etl.handlers import bus_of
from etl.sync import Dispatched, dispatch_syncs, due_feeds
from loaders.sync import SyncTask
from transforms.errors import ConfigError, LeaseHeld, MoneyError


class Moment(click.ParamType[datetime]):
    """A moment in ISO 8601; UTC when it names no offset."""

    name = "timestamp"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> datetime:
        """Read ``2026-10-25T03:00``, ``2026-10-25 03:00+02:00`` or ``2026-10-25``."""
        if isinstance(value, datetime):
            return value
        try:
            moment = datetime.fromisoformat(str(value))
        except ValueError:
            self.fail(f"{value!r} is not a moment such as 2026-10-25T03:00", param, ctx)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)


@click.command("sync:manager")
@click.option(
    "--as-of",
    type=Moment(),
    help="Decide by this moment (UTC unless it has an offset); default: now.",
)
@click.option("--run", "is_run", is_flag=True, help="Also do the work, in this process.")
@click.option("--dry-run", is_flag=True, help="Show what is due, write nothing.")
@with_app
def manager(
    app: App, voice: Voice, *, as_of: datetime | None, is_run: bool, dry_run: bool
) -> int:
    """Store a task and a job for every feed that is due; ``etl worker`` does the work.

    Meant for a schedule of every few minutes. It writes at least one row of sync_task,
    also when nothing is due. Two of them at once take each feed once.
    """
    if dry_run:
        dispatched = due_feeds(app.syncs, as_of)
        for task in dispatched.tasks:
            voice.say(f"{task.provider}: due")
        voice.say("Nothing was written.")
        voice.document(_document(dispatched))
        return 0
    dispatched = dispatch_syncs(app.syncs, as_of)
    for task in dispatched.tasks:
        voice.say(_line(task))
    document = _document(dispatched)
    if not is_run:
        if any(task.status == "waiting" for task in dispatched.tasks):
            voice.say("do the work with: etl worker --drain")
        voice.document(document)
        return 0
    return _run(app, voice, dispatched, document)


def _run(
    app: App, voice: Voice, dispatched: Dispatched, document: dict[str, object]
) -> int:
    """Work each task's chain; one that fails does not keep the next from its turn."""
    runs: list[dict[str, object]] = []
    codes: list[int] = []
    for task in dispatched.tasks:
        if task.job_id is None or task.status != "waiting":
            continue
        voice.say(f"{task.provider}:")
        report, message = _worked(app, task.job_id)
        if report is None:
            voice.say(f"  {message}")
            runs.append({"task": task.id, "message": message})
            continue
        tell_report(voice, report)
        runs.append({"task": task.id, **report_document(report)})
        codes.append(report.exit_code)
    failed = [code for code in codes if code]
    if failed:
        voice.say(f"{len(failed)} of {len(codes)} feeds failed; the others went on")
    voice.document({**document, "runs": runs})
    is_partly = failed and len(failed) < len(codes)
    if is_partly and MoneyError.exit_code not in failed:
        return SET_ASIDE_EXIT
    return gravest(codes)


def _worked(app: App, job_id: int) -> tuple[JobReport | None, str]:
    """Work one job and its chain, unless a worker was quicker."""
    try:
        return bus_of(app).resume(job_id, app.stop), ""
    except (LeaseHeld, ConfigError) as exc:
        return None, f"a worker has it: {exc}"


def _line(task: SyncTask) -> str:
    head = f"task {task.id}: " + (task.provider or "no feed")
    told = f"job {task.job_id}" if task.status == "waiting" else task.message
    return f"{head}, {task.status} ({told})"


def _document(dispatched: Dispatched) -> dict[str, object]:
    return {
        "as_of": dispatched.as_of.isoformat(),
        "tasks": [
            {
                "id": task.id or None,
                "provider": task.provider,
                "status": task.status,
                "job_id": task.job_id,
                "message": task.message,
            }
            for task in dispatched.tasks
        ],
    }


COMMANDS = {"sync:manager": manager}
