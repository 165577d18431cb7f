"""The provider profile: schema ``cdr-profile/1`` as values.

Pure. A provider is data, not code: one TOML file says how its deliveries are named,
encoded, cut into fields and read. The annotated schema is ``etl/providers/_model.toml``;
the classes follow it table by table. ``transforms.profile_reading`` makes them from a
document, whole and checked.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final, Literal

Usage = Literal["voice", "sms", "mms", "data", "content", "fee", "adjustment"]
Status = Literal["assumed", "partial", "verified"]
Gap = Literal["hold", "warn"]
Bom = Literal["forbid", "allow", "require"]
HeaderMatch = Literal["exact", "superset"]
Ambiguous = Literal["first", "second", "file_order"]
Nonexistent = Literal["shift", "reject"]
EndNextDay = Literal["reject", "roll"]
Bare = Literal["e164", "national_no_zero", "national_no_zero_or_e164", "reject"]
Own = Literal["e164", "any"]
Other = Literal["number", "any"]
Party = Literal["own_other", "a_b"]
Vat = Literal["ex", "inc"]
ControlKind = Literal["none", "trailer", "total_row", "sidecar"]
CountIs = Literal["rows", "sum"]
Conflict = Literal["quarantine", "supersede"]

CLOCK_UNITS: Final = ("hh:mm:ss", "mm:ss")
TIME_UNITS: Final = ("s", "ds", "min", *CLOCK_UNITS)
BYTE_UNITS: Final = ("B", "kB", "KiB", "MB", "MiB", "GB", "GiB")
EVENT_UNITS: Final = ("event",)

CANONICAL_COLUMNS: Final = (
    "record_id",
    "a_number",
    "b_number",
    "account",
    "contract",
    "rate_class",
    "product",
    "channel",
    "platform",
    "description",
    "roaming_country",
    "plmn",
    "zone",
    "imsi",
    "iccid",
    "part_group",
    "part_no",
    "part_state",
    "correction_of",
    "invoice_no",
    "bundle",
    "rated_flag",
)
"""The names ``[layout.columns]`` may map."""

FILE_WORDS: Final = {"file_account": "account", "file_period": "period", "file_seq": "seq"}
"""Key words taken from the file name, with the group of ``filename_regex`` they need."""

KEY_WORDS: Final = (
    "record_id",
    "account",
    "invoice_no",
    "a_number",
    "b_number",
    "start",
    "quantity",
    "price",
    "usage",
    "occurrence",
    *FILE_WORDS,
)

_MONEY_UNIT: Final = re.compile(r"1e-([0-9]|1[0-2])([A-Z]{3})")


@dataclass(frozen=True)
class Span:
    """A place in a fixed-width record: 1-based start and length, in characters."""

    start: int
    length: int


Column = str | Span
"""A source column by name (delimited, or a field's name), or a place (fixed)."""


@dataclass(frozen=True)
class Sequence:
    """Which group of the file name counts deliveries, and what a gap does."""

    group: str
    gap: Gap


@dataclass(frozen=True)
class RateLimit:
    """How many requests a provider allows in a window."""

    requests: int
    window_s: int


@dataclass(frozen=True)
class Poll:
    """How a provider that prepares deliveries on request is asked (``[source.poll]``)."""

    first_wait_s: int = 30
    max_wait_s: int = 900
    give_up_after_s: int = 21600
    rate_limit: RateLimit | None = None
    rate_limited_code: str = ""
    auth_error_codes: tuple[str, ...] = ()
    messages: dict[str, str] = field(default_factory=dict)
    """The provider's own message and element names, by our role for them."""


@dataclass(frozen=True)
class Source:
    """Where deliveries come from and how they are named."""

    kind: Literal["file", "zip"]
    file_glob: str
    filename_regex: str = ""
    sequence: Sequence | None = None
    accept_late_days: int = 62
    max_members: int = 64
    max_unpacked_mb: int = 2048
    poll: Poll | None = None


@dataclass(frozen=True)
class SkipRule:
    """Rows that are neither data nor control; counted as ignored."""

    column: Column
    equals: str | None = None
    is_in: tuple[str, ...] = ()
    not_in: tuple[str, ...] = ()
    regex: str = ""


@dataclass(frozen=True)
class Locale:
    """How numbers and money are written."""

    decimal: str = ""
    thousands: str = ""
    strip: tuple[str, ...] = ()
    negative: tuple[str, ...] = ("lead",)


@dataclass(frozen=True)
class Time:
    """How the start (and perhaps the end) of a record is written."""

    columns: tuple[Column, ...]
    format: str
    timezone: str
    date_only_format: str = ""
    offset_column: Column = ""
    ambiguous: Ambiguous = "first"
    nonexistent: Nonexistent = "shift"
    end_columns: tuple[Column, ...] = ()
    end_next_day: EndNextDay = "reject"


@dataclass(frozen=True)
class Numbers:
    """How telephone numbers are written (rules: ``transforms/numbers.py``)."""

    region: str = "NL"
    mask_regex: str = ""
    tokens: dict[str, str] = field(default_factory=dict)
    bare: Bare = "e164"
    strip_excel_formula: bool = False
    own: Own = "e164"
    other: Other = "number"


@dataclass(frozen=True)
class Choice:
    """A column whose values map to ours (``[layout.direction]``, ``[layout.usage]``)."""

    column: Column = ""
    map: dict[str, str] = field(default_factory=dict)
    default: str = ""
    const: str = ""


@dataclass(frozen=True)
class Quantity:
    """Where one usage type's quantity stands and what it counts."""

    column: Column = ""
    unit: str = ""
    const: int | None = None
    unit_column: Column = ""
    units: dict[str, str] = field(default_factory=dict)
    from_: Literal["", "end_minus_start"] = ""


@dataclass(frozen=True)
class Equals:
    """A test on one column."""

    column: Column
    equals: str


@dataclass(frozen=True)
class Money:
    """Where the provider's price stands and what one unit of it is worth."""

    column: Column
    unit: str
    currency: str = "EUR"
    vat: Vat = "ex"
    vat_rate: str = ""
    """Percent as a decimal number, such as ``21`` or ``9.5``."""
    unrated: Equals | None = None


@dataclass(frozen=True)
class Control:
    """The proof that a file is whole."""

    kind: ControlKind = "none"
    detect: Equals | None = None
    count: Column = ""
    """Trailer: its place or column. Sidecar: its key."""
    amount: Column = ""
    amount_unit: str = ""
    count_column: Column = ""
    count_is: CountIs = "rows"
    amount_column: Column = ""
    suffix: str = ""
    format: str = "key=value"
    sha256: str = ""


@dataclass(frozen=True)
class Dedupe:
    """What makes two records one and the same.

    ``key`` and ``fallback`` hold words of ``KEY_WORDS``. With ``occurrence`` the n-th
    equal record of a delivery is a record of its own.
    """

    key: tuple[str, ...]
    fallback: tuple[str, ...] = ()
    conflict: Conflict = "quarantine"


@dataclass(frozen=True)
class Partial:
    """Long calls and data sessions delivered in parts."""

    group: str = ""
    states: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Correction:
    """Which records correct others."""

    detect: str = ""
    ref: str = ""


@dataclass(frozen=True)
class Layout:
    """One kind of file inside a delivery."""

    name: str
    type: Literal["delimited", "fixed"]
    encoding: str
    time: Time
    columns: dict[str, Column]
    usage: Choice
    quantity: dict[str, Quantity]
    money: Money
    dedupe: Dedupe
    member_glob: str = "*"
    bom: Bom = "allow"
    delimiter: str = ","
    quote: str = ""
    escape: str = ""
    preamble_lines: int = 0
    strip_cells: bool = False
    header: bool = True
    header_lines: int = 1
    header_match: HeaderMatch = "superset"
    header_names: tuple[str, ...] = ()
    reject_if_utf8: bool = False
    max_bad_rows: int = 0
    max_bad_pct: int = 0
    null_values: tuple[str, ...] = ()
    skip_rows: tuple[SkipRule, ...] = ()
    record_length: int = 0
    record_type: Span | None = None
    header_types: tuple[str, ...] = ()
    data_types: tuple[str, ...] = ()
    trailer_types: tuple[str, ...] = ()
    fields: dict[str, Span] = field(default_factory=dict)
    locale: Locale = field(default_factory=Locale)
    numbers: Numbers = field(default_factory=Numbers)
    party: Party = "own_other"
    direction: Choice | None = None
    control: Control = field(default_factory=Control)
    partial: Partial = field(default_factory=Partial)
    correction: Correction = field(default_factory=Correction)


@dataclass(frozen=True)
class Profile:
    """One provider, whole and checked."""

    id: str
    provider: str
    version: str
    status: Status
    source: Source
    layouts: tuple[Layout, ...]
    sha256: str
    """Hash of the TOML bytes; with ``id`` and ``version`` it names what read a row."""


TEXT_PREFIX: Final = "c:"
"""What the source columns of a TEXT frame begin with."""


def text_column(name: str) -> str:
    """Return the column of a TEXT frame that holds a source column: ``c:Datum``."""
    return f"{TEXT_PREFIX}{name}"


def money_exponent(unit: str, currency: str) -> int | None:
    """Return how many decimals a money unit implies, or None for an unknown unit.

    ``EUR`` is 0, ``cent`` is 2, ``1e-5EUR`` is 5: the text 1500 is 0.01500 EUR.
    """
    if unit == currency:
        return 0
    if unit == "cent":
        return 2
    implied = _MONEY_UNIT.fullmatch(unit)
    return int(implied[1]) if implied and implied[2] == currency else None


def source_columns(layout: Layout) -> tuple[Column, ...]:
    """Return every source column the layout reads, each once, in order of use."""
    return tuple(dict.fromkeys(column for _, column in columns_used(layout) if column))


def columns_used(layout: Layout) -> Iterator[tuple[str, Column]]:
    """Yield path and column of every place of a layout that names a source column."""
    for name, column in layout.columns.items():
        yield f"columns.{name}", column
    for place, rule in enumerate(layout.skip_rows, start=1):
        yield f"skip_rows[{place}].column", rule.column
    time = layout.time
    yield from (("time.columns", column) for column in time.columns)
    yield from (("time.end_columns", column) for column in time.end_columns)
    yield "time.offset_column", time.offset_column
    yield "usage.column", layout.usage.column
    if layout.direction is not None:
        yield "direction.column", layout.direction.column
    for usage, quantity in layout.quantity.items():
        yield f"quantity.{usage}.column", quantity.column
        yield f"quantity.{usage}.unit_column", quantity.unit_column
    yield "money.column", layout.money.column
    if layout.money.unrated is not None:
        yield "money.unrated.column", layout.money.unrated.column
    yield from _control_columns(layout.control)


def _control_columns(control: Control) -> Iterator[tuple[str, Column]]:
    if control.detect is not None:
        yield "control.detect.column", control.detect.column
    if control.kind == "trailer":
        yield "control.count", control.count
        yield "control.amount", control.amount
    yield "control.count_column", control.count_column
    yield "control.amount_column", control.amount_column


def groups_of(pattern: str) -> frozenset[str]:
    """Return the named groups of a regular expression; none when it is at fault."""
    try:
        return frozenset(re.compile(pattern).groupindex)
    except re.error:
        return frozenset()


def units_of(usage: str) -> tuple[str, ...]:
    """Return the units a usage type may be counted in."""
    return {"voice": TIME_UNITS, "data": BYTE_UNITS}.get(usage, EVENT_UNITS)
