"""The import of one delivery: the story first, its steps below.

Effects: storage, work folder and database, all through what it is given. Read
``Importer.import_stored`` first, then ``_OneImport.run``. A kill at any point is mended by
running it again: the delivery is read once more, what is stored of it already is told by
its place (member and line), and every commit carries its ledger row and its fence.
"""

import logging
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from functools import partial

import polars as pl

from etl.ahead import Lanes
from etl.early_reading import Early
from etl.failpoints import failpoint
from etl.profiles import load_profile
from etl.reading import PLACE, Reading, Source, TooManyRejects, extremes, read_delivery
from etl.settings import Settings
from etl.spool import Spool
from etl.stopping import STOP
from etl.storage import Storage
from loaders.database import Database, Transaction
from loaders.imports import (
    KNOWN,
    STORED,
    WAITING,
    Claim,
    ImportRow,
    ImportStore,
    Ledger,
    SetAside,
)
from loaders.leases import Lease
from loaders.reference import ReferenceStore
from loaders.totals import TotalsStore
from transforms import cdr
from transforms.errors import (
    BillingError,
    ConfigError,
    DeliveryRefused,
    MoneyError,
    Stopped,
    StoreError,
)
from transforms.match import CYCLES, Owners, cycles_of
from transforms.met_before import (
    DECISION,
    Earlier,
    decide,
    going_on,
    repeats_aside,
    replaced_keys,
)
from transforms.money import exact_sum
from transforms.outcome import Outcome
from transforms.profile import Profile

_log = logging.getLogger(__name__)

Finish = Callable[[Transaction, ImportRow], None]
"""What the caller wants stored in the transaction that completes the import."""

WAIT_FOR_A_PERSON = ("held",)
"""Statuses that only an operator's release ends."""

OF_SPOOL = [name for name in STORED if name not in ("import_id", "provider")]
"""What is stored of a spooled record; the rest is known of the whole import."""

MOST_REJECTS_KEPT = 10_000
"""How many faulty records of a refused delivery are kept to look at."""


def nothing_follows(_tx: Transaction, _row: ImportRow) -> None:
    """Let nothing be stored beside the completion of an import."""


