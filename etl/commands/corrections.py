"""``import:*`` and ``cdr:rematch``: what operators decide about deliveries and owners."""

from dataclasses import asdict, replace
from datetime import date, datetime
from secrets import token_hex

import click

from etl.app import App
from etl.bus import JobReport, new_job
from etl.chains import import_command
from etl.commands.imports import import_document
from etl.commands.options import SET_ASIDE_EXIT, Voice, gravest, with_app
from etl.commands.reports import report_document, tell_report
from etl.corrections import Corrections, OfferedAgain, Rematched, Reverted, invoice_command
from etl.handlers import bus_of
from etl.profiles import load_profile
from etl.progress import Meter
from loaders.corrections import ListedImport
from loaders.database import Transaction
from loaders.imports import ImportRow
from transforms.errors import ConfigError
from transforms.money import decimal_text

DAY = click.DateTime(formats=["%Y-%m-%d"])
LONGEST_NAME = 128

WAITS_FOR_A_PERSON = ("held", "refused", "failed", "reverted")
"""Imports that ``import:release`` lets go on."""


def _name(_context: click.Context, _option: click.Parameter, value: str) -> str:
    """A name to keep: one printable line."""
    name = value.strip()
    if not name or not name.isprintable() or len(name) > LONGEST_NAME:
        message = f"give a name of 1 to {LONGEST_NAME} printable characters"
        raise click.BadParameter(message)
    return name


BY = click.option(
    "--by", required=True, callback=_name, help="Who decides this; it is kept."
)
REASON = click.option("--reason", default="", help="Why; it is kept.")


@click.command("import:list")
@click.option("--status", help="Only these: waiting, running, done, refused, held, ...")
@click.option("--provider", help="Only this provider's.")
@click.option("--limit", default=50, show_default=True, help="The newest so many.")
@with_app
def list_imports(
    app: App, voice: Voice, status: str | None, provider: str | None, limit: int
) -> int:
    """List deliveries, newest first: how each ended, and who decided about it."""
    listed = app.corrections_store.listed(status=status, provider=provider, limit=limit)
    voice.table(
        ("import", "provider", "file", "status", "records", "loaded", "message"),
        [
            (
                f"{each.id}",
                each.provider,
                each.file_name,
                each.status + (" (locked)" if each.is_locked else ""),
                each.records,
                each.loaded,
                each.message,
            )
            for each in listed
        ],
    )
    voice.document({"imports": [_listed(app, each) for each in listed]})
    return 0


def _listed(app: App, each: ListedImport) -> dict[str, object]:
    decisions = [asdict(one) for one in app.corrections_store.decisions(each.id)]
    return asdict(each) | {"decisions": decisions}


# --- accept and release -----------------------------------------------------------------


@click.command("import:accept")
@click.argument("import_id", type=int)
@BY
@REASON
@with_app
def accept(app: App, voice: Voice, import_id: int, by: str, reason: str) -> int:
    """Import a file that was refused because it has too many faulty records.

    The faulty ones are kept as rejects, the others are loaded, invoiced by their provider
    and totalled. Who accepted it is kept. A file refused for anything else stays refused.
    """
    row = _import(app, import_id)
    decisions = app.corrections_store.decisions(import_id)
    is_accepted = bool(decisions) and decisions[-1].decision == "accept"
    if row.is_complete or (row.status != "refused" and not is_accepted):
        message = (
            f"import {import_id} of {row.file_name} is {row.status}, not refused: "
            "there is nothing to accept"
        )
        raise ConfigError(message)
    if not is_accepted:
        app.corrections_store.decide(import_id, "accept", by, reason)
    profile = load_profile(row.provider, folders=[app.settings.providers])
    invoice = invoice_command(row.provider, import_id)

    def follow(tx: Transaction, _done: ImportRow) -> None:
        job = new_job(invoice, delay_s=app.settings.lease_seconds)
        app.jobs.enqueue(tx, job, token_hex(8))

    with Meter(f"import {import_id}") as meter:
        importer = replace(app.importer(meter.add), accepts_rejects=True)
        row = importer.import_stored(row, profile, follow)
    document = import_document(row, row.status)
    voice.say(
        f"import {import_id} of {row.file_name}, accepted by {by}: {row.status}, "
        f"{row.outcome.loaded:,} loaded, {row.outcome.rejected:,} rejected"
    )
    if row.message:
        voice.say(f"  {row.message}")
    if not row.is_complete:
        voice.document({"import": document, "runs": []})
        return SET_ASIDE_EXIT
    report = bus_of(app).run(invoice, app.stop)
    tell_report(voice, report)
    voice.document({"import": document, "runs": [report_document(report)]})
    has_rejects = row.outcome.rejected or row.outcome.conflicts
    return gravest([report.exit_code, SET_ASIDE_EXIT if has_rejects else 0])


@click.command("import:release")
@click.argument("import_id", type=int)
@BY
@with_app
def release(app: App, voice: Voice, import_id: int, by: str) -> int:
    """Let a held import go on: it is loaded, invoiced and totalled in this process.

    Also for one that was refused or failed and whose cause is mended, and for one that
    was backed out. Who released it is kept.
    """
    row = _import(app, import_id)
    if row.is_complete:
        voice.say(f"import {import_id} of {row.file_name} is complete already.")
        voice.document({"import": import_document(row, "already_imported"), "runs": []})
        return 0
    if row.status in WAITS_FOR_A_PERSON:
        app.corrections_store.release(import_id, by)
    elif row.status != "waiting":
        message = (
            f"import {import_id} of {row.file_name} is {row.status}; only one that waits "
            f"for a person is released ({', '.join(WAITS_FOR_A_PERSON)})"
        )
        raise ConfigError(message)
    report = bus_of(app).run(import_command(row.provider, import_id), app.stop)
    tell_report(voice, report)
    ended = _import(app, import_id)
    voice.document(
        {
            "import": import_document(ended, ended.status),
            "runs": [report_document(report)],
        }
    )
    has_rejects = ended.outcome.rejected or ended.outcome.conflicts
    return gravest([report.exit_code, SET_ASIDE_EXIT if has_rejects else 0])


