"""Corrections by an operator: a delivery backed out, records given to other owners.

Effects: storage, work folder and database, under the same lease as imports of the
provider. Read ``Corrections.revert`` first. A revert goes in steps, each of them whole
commits, and the same command goes on after a kill::

    begin     the records count no longer; their cycles wait for totals
    pages     records leave, and what they had replaced counts again
    offers    what later deliveries had set aside because of them is loaded after all
    finish    nothing of the delivery is stored any more

Units: ``_micros`` whole micros.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

import polars as pl

from etl.chains import ROUTIT, InvoiceCollected, InvoiceImport
from etl.failpoints import failpoint
from etl.importing import Importer, Met, meet_stored
from etl.profiles import load_profile
from etl.reading import Reading, Source, read_delivery
from etl.spool import Spool
from etl.stopping import STOP
from loaders.corrections import (
    PAGE_ROWS,
    Adjustment,
    CorrectionStore,
    Moved,
    Offered,
    OfferingImport,
    RevertFigures,
)
from loaders.imports import STORED, WAITING, ImportRow
from loaders.leases import Lease
from loaders.totals import CYCLE
from transforms import cdr
from transforms.errors import ConfigError
from transforms.match import Owners, cycles_of, match
from transforms.met_before import (
    SET_ASIDE,
    Decided,
    decide,
    going_on,
    replaced_keys,
)
from transforms.money import exact_sum
from transforms.profile import Profile

PLACE = ["member", "line_no"]

CONFLICT: cdr.Schema = {**SET_ASIDE, "raw": pl.String()}
REJECT: cdr.Schema = {"member": pl.String(), **cdr.REJECTED}

NOT_FOUND = "the stored delivery has no such record under the profile of today"
RAW_IN_DELIVERY = ""
"""A stored record keeps no raw line; it stands in the stored delivery."""


def invoice_command(provider: str, import_id: int) -> InvoiceImport | InvoiceCollected:
    """Return the command that works out what a provider charges for an import."""
    if provider == ROUTIT:
        return InvoiceImport(import_id)
    return InvoiceCollected(import_id)


@dataclass(frozen=True)
class OfferedAgain:
    """What became of the records of one delivery that were offered again."""

    import_id: int
    records: int = 0
    loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    rejected: int = 0
    suspended: int = 0


@dataclass(frozen=True)
class Reverted:
    """A delivery that was backed out, or would be."""

    import_id: int
    by: str
    figures: RevertFigures
    offered: tuple[OfferedAgain, ...]


@dataclass(frozen=True)
class Rematched:
    """What became of the stored records of one provider.

    Attributes:
        records: How many were looked at.
        moved: How many have another owner, or another wall clock, now.
        suspended: How many have no owner now.
        cycles: How many cycles wait for totals because of it.
    """

    provider: str
    records: int = 0
    moved: int = 0
    suspended: int = 0
    cycles: int = 0


@dataclass(frozen=True)
class Corrections:
    """Backs deliveries out and gives records to their owners."""

    importer: Importer
    store: CorrectionStore

    # --- backing a delivery out -----------------------------------------------------------

    def look(self, import_id: int) -> Reverted:
        """Say what backing a delivery out would do; nothing is written.

        Raises:
            ConfigError: When nothing of it is stored, records of it were removed after
                their term, or a later delivery is missing.
        """
        row = self.found(import_id)
        self._require_stored(row)
        self.store.require_all_there(import_id)
        offering = self._offering(import_id)
        return Reverted(
            import_id,
            "",
            self.store.revert_figures(import_id),
            tuple(
                OfferedAgain(each.id, records=each.duplicates + each.conflicts)
                for each in offering
            ),
        )

    def revert(self, import_id: int, by: str, reason: str) -> Reverted:
        """Back a delivery out, or finish what an earlier run began.

        Afterwards the database is as if it had never come: what it had replaced counts
        again, and what later deliveries had set aside because of it is loaded. The same
        bytes may be imported again.

        Raises:
            ConfigError: When nothing of it is stored, records of it were removed after
                their term, or a later delivery that has to be read again is not in
                storage any more.
            LeaseHeld: When an import of the provider is under way.
            Stopped: After a SIGTERM; give the same command again to go on.
        """
        row = self.found(import_id)
        lease = self.importer.imports.take_provider(row.provider, self.importer.owner)
        try:
            with STOP.stoppable():
                return self._revert(import_id, lease, by, reason)
        finally:
            self.importer.give_back(lease)

    def _revert(self, import_id: int, lease: Lease, by: str, reason: str) -> Reverted:
        row = self.found(import_id)
        self._require_stored(row)
        self._offering(import_id)
        figures = self.store.revert_figures(import_id)
        if row.status != "reverting":
            failpoint("revert_before_begin")
            self.store.begin_revert(lease, import_id, self.importer.owner, by, reason)
            failpoint("revert_after_begin")
        customers = self.importer.reference.customers()
        for page in self.store.revert_pages(import_id):
            while self.store.revert_page(lease, import_id, page, customers)[0]:
                failpoint("revert_after_page")
                self.beat(lease)
        offered = tuple(
            _Offer(self, row.id, other, lease, customers).run()
            for other in self._offering(import_id)
        )
        failpoint("revert_before_finish")
        self.store.finish_revert(lease, import_id, by)
        failpoint("revert_after_finish")
        return Reverted(import_id, by, figures, offered)

    def _require_stored(self, row: ImportRow) -> None:
        is_begun = row.status == "reverting"
        has_records = self.store.revert_figures(row.id).record_count > 0
        if is_begun or row.is_complete or has_records:
            return
        message = (
            f"import {row.id} of {row.file_name} is {row.status}: nothing of it is stored, "
            "there is nothing to back out"
        )
        raise ConfigError(message)

    def _offering(self, import_id: int) -> list[OfferingImport]:
        """Find the later deliveries to read again; each must be in storage."""
        offering = self.store.offering(import_id)
        missing = [
            f"import {each.id} ({each.file_name})"
            for each in offering
            if not self.importer.storage.path(each.sha256).is_file()
        ]
        if missing:
            message = (
                f"import {import_id}: records of {', '.join(missing)} were set aside "
                "because of it and must be read again, but these files are not in storage; "
                "put them back (etl import FILE) and run this again"
            )
            raise ConfigError(message)
        return offering

    def found(self, import_id: int) -> ImportRow:
        """Return one import, or say that there is none."""
        row = self.importer.imports.find(import_id)
        if row is None:
            message = f"there is no import {import_id}; see: etl import:list"
            raise ConfigError(message)
        return row

    def beat(self, lease: Lease) -> None:
        """Between two commits: stop here when asked to, else keep the lease."""
        STOP.checkpoint()
        self.importer.imports.keep_provider(lease)

    # --- owners again ---------------------------------------------------------------------

    def rematch(
        self, provider: str | None, since: date | None, *, dry_run: bool
    ) -> list[Rematched]:
        """Give stored records to the owners they have now, page by page.

        A record whose owner is another, or whose owner's zone is, moves; one that nobody
        owns now goes back to those that wait. Running it again changes nothing.

        Raises:
            LeaseHeld: When an import of the provider is under way.
            Stopped: After a SIGTERM; what was moved stays moved.
        """
        providers = self.store.providers() if provider is None else [provider]
        reference = self.importer.reference
        customers = reference.customers()
        owners = Owners.build(customers, reference.subscriptions())
        return [
            self._look_at(each, owners, since)
            if dry_run
            else self._rematch(each, owners, customers, since)
            for each in providers
        ]

    def _look_at(self, provider: str, owners: Owners, since: date | None) -> Rematched:
        seen = Rematched(provider)
        for rows in self._pages(provider, since):
            seen = _counted(seen, rows, moved_rows(rows, owners))
        return seen

    def _rematch(
        self, provider: str, owners: Owners, customers: pl.DataFrame, since: date | None
    ) -> Rematched:
        imports = self.importer.imports
        done, cycles = Rematched(provider), pl.DataFrame(schema=CYCLE)
        lease = imports.take_provider(provider, self.importer.owner)
        try:
            with STOP.stoppable():
                self.importer.finish_half_loaded(provider, lease)
                for rows in self._pages(provider, since):
                    self.beat(lease)
                    moved = moved_rows(rows, owners)
                    done = _counted(done, rows, moved)
                    if not moved.before.is_empty():
                        touched = self.store.move(lease, moved, customers)
                        cycles = pl.concat([cycles, touched]).unique()
                        failpoint("rematch_after_page")
        finally:
            self.importer.give_back(lease)
        return replace(done, cycles=cycles.height)

    def _pages(self, provider: str, since: date | None) -> Iterator[pl.DataFrame]:
        for frame in self.store.stored_rows(provider, since):
            yield from frame.iter_slices(PAGE_ROWS)


def moved_rows(rows: pl.DataFrame, owners: Owners) -> Moved:
    """Find the stored records (STORED) that belong elsewhere now."""
    matched = match(
        rows.rename({"customer_id": "was_customer_id", "call_date": "was_call_date"}),
        owners,
    )
    is_elsewhere = (pl.col("customer_id") != pl.col("was_customer_id")) | (
        pl.col("call_date") != pl.col("was_call_date")
    )
    owned = matched.owned.filter(is_elsewhere)
    ownerless = matched.suspended
    return Moved(
        before=pl.concat([_as_stored(owned), _as_stored(ownerless)]),
        after=owned.select(list(STORED)).sort(list(cdr.KEY)),
        suspended=ownerless.with_columns(raw=pl.lit(RAW_IN_DELIVERY)).select(
            "import_id", *WAITING
        ),
    )


def _as_stored(matched: pl.DataFrame) -> pl.DataFrame:
    """The rows as they are stored, under the owner they had."""
    return matched.with_columns(
        customer_id=pl.col("was_customer_id"), call_date=pl.col("was_call_date")
    ).select(list(STORED))


def _counted(so_far: Rematched, rows: pl.DataFrame, moved: Moved) -> Rematched:
    return replace(
        so_far,
        records=so_far.records + rows.height,
        moved=so_far.moved + moved.after.height,
        suspended=so_far.suspended + moved.suspended.height,
    )


# --- offering records again -------------------------------------------------------------


@dataclass
class _Offer:
    """Records of one later delivery that are offered again, some at a time."""

    corrections: Corrections
    against: int
    """The import that is backed out."""
    other: OfferingImport
    lease: Lease
    customers: pl.DataFrame

    def run(self) -> OfferedAgain:
        importer = self.corrections.importer
        profile = load_profile(self.other.provider, folders=[importer.settings.providers])
        row = self.corrections.found(self.other.id)
        places = self.corrections.store.offered_places(self.other.id, self.against)
        done = OfferedAgain(self.other.id)
        left = places
        with (
            importer.storage.workspace(f"offer-{self.other.id}") as folder,
            Spool(folder) as spool,
        ):
            reading = self.read(profile, spool)
            met = self.meet_stored(profile, row, reading)
            for page in self.pages(reading, spool, places, profile, met):
                self.corrections.store.offer(self.lease, self.against, page)
                failpoint("revert_after_offer")
                done = _added(done, page)
                left = left.join(page.places, on=PLACE, how="anti")
                self.beat()
        if not left.is_empty():
            page = self.page(left, _Fates(rejected=_not_found(left)))
            self.corrections.store.offer(self.lease, self.against, page)
            done = _added(done, page)
        return done

    def beat(self, _records: int = 0) -> None:
        self.corrections.beat(self.lease)

    def read(self, profile: Profile, spool: Spool) -> Reading:
        importer = self.corrections.importer
        owners = Owners.build(self.customers, importer.reference.subscriptions())
        return read_delivery(
            Source(
                importer.storage.path(self.other.sha256),
                self.other.file_name,
                self.other.sha256,
                self.other.control_text,
            ),
            profile,
            owners,
            spool,
            chunk_rows=importer.settings.chunk_rows,
            latest_utc=importer.latest_utc,
            beat=self.beat,
            accepts_rejects=True,
        )

    def meet_stored(self, profile: Profile, row: ImportRow, reading: Reading) -> Met:
        return meet_stored(
            self.corrections.importer.imports,
            row,
            profile,
            reading.instants,
            reading.fingerprints,
            self.beat,
        )

    def pages(
        self,
        reading: Reading,
        spool: Spool,
        places: pl.DataFrame,
        profile: Profile,
        met: Met,
    ) -> Iterator[Offered]:
        """Decide over the offered records, frame by frame: owned, ownerless, faulty."""
        for frame in reading.owned.frames():
            ours = self.ours(going_on(frame, reading.fates), places)
            if not ours.is_empty():
                yield self.owned_page(ours, places, profile, met)
        for frame in spool.frames("suspended"):
            ours = self.ours(going_on(frame, reading.fates), places)
            if not ours.is_empty():
                yield self.ownerless_page(ours, places, profile, met)
        for frame in spool.frames("rejected"):
            ours = self.ours(frame, places)
            if not ours.is_empty():
                yield self.page(
                    _taken(places, ours), _Fates(rejected=ours.select(list(REJECT)))
                )

    def ours(self, frame: pl.DataFrame, places: pl.DataFrame) -> pl.DataFrame:
        return frame.join(places, on=PLACE, how="semi", maintain_order="left")

    def decide(self, records: pl.DataFrame, profile: Profile, met: Met) -> Decided:
        stored = self.corrections.importer.imports.stored_records(met.keys_of(records))
        return decide(records, stored, profile, met.later_imports)

    def owned_page(
        self, ours: pl.DataFrame, places: pl.DataFrame, profile: Profile, met: Met
    ) -> Offered:
        decided = self.decide(ours, profile, met)
        stays = decided.decisions.filter(pl.col("fate") != "supersede")
        loaded = ours.join(stays, on="fingerprint", how="anti", maintain_order="left")
        stored_form = (
            loaded.with_columns(
                pl.lit(self.other.id, pl.Int64).alias("import_id"),
                pl.lit(profile.id).alias("provider"),
            )
            .select(list(STORED))
            .sort(list(cdr.KEY))
        )
        fates = _Fates(
            loaded=stored_form,
            replaced=replaced_keys(decided.decisions.filter(pl.col("fate") == "supersede")),
            duplicates=decided.duplicates,
            conflicts=decided.conflicts,
        )
        return self.page(_taken(places, ours), fates)

    def ownerless_page(
        self, ours: pl.DataFrame, places: pl.DataFrame, profile: Profile, met: Met
    ) -> Offered:
        decided = self.decide(ours, profile, met)
        stays = decided.decisions.filter(pl.col("fate") != "supersede")
        waiting = ours.join(stays, on="fingerprint", how="anti", maintain_order="left")
        provider = pl.lit(profile.id).alias("provider")
        fates = _Fates(
            suspended=waiting.with_columns(provider).select(list(WAITING)),
            duplicates=decided.duplicates,
            conflicts=decided.conflicts,
        )
        return self.page(_taken(places, ours), fates)

    def page(self, taken: pl.DataFrame, fates: "_Fates") -> Offered:
        """Put what became of some records together, with all that it changes."""
        import_id = pl.lit(self.other.id, pl.Int64).alias("import_id")
        was_duplicate = int((taken["kind"] == "duplicate").sum())
        cycles = cycles_of(fates.loaded, self.customers)
        replaced = cycles_of(
            fates.replaced.with_columns(cost_micros=pl.lit(0, pl.Int64)), self.customers
        )
        return Offered(
            places=taken.select(PLACE),
            loaded=fates.loaded,
            replaced=fates.replaced,
            duplicates=fates.duplicates.with_columns(import_id),
            conflicts=fates.conflicts.with_columns(import_id),
            suspended=fates.suspended.with_columns(import_id),
            rejected=fates.rejected.with_columns(import_id),
            adjustment=Adjustment(
                self.other.id,
                loaded=fates.loaded.height,
                duplicates=fates.duplicates.height - was_duplicate,
                conflicts=fates.conflicts.height - (taken.height - was_duplicate),
                suspended=fates.suspended.height,
                rejected=fates.rejected.height,
                cost_micros=int(fates.loaded.select(exact_sum("cost_micros")).item() or 0),
                lines=_ends(fates.loaded["line_no"]) or (0, 0),
                call_dates=_ends(fates.loaded["call_date"]),
                cycles=cycles,
            ),
            dirty=pl.concat([cycles, replaced]).select(list(CYCLE)).unique(),
        )


class _Fates:
    """What became of some offered records; what is not named is empty."""

    def __init__(
        self,
        *,
        loaded: pl.DataFrame | None = None,
        replaced: pl.DataFrame | None = None,
        duplicates: pl.DataFrame | None = None,
        conflicts: pl.DataFrame | None = None,
        suspended: pl.DataFrame | None = None,
        rejected: pl.DataFrame | None = None,
    ) -> None:
        self.loaded = _or_empty(loaded, STORED)
        self.replaced = _or_empty(replaced, cdr.KEY)
        self.duplicates = _or_empty(duplicates, SET_ASIDE)
        self.conflicts = _or_empty(conflicts, CONFLICT)
        self.suspended = _or_empty(suspended, WAITING)
        self.rejected = _or_empty(rejected, REJECT)


def _or_empty(frame: pl.DataFrame | None, schema: cdr.Schema) -> pl.DataFrame:
    return pl.DataFrame(schema=schema) if frame is None else frame.select(list(schema))


def _taken(places: pl.DataFrame, ours: pl.DataFrame) -> pl.DataFrame:
    return places.join(ours, on=PLACE, how="semi")


def _not_found(places: pl.DataFrame) -> pl.DataFrame:
    return places.select(
        "member",
        "line_no",
        pl.lit("not_found").alias("reason_code"),
        pl.lit(NOT_FOUND).alias("reason"),
        pl.lit(RAW_IN_DELIVERY).alias("raw"),
    )


def _ends(values: pl.Series) -> tuple[Any, Any] | None:
    """The least and the greatest, or None when there is none."""
    if values.is_empty():
        return None
    ordered = values.sort()
    return ordered[0], ordered[-1]


def _added(so_far: OfferedAgain, page: Offered) -> OfferedAgain:
    return OfferedAgain(
        so_far.import_id,
        records=so_far.records + page.places.height,
        loaded=so_far.loaded + page.loaded.height,
        duplicates=so_far.duplicates + page.duplicates.height,
        conflicts=so_far.conflicts + page.conflicts.height,
        rejected=so_far.rejected + page.rejected.height,
        suspended=so_far.suspended + page.suspended.height,
    )
