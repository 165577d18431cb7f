"""Sorting: which rows of a TEXT frame are records, and which are something else.

Pure. A row is one of: a record; ignored (a skip rule, or the header again in the middle);
a control row (header or trailer of a fixed file, trailer or total row of a delimited
one); or unusable, a record whose kind or length nobody knows. They are looked at in that
order from the end: length, record type, repeated header, control, skip rules.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.cells import Cells
from transforms.control import Mark
from transforms.profile import TEXT_PREFIX, Column, Control, Layout

RECORD_KIND: Final = "record"


@dataclass(frozen=True)
class Sorted:
    """The rows of one TEXT frame by what they are.

    Attributes:
        records: Rows to read.
        unusable: ``line_no``, ``raw``, ``reason_code`` and ``evidence``.
        ignored: How many rows are set aside by rule.
        marks: Control records, in file order.
    """

    records: pl.DataFrame
    unusable: pl.DataFrame
    ignored: int
    marks: tuple[Mark, ...]


def sort_rows(text: pl.DataFrame, layout: Layout) -> Sorted:
    """Tell the rows of a TEXT frame apart; each ends in exactly one place.

    Args:
        text: TEXT with its cells (``cells.with_cells``).
        layout: How its profile says the rows are written.
    """
    cells = Cells(layout)
    if _are_all_records(text, layout):
        return Sorted(text, _unusable(text.clear(), cells), 0, ())
    kinds = text.select(kind=_kind(text, cells)).to_series()
    is_record = kinds == RECORD_KIND
    if is_record.all():
        return Sorted(text, _unusable(text.clear(), cells), 0, ())
    bad = text.filter(kinds.is_in(["record_length", "unknown_record_type"]))
    return Sorted(
        records=text.filter(is_record),
        unusable=_unusable(bad, cells),
        ignored=int((kinds == "ignored").sum()),
        marks=_marks(text.filter(kinds == "mark"), cells),
    )


def _are_all_records(text: pl.DataFrame, layout: Layout) -> bool:
    """Tell early, for the usual file, that there is nothing to sort."""
    if layout.type == "fixed" or layout.skip_rows or layout.control.detect is not None:
        return False
    names = _header_columns(text)
    return not (
        layout.header and names and (text[names[0]] == names[0][len(TEXT_PREFIX) :]).any()
    )


def _header_columns(text: pl.DataFrame) -> list[str]:
    return [name for name in text.columns if name.startswith(TEXT_PREFIX)]


def _kind(text: pl.DataFrame, cells: Cells) -> pl.Expr:
    layout = cells.layout
    kind = pl.lit(RECORD_KIND)
    for rule in layout.skip_rows:
        kind = pl.when(cells.is_skipped(rule)).then(pl.lit("ignored")).otherwise(kind)
    if layout.control.detect is not None:
        detect = layout.control.detect
        is_mark = cells.raw(detect.column) == detect.equals
        kind = pl.when(is_mark).then(pl.lit("mark")).otherwise(kind)
    if layout.type == "delimited" and layout.header:
        kind = pl.when(_is_header(text)).then(pl.lit("ignored")).otherwise(kind)
    if layout.type == "fixed":
        kind = _fixed_kind(cells, kind)
    return kind


def _is_header(text: pl.DataFrame) -> pl.Expr:
    """The header again, in the middle: every cell is the name of its column."""
    names = _header_columns(text)
    return pl.all_horizontal(pl.col(name) == name[len(TEXT_PREFIX) :] for name in names)


def _fixed_kind(cells: Cells, kind: pl.Expr) -> pl.Expr:
    layout = cells.layout
    if layout.record_type is not None:
        record_type = cells.raw(layout.record_type)
        kind = (
            pl.when(record_type.is_in(list(layout.trailer_types)))
            .then(pl.lit("mark"))
            .when(record_type.is_in(list(layout.header_types)))
            .then(pl.lit("header"))
            .when(record_type.is_in(list(layout.data_types)))
            .then(kind)
            .otherwise(pl.lit("unknown_record_type"))
        )
    has_length = pl.col("raw").str.len_chars() == layout.record_length
    return pl.when(has_length).then(kind).otherwise(pl.lit("record_length"))


def _unusable(bad: pl.DataFrame, cells: Cells) -> pl.DataFrame:
    layout = cells.layout
    length = pl.col("raw").str.len_chars()
    has_length = length == layout.record_length
    record_type = (
        pl.lit("") if layout.record_type is None else cells.raw(layout.record_type)
    )
    return bad.select(
        "line_no",
        "raw",
        reason_code=pl.when(has_length)
        .then(pl.lit("unknown_record_type"))
        .otherwise(pl.lit("record_length")),
        evidence=pl.when(has_length).then(record_type).otherwise(length.cast(pl.String)),
    )


def _marks(rows: pl.DataFrame, cells: Cells) -> tuple[Mark, ...]:
    control = cells.layout.control
    count, amount = _proof_columns(control)
    read = rows.select(
        "line_no",
        count=cells.value(count) if count else pl.lit(None, dtype=pl.String),
        amount=cells.value(amount) if amount else pl.lit(None, dtype=pl.String),
    )
    return tuple(Mark(line_no, said, money) for line_no, said, money in read.iter_rows())


def _proof_columns(control: Control) -> tuple[Column, Column]:
    if control.kind == "trailer":
        return control.count, control.amount
    return control.count_column, control.amount_column
