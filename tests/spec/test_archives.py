"""What a delivered archive may be, and what is refused: each attack made on the spot."""

import gzip
import io
import os
import resource
import stat
import struct
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from etl.extract.archive import Member, match_layouts, open_delivery
from transforms.errors import BadArchive, ConfigError, DeliveryRefused
from transforms.profile import (
    Choice,
    Control,
    Dedupe,
    Layout,
    Money,
    Source,
    Time,
)

SOURCE = Source(kind="zip", file_glob="*", max_members=64, max_unpacked_mb=64)
MOBILE = b"id;price\n1;0,10\n2;0,20\n"
FIXED = b"id;price\n7;1,00\n" * 8

Change = Callable[[bytes], bytes]


def unpacked(data: bytes, folder: Path, name: str = "d.zip") -> dict[str, bytes]:
    """Open a delivery of these bytes and read every member to its end."""
    path = folder / name
    path.write_bytes(data)
    with open_delivery(path, SOURCE) as delivery:
        return {member.name: b"".join(member.blocks()) for member in delivery.members}


def refusal(data: bytes, folder: Path, name: str = "d.zip") -> str:
    with pytest.raises(BadArchive) as caught:
        unpacked(data, folder, name)
    return str(caught.value)


def zipped(
    *members: tuple[str | zipfile.ZipInfo, bytes],
    method: int = zipfile.ZIP_DEFLATED,
    comment: bytes = b"",
) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as archive:
        archive.comment = comment
        for name, data in members:
            archive.writestr(name, data)
    return buffer.getvalue()


def info(name: str, mode: int = 0o100600, **fields: int) -> zipfile.ZipInfo:
    made = zipfile.ZipInfo(name)
    made.create_system = 3
    made.external_attr = mode << 16
    made.compress_type = zipfile.ZIP_DEFLATED
    for field, value in fields.items():
        setattr(made, field, value)
    return made


def renamed(old: str, new: str | bytes) -> bytes:
    """Return a ZIP whose member has a name that zipfile would not write."""
    raw = new if isinstance(new, bytes) else new.encode()
    assert len(raw) == len(old)
    return zipped((old, MOBILE)).replace(old.encode(), raw)


def patched(data: bytes, mark: bytes, offset: int, form: str, value: int) -> bytes:
    """Overwrite one field of the last header with this mark."""
    at = data.rfind(mark) + offset
    size = struct.calcsize(form)
    return data[:at] + struct.pack(form, value) + data[at + size :]


def both(data: bytes, local: int, central: int, form: str, value: int) -> bytes:
    """Overwrite one field in the local and the central header alike."""
    changed = patched(data, b"PK\x03\x04", local, form, value)
    return patched(changed, b"PK\x01\x02", central, form, value)


def streamed(*members: tuple[str, bytes]) -> bytes:
    """Return a ZIP written to a pipe: sizes follow the data in a descriptor."""

    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.data = bytearray()

        def writable(self) -> bool:
            return True

        def write(self, block: object) -> int:
            self.data += memoryview(block)  # type: ignore[arg-type]  # a buffer
            return memoryview(block).nbytes  # type: ignore[arg-type]  # a buffer

    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return bytes(pipe.data)


def with_zip64_end(data: bytes) -> bytes:
    """Return the same ZIP with a zip64 end record before the end record."""
    at = data.rfind(b"PK\x05\x06")
    entries, size, offset = struct.unpack_from("<H2L", data, at + 10)
    record = b"PK\x06\x06" + struct.pack(
        "<Q2H2L4Q", 44, 45, 45, 0, 0, entries, entries, size, offset
    )
    locator = b"PK\x06\x07" + struct.pack("<LQL", 0, at, 1)
    end = struct.pack(
        "<4s4H2LH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0
    )
    return data[:at] + record + locator + end


