"""Archive: a delivered file opened safely, its members streamed.

Effects: reads one file; never writes, never unpacks to disk. What a file is, its first
bytes decide: a ZIP, a gzip of one file, or the file itself. A member's length and
checksum are proven at its last byte, so nothing of a delivery may be used before every
member was read to its end.

Whatever a damaged or hostile archive raises becomes one BadArchive that names the file
and the member. Units: whole bytes (``_bytes``); limits are the profile's.
"""

import os
import stat
import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from types import TracebackType
from typing import Self

from etl.extract.zip_directory import CENTRAL, END, LOCAL, STORED, Entry, read_directory
from etl.storage import safe_name
from transforms.errors import BadArchive, ConfigError, DeliveryRefused
from transforms.profile import Layout, Source

MIB = 1 << 20
BLOCK_BYTES = MIB
PACKED_BYTES = 1 << 18
"""How much packed data is read at a time."""

MAX_RATIO = 200
RATIO_FREE_BYTES = 10 * MIB
"""Up to this size a member may be packed as tightly as it likes."""

GZIP = b"\x1f\x8b"
GZIP_WRAPPER, NO_WRAPPER = 31, -15
"""What zlib shall expect around the deflated data."""

ZIP_MARKS = (LOCAL, END, CENTRAL, b"PK\x07\x08", b"PK\x06\x06")
OTHER_KINDS = {
    GZIP: "gzip",
    b"7z\xbc\xaf\x27\x1c": "7z",
    b"Rar!\x1a\x07": "RAR",
    b"\xfd7zXZ\x00": "xz",
    b"\x28\xb5\x2f\xfd": "zstd",
    b"\xd0\xcf\x11\xe0": "Microsoft Office",
    b"%PDF-": "PDF",
}

BROKEN = (
    zlib.error,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ValueError,  # UnicodeDecodeError too
    OSError,
    struct.error,
    OverflowError,
    MemoryError,
    IndexError,
)
"""What reading a damaged file can raise."""


@dataclass(frozen=True)
class Member:
    """One file of a delivery.

    ``size_bytes``: as declared; a gzip declares it modulo 2**32.
    """

    name: str
    size_bytes: int
    _open: Callable[[int], Iterator[bytes]] = field(repr=False)

    def blocks(self, block_bytes: int = BLOCK_BYTES) -> Iterator[bytes]:
        """Yield the member's bytes, at most so many at a time.

        Raises:
            BadArchive: At the latest after the last block, when the member is damaged;
                what was yielded before is not to be used then.
        """
        return self._open(block_bytes)


@dataclass(frozen=True)
class Delivery:
    """An open delivery; close it by ``with``."""

    name: str
    members: tuple[Member, ...]
    _file: "_File" = field(repr=False)

    def __enter__(self) -> Self:
        """Stay open until the block ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close the file."""
        self._file.close()


@dataclass(frozen=True)
class Matched:
    """A member, the layout that reads it, and its control file if it has one here."""

    member: Member
    layout: Layout
    sidecar: Member | None = None


def open_delivery(path: Path, source: Source, *, file_name: str = "") -> Delivery:
    """Open a delivered file and check its directory.

    ``CDR_10001_202610.zip`` has the members of the ZIP; ``kpn.csv`` and ``kpn.csv.gz``
    have one member, ``kpn.csv``.

    Args:
        path: Where the bytes are.
        source: The profile's limits: ``max_members``, ``max_unpacked_mb``.
        file_name: The provider's name for it, when the path is not named so.

    Raises:
        ConfigError: When there is no such file.
        BadArchive: When it is damaged, hostile or of a kind that is not supported.
        DeliveryRefused: When it is empty.
    """
    name = file_name or path.name
    file = _File.at(path, name)
    try:
        with _broken_as_bad_archive(name):
            members = _members(file, source)
    except BaseException:
        file.close()
        raise
    return Delivery(name, members, file)


def match_layouts(
    members: Sequence[Member], layouts: Sequence[Layout]
) -> tuple[Matched, ...]:
    """Say which layout reads which member: the first whose ``member_glob`` fits.

    A control file beside its member (``usage.tsv.ctl`` for ``usage.tsv``) goes with it.

    Raises:
        DeliveryRefused: When no layout reads a member; none is ever passed over.
    """
    by_name = {member.name: member for member in members}
    suffixes = {lay.control.suffix for lay in layouts if lay.control.kind == "sidecar"}
    sidecars = {
        name: member
        for name, member in by_name.items()
        if any(name.endswith(end) and name.removesuffix(end) in by_name for end in suffixes)
    }
    matched: list[Matched] = []
    for member in members:
        layout = next((lay for lay in layouts if _fits(member.name, lay)), None)
        if member.name in sidecars:
            continue
        if layout is None or _is_lone_sidecar(member.name, suffixes):
            raise _unread(member, members, layouts)
        sidecar = sidecars.get(member.name + layout.control.suffix)
        matched.append(Matched(member, layout, sidecar if layout.control.suffix else None))
    return tuple(matched)