@dataclass(frozen=True)
class Importer:
    """Imports deliveries that are in storage."""

    database: Database
    imports: ImportStore
    totals: TotalsStore
    reference: ReferenceStore
    storage: Storage
    settings: Settings
    owner: str
    latest_utc: datetime
    """Records later than a day after this are rejected; the command line's clock."""
    progress: Callable[[int], None] = field(default=lambda _count: None)
    accepts_rejects: bool = False
    """Whether a person accepted the delivery with its many faulty records."""

    def import_stored(
        self,
        row: ImportRow,
        profile: Profile,
        finish: Finish,
        early: Early | None = None,
    ) -> ImportRow:
        """Import a registered delivery, or finish what an earlier run began.

        Args:
            row: The import as registered.
            profile: How to read it.
            finish: Called inside the completing transaction, last; not when the import
                is complete already.
            early: The delivery as it was read before its turn.

        Returns:
            The import as it ended: ``done``, ``refused``, or ``held`` as it was.

        Raises:
            LeaseHeld: When a live run works on it, or on another of this provider.
            BillingError: When the world failed; run it again to go on.
        """
        if row.is_complete or row.status in WAIT_FOR_A_PERSON:
            return row
        lease = self.imports.take_provider(row.provider, self.owner)
        try:
            self.finish_half_loaded(row.provider, lease, but_id=row.id)
            row = self._again(row.id)
            if not row.is_complete:
                self._attempt(row, profile, lease, finish, early)
        finally:
            self.give_back(lease)
        return self._again(row.id)

    def finish_half_loaded(self, provider: str, lease: Lease, *, but_id: int = 0) -> None:
        """Finish the imports of a provider that stopped with records stored, but one.

        What such an import holds, and what it would still load, must be settled before
        other records are compared with it.

        Raises:
            StoreError: Naming the import that cannot be finished.
        """
        for import_id in self.imports.half_loaded(provider, but_id):
            row = self._again(import_id)
            profile = load_profile(provider, folders=[self.settings.providers])
            self._attempt(row, profile, lease, nothing_follows)

    def give_back(self, lease: Lease) -> None:
        """Give the provider's lease back, if the database lets us."""
        try:
            self.imports.free_provider(lease)
        except BillingError:
            # The lease ends by itself; what led here is the error to tell.
            return

    def _attempt(
        self,
        row: ImportRow,
        profile: Profile,
        lease: Lease,
        finish: Finish,
        early: Early | None = None,
    ) -> None:
        failpoint("import_before_claim")
        claim = self.imports.claim(row, lease)
        try:
            failpoint("import_after_claim")
            ledger = self.imports.ledger(claim)
            self._require_profile(claim, row, profile, ledger)
            with (
                STOP.stoppable(),
                self.storage.workspace(f"import-{row.id}") as folder,
                Spool(folder) as spool,
            ):
                begun = time.monotonic()
                one = _OneImport(self, claim, row, profile, spool, ledger, begun, early)
                one.run(finish)
        except DeliveryRefused as exc:
            self._refuse(claim, row, exc)
        except (Stopped, KeyboardInterrupt) as exc:
            self._hand_back(claim, "waiting", f"stopped: {exc}")
            raise
        except BillingError as exc:
            self._hand_back(claim, "failed", str(exc))
            raise
        except BaseException as exc:
            # A panic of the frame library is no Exception; the import must not stay locked.
            self._hand_back(claim, "failed", f"a fault of ours: {type(exc).__name__}")
            raise

    def _require_profile(
        self, claim: Claim, row: ImportRow, profile: Profile, ledger: Ledger
    ) -> None:
        """Let one profile read a whole delivery, however often it is interrupted."""
        if row.profile_sha256 == profile.sha256:
            return
        if ledger.record_count:
            message = (
                f"import {row.id} of {row.file_name}: {ledger.record_count} of its records "
                f"were read by another state of profile {profile.id}; put that profile "
                "back and run it again, or take the import back"
            )
            raise ConfigError(message)
        self.imports.read_by(claim, profile.version, profile.sha256)

    def _refuse(self, claim: Claim, row: ImportRow, why: DeliveryRefused) -> None:
        stored = self.imports.ledger(claim).record_count
        if stored:
            message = (
                f"import {row.id} of {row.file_name} is refused now ({why}) but "
                f"{stored} of its records are stored from an earlier run; mend the cause "
                "and run it again"
            )
            self.imports.stop(claim, "failed", message, Outcome())
            raise StoreError(message) from why
        counts = Outcome()
        if isinstance(why, TooManyRejects):
            counts = Outcome(records=why.records, rejected=why.rejected)
        self.imports.stop(claim, "refused", str(why), counts)

    def _hand_back(self, claim: Claim, status: str, message: str) -> None:
        try:
            self.imports.stop(claim, status, message, Outcome())
        except BillingError:
            # The first failure is the one to tell; the lease frees the import by itself.
            return

    def _again(self, import_id: int) -> ImportRow:
        row = self.imports.find(import_id)
        if row is None:
            message = f"import {import_id} has vanished from import_queue"
            raise StoreError(message)
        return row


@dataclass(frozen=True)
class _Kept:
    """The spooled records of one kind as rows of their table."""

    spool: Spool
    kind: str
    import_id: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Read them from the start, each time anew."""
        import_id = pl.lit(self.import_id, pl.Int64).alias("import_id")
        return (frame.with_columns(import_id) for frame in self.spool.frames(self.kind))


@dataclass(frozen=True)
class _Few:
    """The first rows of some frames."""

    frames: Iterable[pl.DataFrame]
    most: int

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Read them from the start, each time anew."""
        left = self.most
        for frame in self.frames:
            if left > 0:
                yield frame.head(left)
            left -= frame.height


