"""ZIP directory: what an archive says it holds, believed only when all of it agrees.

Effects: reads through the ``read_at`` it is given. A ZIP describes itself twice (central
directory and local headers), and readers that trust one half are fooled by the other. So
every byte of the file must have one owner: entries lie end to end from offset 0, the
directory follows, its end record is the end of the file, and both halves say the same.
Nothing can be hidden between, before or after, and no member can vanish.

Layout and names of the fields: PKWARE APPNOTE 6.3. Units: ``_bytes``, offsets in bytes.
"""

import struct
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from stat import S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFMT, S_IFSOCK
from typing import NoReturn

from etl.storage import safe_name
from transforms.errors import BadArchive

ReadAt = Callable[[int, int], bytes]
"""``read_at(offset, count)`` returns exactly ``count`` bytes or raises BadArchive."""

STORED, DEFLATED = 0, 8

METHODS = {
    1: "shrunk", 6: "imploded", 9: "deflate64", 12: "bzip2", 14: "lzma", 93: "zstd",
    95: "xz", 97: "wavpack", 98: "ppmd", 99: "AES-encrypted",
}  # fmt: skip
"""Names for a message; only stored and deflated members are read."""

LOCAL, CENTRAL, END = b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06"
END_64, LOCATOR_64, DESCRIPTOR = b"PK\x06\x06", b"PK\x06\x07", b"PK\x07\x08"

ENCRYPTED, HAS_DESCRIPTOR, PATCHED, STRONG, UTF8, MASKED = 1, 8, 32, 64, 2048, 8192
FULL_16, FULL_32 = 0xFFFF, 0xFFFFFFFF
"""A field of this value stands in the zip64 record or extra field instead."""

MAX_NAME = 255
MAX_COMMENT_BYTES = 0xFFFF
MIN_DIRECTORY_BYTES, MAX_HEADER_BYTES = 46, 46 + 3 * 0xFFFF

