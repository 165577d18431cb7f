"""The application: what a command needs, opened when it is first used.

Effects: opens the database and the storage folder. Made once in ``etl/commands/options``
and handed down; nothing below it reads settings or the clock by itself.

What only some commands need is imported where it is made, so that the others start quickly.
"""

from __future__ import annotations

import os
import socket
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from etl.stopping import STOP
from etl.storage import Storage
from loaders.jobs import JobQueue
from loaders.leases import Leases
from loaders.open import driver_of, open_database
from transforms.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType

    from etl.documents.writing import DocumentFolder
    from etl.early_reading import EarlyReader
    from etl.executors import Beside
    from etl.importing import Importer
    from etl.insights import InsightWork
    from etl.invoicing import Invoicing
    from etl.settings import Settings
    from etl.totals_history import TotalsHistory
    from etl.totals_work import Elsewhere, TotalsWork
    from loaders.corrections import CorrectionStore
    from loaders.database import Database, Transaction
    from loaders.imports import ImportStore
    from loaders.insights import InsightStore
    from loaders.invoices import InvoiceStore
    from loaders.margins import MarginStore
    from loaders.monitor import Monitor
    from loaders.provider_invoices import ProviderInvoiceStore
    from loaders.reference import ReferenceStore
    from loaders.requests import DeliveryRequests
    from loaders.retention import RetentionStore
    from loaders.set_aside import SetAsideStore
    from loaders.sync import SyncStore
    from loaders.totals import TotalsStore
    from transforms.profile import Profile
    from transforms.reference import SyncProfile
    from transforms.totals import Engine


def _no_progress(_count: int) -> None:
    """Nobody watches."""


