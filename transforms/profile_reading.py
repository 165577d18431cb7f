"""Reading a profile: the document of schema ``cdr-profile/1``, checked whole.

Pure. ``parse_profile`` reads table by table in the order of ``etl/providers/_model.toml``
and reports every missing key, unknown key and wrong value in one message; what one key
promises about another is checked in ``transforms.profile_checks``.
"""

import codecs
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Final, get_args
from zoneinfo import ZoneInfo

import polars as pl

from transforms.document import Faults, Table, did_you_mean, one_of, shown
from transforms.profile import (
    CANONICAL_COLUMNS,
    CLOCK_UNITS,
    KEY_WORDS,
    Ambiguous,
    Bare,
    Bom,
    Choice,
    Column,
    Conflict,
    Control,
    ControlKind,
    Correction,
    CountIs,
    Dedupe,
    EndNextDay,
    Equals,
    Gap,
    HeaderMatch,
    Layout,
    Locale,
    Money,
    Nonexistent,
    Numbers,
    Other,
    Own,
    Partial,
    Party,
    Poll,
    Profile,
    Quantity,
    RateLimit,
    Sequence,
    SkipRule,
    Source,
    Span,
    Status,
    Time,
    Usage,
    Vat,
    groups_of,
    money_exponent,
    units_of,
)
from transforms.profile_checks import check_file_words, check_layout
from transforms.time_format import EPOCH_FORMATS, TimeFormat, time_format

SCHEMA: Final = "cdr-profile/1"


def parse_profile(document: Mapping[str, object], sha256: str) -> Profile:
    """Read a whole profile and check it, before anything uses it.

    Args:
        document: The parsed TOML.
        sha256: Hash of the TOML bytes.

    Raises:
        ConfigError: One message naming every missing key, unknown key (with the nearest
            known one) and wrong value, each with its path (``layout[mobile].money.unit``).
    """
    name = document.get("id")
    faults = Faults(f"profile {name!r}" if isinstance(name, str) else "profile")
    top = Table(document, "", faults)
    if top.need("schema") not in (SCHEMA, None):
        top.note("schema", f"must be {SCHEMA!r}, not {shown(document['schema'])}")
    profile = Profile(
        id=_provider_id(top),
        provider=top.text("provider"),
        version=top.text("version"),
        status=top.choice("status", get_args(Status)),
        source=_source(top.needed_table("source")),
        layouts=_layouts(top),
        sha256=sha256,
    )
    top.close()
    check_file_words(profile, faults)
    faults.raise_if_any()
    return profile


def _provider_id(top: Table) -> str:
    name = top.text("id")
    if name and not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        top.note("id", f"must be small letters, digits and _, not {shown(name)}")
    return name


def _source(table: Table) -> Source:
    source = Source(
        kind=table.choice("kind", ("file", "zip")),
        file_glob=table.text("file_glob"),
        filename_regex=_pattern(table, "filename_regex"),
        sequence=_sequence(table),
        accept_late_days=table.whole("accept_late_days", 62),
        max_members=table.whole("max_members", 64, least=1),
        max_unpacked_mb=table.whole("max_unpacked_mb", 2048, least=1),
        poll=_poll(table.table("poll")),
    )
    table.close()
    group = source.sequence.group if source.sequence else ""
    if group and group not in groups_of(source.filename_regex):
        table.note("sequence.group", f"filename_regex has no group {group!r}")
    return source


def _sequence(table: Table) -> Sequence | None:
    inner = table.table("sequence")
    if inner is None or not inner.values:
        return None
    sequence = Sequence(inner.text("group"), inner.choice("gap", get_args(Gap)))
    inner.close()
    return sequence


def _poll(table: Table | None) -> Poll | None:
    if table is None:
        return None
    poll = Poll(
        first_wait_s=table.whole("first_wait_s", 30),
        max_wait_s=table.whole("max_wait_s", 900, least=1),
        give_up_after_s=table.whole("give_up_after_s", 21600, least=1),
        rate_limit=_rate_limit(table.table("rate_limit")),
        rate_limited_code=table.text("rate_limited_code", ""),
        auth_error_codes=table.texts("auth_error_codes"),
        messages=table.text_map("messages"),
    )
    table.close()
    return poll


