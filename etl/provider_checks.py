"""Provider invoices held against what the provider says of itself.

Effects: reads the database. A difference is an insight with its evidence; it stops
nothing, because the records were proven when they were imported.

Units: ``_micros`` whole micros.
"""

from collections.abc import Mapping

from etl.app import App
from etl.profiles import load_profile
from loaders.imports import ImportRow
from loaders.provider_invoices import Told
from transforms.insights import PROVIDER_INVOICE, Insight
from transforms.provider_invoice import control_amount

INVOICE = "invoice"
"""The side of an import that the provider's own invoice is."""


def provider_differences(app: App, import_id: int, charged_micros: int) -> list[Insight]:
    """Compare what is charged for an import with everything the provider said of it.

    That is the control record of the delivery, and the provider's own invoice where a
    person told its total (``etl provider:invoice-total``). What was set aside (duplicates,
    conflicts, rejected and suspended records) was delivered and is not charged on to
    anybody; the insight says how many records that are.

    Returns:
        Each difference as an insight to record.
    """
    row = app.imports.find(import_id)
    if row is None:
        return []
    found = [
        _from_delivery(app, row, charged_micros),
        difference_from_invoice(row, charged_micros, app.provider_invoices.told(import_id)),
    ]
    return [each for each in found if each is not None]


def _from_delivery(app: App, row: ImportRow, charged_micros: int) -> Insight | None:
    """Compare with the delivery's control record.

    Where a file counts VAT in its control total the two are not comparable.
    """
    profile = load_profile(row.provider, folders=[app.settings.providers])
    if any(layout.money.vat == "inc" for layout in profile.layouts):
        return None
    said_micros = control_amount(row.message or "")
    if said_micros is None or said_micros == charged_micros:
        return None
    said = {"control_micros": said_micros}
    return _insight(row, charged_micros, said_micros, said, "delivery")


def difference_from_invoice(
    row: ImportRow, charged_micros: int, told: Told | None
) -> Insight | None:
    """Compare with the invoice that the provider sent, when a person told its total."""
    if told is None or told.amount_micros == charged_micros:
        return None
    said = {"provider_invoice": told.invoice, "invoiced_micros": told.amount_micros}
    return _insight(row, charged_micros, told.amount_micros, said, INVOICE)


def about_import(import_id: int, what: str = "") -> str:
    """The subject of what is found about an import, or about one side of it."""
    return f"import {import_id} {what}".rstrip()


def _insight(
    row: ImportRow,
    charged_micros: int,
    said_micros: int,
    said: Mapping[str, object],
    about: str,
) -> Insight:
    set_aside = {
        name: getattr(row.outcome, name)
        for name in ("duplicates", "conflicts", "rejected", "suspended")
    }
    return Insight(
        kind=PROVIDER_INVOICE,
        severity="info" if any(set_aside.values()) else "warning",
        provider=row.provider,
        evidence={
            "import_id": row.id,
            "file_name": row.file_name,
            **said,
            "charged_micros": charged_micros,
            "difference_micros": charged_micros - said_micros,
            **set_aside,
        },
        subject=about_import(row.id, about),
    )
