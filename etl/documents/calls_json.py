"""The calls of an invoice one by one, as JSON for another program.

Pure. The same calls, in the same order, with the same amounts and numbers hidden by the
same roles as in the CSV specification; numbers are E.164. One call stands on one line.

Units: ``_micros`` whole micros; ``in_allowance`` in seconds, bytes or events.
"""

import json
from collections.abc import Iterator
from typing import Final

import polars as pl

from etl.documents.specification import (
    BLOCK_ROWS,
    Cells,
    Role,
    bundle_of,
    masked_number,
)
from transforms.invoice import Invoice
from transforms.invoice_calls import Itemised, differences, lines_of_the_cycle

FIGURES: Final = (
    "duration_s", "volume_bytes", "events", "amount_micros", "in_allowance",
    "allowance_micros",
)  # fmt: skip


def calls_document(invoice: Invoice, itemised: Itemised, role: Role) -> Iterator[bytes]:
    """Write the calls of an invoice's cycle, block by block.

    Args:
        invoice: The invoice.
        itemised: Its calls.
        role: Who will read it.
    """
    draft = invoice.draft
    head = {
        "invoice_number": invoice.number,
        "customer_id": draft.customer_id,
        "cycle_start_date": draft.cycle_start_date.isoformat(),
        "cycle_end_date": draft.cycle_end_date.isoformat(),
        "currency": draft.currency,
        "method": draft.method,
        "role": role,
        "is_priced": itemised.is_priced,
    }
    # The list is written call by call, so a long one is never held as one text.
    yield json.dumps(head, ensure_ascii=False).removesuffix("}").encode()
    yield b', "calls": ['
    separator = "\n"
    for block in itemised.calls.iter_slices(BLOCK_ROWS):
        yield (separator + ",\n".join(_objects(block, role))).encode()
        separator = ",\n"
    closing = json.dumps(_closing(invoice, itemised), ensure_ascii=False)
    yield f"\n], {closing.removeprefix('{')}\n".encode()


def _objects(calls: pl.DataFrame, role: Role) -> Iterator[str]:
    """Write many calls: figures by columns, each distinct text once."""
    figures = [
        pl.concat_str(
            pl.lit(f', "{name}": '), pl.col(name).cast(pl.String).fill_null("null")
        )
        for name in FIGURES
    ]
    rows = calls.select(
        pl.col("call_date").dt.to_string('"call_date": "%Y-%m-%dT%H:%M:%S"'),
        *("usage_type", "direction", "subscriber", "other", "zone"),
        bundle=bundle_of("whole", "part", "none"),
        figures=pl.concat_str(figures),
    )
    texts = Cells(_json)
    own = Cells(lambda text: _json(masked_number(text, role, is_own=True)))
    others = Cells(lambda text: _json(masked_number(text, role, is_own=False)))
    for when, kind, way, line, other, zone, bundle, rest in rows.iter_rows():
        yield (
            f'{{{when}, "usage_type": {texts[kind]}, "direction": {texts[way]}, '
            f'"subscriber": {own[line]}, "other": {others[other]}, "zone": {texts[zone]}, '
            f'"bundle": "{bundle}"{rest}}}'
        )


def _json(text: str) -> str:
    """Write a text that may be missing: an empty one is none."""
    return json.dumps(text, ensure_ascii=False) if text else "null"


def _closing(invoice: Invoice, itemised: Itemised) -> dict[str, object]:
    """What the calls add up to, beside what was invoiced for usage."""
    invoiced = invoice.draft.amounts.usage_micros
    counted: dict[str, object] = {"count": itemised.calls.height}
    if not itemised.is_priced:
        return counted | {"invoiced_micros": invoiced}
    return counted | {
        "calls_micros": itemised.micros,
        "cycle_lines": [
            {
                "usage_type": line.usage_type,
                "name": line.zone,
                "amount_micros": line.amount_micros,
            }
            for line in lines_of_the_cycle(invoice)
        ],
        "invoiced_micros": invoiced,
        "differences": [
            {
                "usage_type": each.usage_type,
                "zone": each.zone,
                "invoiced_micros": each.invoiced_micros,
                "calls_micros": each.calls_micros,
            }
            for each in differences(invoice, itemised.sums)
        ],
    }
