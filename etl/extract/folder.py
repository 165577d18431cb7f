"""The drop folder: which delivered files are whole, and where they go afterwards.

Effects: lists, reads and moves files below one folder. Only plain files are looked at: a
link, a pipe, a folder or a hidden name is left where it is, and nothing is ever followed.
A file is whole when two looks find the same size and time, nobody has it open for
writing, and its control file is there when the provider sends one.

After its import a file is moved to ``processed/`` or ``rejected/`` beside it. A name that
is taken gets a number; nothing is ever overwritten.

Units: sizes are whole bytes (``_bytes``), times of files nanoseconds (``_ns``).
"""

import errno
import fcntl
import hashlib
import os
import signal
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal

from etl.failpoints import failpoint
from etl.storage import safe_name
from transforms.errors import ConfigError, StorageError

SECOND_LOOK_S: Final = 1
BLOCK_BYTES: Final = 1 << 20
MOST_FILES: Final = 1000
"""Files taken at one look; the rest waits for the next."""

UNFINISHED: Final = (".part", ".tmp", ".filepart", ".crdownload", ".swp", "~")
"""Endings that senders give to what they are still writing."""

NOT_PLAIN: Final = (errno.ELOOP, errno.ENXIO)
"""What opening a link or a pipe answers when it came in the file's place."""

Place = Literal["processed", "rejected"]


class FileChangedError(Exception):
    """The file is not as it was when it was found: it is left for the next look."""


@dataclass(frozen=True)
class FoundFile:
    """A plain file in the folder, as one look saw it."""

    path: Path
    size_bytes: int
    modified_ns: int
    inode: int

    @property
    def name(self) -> str:
        """The provider's name for it."""
        return self.path.name


@dataclass(frozen=True)
class Look:
    """What is in the folder: the whole files, and why the others are left."""

    whole: tuple[FoundFile, ...] = ()
    growing: tuple[str, ...] = ()
    """Still being written."""
    without_control: tuple[FoundFile, ...] = ()
    """Their control file is not there yet."""
    strangers: tuple[str, ...] = ()
    """Not a delivery of this provider, by name or kind."""


