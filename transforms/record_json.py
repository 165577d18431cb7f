"""Records as people and programs outside read them: one JSON object for each.

Pure. The form of ``tests/providers/expected``: keys in a fixed order, the price with the
decimals it was written with, null when unrated, and the optional keys only where they
hold something.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import polars as pl

from transforms.measured import QUANTITY_COLUMNS
from transforms.money import decimal_text

Document = dict[str, Any]
"""A JSON object; what its values are, its key says."""

OPTIONAL_KEYS: Final = (
    "rate_class",
    "bundle",
    "contract",
    "roaming_country",
    "plmn",
    "zone",
    "part_group",
    "part_no",
    "part_state",
    "correction_of",
    "invoice_no",
)

_UNITS: Final = {"voice": "s", "data": "B"}


def record_documents(accepted: pl.DataFrame, provider: str, layout: str) -> list[Document]:
    """Write accepted records, in the order given.

    A call of 185 s for 0.125 is ``{"quantity": "185", "unit": "s",
    "price_ex_vat_eur": "0.125"}`` among its other keys.

    Args:
        accepted: ``normalise.ACCEPTED``.
        provider: The profile's id.
        layout: The layout's name.
    """
    return [_document(row, provider, layout) for row in accepted.iter_rows(named=True)]


def quarantined_documents(rejected: pl.DataFrame) -> list[Document]:
    """Write rejected records: physical line and reason."""
    return [
        {"quarantined_line": line_no, "reason": reason}
        for line_no, reason in rejected.select("line_no", "reason").iter_rows()
    ]


def _document(row: Mapping[str, Any], provider: str, layout: str) -> Document:
    usage = row["usage_type"]
    optional = {key: row[key] for key in OPTIONAL_KEYS if row[key] is not None}
    return {
        "provider": provider,
        "layout": layout,
        "line": row["line_no"],
        "record_id": row["record_id"],
        "account": row["account"],
        "subscriber": row["subscriber"],
        "other_kind": row["other_kind"],
        "other": row["other"],
        "other_class": row["other_class"],
        "direction": row["direction"],
        "usage": usage,
        "start_utc": _instant(row["started_at_utc"]),
        "quantity": str(row[QUANTITY_COLUMNS.get(usage, "events")]),
        "unit": _UNITS.get(usage, "event"),
        "price_ex_vat_eur": _price(row["cost_micros"], row["price_decimals"]),
        **optional,
        "flags": [flag for flag in row["flags"].split(",") if flag],
    }


def _instant(utc: datetime) -> str:
    return f"{utc.isoformat()}Z"


def _price(micros: int | None, decimals: int) -> str | None:
    return None if micros is None else decimal_text(micros, decimals)
