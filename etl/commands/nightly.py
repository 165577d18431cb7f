"""``nightly``: the whole night in one process, with one exit code."""

import time
from dataclasses import asdict
from datetime import UTC, datetime

import click

from etl.app import App
from etl.commands.options import Voice, executor_option, with_app
from etl.night import folder_of, run_night
from etl.night_record import report_text

A_DAY_S = 24 * 3600
"""How long what a killed run left in storage lies before it is removed."""

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
@click.option("--no-invoices", is_flag=True, help="Issue no invoices.")
@executor_option
@with_app
def nightly(
    app: App,
    voice: Voice,
    as_of: datetime | None,
    patience: float,
    *,
    no_invoices: bool,
) -> int:
    """Sync, import, total, invoice, audit and report: one lease, one exit code.

    A night that was killed goes on where it stopped when it is run again: invoices keep
    their numbers, documents that are missing are written. Exit code 75 when another night
    is running.
    """
    moment = datetime.now(UTC) if as_of is None else as_of.replace(tzinfo=UTC)
    night = run_night(app, moment, patience, voice.say, is_invoicing=not no_invoices)
    voice.say()
    voice.say(report_text(night))
    voice.say(f"report: {folder_of(app, night.name) / 'report.txt'}")
    if swept := app.storage.sweep(A_DAY_S, time.time()):
        voice.say(f"storage: removed {len(swept)} leftovers of killed runs")
    voice.document(asdict(night))
    return night.exit_code


COMMANDS = {"nightly": nightly}
