"""What a customer's further columns say about billing: address, VAT number, language.

Pure. ``customers.csv`` may have any further columns; these have a meaning here. An
invoice keeps the ones it prints, and nothing else of what is known about a customer.
"""

import json
from collections.abc import Mapping
from typing import Final

BILLING: Final = (
    "attention",
    "street",
    "street2",
    "postcode",
    "city",
    "country",
    "vat_number",
    "kvk",
    "oin",
    "email",
    "reference",
    "language",
)
"""``attention`` is who it is for, ``reference`` the buyer's own, ``kvk`` and ``oin`` the
numbers of a Dutch company or public body. ``country`` is ISO 3166-1, NL when empty."""

DEFAULT_COUNTRY: Final = "NL"


def details_of(text: str) -> dict[str, str]:
    """Read the JSON object that ``customer.details`` holds."""
    return {name: str(value) for name, value in json.loads(text or "{}").items()}


def billing_details(
    customer_id: int, name: str, details: Mapping[str, str]
) -> dict[str, str]:
    """Pick what an invoice keeps of a customer."""
    kept = {key: details[key].strip() for key in BILLING if details.get(key, "").strip()}
    return {
        "customer_id": str(customer_id),
        "name": name,
        "country": DEFAULT_COUNTRY,
        **kept,
    }
