"""``insight``, ``insight:find``, ``insight:acknowledge``: what a person should look at."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import click

from etl.app import App
from etl.chains import FindInsights, LookAtDay
from etl.commands.options import Voice, gravest, with_app
from etl.commands.reports import report_document, tell_report
from etl.handlers import bus_of
from transforms.errors import ConfigError
from transforms.insight_words import about_whom, hidden, in_words, shown
from transforms.insights import KINDS

DAY = click.DateTime(formats=["%Y-%m-%d"])
LONGEST = {"--by": 128, "--note": 255}


@click.command("insight")
@click.option("--customer", type=int, help="Only about this customer.")
@click.option("--kind", type=click.Choice(KINDS), help="Only of this kind.")
@click.option("--since", type=DAY, help="Only found since this day, YYYY-MM-DD (UTC).")
@click.option("--all", "is_all", is_flag=True, help="Also those that were acknowledged.")
@click.option("--raw", "is_raw", is_flag=True, help="Show lines whole; they are personal.")
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@with_app
def insight(
    app: App,
    voice: Voice,
    customer: int | None,
    kind: str | None,
    since: datetime | None,
    limit: int,
    *,
    is_all: bool,
    is_raw: bool,
) -> int:
    """List what a person should look at, the newest first, each with its figures.

    A finding whose figures changed is listed as it is now; one that is no longer so is not
    listed. Take one off the list with: etl insight:acknowledge ID --by NAME.
    """
    found = app.insights.listed(
        customer_id=customer, kind=kind, since=since, is_all=is_all, most=limit
    )
    rows = [_document(row, is_raw=is_raw) for row in found]
    if not rows:
        voice.say("Nothing to look at.")
    for row in rows:
        voice.say(_line(row))
    if len(rows) == limit:
        voice.say(f"these are the newest {limit:,}; more of them: --limit")
    voice.document({"insights": rows})
    return 0


def _document(row: Mapping[str, Any], *, is_raw: bool) -> dict[str, Any]:
    evidence = shown(row["evidence"], str if is_raw else hidden)
    return {
        **row,
        "evidence": evidence,
        "is_dirty": bool(row["is_dirty"]),
        "says": in_words(row["kind"], evidence, str),
    }


def _line(row: Mapping[str, Any]) -> str:
    who = about_whom(row["customer_id"], row["provider"], row["cycle_start_date"])
    told = f"{row['id']:>6}  {row['severity']:7}  {row['kind']:21}  {who}: {row['says']}"
    if row["is_dirty"]:
        told += " (its totals are waiting to be computed again)"
    if row["acknowledged_by"] is not None:
        note = f": {row['note']}" if row["note"] else ""
        told += f" (seen by {row['acknowledged_by']}{note})"
    return told


@click.command("insight:acknowledge")
@click.argument("insight_id", metavar="ID", type=int)
@click.option("--by", required=True, help="Who has seen it; it is kept.")
@click.option("--note", help="What there is to say; it is kept.")
@click.option("--dry-run", is_flag=True, help="Say what would happen, no more.")
@with_app
def acknowledge(
    app: App, voice: Voice, insight_id: int, by: str, note: str | None, *, dry_run: bool
) -> int:
    """Take an insight off the list, with who has seen it and when.

    It stays off when its figures change, unless it becomes graver. The first who
    acknowledged it stays.
    """
    for option, text in (("--by", by), ("--note", note)):
        if text is not None and _is_unfit(text, LONGEST[option]):
            message = (
                f"{option} is one printable line, of at most {LONGEST[option]} letters"
            )
            raise ConfigError(message)
    row = app.insights.find(insight_id)
    if row is None:
        message = f"there is no insight {insight_id}; see: etl insight --all"
        raise ConfigError(message)
    if row["is_replaced"]:
        after = row["replaced_by"]
        now = "nothing of it is so any more" if after is None else f"it is {after} now"
        message = f"insight {insight_id} stands no more: {now}"
        raise ConfigError(message)
    seen_by = row["acknowledged_by"]
    is_new = seen_by is None
    if is_new and not dry_run:
        is_new = app.insights.acknowledge(insight_id, by.strip(), note and note.strip())
    if is_new:
        voice.say(f"insight {insight_id} is acknowledged by {by.strip()}")
    else:
        voice.say(f"insight {insight_id} was acknowledged before")
    if dry_run:
        voice.say("Nothing was written.")
    voice.document(
        {"id": insight_id, "acknowledged": is_new, "by": by.strip(), "dry_run": dry_run}
    )
    return 0


def _is_unfit(text: str, most: int) -> bool:
    return not text.strip() or not text.isprintable() or len(text) > most


@click.command("insight:find")
@click.option("--as-of", type=DAY, help="Look as on this day, YYYY-MM-DD (UTC).")
@click.option("--cycle", type=DAY, help="Look again at the cycles that contain this day.")
@click.option("--dry-run", is_flag=True, help="Say how much would be looked at, no more.")
@with_app
def find(
    app: App,
    voice: Voice,
    as_of: datetime | None,
    cycle: datetime | None,
    *,
    dry_run: bool,
) -> int:
    """Look at all that was not looked at yet; the chain of totals and the night do it too.

    After thresholds were changed, --cycle looks again at cycles that did not change.
    """
    day = date.isoformat((as_of or datetime.now(UTC)).date())
    again = None if cycle is None else cycle.date().isoformat()
    if dry_run:
        waiting = app.insights.unlooked(day=None if cycle is None else cycle.date()).height
        voice.say(f"{waiting:,} cycles would be looked at, and the deliveries until {day}")
        voice.say("Nothing was written.")
        voice.document({"cycles": waiting, "as_of": day, "dry_run": True})
        return 0
    bus = bus_of(app)
    reports = [
        bus.run(FindInsights(day=again), app.stop),
        bus.run(LookAtDay(day), app.stop),
    ]
    for report in reports:
        tell_report(voice, report)
    voice.document({"runs": [report_document(report) for report in reports]})
    return gravest(report.exit_code for report in reports)


COMMANDS = {
    "insight": insight,
    "insight:acknowledge": acknowledge,
    "insight:find": find,
}
