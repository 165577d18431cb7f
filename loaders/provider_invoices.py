"""Provider invoices: what a provider charges for one import, stored with its lines.

Effects: the database. The invoice is computed from the stored records of the import, and
must equal what the import's ledger says they cost.

Units: ``_micros`` whole micros.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

import polars as pl

from loaders.database import Database, Transaction
from loaders.imports import CUSTOMERS_PER_QUERY
from loaders.retention import removed_of_import
from transforms.errors import ConfigError, MoneyError
from transforms.provider_invoice import CHARGED, ProviderInvoice

TOLD: Final = "invoice_total"
"""The kind of decision by which a person tells what a provider's own invoice says."""

Compute = Callable[[Iterable[pl.DataFrame]], ProviderInvoice]


@dataclass(frozen=True)
class InvoicedImport:
    """A provider invoice and the import it is for."""

    import_id: int
    provider: str
    invoice: ProviderInvoice


@dataclass(frozen=True)
class Charged:
    """What a provider charges for one import, as it was worked out from its records."""

    import_id: int
    provider: str
    currency: str
    record_count: int
    cost_micros: int


@dataclass(frozen=True)
class Told:
    """What the invoice that a provider sent says, as a person told it."""

    amount_micros: int
    invoice: str
    by: str


class ProviderInvoiceStore:
    """The door for provider invoices."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def compute(self, import_id: int, compute: Compute) -> InvoicedImport:
        """Work out the invoice of a complete import from its stored records.

        Raises:
            ConfigError: When there is no such import, it is not complete, or some of its
                records were removed after their term.
            MoneyError: When the records do not add up to what the import loaded, less
                the ones that a later delivery replaced.
        """
        with self._database.snapshot() as tx:
            span = tx.row("provider_invoice/span", import_id=import_id)
            if span is None or not span["complete"]:
                message = f"import {import_id} is not complete; there is nothing to invoice"
                raise ConfigError(message)
            if removed := removed_of_import(tx, import_id):
                message = (
                    f"{removed} records of import {import_id} were removed after their "
                    "term; its invoice stays as it is"
                )
                raise ConfigError(message)
            rows = tx.rows("provider_invoice/customers", import_id=import_id)
            ids = [int(row["customer_id"]) for row in rows]
            frames = (
                frame
                for start in range(0, len(ids), CUSTOMERS_PER_QUERY)
                for frame in tx.frames(
                    "provider_invoice/records",
                    CHARGED,
                    import_id=import_id,
                    customer_ids=ids[start : start + CUSTOMERS_PER_QUERY],
                    first_call_date=span["first_call_date"],
                    last_call_date=span["last_call_date"],
                )
            )
            invoice = compute(frames)
        if invoice.record_count > int(span["loaded"]):
            message = (
                f"import {import_id}: {invoice.record_count} records are stored but only "
                f"{span['loaded']} were loaded; run: etl audit"
            )
            raise MoneyError(message)
        return InvoicedImport(import_id, span["provider"], invoice)

    def charged(self, import_id: int) -> Charged | None:
        """Read what was worked out for an import; None when nothing was yet."""
        with self._database.snapshot() as tx:
            row = tx.row("provider_invoice/charged", import_id=import_id)
        if row is None:
            return None
        return Charged(
            import_id,
            str(row["provider"]),
            str(row["currency"]),
            int(row["record_count"]),
            int(row["cost_micros"]),
        )

    def told(self, import_id: int) -> Told | None:
        """Read what a person told last of the provider's own invoice."""
        with self._database.snapshot() as tx:
            row = tx.row("provider_invoice/told", import_id=import_id)
        if row is None:
            return None
        return Told(int(row["cost_micros"]), str(row["reason"]), str(row["decided_by"]))

    def tell(self, tx: Transaction, charged: Charged, told: Told) -> None:
        """Keep what a provider's own invoice says, in the caller's transaction."""
        tx.execute(
            "corrections/decide",
            import_id=charged.import_id,
            decision=TOLD,
            decided_by=told.by,
            record_count=charged.record_count,
            cost_micros=told.amount_micros,
            reason=told.invoice,
        )

    def write(self, tx: Transaction, invoiced: InvoicedImport) -> None:
        """Store an invoice in the caller's transaction; the one before it is replaced."""
        invoice = invoiced.invoice
        tx.execute("provider_invoice/clear_lines", import_id=invoiced.import_id)
        tx.execute("provider_invoice/clear", import_id=invoiced.import_id)
        tx.execute(
            "provider_invoice/write",
            import_id=invoiced.import_id,
            provider=invoiced.provider,
            currency=invoice.currency,
            record_count=invoice.record_count,
            unrated_count=invoice.unrated_count,
            cost_micros=invoice.cost_micros,
        )
        import_id = pl.lit(invoiced.import_id, pl.Int64).alias("import_id")
        tx.load("provider_invoice_line", invoice.lines.select(import_id, pl.all()))
