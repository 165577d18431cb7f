"""``monitor`` and ``health``: how things go, and whether each critical path is whole."""

import time
from dataclasses import asdict

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.health import Finding, findings
from loaders.monitor import Watched
from transforms.errors import ConfigError

BROKEN_EXIT = 1
"""Exit code of ``health`` when a path is broken."""


@click.command("monitor")
@click.option("--watch", is_flag=True, help="Ask again and again, until Ctrl-C.")
@click.option("--every", default=10, show_default=True, help="Seconds between two looks.")
@with_app
def monitor(app: App, voice: Voice, *, watch: bool, every: int) -> int:
    """Show syncs, imports, volume, totals and the queue as they are now.

    The questions are those of the operators' document; they answer on either database.
    """
    if watch and voice.is_json:
        message = "--watch shows one picture after another; --json is one document: no both"
        raise ConfigError(message)
    while True:
        seen = app.monitor.watch()
        _tell(voice, seen)
        if not watch or app.stop():
            break
        time.sleep(every)
        voice.say()
    voice.document(asdict(seen))
    return 0


def _tell(voice: Voice, seen: Watched) -> None:
    voice.say(f"{seen.at:%Y-%m-%d %H:%M:%S} by the database's clock")
    last = f", the last at {seen.syncs.last_sync:%H:%M:%S}" if seen.syncs.last_sync else ""
    voice.say(f"syncs of the last 10 minutes: {seen.syncs.sync_count:,}{last}")
    voice.say(f"imports of the last 24 hours: {len(seen.imports):,}")
    if seen.imports:
        voice.table(
            ("import", "type", "status", "locked", "complete", "loaded", "updated"),
            [
                (
                    f"{each.id}",
                    each.type,
                    each.status,
                    each.locked,
                    each.complete,
                    each.loaded,
                    f"{each.updated_at:%Y-%m-%d %H:%M:%S}",
                )
                for each in seen.imports
            ],
        )
    voice.say(f"days with records, of the last 7: {len(seen.volume):,}")
    if seen.volume:
        voice.table(
            ("day", "records"), [(each.day, each.cdr_count) for each in seen.volume]
        )
    voice.say(f"totals of the last hour: {len(seen.totals):,}")
    if seen.totals:
        voice.table(
            ("customer", "cycle", "revision", "total", "updated"),
            [
                (
                    f"{each.customer_id}",
                    each.cycle_start_date,
                    each.revision,
                    each.total_cost,
                    f"{each.updated_at:%H:%M:%S}",
                )
                for each in seen.totals
            ],
        )
    voice.say(f"totals without backup: {seen.without_backup:,}")
    voice.say(f"cycles that wait for totals: {seen.waiting.cycles:,}")
    _tell_queue(voice, seen)


def _tell_queue(voice: Voice, seen: Watched) -> None:
    queue = seen.queue
    oldest = f", the oldest for {queue.oldest_due_s:,} s" if queue.due else ""
    voice.say(
        f"queue: {queue.waiting:,} wait, {queue.due:,} of them due{oldest}; "
        f"{queue.running:,} run, {len(queue.lost):,} of them without their owner; "
        f"{queue.failed:,} failed"
    )
    for job in seen.failed_jobs:
        voice.say(
            f"failed: job {job.id} {job.command} {job.work_key}: {job.message}; "
            f"etl queue:retry {job.id}"
        )


@click.command("health")
@with_app
def health(app: App, voice: Voice) -> int:
    """Look at each critical path from its first part to its last.

    One line for each part, and the next step where it is broken. Exit code 1 when any is.
    """
    found = []
    for finding in findings(app):
        found.append(finding)
        _tell_finding(voice, finding)
    is_fine = all(finding.ok for finding in found)
    voice.document({"ok": is_fine, "findings": [asdict(finding) for finding in found]})
    return 0 if is_fine else BROKEN_EXIT


def _tell_finding(voice: Voice, finding: Finding) -> None:
    if finding.ok:
        voice.say(f"ok     {finding.path}: {finding.part} {finding.message}")
        return
    voice.say(f"BROKEN {finding.path}: {finding.part}: {finding.message}")
    voice.say(f"       next: {finding.next_step}")


COMMANDS = {"monitor": monitor, "health": health}
