"""``init``: a settings file to start from, and the folders and schema it names."""

from pathlib import Path

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.settings import SETTINGS_FILE

TEMPLATE = """\
# Settings of cdr-etl. Order: flags, environment ETL_*, secret files, this file, defaults.
# A database URL with a password belongs in the environment, not here.

# database_url = "sqlite:///var/etl.db"
# storage = "var/storage"          # delivered files and temporary work
# providers = "providers"          # provider profiles of your own
# lease_seconds = 120              # how long a silent worker keeps its work
# batch_rows = 1000                # records in one LOAD DATA and one ledger row
# batches_per_commit = 50
# load_connections = 2             # commits of one import at a time (MySQL)
# chunk_rows = 40000               # records read and sorted at a time
# executor = "serial"              # or threads:N, processes:N, dask://HOST:PORT

[limits]
# download_mb = 8192
# download_seconds = 3600
# minimum_bytes_per_s = 1024
# duckdb_memory_mb = 768

[supplier]                         # who issues the invoices; as shipped the demo's
# name = "Uw Telecom BV"
# street = "Voorbeeldstraat 1"
# postcode = "1234 AB"
# city = "Amsterdam"
# country = "NL"
# vat_number = "NL001234567B01"
# kvk = "12345678"                 # or oin, for a public body
# iban = "NL91ABNA0417164300"
# email = "facturen@uw-telecom.example"

[invoice]
# series = "F"                     # F2026-000001
# payment_days = 30
# vat_rate = "21"
# vat_rounding = "invoice"         # or "line"
# rounding = "half-up"             # up, half-up, half-even, down
# language = "nl"                  # or "en"
# suspended_limit = 0              # records without an owner that may wait
# missing_delivery = "warn"        # warn, block, ignore

[insights]                         # from where on something is worth a look
# jump_percent = 200               # of the usual; all of them: docs/insights.md
# jump_amount = 25                 # whole units of the customer's currency
# burst_calls = 20

[retention]                        # days; 0 keeps for ever
# raw_days = 180                   # raw lines of what was set aside
# cdr_days = 0                     # itemised records, from the end of their cycle
# delivery_days = 0                # delivered files, from their import
"""

CUSTOMERS = "customer_id,name,timezone,cycle_day,currency\n"
SUBSCRIPTIONS = "identifier,kind,customer_id,valid_from,valid_to\n"
SYNC_PROFILES = """\
# One table for each feed. A secret is a reference, env:NAME or file:/path, never a value.
#
# [[sync_profile]]
# provider = "routit"
# every_minutes = 60
#   [sync_profile.settings]
#   transport = "https"
#   url = "https://provider.example/api"
#   account = "10001"
#   auth = "oauth2"
#   token_url = "https://provider.example/oauth/token"
#   client_id = "my-client"
#   secret = "env:ROUTIT_SECRET"
#
# [[sync_profile]]
# provider = "kpn_een"
# every_minutes = 15
#   [sync_profile.settings]
#   transport = "folder"
#   folder = "inbox/kpn_een"
"""

FILES = {
    SETTINGS_FILE: TEMPLATE,
    "reference/customers.csv": CUSTOMERS,
    "reference/subscriptions.csv": SUBSCRIPTIONS,
    "reference/sync_profiles.toml": SYNC_PROFILES,
}


@click.command("init")
@with_app
def init(app: App, voice: Voice) -> int:
    """Write a settings file and empty reference files here, and create the schema.

    A file that is there already is left as it is.
    """
    written = [name for name, content in FILES.items() if _write(Path(name), content)]
    app.database.upgrade()
    for name in FILES:
        voice.say(f"{name}: {'written' if name in written else 'left as it was'}")
    voice.say(
        "The schema is up to date. Fill in reference/, then: etl reference:load reference"
    )
    kept = [each for each in FILES if each not in written]
    voice.document({"written": written, "kept": kept})
    return 0


def _write(path: Path, content: str) -> bool:
    if path.exists():
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content, encoding="utf-8")
    return True


COMMANDS = {"init": init}
