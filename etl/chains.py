"""What follows what: the commands of the queue, and the chains they form.

Pure values. A handler names its followers when it is done, and the bus stores them in the
transaction that completes it. ``CHAINS`` is the one place that says which may follow;
``etl chains`` prints it and a test holds the handlers to it.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class SyncProvider:
    """Send a feed that is due to the handler of its transport."""

    name: ClassVar[str] = "sync:provider"
    task: int
    """The row of ``sync_task`` this is for."""
    provider: str
    as_of: str
    """The moment the feed was due, ISO 8601 with its offset."""

    @property
    def work_key(self) -> str:
        """One sync of a provider at a time."""
        return self.provider


@dataclass(frozen=True)
class CollectFolder:
    """Take the whole files out of a provider's drop folder."""

    name: ClassVar[str] = "folder:collect"
    provider: str

    @property
    def work_key(self) -> str:
        """One look into a provider's folder at a time."""
        return self.provider


@dataclass(frozen=True)
class CollectSftp:
    """Bring the new files of a provider's SFTP folder."""

    name: ClassVar[str] = "sftp:collect"
    provider: str

    @property
    def work_key(self) -> str:
        """One visit to a provider's server at a time."""
        return self.provider


@dataclass(frozen=True)
class RequestDelivery:
    """Ask RoutIT for an account's CDRs of a period (YYYYMM) and wait until it is ready."""

    name: ClassVar[str] = "routit:request"
    account: str
    period: str
    again: bool = False
    """Ask anew for a period that was downloaded before."""

    @property
    def work_key(self) -> str:
        """One request for an account and period."""
        return f"{self.account} {self.period}"


@dataclass(frozen=True)
class DownloadDelivery:
    """Bring a delivery that is ready into storage and register its import."""

    name: ClassVar[str] = "routit:download"
    account: str
    period: str

    @property
    def work_key(self) -> str:
        """One download for an account and period."""
        return f"{self.account} {self.period}"


@dataclass(frozen=True)
class ImportDelivery:
    """Load a registered delivery."""

    name: ClassVar[str] = "routit:import"
    import_id: int

    @property
    def work_key(self) -> str:
        """One import of a delivery."""
        return str(self.import_id)


@dataclass(frozen=True)
class InvoiceImport:
    """Work out what the provider charges for an import, by customer."""

    name: ClassVar[str] = "routit:invoice"
    import_id: int

    @property
    def work_key(self) -> str:
        """One provider invoice for an import."""
        return str(self.import_id)


@dataclass(frozen=True)
class ImportCollected:
    """Load a delivery that came through a folder."""

    name: ClassVar[str] = "delivery:import"
    import_id: int

    @property
    def work_key(self) -> str:
        """One import of a delivery."""
        return str(self.import_id)


@dataclass(frozen=True)
class InvoiceCollected:
    """Work out what the provider charges for such a delivery, by customer."""

    name: ClassVar[str] = "delivery:invoice"
    import_id: int

    @property
    def work_key(self) -> str:
        """One provider invoice for an import."""
        return str(self.import_id)


@dataclass(frozen=True)
class DispatchTotals:
    """Compute every cycle that has changed, or only those that contain a day."""

    name: ClassVar[str] = "totals:dispatch"
    cycle: str | None = None

    @property
    def work_key(self) -> str:
        """One dispatch at a time."""
        return self.cycle or "all"


@dataclass(frozen=True)
class NewTotals:
    """Reprocess one customer's cycle: the one that contains a day (YYYY-MM-DD)."""

    name: ClassVar[str] = "totals:new"
    customer: int
    cycle: str

    @property
    def work_key(self) -> str:
        """One computation of a customer's cycle."""
        return f"{self.customer} {self.cycle}"


@dataclass(frozen=True)
class BackupTotals:
    """Copy totals into the backup table: one customer's cycle, or all that lack a copy."""

    name: ClassVar[str] = "totals:backup"
    customer: int | None = None
    cycle_start: str | None = None

    @property
    def work_key(self) -> str:
        """One backup of a customer's cycle, or of all."""
        return "all" if self.customer is None else f"{self.customer} {self.cycle_start}"


@dataclass(frozen=True)
class FindInsights:
    """Look at the cycles whose totals changed: one customer's, or all of them."""

    name: ClassVar[str] = "totals:insight"
    customer: int | None = None
    cycle_start: str | None = None
    day: str | None = None
    """Also at the cycles that contain this day, changed or not."""

    @property
    def work_key(self) -> str:
        """One look at a customer's cycle, at a day's cycles, or at all."""
        if self.customer is not None:
            return f"{self.customer} {self.cycle_start}"
        return "all" if self.day is None else f"day {self.day}"


@dataclass(frozen=True)
class LookAtDay:
    """Look at the cycles that have ended by a day, and at what providers brought."""

    name: ClassVar[str] = "insight:day"
    day: str

    @property
    def work_key(self) -> str:
        """One look at a day."""
        return self.day


ROUTIT = "routit"
"""The provider whose steps have names of their own."""

IMPORTS = (ImportDelivery.name, ImportCollected.name)
"""Commands that load a delivery; their work key is the import's id."""


def import_command(provider: str, import_id: int) -> ImportDelivery | ImportCollected:
    """Return the command that loads a registered delivery of a provider."""
    if provider == ROUTIT:
        return ImportDelivery(import_id)
    return ImportCollected(import_id)


CHAINS: dict[str, tuple[str, ...]] = {
    SyncProvider.name: (
        CollectFolder.name,
        CollectSftp.name,
        RequestDelivery.name,
        *IMPORTS,
    ),
    CollectFolder.name: IMPORTS,
    CollectSftp.name: IMPORTS,
    RequestDelivery.name: (DownloadDelivery.name, ImportDelivery.name),
    DownloadDelivery.name: (ImportDelivery.name,),
    ImportDelivery.name: (InvoiceImport.name,),
    InvoiceImport.name: (DispatchTotals.name,),
    ImportCollected.name: (InvoiceCollected.name,),
    InvoiceCollected.name: (DispatchTotals.name,),
    # Again, when a cycle changed after this run had looked.
    DispatchTotals.name: (BackupTotals.name, DispatchTotals.name),
    NewTotals.name: (BackupTotals.name,),
    BackupTotals.name: (FindInsights.name,),
    # Again, when totals changed after this run had looked.
    FindInsights.name: (FindInsights.name,),
    LookAtDay.name: (),
}
"""For each command, the commands that follow it when it is done."""