def _fits(name: str, layout: Layout) -> bool:
    base = name.rpartition("/")[2]
    return any(fnmatchcase(part, layout.member_glob) for part in (name, base))


def _is_lone_sidecar(name: str, suffixes: set[str]) -> bool:
    return any(suffix and name.endswith(suffix) for suffix in suffixes)


def _unread(
    member: Member, members: Sequence[Member], layouts: Sequence[Layout]
) -> DeliveryRefused:
    names = ", ".join(safe_name(each.name) for each in members)
    globs = ", ".join(f"{layout.name} reads {layout.member_glob}" for layout in layouts)
    message = (
        f"no layout reads member {safe_name(member.name)} (members: {names}; "
        f"layouts: {globs}); correct member_glob in the profile or ask the provider"
    )
    return DeliveryRefused(message)


class _File:
    """An open file, read by offset; its length is the one it had when it was opened."""

    def __init__(self, fd: int, name: str, size_bytes: int) -> None:
        self._fd = fd
        self.name = name
        self.size_bytes = size_bytes

    @classmethod
    def at(cls, path: Path, name: str) -> "_File":
        try:
            # Not blocking, so that a pipe cannot make this wait for its writer.
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except (OSError, ValueError) as exc:
            why = getattr(exc, "strerror", None) or str(exc)
            message = f"cannot open {safe_name(str(path))}: {why}; correct the path"
            raise ConfigError(message) from exc
        status = os.fstat(fd)
        if not stat.S_ISREG(status.st_mode):
            os.close(fd)
            message = f"{safe_name(name)} is not a file"
            raise ConfigError(message)
        return cls(fd, name, status.st_size)

    def read_at(self, offset: int, count: int) -> bytes:
        """Return exactly these bytes."""
        data = os.pread(self._fd, count, offset) if count else b""
        if len(data) != count:
            message = f"it ends before offset {offset + count}; is it cut off?"
            raise BadArchive(message)
        return data

    def pieces(self, offset: int, count: int, piece_bytes: int) -> Iterator[bytes]:
        for at in range(offset, offset + count, piece_bytes):
            yield self.read_at(at, min(piece_bytes, offset + count - at))

    def close(self) -> None:
        os.close(self._fd)


def _members(file: _File, source: Source) -> tuple[Member, ...]:
    if file.size_bytes == 0:
        message = f"{safe_name(file.name)} is empty; ask for it again"
        raise DeliveryRefused(message)
    head = file.read_at(0, min(4, file.size_bytes))
    if head in ZIP_MARKS:
        return _zip_members(file, source)
    if head.startswith(GZIP):
        return (_gzip_member(file, source),)
    _check_is_no_archive(file)
    return (Member(file.name, file.size_bytes, _plain_blocks(file)),)


def _zip_members(file: _File, source: Source) -> tuple[Member, ...]:
    entries = read_directory(file.read_at, file.size_bytes, source.max_members)
    if not entries:
        message = "it holds folders only"
        raise BadArchive(message)
    limit_bytes = source.max_unpacked_mb * MIB
    total_bytes = sum(entry.size_bytes for entry in entries)
    if total_bytes > limit_bytes:
        message = (
            f"it unpacks to {total_bytes} bytes, and max_unpacked_mb allows {limit_bytes}"
        )
        raise BadArchive(message)
    for entry in entries:
        with _about(entry.name):
            _check_ratio(entry.size_bytes, entry.packed_bytes)
    return tuple(
        Member(entry.name, entry.size_bytes, _zip_blocks(file, entry)) for entry in entries
    )


def _check_ratio(size_bytes: int, packed_bytes: int) -> None:
    if size_bytes > RATIO_FREE_BYTES and size_bytes > MAX_RATIO * packed_bytes:
        message = (
            f"{packed_bytes} bytes unpack to {size_bytes} or more, over {MAX_RATIO} times "
            "as much: no list of calls does that"
        )
        raise BadArchive(message)


def _gzip_member(file: _File, source: Source) -> Member:
    name = file.name[:-3] if file.name.lower().endswith(".gz") else file.name
    if file.size_bytes < 18:
        message = "it is cut off"
        raise BadArchive(message)
    size_bytes = int.from_bytes(file.read_at(file.size_bytes - 4, 4), "little")
    limit_bytes = source.max_unpacked_mb * MIB
    return Member(name, size_bytes, _gzip_blocks(file, limit_bytes))


def _check_is_no_archive(file: _File) -> None:
    """Refuse archives in disguise: a damaged start, a prefix, or another kind."""
    head = file.read_at(0, min(file.size_bytes, 1 << 16))
    tail_bytes = min(file.size_bytes, 1 << 17)
    tail = file.read_at(file.size_bytes - tail_bytes, tail_bytes)
    if LOCAL in head or CENTRAL in tail or END in tail:
        message = "it is a ZIP that does not begin as one: damaged, or bytes before it"
        raise BadArchive(message)
    if file.name.lower().endswith(".gz"):
        message = "it is named .gz but does not begin as a gzip"
        raise BadArchive(message)
    _check_is_unpacked(head)