def _rate_limit(table: Table | None) -> RateLimit | None:
    if table is None or not table.values:
        return None
    table.need("requests")
    table.need("window_s")
    limit = RateLimit(
        table.whole("requests", 1, least=1), table.whole("window_s", 1, least=1)
    )
    table.close()
    return limit


def _layouts(top: Table) -> tuple[Layout, ...]:
    tables = top.tables("layout")
    if not tables and not isinstance(top.values.get("layout"), list):
        top.note("layout", "missing")
    layouts = tuple(_layout(table) for table in tables)
    names = [layout.name for layout in layouts]
    for name in sorted({name for name in names if name and names.count(name) > 1}):
        top.note("layout", f"the name {name!r} is used {names.count(name)} times")
    return layouts


def _layout(table: Table) -> Layout:
    fixed_fields = _fields(table)
    layout = Layout(
        name=table.text("name"),
        type=table.choice("type", ("delimited", "fixed")),
        encoding=_encoding(table),
        time=_time(table.needed_table("time")),
        columns=_columns(table.needed_table("columns")),
        usage=_usage(table),
        quantity=_quantities(table.needed_table("quantity")),
        money=_money(table.needed_table("money")),
        dedupe=_dedupe(table.needed_table("dedupe")),
        member_glob=table.text("member_glob", "*"),
        bom=table.choice("bom", get_args(Bom), "allow"),
        delimiter=_character(table, "delimiter", ","),
        quote=_character(table, "quote", ""),
        escape=_character(table, "escape", ""),
        preamble_lines=table.whole("preamble_lines", 0),
        strip_cells=table.flag("strip_cells", default=False),
        header=table.flag("header", default=True),
        header_lines=table.whole("header_lines", 1, least=1),
        header_match=table.choice("header_match", get_args(HeaderMatch), "superset"),
        header_names=table.texts("header_names"),
        reject_if_utf8=table.flag("reject_if_utf8", default=False),
        max_bad_rows=table.whole("max_bad_rows", 0),
        max_bad_pct=table.whole("max_bad_pct", 0, most=100),
        null_values=table.texts("null_values"),
        skip_rows=tuple(_skip_rule(rule) for rule in table.tables("skip_rows")),
        record_length=table.whole("record_length", 0, least=1),
        record_type=_record_type(table),
        header_types=table.texts("header_types"),
        data_types=table.texts("data_types"),
        trailer_types=table.texts("trailer_types"),
        fields=fixed_fields,
        locale=_locale(table.table("locale")),
        numbers=_numbers(table.table("numbers")),
        party=_party(table.table("party")),
        direction=_direction(table.table("direction")),
        control=_control(table.table("control")),
        partial=_partial(table.table("partial")),
        correction=_correction(table.table("correction")),
    )
    table.close()
    check_layout(layout, table)
    return layout


def _pattern(table: Table, key: str) -> str:
    """Read a regular expression for file names."""
    pattern = table.text(key, "")
    try:
        re.compile(pattern)
    except re.error as error:
        table.note(key, f"is no regular expression: {error}")
    return pattern


def _column_pattern(table: Table, key: str) -> str:
    """Read a regular expression for cells: these are matched by the frame engine."""
    pattern = table.text(key, "")
    try:
        pl.Series([""]).str.contains(pattern)
    except pl.exceptions.ComputeError:
        table.note(key, f"is no regular expression without look-around: {shown(pattern)}")
    return pattern


def _character(table: Table, key: str, default: str) -> str:
    value = table.text(key, default)
    if len(value) > 1 or value in ("\n", "\r") or (key == "delimiter" and not value):
        table.note(key, f"must be one character, not {shown(value)}")
        return default
    return value


def _encoding(table: Table) -> str:
    name = table.text("encoding")
    try:
        "".encode(codecs.lookup(name).name)
    except LookupError:
        if name:
            table.note("encoding", f"unknown encoding {shown(name)}")
    return name


def _column(table: Table, key: str, *, needed: bool = False) -> Column:
    """Read a source column: a name, or ``[start, length]`` in a fixed record."""
    if needed:
        table.need(key)
    value = table.get(key)
    if value is None:
        return ""
    column = _as_column(value)
    if column is None:
        table.note(key, f"must be a column name or [start, length], not {shown(value)}")
        return ""
    return column


def _as_column(value: object) -> Column | None:
    if isinstance(value, str):
        return value
    numbers = value if isinstance(value, list) else []
    if len(numbers) == 2 and all(type(number) is int and number > 0 for number in numbers):
        return Span(numbers[0], numbers[1])
    return None


