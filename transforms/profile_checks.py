"""Checks of a profile that span keys: what one key promises about another.

Pure. Called by ``transforms.profile_reading`` on a layout already read; every fault is
noted under its path, none stops the others.
"""

from typing import get_args

from transforms.document import Faults, Table, did_you_mean, shown
from transforms.profile import (
    FILE_WORDS,
    Layout,
    Profile,
    Span,
    Usage,
    columns_used,
    groups_of,
    money_exponent,
)


def check_layout(layout: Layout, table: Table) -> None:
    """Check what one key promises about another."""
    if layout.type == "fixed":
        _check_fixed(layout, table)
    else:
        _check_delimited(layout, table)
    _check_encoding(layout, table)
    _check_quantities(layout, table)
    _check_control(layout, table)
    _check_canonical(layout, table)
    if layout.party == "a_b" and "b_number" not in layout.columns:
        table.note("columns.b_number", "missing: party.mode = 'a_b' needs it")


def _check_fixed(layout: Layout, table: Table) -> None:
    if not layout.record_length:
        table.note("record_length", "missing: type = 'fixed' needs it")
    spans = {f"fields.{name}": span for name, span in layout.fields.items()}
    if layout.record_type is not None:
        spans["record_type"] = layout.record_type
    for path, column in columns_used(layout):
        if isinstance(column, Span):
            spans[path] = column
        elif column and column not in layout.fields:
            near = did_you_mean(column, list(layout.fields))
            table.note(path, f"unknown field {column!r}{near}")
    for path, span in spans.items():
        end = span.start + span.length - 1
        if layout.record_length and end > layout.record_length:
            table.note(path, f"ends at {end}, record_length is {layout.record_length}")
    _check_record_types(layout, table)


def _check_record_types(layout: Layout, table: Table) -> None:
    types = (*layout.header_types, *layout.data_types, *layout.trailer_types)
    if types and layout.record_type is None:
        table.note("record_type", "missing: header, data and trailer types need it")
    if layout.record_type is not None and not layout.data_types:
        table.note("data_types", "missing: record_type needs it")
    for name in sorted({name for name in types if types.count(name) > 1}):
        table.note("data_types", f"the type {name!r} is listed twice")


def _check_delimited(layout: Layout, table: Table) -> None:
    for path, column in columns_used(layout):
        if isinstance(column, Span):
            table.note(path, "must be a column name: places are for type = 'fixed'")
    names = layout.header_names
    if layout.header_match == "exact" and layout.header and not names:
        table.note("header_names", "missing: header_match = 'exact' needs it")
    if not layout.header and not names:
        table.note("header_names", "missing: header = false needs it")
    for name in sorted({name for name in names if names.count(name) > 1}):
        table.note("header_names", f"the name {name!r} is listed twice")
    if names and (layout.header_match == "exact" or not layout.header):
        for path, column in columns_used(layout):
            if isinstance(column, str) and column and column not in names:
                near = did_you_mean(column, list(names))
                table.note(path, f"unknown column {column!r}{near}")
    if layout.quote and layout.quote == layout.delimiter:
        table.note("quote", "must differ from delimiter")


def _check_encoding(layout: Layout, table: Table) -> None:
    unicode = layout.encoding.lower().replace("_", "-").startswith("utf")
    if layout.reject_if_utf8 and unicode:
        table.note("reject_if_utf8", "is for single-byte encodings")
    if layout.bom == "require" and layout.encoding and not unicode:
        table.note("bom", f"encoding {layout.encoding!r} has no byte order mark")


def _check_quantities(layout: Layout, table: Table) -> None:
    usages = dict.fromkeys([*layout.usage.map.values(), layout.usage.const])
    for usage in usages:
        if usage in get_args(Usage) and usage not in layout.quantity:
            table.note(f"quantity.{usage}", "missing")
    from_end = [usage for usage, spec in layout.quantity.items() if spec.from_]
    if from_end and not layout.time.end_columns:
        table.note("time.end_columns", f"missing: quantity.{from_end[0]} counts to the end")


def _check_control(layout: Layout, table: Table) -> None:
    control = layout.control
    proofs: tuple[object, ...] = (control.count, control.amount)
    if control.kind == "total_row":
        proofs = (control.count_column, control.amount_column)
    elif control.kind == "sidecar":
        proofs = (control.count, control.amount, control.sha256)
    if control.kind == "none":
        return
    if not any(proofs):
        table.note("control", f"{control.kind} proves nothing: no count and no amount")
    if control.kind == "sidecar" and not control.suffix:
        table.note("control.suffix", "missing")
    by_type = control.kind == "trailer" and layout.trailer_types
    if control.kind != "sidecar" and control.detect is None and not by_type:
        table.note("control.detect", f"missing: {control.kind} needs it")
    if (control.amount or control.amount_column) and not layout.money.column:
        table.note("control.amount", "money.column names no column to add up")
    unit = control.amount_unit
    if unit and money_exponent(unit, layout.money.currency) is None:
        table.note("control.amount_unit", f"unknown money unit {shown(unit)}")


def _check_canonical(layout: Layout, table: Table) -> None:
    """Check the keys whose values are names of mapped canonical columns."""
    detect = layout.correction.detect
    names = {"partial.group": layout.partial.group, "correction.ref": layout.correction.ref}
    if detect not in ("amount<0", "usage=adjustment"):
        names["correction.detect"] = detect
    if layout.partial.states:
        names["partial.states"] = "part_state"
    for path, name in names.items():
        if name and name not in layout.columns:
            table.note(path, f"{name!r} is not mapped in columns")


def check_file_words(profile: Profile, faults: Faults) -> None:
    """Check that each word of a key has a source: a column or a group of the file name."""
    groups = groups_of(profile.source.filename_regex)
    for place, layout in enumerate(profile.layouts, start=1):
        where = f"layout[{layout.name or place}].dedupe"
        dedupe = layout.dedupe
        for key, words in (("key", dedupe.key), ("fallback", dedupe.fallback)):
            for word in words:
                fault = _unsourced(word, layout, groups)
                if fault:
                    faults.note(f"{where}.{key}", fault)


def _unsourced(word: str, layout: Layout, groups: frozenset[str]) -> str:
    group = FILE_WORDS.get(word, "")
    if group:
        return "" if group in groups else f"{word}: filename_regex has no group {group!r}"
    of_column = word in ("record_id", "account", "invoice_no", "b_number")
    named = word == "account" and "account" in groups
    if of_column and word not in layout.columns and not named:
        return f"{word} is not mapped in columns"
    return ""
