"""Brings a database's schema to the newest revision.

Effects: changes tables through the connection it is given; the caller keeps other
processes away meanwhile. Alembic is imported only when there is something to do.
"""

from importlib.resources import files

import sqlalchemy as sa

from loaders.database import NO_LISTS, Dialect, clause_at
from transforms.errors import ConfigError

SCRIPTS = "loaders.migrations"


def newest_revision() -> str:
    """The last revision's id, which is how its file's name begins: ``0001_spine.py``."""
    names = [file.name for file in files(SCRIPTS).joinpath("versions").iterdir()]
    return max(name.split("_")[0] for name in names if name[:4].isdecimal())


def is_at_head(connection: sa.Connection, dialect: Dialect) -> bool:
    """Whether the schema is at the newest revision already.

    Raises:
        ConfigError: When a newer program than this one has upgraded it.
    """
    has_table = clause_at(dialect, "database/has_version_table", NO_LISTS)
    if connection.scalar(has_table) != 1:
        return False
    found = connection.scalar(clause_at(dialect, "database/version", NO_LISTS))
    newest = newest_revision()
    if found is not None and found > newest:
        message = (
            f"the database's schema is at revision {found}, this program knows {newest}; "
            "install the newer program that upgraded it"
        )
        raise ConfigError(message)
    return bool(found == newest)


def migrate(connection: sa.Connection) -> None:
    """Run every revision that has not run; commits nothing that the database does not."""
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", "loaders:migrations")
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
