"""Provider invoices: what a provider charges for one import, stored with its lines.

Effects: the database. The invoice is computed from the stored records of the import, and
must equal what the import's ledger says they cost.

Units: ``_micros`` whole micros.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import polars as pl

from loaders.database import Database, Transaction
from loaders.imports import CUSTOMERS_PER_QUERY
from loaders.retention import removed_of_import
from transforms.errors import ConfigError, MoneyError
from transforms.provider_invoice import CHARGED, ProviderInvoice

Compute = Callable[[Iterable[pl.DataFrame]], ProviderInvoice]


@dataclass(frozen=True)
class InvoicedImport:
    """A provider invoice and the import it is for."""

    import_id: int
    provider: str
    invoice: ProviderInvoice


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
