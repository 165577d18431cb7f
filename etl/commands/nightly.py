"""``nightly``: the whole night in one process, with one exit code."""

from dataclasses import asdict
from datetime import UTC, datetime

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.night import folder_of, report_text, run_night

MOMENT = click.DateTime(formats=["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


@click.command("nightly")
@click.option("--as-of", type=MOMENT, help="Run as if it were this moment (UTC).")
@click.option(
    "--patience",
    type=float,
    default=900.0,
    show_default=True,
    help="Seconds to wait for deliveries a provider is still preparing.",
)
@with_app
def nightly(app: App, voice: Voice, as_of: datetime | None, patience: float) -> int:
    """Sync, import, total, audit and report: one lease, one summary, one exit code.

    A night that was killed goes on where it stopped when it is run again. Exit code 75 when
    another night is running.
    """
    moment = datetime.now(UTC) if as_of is None else as_of.replace(tzinfo=UTC)
    night = run_night(app, moment, patience, voice.say)
    voice.say()
    voice.say(report_text(night))
    voice.say(f"report: {folder_of(app, night.name) / 'report.txt'}")
    voice.document(asdict(night))
    return night.exit_code


COMMANDS = {"nightly": nightly}