def _column_list(table: Table, key: str) -> tuple[Column, ...]:
    value = table.get(key)
    if value is None:
        return ()
    items = value if isinstance(value, list) else [None]
    columns = [_as_column(item) for item in items]
    if not all(columns):
        table.note(key, f"must be a list of column names or places, not {shown(value)}")
    return tuple(column for column in columns if column)


def _fields(table: Table) -> dict[str, Span]:
    inner = table.table("fields")
    if inner is None:
        return {}
    spans: dict[str, Span] = {}
    for name, value in inner.values.items():
        span = _as_column(value)
        if isinstance(span, Span):
            spans[name] = span
        else:
            inner.note(name, f"must be [start, length], not {shown(value)}")
    return spans


def _record_type(table: Table) -> Span | None:
    column = _column(table, "record_type")
    if isinstance(column, str):
        if column:
            table.note("record_type", f"must be [start, length], not {shown(column)}")
        return None
    return column


def _skip_rule(table: Table) -> SkipRule:
    tests = [key for key in ("equals", "in", "not_in", "regex") if table.has(key)]
    if len(tests) != 1:
        table.note("equals", "exactly one of equals, in, not_in and regex is needed")
    rule = SkipRule(
        column=_column(table, "column", needed=True),
        equals=table.text("equals", "") if table.has("equals") else None,
        is_in=table.texts("in"),
        not_in=table.texts("not_in"),
        regex=_column_pattern(table, "regex"),
    )
    table.close()
    return rule


def _locale(table: Table | None) -> Locale:
    if table is None:
        return Locale()
    locale = Locale(
        decimal=_character(table, "decimal", ""),
        thousands=_character(table, "thousands", ""),
        strip=table.texts("strip"),
        negative=table.texts("negative", ("lead",)),
    )
    table.close()
    for key, value in (("decimal", locale.decimal), ("thousands", locale.thousands)):
        if value.isalnum() or value in ("-", "+", "(", ")"):
            table.note(key, f"must be a separator, not {shown(value)}")
    if locale.decimal and locale.decimal == locale.thousands:
        table.note("thousands", "must differ from decimal")
    if any(not token or re.search(r"[0-9]", token) for token in locale.strip):
        table.note("strip", "tokens must not be empty or hold digits")
    styles = ("lead", "trail", "parens")
    for style in locale.negative:
        if style not in styles:
            table.note("negative", f"must be {one_of(styles)}, not {shown(style)}")
    return locale


def _time(table: Table) -> Time:
    time = Time(
        columns=_column_list(table, "columns"),
        format=table.text("format"),
        timezone=_timezone(table),
        date_only_format=table.text("date_only_format", ""),
        offset_column=_column(table, "offset_column"),
        ambiguous=table.choice("ambiguous", get_args(Ambiguous), "first"),
        nonexistent=table.choice("nonexistent", get_args(Nonexistent), "shift"),
        end_columns=_column_list(table, "end_columns"),
        end_next_day=table.choice("end_next_day", get_args(EndNextDay), "reject"),
    )
    table.close()
    if not table.has("columns"):
        table.note("columns", "missing")
    elif not time.columns:
        table.note("columns", "must name a column")
    if time.format:
        _check_time_formats(time, table)
    return time


def _timezone(table: Table) -> str:
    name = table.text("timezone")
    try:
        ZoneInfo(name)
    except (OSError, ValueError, LookupError):
        if name:
            table.note("timezone", f"unknown time zone {shown(name)}")
    return name


def _check_time_formats(time: Time, table: Table) -> None:
    if time.format in EPOCH_FORMATS:
        if len(time.columns) > 1 or time.date_only_format or time.offset_column:
            fault = "takes one column, no date_only_format and no offset_column"
            table.note("format", f"{time.format} {fault}")
        return
    whole = _compiled(table, "format", time.format)
    if whole and whole.has_offset and time.offset_column:
        table.note("offset_column", "format already ends with %z")
    if time.date_only_format:
        day = _compiled(table, "date_only_format", time.date_only_format)
        if day and not (day.is_date and not day.has_offset):
            table.note("date_only_format", "must hold a date only")


