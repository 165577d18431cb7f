"""Reading deliveries before their turn: pass one of several files at the same time.

Effects: tasks on an executor, which read deliveries in storage and write to a work folder;
no database. The imports of one provider go one after the other, under its lease and in the
order they were given, because what comes later may repeat or replace what came before. To
read a delivery needs none of that, so the next ones are read while one is loaded.

What was read early is used only if the import would read the same: the same bytes, the
same profile, the same owners. Anything else, and whatever is wrong with a delivery, is
left to the import itself, which reads it again and says what there is to say.
"""

import logging
from concurrent.futures import Future
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import Self

import polars as pl

from etl.executors import Beside, fault_of
from etl.failpoints import failpoint
from etl.profiles import load_profile
from etl.reading import Reading, Source, read_delivery
from etl.settings import Settings
from etl.spool import SortedSpool, Spool, Spooled
from etl.storage import Storage
from loaders.imports import ImportRow
from loaders.open import driver_of, prepare_driver
from loaders.reference import ReferenceStore
from transforms.cdr import KEY
from transforms.dedupe import FATE
from transforms.errors import BillingError, DeliveryRefused, WorkerLost
from transforms.match import Owners
from transforms.profile import Profile

CUSTOMERS, SUBSCRIPTIONS = "customers.arrow", "subscriptions.arrow"
FATES, FINGERPRINTS = "fates", "fingerprints"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ToRead:
    """What a task is told: plain values, and paths that its machine can reach too."""

    path: str
    file_name: str
    sha256: str
    control_text: str | None
    provider: str
    """A profile's id, or the path of its file."""
    providers: str
    """The folder of profiles that go before the shipped ones."""
    profile_sha256: str
    owners: str
    """The folder with customers and subscriptions."""
    folder: str
    """Where what is read goes; the task makes it."""
    chunk_rows: int
    latest_utc: datetime
    driver: str


@dataclass(frozen=True)
class WasRead:
    """What a task read, as plain values; the records are in its folder."""

    folder: str
    records: int
    rejected: int
    ignored: int
    instants: tuple[datetime, datetime] | None
    is_renamed: bool
    notes: str
    parts: int
    spooled: dict[str, Spooled]


def read_early(told: ToRead) -> WasRead | str | None:
    """Read a delivery; the task that runs on an executor.

    Returns:
        What was read, or why it could not be read here; None when it is refused, which
        the import will say itself.
    """
    prepare_driver(told.driver)  # of a later task of this process; see loaders.open
    try:
        return _read(told)
    except DeliveryRefused:
        return None
    except BillingError as exc:
        return str(exc)


def _read(told: ToRead) -> WasRead | str:
    profile = load_profile(told.provider, folders=[Path(told.providers)])
    if profile.sha256 != told.profile_sha256:
        return f"profile {profile.id} is another one where it was to be read"
    customers = pl.read_ipc(Path(told.owners) / CUSTOMERS)
    subscriptions = pl.read_ipc(Path(told.owners) / SUBSCRIPTIONS)
    # A task that was broken off may have left its own; each has a folder of its own.
    folder = Path(told.folder) / token_hex(8)
    folder.mkdir(mode=0o700, parents=True)
    source = Source(Path(told.path), told.file_name, told.sha256, told.control_text)
    with Spool(folder) as spool:
        reading = read_delivery(
            source,
            profile,
            Owners.build(customers, subscriptions),
            spool,
            chunk_rows=told.chunk_rows,
            latest_utc=told.latest_utc,
            beat=lambda _count: None,
        )
        spool.write(FATES, reading.fates)
        spool.write(FINGERPRINTS, reading.fingerprints.to_frame("fingerprint"))
        spooled = spool.spooled()
    failpoint("import_read_early")
    return WasRead(
        folder=str(folder),
        records=reading.records,
        rejected=reading.rejected,
        ignored=reading.ignored,
        instants=reading.instants,
        is_renamed=reading.is_renamed,
        notes=reading.notes,
        parts=reading.owned.parts,
        spooled=spooled,
    )


@dataclass(frozen=True)
class Early:
    """A delivery that was read before its turn, and by which owners; used once."""

    was: WasRead
    chunk_rows: int
    customers: pl.DataFrame
    subscriptions: pl.DataFrame

    def is_by(self, customers: pl.DataFrame, subscriptions: pl.DataFrame) -> bool:
        """Whether these are the owners that it was read by."""
        return self.customers.equals(customers) and self.subscriptions.equals(subscriptions)

    def taken_into(self, spool: Spool) -> Reading:
        """Move what was read into the spool of the import, as if it were read now."""
        was = self.was
        spool.take_over(Path(was.folder), was.spooled)
        fates = [pl.DataFrame(schema=FATE), *spool.frames(FATES)]
        empty = pl.DataFrame(schema={"fingerprint": pl.Int64()})
        return Reading(
            records=was.records,
            rejected=was.rejected,
            ignored=was.ignored,
            instants=was.instants,
            fates=pl.concat(fates),
            is_renamed=was.is_renamed,
            fingerprints=pl.concat([empty, *spool.frames(FINGERPRINTS)])["fingerprint"],
            owned=SortedSpool(
                spool, "owned", list(KEY), chunk_rows=self.chunk_rows, parts=was.parts
            ),
            notes=was.notes,
        )


EarlyFuture = Future[WasRead | str | None]


@dataclass
class EarlyReader:
    """Reads deliveries of one provider on an executor, before their turn."""

    executor: Beside
    storage: Storage
    reference: ReferenceStore
    settings: Settings
    profile: Profile
    provider: str
    """What the profile was loaded by: its id, or the path of its file."""
    latest_utc: datetime
    _open: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> Self:
        """Make the work folder, and put there who owns what."""
        if self.executor.beside:
            folder = self._open.enter_context(self.storage.workspace("early"))
            self._folder = folder.resolve()
            self._customers = self.reference.customers()
            self._subscriptions = self.reference.subscriptions()
            self._customers.write_ipc(self._folder / CUSTOMERS)
            self._subscriptions.write_ipc(self._folder / SUBSCRIPTIONS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Remove the work folder."""
        self._open.close()

    def begin(self, row: ImportRow) -> EarlyFuture:
        """Let somebody read a registered delivery."""
        told = ToRead(
            path=str(self.storage.path(row.sha256).resolve()),
            file_name=row.file_name,
            sha256=row.sha256,
            control_text=row.control_text,
            provider=self._provider_anywhere(),
            providers=str(self.settings.providers.resolve()),
            profile_sha256=self.profile.sha256,
            owners=str(self._folder),
            folder=str(self._folder / str(row.id)),
            chunk_rows=self.settings.chunk_rows,
            latest_utc=self.latest_utc,
            driver=driver_of(self.settings.database_url),
        )
        return self.executor.submit(read_early, told)

    def _provider_anywhere(self) -> str:
        is_file = self.provider.endswith(".toml")
        return str(Path(self.provider).resolve()) if is_file else self.provider

    def end(self, reading: EarlyFuture) -> Early | None:
        """Wait for a reading; None when the import has to read the delivery itself.

        Raises:
            WorkerLost: When workers died over it: nobody should try again unasked.
        """
        try:
            was = self.executor.outcome(reading)
        except WorkerLost:
            raise
        except Exception as exc:  # noqa: BLE001 - the import meets it again, and tells
            was = fault_of(exc)
        if isinstance(was, WasRead):
            chunk_rows = self.settings.chunk_rows
            return Early(was, chunk_rows, self._customers, self._subscriptions)
        if was is not None:
            _log.warning("a delivery is not read ahead of its turn: %s", was)
        return None
