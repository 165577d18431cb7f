"""``import`` and ``rejects:*``: files by hand, and the records that were set aside."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import click

from etl.app import App
from etl.check import check_delivery
from etl.commands.options import SET_ASIDE_EXIT, Voice, gravest, with_app
from etl.profiles import load_profile
from etl.progress import Meter
from etl.reading import sidecar_text
from etl.registering import register_stored
from loaders.imports import ImportRow
from transforms.errors import BillingError, ConfigError
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
@with_app
def import_files(
    app: App, voice: Voice, files: Sequence[Path], provider: str, *, dry_run: bool
) -> int:
    """Load FILES into call_detail_record and mark their cycles for totals.

    A file is known by its content: the same bytes again, under any name, change nothing.
    An import that was interrupted goes on where it stopped.
    """
    profile = load_profile(provider, folders=[app.settings.providers])
    if dry_run:
        return _dry_run(voice, files, profile)
    documents, codes = [], []
    for file in files:
        document, code = _import_one(app, file, profile)
        documents.append(document)
        codes.append(code)
        _tell(voice, document)
    voice.document({"imports": documents})
    return gravest(codes)


def _import_one(app: App, file: Path, profile: Profile) -> tuple[dict[str, object], int]:
    """Import one file; a fault of one file does not keep the next from its turn."""
    try:
        stored = app.storage.keep(
            file, limit_bytes=app.settings.limits.download_mb * 1_000_000
        )
        row = register_stored(
            app.imports, stored, file.name, profile, sidecar_text(file, profile)
        )
        if row.is_complete:
            return import_document(row, "already_imported"), 0
        with Meter(f"import {row.id}") as meter:
            row = app.importer(meter.add).import_stored(row, profile, _nothing_follows)
    except ConfigError:
        raise
    except BillingError as exc:
        failed: dict[str, object] = {
            "import_id": None,
            "file": file.name,
            "sha256": None,
            "provider": profile.id,
            "status": "failed",
            **dict.fromkeys((*COUNTS, "cost_micros", "seconds"), 0),
            "message": str(exc),
        }
        return failed, exc.exit_code
    is_faulty = row.status != "done" or row.outcome.rejected or row.outcome.conflicts
    return import_document(row, row.status), SET_ASIDE_EXIT if is_faulty else 0


def _nothing_follows(_tx: object, _row: object) -> None:
    """An import by hand stops after loading; its cycles are marked."""


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
    if document["status"] == "already_imported":
        head += f" (import {document['import_id']})"
    voice.say(f"{head}: {outcome}" if outcome else head)
    if document["loaded"]:
        cost = decimal_text(int(str(document["cost_micros"])))
        voice.say(f"  cost {cost}, {document['seconds']} s")
    if document["message"]:
        voice.say(f"  {document['message']}")


def _dry_run(voice: Voice, files: Sequence[Path], profile: Profile) -> int:
    codes = []
    documents = []
    for file in files:
        for document in check_delivery(file, profile):
            outcome, control = document["outcome"], document["control"]
            counts = ", ".join(f"{count:,} {name}" for name, count in outcome.items())
            voice.say(f"{file.name} ({document['layout']}): {counts}; {control['message']}")
            documents.append(
                {key: document[key] for key in ("provider", "layout", "outcome", "control")}
            )
            is_faulty = outcome["rejected"] or not control["ok"]
            codes.append(SET_ASIDE_EXIT if is_faulty else 0)
    voice.say("Nothing was written.")
    voice.document({"dry_run": documents})
    return gravest(codes)


COMMANDS = {"import": import_files}
