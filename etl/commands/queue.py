"""``queue:*``, ``worker`` and ``chains``: the durable command queue, for operators."""

from datetime import datetime

import click

from etl.app import App
from etl.bus import Step
from etl.chains import CHAINS
from etl.commands.options import Voice, with_app
from etl.commands.reports import report_document, tell_report
from etl.handlers import bus_of
from etl.workers import Worked, stop_workers, work, work_in_processes
from loaders.jobs import Job

LISTED = ("running", "waiting", "failed")
"""Statuses of jobs that are not over."""


@click.command("queue:list")
@click.option("--all", "is_all", is_flag=True, help="Also the jobs that are done.")
@click.option("--limit", default=50, show_default=True, help="Jobs of each status.")
@with_app
def list_jobs(app: App, voice: Voice, *, is_all: bool, limit: int) -> int:
    """List the jobs that run, wait or failed, with their owner and their age."""
    now = app.monitor.clock()
    jobs = [
        job
        for status in (*LISTED, *(("done",) if is_all else ()))
        for job in sorted(app.jobs.list(status=status, limit=limit), key=_id)
    ]
    voice.table(
        ("job", "command", "work", "status", "age", "attempts", "owner", "message"),
        [
            (
                f"{job.id}",
                job.command,
                job.work_key,
                job.status,
                f"{_age_s(job, now):,} s",
                job.attempts,
                job.owner if job.status == "running" else None,
                job.message,
            )
            for job in jobs
        ],
    )
    voice.document({"jobs": [_document(job, now) for job in jobs]})
    return 0


def _id(job: Job) -> int:
    return job.id


def _age_s(job: Job, now: datetime) -> int:
    """How long a job has been what it is: running, waiting since it is due, or ended."""
    since = {"running": job.started_at, "waiting": job.available_at}.get(
        job.status, job.finished_at
    )
    return max(0, round((now - (since or job.created_at)).total_seconds()))


def _document(job: Job, now: datetime) -> dict[str, object]:
    return {
        "id": job.id,
        "command": job.command,
        "work_key": job.work_key,
        "status": job.status,
        "attempts": job.attempts,
        "owner": job.owner,
        "age_s": _age_s(job, now),
        "lease_until": job.lease_until,
        "message": job.message,
    }


@click.command("queue:unlock")
@click.argument("job_id", type=int)
@with_app
def unlock(app: App, voice: Voice, job_id: int) -> int:
    """Take a running job from its owner; any worker may then go on with it.

    The owner, should it still live, cannot commit any more.
    """
    now = app.monitor.clock()
    job = app.jobs.unlock(job_id)
    voice.say(
        f"job {job.id} {job.command} was held by {job.owner} for {_age_s(job, now):,} s; "
        "it waits again"
    )
    voice.document(
        {
            "id": job.id,
            "command": job.command,
            "owner": job.owner,
            "age_s": _age_s(job, now),
        }
    )
    return 0


@click.command("queue:retry")
@click.argument("job_id", type=int)
@with_app
def retry(app: App, voice: Voice, job_id: int) -> int:
    """Try a failed job again, and follow its chain in this process."""
    report = bus_of(app).resume(job_id, app.stop)
    tell_report(voice, report)
    voice.document(report_document(report))
    return report.exit_code


@click.command("queue:stop-workers")
@with_app
def stop(app: App, voice: Voice) -> int:
    """Let every worker that runs now finish its job and end with exit code 0."""
    stop_workers(app)
    voice.say("Every worker ends after the job it has in hand.")
    voice.document({"status": "asked"})
    return 0


@click.command("worker")
@click.option("--drain", is_flag=True, help="End when nothing is due.")
@click.option(
    "--concurrency",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="How many processes work side by side.",
)
@with_app
def worker(app: App, voice: Voice, *, drain: bool, concurrency: int) -> int:
    """Work the queue, until SIGTERM or, with --drain, until nothing is due.

    SIGTERM: the batch in hand is finished, the job handed back, exit code 143.
    ``etl queue:stop-workers``: the job in hand is finished, exit code 0.
    """
    done = Worked()

    def tell(step: Step) -> None:
        done.add(step)
        if step.status == "failed":
            voice.say(f"job {step.job_id} {step.command} failed: {step.message}")
            voice.say(f"  mend the cause, then go on with: etl queue:retry {step.job_id}")

    if concurrency == 1:
        work(app, drain=drain, tell=tell)
    else:
        app.database.upgrade()
        done.lost = work_in_processes(
            app.settings, concurrency, drain=drain, verbose=0, tell=tell
        )
    for each in done.lost:
        voice.say(f"{each}; its job is taken over when the lease ends")
    for status, count in sorted(done.ended.items()):
        voice.say(f"{count:,} jobs {status}")
    if not done.ended:
        voice.say("Nothing was due.")
    voice.document(
        {
            "jobs": dict(done.ended),
            "failed": [
                {
                    "job_id": step.job_id,
                    "command": step.command,
                    "message": step.message,
                    "resume": f"etl queue:retry {step.job_id}",
                }
                for step in done.failed
            ],
        }
    )
    return done.exit_code


@click.command("chains")
@with_app
def chains(app: App, voice: Voice) -> int:
    """Show which command follows which."""
    for name, followers in CHAINS.items():
        voice.say(f"{name} -> {', '.join(followers) or 'end'}")
    voice.document({"chains": CHAINS})
    return 0


COMMANDS = {
    "queue:list": list_jobs,
    "queue:unlock": unlock,
    "queue:retry": retry,
    "queue:stop-workers": stop,
    "worker": worker,
    "chains": chains,
}
