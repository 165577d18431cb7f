"""``totals:*``: compute one cycle or all that changed, compare, put back, simulate."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from typing import Any

import click

from etl.app import App
from etl.chains import DispatchTotals, NewTotals
from etl.commands.options import Voice, executor_option, masked, with_app
from etl.commands.reports import chain_of, report_document, tell_report
from etl.handlers import bus_of
from etl.rate_plan_files import load_rate_plan
from transforms.errors import MoneyError
from transforms.money import decimal_text

DAY = click.DateTime(formats=["%Y-%m-%d"])

MOST_SHOWN = 50
"""Corrected records, and allowances, that a person is shown."""


@click.command("totals:new")
@click.option("--customer", type=int, required=True, help="Customer id.")
@click.option("--cycle", type=DAY, required=True, help="Any day of the cycle, YYYY-MM-DD.")
@click.option("--dry-run", is_flag=True, help="Compute and show, write nothing.")
@with_app
def new(app: App, voice: Voice, customer: int, cycle: datetime, *, dry_run: bool) -> int:
    """Reprocess one customer's cycle, with its chain: totals, backup, insights.

    The cycle is the one that contains the day. Unchanged records change nothing: no new
    revision is written.
    """
    day = cycle.date()
    if dry_run:
        document = _without_numbers(app.totals_work.preview(customer, day))
        _tell(voice, document)
        _tell_changes(voice, document["diff"])
        voice.say("Nothing was written.")
        voice.document(document)
        return 0
    app.totals_work.require_customer(customer)
    report = bus_of(app).run(NewTotals(customer, day.isoformat()), app.stop)
    if report.failed_step is not None:
        tell_report(voice, report)
        voice.document(report_document(report))
        return report.exit_code
    later = report.steps[0].result.get("later_cycles_marked", 0)
    document = _without_numbers(app.totals_work.document(customer, day))
    document |= {"chain": chain_of(report), "later_cycles_marked": later}
    _tell(voice, document)
    if later:
        voice.say(f"{later} later cycles wait: they begin with less or more of a one-off")
    for step in report.steps[1:]:
        voice.say(f"chain: {step.command} {step.status}")
    voice.document(document)
    return report.exit_code


@click.command("totals:dispatch")
@click.option("--cycle", type=DAY, help="Only cycles that contain this day, YYYY-MM-DD.")
@executor_option
@with_app
def dispatch(app: App, voice: Voice, cycle: datetime | None) -> int:
    """Compute every cycle that changed, in one pass, then back the totals up."""
    day: date | None = None if cycle is None else cycle.date()
    command = DispatchTotals(None if day is None else day.isoformat())
    report = bus_of(app).run(command, app.stop)
    tell_report(voice, report)
    faults = [fault for step in report.steps for fault in _faults(step.result)]
    for fault in faults:
        voice.say(f"left out: {fault}")
    voice.document(report_document(report))
    return MoneyError.exit_code if faults else report.exit_code


def _faults(result: Mapping[str, object]) -> list[str]:
    faults = result.get("faults")
    return [str(fault) for fault in faults] if isinstance(faults, list) else []


@click.command("totals:diff")
@click.option("--customer", type=int, required=True, help="Customer id.")
@click.option("--cycle", type=DAY, required=True, help="Any day of the cycle, YYYY-MM-DD.")
@click.option("--from", "first", type=int, help="Revision; the one before if not given.")
@click.option("--to", "last", type=int, help="Revision; the newest if not given.")
@with_app
def diff(
    app: App,
    voice: Voice,
    customer: int,
    cycle: datetime,
    first: int | None,
    last: int | None,
) -> int:
    """Compare two revisions of a cycle line by line: what it was, is, and why.

    Why: records added, added late (after the end of the cycle), corrected or gone, another
    plan or version of it, or a one-off allowance that an earlier cycle used otherwise.
    """
    document = app.totals_history.diff(customer, cycle.date(), first, last)
    voice.say(
        f"customer {customer}, cycle {document['cycle_start_date']}: revision"
        f" {document['from_revision']} cost {document['was']}, revision"
        f" {document['to_revision']} costs {document['is']}"
    )
    for each in document["imports"]:
        late = ", after the end of the cycle" if each["late"] else ""
        voice.say(
            f"import {each['import_id']} ({each['file']}) brought"
            f" {each['records']:,} records in between{late}"
        )
    for reason in document["reasons"]:
        voice.say(f"computed because of: {reason}")
    _tell_changes(voice, document)
    _tell_corrected(voice, document["corrected"])
    voice.document(document)
    return 0


def _tell_corrected(voice: Voice, records: Sequence[Mapping[str, Any]]) -> None:
    """Say which records a later delivery replaced, and what they cost before and now."""
    if not records:
        return
    voice.say(f"{len(records):,} records were corrected:")
    voice.table(
        ("record", "at", "was in", "line", "cost", "is in", "line", "cost"),
        [
            (
                each["record_id"],
                each["call_date"],
                *_place(each["was"]),
                *_place(each["is"]),
            )
            for each in records[:MOST_SHOWN]
        ],
    )
    if len(records) > MOST_SHOWN:
        voice.say(f"... and {len(records) - MOST_SHOWN:,} more; --json shows them all")


def _place(record: Mapping[str, Any] | None) -> tuple[object, object, object]:
    """Where a version of a record came from and what it cost; it may be elsewhere now."""
    if record is None:
        return "elsewhere", None, None
    cost = record["cost_micros"]
    named = f"import {record['import_id']} {record['member']}"
    return named, record["line_no"], None if cost is None else decimal_text(cost)


@click.command("totals:restore")
@click.option("--customer", type=int, required=True, help="Customer id.")
@click.option("--cycle", type=DAY, required=True, help="Any day of the cycle, YYYY-MM-DD.")
@click.option("--revision", type=int, required=True, help="The revision to put back.")
@with_app
def restore(app: App, voice: Voice, customer: int, cycle: datetime, revision: int) -> int:
    """Put a revision back as a new revision; what it replaces is kept.

    The cycle is computed anew only when it changes again, or by totals:new.
    """
    document = _without_numbers(app.totals_work.restore(customer, cycle.date(), revision))
    _tell(voice, document)
    if not document["changed"]:
        voice.say("these are the current figures already; nothing was written")
    if document["waits_for_totals"]:
        voice.say("the cycle waits for totals: the next totals:dispatch computes it anew")
    voice.document(document)
    return 0


@click.command("totals:simulate")
@click.option(
    "--plan",
    "plans",
    multiple=True,
    required=True,
    help="TOML file, or the id of a shipped plan; may be given more than once.",
)
@click.option("--customer", type=int, help="Customer id; every customer if not given.")
@click.option("--cycle", type=DAY, required=True, help="Any day of the cycle, YYYY-MM-DD.")
@click.option(
    "--cycles",
    type=click.IntRange(1, 120),
    default=1,
    show_default=True,
    help="How many cycles: that one and those before it.",
)
@with_app
def simulate(
    app: App,
    voice: Voice,
    plans: tuple[str, ...],
    customer: int | None,
    cycle: datetime,
    cycles: int,
) -> int:
    """Rate history under another plan beside what it cost, best saving first.

    Writes nothing. Usage that the plan does not price adds nothing to what it would have
    cost: customers with such usage come last.
    """
    tried = [load_rate_plan(plan) for plan in plans]
    document = app.totals_history.simulate(tried, customer, cycle.date(), cycles)
    voice.table(
        ("customer", "plan", "cycles", "cost", "would cost", "saving", "unrated"),
        [
            (
                row["customer_id"],
                row["rate_plan"],
                row["cycles"],
                decimal_text(row["real_micros"]),
                decimal_text(row["simulated_micros"]),
                decimal_text(row["saving_micros"]),
                row["unrated_count"],
            )
            for row in document["customers"]
        ],
    )
    voice.document(document)
    return 0


def _tell_changes(voice: Voice, document: object) -> None:
    """Say line by line what changed; ``document`` has ``plan`` and ``lines``."""
    changes = document if isinstance(document, dict) else {}
    if changes.get("plan"):
        voice.say(str(changes["plan"]))
    rows = changes.get("lines", [])
    if not rows:
        voice.say("no line changed")
        return
    voice.table(
        ("usage", "zone", "was", "is", "why"),
        [
            (
                row["usage_type"],
                row["zone"] or "-",
                decimal_text(row["was"]["cost_micros"]) if row["was"] else "-",
                decimal_text(row["is"]["cost_micros"]) if row["is"] else "-",
                ", ".join(row["why"]),
            )
            for row in rows
        ],
    )


def _without_numbers(document: dict[str, Any]) -> dict[str, Any]:
    """Hide whose line each allowance is; empty is for all lines of the customer."""
    allowances = [
        each | {"subscriber": masked(each["subscriber"] or None) or ""}
        for each in document["allowances"]
    ]
    return document | {"allowances": allowances}


def _tell_allowances(voice: Voice, allowances: Sequence[Mapping[str, Any]]) -> None:
    if not allowances:
        return

    def amount(row: Mapping[str, Any], name: str) -> object:
        return decimal_text(row[name]) if row["unit"] == "micros" else row[name]

    voice.table(
        ("allowance", "line", "available", "used", "left", "unit"),
        [
            (
                row["allowance"] + (", once" if row["once"] else ""),
                row["subscriber"] or "shared",
                *(amount(row, name) for name in ("available", "used", "left")),
                "" if row["unit"] == "micros" else row["unit"],
            )
            for row in allowances[:MOST_SHOWN]
        ],
    )


def _tell(voice: Voice, document: dict[str, Any]) -> None:
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
    _tell_allowances(voice, document["allowances"])
    voice.say(
        f"total {document['total_cost']} {document['currency']} over "
        f"{document['cdr_count']:,} records, {document['unrated_count']:,} of them unrated"
    )


COMMANDS = {
    "totals:new": new,
    "totals:dispatch": dispatch,
    "totals:diff": diff,
    "totals:restore": restore,
    "totals:simulate": simulate,
}
