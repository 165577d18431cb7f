"""``db:upgrade`` and ``doctor``: the schema, and whether the machine is fit for a night."""

import shutil

import click

from etl.app import App
from etl.commands.options import Voice, with_app

FREE_BYTES_NEEDED = 2 * 1024**3


@click.command("db:upgrade")
@with_app
def upgrade(app: App, voice: Voice) -> int:
    """Create the schema, or bring it to this version. Running it again changes nothing."""
    app.database.upgrade()
    voice.say(f"The schema of {app.database.dialect} is up to date.")
    voice.document({"dialect": app.database.dialect, "status": "up to date"})
    return 0


@click.command("doctor")
@with_app
def doctor(app: App, voice: Voice) -> int:
    """Check the database, its settings and the storage folder; say what to mend."""
    faults = [*app.database.check(), *_storage_faults(app)]
    for fault in faults:
        voice.say(f"fault: {fault}")
    if not faults:
        voice.say("The database and the storage folder are fit for work.")
    voice.document({"ok": not faults, "faults": faults})
    return 1 if faults else 0


def _storage_faults(app: App) -> list[str]:
    folder = app.settings.storage
    free = shutil.disk_usage(folder).free
    if free >= FREE_BYTES_NEEDED:
        return []
    return [
        f"storage {folder}: {free // 1024**2} MB free, "
        f"{FREE_BYTES_NEEDED // 1024**2} MB needed; "
        "free some space or set ETL_STORAGE to a larger disk"
    ]


COMMANDS = {"db:upgrade": upgrade, "doctor": doctor}