def zip64_member() -> bytes:
    buffer = io.BytesIO()
    with (
        zipfile.ZipFile(buffer, "w") as archive,
        archive.open("mobile.csv", "w", force_zip64=True) as member,
    ):
        member.write(MOBILE)
    return buffer.getvalue()


PLAIN = zipped(("mobile.csv", MOBILE), ("fixed.csv", FIXED))
ONE = zipped(("mobile.csv", MOBILE))
STORED = zipped(("mobile.csv", MOBILE), method=zipfile.ZIP_STORED)
BOTH = {"mobile.csv": MOBILE, "fixed.csv": FIXED}

OPENED = [
    ("deflated", PLAIN, BOTH),
    ("stored", STORED, {"mobile.csv": MOBILE}),
    ("comment", zipped(("mobile.csv", MOBILE), comment=b"calls"), {"mobile.csv": MOBILE}),
    (
        "end mark in the comment",
        zipped(("mobile.csv", MOBILE), comment=b"PK\x05\x06"),
        {"mobile.csv": MOBILE},
    ),
    ("descriptor", streamed(("mobile.csv", MOBILE), ("fixed.csv", FIXED)), BOTH),
    ("zip64 member", zip64_member(), {"mobile.csv": MOBILE}),
    ("zip64 end", with_zip64_end(PLAIN), BOTH),
    ("folder", zipped(("sub/", b""), ("sub/a.csv", MOBILE)), {"sub/a.csv": MOBILE}),
    ("UTF-8 name", zipped(("één.csv", MOBILE)), {"één.csv": MOBILE}),
    ("empty member", zipped(("empty.csv", b"")), {"empty.csv": b""}),
    ("blanks", zipped(("my calls.csv", MOBILE)), {"my calls.csv": MOBILE}),
]


@pytest.mark.parametrize(
    ("kind", "data", "members"), OPENED, ids=[row[0] for row in OPENED]
)
def test_a_sound_archive_gives_every_member_to_the_byte(
    kind: str, data: bytes, members: dict[str, bytes], tmp_path: Path
) -> None:
    assert unpacked(data, tmp_path) == members, kind


def nested() -> bytes:
    return zipped(("inner.zip", ONE))


def many(count: int) -> bytes:
    return zipped(*((f"{number}.csv", b"x") for number in range(count)))


def overlapping() -> bytes:
    """Two entries of the directory share one local header."""
    at = PLAIN.rfind(b"PK\x01\x02")
    return PLAIN[: at + 42] + struct.pack("<L", 0) + PLAIN[at + 46 :]


def unlisted(number: int) -> bytes:
    """Two members, of which the directory lists only one."""
    first, second = PLAIN.find(b"PK\x01\x02"), PLAIN.rfind(b"PK\x01\x02")
    end = PLAIN.rfind(b"PK\x05\x06")
    kept = [PLAIN[second:end], PLAIN[first:second]][number]
    counts = struct.pack("<2H2L", 1, 1, len(kept), first)
    return PLAIN[:first] + kept + PLAIN[end : end + 8] + counts + PLAIN[end + 20 :]


