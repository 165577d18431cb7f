"""``plan:*``: check a rate plan, and try it on events; neither needs a database."""

from pathlib import Path

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.rate_plan_files import load_rate_plan, read_csv_file
from transforms.rate_events import Document, price_events
from transforms.rate_plan import RatePlan

MOST_SHOWN = 50


@click.command("plan:check")
@click.argument("file")
@with_app
def check(app: App, voice: Voice, file: str) -> int:
    """Check the rate plan in FILE as a whole, with its decks and price lists.

    FILE is a TOML file, or the id of a plan that ships with the package. Exit code 2 with
    every fault in one message when there are any.
    """
    del app
    plan = load_rate_plan(file)
    _show_plan(voice, plan)
    voice.document(_plan_document(plan))
    return 0


def _show_plan(voice: Voice, plan: RatePlan) -> None:
    until = plan.valid_to or "open"
    voice.say(f"{plan.id}: {plan.name}, {plan.currency}, {plan.valid_from} to {until}")
    voice.say(
        f"{len(plan.entries):,} prices, {len(plan.deck):,} prefixes,"
        f" {len(plan.windows)} windows, {len(plan.allowances)} allowances,"
        f" {len(plan.volumes)} cycle volumes"
    )
    voice.say(f"rounding {plan.rounding.mode} to {plan.rounding.decimals} decimals")
    voice.say(f"version {plan.sha256[:16]}: nothing wrong with it")


def _plan_document(plan: RatePlan) -> Document:
    return {
        "ok": True,
        "plan": plan.id,
        "name": plan.name,
        "version": plan.sha256,
        "currency": plan.currency,
        "timezone": plan.timezone,
        "valid_from": plan.valid_from,
        "valid_to": plan.valid_to,
        "rounding": {"mode": plan.rounding.mode, "decimals": plan.rounding.decimals},
        "vat": {
            "rate": plan.vat.rate,
            "prices_include": plan.vat.prices_include,
            "rounding": plan.vat.rounding,
        },
        "entries": list(dict.fromkeys(entry.group for entry in plan.entries)),
        "prices": len(plan.entries),
        "prefixes": len(plan.deck),
        "windows": list(plan.windows),
        "zones": list(plan.zones),
        "allowances": [allowance.name for allowance in plan.allowances],
        "cycle_volumes": [volume.name for volume in plan.volumes],
    }


@click.command("plan:price")
@click.option("--plan", required=True, help="TOML file, or the id of a shipped plan.")
@click.option(
    "--events",
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="CSV: id, subscriber, usage_type, destination, started_at, quantity.",
)
@click.option(
    "--cycle-day",
    type=click.IntRange(1, 31),
    default=1,
    show_default=True,
    help="Day of the month on which a cycle starts.",
)
@with_app
def price(app: App, voice: Voice, plan: str, events: Path, cycle_day: int) -> int:
    """Price events under a rate plan; writes nothing and needs no database.

    The events are those of one customer. Usage that no entry covers is unrated, with the
    reason beside it; that alone is exit code 0.
    """
    del app
    document = price_events(read_csv_file(events), load_rate_plan(plan), cycle_day)
    _show_priced(voice, document)
    voice.document(document)
    return 0


def _show_priced(voice: Voice, document: Document) -> None:
    events = document["events"]
    voice.table(
        ("id", "cost", "entry", "in allowance", "overage"),
        [
            (
                event["id"],
                event["cost"] or "unrated",
                event["entry"] or event["unrated_reason"],
                event["in_allowance"],
                event["overage"],
            )
            for event in events[:MOST_SHOWN]
        ],
    )
    if len(events) > MOST_SHOWN:
        voice.say(f"... and {len(events) - MOST_SHOWN:,} more; --json shows them all")
    for cycle in document["cycles"]:
        bounds = [word for word in ("minimum", "maximum") if cycle[f"{word}_applied"]]
        note = f" ({' and '.join(bounds)} applied)" if bounds else ""
        start = cycle["cycle_start_date"]
        voice.say(f"cycle {start}: {cycle['cost']} {document['currency']}{note}")
    for name, left in document["allowances_left"].items():
        lines = left.items() if isinstance(left, dict) else [("", left)]
        for line, amount in lines:
            voice.say(f"left of {name}{f' ({line})' if line else ''}: {amount}")
    unrated = sum(event["unrated_code"] is not None for event in events)
    if unrated:
        voice.say(f"{unrated:,} events are unrated")


COMMANDS = {"plan:check": check, "plan:price": price}
