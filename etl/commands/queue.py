"""``queue:*``, ``worker`` and ``chains``: the durable command queue, for operators."""

import time

import click

from etl.app import App
from etl.chains import CHAINS
from etl.commands.options import Voice, with_app
from etl.commands.reports import report_document, tell_report
from etl.handlers import bus_of

POLL_SECONDS = 2.0


@click.command("queue:list")
@click.option("--all", "is_all", is_flag=True, help="Also the jobs that are done.")
@with_app
def list_jobs(app: App, voice: Voice, *, is_all: bool) -> int:
    """List the jobs that wait, run or failed, oldest first."""
    jobs = [job for job in app.jobs.list() if is_all or job.status != "done"]
    voice.table(
        ("job", "command", "work", "status", "attempts", "message"),
        [
            (job.id, job.command, job.work_key, job.status, job.attempts, job.message)
            for job in jobs
        ],
    )
    voice.document(
        {
            "jobs": [
                {
                    "id": job.id,
                    "command": job.command,
                    "work_key": job.work_key,
                    "status": job.status,
                    "attempts": job.attempts,
                    "owner": job.owner,
                    "message": job.message,
                }
                for job in jobs
            ]
        }
    )
    return 0


@click.command("queue:unlock")
@click.argument("job_id", type=int)
@with_app
def unlock(app: App, voice: Voice, job_id: int) -> int:
    """Take a running job from its owner; any worker may then go on with it."""
    job = app.jobs.unlock(job_id)
    voice.say(f"job {job.id} {job.command} was held by {job.owner}; it waits again")
    voice.document({"id": job.id, "command": job.command, "owner": job.owner})
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


@click.command("worker")
@click.option("--drain", is_flag=True, help="End when nothing is due.")
@with_app
def worker(app: App, voice: Voice, *, drain: bool) -> int:
    """Work the queue, until SIGTERM or, with --drain, until nothing is due."""
    ended = bus_of(app).drain(app.stop)
    while not (drain or app.stop()):
        time.sleep(POLL_SECONDS)
        ended += bus_of(app).drain(app.stop)
    for status, count in sorted(ended.items()):
        voice.say(f"{count:,} jobs {status}")
    if not ended:
        voice.say("Nothing was due.")
    voice.document({"jobs": dict(ended)})
    return 1 if ended["failed"] else 0


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
    "worker": worker,
    "chains": chains,
}
