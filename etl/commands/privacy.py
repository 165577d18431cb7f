"""``retention:apply`` and ``customer:export``: personal data, removed and handed out."""

from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.customer_export import export_customer
from etl.progress import Meter
from etl.retention import Applied, apply_retention
from etl.settings import Retention

DAY = click.DateTime(formats=["%Y-%m-%d"])
DAYS = click.IntRange(min=0)


@click.command("retention:apply")
@click.option("--as-of", type=DAY, help="Count terms from this day; default: today (UTC).")
@click.option("--raw-days", type=DAYS, help="Term of raw lines, instead of the setting.")
@click.option("--cdr-days", type=DAYS, help="Term of itemised records, likewise.")
@click.option("--delivery-days", type=DAYS, help="Term of delivered files, likewise.")
@click.option("--dry-run", is_flag=True, help="Say what would be removed, remove nothing.")
@with_app
def retention(
    app: App,
    voice: Voice,
    as_of: datetime | None,
    raw_days: int | None,
    cdr_days: int | None,
    delivery_days: int | None,
    *,
    dry_run: bool,
) -> int:
    """Remove personal data past its term: [retention] of etl.toml says after how long.

    Raw lines are emptied, itemised records become sums by import, usage type and zone,
    delivered files are removed. Totals, invoices and the audit stay true. A cycle whose
    records were removed is never computed again. A term of 0 days keeps for ever.
    """
    given = {
        "raw_days": raw_days,
        "cdr_days": cdr_days,
        "delivery_days": delivery_days,
    }
    terms = app.settings.retention.model_copy(
        update={name: days for name, days in given.items() if days is not None}
    )
    day = (as_of or datetime.now(UTC)).date()
    with Meter("cycles") as meter:
        done = apply_retention(app, terms, day, dry_run=dry_run, progress=meter.add)
    _tell(voice, terms, done)
    voice.say(
        "Nothing was removed." if dry_run else "Totals, invoices and audit stay true."
    )
    document = {"as_of": day.isoformat(), "dry_run": dry_run, "terms": terms.model_dump()}
    voice.document({**document, **asdict(done)})
    return 0


def _tell(voice: Voice, terms: Retention, done: Applied) -> None:
    voice.say(f"{done.raw_lines:,} raw lines {_term(terms.raw_days)}")
    voice.say(
        f"{done.records:,} itemised records of {done.cycles:,} cycles, "
        f"{done.unowned_records:,} without an owner {_term(terms.cdr_days)}"
    )
    voice.say(f"{done.deliveries:,} delivered files {_term(terms.delivery_days)}")
    if done.cycles_left:
        voice.say(
            f"{done.cycles_left:,} cycles are past their term and were left: compute their "
            "totals first (etl totals:dispatch)"
        )


def _term(days: int) -> str:
    return f"(kept for {days} days)" if days else "(kept for ever)"


@click.command("customer:export")
@click.argument("customer_id", type=int)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for the files; default: exports/<id> in the storage folder.",
)
@with_app
def export(app: App, voice: Voice, customer_id: int, out: Path | None) -> int:
    """Write everything that is kept about a customer: JSON, and CSV for long lists.

    For a request of the person concerned. Whoever gets the folder gets personal data:
    it is readable by this user only.
    """
    folder = out or app.settings.storage / "exports" / str(customer_id)
    exported = export_customer(app, customer_id, folder)
    voice.table(("what", "rows"), sorted(exported.counts.items()))
    voice.say(f"written to {folder}")
    voice.document(
        {
            "customer_id": customer_id,
            "folder": str(folder),
            "files": [path.name for path in exported.files],
            "counts": exported.counts,
        }
    )
    return 0


COMMANDS = {"retention:apply": retention, "customer:export": export}
