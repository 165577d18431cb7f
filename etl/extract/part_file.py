"""The part file: where a download grows until it is whole.

Effects: files beside the wanted name. ``<name>.part`` holds what arrived so far,
``<name>.part.json`` the mark (which version these bytes belong to), and only
``finish`` gives the file its name. A cut or a kill leaves the part behind; the next
download goes on from it or starts it again, and never glues two versions together.

Units: sizes are whole bytes (``_bytes``).
"""

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Self

from transforms.errors import LeaseHeld, StorageError

SPARE_BYTES = 16 * 1024 * 1024
"""Left free on the disk: a full disk stops more than this download."""


@dataclass(frozen=True)
class Mark:
    """Which version of the remote file the bytes of a part belong to."""

    etag: str
    size_bytes: int | None


class PartFile:
    """One growing download, held by one process at a time.

    Example::

        with PartFile(Path("CDR_10001_202610.zip")) as part:
            part.restart(Mark('"v1"', 2_000))
            part.append(block)
            part.finish()
    """

    def __init__(self, to: Path) -> None:
        """Remember the names; nothing is opened before ``with``."""
        self._to = to
        self._path = to.with_name(f"{to.name}.part")
        self._mark_path = to.with_name(f"{to.name}.part.json")
        self._fd = -1

    def __enter__(self) -> Self:
        """Open the part and hold it.

        Raises:
            LeaseHeld: Another download of the same file is under way.
            StorageError: The folder cannot be written.
        """
        with self._disk_trouble():
            self._to.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
            self._fd = os.open(self._path, flags, 0o600)

        if not self._is_ours():
            self._close()
            msg = f"{self._to.name} is being downloaded by another run; wait for it"
            raise LeaseHeld(msg)
        return self

    def __exit__(self, *_: object) -> None:
        """Let go; the part stays for the next run unless it was finished."""
        self._close()

    @property
    def path(self) -> Path:
        """Where the bytes are now."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """How many bytes have arrived."""
        return os.fstat(self._fd).st_size

    @property
    def mark(self) -> Mark | None:
        """The version these bytes belong to, or None when nobody can tell."""
        try:
            found = json.loads(self._mark_path.read_bytes())
            etag, size = found["etag"], found["size_bytes"]
        except (OSError, ValueError, KeyError, TypeError):
            return None

        is_whole = isinstance(etag, str) and (size is None or isinstance(size, int))
        return Mark(etag, size) if is_whole else None

    def restart(self, mark: Mark | None) -> None:
        """Drop what is there; from here on the bytes belong to ``mark``."""
        with self._disk_trouble():
            os.ftruncate(self._fd, 0)
            os.lseek(self._fd, 0, os.SEEK_SET)
            self._mark_path.unlink(missing_ok=True)
            if mark is not None:
                self._mark_path.write_text(json.dumps(asdict(mark)), encoding="utf-8")

    def require_space(self, more_bytes: int) -> None:
        """Refuse a download the disk has no room for, before its first byte.

        Raises:
            StorageError: Naming the folder, the bytes needed and the bytes free.
        """
        free_bytes = shutil.disk_usage(self._to.parent).free
        if more_bytes + SPARE_BYTES > free_bytes:
            msg = (
                f"no room for {self._to.name} in {self._to.parent}: needs {more_bytes} "
                f"bytes and {SPARE_BYTES} spare, {free_bytes} are free; free some "
                "space and run again"
            )
            raise StorageError(msg)

    def append(self, block: bytes) -> None:
        """Write one block at the end, whole."""
        with self._disk_trouble():
            os.lseek(self._fd, 0, os.SEEK_END)
            left = memoryview(block)
            while left:
                left = left[os.write(self._fd, left) :]

    def sha256(self) -> str:
        """Hash what the disk holds, from its first byte."""
        with self._disk_trouble(), os.fdopen(os.dup(self._fd), "rb") as stream:
            stream.seek(0)
            return hashlib.file_digest(stream, "sha256").hexdigest()

    def finish(self) -> None:
        """Give the file its name: fsync, rename, fsync the folder."""
        with self._disk_trouble():
            os.fsync(self._fd)
            self._path.replace(self._to)
            self._mark_path.unlink(missing_ok=True)
            _sync_folder(self._to.parent)

    def discard(self) -> None:
        """Remove the part: its bytes are known to be wrong."""
        self._path.unlink(missing_ok=True)
        self._mark_path.unlink(missing_ok=True)

    def _is_ours(self) -> bool:
        """Take the lock; a file that was renamed away meanwhile is not ours."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return self._path.stat().st_ino == os.fstat(self._fd).st_ino
        except (BlockingIOError, FileNotFoundError):
            return False

    def _close(self) -> None:
        os.close(self._fd)
        self._fd = -1

    @contextmanager
    def _disk_trouble(self) -> Iterator[None]:
        """Say path and room when the disk refuses; the old file is untouched."""
        try:
            yield
        except OSError as exc:
            msg = (
                f"cannot write {self._path}: {exc.strerror or type(exc).__name__}; "
                f"{_free_bytes(self._to.parent)} bytes are free there; mend the "
                "folder and run again, the download goes on where it stopped"
            )
            raise StorageError(msg) from exc


def _free_bytes(folder: Path) -> int:
    try:
        return shutil.disk_usage(folder).free
    except OSError:
        return 0


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
