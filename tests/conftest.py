"""Fixtures every test may ask for: databases of both kinds, fresh and upgraded."""

import gc
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loaders.database import Database
from loaders.open import open_database
from tests.mariadb import (
    MariaDBMissingError,
    MariaDBServer,
    execute_all,
    fresh_database,
    schema_statements,
    work_folder,
)

STORES = ("sqlite", "mariadb")
MANY_DATABASES = ("--innodb-file-per-table=0", "--innodb-stats-persistent=0")
"""A database for each test: half of making it is files and statistics of tables."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Put the tests' folders in memory where there is room: they wait for no disk.

    SQLite writes to disk at every commit; the tests commit some ten thousand times.
    """
    if config.option.basetemp is None:
        folder = work_folder()
        config.option.basetemp = str(folder / "tests")
        config.add_cleanup(lambda: shutil.rmtree(folder, ignore_errors=True))


def pytest_collection_finish() -> None:
    """Look no more for garbage among thousands of tests: it costs a twentieth of them."""
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the libraries see their objects go."""
    gc.unfreeze()


@pytest.fixture(scope="session")
def mariadb_server() -> Iterator[MariaDBServer]:
    """One private MariaDB server for the whole run."""
    server = MariaDBServer(work_folder(), MANY_DATABASES)
    try:
        server.start()
    except MariaDBMissingError as exc:
        server.remove()
        pytest.fail(str(exc), pytrace=False)
    yield server
    server.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An upgraded SQLite file to copy: the schema is made once."""
    path = tmp_path_factory.mktemp("template") / "etl.db"
    with closing(open_database(f"sqlite:///{path}")) as database:
        database.upgrade()
    return path


@pytest.fixture(scope="session")
def mariadb_template(mariadb_server: MariaDBServer) -> list[str]:
    """The statements that make the upgraded schema: the revisions run once."""
    with (
        fresh_database(mariadb_server) as url,
        closing(open_database(url)) as database,
    ):
        database.upgrade()
        return schema_statements(url)


@pytest.fixture
def mariadb_url(
    mariadb_server: MariaDBServer, mariadb_template: list[str]
) -> Iterator[str]:
    """The URL of a new, upgraded MariaDB database."""
    with fresh_database(mariadb_server) as url:
        execute_all(url, mariadb_template)
        yield url


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """The URL of a new, upgraded SQLite file."""
    path = tmp_path / "etl.db"
    shutil.copy(sqlite_template, path)
    path.chmod(0o600)
    return f"sqlite:///{path}"


@pytest.fixture(params=STORES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of a new, upgraded database, of each kind in turn."""
    return str(request.getfixturevalue(f"{request.param}_url"))


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    """A new, upgraded database, of each kind in turn."""
    with closing(open_database(database_url)) as opened:
        yield opened
