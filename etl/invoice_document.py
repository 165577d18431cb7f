"""An issued invoice as one JSON object: what ``invoice:show --json`` says.

Pure. Nothing is computed here; every figure is a stored one.
"""

from dataclasses import asdict

from transforms.invoice import Invoice


def invoice_document(invoice: Invoice) -> dict[str, object]:
    """Describe an invoice, its lines and its VAT."""
    draft = asdict(invoice.draft)
    amounts = draft.pop("amounts")
    for name in ("supplier", "customer", "terms"):
        draft[name] = dict(sorted(draft[name].items()))
    return {
        "invoice_number": invoice.number,
        "series": invoice.series,
        "year": invoice.year,
        "sequence_no": invoice.sequence_no,
        **draft,
        **amounts,
        "content_sha256": invoice.content_sha256,
    }