SPECIAL = {
    S_IFLNK: "a symbolic link", S_IFCHR: "a device", S_IFBLK: "a device",
    S_IFIFO: "a pipe", S_IFSOCK: "a socket",
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """One file inside the archive, as both halves describe it."""

    name: str
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    data_offset: int


@dataclass(frozen=True)
class _Header:
    """One header of the central directory."""

    raw_name: bytes
    name: str
    flags: int
    method: int
    crc: int
    packed_bytes: int
    size_bytes: int
    offset: int
    is_folder: bool


@dataclass(frozen=True)
class _End:
    """What the end of the archive says of its directory."""

    entries: int
    offset: int
    size_bytes: int


def read_directory(read_at: ReadAt, file_bytes: int, max_entries: int) -> list[Entry]:
    """Return every file of an archive; folders are checked and left out.

    Raises:
        BadArchive: When anything in it is damaged, hostile, hidden or unsupported.
    """
    end = _read_end(read_at, file_bytes)
    _check_counts(end, max_entries)
    headers = _read_headers(read_at(end.offset, end.size_bytes), end.entries)
    _check_names([header.name for header in headers])
    headers.sort(key=lambda header: header.offset)
    limits = [*(header.offset for header in headers), end.offset]
    if limits[0] != 0:
        _refuse(f"{limits[0]} bytes before its first member are not part of it")
    entries = [
        _read_entry(read_at, header, stop)
        for header, (_, stop) in zip(headers, pairwise(limits), strict=True)
    ]
    return [entry for entry in entries if entry is not None]


def _read_end(read_at: ReadAt, file_bytes: int) -> _End:
    """Find the one end record whose comment ends where the file ends."""
    tail_bytes = min(file_bytes, 22 + MAX_COMMENT_BYTES)
    tail = read_at(file_bytes - tail_bytes, tail_bytes)
    places = [at for at in _places(tail, END) if _ends_the_file(tail, at)]
    if len(places) != 1:
        reason = (
            "its end record is missing: it is cut off, or bytes follow it"
            if not places
            else "it has two end records"
        )
        _refuse(reason)
    at = places[0]
    disk, first_disk, here, entries, size, offset = struct.unpack_from(
        "<4H2L", tail, at + 4
    )
    end_at = file_bytes - tail_bytes + at
    short = (disk, first_disk, here, entries, size, offset)
    locator = read_at(end_at - 20, 20) if end_at >= 20 else b""
    if locator[:4] == LOCATOR_64:
        end, directory_end = _read_end_64(read_at, locator, end_at, short)
    elif FULL_16 in short[:4] or FULL_32 in short[4:]:
        _refuse("its zip64 end record is missing")
    else:
        _check_disks(disk, first_disk, here, entries)
        end, directory_end = _End(entries, offset, size), end_at
    if end.offset + end.size_bytes != directory_end:
        _refuse("its directory is not where its end record says")
    return end


def _places(data: bytes, mark: bytes) -> list[int]:
    places, at = [], data.find(mark)
    while at >= 0:
        places.append(at)
        at = data.find(mark, at + 1)
    return places


def _ends_the_file(tail: bytes, at: int) -> bool:
    if at + 22 > len(tail):
        return False
    (comment_bytes,) = struct.unpack_from("<H", tail, at + 20)
    return at + 22 + int(comment_bytes) == len(tail)


def _read_end_64(
    read_at: ReadAt, locator: bytes, end_at: int, short: Sequence[int]
) -> tuple[_End, int]:
    """Read the zip64 end record; whatever the short record also says must agree."""
    disk, at, disks = struct.unpack_from("<LQL", locator, 4)
    if disk != 0 or disks != 1:
        _refuse("it is one part of an archive in several parts")
    if at + 56 > end_at - 20:
        _refuse("its zip64 end record is out of place")
    record = read_at(at, 56)
    (more_bytes,) = struct.unpack_from("<Q", record, 4)
    if record[:4] != END_64 or at + 12 + more_bytes != end_at - 20:
        _refuse("its zip64 end record is damaged")
    long = struct.unpack_from("<2L4Q", record, 16)
    full = (FULL_16, FULL_16, FULL_16, FULL_16, FULL_32, FULL_32)
    for short_value, long_value, sentinel in zip(short, long, full, strict=True):
        if short_value not in (sentinel, long_value):
            _refuse("its two end records disagree")
    disk, first_disk, here, entries, size, offset = long
    _check_disks(disk, first_disk, here, entries)
    return _End(entries, offset, size), at


def _check_disks(disk: int, first_disk: int, here: int, entries: int) -> None:
    if disk != 0 or first_disk != 0 or here != entries:
        _refuse("it is one part of an archive in several parts")


def _check_counts(end: _End, max_entries: int) -> None:
    if end.entries < 1:
        _refuse("it is empty")
    if end.entries > max_entries:
        _refuse(f"it has {end.entries} members, and max_members is {max_entries}")
    fits = MIN_DIRECTORY_BYTES * end.entries <= end.size_bytes
    if not fits or end.size_bytes > MAX_HEADER_BYTES * end.entries:
        _refuse("its directory has the wrong size for its members")


def _read_headers(directory: bytes, entries: int) -> list[_Header]:
    """Read exactly so many headers, which fill the directory exactly."""
    headers: list[_Header] = []
    at = 0
    for _ in range(entries):
        header, at = _read_header(directory, at)
        headers.append(header)
    if at != len(directory):
        _refuse("its directory holds more than its members")
    return headers


def _read_header(directory: bytes, at: int) -> tuple[_Header, int]:
    if directory[at : at + 4] != CENTRAL or at + 46 > len(directory):
        _refuse("its directory is damaged")
    made, needs, flags, method, _, crc, packed, size = struct.unpack_from(
        "<4HL3L", directory, at + 4
    )
    name_bytes, extra_bytes, comment_bytes, disk, _, attributes, offset = (
        struct.unpack_from("<5H2L", directory, at + 28)
    )
    name_end = at + 46 + name_bytes
    stop = name_end + extra_bytes + comment_bytes
    if stop > len(directory):
        _refuse("its directory is cut off")
    raw_name = directory[at + 46 : name_end]
    name = _decoded(raw_name, flags)
    extra = directory[name_end : name_end + extra_bytes]
    size, packed, offset, disk = _zip64(
        extra, [(size, 8), (packed, 8), (offset, 8), (disk, 4)], name
    )
    _check_kind(name, made, needs, disk, attributes)
    _check_method(name, flags, method)
    is_folder = name.endswith("/")
    header = _Header(raw_name, name, flags, method, crc, packed, size, offset, is_folder)
    return header, stop


def _decoded(raw: bytes, flags: int) -> str:
    try:
        return raw.decode("utf-8" if flags & UTF8 else "cp437")
    except UnicodeDecodeError as exc:
        reason = f"the name of a member is not UTF-8: {safe_name(repr(raw))}"
        raise BadArchive(reason) from exc


def _zip64(extra: bytes, fields: Sequence[tuple[int, int]], name: str) -> list[int]:
    """Take the values that do not fit in their field from the zip64 extra field."""
    long = _zip64_field(extra)
    at = 0
    values: list[int] = []
    for value, width in fields:
        if value != (FULL_32 if width == 8 else FULL_16):
            values.append(value)
            continue
        if at + width > len(long):
            _refuse("a zip64 size is missing", name)
        values.append(int.from_bytes(long[at : at + width], "little"))
        at += width
    return values


def _zip64_field(extra: bytes) -> bytes:
    """Return the content of the first extra field 1, or nothing."""
    at = 0
    while at + 4 <= len(extra):
        kind, count = struct.unpack_from("<2H", extra, at)
        if kind == 1:
            return extra[at + 4 : at + 4 + count]
        at += 4 + count
    return b""


def _check_kind(name: str, made: int, needs: int, disk: int, attributes: int) -> None:
    if disk != 0:
        _refuse("it lies in another part of the archive", name)
    if needs & 0xFF > 63:
        _refuse(f"it needs version {(needs & 0xFF) / 10} of the format", name)
    kind = S_IFMT(attributes >> 16)
    if kind in SPECIAL:
        _refuse(f"it is {SPECIAL[kind]}", name)
    is_unix = made >> 8 in (3, 19)
    says_folder = bool(attributes & 0x10) or (is_unix and kind == S_IFDIR)
    if says_folder and not name.endswith("/"):
        _refuse("it is a folder under the name of a file", name)


def _check_method(name: str, flags: int, method: int) -> None:
    if method not in (STORED, DEFLATED):
        known = METHODS.get(method)
        shown = f"{method} ({known})" if known else str(method)
        message = f"unsupported method {shown} in member {safe_name(name)}"
        raise BadArchive(message)
    if flags & (ENCRYPTED | STRONG | MASKED):
        _refuse("it is encrypted; ask for it without a password", name)
    if flags & PATCHED:
        _refuse("it is a patch, not a file", name)


def _check_names(names: Sequence[str]) -> None:
    """Refuse names that mean a place elsewhere, or the same place twice."""
    seen: dict[str, str] = {}
    for name in names:
        fault = _name_fault(name)
        if fault:
            _refuse(fault, name)
        key = _folded(name.removesuffix("/"))
        if key in seen:
            _refuse(f"its name equals that of {safe_name(seen[key])}", name)
        seen[key] = name
    files = {_folded(name) for name in names if not name.endswith("/")}
    for name in names:
        parts = name.removesuffix("/").split("/")
        if any(_folded("/".join(parts[:end])) in files for end in range(1, len(parts))):
            _refuse("it lies below a member that is a file", name)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def _name_fault(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"its name has {len(name)} characters, and {MAX_NAME} is the most"
    if any(unicodedata.category(char) in ("Cc", "Zl", "Zp") for char in name):
        return "its name holds control characters"
    if "\\" in name:
        return "its name holds a backslash"
    if name[1:2] == ":" and name[0].isalpha():
        return "its name begins with a drive"
    parts = name.removesuffix("/").split("/")
    if any(part in ("", ".", "..") for part in parts):
        return "its name leads out of the archive"
    return ""


def _read_entry(read_at: ReadAt, header: _Header, stop: int) -> Entry | None:
    """Compare a local header with its central one; their bytes end exactly at ``stop``."""
    start = header.offset
    if start + 30 > stop:
        _refuse("it overlaps another member", header.name)
    fixed = read_at(start, 30)
    if fixed[:4] != LOCAL:
        _refuse("its local header is not where the directory says", header.name)
    flags, method, _, crc, packed, size, name_bytes, extra_bytes = struct.unpack_from(
        "<2HL3L2H", fixed, 6
    )
    data_offset = start + 30 + name_bytes + extra_bytes
    data_end = data_offset + header.packed_bytes
    if data_end > stop:
        _refuse("it overlaps another member", header.name)
    rest = read_at(start + 30, name_bytes + extra_bytes)
    if (rest[:name_bytes], flags, method) != (
        header.raw_name,
        header.flags,
        header.method,
    ):
        _refuse("its local header disagrees with the directory", header.name)
    _check_sizes(header, (crc, packed, size), rest[name_bytes:])
    _check_gap(header, read_at(data_end, min(stop - data_end, 25)), stop - data_end)
    return _entry(header, data_offset)


def _check_sizes(header: _Header, local: tuple[int, int, int], extra: bytes) -> None:
    """Compare checksum and sizes; a descriptor after the data may stand for them."""
    crc, packed, size = local
    is_later = bool(header.flags & HAS_DESCRIPTOR)
    if is_later and packed in (0, FULL_32) and size in (0, FULL_32) and crc == 0:
        return
    size, packed = _zip64(extra, [(size, 8), (packed, 8)], header.name)
    if (crc, packed, size) != (header.crc, header.packed_bytes, header.size_bytes):
        _refuse("its local header disagrees with the directory", header.name)


def _check_gap(header: _Header, gap: bytes, gap_bytes: int) -> None:
    """What follows the data is its descriptor, or nothing."""
    values = header.crc, header.packed_bytes, header.size_bytes
    allowed = [b""]
    if header.flags & HAS_DESCRIPTOR:
        long = struct.pack("<L2Q", *values)
        allowed = [DESCRIPTOR + long, long]
        if max(values) <= FULL_32:
            short = struct.pack("<3L", *values)
            allowed += [DESCRIPTOR + short, short]
    if gap_bytes != len(gap) or gap not in allowed:
        _refuse("bytes after its data belong to no member", header.name)


def _entry(header: _Header, data_offset: int) -> Entry | None:
    if header.is_folder:
        if header.size_bytes or header.crc or header.packed_bytes > 2:
            _refuse("it is a folder that holds data", header.name)
        return None
    if header.method == STORED and header.packed_bytes != header.size_bytes:
        _refuse("it is stored, but its two sizes differ", header.name)
    return Entry(
        name=header.name,
        method=header.method,
        crc=header.crc,
        packed_bytes=header.packed_bytes,
        size_bytes=header.size_bytes,
        data_offset=data_offset,
    )


def _refuse(reason: str, member: str = "") -> NoReturn:
    """Refuse the archive; ``archive`` puts the file's name before it."""
    message = f"member {safe_name(member)}: {reason}" if member else reason
    raise BadArchive(message)
