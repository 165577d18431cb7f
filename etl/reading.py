"""Reading: pass one over a delivery. All of it is read and checked before any is loaded.

Effects: reads the delivery, writes the spool. Members are streamed; memory stays at one
chunk. A delivery that is not whole, or not what its profile says, ends here.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

import polars as pl

from etl.ahead import ahead
from etl.extract.archive import Delivery, Matched, match_layouts, open_delivery
from etl.spool import SortedSpool, Spool
from etl.storage import safe_name
from transforms.cdr import KEY
from transforms.control import Sidecar, Tally, lost, reconcile, too_many_rejects
from transforms.dedupe import FATE, in_order, repeated, settle, with_fallback
from transforms.errors import BadArchive, DeliveryRefused, StorageError
from transforms.lex import Lexed, Lexer
from transforms.match import Owners, match
from transforms.met_before import is_among
from transforms.normalise import Normaliser, delivery_name
from transforms.profile import FILE_WORDS, Profile

USUAL_RECORD_BYTES = 130
"""How long CDRs are; the spool's parts are sized by it."""

MOST_SIDECAR_BYTES = 1 << 20

PLACE = ("chunk", "row")
"""Where an accepted record stands in the delivery; kept beside it in the spool."""

ACCEPTED = "accepted"
"""In the spool: the fingerprint of every accepted record."""

Beat = Callable[[int], None]
"""Called with the number of records read since the last call."""


@dataclass(frozen=True)
class Source:
    """A delivery in storage: its bytes, its name, and its control file's text."""

    path: Path
    file_name: str
    sha256: str
    control_text: str | None

    def place(self, member: str) -> str:
        """Name a member for a message; a delivery of one file is named once."""
        names = dict.fromkeys((safe_name(self.file_name), safe_name(member)))
        return ", ".join(names)


@dataclass(frozen=True)
class Reading:
    """What a whole delivery holds; its records are in the spool.

    Attributes:
        records: Physical records, the ignored ones included.
        rejected: Records that cannot become CDRs.
        ignored: Records set aside by rule: blank lines, skip rules, repeated headers.
        instants: Earliest and latest start of an accepted record, in UTC.
        fates: FATE of the records whose key is repeated in this delivery.
        is_renamed: Whether some of them have a fingerprint of their own now.
        fingerprints: Of every record that was accepted, the final ones too, sorted.
        owned: The records that have an owner, in the order of their key.
        notes: What a person should know, such as what the control record proved.
    """

    records: int
    rejected: int
    ignored: int
    instants: tuple[datetime, datetime] | None
    fates: pl.DataFrame
    is_renamed: bool
    fingerprints: pl.Series
    owned: SortedSpool
    notes: str


def read_delivery(
    source: Source,
    profile: Profile,
    owners: Owners,
    spool: Spool,
    *,
    chunk_rows: int,
    latest_utc: datetime,
    beat: Beat,
    accepts_rejects: bool = False,
) -> Reading:
    """Read a whole delivery into the spool, or refuse it.

    The spool holds ``owned`` (sorted), ``suspended``, ``rejected`` and ``repeated``
    records, each with ``member``; all but the rejected ones with ``layout``, ``raw`` and
    PLACE. The repeated ones are those that do not go on, with their ``fate``.

    Raises:
        DeliveryRefused: When the delivery is damaged, does not match its control record,
            or has more bad rows than its profile accepts.
        TooManyRejects: In the last case, unless ``accepts_rejects``.
        StorageError: When the stored bytes are not what was delivered.
    """
    require_name(profile, source.file_name)
    _require_undamaged(source)
    with open_delivery(source.path, profile.source, file_name=source.file_name) as delivery:
        parts = _parts(delivery, chunk_rows)
        owned = SortedSpool(spool, "owned", list(KEY), chunk_rows=chunk_rows, parts=parts)
        reader = _Reader(
            source, profile, owners, spool, owned, chunk_rows, latest_utc, beat
        )
        for matched in match_layouts(delivery.members, profile.layouts):
            reader.read_member(matched)
    if not accepts_rejects:
        reader.require_few_rejects()
    return reader.concluded()


class TooManyRejects(DeliveryRefused):
    """A delivery has more faulty records than its profile accepts.

    Attributes:
        records: Physical records of the delivery.
        rejected: How many of them are faulty.
    """

    def __init__(self, message: str, records: int, rejected: int) -> None:
        """Keep the counts beside the message."""
        super().__init__(message)
        self.records = records
        self.rejected = rejected


def require_name(profile: Profile, file_name: str) -> None:
    """Refuse a delivery whose name does not say what its records are known by.

    Raises:
        DeliveryRefused: When a dedupe key needs a word of the file name that is not there.
    """
    name = delivery_name(profile.source, file_name)
    needed = {word for one in profile.layouts for word in one.dedupe.key}
    missing = [
        word
        for word, group in FILE_WORDS.items()
        if word in needed and getattr(name, group) is None
    ]
    if missing:
        message = (
            f"{safe_name(file_name)}: its records are known by {', '.join(missing)} too, "
            f"which this name does not say; profile {profile.id} expects "
            f"{profile.source.filename_regex!r}. Give the file the name the provider gave "
            "it and import it again"
        )
        raise DeliveryRefused(message)


