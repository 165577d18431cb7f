"""The replay: suspended records whose owner is known by now are loaded after all.

Effects: the database, under the same lease as imports of the provider. Read
``Replayer.replay`` first. Some records at a time leave ``suspended_record`` in the one
transaction that stores what became of them, so a kill between two of them loses nothing,
and what still has no owner stays where it is.
"""

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import groupby

import polars as pl

from etl.failpoints import failpoint
from etl.importing import Importer, Met, Touched, meet_stored
from etl.profiles import load_profile
from etl.stopping import STOP
from loaders.database import Transaction
from loaders.imports import STORED, ImportRow
from loaders.leases import Lease
from loaders.set_aside import BEFORE_ALL, Resolved, SetAsideStore
from transforms import cdr
from transforms.errors import StoreError
from transforms.match import Owners, match
from transforms.met_before import decide, replaced_keys
from transforms.profile import Profile

Follow = Callable[[Transaction, ImportRow], None]
"""Stores what follows for an import that has more records now, in the same transaction."""


@dataclass(frozen=True)
class Replayed:
    """What became of the suspended records of one import.

    Attributes:
        examined: How many there were.
        suspended: How many still have no owner.
        cost_micros: Of the loaded ones.
    """

    import_id: int
    provider: str
    examined: int = 0
    loaded: int = 0
    duplicates: int = 0
    conflicts: int = 0
    suspended: int = 0
    cost_micros: int = 0

    def __add__(self, other: "Replayed") -> "Replayed":
        """Put the next records of the same import behind these."""
        mine, theirs = asdict(self), asdict(other)
        names = [name for name in mine if name not in ("import_id", "provider")]
        sums = {name: mine[name] + theirs[name] for name in names}
        return Replayed(self.import_id, self.provider, **sums)


@dataclass(frozen=True)
class Replayer:
    """Moves suspended records on."""

    importer: Importer
    aside: SetAsideStore
    follow: Follow

    def replay(self, import_id: int | None, *, dry_run: bool = False) -> list[Replayed]:
        """Look at the suspended records of one import, or of all, once more.

        With ``dry_run`` nothing is written, and records that have an owner now count as
        loaded whether or not the same record is stored already.

        Raises:
            LeaseHeld: When an import of the provider is under way.
            Stopped: After a SIGTERM; what was moved stays moved.
        """
        waiting = self.aside.waiting_imports(import_id)
        replayed: list[Replayed] = []
        for provider, group in groupby(waiting, key=lambda one: one[0]):
            ids = [each for _, each in group]
            if dry_run:
                replayed += [self._look(provider, each) for each in ids]
            else:
                replayed += self._of_provider(provider, ids)
        return replayed

    def _look(self, provider: str, import_id: int) -> Replayed:
        owners = self._owners()
        looked = Replayed(import_id, provider)
        for page in self.pages(import_id):
            loaded = match(_unmatched(page), owners).owned
            looked += Replayed(
                import_id,
                provider,
                examined=page.height,
                loaded=loaded.height,
                suspended=page.height - loaded.height,
                cost_micros=int(loaded["cost_micros"].cast(pl.Int128).sum()),
            )
        return looked

    def _of_provider(self, provider: str, import_ids: list[int]) -> list[Replayed]:
        importer = self.importer
        profile = load_profile(provider, folders=[importer.settings.providers])
        lease = importer.imports.take_provider(provider, importer.owner)
        try:
            with STOP.stoppable():
                importer.finish_half_loaded(provider, lease)
                return [
                    _OneReplay(self, self._row(each), profile, lease).run(self._owners())
                    for each in import_ids
                ]
        finally:
            importer.give_back(lease)

    def _row(self, import_id: int) -> ImportRow:
        row = self.importer.imports.find(import_id)
        if row is None:
            message = f"import {import_id} has vanished from import_queue"
            raise StoreError(message)
        return row

    def _owners(self) -> Owners:
        reference = self.importer.reference
        return Owners.build(reference.customers(), reference.subscriptions())

    def pages(self, import_id: int) -> Iterator[pl.DataFrame]:
        """Read the suspended records (WAITING) of an import, some at a time."""
        place, most = BEFORE_ALL, self.importer.settings.chunk_rows
        while not (page := self.aside.page(import_id, place, most)).is_empty():
            yield page
            last = page.row(-1, named=True)
            place = (last["member"], last["line_no"])


