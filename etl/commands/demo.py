"""``demo``: try it all, on this machine, in a few seconds."""

from dataclasses import asdict
from pathlib import Path

import click

from etl.app import App
from etl.commands.imports import import_document
from etl.commands.options import Voice, with_app
from etl.demo import Evening, run_demo
from loaders.audit import differences
from transforms.errors import MoneyError
from transforms.invoice import MICROS_A_CENT
from transforms.money import decimal_text

FOLDER = Path("var/demo")
LARGEST = 10

NEXT = """
Try next (etl is .venv/bin/etl):
  etl demo                                                     again: nothing changes
  etl invoice:show {number}                               that invoice, line by line
  etl totals:new --customer={customer} --cycle={cycle}               one customer's cycle
  etl import var/demo/CDR_20001_202610.zip --provider routit   the same bytes: a no-op
  etl rejects:list                                             what was set aside, and why
  etl audit                                                    prove that it all adds up
"""


@click.command("demo")
@click.option(
    "--folder",
    type=click.Path(path_type=Path, file_okay=False),
    default=FOLDER,
    help="Where the made-up deliveries are kept.",
)
@with_app
def demo(app: App, voice: Voice, folder: Path) -> int:
    """Run a whole night with all six providers, and say what came of it.

    A RoutIT simulator on loopback prepares two deliveries, the shipped example and 50,000
    made-up records of 200 customers; the examples of the five other providers lie in drop
    folders. Some customers have a rate plan; at the end everybody has an invoice. Running
    it again changes nothing.
    """
    evening = run_demo(app, folder, voice.say)
    faults = differences(app.database)
    largest = app.totals.largest(LARGEST)
    _tell(voice, evening)
    voice.say()
    voice.say(f"The {LARGEST} largest totals:")
    voice.table(
        ("customer", "cycle", "records", "total", "revision"),
        [
            (
                row["customer_id"],
                row["cycle_start_date"].isoformat(),
                row["cdr_count"],
                decimal_text(row["total_cost_micros"]),
                row["revision"],
            )
            for row in largest.iter_rows(named=True)
        ],
    )
    _tell_invoices(app, voice, evening)
    verdict = "every record and every micro is accounted for"
    voice.say(
        f"\nAudit: {f'{len(faults)} differences; run: etl audit' if faults else verdict}."
    )
    issued_now = len(evening.night.invoices)
    if evening.loaded_now == evening.new_revisions == issued_now == 0:
        voice.say(
            "Nothing changed: everything had been imported, totalled and invoiced before."
        )
    top = largest.row(0, named=True)
    voice.say(
        NEXT.format(
            customer=top["customer_id"],
            cycle=top["cycle_start_date"],
            number=evening.example.number if evening.example else "NUMBER",
        ).rstrip()
    )
    voice.document(
        {
            "imports": [import_document(row, row.status) for row in evening.imports],
            "outcome": asdict(evening.outcome),
            "loaded_now": evening.loaded_now,
            "new_revisions": evening.new_revisions,
            "invoices_now": issued_now,
            "invoices": [asdict(each) for each in evening.invoices],
            "example": None if evening.example is None else evening.example.number,
            "audit_ok": not faults,
            "seconds": round(evening.seconds, 2),
        }
    )
    return MoneyError.exit_code if faults else 0


def _tell_invoices(app: App, voice: Voice, evening: Evening) -> None:
    """Say how many invoices there are, what they come to, and which one to open."""
    for each in evening.invoices:
        voice.say(
            f"\nInvoices: {each.count:,}, together {each.currency} "
            f"{decimal_text(each.gross_cents * MICROS_A_CENT, 2)} with VAT; "
            f"{len(evening.night.invoices):,} of them new"
        )
    for kept in evening.night.kept_back:
        voice.say(f"customer {kept.customer_id} kept back: {'; '.join(kept.reasons)}")
    if evening.example is not None:
        page = app.documents.path(evening.example, "html")
        voice.say(f"Open one: {page}")


def _tell(voice: Voice, evening: Evening) -> None:
    outcome = evening.outcome
    voice.say()
    voice.table(
        (
            "file",
            "records",
            "loaded",
            "duplicate",
            "conflict",
            "rejected",
            "suspended",
            "cost",
        ),
        [
            (
                row.file_name,
                row.outcome.records,
                row.outcome.loaded,
                row.outcome.duplicates,
                row.outcome.conflicts,
                row.outcome.rejected,
                row.outcome.suspended,
                decimal_text(row.outcome.cost_micros),
            )
            for row in evening.imports
        ],
    )
    voice.say(
        f"{len(evening.imports)} files, {outcome.records:,} records worth EUR "
        f"{decimal_text(outcome.cost_micros)}; {evening.new_revisions:,} totals written; "
        f"{evening.seconds:.1f} s"
    )


COMMANDS = {"demo": demo}