def _check_is_unpacked(head: bytes) -> None:
    if head[:4] in ZIP_MARKS:
        message = "it is itself a ZIP; deliver it unpacked"
        raise BadArchive(message)
    for mark, kind in OTHER_KINDS.items():
        if head.startswith(mark):
            message = f"it is a {kind} file, which is not supported; deliver it as text"
            raise BadArchive(message)


def _plain_blocks(file: _File) -> Callable[[int], Iterator[bytes]]:
    def blocks(block_bytes: int) -> Iterator[bytes]:
        with _broken_as_bad_archive(file.name):
            yield from file.pieces(0, file.size_bytes, block_bytes)

    return blocks


def _zip_blocks(file: _File, entry: Entry) -> Callable[[int], Iterator[bytes]]:
    def blocks(block_bytes: int) -> Iterator[bytes]:
        with _broken_as_bad_archive(file.name), _about(entry.name):
            yield from _verified(_unpacked(file, entry, block_bytes), entry)

    return blocks


def _unpacked(file: _File, entry: Entry, block_bytes: int) -> Iterator[bytes]:
    if entry.method == STORED:
        return file.pieces(entry.data_offset, entry.packed_bytes, block_bytes)
    packed = file.pieces(entry.data_offset, entry.packed_bytes, PACKED_BYTES)
    return _inflated(packed, NO_WRAPPER, block_bytes)


def _verified(blocks: Iterator[bytes], entry: Entry) -> Iterator[bytes]:
    """Pass blocks on while they are what the directory says, and prove it at the end."""
    size_bytes, crc = 0, 0
    for block in blocks:
        if size_bytes == 0:
            _check_is_unpacked(block)
        size_bytes += len(block)
        crc = zlib.crc32(block, crc)
        if size_bytes > entry.size_bytes:
            message = f"it unpacks to more than the {entry.size_bytes} bytes it declares"
            raise BadArchive(message)
        yield block
    if size_bytes != entry.size_bytes:
        message = f"it unpacks to {size_bytes} bytes and declares {entry.size_bytes}"
        raise BadArchive(message)
    if crc != entry.crc:
        message = "its checksum (CRC) is wrong: it is damaged; ask for the file again"
        raise BadArchive(message)


def _gzip_blocks(file: _File, limit_bytes: int) -> Callable[[int], Iterator[bytes]]:
    def blocks(block_bytes: int) -> Iterator[bytes]:
        with _broken_as_bad_archive(file.name):
            packed = file.pieces(0, file.size_bytes, PACKED_BYTES)
            size_bytes = 0
            for block in _inflated(packed, GZIP_WRAPPER, block_bytes):
                if size_bytes == 0:
                    _check_is_unpacked(block)
                size_bytes += len(block)
                _check_ratio(size_bytes, file.size_bytes)
                if size_bytes > limit_bytes:
                    message = f"it unpacks to more than the {limit_bytes} bytes allowed"
                    raise BadArchive(message)
                yield block

    return blocks


def _inflated(packed: Iterator[bytes], wrapper: int, block_bytes: int) -> Iterator[bytes]:
    """Inflate one stream that fills its packed bytes exactly.

    A gzip's own checksum and length are checked by zlib.
    """
    inflater = zlib.decompressobj(wrapper)
    for piece in packed:
        if inflater.eof:
            raise _bytes_follow()
        data, is_full = piece, True
        while (data or is_full) and not inflater.eof:
            block = inflater.decompress(data, block_bytes)
            data, is_full = inflater.unconsumed_tail, len(block) == block_bytes
            if block:
                yield block
        if inflater.unused_data:
            raise _bytes_follow()
    if not inflater.eof:
        message = "its packed data is cut off"
        raise BadArchive(message)


def _bytes_follow() -> BadArchive:
    return BadArchive("bytes follow its packed data; only one file may be packed in it")


@contextmanager
def _about(member: str) -> Iterator[None]:
    """Name the member in the refusal."""
    try:
        yield
    except BadArchive as exc:
        message = f"member {safe_name(member)}: {exc}"
        raise BadArchive(message) from exc
    except BROKEN as exc:
        message = f"member {safe_name(member)}: {_told(exc)}"
        raise BadArchive(message) from exc


@contextmanager
def _broken_as_bad_archive(name: str) -> Iterator[None]:
    """Name the file in the refusal, and let nothing else out that a bad file can cause."""
    try:
        yield
    except BadArchive as exc:
        message = f"{safe_name(name)}: {exc}"
        raise BadArchive(message) from exc
    except BROKEN as exc:
        message = f"{safe_name(name)}: {_told(exc)}"
        raise BadArchive(message) from exc


def _told(exc: BaseException) -> str:
    return f"it cannot be read ({type(exc).__name__}: {safe_name(str(exc))})"