@dataclass(frozen=True)
class Met:
    """The stored keys that a delivery has too."""

    known: pl.DataFrame
    """KNOWN; kept sorted by fingerprint."""
    later_imports: frozenset[int]
    """Imports that stored some of them, whose deliveries come after this one."""

    def __post_init__(self) -> None:
        """Sort the keys, so that a few of very many are found quickly."""
        object.__setattr__(self, "known", self.known.sort("fingerprint"))

    def keys_of(self, records: pl.DataFrame) -> pl.DataFrame:
        """Return the stored keys (KEY) that some records meet."""
        known, wanted = self.known["fingerprint"], records["fingerprint"].unique()
        first = known.search_sorted(wanted, side="left")
        after = known.search_sorted(wanted, side="right")
        is_met = first < after
        ranges = pl.int_ranges(first.filter(is_met), after.filter(is_met), eager=True)
        return self.known.select(list(cdr.KEY))[ranges.explode()]


def meet_stored(
    imports: ImportStore,
    row: ImportRow,
    profile: Profile,
    instants: tuple[datetime, datetime] | None,
    fingerprints: pl.Series,
    beat: Callable[[], None],
) -> Met:
    """Find the stored keys that some records of an import have too.

    Args:
        imports: The door.
        row: The import the records are of.
        profile: Its profile; says how late a record may come.
        instants: Their earliest and latest instant; None when there are none.
        fingerprints: Of the records, sorted.
        beat: Called between the pages.
    """
    if instants is None:
        return Met(pl.DataFrame(schema=KNOWN), frozenset())
    hits = [pl.DataFrame(schema=KNOWN)]
    for page in imports.known_keys(
        profile.id, *instants, profile.source.accept_late_days, fingerprints
    ):
        beat()
        hits.append(page)
    known = pl.concat(hits)
    return Met(known, later_imports(imports, row, known["import_id"]))


def later_imports(
    imports: ImportStore, row: ImportRow, import_ids: pl.Series
) -> frozenset[int]:
    """Return those of some imports whose deliveries come after that of ``row``.

    Their names tell; where they cannot, the one that arrived later comes after.
    """
    others = (imports.find(int(each)) for each in import_ids.unique().sort())
    return frozenset(other.id for other in others if other and _is_before(row, other))


def _is_before(row: ImportRow, other: ImportRow) -> bool:
    if other.order.is_before(row.order):
        return False
    return row.order.is_before(other.order) or row.id < other.id


