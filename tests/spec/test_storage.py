"""Where delivered files are kept: whole or not at all, whatever happens meanwhile."""

import errno
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl.storage import Storage, safe_name
from transforms.errors import DeliveryRefused, StorageError

CALLS = b"id;price\n1;0,10\n"
SHA256 = hashlib.sha256(CALLS).hexdigest()
NOON = 1_800_000_000.0
LIMIT = 10_000_000


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file())


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(tmp_path / "storage")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "storage"


def test_a_file_is_kept_under_the_hash_of_its_content(
    storage: Storage, root: Path, tmp_path: Path
) -> None:
    delivered = tmp_path / "CDR_10001_202610.zip"
    delivered.write_bytes(CALLS)
    kept = storage.keep(delivered, limit_bytes=LIMIT)
    assert (kept.sha256, kept.size_bytes) == (SHA256, 16)
    assert kept.path == root / SHA256[:2] / SHA256 == storage.path(SHA256)
    assert kept.path.read_bytes() == delivered.read_bytes() == CALLS


def test_folders_and_files_are_for_this_user_only(storage: Storage, root: Path) -> None:
    kept = storage.keep([CALLS], limit_bytes=LIMIT)
    assert mode(kept.path) == 0o600
    assert {mode(folder) for folder in (root, *root.iterdir())} == {0o700}


def test_the_same_content_again_changes_nothing(storage: Storage, root: Path) -> None:
    first = storage.keep([CALLS], limit_bytes=LIMIT)
    before = first.path.stat()
    again = storage.keep([CALLS[:5], CALLS[5:]], limit_bytes=LIMIT)
    assert again == first
    assert again.path.stat().st_ino == before.st_ino
    assert files(root) == [f"{SHA256[:2]}/{SHA256}"]


def test_a_stored_file_that_lost_bytes_is_replaced_by_a_whole_one(
    storage: Storage,
) -> None:
    kept = storage.keep([CALLS], limit_bytes=LIMIT)
    kept.path.write_bytes(CALLS[:3])
    assert storage.keep([CALLS], limit_bytes=LIMIT).path.read_bytes() == CALLS


def test_a_file_over_the_limit_is_refused_and_leaves_nothing(
    storage: Storage, root: Path, tmp_path: Path
) -> None:
    delivered = tmp_path / "large.csv"
    delivered.write_bytes(CALLS)
    for source in (delivered, [CALLS]):
        with pytest.raises(DeliveryRefused, match="15 is the limit"):
            storage.keep(source, limit_bytes=15)
    assert files(root) == []
    assert storage.keep(delivered, limit_bytes=16).size_bytes == 16


def test_a_source_that_breaks_off_leaves_nothing(storage: Storage, root: Path) -> None:
    def broken() -> Iterator[bytes]:
        yield CALLS
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        storage.keep(broken(), limit_bytes=LIMIT)
    assert files(root) == []


def test_a_missing_source_is_named_and_so_is_the_reason(
    storage: Storage, tmp_path: Path
) -> None:
    with pytest.raises(StorageError, match=r"gone\.zip: No such file"):
        storage.keep(tmp_path / "gone.zip", limit_bytes=LIMIT)


