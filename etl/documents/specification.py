"""The specification of an invoice: its calls one by one, as a CSV that opens in Excel.

Pure. Dutch Excel opens it with a double click: semicolons, decimal commas, a byte order
mark and CRLF. Every cell is quoted; one that a spreadsheet would take for a formula begins
with an apostrophe. A last line says how many records there are and what they add up to.

Who may see which number is a role: ``customer`` sees its own numbers and the other ones
without their last three digits, ``billing`` sees all of them, ``support`` sees neither.

Units: amounts are written in the currency with six decimals.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final, Literal, get_args

from transforms.invoice import Invoice
from transforms.invoicing import LABELS
from transforms.money import decimal_text

Role = Literal["customer", "billing", "support"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

ENCODING: Final = "utf-8-sig"

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "nl": (
        "datum", "tijd", "soort", "richting", "nummer", "ander nummer", "zone", "duur",
        "bytes", "aantal", "bedrag",
    ),
    "en": (
        "date", "time", "type", "direction", "number", "other number", "zone", "duration",
        "bytes", "count", "amount",
    ),
}  # fmt: skip

WORDS: Final[Mapping[str, Mapping[str, str]]] = {
    "nl": {
        "in": "inkomend",
        "out": "uitgaand",
        "invoice": "factuur",
        "cycle": "periode",
        "total": "totaal",
        "records": "regels",
        "invoiced": "gefactureerd",
        "unrated": "geen prijs",
        "differs": "de gegevens zijn veranderd sinds de factuur; de factuur blijft gelden",
    },
    "en": {
        "in": "incoming",
        "out": "outgoing",
        "invoice": "invoice",
        "cycle": "period",
        "total": "total",
        "records": "rows",
        "invoiced": "invoiced",
        "unrated": "no price",
        "differs": "the records changed since the invoice; the invoice stands",
    },
}

FORMULA_SIGNS: Final = frozenset("=+-@|\uff1d\uff0b\uff0d\uff20")
"""What a cell must not begin with: the last four are the full-width twins."""

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line, or that a spreadsheet skips before it sees a formula."""

MASKED_DIGITS: Final = 3

PLAIN_NUMBER: Final = re.compile(r"-?[0-9]+(,[0-9]+)?")
"""What Excel may take for a number, because it is one."""


def specification(
    invoice: Invoice, calls: Iterable[Mapping[str, Any]], role: Role
) -> Iterator[bytes]:
    """Write the calls of an invoice's cycle, block by block.

    Args:
        invoice: The invoice; its language is the file's.
        calls: Rows of ``InvoiceStore.calls``, in the order of their time.
        role: Who will read it.
    """
    language = invoice.draft.terms.get("language", "nl")
    words, labels = WORDS[language], LABELS[language]
    shows_cost = invoice.draft.method != "rateplan"
    headings = HEADINGS[language] if shows_cost else HEADINGS[language][:-1]
    yield csv_line([words["invoice"], invoice.number]).encode(ENCODING)
    first, end = invoice.draft.cycle_start_date, invoice.draft.cycle_end_date
    last = end.fromordinal(end.toordinal() - 1)
    yield csv_line([words["cycle"], first.isoformat(), last.isoformat()]).encode()
    yield csv_line(headings).encode()
    count = cost_micros = 0
    for call in calls:
        count += 1
        cost_micros += call["cost_micros"] or 0
        cells = _cells(call, words, labels, role)
        yield csv_line(cells if shows_cost else cells[:-1]).encode()
    counted = [words["total"], f"{count} {words['records']}"]
    if not shows_cost:
        yield csv_line(counted).encode()
        return
    invoiced = invoice.draft.amounts.usage_micros
    yield csv_line([*counted, _amount(cost_micros)]).encode()
    yield csv_line([words["invoiced"], "", _amount(invoiced)]).encode()
    if invoiced != cost_micros:
        yield csv_line([words["differs"]]).encode()


def _cells(
    call: Mapping[str, Any],
    words: Mapping[str, str],
    labels: Mapping[str, str],
    role: Role,
) -> list[str]:
    when, cost = call["call_date"], call["cost_micros"]
    return [
        f"{when:%Y-%m-%d}",
        f"{when:%H:%M:%S}",
        labels.get(call["usage_type"], call["usage_type"]),
        words.get(call["direction"], call["direction"]),
        shown_number(call["subscriber"] or "", role, is_own=True),
        shown_number(call["other"] or "", role, is_own=False),
        call["zone"] or "",
        _number(call["duration_s"]),
        _number(call["volume_bytes"]),
        _number(call["events"]),
        words["unrated"] if cost is None else _amount(cost),
    ]


def shown_number(number: str, role: Role, *, is_own: bool) -> str:
    """Show as much of a number as a role may see.

    ``+31612345678`` is ``00 31612345678`` for billing and ``00 31612345xxx`` for the
    customer it was called by: a plus would be a formula, and digits alone would lose
    their last ones in a spreadsheet. Short numbers and names are no subscriber's.
    """
    text = f"00 {number[1:]}" if re.fullmatch(r"\+[0-9]+", number) else number
    is_hidden = role == "support" or (role == "customer" and not is_own)
    digits = sum(char.isdigit() for char in text)
    if not is_hidden or digits < 2 * MASKED_DIGITS:
        return text
    return text[:-MASKED_DIGITS] + "x" * MASKED_DIGITS


def csv_line(cells: Iterable[str]) -> str:
    """Write one line; numbers stay numbers, nothing becomes a formula."""
    return ";".join(csv_cell(cell) for cell in cells) + "\r\n"


def csv_cell(text: str) -> str:
    """Quote a cell, and take the sting out of what a spreadsheet would run."""
    if PLAIN_NUMBER.fullmatch(text):
        return f'"{text}"'
    plain = CONTROLS.sub(" ", text)
    is_formula = plain.lstrip(" \u00a0'\"")[:1] in FORMULA_SIGNS
    safe = f"'{plain}" if is_formula else plain
    return '"' + safe.replace('"', '""') + '"'


def _amount(micros: int) -> str:
    return decimal_text(micros).replace(".", ",")


def _number(value: int | None) -> str:
    return "" if value is None else str(value)
