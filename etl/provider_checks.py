"""Provider invoices held against what the delivery says of itself.

Effects: reads the database. A difference is an insight with its evidence; it stops
nothing, because the records were proven when they were imported.
"""

from etl.app import App
from etl.profiles import load_profile
from loaders.insights import Insight
from loaders.provider_invoices import InvoicedImport
from transforms.provider_invoice import control_amount

KIND = "provider_invoice"


def difference_from_delivery(app: App, invoiced: InvoicedImport) -> Insight | None:
    """Compare what a provider charges for an import with the delivery's control total.

    What was set aside (duplicates, conflicts, rejected and suspended records) was
    delivered and is not charged on to anybody; the insight says how many records that
    are. Where a file counts VAT in its control total the two are not comparable.

    Returns:
        The difference as an insight to record, or None when there is none.
    """
    row = app.imports.find(invoiced.import_id)
    if row is None or row.message is None:
        return None
    profile = load_profile(row.provider, folders=[app.settings.providers])
    if any(layout.money.vat == "inc" for layout in profile.layouts):
        return None
    said_micros = control_amount(row.message)
    charged_micros = invoiced.invoice.cost_micros
    if said_micros is None or said_micros == charged_micros:
        return None
    outcome = row.outcome
    set_aside = {
        name: getattr(outcome, name)
        for name in ("duplicates", "conflicts", "rejected", "suspended")
    }
    return Insight(
        kind=KIND,
        severity="info" if any(set_aside.values()) else "warning",
        provider=row.provider,
        evidence={
            "import_id": row.id,
            "file_name": row.file_name,
            "control_micros": said_micros,
            "charged_micros": charged_micros,
            "difference_micros": charged_micros - said_micros,
            **set_aside,
        },
    )
