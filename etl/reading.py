"""Reading: pass one over a delivery. All of it is read and checked before any is loaded.

Effects: reads the delivery, writes the spool. Members are streamed; memory stays at one
chunk. A delivery that is not whole, or not what its profile says, ends here.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain
from pathlib import Path

import polars as pl

from etl.extract.archive import Matched, match_layouts, open_delivery
from etl.spool import SortedSpool, Spool
from transforms.cdr import KEY
from transforms.control import Sidecar, Tally, lost, reconcile, too_many_rejects
from transforms.dedupe import FATE, repeated, settle, with_fallback
from transforms.errors import DeliveryRefused
from transforms.lex import Lexed, Lexer
from transforms.match import Owners, match
from transforms.normalise import Normaliser, delivery_name
from transforms.profile import Profile

USUAL_RATIO = 6
USUAL_RECORD_BYTES = 130
"""How well CDRs pack and how long they are; the spool's parts are sized by it."""

PLACE = ("chunk", "row")
"""Where an accepted record stands in the delivery; kept beside it in the spool."""

Beat = Callable[[int], None]
"""Called with the number of records read since the last call."""


@dataclass(frozen=True)
class Source:
    """A delivery in storage: its bytes, its name, and its control file's text."""

    path: Path
    file_name: str
    sha256: str
    control_text: str | None


@dataclass(frozen=True)
class Reading:
    """What a whole delivery holds; its records are in the spool.

    Attributes:
        records: Physical records, the ignored ones included.
        rejected: Records that cannot become CDRs.
        ignored: Records set aside by rule: blank lines, skip rules, repeated headers.
        call_dates: Earliest and latest wall clock of an owned record.
        fates: FATE of the records whose key is repeated in this delivery.
        fingerprints: Of every record that was accepted, the final ones too.
        owned: The records that have an owner, in the order of their key.
        notes: What a person should know, such as what the control record proved.
    """

    records: int
    rejected: int
    ignored: int
    call_dates: tuple[datetime, datetime] | None
    fates: pl.DataFrame
    fingerprints: pl.DataFrame
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
) -> Reading:
    """Read a whole delivery into the spool, or refuse it.

    The spool holds ``owned`` (sorted), ``suspended``, ``rejected`` and ``repeated``
    records, each with ``member``; all but the rejected ones with ``layout``, ``raw`` and
    PLACE, the repeated ones with their ``fate``.

    Raises:
        DeliveryRefused: When the delivery is damaged, does not match its control record,
            or has more bad rows than its profile accepts.
    """
    owned = SortedSpool(
        spool, "owned", list(KEY), chunk_rows=chunk_rows, parts=_parts(source, chunk_rows)
    )
    reader = _Reader(source, profile, owners, spool, owned, chunk_rows, latest_utc, beat)
    reader.read_members()
    reader.require_few_rejects()
    return reader.concluded()


def sidecar_text(path: Path, profile: Profile) -> str | None:
    """Read the control file beside a delivery: ``usage.tsv.ctl`` beside ``usage.tsv``."""
    for layout in profile.layouts:
        beside = path.with_name(path.name + layout.control.suffix)
        if layout.control.kind == "sidecar" and beside.is_file():
            return _text(beside.read_bytes())
    return None


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
    matched: Matched, hashed: "hashlib._Hash", chunk_rows: int = 100_000
) -> Iterator[Lexed]:
    """Cut a member into TEXT frames, hashing its bytes on the way."""
    lexer = Lexer(matched.layout, chunk_rows=chunk_rows)
    for block in matched.member.blocks():
        hashed.update(block)
        yield from lexer.feed(block)
    yield from lexer.finish()


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
    fingerprints: list[pl.Series] = field(default_factory=list)
    call_dates: list[datetime] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def read_members(self) -> None:
        with open_delivery(
            self.source.path, self.profile.source, file_name=self.source.file_name
        ) as delivery:
            for matched in match_layouts(delivery.members, self.profile.layouts):
                self.read_member(matched)

    def read_member(self, matched: Matched) -> None:
        name = delivery_name(self.profile.source, self.source.file_name)
        normaliser = Normaliser(
            self.profile, matched.layout, name, latest_utc=self.latest_utc
        )
        counts = self.counts.setdefault(matched.layout.name, _Counts())
        tally, hashed = Tally(), hashlib.sha256()
        for lexed in lexed_member(matched, hashed, self.chunk_rows):
            read = normaliser.read(lexed.rows)
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
                f"{self.source.file_name}, {matched.member.name}: {result.message}; "
                "nothing of it is loaded. Ask the provider for the file again"
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
        self.fingerprints.append(accepted["fingerprint"])
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
        if not found.owned.is_empty():
            dates = found.owned["call_date"].sort()
            self.call_dates = sorted([*self.call_dates, dates[0], dates[-1]])

    def require_few_rejects(self) -> None:
        for layout in self.profile.layouts:
            counts = self.counts.get(layout.name, _Counts())
            if too_many_rejects(layout, counts.records, counts.rejected):
                message = (
                    f"{self.source.file_name}, layout {layout.name}: {counts.rejected} of "
                    f"{counts.records} records are faulty, more than the profile accepts "
                    f"(max_bad_rows {layout.max_bad_rows}, max_bad_pct "
                    f"{layout.max_bad_pct}). {self.first_reject()} See them all with: "
                    f"etl provider:check FILE --provider {self.profile.id}"
                )
                raise DeliveryRefused(message)

    def first_reject(self) -> str:
        first = next(self.spool.frames("rejected")).row(0, named=True)
        return f"First: {first['member']} line {first['line_no']}: {first['reason']}."

    def concluded(self) -> Reading:
        fates = self.settled()
        fingerprints = pl.concat(
            [
                pl.Series("fingerprint", [], pl.Int64),
                *self.fingerprints,
                fates["fingerprint"],
            ]
        )
        dates = self.call_dates
        return Reading(
            records=sum(each.records for each in self.counts.values()),
            rejected=sum(each.rejected for each in self.counts.values()),
            ignored=sum(each.ignored for each in self.counts.values()),
            call_dates=(dates[0], dates[-1]) if dates else None,
            fates=fates,
            fingerprints=fingerprints.to_frame(),
            owned=self.owned,
            notes="; ".join(self.notes),
        )

    def settled(self) -> pl.DataFrame:
        """Settle the records whose key is repeated, layout by layout."""
        again = repeated(self.fingerprints)
        if again.is_empty():
            return pl.DataFrame(schema=FATE)
        is_repeated = pl.col("fingerprint").is_in(again.implode())
        spooled = chain(self.owned.frames(), self.spool.frames("suspended"))
        # Through the spool, because a filtered frame keeps the texts of all its rows.
        for frame in spooled:
            self.spool.write("candidates", frame.filter(is_repeated))
        found = list(self.spool.frames("candidates"))
        rows = with_fallback(pl.concat(found, how="diagonal"))
        fates = pl.concat(
            [
                settle(rows.filter(pl.col("layout") == layout.name), layout.dedupe)
                for layout in self.profile.layouts
            ]
        )
        judged = rows.join(fates.select(*PLACE, "fate"), on=PLACE, how="left")
        self.spool.write("repeated", judged.sort(PLACE))
        return fates


def _parts(source: Source, chunk_rows: int) -> int:
    """About how many chunks a delivery holds, judged by its size when unpacked."""
    packed_bytes = source.path.stat().st_size
    return 1 + packed_bytes * USUAL_RATIO // (USUAL_RECORD_BYTES * chunk_rows)
