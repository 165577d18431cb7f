"""``import`` and ``rejects:*``: files by hand, and the records that were set aside."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from secrets import token_hex

import click

from etl.app import App
from etl.bus import JobReport, new_job
from etl.chains import ROUTIT, InvoiceCollected, InvoiceImport
from etl.check import check_delivery
from etl.commands.options import (
    SET_ASIDE_EXIT,
    Voice,
    executor_option,
    gravest,
    masked,
    with_app,
)
from etl.commands.reports import report_document, tell_report
from etl.early_reading import Early, EarlyReader
from etl.executors import in_order
from etl.handlers import bus_of
from etl.importing import nothing_follows
from etl.profiles import load_profile
from etl.progress import Meter
from etl.reading import sidecar_text
from etl.registering import register_stored
from etl.replay import Replayer
from etl.storage import StoredFile, safe_name
from loaders.database import Row, Transaction
from loaders.imports import ImportRow
from loaders.set_aside import KINDS, Kind
from transforms.errors import BillingError, DeliveryRefused, LeaseHeld, Stopped
from transforms.money import decimal_text
from transforms.profile import Profile

COUNTS = (
    "records",
    "loaded",
    "duplicates",
    "conflicts",
    "rejected",
    "suspended",
    "ignored",
)


@click.command("import")
@click.argument(
    "files",
    nargs=-1,
    required=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
)
@click.option("--provider", required=True, help="Profile id, or the path of a TOML file.")
@click.option("--dry-run", is_flag=True, help="Read and check, write nothing.")
@executor_option
@with_app
def import_files(
    app: App, voice: Voice, files: Sequence[Path], provider: str, *, dry_run: bool
) -> int:
    """Load FILES into call_detail_record and mark their cycles for totals.

    A file is known by its content: the same bytes again, under any name, change nothing.
    An import that was interrupted goes on where it stopped. With an executor the next
    files are read while one is loaded; they are loaded in their order all the same.
    """
    profile = load_profile(provider, folders=[app.settings.providers])
    if dry_run:
        return _dry_run(voice, files, profile)
    documents, codes = [], []
    with app.early_reader(profile, provider) as reader:
        begin = partial(_begin, app, profile, reader)
        for file, begun in in_order(reader.executor, files, begin):
            document, code = _import_one(app, file, profile, begun)
            documents.append(document)
            codes.append(code)
            _tell(voice, document)
            if code == Stopped.exit_code:
                break
    voice.document({"imports": documents})
    return gravest(codes)


@dataclass(frozen=True)
class _Begun:
    """A file that is looked at before its turn.

    Attributes:
        stored: Its bytes, when they are in storage already.
        early: Waits for it to be read; gives None when it was not.
    """

    stored: StoredFile | None = None
    early: Callable[[], Early | None] = lambda: None


def _begin(app: App, profile: Profile, reader: EarlyReader, file: Path) -> _Begun:
    """Let a file be read by somebody beside us; a fault of it is told at its turn."""
    if not reader.executor.beside:
        return _Begun()
    stored = None
    with suppress(BillingError):
        stored = _keep(app, file)
        row = _register(app, stored, file, profile)
        if not row.is_complete:
            return _Begun(stored, partial(reader.end, reader.begin(row)))
    return _Begun(stored)


def _keep(app: App, file: Path) -> StoredFile:
    limit_bytes = app.settings.limits.download_mb * 1_000_000
    return app.storage.keep(file, limit_bytes=limit_bytes)


def _register(app: App, stored: StoredFile, file: Path, profile: Profile) -> ImportRow:
    control_text = sidecar_text(file, profile)
    return register_stored(app.imports, stored, file.name, profile, control_text)


def _import_one(
    app: App, file: Path, profile: Profile, begun: _Begun
) -> tuple[dict[str, object], int]:
    """Import one file; a fault of one file does not keep the next from its turn."""
    row: ImportRow | None = None
    try:
        row = _register(app, begun.stored or _keep(app, file), file, profile)
        if row.is_complete:
            return _already_imported(row, file.name), 0
        early = begun.early()
        with Meter(f"import {row.id}") as meter:
            importer = app.importer(meter.add)
            row = importer.import_stored(row, profile, nothing_follows, early)
    except BillingError as exc:
        return _failed_document(file.name, profile, row, exc), exc.exit_code
    is_faulty = row.status != "done" or row.outcome.rejected or row.outcome.conflicts
    return import_document(row, row.status), SET_ASIDE_EXIT if is_faulty else 0


def _already_imported(row: ImportRow, file_name: str) -> dict[str, object]:
    """Describe bytes that are known: with the counts of their import, and its name."""
    document = import_document(row, "already_imported")
    name = safe_name(file_name)
    note = f"import {row.id} loaded these bytes before"
    if name != row.file_name:
        note += f", under the name {row.file_name}"
    return document | {"file": name, "message": note}


def _failed_document(
    file_name: str, profile: Profile, row: ImportRow | None, error: BillingError
) -> dict[str, object]:
    return {
        "import_id": row.id if row else None,
        "file": safe_name(file_name),
        "sha256": row.sha256 if row else None,
        "provider": profile.id,
        "status": "refused" if isinstance(error, DeliveryRefused) else "failed",
        **dict.fromkeys((*COUNTS, "cost_micros", "seconds"), 0),
        "message": str(error),
    }


def import_document(row: ImportRow, status: str) -> dict[str, object]:
    """Describe an import as ``etl import --json`` does."""
    return {
        "import_id": row.id,
        "file": row.file_name,
        "sha256": row.sha256,
        "provider": row.provider,
        "status": status,
        **asdict(row.outcome),
        "seconds": row.duration_ms / 1000,
        "message": row.message,
    }


def _tell(voice: Voice, document: dict[str, object]) -> None:
    outcome = ", ".join(f"{document[name]:,} {name}" for name in COUNTS if document[name])
    head = f"{document['file']}: {document['status']}"
    voice.say(f"{head}: {outcome}" if outcome else head)
    if document["loaded"]:
        cost = decimal_text(int(str(document["cost_micros"])))
        voice.say(f"  cost {cost}, {document['seconds']} s")
    if document["message"]:
        voice.say(f"  {document['message']}")


def _dry_run(voice: Voice, files: Sequence[Path], profile: Profile) -> int:
    codes = []
    documents: list[dict[str, object]] = []
    for file in files:
        try:
            checked = check_delivery(file, profile)
        except BillingError as exc:
            voice.say(f"{safe_name(file.name)}: {exc}")
            documents.append({"file": safe_name(file.name), "message": str(exc)})
            codes.append(exc.exit_code)
            continue
        for document in checked:
            outcome, control = document["outcome"], document["control"]
            counts = ", ".join(f"{count:,} {name}" for name, count in outcome.items())
            voice.say(
                f"{safe_name(file.name)} ({document['layout']}): {counts}; "
                f"{control['message']}"
            )
            told = ("provider", "layout", "outcome", "control")
            documents.append(
                {"file": safe_name(file.name)} | {key: document[key] for key in told}
            )
            is_fine = control["ok"] and not outcome["rejected"] + outcome["conflicts"]
            codes.append(0 if is_fine else SET_ASIDE_EXIT)
    voice.say("Nothing was written.")
    voice.document({"dry_run": documents})
    return gravest(codes)


# --- records that were set aside ----------------------------------------------------------


@click.command("rejects:list")
@click.option("--import", "import_id", type=int, help="One import; default: all.")
@click.option("--kind", type=click.Choice(KINDS), help="One kind; default: all.")
@click.option("--limit", default=50, type=click.IntRange(1, 100_000), show_default=True)
@click.option("--raw", "is_raw", is_flag=True, help="With the lines as delivered.")
@with_app
def list_rejects(
    app: App,
    voice: Voice,
    import_id: int | None,
    kind: Kind | None,
    limit: int,
    *,
    is_raw: bool,
) -> int:
    """List records that were set aside, newest import first, and why.

    Telephone numbers are hidden but for their last two digits, unless --raw is given.
    """
    kinds = KINDS if kind is None else (kind,)
    counts = [
        {"kind": each, "reason_code": code, "count": count}
        for each in kinds
        for code, count in app.set_aside.counts(each, import_id).items()
    ]
    records = [
        _reject_document(each, row, is_raw=is_raw)
        for each in kinds
        for row in app.set_aside.records(each, import_id, limit)
    ][:limit]
    voice.table(
        ("import", "kind", "member", "line", "reason"),
        [
            (
                str(one["import_id"]),
                one["kind"],
                safe_name(str(one["member"])),
                one["line_no"],
                one["reason"],
            )
            for one in records
        ],
    )
    if is_raw:
        voice.say()
        for one in records:
            if one["raw"] is not None:
                voice.say(f"{one['member']} {one['line_no']}: {safe_raw(str(one['raw']))}")
    voice.say()
    for count in counts:
        voice.say(f"{count['count']:,} {count['kind']}: {count['reason_code']}")
    if not counts:
        voice.say("No record was set aside.")
    voice.document({"records": records, "counts": counts})
    return 0


def _reject_document(kind: Kind, row: Row, *, is_raw: bool) -> dict[str, object]:
    document: dict[str, object] = {
        "import_id": int(row["import_id"]),
        "provider": row["provider"],
        "file": row["file_name"],
        "kind": kind,
        "member": row["member"],
        "line_no": int(row["line_no"]),
        "reason_code": row["reason_code"],
        "reason": row["reason"],
        "customer_id": row["customer_id"],
        "call_date": row["call_date"],
        "cost_micros": row["cost_micros"],
        "against_import_id": row["against_import_id"],
        "subscriber": row["subscriber"] if is_raw else masked(row["subscriber"]),
    }
    return document | {"raw": row["raw"]} if is_raw else document


def safe_raw(text: str) -> str:
    """Return a delivered line as one line that cannot write on the terminal."""
    return safe_name(text, max_chars=2_000)


@click.command("rejects:replay")
@click.option("--import", "import_id", type=int, help="One import; default: all.")
@click.option("--dry-run", is_flag=True, help="Look for owners, write nothing.")
@with_app
def replay_rejects(app: App, voice: Voice, import_id: int | None, *, dry_run: bool) -> int:
    """Load suspended records whose owner is known now, and mark their cycles for totals.

    What still has no owner stays suspended. Imports that were invoiced by their provider
    are invoiced again, with the chain of totals.
    """
    invoices: dict[int, InvoiceImport | InvoiceCollected] = {}

    def follow(tx: Transaction, changed: ImportRow) -> None:
        is_routit = changed.provider == ROUTIT
        command = (InvoiceImport if is_routit else InvoiceCollected)(changed.id)
        app.jobs.enqueue(tx, new_job(command), token_hex(8))
        invoices[changed.id] = command

    replayer = Replayer(app.importer(), app.set_aside, follow)
    replayed = replayer.replay(import_id, dry_run=dry_run)
    for one in replayed:
        cost = decimal_text(one.cost_micros)
        voice.say(
            f"import {one.import_id}: {one.examined:,} suspended; {one.loaded:,} loaded "
            f"(cost {cost}), {one.duplicates:,} duplicates, {one.conflicts:,} conflicts, "
            f"{one.suspended:,} still without an owner"
        )
    if not replayed:
        voice.say("No record is suspended.")
    if dry_run:
        voice.say("Nothing was written.")
    reports = _followed(app, voice, invoices.values())
    voice.document(
        {
            "imports": [asdict(one) for one in replayed],
            "dry_run": dry_run,
            "runs": [report_document(report) for report in reports],
        }
    )
    has_conflicts = any(one.conflicts for one in replayed)
    codes = [report.exit_code for report in reports]
    return gravest([*codes, SET_ASIDE_EXIT if has_conflicts else 0])


def _followed(
    app: App, voice: Voice, commands: Iterable[InvoiceImport | InvoiceCollected]
) -> list[JobReport]:
    """Work what was queued, unless a worker was quicker."""
    reports = []
    for command in commands:
        try:
            reports.append(bus_of(app).run(command, app.stop))
        except LeaseHeld as exc:
            voice.say(str(exc))
        else:
            tell_report(voice, reports[-1])
    return reports


COMMANDS = {
    "import": import_files,
    "rejects:list": list_rejects,
    "rejects:replay": replay_rejects,
}
