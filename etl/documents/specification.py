"""The specification of an invoice: its calls one by one, as a CSV that opens in Excel.

Pure. Dutch Excel opens it with a double click: semicolons, decimal commas, a byte order
mark and CRLF. Every cell is quoted; one that a spreadsheet would take for a formula begins
with an apostrophe. The last lines say how many records there are, what they add up to,
what the plan charges for the whole cycle, and what was invoiced.

Who may see which number is a role: ``customer`` sees its own numbers and the other ones
without their last three digits, ``billing`` sees all of them, ``support`` sees neither.

Units: amounts are written in the currency with six decimals.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final, Literal, get_args

import polars as pl

from transforms.invoice import Invoice
from transforms.invoice_calls import Difference, Itemised, differences, lines_of_the_cycle
from transforms.invoicing import LABELS, place_name
from transforms.money import MICROS, decimal_text

Role = Literal["customer", "billing", "support"]
ROLES: Final[tuple[Role, ...]] = get_args(Role)

ENCODING: Final = "utf-8-sig"

BLOCK_ROWS: Final = 50_000
"""Calls written at a time."""

HEADINGS: Final[Mapping[str, tuple[str, ...]]] = {
    "nl": (
        "datum", "tijd", "soort", "richting", "nummer", "ander nummer", "zone", "duur",
        "bytes", "aantal", "bedrag", "bundel",
    ),
    "en": (
        "date", "time", "type", "direction", "number", "other number", "zone", "duration",
        "bytes", "count", "amount", "bundle",
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
        "whole": "in bundel",
        "part": "deels in bundel",
        "difference": "verschil",
        "differs": "de gegevens zijn veranderd sinds de factuur; de factuur blijft gelden",
        "unpriced": "het tariefplan van deze factuur is niet bewaard; bedragen per gesprek "
        "ontbreken en de factuur blijft gelden",
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
        "whole": "in bundle",
        "part": "partly in bundle",
        "difference": "difference",
        "differs": "the records changed since the invoice; the invoice stands",
        "unpriced": "the rate plan of this invoice is not kept; amounts of calls are "
        "missing and the invoice stands",
    },
}

FORMULA_SIGNS: Final = frozenset("=+-@|\uff1d\uff0b\uff0d\uff20")
"""What a cell must not begin with: the last four are the full-width twins."""

CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
"""Characters that end a line, or that a spreadsheet skips before it sees a formula."""

MASKED_DIGITS: Final = 3

PLAIN_NUMBER: Final = re.compile(r"-?[0-9]+(,[0-9]+)?")
"""What Excel may take for a number, because it is one."""


def specification(invoice: Invoice, itemised: Itemised, role: Role) -> Iterator[bytes]:
    """Write the calls of an invoice's cycle, block by block.

    Args:
        invoice: The invoice; its language is the file's.
        itemised: Its calls.
        role: Who will read it.
    """
    language = invoice.draft.terms.get("language", "nl")
    words = WORDS[language]
    first, end = invoice.draft.cycle_start_date, invoice.draft.cycle_end_date
    last = end.fromordinal(end.toordinal() - 1)
    yield csv_line([words["invoice"], invoice.number]).encode(ENCODING)
    yield csv_line([words["cycle"], first.isoformat(), last.isoformat()]).encode()
    yield csv_line(HEADINGS[language]).encode()
    for block in itemised.calls.iter_slices(BLOCK_ROWS):
        yield _lines(block, language, role, is_priced=itemised.is_priced).encode()
    for cells in _closing(invoice, itemised, language):
        yield csv_line(cells).encode()


def _lines(calls: pl.DataFrame, language: str, role: Role, *, is_priced: bool) -> str:
    """Write many calls: figures by columns, each distinct text once."""
    words, labels = WORDS[language], LABELS[language]
    no_price = csv_cell(words["unrated"] if is_priced else "")
    figures = [
        *(_figures(name) for name in ("duration_s", "volume_bytes", "events")),
        _amounts("amount_micros").fill_null(no_price) if is_priced else pl.lit(no_price),
        bundle_of(csv_cell(words["whole"]), csv_cell(words["part"]), csv_cell("")),
    ]
    rows = calls.select(
        pl.col("call_date").dt.to_string('"%Y-%m-%d";"%H:%M:%S"'),
        *("usage_type", "direction", "subscriber", "other", "zone"),
        figures=pl.concat_str(figures, separator=";"),
    )
    types = Cells(lambda text: csv_cell(labels.get(text, text)))
    directions = Cells(lambda text: csv_cell(words.get(text, text)))
    own = Cells(lambda text: csv_cell(shown_number(text, role, is_own=True)))
    others = Cells(lambda text: csv_cell(shown_number(text, role, is_own=False)))
    zones = Cells(csv_cell)
    return "".join(
        f"{when};{types[kind]};{directions[way]};{own[line]};{others[other]};{zones[zone]};"
        f"{rest}\r\n"
        for when, kind, way, line, other, zone, rest in rows.iter_rows()
    )


class Cells(dict[str | None, str]):
    """Texts as they are written, each worked out when it is first asked for."""

    def __init__(self, write: Callable[[str], str]) -> None:
        """Remember how a text is written; none is written as an empty one."""
        super().__init__()
        self._write = write

    def __missing__(self, text: str | None) -> str:
        """Write a text that was not asked for before."""
        self[text] = written = self._write(text or "")
        return written


def bundle_of(whole: str, part: str, none: str) -> pl.Expr:
    """Say of a call (CALLS) whether an allowance paid for all of it, for a part or none."""
    is_touched = (pl.col("in_allowance") > 0) | (pl.col("allowance_micros") > 0)
    is_covered = is_touched & (pl.col("amount_micros") == 0)
    return (
        pl.when(is_covered)
        .then(pl.lit(whole))
        .when(is_touched)
        .then(pl.lit(part))
        .otherwise(pl.lit(none))
    )


def _figures(column: str) -> pl.Expr:
    return _quoted(pl.col(column).cast(pl.String).fill_null(""))


def _amounts(column: str) -> pl.Expr:
    """Write micros with six decimals after a comma, as :func:`_amount` does."""
    micros = pl.col(column)
    sign = pl.when(micros < 0).then(pl.lit("-")).otherwise(pl.lit(""))
    units = (micros.abs() // MICROS).cast(pl.String)
    rest = (micros.abs() % MICROS).cast(pl.String).str.zfill(6)
    return _quoted(pl.concat_str(sign, units, pl.lit(","), rest))


def _quoted(cell: pl.Expr) -> pl.Expr:
    return pl.concat_str(pl.lit('"'), cell, pl.lit('"'))


# --- what it adds up to -------------------------------------------------------------------


def _closing(
    invoice: Invoice, itemised: Itemised, language: str
) -> Iterator[Iterable[str]]:
    """The last lines: the sum of the calls, the cycle's own lines, what was invoiced."""
    words = WORDS[language]
    counted = [words["total"], f"{itemised.calls.height} {words['records']}"]
    if not itemised.is_priced:
        yield counted
        yield [words["unpriced"]]
        return
    yield [*counted, _amount(itemised.micros)]
    for line in lines_of_the_cycle(invoice):
        yield [line.name, "", _amount(line.amount_micros)]
    yield [words["invoiced"], "", _amount(invoice.draft.amounts.usage_micros)]
    found = differences(invoice, itemised.sums)
    for each in found:
        yield _difference(each, words, LABELS[language])
    if found:
        yield [words["differs"]]


def _difference(
    each: Difference, words: Mapping[str, str], labels: Mapping[str, str]
) -> list[str]:
    return [
        words["difference"],
        place_name(each.usage_type, each.zone, labels),
        _amount(each.calls_micros - each.invoiced_micros),
    ]


def shown_number(number: str, role: Role, *, is_own: bool) -> str:
    """Show as much of a number as a role may see.

    ``+31612345678`` is ``00 31612345678`` for billing and ``00 31612345xxx`` for the
    customer it was called by: a plus would be a formula, and digits alone would lose
    their last ones in a spreadsheet. Short numbers and names are no subscriber's.
    """
    text = f"00 {number[1:]}" if re.fullmatch(r"\+[0-9]+", number) else number
    return masked_number(text, role, is_own=is_own)


def masked_number(number: str, role: Role, *, is_own: bool) -> str:
    """Hide the last digits of a number from who may not see them."""
    is_hidden = role == "support" or (role == "customer" and not is_own)
    if not is_hidden or sum(map(str.isdigit, number)) < 2 * MASKED_DIGITS:
        return number
    return number[:-MASKED_DIGITS] + "x" * MASKED_DIGITS


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