REFUSED: list[tuple[str, bytes, str]] = [
    # names that lead elsewhere
    ("traversal", renamed("aaaaaaaa.csv", "../../../etc"), "leads out"),
    ("traversal inside", renamed("aa/aa/aa.csv", "aa/../aa.csv"), "leads out"),
    ("absolute", renamed("aaaaaaaa.csv", "/etc/cron.dd"), "leads out"),
    ("doubled slash", renamed("aa/aaaaa.csv", "aa//aaaa.csv"), "leads out"),
    ("backslash", renamed("aaaaaaaa.csv", "..\\aaaaa.csv"), "backslash"),
    ("drive", renamed("aaaaaaaa.csv", "C:aaaaaa.csv"), "drive"),
    ("NUL in the name", renamed("aaaaaaaa.csv", "aaa.csv\0.exe"), "control characters"),
    ("newline in the name", renamed("aaaaaaaa.csv", "aaa\naaaa.csv"), "control characters"),
    ("escape in the name", renamed("aaaaaaa.csv", "aaa\x1b[2J.csv"), "control characters"),
    ("name of 300", zipped(("a" * 300, MOBILE)), "300 characters"),
    (
        "name not UTF-8",
        both(renamed("aaaa.csv", b"\xff\xfeaa.csv"), 6, 8, "<H", 0x800),
        "not UTF-8",
    ),
    # the same name twice
    (
        "same name",
        zipped(("a.csv", b"1"), ("b.csv", b"2")).replace(b"b.csv", b"a.csv"),
        "equals that of a.csv",
    ),
    ("case-equal name", zipped(("a.csv", b"1"), ("A.CSV", b"2")), "equals that of a.csv"),
    (
        "equal name in Unicode",
        zipped(("\u00e9.csv", b"1"), ("e\u0301.csv", b"2")),
        "equals that of",
    ),
    (
        "file as folder",
        zipped(("a", b"1"), ("a/b.csv", b"2")),
        "below a member that is a file",
    ),
    ("folder and file", zipped(("a/", b""), ("a", b"1")), "equals that of a/"),
    # not files
    (
        "symbolic link",
        zipped((info("l.csv", stat.S_IFLNK | 0o777), b"/etc/passwd")),
        "link",
    ),
    ("device", zipped((info("d.csv", stat.S_IFCHR | 0o600), b"")), "a device"),
    ("pipe", zipped((info("p.csv", stat.S_IFIFO | 0o600), b"")), "a pipe"),
    ("socket", zipped((info("s.csv", stat.S_IFSOCK | 0o600), b"")), "a socket"),
    ("folder mode", zipped((info("f.csv", stat.S_IFDIR | 0o700), b"")), "a folder under"),
    ("folder with data", zipped(("sub/", b"data")), "folder that holds data"),
    ("folders only", zipped(("sub/", b"")), "folders only"),
    # bombs
    ("ratio", zipped(("bomb.csv", b"0" * (11 << 20))), "200 times"),
    ("total", both(ONE, 22, 24, "<L", 65 << 20), "max_unpacked_mb"),
    ("nested ZIP", nested(), "itself a ZIP"),
    ("nested gzip", zipped(("a.csv", gzip.compress(MOBILE))), "gzip"),
    ("65 members", many(65), "max_members is 64"),
    ("overlapping members", overlapping(), "overlaps another"),
    ("forged packed size", patched(ONE, b"PK\x01\x02", 20, "<L", 1 << 30), "overlaps"),
    ("forged size", both(ONE, 22, 24, "<L", 5), "more than the 5 bytes"),
    ("forged larger size", both(ONE, 22, 24, "<L", 500), "declares 500"),
    ("stored with two sizes", both(STORED, 22, 24, "<L", 5), "two sizes differ"),
    # kinds that are not read
    ("encrypted", both(ONE, 6, 8, "<H", 1), "encrypted"),
    ("AES", both(ONE, 8, 10, "<H", 99), "unsupported method 99 (AES-encrypted) in member"),
    ("deflate64", both(ONE, 8, 10, "<H", 9), "unsupported method 9 (deflate64) in member"),
    (
        "zstd",
        both(ONE, 8, 10, "<H", 93),
        "unsupported method 93 (zstd) in member mobile.csv",
    ),
    ("unknown method", both(ONE, 8, 10, "<H", 77), "unsupported method 77 in member"),
    ("bzip2", zipped(("a.csv", MOBILE), method=zipfile.ZIP_BZIP2), "method 12 (bzip2)"),
    ("version 99", patched(ONE, b"PK\x01\x02", 6, "<H", 99), "needs version 9.9"),
    ("patch data", both(ONE, 6, 8, "<H", 32), "patch"),
    # in several parts
    ("second disk", patched(ONE, b"PK\x05\x06", 4, "<H", 1), "several parts"),
    ("entry on another disk", patched(ONE, b"PK\x01\x02", 34, "<H", 1), "another part"),
    (
        "half of the entries here",
        patched(PLAIN, b"PK\x05\x06", 8, "<H", 1),
        "several parts",
    ),
    # bytes that belong to nothing
    ("junk before", b"hello" + PLAIN, "does not begin as one"),
    ("program before", b"MZ" + bytes(5000) + PLAIN, "does not begin as one"),
    ("junk after", PLAIN + b"\n", "end record is missing"),
    ("comment too long", zipped(("a", b"1"), comment=b"abc")[:-1], "end record is missing"),
    ("two ZIPs in one", ONE + PLAIN, "directory is not where"),
    ("hidden first member", unlisted(0), "not part of it"),
    ("hidden second member", unlisted(1), "belong to no member"),
    ("empty ZIP", zipped(), "it is empty"),
    ("no entries counted", patched(ONE, b"PK\x05\x06", 8, "<L", 0), "it is empty"),
    (
        "zip64 that disagrees",
        patched(with_zip64_end(PLAIN), b"PK\x06\x06", 32, "<Q", 1),
        "several parts",
    ),
    ("zip64 end missing", patched(PLAIN, b"PK\x05\x06", 16, "<L", 2**32 - 1), "zip64"),
    # two halves that disagree
    ("other name", patched(ONE, b"PK\x01\x02", 46, "<B", ord("M")), "disagrees"),
    ("other CRC", patched(ONE, b"PK\x01\x02", 16, "<L", 1), "disagrees"),
    ("other flags", patched(ONE, b"PK\x01\x02", 8, "<H", 0x800), "disagrees"),
    ("wrong CRC", both(ONE, 14, 16, "<L", 1), "CRC"),
    (
        "damaged data",
        ONE.replace(zlib.compress(MOBILE)[2:8], b"\xff" * 6),
        "cannot be read",
    ),
]


