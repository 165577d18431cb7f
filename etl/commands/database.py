"""``db:upgrade`` and ``doctor``: the schema, and whether the machine is fit for a night."""

import platform
import shutil
from importlib.metadata import PackageNotFoundError, version

import click

from etl.app import App
from etl.commands.options import Voice, with_app
from etl.health import storage_faults
from transforms.errors import BillingError

PACKAGES = (
    "cdr-etl",
    "polars",
    "pyarrow",
    "duckdb",
    "sqlalchemy",
    "mysql-connector-python",
    "httpx",
    "pydantic",
    "alembic",
)
"""Packages whose version can change a figure or a file."""


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
    """Check this machine, the database and the storage folder; say what to mend.

    Exit code 1 when something has to be mended before a night.
    """
    server, faults = _server(app)
    faults += _storage(app)
    versions = {name: _version(name) for name in PACKAGES}
    settings = _settings(app)
    free_mb = _free_mb(app)

    voice.say(f"Python {platform.python_version()} on {platform.platform()}")
    voice.say(", ".join(f"{name} {found}" for name, found in versions.items()))
    voice.say(f"database: {server or 'does not answer'}")
    voice.say(f"storage {app.settings.storage}: {free_mb} MB free")
    for name, value in settings.items():
        voice.say(f"setting {name} = {value}")
    for fault in faults:
        voice.say(f"fault: {fault}")
    if not faults:
        voice.say("The database and the storage folder are fit for work.")
    voice.document(
        {
            "ok": not faults,
            "faults": faults,
            "python": platform.python_version(),
            "versions": versions,
            "database": server,
            "storage": {"folder": str(app.settings.storage), "free_mb": free_mb},
            "settings": settings,
        }
    )
    return 1 if faults else 0


def _server(app: App) -> tuple[str | None, list[str]]:
    """Say which database answers, and what is wrong with it.

    On MySQL the door itself refuses a driver without its C extension, so a server that
    answers was reached with it.
    """
    try:
        faults = app.database.check()
        driver = ", reached with the C extension" if app.database.dialect == "mysql" else ""
        return f"{app.monitor.server()}{driver}", faults
    except BillingError as exc:
        return None, [str(exc)]


def _storage(app: App) -> list[str]:
    try:
        faults = storage_faults(app)
    except BillingError as exc:
        faults = (str(exc),)
    return [f"{fault}; free some space, or set ETL_STORAGE" for fault in faults]


def _free_mb(app: App) -> int | None:
    try:
        return shutil.disk_usage(app.settings.storage).free // 1024**2
    except OSError:
        return None


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _settings(app: App) -> dict[str, object]:
    """The settings in force; the database URL holds a secret and is left out."""
    return app.settings.model_dump(mode="json", exclude={"database_url"})


COMMANDS = {"db:upgrade": upgrade, "doctor": doctor}
