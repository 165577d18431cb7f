"""The audit: every record and every micro accounted for, asked of a live database.

Effects: reads the database, in one consistent view. Each check is one statement that
yields only what does not add up, so an empty answer is the proof.
"""

from dataclasses import dataclass

from loaders.database import Database, Row, Transaction
from loaders.invoices import changed_invoices

CHECKS: dict[str, str] = {
    "import_outcomes": "import",
    "import_ledger": "import",
    "import_records": "import",
    "import_cycles": "import",
    "import_rejected": "import",
    "import_suspended": "import",
    "import_conflict": "import",
    "import_duplicate": "import",
    "provider_invoices": "provider invoice of import",
    "totals_records": "totals",
    "totals_lines": "totals",
    "totals_method": "totals",
    "totals_backup": "totals",
    "totals_missing": "customer",
    "totals_one_offs": "totals",
    "invoice_lines": "invoice",
    "invoice_vat": "invoice",
    "invoice_totals": "invoice",
    "invoice_sequence": "invoices of series",
}
"""Every check (its statement is ``audit/<check>``) and what its subject is."""


@dataclass(frozen=True)
class Difference:
    """Two figures that must be equal and are not."""

    check: str
    where: str
    expected: int
    found: int


def differences(database: Database) -> list[Difference]:
    """Return everything that does not add up; an empty list is a clean audit."""
    with database.snapshot() as tx:
        found = [
            difference
            for check, subject in CHECKS.items()
            for row in tx.rows(f"audit/{check}")
            for difference in _compare(check, subject, row)
        ]
        return [*found, *_changed_invoices(tx)]


def _changed_invoices(tx: Transaction) -> list[Difference]:
    """Hold every invoice against the hash it was issued with: SQL cannot."""
    return [
        Difference("invoice_content", f"invoice {number}, unchanged documents", 1, 0)
        for number, is_same in changed_invoices(tx)
        if not is_same
    ]


def _compare(check: str, subject: str, row: Row) -> list[Difference]:
    where = f"{subject} {row['subject']}"
    return [
        Difference(
            check, f"{where}, {unit}", int(row[f"expected_{key}"]), int(row[f"found_{key}"])
        )
        for key, unit in (("count", "records"), ("micros", "cost in micros"))
        if int(row[f"expected_{key}"]) != int(row[f"found_{key}"])
    ]
