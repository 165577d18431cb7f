"""``provider:*``: the profiles there are, and what a file would become under one."""

from pathlib import Path

import click

from etl.app import App
from etl.check import check_delivery
from etl.commands.options import Voice, with_app
from etl.profiles import available_profiles, load_profile
from etl.provider_checks import INVOICE, about_import, difference_from_invoice
from loaders.insights import settle_about
from loaders.provider_invoices import Told
from transforms.customer_charges import read_micros
from transforms.errors import ConfigError
from transforms.insights import PROVIDER_INVOICE
from transforms.money import decimal_text
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


@click.command("provider:invoice-total")
@click.option("--import", "import_id", type=int, required=True, help="Of which import.")
@click.option("--amount", required=True, help="Its total before VAT, such as 1234.56.")
@click.option("--number", required=True, help="The number of the provider's invoice.")
@click.option("--by", required=True, help="Who tells this; it is kept.")
@click.option("--dry-run", is_flag=True, help="Compare, and keep nothing.")
@with_app
def invoice_total(
    app: App,
    voice: Voice,
    import_id: int,
    amount: str,
    number: str,
    by: str,
    *,
    dry_run: bool,
) -> int:
    """Tell what the invoice that a provider sent says, and compare it with ours.

    A difference becomes an insight with its evidence, now and whenever the import is
    worked out anew. What was told last counts.
    """
    for option, text, most in (("--number", number, 255), ("--by", by, 128)):
        if not text.strip() or not text.isprintable() or len(text) > most:
            message = f"{option} is one printable line, of at most {most} letters"
            raise ConfigError(message)
    try:
        told = Told(read_micros(amount), number.strip(), by.strip())
    except ValueError as exc:
        message = f"--amount {exc}"
        raise ConfigError(message) from exc
    row, charged = app.imports.find(import_id), app.provider_invoices.charged(import_id)
    if row is None or charged is None:
        message = (
            f"nothing was worked out for import {import_id} yet; see: etl import:list, "
            "etl queue:list"
        )
        raise ConfigError(message)
    difference = difference_from_invoice(row, charged.cost_micros, told)
    if not dry_run:
        with app.database.transaction() as tx:
            app.provider_invoices.tell(tx, charged, told)
            found = [] if difference is None else [difference]
            settle_about(tx, PROVIDER_INVOICE, about_import(import_id, INVOICE), found)
    over_micros = charged.cost_micros - told.amount_micros
    voice.say(
        f"import {import_id}, {row.file_name}: invoice {told.invoice} says "
        f"{decimal_text(told.amount_micros)} {charged.currency}, the records come to "
        f"{decimal_text(charged.cost_micros)}; "
        + (f"difference {decimal_text(over_micros)}" if over_micros else "no difference")
    )
    if dry_run:
        voice.say("Nothing was written.")
    voice.document(
        {
            "import_id": import_id,
            "provider": charged.provider,
            "provider_invoice": told.invoice,
            "currency": charged.currency,
            "invoiced_micros": told.amount_micros,
            "charged_micros": charged.cost_micros,
            "difference_micros": over_micros,
            "dry_run": dry_run,
        }
    )
    return 0


COMMANDS = {
    "provider:check": check,
    "provider:list": list_profiles,
    "provider:invoice-total": invoice_total,
}
