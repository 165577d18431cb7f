"""Opens the database a URL names; nothing is connected before the first question.

Effects: makes the folder of a SQLite file, and a private work folder for MySQL.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from loaders.database import Database
from transforms.errors import ConfigError

SQLITE = ("sqlite", "sqlite+pysqlite")
MYSQL = ("mysql", "mariadb", "mysql+mysqlconnector", "mariadb+mysqlconnector")


def prepare_driver(url: str) -> None:
    """Load the driver a URL needs, before anything else of weight is loaded.

    MySQL's C extension cannot be loaded once pyarrow is ("cannot allocate memory in static
    TLS block"); after it, pyarrow loads as ever. A process that may open MySQL calls this
    first.

    Raises:
        ConfigError: When the URL is not one of ours, or MySQL's extension is not there.
    """
    if _parsed(url).drivername in MYSQL:
        _mysql_room()


def driver_of(url: str) -> str:
    """Return the part of a URL that holds no secret: ``mysql+mysqlconnector://``.

    Raises:
        ConfigError: When the URL is not one of ours.
    """
    return f"{_parsed(url).drivername}://"


def open_database(url: str, *, temp_dir: Path | None = None) -> Database:
    """Open ``sqlite:///var/etl.db`` or ``mysql+mysqlconnector://user:secret@host/etl``.

    Args:
        url: A SQLAlchemy URL; ``?unix_socket=``, ``?ssl_ca=`` and the like as documented.
        temp_dir: Where a private folder for load files may be made; else the system's.

    Raises:
        ConfigError: When the URL is not one of these, or asks for what is not allowed, or
            MySQL's extension is not there.
    """
    parsed = _parsed(url)
    if parsed.drivername in SQLITE:
        from loaders.sqlite import SQLiteDatabase

        return SQLiteDatabase(parsed)
    if parsed.drivername in MYSQL:
        opened: Database = _mysql_room().MySQLDatabase(parsed, temp_dir=temp_dir)
        return opened
    message = (
        f"ETL_DATABASE_URL begins with {parsed.drivername!r}; it must be sqlite:///FILE "
        f"or mysql+mysqlconnector://USER:SECRET@HOST/NAME"
    )
    raise ConfigError(message)


def _mysql_room() -> ModuleType:
    try:
        return import_module("loaders.mysql")
    except ImportError as exc:
        message = (
            "mysql-connector-python is here without its C extension (it would be slow and "
            "unsafe); install a wheel for this platform: pip install "
            "'mysql-connector-python>=9.4,<10'"
        )
        raise ConfigError(message) from exc


def _parsed(url: str) -> URL:
    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        message = (
            "ETL_DATABASE_URL is not a database URL; it must be sqlite:///FILE or "
            "mysql+mysqlconnector://USER:SECRET@HOST/NAME"
        )
        raise ConfigError(message) from None  # the cause would print the URL's secret
