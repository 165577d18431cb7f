"""What follows what: the commands of the queue, and the chains they form.

Pure values. A handler names its followers when it is done, and the bus stores them in the
transaction that completes it. ``CHAINS`` is the one place that says which may follow;
``etl chains`` prints it and a test holds the handlers to it.
"""

from dataclasses import dataclass
from typing import ClassVar


@dataclass(frozen=True)
class RequestDelivery:
    """Ask RoutIT for an account's CDRs of a period (YYYYMM) and wait until it is ready."""

    name: ClassVar[str] = "routit:request"
    account: str
    period: str

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


CHAINS: dict[str, tuple[str, ...]] = {
    RequestDelivery.name: (DownloadDelivery.name,),
    DownloadDelivery.name: (ImportDelivery.name,),
    ImportDelivery.name: (InvoiceImport.name,),
    InvoiceImport.name: (DispatchTotals.name,),
    DispatchTotals.name: (BackupTotals.name,),
    NewTotals.name: (BackupTotals.name,),
    BackupTotals.name: (),
}
"""For each command, the commands that follow it when it is done."""
