"""Cells: the source columns of a TEXT frame, by the names a profile gives them.

Pure. A delimited layout has its columns already; a fixed one is cut here, by character,
with the padding blanks taken off. A cell whose text is one of the profile's null values,
or empty, holds nothing.
"""

from dataclasses import dataclass

import polars as pl

from transforms.profile import Column, Layout, SkipRule, Span, text_column


@dataclass(frozen=True)
class Cells:
    """Expressions for the cells of one layout."""

    layout: Layout

    def raw(self, column: Column) -> pl.Expr:
        """Return a cell as delivered; of a fixed record, without its padding."""
        if isinstance(column, Span):
            return _cut(column)
        if self.layout.type == "fixed":
            return _cut(self.layout.fields[column])
        return pl.col(text_column(column))

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


def _cut(span: Span) -> pl.Expr:
    return pl.col("raw").str.slice(span.start - 1, span.length).str.strip_chars(" ")