def _compiled(table: Table, key: str, declared: str) -> TimeFormat | None:
    try:
        return time_format(declared)
    except ValueError as error:
        table.note(key, f"{shown(declared)}: {error}")
        return None


def _numbers(table: Table | None) -> Numbers:
    if table is None:
        return Numbers()
    numbers = Numbers(
        region=table.choice("region", ("NL",), "NL"),
        mask_regex=_column_pattern(table, "mask_regex"),
        tokens=table.text_map("tokens"),
        bare=table.choice("bare", get_args(Bare), "e164"),
        strip_excel_formula=table.flag("strip_excel_formula", default=False),
        own=table.choice("own", get_args(Own), "e164"),
        other=table.choice("other", get_args(Other), "number"),
    )
    table.close()
    return numbers


def _columns(table: Table) -> dict[str, Column]:
    mapped: dict[str, Column] = {}
    for name in table.values:
        if name in CANONICAL_COLUMNS:
            column = _column(table, name)
            if column:
                mapped[name] = column
        else:
            table.note(name, f"unknown key{did_you_mean(name, CANONICAL_COLUMNS)}")
    if "a_number" not in mapped:
        table.note("a_number", "missing")
    return mapped


def _party(table: Table | None) -> Party:
    if table is None:
        return "own_other"
    mode: Party = table.choice("mode", get_args(Party), "own_other")
    table.close()
    return mode


def _direction(table: Table | None) -> Choice | None:
    if table is None or not table.values:
        return None
    choice = Choice(
        column=_column(table, "column", needed=True),
        map=_value_map(table, ("out", "in")),
        default=table.choice("default", ("", "out", "in"), ""),
    )
    table.close()
    if not choice.map and not choice.default:
        table.note("map", "missing")
    return choice


def _usage(layout: Table) -> Choice:
    if not layout.has("usage"):
        layout.note("usage", "missing")
        layout.get("usage")
        return Choice()
    table = layout.needed_table("usage")
    choice = Choice(
        column=_column(table, "column"),
        map=_value_map(table, get_args(Usage)),
        const=table.choice("const", ("", *get_args(Usage)), ""),
    )
    table.close()
    if choice.const and choice.column:
        table.note("const", "is for a layout without a usage column (column = '')")
    elif not choice.const and not choice.column:
        table.note("column", "missing (or const for a layout with one usage)")
    elif choice.column and not choice.map:
        table.note("map", "missing")
    return choice


def _value_map(table: Table, allowed: tuple[str, ...]) -> dict[str, str]:
    values = table.text_map("map")
    for source, ours in values.items():
        if ours not in allowed:
            table.note(f"map.{source}", f"must be {one_of(allowed)}, not {shown(ours)}")
    return values


def _quantities(table: Table) -> dict[str, Quantity]:
    specs: dict[str, Quantity] = {}
    for usage in table.values:
        if usage not in get_args(Usage):
            table.note(usage, f"unknown key{did_you_mean(usage, get_args(Usage))}")
            continue
        inner = table.table(usage)
        if inner is not None:
            specs[usage] = _quantity(inner, units_of(usage))
    return specs


def _quantity(table: Table, allowed: tuple[str, ...]) -> Quantity:
    spec = Quantity(
        column=_column(table, "column"),
        unit=table.text("unit", ""),
        const=table.whole("const", 0) if table.has("const") else None,
        unit_column=_column(table, "unit_column"),
        units=table.text_map("units"),
        from_=table.choice("from", ("", "end_minus_start"), ""),
    )
    table.get("const")
    table.close()
    for source, unit in spec.units.items():
        if unit not in allowed:
            table.note(f"units.{source}", f"must be {one_of(allowed)}, not {shown(unit)}")
    if spec.unit and spec.unit not in allowed:
        table.note("unit", f"must be {one_of(allowed)}, not {shown(spec.unit)}")
    _check_quantity_source(spec, table)
    return spec


def _check_quantity_source(spec: Quantity, table: Table) -> None:
    sources = (bool(spec.column), spec.const is not None, bool(spec.from_))
    if sum(sources) != 1:
        table.note("column", "exactly one of column, const and from is needed")
    if spec.from_ and spec.unit not in ("", "s"):
        table.note("unit", "end_minus_start counts in 's'")
    if spec.const is not None and spec.unit in CLOCK_UNITS:
        table.note("unit", f"const needs a unit that counts, not {spec.unit!r}")
    if spec.unit_column and not spec.units:
        table.note("units", "missing: unit_column needs the meaning of its values")
    if spec.column and bool(spec.unit) == bool(spec.unit_column):
        table.note("unit", "exactly one of unit and unit_column is needed")
    if spec.const is not None and not spec.unit:
        table.note("unit", "missing")