def _import(app: App, import_id: int) -> ImportRow:
    row = app.imports.find(import_id)
    if row is None:
        message = f"there is no import {import_id}; see: etl import:list"
        raise ConfigError(message)
    return row


# --- revert -----------------------------------------------------------------------------


@click.command("import:revert")
@click.argument("import_id", type=int)
@BY
@REASON
@click.option("--dry-run", is_flag=True, help="Say what would happen, write nothing.")
@with_app
def revert(
    app: App, voice: Voice, import_id: int, by: str, reason: str, *, dry_run: bool
) -> int:
    """Back an import out, as if its delivery had never come.

    What it had replaced counts again; what later deliveries had set aside because of it
    is loaded from them. Its cycles wait for totals. Killed half-way, the same command
    goes on. Import it again with: etl import:release ID --by NAME.
    """
    row = _import(app, import_id)
    if row.status == "reverted":
        voice.say(f"import {import_id} of {row.file_name} was backed out already.")
        voice.document({"import_id": import_id, "status": "reverted", "dry_run": dry_run})
        return 0
    work = Corrections(app.importer(), app.corrections_store)
    if dry_run:
        _tell_revert(voice, row, work.look(import_id), "would leave")
        voice.say("Nothing was written.")
        voice.document(_reverted(work.look(import_id), row.status) | {"dry_run": True})
        return 0
    done = work.revert(import_id, by, reason)
    _tell_revert(voice, row, done, "left")
    reports = _invoice_again(app, voice)
    voice.document(
        _reverted(done, "reverted")
        | {"dry_run": False, "runs": [report_document(report) for report in reports]}
    )
    has_conflicts = any(each.conflicts or each.rejected for each in done.offered)
    codes = [report.exit_code for report in reports]
    return gravest([*codes, SET_ASIDE_EXIT if has_conflicts else 0])


def _tell_revert(voice: Voice, row: ImportRow, done: Reverted, left: str) -> None:
    figures = done.figures
    voice.say(
        f"import {row.id} of {row.file_name}: {figures.record_count:,} records of "
        f"{decimal_text(figures.cost_micros)} {left}, {figures.replaced:,} that they had "
        f"replaced count again; {figures.cycles:,} cycles wait for totals"
    )
    for each in done.offered:
        voice.say(f"  import {each.import_id}: {_told(each)}")


def _told(each: OfferedAgain) -> str:
    ends = ("loaded", "duplicates", "conflicts", "rejected", "suspended")
    ended = [f"{getattr(each, end):,} {end}" for end in ends if getattr(each, end)]
    return f"{each.records:,} records offered again" + (
        f": {', '.join(ended)}" if ended else ""
    )


def _reverted(done: Reverted, status: str) -> dict[str, object]:
    return {
        "import_id": done.import_id,
        "status": status,
        "by": done.by,
        "records": done.figures.record_count,
        "cost_micros": done.figures.cost_micros,
        "restored": done.figures.replaced,
        "cycles": done.figures.cycles,
        "offered": [asdict(each) for each in done.offered],
    }


def _invoice_again(app: App, voice: Voice) -> list[JobReport]:
    """Work out the provider invoices that changed, with their chain of totals."""
    changed = sorted(app.corrections_store.invoices_again.items())
    reports = [
        bus_of(app).run(invoice_command(provider, import_id), app.stop)
        for import_id, provider in changed
    ]
    for report in reports:
        tell_report(voice, report)
    if not reports:
        voice.say("Compute the totals with: etl totals:dispatch")
    return reports


# --- owners -----------------------------------------------------------------------------


@click.command("cdr:rematch")
@click.option("--provider", help="Only this provider's records; default: all.")
@click.option("--since", type=DAY, help="Only records from this day on, YYYY-MM-DD.")
@click.option("--dry-run", is_flag=True, help="Count what would move, write nothing.")
@with_app
def rematch(
    app: App, voice: Voice, provider: str | None, since: datetime | None, *, dry_run: bool
) -> int:
    """Give stored records to their owners of now, after subscriptions were corrected.

    A record that nobody owns now goes back to those that wait (etl rejects:list --kind
    suspended). Both cycles wait for totals. Running it again changes nothing.
    """
    day: date | None = None if since is None else since.date()
    work = Corrections(app.importer(), app.corrections_store)
    done = work.rematch(provider, day, dry_run=dry_run)
    for each in done:
        voice.say(_rematched(each))
    if not done:
        voice.say("No import is complete yet.")
    reports: list[JobReport] = []
    if dry_run:
        voice.say("Nothing was written.")
    elif any(each.moved or each.suspended for each in done):
        reports = _invoice_again(app, voice)
    voice.document(
        {
            "providers": [asdict(each) for each in done],
            "dry_run": dry_run,
            "runs": [report_document(report) for report in reports],
        }
    )
    return gravest(report.exit_code for report in reports)


def _rematched(each: Rematched) -> str:
    return (
        f"{each.provider}: {each.records:,} records, {each.moved:,} moved, "
        f"{each.suspended:,} without an owner now; {each.cycles:,} cycles wait for totals"
    )


COMMANDS = {
    "import:list": list_imports,
    "import:accept": accept,
    "import:release": release,
    "import:revert": revert,
    "cdr:rematch": rematch,
}
