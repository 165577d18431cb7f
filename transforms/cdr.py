"""The call detail record: its columns, their types and units, at every door.

Pure. A record walks through three shapes:

- TEXT: one physical record of a file, every column a string (made by ``lex``).
- RECORD: read by its profile, money in micros, time in UTC (made by ``normalise``).
- OWNED: a RECORD with its customer and the wall clock of the customer's zone (``match``).

A ``require`` call stands where a frame leaves this room and where it enters a store, so
that a missing conversion is caught on the first day.

Units: ``duration_s`` whole seconds, ``volume_bytes`` bytes, ``events`` a count,
``cost_micros`` whole micros or null for unrated (never 0). ``started_at_utc`` is the
instant as naive UTC; ``call_date`` is the same instant on the customer's wall clock.
"""

from typing import Final

import polars as pl

from transforms.errors import ContractError

Schema = dict[str, pl.DataType]

INSTANT: Final = pl.Datetime("us")

CONTENT: Final[Schema] = {
    "record_id": pl.String(),
    "account": pl.String(),
    "contract": pl.String(),
    "subscriber": pl.String(),
    "other_kind": pl.String(),
    "other": pl.String(),
    "other_class": pl.String(),
    "direction": pl.String(),
    "usage_type": pl.String(),
    "started_at_utc": INSTANT,
    "duration_s": pl.Int64(),
    "volume_bytes": pl.Int64(),
    "events": pl.Int64(),
    "cost_micros": pl.Int64(),
    "currency": pl.String(),
    "rate_class": pl.String(),
    "zone": pl.String(),
    "roaming_country": pl.String(),
    "plmn": pl.String(),
    "product": pl.String(),
    "bundle": pl.String(),
    "invoice_no": pl.String(),
    "part_group": pl.String(),
    "part_no": pl.String(),
    "part_state": pl.String(),
    "correction_of": pl.String(),
}
"""What the provider said. Two records of one key with equal CONTENT are duplicates."""

TEXT_LIMITS: Final[dict[str, int]] = {
    "record_id": 128,
    "account": 64,
    "contract": 64,
    "subscriber": 64,
    "other": 128,
    "rate_class": 64,
    "zone": 64,
    "roaming_country": 64,
    "plmn": 16,
    "product": 128,
    "bundle": 128,
    "invoice_no": 64,
    "part_group": 64,
    "part_no": 16,
    "part_state": 8,
    "correction_of": 128,
}
"""Characters each text may have; a longer one rejects the record, it is never cut."""

RECORD: Final[Schema] = {
    "line_no": pl.Int64(),
    **CONTENT,
    "flags": pl.String(),
    "fingerprint": pl.Int64(),
}
"""A record read by its profile. ``flags``: sorted, comma-joined, empty for none.

``fingerprint``: 63-bit hash of the provider's dedupe key (``transforms.fingerprint``).
"""

OWNED: Final[Schema] = {
    "customer_id": pl.Int64(),
    "call_date": INSTANT,
    **RECORD,
}
"""A RECORD with its owner; ``call_date`` is the wall clock of the owner's zone."""

REJECTED: Final[Schema] = {
    "line_no": pl.Int64(),
    "reason_code": pl.String(),
    "reason": pl.String(),
    "raw": pl.String(),
}
"""A physical record that cannot become a CDR, with the text it was read from."""

KEY: Final[Schema] = {
    "customer_id": pl.Int64(),
    "call_date": INSTANT,
    "fingerprint": pl.Int64(),
}
"""The clustered key of ``call_detail_record``."""


def require(frame: pl.DataFrame, schema: Schema, door: str) -> pl.DataFrame:
    """Return ``frame`` with exactly the columns of ``schema``, in order, or stop.

    Columns beyond the schema are dropped; a missing column or another type is ours to
    mend, so it raises.

    Raises:
        ContractError: Naming the door, the column, the type found and the type needed.
    """
    found = frame.schema
    faults = [
        f"{name}: {found.get(name, 'missing')}, needs {dtype}"
        for name, dtype in schema.items()
        if found.get(name) != dtype
    ]
    if faults:
        message = f"frame at door {door!r} is not what it must be: {'; '.join(faults)}"
        raise ContractError(message)
    return frame[list(schema)]  # a select starts the query engine: ten times as long