@pytest.mark.parametrize(
    ("attack", "data", "words"), REFUSED, ids=[row[0] for row in REFUSED]
)
def test_an_archive_that_cannot_be_trusted_is_refused_by_name(
    attack: str, data: bytes, words: str, tmp_path: Path
) -> None:
    message = refusal(data, tmp_path)
    assert message.startswith("d.zip: "), attack
    assert words in message
    assert message.isprintable()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.zip"]


@pytest.mark.parametrize("sound", [PLAIN, streamed(*BOTH.items()), with_zip64_end(PLAIN)])
def test_no_changed_byte_changes_or_loses_a_member(sound: bytes, tmp_path: Path) -> None:
    assert unpacked(sound, tmp_path) == BOTH
    path = tmp_path / "d.zip"
    refused = 0
    for at in range(len(sound)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(sound)
            changed[at] ^= flip
            path.write_bytes(changed)
            try:
                with open_delivery(path, SOURCE) as delivery:
                    found = {m.name: b"".join(m.blocks()) for m in delivery.members}
            except BadArchive:
                refused += 1
            else:
                assert found == BOTH, (at, flip)
    # Only times, versions and the like may change without being noticed.
    assert refused > 0.8 * 3 * len(sound)


@pytest.mark.parametrize("sound", [PLAIN, streamed(*BOTH.items()), with_zip64_end(PLAIN)])
def test_no_cut_archive_is_taken_for_a_whole_one(sound: bytes, tmp_path: Path) -> None:
    for length in range(4, len(sound)):
        refusal(sound[:length], tmp_path)


def test_a_gzip_has_one_member_named_without_gz(tmp_path: Path) -> None:
    assert unpacked(gzip.compress(MOBILE), tmp_path, "kpn.csv.gz") == {"kpn.csv": MOBILE}
    assert unpacked(gzip.compress(MOBILE), tmp_path, "kpn.csv") == {"kpn.csv": MOBILE}
    assert unpacked(gzip.compress(b""), tmp_path, "kpn.csv.gz") == {"kpn.csv": b""}


GZIP_REFUSED = [
    ("second member", gzip.compress(MOBILE) + gzip.compress(FIXED), "bytes follow"),
    ("bytes after it", gzip.compress(MOBILE) + b"\0", "bytes follow"),
    ("cut off", gzip.compress(MOBILE)[:-1], "cut off"),
    ("head only", b"\x1f\x8b\x08\x00", "cut off"),
    ("wrong length", gzip.compress(MOBILE)[:-4] + b"\1\0\0\0", "cannot be read"),
    ("not a gzip", b"plain text\n", "named .gz"),
    ("a ZIP in it", gzip.compress(ONE), "itself a ZIP"),
    ("bomb", gzip.compress(b"0" * (12 << 20)), "200 times"),
]


@pytest.mark.parametrize(
    ("attack", "data", "words"), GZIP_REFUSED, ids=[row[0] for row in GZIP_REFUSED]
)
def test_a_gzip_that_is_not_one_whole_file_is_refused(
    attack: str, data: bytes, words: str, tmp_path: Path
) -> None:
    assert words in refusal(data, tmp_path, "kpn.csv.gz"), attack


def test_no_changed_byte_of_a_gzip_changes_its_member(tmp_path: Path) -> None:
    sound = gzip.compress(MOBILE, mtime=0)
    for at in range(len(sound)):
        for flip in (0x01, 0x80, 0xFF):
            changed = bytearray(sound)
            changed[at] ^= flip
            path = tmp_path / "m.csv.gz"
            path.write_bytes(changed)
            try:
                with open_delivery(path, SOURCE) as delivery:
                    found = [b"".join(member.blocks()) for member in delivery.members]
            except BadArchive:
                continue
            assert found == [MOBILE], (at, flip)


def test_a_plain_file_is_its_own_member_whatever_its_name_says(tmp_path: Path) -> None:
    assert unpacked(MOBILE, tmp_path, "kpn.csv") == {"kpn.csv": MOBILE}
    assert unpacked(MOBILE, tmp_path, "kpn.zip") == {"kpn.zip": MOBILE}


def test_a_file_in_storage_keeps_the_name_the_provider_gave_it(tmp_path: Path) -> None:
    path = tmp_path / "9f86d081884c7d65"
    path.write_bytes(gzip.compress(MOBILE))
    with open_delivery(path, SOURCE, file_name="kpn.csv.gz") as delivery:
        assert [member.name for member in delivery.members] == ["kpn.csv"]
        assert delivery.name == "kpn.csv.gz"


@pytest.mark.parametrize(
    ("head", "kind"),
    [(b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!\x1a\x07", "RAR"), (b"%PDF-", "PDF")],
)
def test_another_kind_of_archive_is_named(head: bytes, kind: str, tmp_path: Path) -> None:
    assert f"it is a {kind} file" in refusal(head + bytes(100), tmp_path, "kpn.csv")


def test_an_empty_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kpn.csv"
    path.touch()
    with pytest.raises(DeliveryRefused, match=r"kpn\.csv is empty"):
        open_delivery(path, SOURCE)


def test_what_is_no_file_is_a_mistake_in_the_command(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("missing.csv", "pipe", ".", "nul\0byte"):
        with pytest.raises(ConfigError):
            open_delivery(tmp_path / name, SOURCE)


def test_a_file_that_shrinks_while_it_is_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kpn.csv"
    path.write_bytes(FIXED)
    with open_delivery(path, SOURCE) as delivery:
        path.write_bytes(FIXED[:-1])
        with pytest.raises(BadArchive, match="is it cut off"):
            list(delivery.members[0].blocks())


def test_blocks_are_no_larger_than_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "d.zip"
    path.write_bytes(PLAIN)
    with open_delivery(path, SOURCE) as delivery:
        for member in delivery.members:
            sizes = [len(block) for block in member.blocks(10)]
            assert max(sizes) <= 10
            assert sum(sizes) == member.size_bytes == len(BOTH[member.name])


BOMBS = """
import resource, sys
from pathlib import Path
from etl.extract.archive import open_delivery
from transforms.errors import BadArchive
from transforms.profile import Source
refused = 0
for path in sys.argv[1:]:
    try:
        source = Source(kind="zip", file_glob="*", max_unpacked_mb=8192)
        with open_delivery(Path(path), source) as delivery:
            for member in delivery.members:
                for block in member.blocks():
                    pass
    except BadArchive:
        refused += 1
peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
sys.stdout.write(f"{refused} {peak_mb:.0f}")
"""


def test_bombs_are_refused_in_little_memory(tmp_path: Path) -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    packed = b"".join(packer.compress(zeros) for _ in range(200)) + packer.flush()
    forged = both(both(ONE, 18, 20, "<L", len(packed)), 22, 24, "<L", 9 << 20)
    start = forged.find(b"mobile.csv") + 10
    central = forged.find(b"PK\x01\x02")
    bomb = forged[:start] + packed + forged[central:]
    bomb = patched(bomb, b"PK\x05\x06", 16, "<L", start + len(packed))
    files = {"forged.zip": bomb, "gzip.gz": gzip.compress(bytes(64 << 20))}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    done = subprocess.run(
        [sys.executable, "-c", BOMBS, *(str(tmp_path / name) for name in files)],
        capture_output=True,
        check=True,
        text=True,
        timeout=20,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CPU, (5, 5)),
    )
    refused, peak_mb = done.stdout.split()
    assert int(refused) == 2
    assert int(peak_mb) < 300


def layout(name: str, glob: str, control: Control | None = None) -> Layout:
    return Layout(
        name=name,
        type="delimited",
        encoding="utf-8",
        time=Time(("a",), "%Y", "UTC"),
        columns={},
        usage=Choice(const="voice"),
        quantity={},
        money=Money("", "EUR"),
        dedupe=Dedupe(("record_id",)),
        member_glob=glob,
        control=control or Control(),
    )


def members(*names: str) -> list[Member]:
    return [Member(name, 0, lambda _block_bytes: iter(())) for name in names]


def matches(names: list[str], *layouts: Layout) -> list[tuple[str, str, str]]:
    """Return member, layout and control file, by name."""
    return [
        (each.member.name, each.layout.name, each.sidecar.name if each.sidecar else "")
        for each in match_layouts(members(*names), layouts)
    ]


CTL = Control("sidecar", suffix=".ctl")


def test_the_first_layout_whose_glob_fits_reads_a_member() -> None:
    found = matches(
        ["CDR_Mobile_1.csv", "sub/CDR_Fixed_1.csv"],
        layout("mobile", "*_Mobile_*.csv"),
        layout("fixed", "CDR_Fixed_*.csv"),
        layout("rest", "*"),
    )
    assert found == [
        ("CDR_Mobile_1.csv", "mobile", ""),
        ("sub/CDR_Fixed_1.csv", "fixed", ""),
    ]


def test_a_control_file_in_the_archive_goes_with_its_file() -> None:
    found = matches(["u.tsv", "u.tsv.ctl", "v.tsv"], layout("usage", "*", CTL))
    assert found == [("u.tsv", "usage", "u.tsv.ctl"), ("v.tsv", "usage", "")]


@pytest.mark.parametrize("name", ["readme.txt", "CDR_MOBILE_1.csv", "u.tsv.ctl"])
def test_a_member_that_no_layout_reads_refuses_the_delivery(name: str) -> None:
    with pytest.raises(DeliveryRefused) as caught:
        matches([name, "a_Mobile_1.csv"], layout("mobile", "*_Mobile_*.csv", CTL))
    assert name in str(caught.value)
    assert "mobile reads *_Mobile_*.csv" in str(caught.value)
