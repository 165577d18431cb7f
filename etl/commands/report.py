"""``report``: what a night did, or how a billing period stands."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import click
import polars as pl

from etl.app import App
from etl.commands.margin import margin_document, margin_row
from etl.commands.options import Voice, with_app
from etl.night import folder_of
from etl.night_invoices import KeptBack, kept_back
from etl.night_record import kept_line
from loaders.reports import Period, period_of
from transforms.errors import ConfigError
from transforms.insight_words import about_whom, hidden, in_words, shown
from transforms.insights import SEVERITIES
from transforms.invoice import MICROS_A_CENT
from transforms.margin import by_customer, by_type, losses
from transforms.money import decimal_text, exact_sum

DAY = click.DateTime(formats=["%Y-%m-%d"])
LINES_SHOWN = 20
MOST_INSIGHTS = 100_000


@click.command("report")
@click.option("--night", type=DAY, help="The night of this date; the newest if not given.")
@click.option("--cycle", type=DAY, help="How the cycles that contain this day stand.")
@click.option("--as-of", type=DAY, help="With --cycle: what is due on this day (UTC).")
@with_app
def report(
    app: App,
    voice: Voice,
    night: datetime | None,
    cycle: datetime | None,
    as_of: datetime | None,
) -> int:
    """Show the report of a night again, or how the cycles of a day stand.

    A period's report has totals, provider cost beside own price by usage type and by
    customer, what was invoiced and who was kept back with the reasons, and the insights
    that nobody acknowledged.
    """
    if cycle is None and as_of is None:
        return _night(app, voice, None if night is None else night.date())
    if night is not None or cycle is None:
        message = "give --night, or --cycle with or without --as-of, or none of them"
        raise ConfigError(message)
    today = (as_of or datetime.now(UTC)).date()
    return _period(app, voice, cycle.date(), today)


# --- a night ------------------------------------------------------------------------------


def _night(app: App, voice: Voice, day: date | None) -> int:
    """Show the files of a night; one that broke off has no report yet."""
    name = _newest(app) if day is None else day.isoformat()
    folder = folder_of(app, name)
    try:
        run = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        text = folder / "report.txt"
        told = text.read_text(encoding="utf-8") if run["status"] == "done" else ""
    except FileNotFoundError as exc:
        message = f"there was no night of {name}; run one with: etl nightly"
        raise ConfigError(message) from exc
    voice.say(told.rstrip("\n") or _broken_off(name, run["steps"]))
    voice.document(run)
    return 0


def _newest(app: App) -> str:
    folders = folder_of(app, "any").parent.glob("*/run.json")
    names = sorted(path.parent.name for path in folders)
    if not names:
        message = "there was no night yet; run one with: etl nightly"
        raise ConfigError(message)
    return names[-1]


def _broken_off(name: str, steps: Sequence[Mapping[str, Any]]) -> str:
    done = ", ".join(step["name"] for step in steps if step["status"] == "done") or "none"
    return (
        f"the night of {name} has not come to its end; steps that are done: {done}; go on "
        f"with: etl nightly --as-of {name}"
    )


# --- a period -----------------------------------------------------------------------------


@dataclass(frozen=True)
class _Known:
    """All that a period's report tells."""

    day: date
    as_of: date
    period: Period
    by_usage: pl.DataFrame
    kept_back: tuple[KeptBack, ...]
    insights: list[dict[str, Any]]


def _period(app: App, voice: Voice, day: date, as_of: date) -> int:
    period = period_of(app.database, day)
    cycles = set(period.cycles.select("customer_id", "cycle_start_date").iter_rows())
    due = app.invoicing.due(as_of, dry_run=True)
    kept = [e for e in kept_back(due) if (e.customer_id, e.cycle_start_date) in cycles]
    insights = app.insights.listed(most=MOST_INSIGHTS)
    known = _Known(
        day,
        as_of,
        period,
        app.margins.by_usage(day),
        tuple(kept),
        sorted((each for each in insights if _is_of(each, cycles)), key=_gravest_first),
    )
    _tell(voice, known)
    voice.document(_document(known))
    return 0


def _is_of(insight: Mapping[str, Any], cycles: set[tuple[int, date]]) -> bool:
    """Whether an insight is about one of these cycles, or about everybody's."""
    start = insight["cycle_start_date"]
    if insight["customer_id"] is None:
        return start is None or start in {each for _, each in cycles}
    return (insight["customer_id"], start) in cycles


