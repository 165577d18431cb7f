"""``invoice:*``: customer invoices, from totals to documents."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path

import click

from etl.app import App
from etl.charges_file import read_charges_file
from etl.commands.options import SET_ASIDE_EXIT, Voice, with_app
from etl.documents.specification import ROLES, Role
from etl.documents.writing import FORMATS, Format
from etl.invoice_document import invoice_document
from etl.invoicing import Outcome, Run
from etl.progress import Meter
from transforms.customer_charges import read_charges
from transforms.errors import ConfigError
from transforms.invoice import MICROS_A_CENT, Draft, Invoice
from transforms.money import decimal_text

DAY = click.DateTime(formats=["%Y-%m-%d"])
DRY_RUN = click.option("--dry-run", is_flag=True, help="Say what would happen, no more.")
AS_OF = click.option(
    "--as-of", type=DAY, help="Date of the invoice, YYYY-MM-DD; default: today (UTC)."
)

NO_DOCUMENTS = click.option(
    "--no-documents", is_flag=True, help="Issue only; write no HTML, PDF, CSV, UBL, JSON."
)

SPOKEN: Mapping[str, str] = {
    "issued": "issued",
    "corrected": "corrected",
    "unchanged": "invoiced before",
    "nothing": "nothing to invoice",
    "blocked": "kept back",
    "credited": "credited, waits for a person",
    "changed": "changed meanwhile, run again",
}
"""What a status is called."""

BLOCKED_SHOWN = 20
MISSING_SHOWN = 5


def _day(given: datetime | None) -> date:
    return (given or datetime.now(UTC)).date()


@click.command("invoice:new")
@click.option("--customer", type=int, help="Customer id; with --cycle.")
@click.option("--cycle", type=DAY, help="Any day of the cycle, YYYY-MM-DD.")
@click.option("--due", is_flag=True, help="Every cycle that has ended and is not invoiced.")
@NO_DOCUMENTS
@AS_OF
@DRY_RUN
@with_app
def new(
    app: App,
    voice: Voice,
    customer: int | None,
    cycle: datetime | None,
    as_of: datetime | None,
    *,
    due: bool,
    dry_run: bool,
    no_documents: bool,
) -> int:
    """Issue invoices: of one customer's cycle, or all that are due.

    A cycle that cannot be invoiced yet is kept back with its reasons, and keeps no other
    back. What is invoiced already keeps its number; when its totals changed since, a delta
    invoice brings it to what they are now. Exit code 1 when a cycle was kept back.
    """
    day = _day(as_of)
    if due and customer is None and cycle is None:
        run = app.invoicing.due(day, dry_run=dry_run)
    elif not due and customer is not None and cycle is not None:
        run = app.invoicing.cycle(customer, cycle.date(), day, dry_run=dry_run)
    else:
        message = "give either --due, or both --customer and --cycle"
        raise ConfigError(message)
    _tell(voice, run)
    written = [] if no_documents else _write(app, voice, run.invoices)
    voice.document(_run_document(run) | {"documents": written})
    is_waiting = any(each.status in ("blocked", "changed") for each in run.outcomes)
    return SET_ASIDE_EXIT if is_waiting else 0


@click.command("invoice:credit")
@click.argument("number")
@click.option("--by", required=True, help="Who decides this; it is kept.")
@click.option("--reason", required=True, help="Why; it stands on the credit note.")
@AS_OF
@DRY_RUN
@with_app
def credit(
    app: App,
    voice: Voice,
    number: str,
    by: str,
    reason: str,
    as_of: datetime | None,
    *,
    dry_run: bool,
) -> int:
    """Take back what a cycle was invoiced, with one credit note.

    The invoice itself never changes. Invoice the cycle anew with: etl invoice:new
    --customer ID --cycle DAY.
    """
    for text, most in ((by, 128), (reason, 255)):
        if not text.strip() or not text.isprintable() or len(text) > most:
            message = f"--by and --reason are one printable line, of at most {most} letters"
            raise ConfigError(message)
    run = app.invoicing.credit(
        number, by.strip(), reason.strip(), _day(as_of), dry_run=dry_run
    )
    _tell(voice, run)
    written = _write(app, voice, run.invoices)
    voice.document(_run_document(run) | {"documents": written})
    is_waiting = any(each.status == "changed" for each in run.outcomes)
    return SET_ASIDE_EXIT if is_waiting else 0


@click.command("invoice:charges")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@DRY_RUN
@with_app
def charges(app: App, voice: Voice, file: Path, *, dry_run: bool) -> int:
    """Replace the charges beside usage by those of a CSV file, checked whole.

    Columns customer_id, kind (recurring, one_off, discount, minimum), name, amount,
    quantity, valid_from and valid_to. Invoices that are issued stay as they are.
    """
    rows = read_charges_file(file)
    known = app.reference.customers()["customer_id"].to_list()
    found = read_charges(file.name, rows, set(known))
    if not dry_run:
        app.invoices.replace_charges(found)
    customers = found["customer_id"].n_unique()
    voice.say(f"{found.height:,} charges of {customers:,} customers")
    if dry_run:
        voice.say("Nothing was written.")
    voice.document({"charges": found.height, "customers": customers, "dry_run": dry_run})
    return 0


@click.command("invoice:documents")
@click.argument("numbers", nargs=-1)
@click.option("--all", "is_all", is_flag=True, help="Of every invoice there is.")
@click.option("--cycle", type=DAY, help="Of cycles that contain this day, YYYY-MM-DD.")
@click.option(
    "--format",
    "formats",
    multiple=True,
    type=click.Choice(FORMATS),
    help="Only these; default: every one there is.",
)
@click.option(
    "--role",
    type=click.Choice(ROLES),
    default="customer",
    show_default=True,
    help="Who reads the specification: decides which digits of numbers it shows.",
)
@with_app
def documents(
    app: App,
    voice: Voice,
    numbers: Sequence[str],
    cycle: datetime | None,
    formats: Sequence[Format],
    role: Role,
    *,
    is_all: bool,
) -> int:
    """Write invoices as files, from what is stored; they can be made again any time.

    HTML, JSON, a CSV of the calls, UBL (Peppol BIS 3) and, with the extra pdf, PDF go to
    the storage folder, below invoices/.
    """
    asked = [bool(numbers), is_all, cycle is not None]
    if asked.count(True) != 1:
        message = "give either NUMBERS, or --cycle, or --all"
        raise ConfigError(message)
    found: Iterable[Invoice]
    if numbers:
        found = [_invoice(app, number) for number in numbers]
        count: int | None = len(numbers)
    else:
        day = None if cycle is None else cycle.date()
        found = (each for page in app.invoices.pages(day) for each in page)
        count = None
    written = _write(app, voice, found, formats, role, count)
    voice.document({"documents": written})
    return 0


def _invoice(app: App, number: str) -> Invoice:
    invoice = app.invoices.find(number)
    if invoice is None:
        message = f"there is no invoice {number}; see: etl invoice:list"
        raise ConfigError(message)
    return invoice


def _write(
    app: App,
    voice: Voice,
    invoices: Iterable[Invoice],
    formats: Sequence[Format] = (),
    role: Role = "customer",
    count: int | None = None,
) -> list[dict[str, object]]:
    """Write the documents of invoices, with a bar, and say how quick that was."""
    began = time.monotonic()
    if count is None and isinstance(invoices, tuple):
        count = len(invoices)
    with Meter("invoices", count) as meter:
        written = app.documents.write_all(invoices, formats, role, meter.add)
    if not written:
        return []
    seconds = max(time.monotonic() - began, 0.001)
    files = sum(len(each.files) for each in written)
    voice.say(
        f"{files:,} documents of {len(written):,} invoices in {app.settings.storage}"
        f"/invoices, {len(written) / seconds:,.0f} invoices/s"
    )
    missing = [each for each in written if each.missing]
    for each in missing[:MISSING_SHOWN]:
        for ending, why in each.missing.items():
            voice.say(f"  no {ending}: {why}")
    if len(missing) > MISSING_SHOWN:
        voice.say(f"  and {len(missing) - MISSING_SHOWN:,} more; all of them: --json")
    return [
        {
            "number": each.number,
            "files": [str(path) for path in each.files],
            "missing": dict(each.missing),
        }
        for each in written
    ]


@click.command("invoice:show")
@click.argument("number")
@with_app
def show(app: App, voice: Voice, number: str) -> int:
    """Show one invoice, with its lines and its VAT."""
    invoice = _invoice(app, number)
    draft = invoice.draft
    amounts = draft.amounts
    voice.say(_headline(invoice))
    voice.table(
        ("line", "quantity", "exact", "amount", "VAT %"),
        [
            (
                line.name,
                line.quantity,
                decimal_text(line.amount_micros),
                cents_text(line.amount_cents),
                f"{line.vat_rate_bp // 100}.{line.vat_rate_bp % 100:02d}",
            )
            for line in amounts.lines
        ],
    )
    for vat in amounts.vat:
        voice.say(
            f"VAT {vat.category} {vat.rate_bp // 100}.{vat.rate_bp % 100:02d} % over "
            f"{cents_text(vat.taxable_cents)}: {cents_text(vat.vat_cents)}"
            + (f" ({vat.reason})" if vat.reason else "")
        )
    voice.say(
        f"net {cents_text(amounts.net_cents)}, VAT {cents_text(amounts.vat_cents)}, "
        f"to pay {cents_text(amounts.gross_cents)} {draft.currency} by {draft.due_date}"
    )
    voice.document(invoice_document(invoice))
    return 0


@click.command("invoice:list")
@click.option("--customer", type=int, help="Only this customer's.")
@click.option("--cycle", type=DAY, help="Only cycles that contain this day, YYYY-MM-DD.")
@click.option(
    "--kind", type=click.Choice(["invoice", "delta", "credit"]), help="Only these."
)
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@with_app
def list_invoices(
    app: App,
    voice: Voice,
    customer: int | None,
    cycle: datetime | None,
    kind: str | None,
    limit: int,
) -> int:
    """List issued invoices, the newest first."""
    rows = app.invoices.listed(
        customer_id=customer,
        day=None if cycle is None else cycle.date(),
        kind=kind,
        most=limit,
    )
    voice.table(
        ("number", "kind", "customer", "cycle", "issued", "net", "VAT", "to pay"),
        [
            (
                row["invoice_number"],
                row["kind"],
                str(row["customer_id"]),
                row["cycle_start_date"].isoformat(),
                row["issue_date"].isoformat(),
                cents_text(row["net_cents"]),
                cents_text(row["vat_cents"]),
                cents_text(row["gross_cents"]),
            )
            for row in rows.iter_rows(named=True)
        ],
    )
    voice.document(
        {
            "invoices": [
                {name: value for name, value in row.items() if name in LISTED}
                for row in rows.iter_rows(named=True)
            ]
        }
    )
    return 0


LISTED = (
    "invoice_number",
    "kind",
    "customer_id",
    "cycle_start_date",
    "cycle_end_date",
    "revision",
    "currency",
    "net_cents",
    "vat_cents",
    "gross_cents",
    "issue_date",
    "due_date",
    "content_sha256",
)


# --- telling ------------------------------------------------------------------------------


def cents_text(cents: int) -> str:
    """Write cents as an amount: 123456 is ``1234.56``."""
    return decimal_text(cents * MICROS_A_CENT, 2)


def _headline(invoice: Invoice) -> str:
    draft = invoice.draft
    refers = f", corrects {', '.join(draft.refers_to)}" if draft.refers_to else ""
    return (
        f"{invoice.number} ({draft.kind}{refers}) of {draft.issue_date}: customer "
        f"{draft.customer_id}, cycle {draft.cycle_start_date} to {draft.cycle_end_date} "
        "(end not included)"
    )


def _tell(voice: Voice, run: Run) -> None:
    for note in run.notes:
        voice.say(f"note: {note}")
    new = [each for each in run.outcomes if each.is_new]
    if new:
        voice.table(
            ("number", "customer", "cycle", "net", "VAT", "to pay"),
            [_row(each) for each in new],
        )
    waiting = [each for each in run.outcomes if each.status in ("blocked", "changed")]
    for each in waiting[:BLOCKED_SHOWN]:
        voice.say(f"customer {each.customer_id}, cycle {each.start}: {SPOKEN[each.status]}")
        for gate in each.gates:
            voice.say(f"  {gate.message}")
    if len(waiting) > BLOCKED_SHOWN:
        voice.say(f"and {len(waiting) - BLOCKED_SHOWN} more; all of them: --json")
    for each in new:
        for gate in each.gates:
            voice.say(f"customer {each.customer_id}: look at this: {gate.message}")
    counted = Counter(SPOKEN[each.status] for each in run.outcomes)
    told = ", ".join(f"{count:,} {word}" for word, count in sorted(counted.items()))
    voice.say(told or "Nothing is due.")
    if run.is_dry:
        voice.say("Nothing was written.")


def _row(outcome: Outcome) -> Sequence[object]:
    draft = outcome.draft
    amounts = None if draft is None else draft.amounts
    return (
        ", ".join(outcome.numbers) or "-",
        str(outcome.customer_id),
        outcome.start.isoformat(),
        *(
            cents_text(cents)
            for cents in (
                (amounts.net_cents, amounts.vat_cents, amounts.gross_cents)
                if amounts
                else ()
            )
        ),
    )


def _run_document(run: Run) -> dict[str, object]:
    return {
        "as_of": run.as_of.isoformat(),
        "dry_run": run.is_dry,
        "counts": dict(Counter(each.status for each in run.outcomes)),
        "cycles": [_outcome_document(each) for each in run.outcomes],
        "notes": list(run.notes),
    }


def _outcome_document(outcome: Outcome) -> dict[str, object]:
    draft = outcome.draft
    return {
        "customer_id": outcome.customer_id,
        "cycle_start_date": outcome.start.isoformat(),
        "cycle_end_date": outcome.end.isoformat(),
        "status": outcome.status,
        "numbers": list(outcome.numbers),
        "reasons": [
            {"code": gate.code, "message": gate.message, "blocking": gate.is_blocking}
            for gate in outcome.gates
        ],
        "invoice": None if draft is None else _sums(draft),
    }


def _sums(draft: Draft) -> dict[str, object]:
    amounts = draft.amounts
    return {
        "kind": draft.kind,
        "refers_to": list(draft.refers_to),
        "currency": draft.currency,
        "usage_micros": amounts.usage_micros,
        "charges_micros": amounts.charges_micros,
        "rounding_micros": amounts.rounding_micros,
        "net": cents_text(amounts.net_cents),
        "vat": cents_text(amounts.vat_cents),
        "gross": cents_text(amounts.gross_cents),
    }


COMMANDS = {
    "invoice:new": new,
    "invoice:credit": credit,
    "invoice:documents": documents,
    "invoice:charges": charges,
    "invoice:show": show,
    "invoice:list": list_invoices,
}
