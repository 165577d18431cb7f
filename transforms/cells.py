"""Cells: the source columns of a TEXT frame, by the names a profile gives them.

Pure. A delimited layout has its columns already; a fixed one is cut here, by character,
with the padding blanks taken off. A cell whose text is one of the profile's null values,
or empty, holds nothing.
"""

from dataclasses import dataclass

import polars as pl

from transforms.profile import (
    Column,
    Layout,
    SkipRule,
    Span,
    source_columns,
    text_column,
)


def with_cells(text: pl.DataFrame, layout: Layout) -> pl.DataFrame:
    """Cut the records of a fixed layout, each place once; others have their cells."""
    if layout.type == "delimited":
        return text
    columns: list[Column] = [*source_columns(layout)]
    if layout.record_type is not None:
        columns.append(layout.record_type)
    cuts = {cell_column(column): _cut(_place(column, layout)) for column in columns}
    return text.with_columns(**cuts)


def cell_column(column: Column) -> str:
    """Name the cell of a source column: ``c:Datum``, or ``c:66+14`` for a place."""
    if isinstance(column, Span):
        return text_column(f"{column.start}+{column.length}")
    return text_column(column)


def _place(column: Column, layout: Layout) -> Span:
    return column if isinstance(column, Span) else layout.fields[column]


def _cut(span: Span) -> pl.Expr:
    return pl.col("raw").str.slice(span.start - 1, span.length).str.strip_chars(" ")


@dataclass(frozen=True)
class Cells:
    """Expressions for the cells of one layout, over a frame :func:`with_cells`."""

    layout: Layout

    def raw(self, column: Column) -> pl.Expr:
        """Return a cell as delivered; of a fixed record, without its padding."""
        return pl.col(cell_column(column))

    def value(self, column: Column) -> pl.Expr:
        """Return a cell, null where it holds nothing."""
        raw = self.raw(column)
        nulls = [text for text in self.layout.null_values if text]
        has_text = raw != ""
        if nulls:
            has_text = has_text & ~raw.is_in(nulls)
        return pl.when(has_text).then(raw)

    def is_skipped(self, rule: SkipRule) -> pl.Expr:
        """Tell whether a rule sets a row aside."""
        raw = self.raw(rule.column)
        if rule.equals is not None:
            return raw == rule.equals
        if rule.regex:
            return raw.str.contains(rule.regex)
        if rule.not_in:
            return ~raw.is_in(list(rule.not_in))
        return raw.is_in(list(rule.is_in))
