"""How figures are written on an invoice, by language: amounts, counts, time and data.

Pure. Nothing is computed; what has more digits than are written is rounded down.

Units: ``_cents`` whole cents, ``_micros`` whole micros, ``_s`` seconds, ``_bytes`` bytes.
"""

from collections.abc import Mapping
from typing import Final, Literal

from transforms.money import MICROS

Language = Literal["nl", "en"]

UNBROKEN: Final = "\N{NO-BREAK SPACE}"

SIGNS: Final[Mapping[str, str]] = {"EUR": "€", "GBP": "£", "USD": "$"}

DECIMAL: Final[Mapping[str, str]] = {"nl": ",", "en": "."}
THOUSANDS: Final[Mapping[str, str]] = {"nl": ".", "en": ","}

BYTES_IN: Final = (("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def money(cents: int, currency: str, language: str) -> str:
    """Write an amount as its language does: 123456 is ``€ 1.234,56`` in Dutch."""
    return f"{SIGNS.get(currency, currency)} {hundredths(cents, language)}"


def exact_money(micros: int, currency: str, language: str) -> str:
    """Write an amount with as many decimals as it has, at least two."""
    units, rest = divmod(abs(micros), MICROS)
    decimals = f"{rest:06d}".rstrip("0").ljust(2, "0")
    sign = "-" if micros < 0 else ""
    amount = f"{sign}{whole(units, language)}{DECIMAL[language]}{decimals}"
    return f"{SIGNS.get(currency, currency)} {amount}"


def whole(number: int, language: str) -> str:
    """Write a whole number with its thousands set apart."""
    return f"{number:,}".replace(",", THOUSANDS[language])


def hundredths(number: int, language: str) -> str:
    """Write a number of hundredths with two decimals: 123456 is ``1.234,56``."""
    sign = "-" if number < 0 else ""
    units, rest = divmod(abs(number), 100)
    return f"{sign}{whole(units, language)}{DECIMAL[language]}{rest:02d}"


def duration_text(seconds: int) -> str:
    """Write seconds as hours, minutes and seconds: 3661 is ``1:01:01``."""
    sign = "-" if seconds < 0 else ""
    minutes, s = divmod(abs(seconds), 60)
    hours, m = divmod(minutes, 60)
    return f"{sign}{hours}:{m:02d}:{s:02d}"


def data_text(size_bytes: int, language: str) -> str:
    """Write bytes in the largest unit that fits, to two decimals, rounded down."""
    sign = "-" if size_bytes < 0 else ""
    size = abs(size_bytes)
    for unit, one in BYTES_IN:
        if size >= one:
            return f"{sign}{hundredths(size * 100 // one, language)} {unit}"
    return f"{sign}{size} B"
