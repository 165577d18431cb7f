"""``totals:new`` and ``totals:dispatch``: one customer's cycle, and every changed cycle."""

from datetime import date, datetime

import click

from etl.app import App
from etl.chains import DispatchTotals, NewTotals
from etl.commands.options import Voice, with_app
from etl.commands.reports import chain_of, report_document, tell_report
from etl.handlers import bus_of
from transforms.money import decimal_text

DAY = click.DateTime(formats=["%Y-%m-%d"])


@click.command("totals:new")
@click.option("--customer", type=int, required=True, help="Customer id.")
@click.option("--cycle", type=DAY, required=True, help="Any day of the cycle, YYYY-MM-DD.")
@click.option("--dry-run", is_flag=True, help="Compute and show, write nothing.")
@with_app
def new(app: App, voice: Voice, customer: int, cycle: datetime, *, dry_run: bool) -> int:
    """Reprocess one customer's cycle, with its chain: totals, then backup.

    The cycle is the one that contains the day. Unchanged records change nothing: no new
    revision is written.
    """
    day = cycle.date()
    if dry_run:
        document = app.totals_work.preview(customer, day)
        _tell(voice, document)
        voice.say("Nothing was written.")
        voice.document(document)
        return 0
    app.totals_work.require_customer(customer)
    report = bus_of(app).run(NewTotals(customer, day.isoformat()), app.stop)
    if report.failed_step is not None:
        tell_report(voice, report)
        voice.document(report_document(report))
        return report.exit_code
    document = app.totals_work.document(customer, day) | {"chain": chain_of(report)}
    _tell(voice, document)
    for step in report.steps[1:]:
        voice.say(f"chain: {step.command} {step.status}")
    voice.document(document)
    return report.exit_code


@click.command("totals:dispatch")
@click.option("--cycle", type=DAY, help="Only cycles that contain this day, YYYY-MM-DD.")
@with_app
def dispatch(app: App, voice: Voice, cycle: datetime | None) -> int:
    """Compute every cycle that changed, in one pass, then back the totals up."""
    day: date | None = None if cycle is None else cycle.date()
    command = DispatchTotals(None if day is None else day.isoformat())
    report = bus_of(app).run(command, app.stop)
    tell_report(voice, report)
    voice.document(report_document(report))
    return report.exit_code


def _tell(voice: Voice, document: dict[str, object]) -> None:
    voice.say(
        f"customer {document['customer_id']}, cycle {document['cycle_start_date']} to "
        f"{document['cycle_end_date']} (end not included), revision {document['revision']}"
    )
    lines = document["lines"]
    if isinstance(lines, list):
        voice.table(
            ("usage", "zone", "records", "seconds", "bytes", "cost"),
            [
                (
                    line["usage_type"],
                    line["zone"] or "-",
                    line["count"],
                    line["duration_s"],
                    line["volume_bytes"],
                    decimal_text(line["cost_micros"]),
                )
                for line in lines
            ],
        )
    voice.say(
        f"total {document['total_cost']} {document['currency']} over "
        f"{document['cdr_count']:,} records, {document['unrated_count']:,} of them unrated"
    )


COMMANDS = {"totals:new": new, "totals:dispatch": dispatch}
