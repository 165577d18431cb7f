"""``reference:load``: customers, their numbers and plans, and the feeds to fetch."""

from pathlib import Path

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.profiles import available_profiles
from etl.reference_files import read_reference


@click.command("reference:load")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--dry-run", is_flag=True, help="Check everything, write nothing.")
@with_app
def load(app: App, voice: Voice, folder: Path, *, dry_run: bool) -> int:
    """Load customers, subscriptions, sync profiles and rate plans from FOLDER.

    Reads customers.csv, subscriptions.csv, sync_profiles.toml, rate_plans/*.toml and
    customer_rate_plans.csv. A changed plan marks the cycles it touches for totals.

    Everything is checked first and replaced in one transaction; a file that is not there
    changes nothing. The same files again change nothing.
    """
    reference = read_reference(
        folder, providers=available_profiles([app.settings.providers])
    )
    if dry_run:
        voice.say(f"{folder}: no faults found; nothing was written.")
        voice.document({"status": "checked"})
        return 0
    changed = app.reference.replace(reference)
    for name, count in changed.items():
        voice.say(f"{name}: {count:,} rows written" if count else f"{name}: unchanged")
    voice.document({"status": "loaded", "changed": changed})
    return 0


COMMANDS = {"reference:load": load}