def _gravest_first(insight: Mapping[str, Any]) -> int:
    return -SEVERITIES.index(insight["severity"])


def _sums(cycles: pl.DataFrame) -> pl.DataFrame:
    names = ("cdr_count", "unrated_count", "total_cost_micros", "provider_cost_micros")
    return (
        cycles.group_by("currency")
        .agg(
            pl.len().cast(pl.Int64).alias("cycles"),
            *(exact_sum(name) for name in names),
            pl.col("is_dirty").sum().alias("waiting"),
        )
        .sort("currency")
    )


def _tell(voice: Voice, known: _Known) -> None:
    voice.say(f"Cycles that contain {known.day}, as they stand:")
    voice.table(
        ("currency", "cycles", "records", "unrated", "provider", "own price", "waiting"),
        [
            (
                row["currency"],
                row["cycles"],
                row["cdr_count"],
                row["unrated_count"],
                decimal_text(row["provider_cost_micros"]),
                decimal_text(row["total_cost_micros"]),
                row["waiting"],
            )
            for row in _sums(known.period.cycles).iter_rows(named=True)
        ],
    )
    _tell_margin(voice, known.by_usage)
    _tell_invoices(voice, known)
    voice.say()
    voice.say(f"Insights that nobody acknowledged: {len(known.insights):,}")
    for each in known.insights[:LINES_SHOWN]:
        voice.say(f"  {each['severity']} {each['kind']}: {_says(each)}")
    _tell_more(voice, len(known.insights))


def _tell_margin(voice: Voice, by_usage: pl.DataFrame) -> None:
    customers, lost = by_customer(by_usage), losses(by_usage)
    voice.say()
    voice.table(
        ("usage", "records", "unrated", "provider", "own price", "margin", "%"),
        [
            margin_row(row, row["usage_type"])
            for row in by_type(by_usage).iter_rows(named=True)
        ],
    )
    voice.say()
    voice.say(f"{customers.height:,} customers, {lost.height:,} at a loss:")
    voice.table(
        ("customer", "records", "unrated", "provider", "own price", "margin", "%"),
        [
            margin_row(row, str(row["customer_id"]))
            for row in lost.head(LINES_SHOWN).iter_rows(named=True)
        ],
    )


def _tell_invoices(voice: Voice, known: _Known) -> None:
    voice.say()
    voice.table(
        ("invoiced", "currency", "documents", "net", "VAT", "to pay"),
        [
            (
                row["kind"],
                row["currency"],
                row["documents"],
                *(
                    decimal_text(row[name] * MICROS_A_CENT, 2)
                    for name in ("net_cents", "vat_cents", "gross_cents")
                ),
            )
            for row in known.period.invoiced.iter_rows(named=True)
        ],
    )
    voice.say(f"Kept back on {known.as_of}: {len(known.kept_back):,}")
    for each in known.kept_back[:LINES_SHOWN]:
        voice.say(f"  {kept_line(each)}")
    _tell_more(voice, len(known.kept_back))


def _tell_more(voice: Voice, count: int) -> None:
    if count > LINES_SHOWN:
        voice.say(f"  and {count - LINES_SHOWN:,} more; all of them: --json")


def _says(insight: Mapping[str, Any]) -> str:
    who = about_whom(
        insight["customer_id"], insight["provider"], insight["cycle_start_date"]
    )
    return f"{who}: {in_words(insight['kind'], insight['evidence'], hidden)}"


def _document(known: _Known) -> dict[str, object]:
    return {
        "day": known.day.isoformat(),
        "as_of": known.as_of.isoformat(),
        "totals": _sums(known.period.cycles).to_dicts(),
        "by_usage_type": [
            margin_document(row) for row in by_type(known.by_usage).iter_rows(named=True)
        ],
        "by_customer": [
            margin_document(row)
            for row in by_customer(known.by_usage).iter_rows(named=True)
        ],
        "invoiced": known.period.invoiced.to_dicts(),
        "kept_back": [vars(each) for each in known.kept_back],
        "insights": [
            {
                "id": each["id"],
                "severity": each["severity"],
                "kind": each["kind"],
                "customer_id": each["customer_id"],
                "provider": each["provider"],
                "cycle_start_date": each["cycle_start_date"],
                "evidence": shown(each["evidence"], hidden),
                "says": _says(each),
            }
            for each in known.insights
        ],
    }


COMMANDS = {"report": report}
