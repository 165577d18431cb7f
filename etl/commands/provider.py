"""``provider:*``: the profiles there are, and what a file would become under one."""

from pathlib import Path

import click

from etl.app import App
from etl.check import check_delivery
from etl.commands.options import Voice, with_app
from etl.profiles import available_profiles, load_profile
from transforms.record_json import Document

MOST_SHOWN = 50
SHOWN_COLUMNS = (
    "line",
    "subscriber",
    "other",
    "direction",
    "usage",
    "start_utc",
    "quantity",
)


@click.command("provider:check")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--provider", required=True, help="Profile id, or the path of a TOML file.")
@with_app
def check(app: App, voice: Voice, file: Path, provider: str) -> int:
    """Show what each record of FILE would become under a provider's profile.

    Writes nothing and needs no database. Exit code 1 when records are rejected or the
    file would be refused.
    """
    profile = load_profile(provider, folders=[app.settings.providers])
    documents = check_delivery(file, profile)
    for document in documents:
        _show(voice, document)
    voice.document(documents)
    faulty = any(
        document["outcome"]["rejected"] or not document["control"]["ok"]
        for document in documents
    )
    return 1 if faulty else 0


def _show(voice: Voice, document: Document) -> None:
    outcome = ", ".join(f"{count:,} {name}" for name, count in document["outcome"].items())
    voice.say(f"{document['provider']}, layout {document['layout']}: {outcome}")
    control = document["control"]
    voice.say(f"control ({control['kind']}): {control['message']}")
    records = [record for record in document["records"] if "quarantined_line" not in record]
    voice.table(
        (*SHOWN_COLUMNS, "price", "flags"),
        [
            (
                *(str(record[name] or "-") for name in SHOWN_COLUMNS),
                record["price_ex_vat_eur"] or "unrated",
                " ".join(record["flags"]) or "-",
            )
            for record in records[:MOST_SHOWN]
        ],
    )
    if len(records) > MOST_SHOWN:
        voice.say(f"... and {len(records) - MOST_SHOWN:,} more; --json shows them all")
    for record in document["records"]:
        if "quarantined_line" in record:
            voice.say(f"rejected line {record['quarantined_line']}: {record['reason']}")
    voice.say()


@click.command("provider:list")
@with_app
def list_profiles(app: App, voice: Voice) -> int:
    """List the provider profiles there are, your own first where names are equal."""
    folders = [app.settings.providers]
    profiles = [load_profile(name, folders) for name in available_profiles(folders)]
    voice.table(
        ("id", "provider", "version", "status", "layouts"),
        [
            (
                each.id,
                each.provider,
                each.version,
                each.status,
                " ".join(layout.name for layout in each.layouts),
            )
            for each in profiles
        ],
    )
    voice.document(
        {
            "providers": [
                {"id": each.id, "provider": each.provider, "version": each.version}
                for each in profiles
            ]
        }
    )
    return 0


COMMANDS = {"provider:check": check, "provider:list": list_profiles}