class App:
    """Settings, and the doors they lead to."""

    def __init__(self, settings: Settings) -> None:
        """Remember the settings; nothing is opened yet."""
        self.settings = settings
        self.owner = f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex[:8]}"
        self._open = ExitStack()

    def __enter__(self) -> Self:
        """Stay open until the command ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close what was opened."""
        self._open.close()

    @cached_property
    def database(self) -> Database:
        """The database, its schema brought up to date."""
        database = open_database(
            self.settings.database_url, temp_dir=self.storage.temporary_folder()
        )
        self._open.callback(database.close)
        database.upgrade()
        return database

    @cached_property
    def storage(self) -> Storage:
        """The folder of delivered files."""
        return Storage(self.settings.storage)

    @cached_property
    def leases(self) -> Leases:
        """Named leases."""
        return Leases(self.database)

    @cached_property
    def jobs(self) -> JobQueue:
        """The durable command queue."""
        return JobQueue(self.database)

    @cached_property
    def imports(self) -> ImportStore:
        """Deliveries and their records."""
        from loaders.imports import ImportStore

        return ImportStore(self.database, self.leases, self.settings.lease_seconds)

    @cached_property
    def totals(self) -> TotalsStore:
        """Totals and their revisions."""
        from loaders.totals import TotalsStore

        return TotalsStore(self.database)

    @cached_property
    def reference(self) -> ReferenceStore:
        """Customers, subscriptions and sync profiles."""
        from loaders.reference import ReferenceStore

        return ReferenceStore(self.database)

    @cached_property
    def requests(self) -> DeliveryRequests:
        """Deliveries that providers prepare for us."""
        from loaders.requests import DeliveryRequests

        return DeliveryRequests(self.database)

    @cached_property
    def syncs(self) -> SyncStore:
        """The schedule of feeds, and its tasks."""
        from loaders.sync import SyncStore

        return SyncStore(self.database)

    @cached_property
    def corrections_store(self) -> CorrectionStore:
        """What operators decide about deliveries."""
        from etl.bus import new_job
        from etl.corrections import invoice_command
        from loaders.corrections import CorrectionStore

        def again(tx: Transaction, import_id: int, provider: str) -> None:
            job = new_job(invoice_command(provider, import_id))
            self.jobs.enqueue(tx, job, uuid4().hex[:16])

        return CorrectionStore(
            self.database, self.totals, self.leases, self.settings.lease_seconds, again
        )

    @cached_property
    def monitor(self) -> Monitor:
        """Questions about how things go."""
        from loaders.monitor import Monitor

        return Monitor(self.database)

    @cached_property
    def set_aside(self) -> SetAsideStore:
        """Records beside the loaded ones."""
        from loaders.set_aside import SetAsideStore

        return SetAsideStore(self.database)

    @cached_property
    def provider_invoices(self) -> ProviderInvoiceStore:
        """What providers charge for imports."""
        from loaders.provider_invoices import ProviderInvoiceStore

        return ProviderInvoiceStore(self.database)

    @cached_property
    def invoices(self) -> InvoiceStore:
        """Issued invoices."""
        from loaders.invoices import InvoiceStore

        return InvoiceStore(self.database)

    @cached_property
    def invoicing(self) -> Invoicing:
        """The making of invoices."""
        from etl.invoice_plans import InvoicePlans
        from etl.invoicing import Invoicing
        from loaders.rate_plans import RatePlanStore

        return Invoicing(
            self.database,
            self.invoices,
            self.totals,
            self.reference,
            self.settings.invoice,
            self.settings.supplier,
            InvoicePlans(self.invoices, RatePlanStore(self.database)),
            self.stop,
        )

    @cached_property
    def documents(self) -> DocumentFolder:
        """The folder of invoices as files."""
        from etl.documents.calls import CallReader
        from etl.documents.past_plans import PastPlans
        from etl.documents.writing import DocumentFolder
        from loaders.rate_plans import RatePlanStore

        plans = PastPlans(self.invoices, RatePlanStore(self.database))
        calls = CallReader(self.database, self.totals, plans)
        return DocumentFolder(self.settings.storage, calls, self.stop)

    @cached_property
    def margins(self) -> MarginStore:
        """Provider cost beside own price."""
        from loaders.margins import MarginStore

        return MarginStore(self.database)

    @cached_property
    def insights(self) -> InsightStore:
        """What a person should look at."""
        from loaders.insights import InsightStore

        return InsightStore(self.database)

    @cached_property
    def insight_work(self) -> InsightWork:
        """The finding of it."""
        from etl.insights import InsightWork

        return InsightWork(
            self.database, self.insights, self.reference, self.settings.insights
        )

    @cached_property
    def retention(self) -> RetentionStore:
        """What is removed after its term."""
        from loaders.retention import RetentionStore

        return RetentionStore(self.database)

    @cached_property
    def engine(self) -> Engine:
        """DuckDB, with a spill folder of this process alone."""
        from transforms.totals import Engine

        folder = self._open.enter_context(self.storage.workspace("duckdb"))
        engine = Engine(str(folder), f"{self.settings.limits.duckdb_memory_mb}MB")
        self._open.callback(engine.close)
        return engine

    @cached_property
    def totals_work(self) -> TotalsWork:
        """The computation of totals."""
        from etl.totals_work import TotalsWork

        return TotalsWork(
            self.database,
            self.totals,
            self.reference,
            self.leases,
            lambda: self.engine,
            owner=self.owner,
            lease_s=self.settings.lease_seconds,
            elsewhere=self._totals_elsewhere,
        )

    @cached_property
    def executor(self) -> Beside:
        """Where work that can be shared out runs; it ends with the command."""
        from etl.executors import make_executor

        driver = driver_of(self.settings.database_url)
        executor = make_executor(self.settings.executor, driver=driver)
        self._open.callback(executor.shutdown, wait=True, cancel_futures=True)
        return executor

    @cached_property
    def _totals_elsewhere(self) -> Elsewhere | None:
        from etl.executors import SERIAL
        from etl.totals_shares import Place, TotalsShares

        if self.settings.executor == SERIAL:
            return None
        place = Place.of(self.settings)
        return lambda pairs, lease, here: TotalsShares(
            self.executor, place, self.leases
        ).compute(pairs, lease, here)

    @cached_property
    def totals_history(self) -> TotalsHistory:
        """Comparisons of totals with their past and with other plans."""
        from etl.totals_history import TotalsHistory

        return TotalsHistory(self.database, self.totals, self.reference)

    def importer(self, progress: Callable[[int], None] = _no_progress) -> Importer:
        """The import of one delivery; the database is proven fit for it first.

        Raises:
            ConfigError: Naming each setting of the server and the value it needs.
        """
        from etl.importing import Importer

        faults = self.database.check()
        if faults:
            message = f"the database is not fit for imports: {'; '.join(faults)}"
            raise ConfigError(message)
        return Importer(
            database=self.database,
            imports=self.imports,
            totals=self.totals,
            reference=self.reference,
            storage=self.storage,
            settings=self.settings,
            owner=self.owner,
            latest_utc=datetime.now(UTC).replace(tzinfo=None),
            progress=progress,
        )

    def early_reader(self, profile: Profile, provider: str) -> EarlyReader:
        """The reading of deliveries before their turn, where there is somebody to do it."""
        from etl.early_reading import EarlyReader

        return EarlyReader(
            self.executor,
            self.storage,
            self.reference,
            self.settings,
            profile,
            provider,
            datetime.now(UTC).replace(tzinfo=None),
        )

    def stop(self) -> bool:
        """Whether someone asked this process to stop."""
        return STOP.is_asked()

    def feed(self, provider: str) -> SyncProfile:
        """How a provider's deliveries are fetched.

        Raises:
            ConfigError: When no sync profile was loaded for it.
        """
        for stored in self.reference.sync_profiles():
            if stored.profile.provider == provider:
                return stored.profile
        message = (
            f"there is no sync profile for {provider!r}; add one to sync_profiles.toml and "
            "run: etl reference:load DIR"
        )
        raise ConfigError(message)
