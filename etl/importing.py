"""The import of one delivery: the story first, its steps below.

Effects: storage, work folder and database, all through what it is given. Read
``Importer.import_stored`` first. A kill at any point is mended by running it again:
reading is a pure function of the stored bytes, and every commit carries its ledger row.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

import polars as pl

from etl.profiles import load_profile
from etl.reading import Reading, Source, read_delivery
from etl.settings import Settings
from etl.spool import Spool
from etl.stopping import STOP
from etl.storage import Storage
from loaders.database import Database, Transaction
from loaders.imports import KNOWN, STORED, WAITING, Claim, ImportRow, ImportStore, SetAside
from loaders.leases import Lease
from loaders.reference import ReferenceStore
from loaders.totals import TotalsStore
from transforms import cdr
from transforms.errors import BillingError, DeliveryRefused, Stopped, StoreError
from transforms.match import CYCLES, Owners, cycles_of
from transforms.met_before import (
    DECISION,
    decide,
    going_on,
    repeats_aside,
    replaced_keys,
)
from transforms.money import exact_sum
from transforms.outcome import Outcome
from transforms.profile import Profile

Finish = Callable[[Transaction, ImportRow], None]
"""What the caller wants stored in the transaction that completes the import."""

NO_KEYS = pl.DataFrame(schema=cdr.KEY)


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

    def import_stored(self, row: ImportRow, profile: Profile, finish: Finish) -> ImportRow:
        """Import a registered delivery, or finish what an earlier run began.

        Args:
            row: The import as registered.
            profile: How to read it.
            finish: Called inside the completing transaction, last.

        Returns:
            The import as it ended: ``done`` or ``refused``.

        Raises:
            LeaseHeld: When a live run works on it, or on another of this provider.
            BillingError: When the world failed; run it again to go on.
        """
        if row.is_complete:
            return row
        lease = self.imports.take_provider(row.provider, self.owner)
        try:
            claim = self.imports.claim(row, lease)
            for other in self.imports.half_loaded(claim):
                self._finish_first(other, lease)
            self._attempt(claim, row, profile, finish)
        finally:
            self.imports.free_provider(lease)
        return self._again(row.id)

    def _finish_first(self, import_id: int, lease: Lease) -> None:
        """Finish an import of this provider that stopped with records stored.

        What it holds and what it would still load must be settled before another
        delivery is compared with it.
        """
        row = self._again(import_id)
        profile = load_profile(row.provider, folders=[self.settings.providers])
        claim = self.imports.claim(row, lease)
        self._attempt(claim, row, profile, lambda _tx, _row: None)

    def _attempt(
        self, claim: Claim, row: ImportRow, profile: Profile, finish: Finish
    ) -> None:
        try:
            with (
                STOP.stoppable(),
                self.storage.workspace(f"import-{row.id}") as folder,
                Spool(folder) as spool,
            ):
                _OneImport(self, claim, row, profile, spool, time.monotonic()).run(finish)
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
        self.imports.stop(claim, "refused", str(why), Outcome())

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


@dataclass
class _OneImport:
    """One attempt at one delivery, step by step."""

    importer: Importer
    claim: Claim
    row: ImportRow
    profile: Profile
    spool: Spool
    started: float

    def run(self, finish: Finish) -> None:
        customers = self.importer.reference.customers()
        owners = Owners.build(customers, self.importer.reference.subscriptions())

        reading = self.read(owners)
        self.settle_repeats(reading)
        decisions = self.compare_with_stored(reading)
        self.importer.imports.set_aside(self.claim, self.kept_aside())
        cycles = self.load(reading, decisions, customers)

        outcome = self.outcome(reading).conserved(self.row.file_name)
        self.complete(reading, outcome, cycles, finish)

    def read(self, owners: Owners) -> Reading:
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
        )

    def beat(self, records: int) -> None:
        STOP.checkpoint()
        self.importer.imports.heartbeat(self.claim)
        self.importer.progress(records)

    def settle_repeats(self, reading: Reading) -> None:
        """Set aside what repeats a key of this delivery, and what has no owner."""
        for frame in self.spool.frames("repeated"):
            aside = repeats_aside(frame, self.claim.import_id)
            self.spool.write("duplicate", aside.duplicates)
            self.spool.write("conflict", aside.conflicts)
        provider = pl.lit(self.profile.id).alias("provider")
        for frame in self.spool.frames("suspended"):
            waiting = going_on(frame, reading.fates).with_columns(provider)
            self.spool.write("waiting", waiting.select(list(WAITING)))

    def owned(self, reading: Reading) -> Iterator[pl.DataFrame]:
        """The owned records that go on, in key order, under their final fingerprints."""
        for frame in reading.owned.frames():
            yield frame if reading.fates.is_empty() else going_on(frame, reading.fates)

    def compare_with_stored(self, reading: Reading) -> pl.DataFrame:
        """Decide what becomes of records whose key is stored already (DECISION)."""
        if reading.call_dates is None:
            return pl.DataFrame(schema=DECISION)
        first, last = reading.call_dates
        pages = self.importer.imports.known_keys(
            self.profile.id, first, last, self.profile.source.accept_late_days
        )
        hits = pl.concat(
            [
                pl.DataFrame(schema=KNOWN),
                *(
                    page.join(reading.fingerprints, on="fingerprint", how="semi")
                    for page in pages
                ),
            ]
        )
        if hits.is_empty():
            return pl.DataFrame(schema=DECISION)
        return pl.concat([self._decide(chunk, hits) for chunk in self.owned(reading)])

    def _decide(self, chunk: pl.DataFrame, hits: pl.DataFrame) -> pl.DataFrame:
        keys = hits.join(chunk, on="fingerprint", how="semi").select(list(cdr.KEY))
        stored = self.importer.imports.stored_records(keys)
        decided = decide(chunk, stored, self.profile, self.claim.import_id)
        self.spool.write("duplicate", decided.duplicates)
        self.spool.write("conflict", decided.conflicts)
        return decided.decisions

    def kept_aside(self) -> SetAside:
        """The records that are kept beside the loaded ones."""

        def frames(kind: str) -> Iterator[pl.DataFrame]:
            import_id = pl.lit(self.claim.import_id, pl.Int64).alias("import_id")
            return (frame.with_columns(import_id) for frame in self.spool.frames(kind))

        return SetAside(
            rejected=frames("rejected"),
            suspended=frames("waiting"),
            conflict=frames("conflict"),
            duplicate=frames("duplicate"),
        )

    def load(
        self, reading: Reading, decisions: pl.DataFrame, customers: pl.DataFrame
    ) -> "Touched":
        """Load what is new, chunk by chunk in key order, several batches to a commit."""
        settings = self.importer.settings
        batch_no = self.importer.imports.ledger(self.claim).last_batch_no + 1
        superseding = decisions.filter(pl.col("fate") == "supersede")
        stays = decisions.filter(pl.col("fate").is_in(["duplicate", "conflict"]))
        ours = decisions.filter(pl.col("fate") == "ours")
        touched = Touched.by_replaced(superseding, customers)
        for chunk in self.owned(reading):
            counted = chunk.join(stays, on="fingerprint", how="anti")
            touched += Touched.by_loaded(counted, customers)
            new = counted.join(ours, on="fingerprint", how="anti")
            ordered = self._stored_form(new).sort(list(cdr.KEY))
            for part in ordered.iter_slices(
                settings.batch_rows * settings.batches_per_commit
            ):
                STOP.checkpoint()
                replaced = superseding.join(part, on="fingerprint", how="semi")
                batch_no += self.importer.imports.load(
                    self.claim,
                    part,
                    first_batch_no=batch_no,
                    batch_rows=settings.batch_rows,
                    replaced=replaced_keys(replaced),
                )
                self.importer.progress(part.height)
        return touched

    def _stored_form(self, chunk: pl.DataFrame) -> pl.DataFrame:
        return chunk.with_columns(
            pl.lit(self.claim.import_id, pl.Int64).alias("import_id"),
            pl.lit(self.profile.id).alias("provider"),
        ).select(list(STORED))

    def outcome(self, reading: Reading) -> Outcome:
        """Count where every record ended; loaded is what the ledger proves."""
        ledger = self.importer.imports.ledger(self.claim)
        return Outcome(
            records=reading.records,
            loaded=ledger.record_count,
            duplicates=self.spool.count("duplicate"),
            conflicts=self.spool.count("conflict"),
            rejected=reading.rejected,
            suspended=self.spool.count("waiting"),
            ignored=reading.ignored,
            cost_micros=ledger.cost_micros,
        )

    def complete(
        self, reading: Reading, outcome: Outcome, touched: "Touched", finish: Finish
    ) -> None:
        """Mark the import complete and its cycles dirty, with what follows: one commit."""
        if touched.record_count != outcome.loaded:
            message = (
                f"{self.row.file_name}: {outcome.loaded} records are in the ledger but "
                f"{touched.record_count} belong to a cycle; the import is not completed"
            )
            raise StoreError(message)
        with self.importer.database.transaction() as tx:
            self.importer.imports.finish(
                tx,
                self.claim,
                outcome,
                touched.cycles,
                duration_ms=round((time.monotonic() - self.started) * 1000),
                call_dates=reading.call_dates,
                message=reading.notes or None,
            )
            self.importer.totals.mark_dirty(tx, touched.pairs, f"import {self.row.id}")
            finish(tx, replace(self.row, outcome=outcome, is_complete=True, status="done"))


@dataclass(frozen=True)
class Touched:
    """Which cycles an import changes: those of its records, and of records it replaces."""

    cycles: pl.DataFrame
    """CYCLES of the records that belong to the import."""
    replaced: pl.DataFrame
    """CYCLES of the stored records that become history."""

    @classmethod
    def by_loaded(cls, records: pl.DataFrame, customers: pl.DataFrame) -> "Touched":
        """Find the cycles of records that belong to the import."""
        return cls(cycles_of(records, customers), pl.DataFrame(schema=CYCLES))

    @classmethod
    def by_replaced(cls, superseding: pl.DataFrame, customers: pl.DataFrame) -> "Touched":
        """Find the cycles of stored records that DECISION rows replace."""
        keys = replaced_keys(superseding)
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
    def pairs(self) -> pl.DataFrame:
        """Every cycle that needs new totals, once."""
        key = ["customer_id", "cycle_start_date", "cycle_end_date"]
        return pl.concat([self.cycles, self.replaced]).select(key).unique().sort(key)


def _added(frames: list[pl.DataFrame]) -> pl.DataFrame:
    key = ["customer_id", "cycle_start_date", "cycle_end_date"]
    return (
        pl.concat(frames)
        .group_by(key)
        .agg(exact_sum("record_count"), exact_sum("cost_micros"))
        .sort(key)
    )