@dataclass
class _OneImport:
    """One attempt at one delivery, step by step."""

    importer: Importer
    claim: Claim
    row: ImportRow
    profile: Profile
    spool: Spool
    ledger: Ledger
    started: float
    early: Early | None
    call_dates: list[datetime] = field(default_factory=list)
    """Earliest and latest wall clock of what is stored, earlier attempts included."""

    def run(self, finish: Finish) -> None:
        customers = self.importer.reference.customers()
        subscriptions = self.importer.reference.subscriptions()

        self.log("import begun", stored_before=self.ledger.record_count)
        if self.early is not None and self.early.is_by(customers, subscriptions):
            reading = self.early.taken_into(self.spool)
        else:
            reading = self.read(Owners.build(customers, subscriptions))
        self.log("delivery read", records=reading.records, ignored=reading.ignored)
        earlier, touched = self.stored_earlier(reading, customers)
        met = self.meet_stored(reading)
        self.settle_repeats(earlier)
        rejected = self.settle_rejects(earlier)
        self.settle_suspended(reading, earlier, met)
        superseding = self.settle_owned(reading, earlier, met)
        self.keep_aside()
        new = self.new(reading, earlier, met)
        touched += self.load(new, superseding, customers, is_renamed=reading.is_renamed)

        outcome = self.outcome(reading, rejected).conserved(self.row.file_name)
        self.complete(reading, outcome, touched, finish)

    def read(self, owners: Owners) -> Reading:
        try:
            return read_delivery(
                Source(
                    self.importer.storage.path(self.row.sha256),
                    self.row.file_name,
                    self.row.sha256,
                    self.row.control_text,
                ),
                self.profile,
                owners,
                self.spool,
                chunk_rows=self.importer.settings.chunk_rows,
                latest_utc=self.importer.latest_utc,
                beat=self.beat,
                # What has records stored was accepted before.
                accepts_rejects=self.importer.accepts_rejects or self.is_resumed,
            )
        except TooManyRejects:
            few = _Few(self.kept("rejected"), MOST_REJECTS_KEPT)
            self.importer.imports.set_aside(self.claim, SetAside(rejected=few))
            raise

    @property
    def is_resumed(self) -> bool:
        return self.ledger.record_count > 0

    def beat(self, records: int = 0) -> None:
        STOP.checkpoint()
        self.importer.imports.heartbeat(self.claim)
        self.importer.progress(records)

    def stored_earlier(
        self, reading: Reading, customers: pl.DataFrame
    ) -> tuple[Earlier, "Touched"]:
        """Find what an earlier attempt stored, and the cycles that it touched.

        A record it stored stays where it is, also when its number has another owner now.

        Raises:
            StoreError: When it is not what the ledger says.
        """
        touched = Touched.nothing()
        if not self.is_resumed or reading.instants is None:
            return Earlier({}), touched
        places = []
        for page in self.importer.imports.own_records(self.claim, *reading.instants):
            self.beat()
            self.span(page["call_date"])
            touched += Touched.by_loaded(page, customers)
            places.append(page.select("member", "line_no"))
        if touched.record_count != self.ledger.record_count:
            message = (
                f"import {self.row.id}: the ledger has {self.ledger.record_count} records "
                f"but {touched.record_count} are found; nothing more is written. Run: "
                "etl audit"
            )
            raise StoreError(message)
        replaced = self.importer.imports.replaced(self.claim)
        return Earlier.of(places), touched + Touched.by_replaced(replaced, customers)

    def meet_stored(self, reading: Reading) -> Met:
        """Find the stored keys that are in this delivery too."""
        return meet_stored(
            self.importer.imports,
            self.row,
            self.profile,
            reading.instants,
            reading.fingerprints,
            self.beat,
        )

    def settle_repeats(self, earlier: Earlier) -> None:
        """Set aside what repeats a key of this delivery."""
        for frame in self.spool.frames("repeated"):
            aside = repeats_aside(earlier.without(frame), self.claim.import_id)
            self.spool.write("duplicate", aside.duplicates)
            self.spool.write("conflict", aside.conflicts)

    def settle_rejects(self, earlier: Earlier) -> int:
        """Set the faulty records aside; return how many there are."""
        for frame in self.spool.frames("rejected"):
            self.spool.write("faulty", earlier.without(frame))
        return self.spool.count("faulty")

    def settle_suspended(self, reading: Reading, earlier: Earlier, met: Met) -> None:
        """Set aside the records that wait for an owner, unless they are stored already."""
        provider = pl.lit(self.profile.id).alias("provider")
        for frame in self.spool.frames("suspended"):
            waiting = earlier.without(going_on(frame, reading.fates))
            decisions = self.decide(waiting, met)
            stays = decisions.filter(pl.col("fate") != "supersede")
            waiting = _without(waiting, stays)
            self.spool.write(
                "waiting", waiting.with_columns(provider).select(list(WAITING))
            )

    def settle_owned(self, reading: Reading, earlier: Earlier, met: Met) -> pl.DataFrame:
        """Put the owned records that will be loaded in the spool, in key order.

        Returns:
            DECISION of those that supersede a stored record.
        """
        superseding = [pl.DataFrame(schema=DECISION)]
        is_superseding = pl.col("fate") == "supersede"
        for chunk in () if met.known.is_empty() else self.owned(reading, earlier):
            decisions = self.decide(chunk, met)
            superseding.append(decisions.filter(is_superseding))
            self.spool.write("new", _without(chunk, decisions.filter(~is_superseding)))
        return pl.concat(superseding)

    def new(self, reading: Reading, earlier: Earlier, met: Met) -> Iterator[pl.DataFrame]:
        """The owned records to load, in key order."""
        if met.known.is_empty():
            return self.owned(reading, earlier, [*OF_SPOOL, *PLACE])
        return self.spool.frames("new", OF_SPOOL)

    def owned(
        self, reading: Reading, earlier: Earlier, columns: list[str] | None = None
    ) -> Iterator[pl.DataFrame]:
        """The owned records that go on, in key order, under their final fingerprints."""
        for frame in reading.owned.frames(columns):
            yield earlier.without(
                frame if reading.fates.is_empty() else going_on(frame, reading.fates)
            )

    def decide(self, records: pl.DataFrame, met: Met) -> pl.DataFrame:
        """Compare records with the stored ones of their keys; set aside what must be."""
        keys = met.keys_of(records)
        if keys.is_empty():
            return pl.DataFrame(schema=DECISION)
        self.beat()
        stored = self.importer.imports.stored_records(keys)
        decided = decide(records, stored, self.profile, met.later_imports)
        self.spool.write("duplicate", decided.duplicates)
        self.spool.write("conflict", decided.conflicts)
        return decided.decisions

    def keep_aside(self) -> None:
        """Store the records that are kept beside the loaded ones."""
        kept = SetAside(
            rejected=self.kept("faulty"),
            suspended=self.kept("waiting"),
            conflict=self.kept("conflict"),
            duplicate=self.kept("duplicate"),
        )
        failpoint("import_before_set_aside")
        self.importer.imports.set_aside(self.claim, kept)
        failpoint("import_after_set_aside")

    def kept(self, kind: str) -> _Kept:
        return _Kept(self.spool, kind, self.claim.import_id)

    def load(
        self,
        new: Iterable[pl.DataFrame],
        superseding: pl.DataFrame,
        customers: pl.DataFrame,
        *,
        is_renamed: bool,
    ) -> "Touched":
        """Load what is new, chunk by chunk in key order, several batches to a commit."""
        settings = self.importer.settings
        batch_no = self.ledger.last_batch_no + 1
        touched = Touched.by_replaced(replaced_keys(superseding), customers)
        commit_rows = settings.batch_rows * settings.batches_per_commit
        with self.lanes() as lanes:
            for chunk in new:
                touched += Touched.by_loaded(chunk, customers)
                self.span(chunk["call_date"])
                rows = self._stored_form(chunk)
                if is_renamed:  # a renamed record may have another place
                    rows = rows.sort(list(cdr.KEY))
                for part in rows.iter_slices(commit_rows):
                    STOP.checkpoint()
                    replaced = superseding.join(part, on="fingerprint", how="semi")
                    self.progressed(
                        lanes.start(
                            partial(self.load_part, part, batch_no, replaced_keys(replaced))
                        )
                    )
                    batch_no += -(-part.height // settings.batch_rows)
            self.progressed(lanes.finish())
        return touched

    def lanes(self) -> Lanes[int]:
        """As many commits at a time as the database gains from."""
        wanted = self.importer.settings.load_connections
        return Lanes(min(wanted, self.importer.database.writers))

    def load_part(
        self, part: pl.DataFrame, first_batch_no: int, replaced: pl.DataFrame
    ) -> int:
        """Load the records of one commit; return how many they are."""
        failpoint("import_before_load")
        self.importer.imports.load(
            self.claim,
            part,
            first_batch_no=first_batch_no,
            batch_rows=self.importer.settings.batch_rows,
            replaced=replaced,
        )
        failpoint("import_after_load")
        return part.height

    def progressed(self, counts: list[int]) -> None:
        for count in counts:
            self.importer.progress(count)

    def _stored_form(self, chunk: pl.DataFrame) -> pl.DataFrame:
        return chunk.with_columns(
            pl.lit(self.claim.import_id, pl.Int64).alias("import_id"),
            pl.lit(self.profile.id).alias("provider"),
        ).select(list(STORED))

    def outcome(self, reading: Reading, rejected: int) -> Outcome:
        """Count where every record ended; loaded is what the ledger proves."""
        ledger = self.importer.imports.ledger(self.claim)
        return Outcome(
            records=reading.records,
            loaded=ledger.record_count,
            duplicates=self.spool.count("duplicate"),
            conflicts=self.spool.count("conflict"),
            rejected=rejected,
            suspended=self.spool.count("waiting"),
            ignored=reading.ignored,
            cost_micros=ledger.cost_micros,
        )

    def complete(
        self, reading: Reading, outcome: Outcome, touched: "Touched", finish: Finish
    ) -> None:
        """Mark the import complete and its cycles dirty, with what follows: one commit."""
        if (touched.record_count, touched.cost_micros) != (
            outcome.loaded,
            outcome.cost_micros,
        ):
            message = (
                f"{self.row.file_name}: {outcome.loaded} records of "
                f"{outcome.cost_micros} micros are in the ledger but "
                f"{touched.record_count} of {touched.cost_micros} belong to a cycle; the "
                "import is not completed"
            )
            raise MoneyError(message)
        call_dates = (self.call_dates[0], self.call_dates[-1]) if self.call_dates else None

        def work(tx: Transaction) -> None:
            self.importer.imports.finish(
                tx,
                self.claim,
                outcome,
                touched.cycles,
                duration_ms=round((time.monotonic() - self.started) * 1000),
                call_dates=call_dates,
                message=reading.notes or None,
            )
            self.importer.totals.mark_dirty(tx, touched.pairs, f"import {self.row.id}")
            finish(tx, replace(self.row, outcome=outcome, is_complete=True, status="done"))
            failpoint("import_in_finish")

        failpoint("import_before_finish")
        self.importer.imports.surely(work, self.is_complete)
        failpoint("import_after_finish")
        self.log("import complete", **asdict(outcome))

    def log(self, event: str, **figures: int) -> None:
        seconds = round(time.monotonic() - self.started, 3)
        extra = {"import_id": self.row.id, "file": self.row.file_name, "seconds": seconds}
        _log.info(event, extra={**extra, **figures})

    def span(self, call_dates: pl.Series) -> None:
        self.call_dates = extremes(self.call_dates, call_dates)

    def is_complete(self) -> bool:
        row = self.importer.imports.find(self.row.id)
        return row is not None and row.is_complete


@dataclass(frozen=True)
class Touched:
    """Which cycles an import changes: those of its records, and of records it replaces."""

    cycles: pl.DataFrame
    """CYCLES of the records that belong to the import."""
    replaced: pl.DataFrame
    """CYCLES of the stored records that become history."""

    @classmethod
    def nothing(cls) -> "Touched":
        """Touch no cycle."""
        return cls(pl.DataFrame(schema=CYCLES), pl.DataFrame(schema=CYCLES))

    @classmethod
    def by_loaded(cls, records: pl.DataFrame, customers: pl.DataFrame) -> "Touched":
        """Find the cycles of records that belong to the import."""
        return cls(cycles_of(records, customers), pl.DataFrame(schema=CYCLES))

    @classmethod
    def by_replaced(cls, keys: pl.DataFrame, customers: pl.DataFrame) -> "Touched":
        """Find the cycles of stored records (KEY) that become history."""
        uncosted = keys.with_columns(pl.lit(0, pl.Int64).alias("cost_micros"))
        return cls(pl.DataFrame(schema=CYCLES), cycles_of(uncosted, customers))

    def __add__(self, other: "Touched") -> "Touched":
        return Touched(
            _added([self.cycles, other.cycles]), _added([self.replaced, other.replaced])
        )

    @property
    def record_count(self) -> int:
        """Records that belong to the import."""
        return int(self.cycles["record_count"].sum())

    @property
    def cost_micros(self) -> int:
        """What the records of the import cost."""
        return int(self.cycles["cost_micros"].cast(pl.Int128).sum())

    @property
    def pairs(self) -> pl.DataFrame:
        """Every cycle that needs new totals, once."""
        key = ["customer_id", "cycle_start_date", "cycle_end_date"]
        return pl.concat([self.cycles, self.replaced]).select(key).unique().sort(key)


def _without(records: pl.DataFrame, decisions: pl.DataFrame) -> pl.DataFrame:
    """Return the records that are not decided upon, in their order."""
    if decisions.is_empty():
        return records
    return records.join(decisions, on="fingerprint", how="anti", maintain_order="left")


def _added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    key = ["customer_id", "cycle_start_date", "cycle_end_date"]
    return (
        pl.concat(frames)
        .group_by(key)
        .agg(exact_sum("record_count"), exact_sum("cost_micros"))
        .sort(key)
    )
