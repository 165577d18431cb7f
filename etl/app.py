"""The application: what a command needs, opened when it is first used.

Effects: opens the database and the storage folder. Made once in ``etl/commands/options``
and handed down; nothing below it reads settings or the clock by itself.
"""

import os
import socket
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from functools import cached_property
from types import TracebackType
from typing import Self
from uuid import uuid4

from etl.bus import new_job
from etl.corrections import invoice_command
from etl.documents.writing import DocumentFolder
from etl.importing import Importer
from etl.invoicing import Invoicing
from etl.plan_vat import PlanVat
from etl.settings import Settings
from etl.stopping import STOP
from etl.storage import Storage
from etl.totals_history import TotalsHistory
from etl.totals_work import TotalsWork
from loaders.corrections import CorrectionStore
from loaders.database import Database, Transaction
from loaders.imports import ImportStore
from loaders.invoices import InvoiceStore
from loaders.jobs import JobQueue
from loaders.leases import Leases
from loaders.margins import MarginStore
from loaders.monitor import Monitor
from loaders.open import open_database
from loaders.provider_invoices import ProviderInvoiceStore
from loaders.reference import ReferenceStore
from loaders.requests import DeliveryRequests
from loaders.retention import RetentionStore
from loaders.set_aside import SetAsideStore
from loaders.sync import SyncStore
from loaders.totals import TotalsStore
from transforms.errors import ConfigError
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
        return ImportStore(self.database, self.leases, self.settings.lease_seconds)

    @cached_property
    def totals(self) -> TotalsStore:
        """Totals and their revisions."""
        return TotalsStore(self.database)

    @cached_property
    def reference(self) -> ReferenceStore:
        """Customers, subscriptions and sync profiles."""
        return ReferenceStore(self.database)

    @cached_property
    def requests(self) -> DeliveryRequests:
        """Deliveries that providers prepare for us."""
        return DeliveryRequests(self.database)

    @cached_property
    def syncs(self) -> SyncStore:
        """The schedule of feeds, and its tasks."""
        return SyncStore(self.database)

    @cached_property
    def corrections_store(self) -> CorrectionStore:
        """What operators decide about deliveries."""

        def again(tx: Transaction, import_id: int, provider: str) -> None:
            job = new_job(invoice_command(provider, import_id))
            self.jobs.enqueue(tx, job, uuid4().hex[:16])

        return CorrectionStore(
            self.database, self.totals, self.leases, self.settings.lease_seconds, again
        )

    @cached_property
    def monitor(self) -> Monitor:
        """Questions about how things go."""
        return Monitor(self.database)

    @cached_property
    def set_aside(self) -> SetAsideStore:
        """Records beside the loaded ones."""
        return SetAsideStore(self.database)

    @cached_property
    def provider_invoices(self) -> ProviderInvoiceStore:
        """What providers charge for imports."""
        return ProviderInvoiceStore(self.database)

    @cached_property
    def invoices(self) -> InvoiceStore:
        """Issued invoices."""
        return InvoiceStore(self.database)

    @cached_property
    def invoicing(self) -> Invoicing:
        """The making of invoices."""
        return Invoicing(
            self.database,
            self.invoices,
            self.totals,
            self.reference,
            self.settings.invoice,
            self.settings.supplier,
            PlanVat(self.invoices.plan_document),
            self.stop,
        )

    @cached_property
    def documents(self) -> DocumentFolder:
        """The folder of invoices as files."""
        return DocumentFolder(self.settings.storage, self.invoices.calls, self.stop)

    @cached_property
    def margins(self) -> MarginStore:
        """Provider cost beside own price."""
        return MarginStore(self.database)

    @cached_property
    def retention(self) -> RetentionStore:
        """What is removed after its term."""
        return RetentionStore(self.database)

    @cached_property
    def engine(self) -> Engine:
        """How DuckDB may work, with a spill folder of this process alone."""
        folder = self._open.enter_context(self.storage.workspace("duckdb"))
        return Engine(str(folder), f"{self.settings.limits.duckdb_memory_mb}MB")

    @cached_property
    def totals_work(self) -> TotalsWork:
        """The computation of totals."""
        return TotalsWork(
            self.database,
            self.totals,
            self.reference,
            self.leases,
            lambda: self.engine,
            owner=self.owner,
            lease_s=self.settings.lease_seconds,
        )

    @cached_property
    def totals_history(self) -> TotalsHistory:
        """Comparisons of totals with their past and with other plans."""
        return TotalsHistory(self.database, self.totals, self.reference)

    def importer(self, progress: Callable[[int], None] = _no_progress) -> Importer:
        """The import of one delivery; the database is proven fit for it first.

        Raises:
            ConfigError: Naming each setting of the server and the value it needs.
        """
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