def _require_undamaged(source: Source) -> None:
    try:
        with source.path.open("rb") as stored:
            found = hashlib.file_digest(stored, "sha256").hexdigest()
    except OSError as exc:
        message = (
            f"{safe_name(source.file_name)}: its stored bytes cannot be read "
            f"({source.path}: {exc.strerror}); import the delivered file again"
        )
        raise StorageError(message) from exc
    if found != source.sha256:
        message = (
            f"{safe_name(source.file_name)}: its stored bytes have changed since they were "
            f"delivered; remove {source.path} and import the delivered file again"
        )
        raise StorageError(message)


def sidecar_text(path: Path, profile: Profile) -> str | None:
    """Read the control file beside a delivery: ``usage.tsv.ctl`` beside ``usage.tsv``."""
    for layout in profile.layouts:
        beside = path.with_name(path.name + layout.control.suffix)
        if layout.control.kind == "sidecar" and beside.is_file():
            return _text(_sidecar_bytes(beside))
    return None


def _sidecar_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as beside:
            content = beside.read(MOST_SIDECAR_BYTES + 1)
    except OSError as exc:
        message = f"cannot read {safe_name(str(path))}: {exc.strerror}"
        raise StorageError(message) from exc
    if len(content) > MOST_SIDECAR_BYTES:
        message = (
            f"{safe_name(path.name)} is no control file: it has more than "
            f"{MOST_SIDECAR_BYTES} bytes"
        )
        raise DeliveryRefused(message)
    return content


def sidecar_of(source: Source, matched: Matched, member_sha256: str) -> Sidecar | None:
    """Find a member's control file: beside it in the archive, or beside the delivery."""
    control = matched.layout.control
    if control.kind != "sidecar":
        return None
    if matched.sidecar is not None:
        content = b"".join(matched.sidecar.blocks())
        return Sidecar(matched.sidecar.name, _text(content), member_sha256)
    return Sidecar(source.file_name + control.suffix, source.control_text, source.sha256)


def _text(content: bytes) -> str:
    # What is no UTF-8 cannot match a count, an amount or a hash: it is found wrong.
    return content.decode("utf-8-sig", errors="replace")


def lexed_member(
    source: Source,
    matched: Matched,
    hashed: "hashlib._Hash",
    chunk_rows: int = 100_000,
) -> Iterator[Lexed]:
    """Cut a member into TEXT frames, hashing its bytes on the way."""
    lexer = Lexer(matched.layout, chunk_rows=chunk_rows)
    with _named(source.place(matched.member.name)):
        for block in matched.member.blocks():
            hashed.update(block)
            yield from lexer.feed(block)
        yield from lexer.finish()


@contextmanager
def _named(place: str) -> Iterator[None]:
    """Name file and member in a refusal that knows only the line."""
    try:
        yield
    except BadArchive:
        raise  # it names them itself
    except DeliveryRefused as exc:
        message = f"{place}: {exc}"
        raise DeliveryRefused(message) from exc


@dataclass
class _Counts:
    """What was read so far of one layout."""

    records: int = 0
    rejected: int = 0
    ignored: int = 0