def _money(table: Table) -> Money:
    currency = table.text("currency", "EUR")
    if not re.fullmatch(r"[A-Z]{3}", currency):
        table.note("currency", f"must be three capital letters, not {shown(currency)}")
    money = Money(
        column=_column(table, "column", needed=True),
        unit=_money_unit(table, "unit", currency),
        currency=currency,
        vat=table.choice("vat", get_args(Vat), "ex"),
        vat_rate=_vat_rate(table),
        unrated=_equals(table.table("unrated")),
    )
    table.close()
    if money.vat == "inc" and not table.has("vat_rate"):
        table.note("vat_rate", "missing: vat = 'inc' needs it")
    return money


def _money_unit(table: Table, key: str, currency: str, default: str | None = None) -> str:
    unit = table.text(key, default)
    if unit and money_exponent(unit, currency) is None:
        options = f"{currency!r}, 'cent' or '1e-N{currency}' (N 0 to 12)"
        table.note(key, f"must be {options}, not {shown(unit)}")
    return unit


def _vat_rate(table: Table) -> str:
    value = table.get("vat_rate")
    if value is None or value == "":
        return ""
    try:
        rate = Decimal(str(value))
    except InvalidOperation:
        rate = Decimal(-1)
    in_range = not isinstance(value, bool) and 0 <= rate <= 100
    if not in_range or rate * 10_000 % 1:
        table.note("vat_rate", f"must be a percentage such as '21', not {shown(value)}")
        return ""
    return str(value)


def _equals(table: Table | None) -> Equals | None:
    if table is None or not table.values:
        return None
    table.need("equals")
    test = Equals(_column(table, "column", needed=True), table.text("equals", ""))
    table.close()
    return test


def _control(table: Table | None) -> Control:
    if table is None:
        return Control()
    control = Control(
        kind=table.choice("kind", get_args(ControlKind), "none"),
        detect=_equals(table.table("detect")),
        count=_proof(table, "count"),
        amount=_proof(table, "amount"),
        amount_unit=table.text("amount_unit", ""),
        count_column=_column(table, "count_column"),
        count_is=table.choice("count_is", get_args(CountIs), "rows"),
        amount_column=_column(table, "amount_column"),
        suffix=table.text("suffix", ""),
        format=table.choice("format", ("key=value",), "key=value"),
        sha256=table.text("sha256", ""),
    )
    table.close()
    return control


def _proof(table: Table, key: str) -> Column:
    """Read where a trailer states a proof: a column or place, bare or as ``{column}``."""
    if not isinstance(table.values.get(key), dict):
        return _column(table, key)
    inner = table.needed_table(key)
    column = _column(inner, "column", needed=True)
    inner.close()
    return column


def _dedupe(table: Table) -> Dedupe:
    table.need("key")
    dedupe = Dedupe(
        key=table.texts("key"),
        fallback=table.texts("fallback"),
        conflict=table.choice("conflict", get_args(Conflict), "quarantine"),
    )
    table.close()
    for key, words in (("key", dedupe.key), ("fallback", dedupe.fallback)):
        for word in words:
            if word not in KEY_WORDS:
                table.note(key, f"unknown word {word!r}{did_you_mean(word, KEY_WORDS)}")
        if words == ("occurrence",) or len(set(words)) < len(words):
            table.note(key, "needs a word beside occurrence, and each word once")
    if table.has("key") and not dedupe.key:
        table.note("key", "must name a word")
    return dedupe


def _partial(table: Table | None) -> Partial:
    if table is None:
        return Partial()
    partial = Partial(table.text("group", ""), table.text_map("states"))
    table.close()
    states = ("first", "mid", "last", "single")
    for source, ours in partial.states.items():
        if ours not in states:
            table.note(f"states.{source}", f"must be {one_of(states)}, not {shown(ours)}")
    return partial


def _correction(table: Table | None) -> Correction:
    if table is None:
        return Correction()
    correction = Correction(table.text("detect", ""), table.text("ref", ""))
    table.close()
    return correction