def test_a_file_larger_than_the_free_space_is_refused_before_it_is_written(
    storage: Storage, root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delivered = tmp_path / "calls.csv"
    delivered.write_bytes(CALLS)
    usage = shutil.disk_usage(tmp_path)._replace(free=15)
    monkeypatch.setattr("etl.storage.shutil.disk_usage", lambda _folder: usage)
    with pytest.raises(StorageError) as caught:
        storage.keep(delivered, limit_bytes=LIMIT)
    assert str(root) in str(caught.value)
    assert "needed 16 bytes, 15 bytes are free" in str(caught.value)
    assert files(root) == []


@pytest.mark.parametrize(
    "code",
    [errno.ENOSPC, errno.EROFS, errno.EMFILE, errno.EDQUOT, errno.EFBIG, errno.EIO],
)
@pytest.mark.parametrize("call", ["open", "write", "fsync", "replace"])
def test_whatever_the_disk_refuses_is_said_and_nothing_is_left(
    call: str, code: int, storage: Storage, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage.keep([b"an earlier file"], limit_bytes=LIMIT)
    before = files(root)

    def refuse(*_args: object, **_kwargs: object) -> int:
        raise OSError(code, os.strerror(code))

    owner = "pathlib.Path" if call == "replace" else "etl.storage.os"
    with monkeypatch.context() as patch:
        patch.setattr(f"{owner}.{call}", refuse)
        with pytest.raises(StorageError) as caught:
            storage.keep([CALLS], limit_bytes=LIMIT)
    assert os.strerror(code) in str(caught.value)
    assert "bytes are free" in str(caught.value)
    assert files(root) == before
    assert storage.keep([CALLS], limit_bytes=LIMIT).path.read_bytes() == CALLS


QUOTA = """
import resource, sys
from pathlib import Path
from etl.storage import Storage
from transforms.errors import StorageError
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    Storage(Path(sys.argv[1])).keep([bytes(60_000)] * 3, limit_bytes=10**9)
except StorageError as exc:
    sys.stdout.write(str(exc))
"""


def test_a_quota_is_a_message_and_not_a_dead_process(root: Path) -> None:
    done = run(QUOTA, root)
    assert done.returncode == 0
    assert "File too large; needed 120000 bytes" in done.stdout
    assert files(root) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from etl.storage import Storage
def blocks():
    yield b"half of a file"
    os.kill(os.getpid(), signal.SIGKILL)
Storage(Path(sys.argv[1])).keep(blocks(), limit_bytes=10**9)
"""


def run(program: str, root: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program, str(root)],
        capture_output=True,
        check=False,
        text=True,
        timeout=30,
        env={**os.environ, **environment},
    )


def test_a_kill_leaves_a_part_that_is_swept_and_no_file(
    storage: Storage, root: Path
) -> None:
    assert run(KILLED, root).returncode == -9
    left = files(root)
    assert [Path(name).suffix for name in left] == [".part"]
    [part] = root.rglob("*.part")
    os.utime(part, (NOON, NOON))
    assert storage.sweep(older_than_s=3600, now=NOON + 3600) == ()
    assert storage.sweep(older_than_s=3600, now=NOON + 3601) == (part,)
    assert files(root) == []


KEPT = """
import sys
from pathlib import Path
from etl.storage import Storage
Storage(Path(sys.argv[1])).keep([b"id;price\\n1;0,10\\n"], limit_bytes=10**9)
"""


@pytest.mark.parametrize(
    ("point", "whole"), [("storage_before_rename", 0), ("storage_after_rename", 1)]
)
def test_a_kill_beside_the_rename_leaves_the_whole_file_or_none(
    point: str, whole: int, storage: Storage, root: Path
) -> None:
    assert run(KEPT, root, FAULTS=f"{point}:kill").returncode == -9
    assert storage.path(SHA256).is_file() is bool(whole)
    assert storage.keep([CALLS], limit_bytes=LIMIT).path.read_bytes() == CALLS


def test_a_workspace_is_private_and_gone_afterwards(storage: Storage, root: Path) -> None:
    with storage.workspace("import-7") as folder:
        (folder / "owned.arrow").write_bytes(CALLS)
        assert folder.name.startswith("import-7-")
        assert folder.parent.parent == root
        assert mode(folder) == 0o700
    assert files(root) == []
    assert not folder.exists()


def test_a_workspace_is_gone_after_a_failure_too(storage: Storage) -> None:
    seen: list[Path] = []

    def fail() -> None:
        with storage.workspace("../../import 7\0") as folder:
            seen.append(folder)
            raise KeyError(folder.name)

    with pytest.raises(KeyError, match="import7-"):
        fail()
    assert not seen[0].exists()


def test_two_workspaces_of_one_name_are_two_folders(storage: Storage) -> None:
    with storage.workspace("import-7") as one, storage.workspace("import-7") as other:
        assert one != other


def test_what_a_live_run_holds_is_not_swept_however_old(storage: Storage) -> None:
    with storage.workspace("import-7") as folder:
        assert storage.sweep(older_than_s=1, now=NOON * 2) == ()
        assert folder.is_dir()


def test_a_work_folder_whose_run_died_is_swept_with_what_is_in_it(
    storage: Storage, root: Path
) -> None:
    orphan = root / "work" / "import-7-dead"
    orphan.mkdir(parents=True)
    (orphan / "owned.arrow").write_bytes(CALLS)
    kept = storage.keep([CALLS], limit_bytes=LIMIT)
    assert storage.sweep(older_than_s=60, now=NOON * 2) == (orphan,)
    assert files(root) == [f"{SHA256[:2]}/{SHA256}"]
    assert kept.path.read_bytes() == CALLS


def test_the_temporary_folder_is_private(storage: Storage, root: Path) -> None:
    folder = storage.temporary_folder()
    assert folder == root / "tmp"
    assert mode(folder) == 0o700


def test_a_storage_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.touch()
    storage = Storage(blocked / "storage")
    with pytest.raises(StorageError, match="file/storage"):
        storage.keep([CALLS], limit_bytes=LIMIT)
    with pytest.raises(StorageError, match="file/storage"):
        storage.temporary_folder()


NAMES = [
    # an ordinary name stays as it is
    ("CDR_10001_202610.zip", "CDR_10001_202610.zip"),
    ("één bestand.csv", "één bestand.csv"),
    # what a person cannot see, or a terminal would obey, is written as its code
    ("a\0b", "a\\x00b"),
    ("a\nb\r\tc", "a\\x0ab\\x0d\\x09c"),
    ("\x1b[2Jred", "\\x1b[2Jred"),
    ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
    ("a\u2028b\u200bc\ufeff", "a\\u2028b\\u200bc\\ufeff"),
    ("a\udcffb", "a\\udcffb"),
    # a backslash is doubled, so that no name can imitate a code
    ("a\\x00b", "a\\\\x00b"),
    # a path is shown, never followed
    ("../../etc/passwd", "../../etc/passwd"),
    ("", ""),
]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_a_providers_name_is_shown_without_what_could_mislead(
    name: str, shown: str
) -> None:
    assert safe_name(name) == shown


def test_a_long_name_keeps_its_two_ends() -> None:
    shown = safe_name("a" * 200 + "b" * 100)
    assert shown == "a" * 59 + "…" + "b" * 59