@dataclass
class _Reader:
    """Reads one delivery, member after member."""

    source: Source
    profile: Profile
    owners: Owners
    spool: Spool
    owned: SortedSpool
    chunk_rows: int
    latest_utc: datetime
    beat: Beat
    counts: dict[str, _Counts] = field(default_factory=dict)
    layouts: list[str] = field(default_factory=list)
    """The layout of each chunk, by its number."""
    instants: list[datetime] = field(default_factory=list)
    first_rejects: dict[str, str] = field(default_factory=dict)
    """By layout, the first faulty record."""
    notes: list[str] = field(default_factory=list)

    def read_member(self, matched: Matched) -> None:
        name = delivery_name(self.profile.source, self.source.file_name)
        normaliser = Normaliser(
            self.profile, matched.layout, name, latest_utc=self.latest_utc
        )
        counts = self.counts.setdefault(matched.layout.name, _Counts())
        tally, hashed = Tally(), hashlib.sha256()
        lexing = lexed_member(self.source, matched, hashed, self.chunk_rows)
        with (
            ahead(lexing) as frames,
            ahead((lexed, normaliser.read(lexed.rows)) for lexed in frames) as reads,
        ):
            for lexed, read in reads:
                rejected = pl.concat([lexed.rejected, read.rejected])
                counts.rejected += rejected.height
                counts.ignored += lexed.blank + read.ignored
                counts.records += (
                    read.accepted.height + rejected.height + lexed.blank + read.ignored
                )
                tally += read.tally + lost(lexed.rejected)
                self.keep(matched, read.accepted, rejected)
                self.beat(read.accepted.height)
        result = reconcile(
            matched.layout, tally, sidecar_of(self.source, matched, hashed.hexdigest())
        )
        if not result.ok:
            message = (
                f"{self.source.place(matched.member.name)}: {result.message}; nothing "
                " of it is loaded. Ask the provider for the file again"
            )
            raise DeliveryRefused(message)
        if result.kind != "none":
            self.notes.append(result.message)

    def keep(
        self, matched: Matched, accepted: pl.DataFrame, rejected: pl.DataFrame
    ) -> None:
        """Match the records of a chunk to their owners and put them in the spool."""
        chunk = len(self.layouts)
        self.layouts.append(matched.layout.name)
        self.spool.write(ACCEPTED, accepted.select("fingerprint"))
        member = pl.lit(matched.member.name).alias("member")
        placed = accepted.with_columns(
            member,
            pl.lit(matched.layout.name).alias("layout"),
            pl.lit(chunk, pl.Int32).alias("chunk"),
            pl.int_range(pl.len(), dtype=pl.Int32).alias("row"),
        )
        found = match(placed, self.owners)
        self.owned.write(found.owned)
        self.spool.write("suspended", found.suspended)
        self.spool.write("rejected", rejected.with_columns(member))
        self.note_first(matched, rejected)
        self.instants = extremes(self.instants, accepted["started_at_utc"])

    def note_first(self, matched: Matched, rejected: pl.DataFrame) -> None:
        if rejected.is_empty() or matched.layout.name in self.first_rejects:
            return
        first = rejected.sort("line_no").row(0, named=True)
        self.first_rejects[matched.layout.name] = (
            f"First: {safe_name(matched.member.name)} line {first['line_no']}: "
            f"{first['reason']}."
        )

    def require_few_rejects(self) -> None:
        for layout in self.profile.layouts:
            counts = self.counts.get(layout.name, _Counts())
            if too_many_rejects(layout, counts.records, counts.rejected):
                message = (
                    f"{self.source.file_name}, layout {layout.name}: {counts.rejected} of "
                    f"{counts.records} records are faulty, more than the profile accepts "
                    f"(max_bad_rows {layout.max_bad_rows}, max_bad_pct "
                    f"{layout.max_bad_pct}). {self.first_rejects[layout.name]} "
                    "See more with: etl rejects:list"
                )
                raise TooManyRejects(message, self.total("records"), self.total("rejected"))

    def total(self, count: str) -> int:
        return sum(getattr(each, count) for each in self.counts.values())

    def concluded(self) -> Reading:
        known = in_order(self.fingerprints, self.spool.count(ACCEPTED))
        fates = self.settled(repeated(known))
        new = fates["fingerprint"].filter(~is_among(fates["fingerprint"], known))
        if not self.total("records"):
            self.notes.append("the delivery holds no records")
        return Reading(
            records=self.total("records"),
            rejected=self.total("rejected"),
            ignored=self.total("ignored"),
            instants=(self.instants[0], self.instants[-1]) if self.instants else None,
            fates=fates,
            is_renamed=not new.is_empty(),
            fingerprints=known if new.is_empty() else pl.concat([known, new]).sort(),
            owned=self.owned,
            notes="; ".join(self.notes),
        )

    def fingerprints(self) -> Iterator[pl.Series]:
        """The fingerprints of all accepted records, chunk by chunk."""
        return (each["fingerprint"] for each in self.spool.frames(ACCEPTED))

    def settled(self, again: pl.Series) -> pl.DataFrame:
        """Settle the records whose key is repeated, some keys at a time."""
        parts = 1 + len(again) // self.chunk_rows
        found = [
            self.settle_keys(again.filter(again % parts == part)) for part in range(parts)
        ]
        return pl.concat(found)

    def settle_keys(self, keys: pl.Series) -> pl.DataFrame:
        """Settle every record of some repeated keys, layout by layout."""
        if keys.is_empty():
            return pl.DataFrame(schema=FATE)
        found = chain(
            self.owned.among("fingerprint", keys),
            self.spool.among("suspended", "fingerprint", keys),
        )
        rows = with_fallback(pl.concat(found, how="diagonal"))
        fates = pl.concat(
            [
                settle(rows.filter(pl.col("layout") == layout.name), layout.dedupe)
                for layout in self.profile.layouts
            ]
        )
        judged = rows.join(fates.select(*PLACE, "fate"), on=PLACE, how="left")
        ends = judged.filter(pl.col("fate") != "first")
        self.spool.write("repeated", ends.sort(PLACE))
        return fates


def extremes(known: list[datetime], values: pl.Series) -> list[datetime]:
    """The first and the last of some instants, those known before included."""
    ends = [end for end in (values.min(), values.max()) if isinstance(end, datetime)]
    ordered = sorted([*known, *ends])
    return [ordered[0], ordered[-1]] if ordered else []


def _parts(delivery: Delivery, chunk_rows: int) -> int:
    """About how many chunks a delivery holds, judged by its size when unpacked."""
    unpacked_bytes = sum(member.size_bytes for member in delivery.members)
    return 1 + unpacked_bytes // (USUAL_RECORD_BYTES * chunk_rows)