@dataclass
class _OneReplay:
    """The suspended records of one import, some at a time."""

    replayer: Replayer
    row: ImportRow
    profile: Profile
    lease: Lease

    def run(self, owners: Owners) -> Replayed:
        done = Replayed(self.row.id, self.row.provider)
        for page in self.replayer.pages(self.row.id):
            self.beat()
            owned = match(_unmatched(page), owners).owned
            left = Replayed(
                self.row.id,
                self.row.provider,
                examined=page.height,
                suspended=page.height - owned.height,
            )
            done += left if owned.is_empty() else left + self.resolve(owned)
        return done

    def beat(self) -> None:
        STOP.checkpoint()
        self.replayer.importer.imports.keep_provider(self.lease)

    def resolve(self, owned: pl.DataFrame) -> Replayed:
        """Compare owned records with what is stored, and move them."""
        met = self.meet_stored(owned)
        stored = self.replayer.importer.imports.stored_records(met.keys_of(owned))
        decided = decide(owned, stored, self.profile, met.later_imports)
        fates = decided.decisions
        stays = fates.filter(pl.col("fate") != "supersede")
        loaded = owned.join(stays, on="fingerprint", how="anti").with_columns(
            pl.lit(self.row.id, pl.Int64).alias("import_id")
        )
        customers = self.replayer.importer.reference.customers()
        replaced = replaced_keys(fates.filter(pl.col("fate") == "supersede"))
        touched = Touched.by_loaded(loaded, customers)
        touched += Touched.by_replaced(replaced, customers)
        resolved = Resolved(
            import_id=self.row.id,
            places=owned.select("member", "line_no"),
            loaded=loaded.select(list(STORED)).sort(list(cdr.KEY)),
            duplicates=decided.duplicates,
            conflicts=decided.conflicts,
            replaced=replaced,
            cycles=touched.cycles,
        )
        self.commit(resolved, touched.pairs)
        return Replayed(
            self.row.id,
            self.row.provider,
            loaded=loaded.height,
            duplicates=decided.duplicates.height,
            conflicts=decided.conflicts.height,
            cost_micros=resolved.cost_micros,
        )

    def meet_stored(self, owned: pl.DataFrame) -> Met:
        """Find the stored keys that are among these records too."""
        starts = owned["started_at_utc"].sort()
        return meet_stored(
            self.replayer.importer.imports,
            self.row,
            self.profile,
            (starts[0], starts[-1]),
            owned["fingerprint"].sort(),
            self.beat,
        )

    def commit(self, resolved: Resolved, pairs: pl.DataFrame) -> None:
        importer, aside = self.replayer.importer, self.replayer.aside

        def work(tx: Transaction) -> None:
            aside.resolve(tx, resolved, importer.settings.batch_rows)
            importer.totals.mark_dirty(tx, pairs, f"replay of import {self.row.id}")
            if aside.has_provider_invoice(tx, self.row.id):
                self.replayer.follow(tx, self.row)
            importer.imports.hold_provider(tx, self.lease)
            failpoint("replay_in_commit")

        def is_done() -> bool:
            return not aside.is_suspended(self.row.id, resolved.places.row(0, named=True))

        failpoint("replay_before_commit")
        importer.imports.surely(work, is_done)
        failpoint("replay_after_commit")


def _unmatched(page: pl.DataFrame) -> pl.DataFrame:
    """Suspended records as they were before an owner was looked for."""
    return page.drop("reason_code", "reason")
