"""The values of a rate plan as people write them: prices, quantities, spans of a week.

Pure. Each function reads one value and says what is wrong with it as a ``ValueError``.
Amounts are decimal numbers or texts; a parsed document gives decimals, never binary
fractions, so 0.1 is one tenth.

Units: quantities become whole seconds, bytes or events; prices whole nanos (1e-9).
"""

import re
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Final, TypeVar

from transforms.document import Table, did_you_mean, one_of, shown
from transforms.money import LIMIT_MICROS
from transforms.quantity import FACTORS
from transforms.rate_plan import (
    DAY_TYPES,
    HOLIDAY,
    MINUTES_A_DAY,
    WEEKDAYS,
    Increment,
    Span,
    Unit,
)

NANOS: Final = 10**9
"""Nanos in one unit of the currency."""

NANOS_PER_MICRO: Final = 1000

DECIMALS: Final = 9
HIGHEST_PRICE: Final = 10**6
"""No price of one unit may be above this many units of the currency."""

MOST_UNITS: Final = 2**53
"""No quantity of a plan or of a record may be above this; a bound that keeps every
product of rating far inside 128 bits (docs/decisions/0013-rating-in-whole-numbers.md)."""

WORDS: Final[dict[Unit, dict[str, Fraction]]] = {
    "s": {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600)},
    "bytes": {name: FACTORS[name] for name in FACTORS if name.endswith("B")},
    "events": {"event": Fraction(1)},
}
"""The words for quantities of each unit, and how many units one of it is."""

DAYS: Final = {
    **{day: (day,) for day in DAY_TYPES},
    "daily": WEEKDAYS,
    "always": DAY_TYPES,
}

_AMOUNT: Final = re.compile(r"([0-9]{1,12})(?:\.([0-9]{1,12}))?")
_QUANTITY: Final = re.compile(r"([0-9]{1,16}(?:\.[0-9]{1,6})?)? *([A-Za-z]*)")
_SPAN: Final = re.compile(
    r"([a-z,-]+) +([0-2][0-9]):([0-5][0-9]) *- *([0-2][0-9]):([0-5][0-9])"
)

T = TypeVar("T")


def read(table: Table, key: str, parse: Callable[[object], T], default: T) -> T:
    """Read the value at a key, or note what is wrong with it."""
    value = table.get(key)
    if value is None:
        return default
    try:
        return parse(value)
    except ValueError as exc:
        table.note(key, str(exc))
        return default


def read_nanos(value: object) -> int:
    """Read a price: ``"0.0405"``, ``0.0405`` and ``12`` are exact; a sign is refused."""
    if isinstance(value, Decimal):
        value = format(value, "f")
    elif isinstance(value, int) and not _is_flag(value):
        value = str(value)
    found = _AMOUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        message = f"must be an amount such as '0.0405', not {shown(value)}"
        raise ValueError(message)
    fraction = (found[2] or "").rstrip("0")
    if len(fraction) > DECIMALS:
        message = f"has more than {DECIMALS} decimals: {shown(value)}"
        raise ValueError(message)
    nanos = int(found[1] + fraction.ljust(DECIMALS, "0"))
    if nanos > HIGHEST_PRICE * NANOS:
        message = f"is above {HIGHEST_PRICE:,}: {shown(value)}"
        raise ValueError(message)
    return nanos


def read_micros(value: object) -> int:
    """Read an amount that is charged as it stands: six decimals at most."""
    nanos = read_nanos(value)
    if nanos % NANOS_PER_MICRO or nanos // NANOS_PER_MICRO >= LIMIT_MICROS:
        message = f"has more than six decimals: {shown(value)}"
        raise ValueError(message)
    return nanos // NANOS_PER_MICRO


