"""Storage: every delivered file once, named by what is in it.

Effects: files below one folder. A file grows under a name of our own that ends in
``.part`` and gets its final name, ``<sha256[:2]>/<sha256>``, only when all of it is on
disk; so what has a final name is whole, whenever the process was killed. The provider's
name never becomes a path.

Folders are 0700, files 0600. Units: sizes are whole bytes (``_bytes``).
"""

import errno
import fcntl
import hashlib
import os
import shutil
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

from etl.failpoints import failpoint
from transforms.errors import DeliveryRefused, StorageError

BLOCK_BYTES = 1 << 20

OURS = 0o700
"""Folders are for this user only."""


@dataclass(frozen=True)
class StoredFile:
    """A file in storage; its name is the hash of its bytes."""

    sha256: str
    path: Path
    size_bytes: int


class Storage:
    """Keeps delivered files, and the work folders of imports."""

    def __init__(self, root: Path) -> None:
        """Remember the folder; it is made when something is first put in it."""
        self._root = root

    def path(self, sha256: str) -> Path:
        """Return where the file of this hash is, or would be."""
        return self._root / sha256[:2] / sha256

    def keep(self, source: Path | Iterable[bytes], *, limit_bytes: int) -> StoredFile:
        """Bring a file into storage; the same content again changes nothing.

        Args:
            source: A file, or its bytes in blocks.
            limit_bytes: A larger file is refused.

        Raises:
            DeliveryRefused: When the file is larger than the limit.
            StorageError: When the disk refuses: what was needed, and what is free.
        """
        if not isinstance(source, Path):
            return self._keep_blocks(source, None, limit_bytes)
        try:
            with source.open("rb") as stream:
                size_bytes = os.fstat(stream.fileno()).st_size
                blocks = iter(lambda: stream.read(BLOCK_BYTES), b"")
                return self._keep_blocks(blocks, size_bytes, limit_bytes)
        except OSError as exc:
            message = f"cannot read {safe_name(str(source))}: {_why(exc)}"
            raise StorageError(message) from exc

    @contextmanager
    def workspace(self, name: str) -> Iterator[Path]:
        """Lend a private folder; it is removed afterwards, whatever happened.

        Raises:
            StorageError: When it cannot be made.
        """
        with self._disk_trouble(self._root / "work"):
            folder = self._folder("work") / f"{_plain(name)}-{token_hex(8)}"
            folder.mkdir(mode=OURS)
        try:
            with _held(folder):
                yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def temporary_folder(self) -> Path:
        """Return the private folder for files that live shorter than a run.

        Raises:
            StorageError: When it cannot be made.
        """
        with self._disk_trouble(self._root / "tmp"):
            return self._folder("tmp")

    def sweep(self, older_than_s: float, now: float) -> tuple[Path, ...]:
        """Remove what killed runs left behind, and return it.

        Parts and work folders that a live process holds stay, however old they are.

        Args:
            older_than_s: How long something must lie untouched.
            now: The time, in seconds since 1970.
        """
        leftovers = [*self._root.glob("incoming/*.part"), *self._root.glob("work/*")]
        old = [path for path in leftovers if _age_s(path, now) > older_than_s]
        removed = [path for path in old if _remove_unheld(path)]
        return tuple(sorted(removed))

    def _keep_blocks(
        self, blocks: Iterable[bytes], size_bytes: int | None, limit_bytes: int
    ) -> StoredFile:
        if size_bytes is not None:
            _check_limit(size_bytes, limit_bytes)
        with self._disk_trouble(self._root, size_bytes):
            part = self._folder("incoming") / f"{token_hex(16)}.part"
            if size_bytes is not None:
                self._require_room(part.parent, size_bytes)
        try:
            return self._write(part, blocks, size_bytes, limit_bytes)
        finally:
            # After a rename there is nothing left to remove.
            with suppress(OSError):
                part.unlink(missing_ok=True)

    def _write(
        self,
        part: Path,
        blocks: Iterable[bytes],
        size_bytes: int | None,
        limit_bytes: int,
    ) -> StoredFile:
        digest = hashlib.sha256()
        written = 0
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        with self._disk_trouble(part, size_bytes):
            fd = os.open(part, flags, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            for block in blocks:
                written += len(block)
                _check_limit(written, limit_bytes)
                digest.update(block)
                with self._disk_trouble(part, size_bytes or written):
                    _write_all(fd, block)
            with self._disk_trouble(part, written):
                os.fsync(fd)
                failpoint("storage_before_rename")
                return self._name(part, digest.hexdigest(), written)
        finally:
            os.close(fd)

    def _name(self, part: Path, sha256: str, size_bytes: int) -> StoredFile:
        """Give whole bytes their final name, so that a power cut cannot undo it."""
        final = self.path(sha256)
        if not (final.is_file() and final.stat().st_size == size_bytes):
            self._folder(sha256[:2])
            part.replace(final)
            failpoint("storage_after_rename")
            _sync_folder(final.parent)
        return StoredFile(sha256, final, size_bytes)

    def _folder(self, name: str) -> Path:
        """Return a folder of ours below the root, made if need be."""
        folder = self._root / name
        if not folder.is_dir():
            self._root.mkdir(mode=OURS, parents=True, exist_ok=True)
            folder.mkdir(mode=OURS, exist_ok=True)
            _sync_folder(self._root)
        return folder

    def _require_room(self, folder: Path, size_bytes: int) -> None:
        free_bytes = shutil.disk_usage(folder).free
        if size_bytes > free_bytes:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    @contextmanager
    def _disk_trouble(self, path: Path, needed_bytes: int | None = None) -> Iterator[None]:
        """Say path, need and room when the disk refuses."""
        try:
            yield
        except OSError as exc:
            needed = f"needed {needed_bytes} bytes, " if needed_bytes is not None else ""
            message = (
                f"cannot write {path}: {_why(exc)}; {needed}{_free(self._root)} bytes are "
                "free there; nothing was changed, make room and run again"
            )
            raise StorageError(message) from exc


def safe_name(text: str, max_chars: int = 120) -> str:
    r"""Return a provider's name for a thing, fit to be shown or stored as metadata.

    One line of visible characters: anything else is written as its code, a backslash is
    doubled, and a long name keeps its two ends. ``a<NUL>b`` becomes ``a\x00b``. Never a
    path: files of ours have names of our own.
    """
    shown = "".join(_visible(char) for char in text)
    if len(shown) <= max_chars:
        return shown
    half = (max_chars - 1) // 2
    return f"{shown[:half]}…{shown[-half:]}"


def _visible(char: str) -> str:
    if char == "\\":
        return "\\\\"
    if char == " " or unicodedata.category(char)[0] not in "CZ":
        return char
    code = ord(char)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def _plain(name: str) -> str:
    """Return the characters of a name that mean nothing to a file system."""
    kept = "".join(
        char for char in name if char.isascii() and (char.isalnum() or char in "-_")
    )
    return kept[:60] or "work"


def _why(exc: OSError) -> str:
    """Return the system's own words, without the path that stands in the message."""
    return exc.strerror or type(exc).__name__


def _free(folder: Path) -> int:
    with suppress(OSError):
        return shutil.disk_usage(folder if folder.exists() else folder.parent).free
    return 0


def _check_limit(size_bytes: int, limit_bytes: int) -> None:
    if size_bytes > limit_bytes:
        message = (
            f"the file has {size_bytes} bytes or more, and {limit_bytes} is the limit; "
            "raise the limit if the provider's file is really this large"
        )
        raise DeliveryRefused(message)


def _write_all(fd: int, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[os.write(fd, left) :]


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _held(path: Path) -> Iterator[None]:
    """Hold a folder, so that ``sweep`` of another process leaves it."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def _age_s(path: Path, now: float) -> float:
    """Return how long nothing below a path was touched; 0 when it is gone."""
    try:
        times = [entry.lstat().st_mtime for entry in (path, *path.rglob("*"))]
    except OSError:
        return 0
    return now - max(times)


def _remove_unheld(path: Path) -> bool:
    """Remove a leftover unless a live process holds it."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    except OSError:
        return False
    finally:
        os.close(fd)
    return True