@dataclass(frozen=True)
class DropFolder:
    """One provider's folder.

    Attributes:
        provider: For messages.
        root: The folder.
        file_glob: What a delivery is called.
        control_suffix: What its control file's name ends in; empty when it has none.
        pause: How the time between two looks passes.
    """

    provider: str
    root: Path
    file_glob: str
    control_suffix: str = ""
    pause: Callable[[float], None] = time.sleep

    def look(self) -> Look:
        """Find the files that are whole.

        Raises:
            ConfigError: When the folder is not there, or files could not be moved in it.
            StorageError: When the disk refuses to tell.
        """
        self._require_places()
        first, strangers = self._listed()
        if not first:
            return Look(strangers=strangers)
        self.pause(SECOND_LOOK_S)
        second, _ = self._listed()
        still = {each for each in second.values() if first.get(each.name) == each}
        whole, growing, alone = [], [], []
        for file in first.values():
            if self._is_control(file.name, first):
                continue
            if file not in still or self._is_open(file):
                growing.append(file.name)
            elif not self._has_control(file, still):
                alone.append(file)
            else:
                whole.append(file)
        return Look(tuple(whole), tuple(growing), tuple(alone), strangers)

    def control_text(self, file: FoundFile) -> str | None:
        """Read the control file beside a file; None when there is none."""
        if not self.control_suffix:
            return None
        beside = _seen(file.path.with_name(file.name + self.control_suffix))
        if beside is None:
            return None
        # What is no UTF-8 cannot match a count, an amount or a hash: it is found wrong.
        return b"".join(self.blocks(beside)).decode("utf-8", errors="replace")

    def blocks(self, file: FoundFile) -> Iterator[bytes]:
        """Yield a file's bytes.

        Raises:
            FileChangedError: At the latest after the last block, when it is not the file
                that was found, or did not stay as it was.
            StorageError: When the disk refuses to read it.
        """
        with self._disk_trouble(file.path, "read"), _opened(file) as fd:
            while block := os.read(fd, BLOCK_BYTES):
                yield block
            if not _is_same(os.fstat(fd), file):
                raise FileChangedError(file.name)

    def sha256(self, file: FoundFile) -> str:
        """Return the hash of a file's bytes; raises as ``blocks`` does."""
        digest = hashlib.sha256()
        for block in self.blocks(file):
            digest.update(block)
        return digest.hexdigest()

    def put_away(self, file: FoundFile, place: Place) -> Path:
        """Move a file, its control file first, to ``processed/`` or ``rejected/``.

        Raises:
            FileChangedError: When another file came in its place; that one stays.
            StorageError: When the disk refuses.
        """
        failpoint("folder_before_move")
        control = file.path.with_name(file.name + self.control_suffix)
        if self.control_suffix and _seen(control) is not None:
            self._move(control, place)
        moved = self._move(file.path, place)
        failpoint("folder_after_move")
        if not _is_same(moved.lstat(), file):
            if not file.path.exists():
                moved.replace(file.path)
            raise FileChangedError(file.name)
        return moved

    def put_away_import(self, shown_name: str, sha256: str, place: Place) -> bool:
        """Move the file of an import, if it is still here with the same content."""
        files, _ = self._listed()
        for file in files.values():
            if safe_name(file.name) != shown_name:
                continue
            try:
                if self.sha256(file) == sha256:
                    self.put_away(file, place)
                    return True
            except FileChangedError:
                continue
        return False

    def _require_places(self) -> None:
        where = f"sync profile {self.provider}: settings.folder = {str(self.root)!r}"
        if not self.root.is_dir():
            message = f"{where} is not a folder; make it, or mend sync_profiles.toml"
            raise ConfigError(message)
        for place in ("processed", "rejected"):
            folder = self.root / place
            try:
                folder.mkdir(mode=0o770, exist_ok=True)
                is_folder = stat.S_ISDIR(folder.lstat().st_mode)
            except OSError as exc:
                message = f"{where}: {place}/ cannot be made there ({exc.strerror})"
                raise ConfigError(message) from exc
            if not is_folder or not os.access(folder, os.W_OK | os.X_OK):
                message = f"{where}: {place}/ is not a folder that can be written"
                raise ConfigError(message)
        if not os.access(self.root, os.R_OK | os.W_OK | os.X_OK):
            message = f"{where} cannot be read and written; files could not be moved out"
            raise ConfigError(message)

    def _listed(self) -> tuple[dict[str, FoundFile], tuple[str, ...]]:
        """Every plain file that may be a delivery or its control file, and the rest."""
        files: dict[str, FoundFile] = {}
        strangers: list[str] = []
        with self._disk_trouble(self.root, "list"), os.scandir(self.root) as entries:
            for entry in entries:
                if entry.name in ("processed", "rejected") or _is_unfinished(entry.name):
                    continue
                file = _seen(Path(entry.path)) if self._is_wanted(entry.name) else None
                if file is None:
                    strangers.append(entry.name)
                else:
                    files[file.name] = file
        return dict(sorted(files.items())), tuple(sorted(strangers))

    def _is_wanted(self, name: str) -> bool:
        bare = name.removesuffix(self.control_suffix) if self.control_suffix else name
        return fnmatchcase(name, self.file_glob) or fnmatchcase(bare, self.file_glob)

    def _is_control(self, name: str, files: dict[str, FoundFile]) -> bool:
        """Whether a file is a control file: of one that is here, or of none."""
        if not self.control_suffix or not name.endswith(self.control_suffix):
            return False
        is_beside = name.removesuffix(self.control_suffix) in files
        return is_beside or not fnmatchcase(name, self.file_glob)

    def _has_control(self, file: FoundFile, still: set[FoundFile]) -> bool:
        if not self.control_suffix:
            return True
        name = file.name + self.control_suffix
        control = next((each for each in still if each.name == name), None)
        return control is not None and not self._is_open(control)

    def _is_open(self, file: FoundFile) -> bool:
        """Whether someone on this machine has the file open for writing.

        Where the file system cannot say, two equal looks must do.
        """
        try:
            with _opened(file) as fd:
                return _has_writer(fd)
        except FileChangedError:
            return True
        except OSError:
            return False  # reading it will tell what is wrong

    def _move(self, path: Path, place: Place) -> Path:
        with self._disk_trouble(path, "move"):
            to = _taken_name(self.root / place, path.name)
            try:
                path.replace(to)
            except OSError:
                to.unlink()
                raise
            return to

    @contextmanager
    def _disk_trouble(self, path: Path, doing: str) -> Iterator[None]:
        try:
            yield
        except OSError as exc:
            message = (
                f"sync profile {self.provider}: cannot {doing} {self.root}/"
                f"{safe_name(path.name)}: {exc.strerror or type(exc).__name__}"
            )
            raise StorageError(message) from exc


def _taken_name(folder: Path, name: str) -> Path:
    """Take a free name in a folder by an empty file of ours; numbered when need be.

    A kill leaves that empty file behind, and the next move takes the next number.
    """
    number = 0
    while True:
        path = folder / (f"{name}.{number}" if number else name)
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(path, flags, 0o600))
        except FileExistsError:
            number += 1
        else:
            return path


def _is_unfinished(name: str) -> bool:
    return name.startswith(".") or name.lower().endswith(UNFINISHED)


def _seen(path: Path) -> FoundFile | None:
    """Look at one name; None when no plain file has it."""
    try:
        found = path.lstat()
    except OSError:
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return FoundFile(path, found.st_size, found.st_mtime_ns, found.st_ino)


@contextmanager
def _opened(file: FoundFile) -> Iterator[int]:
    """Open the very file that was found; a pipe put in its place does not hang."""
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        fd = os.open(file.path, flags)
    except FileNotFoundError as exc:
        raise FileChangedError(file.name) from exc
    except OSError as exc:
        if exc.errno in NOT_PLAIN:
            raise FileChangedError(file.name) from exc
        raise
    try:
        if not _is_same(os.fstat(fd), file):
            raise FileChangedError(file.name)
        yield fd
    finally:
        os.close(fd)


def _is_same(found: os.stat_result, file: FoundFile) -> bool:
    return stat.S_ISREG(found.st_mode) and file == FoundFile(
        file.path, found.st_size, found.st_mtime_ns, found.st_ino
    )


def _has_writer(fd: int) -> bool:
    """Ask the kernel for a read lease, which it refuses while there is a writer.

    The lease is given back at once. Should a writer come in between, the kernel tells it
    by SIGURG, which does nothing, and not by SIGIO, which would end this process.
    """
    try:
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as exc:
        return exc.errno in (errno.EAGAIN, errno.EWOULDBLOCK)
    return False