def read_percent(value: object) -> int:
    """Read a percentage as whole hundredths of a percent: ``"12.5"`` is 1250."""
    nanos = read_nanos(value)
    if nanos % (NANOS // 100):
        message = f"has more than two decimals: {shown(value)}"
        raise ValueError(message)
    return nanos * 100 // NANOS


def read_quantity(unit: Unit) -> Callable[[object], int]:
    """Return a reader of quantities: ``"500 min"`` is 30000 s, ``"10 MB"`` 10^7 bytes."""

    def parse(value: object) -> int:
        text = str(value) if isinstance(value, int) and not _is_flag(value) else value
        found = _QUANTITY.fullmatch(text) if isinstance(text, str) else None
        words = WORDS[unit]
        if found is None or not found[1]:
            message = f"must be a quantity such as {_example(unit)}, not {shown(value)}"
            raise ValueError(message)
        word = found[2]
        if word and word not in words:
            near = did_you_mean(word, list(words))
            message = f"must be in {one_of(list(words))}, not {word!r}{near}"
            raise ValueError(message)
        amount = Fraction(found[1]) * (words[word] if word else 1)
        if amount.denominator != 1:
            message = f"is no whole number of {unit}: {shown(value)}"
            raise ValueError(message)
        if not 0 < amount <= MOST_UNITS:
            message = f"must be above 0 and at most 2^53 {unit}, not {shown(value)}"
            raise ValueError(message)
        return int(amount)

    return parse


def read_per(unit: Unit) -> Callable[[object], int]:
    """Return a reader of what a price is for: ``"min"``, ``"MB"`` or ``"100 kB"``."""
    whole = read_quantity(unit)

    def parse(value: object) -> int:
        if isinstance(value, str) and value[:1].isalpha():
            return whole(f"1 {value}")
        return whole(value)

    return parse


def read_increment(unit: Unit) -> Callable[[object], Increment]:
    """Return a reader of increments: ``"60/6"``, or ``"1 MB/100 kB"``."""
    whole = read_quantity(unit)

    def parse(value: object) -> Increment:
        parts = value.split("/") if isinstance(value, str) else []
        if len(parts) != 2:
            message = f"must be first/step, such as '60/6', not {shown(value)}"
            raise ValueError(message)
        return Increment(whole(parts[0].strip()), whole(parts[1].strip()))

    return parse


def read_span(text: str) -> tuple[Span, ...]:
    """Read ``"mon-fri 08:00-18:00"`` as one span for each kind of day.

    Days are ``mon`` to ``sun`` and ``holiday``, ranges and lists of them, ``daily`` for
    the seven weekdays and ``always`` for those and holidays.
    """
    found = _SPAN.fullmatch(text.strip())
    if found is None:
        message = f"must be days and times such as 'mon-fri 08:00-18:00', not {text!r}"
        raise ValueError(message)
    start = int(found[2]) * 60 + int(found[3])
    end = int(found[4]) * 60 + int(found[5])
    if not start < end <= MINUTES_A_DAY:
        message = (
            f"must end after it starts and by 24:00 (a night is two spans), not {text!r}"
        )
        raise ValueError(message)
    days = [day for part in found[1].split(",") for day in _days(part)]
    return tuple(Span(day, start, end) for day in dict.fromkeys(days))


def _days(word: str) -> tuple[str, ...]:
    first, _, last = word.partition("-")
    if last and first in WEEKDAYS and last in WEEKDAYS:
        start, end = WEEKDAYS.index(first), WEEKDAYS.index(last)
        if start > end:
            message = f"days run from mon to sun, not {word!r}"
            raise ValueError(message)
        return WEEKDAYS[start : end + 1]
    if last or first not in DAYS:
        known = [*DAYS, HOLIDAY]
        message = f"unknown day {word!r}{did_you_mean(first, known)}"
        raise ValueError(message)
    return DAYS[first]


def read_day(value: object) -> date:
    """Read a date: a TOML date, or text ``"2026-01-31"``."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return value
    if isinstance(value, str) and re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", value):
        try:
            return date.fromisoformat(value)
        except ValueError:
            pass
    message = f"must be a date such as 2026-01-31, not {shown(value)}"
    raise ValueError(message)


def clock(minute: int) -> str:
    """Write a minute of the day: 480 is ``08:00``."""
    return f"{minute // 60:02d}:{minute % 60:02d}"


def _example(unit: Unit) -> str:
    return {"s": "'500 min'", "bytes": "'10 GB'", "events": "'100'"}[unit]


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)
