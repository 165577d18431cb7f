"""SQLite: one private file, with every commit on disk."""

import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from loaders.open import open_database
from transforms.errors import ConfigError, StoreBusy, StoreError


def test_the_file_and_its_folder_are_made_for_us_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(open_database("sqlite:///var/etl.db")) as database:
        database.upgrade()
        assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700
        for file in (tmp_path / "var").iterdir():
            assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "url",
    ["sqlite://", "sqlite:///", "sqlite:///:memory:", "sqlite:///var/etl.db?mode=ro"],
)
def test_a_url_without_a_plain_file_is_refused(url: str) -> None:
    with pytest.raises(ConfigError):
        open_database(url)


def test_a_file_that_cannot_be_made_is_the_operators_to_mend(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="cannot be used"):
        open_database(f"sqlite:///{tmp_path / 'file' / 'etl.db'}")


READ_AND_LEAVE = """
import sqlite3, sys
with sqlite3.connect(sys.argv[1]) as file:
    file.execute("SELECT version_num FROM alembic_version").fetchall()
file.close()
"""


def test_a_database_that_is_opened_twice_here_is_still_ours_for_other_processes(
    sqlite_url: str,
) -> None:
    path = sqlite_url.removeprefix("sqlite:///")
    with closing(open_database(sqlite_url)) as database:
        database.run(lambda tx: tx.execute("lease/ensure", name="ours"))
        open_database(sqlite_url).close()

        subprocess.run([sys.executable, "-c", READ_AND_LEAVE, path], check=True)

        # Who believes to be the last one there takes the log away when it leaves.
        assert Path(f"{path}-wal").exists()
        database.run(lambda tx: tx.execute("lease/signal", name="ours"))


def test_a_file_that_is_no_database_is_told_of(tmp_path: Path) -> None:
    path = tmp_path / "etl.db"
    path.write_text("customers and their calls\n" * 100)
    with (
        closing(open_database(f"sqlite:///{path}")) as database,
        pytest.raises(StoreError),
    ):
        database.upgrade()
    assert path.read_text().startswith("customers")


def test_commits_are_synced_and_keys_are_held(sqlite_url: str) -> None:
    with closing(open_database(sqlite_url)) as database:
        assert database.check() == []
        with database.transaction() as tx:
            pragmas = {
                name: tx._connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()
                for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
            }
    assert pragmas == {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "busy_timeout": 30_000,
    }


def test_a_write_lock_that_does_not_come_free_is_busy(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("loaders.sqlite.BUSY_TIMEOUT_MS", 100)
    file = sqlite_url.removeprefix("sqlite:///")
    with (
        closing(sqlite3.connect(file, isolation_level=None)) as other,
        closing(open_database(sqlite_url)) as database,
    ):
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreBusy), database.transaction():
            pass
        with database.snapshot() as tx:
            assert tx.rows("database/version")
