"""Time formats: strptime directives as a strict pattern and as the parser's own format.

Pure. The column parser is more lenient than the declared format: it takes blanks and
signs before numbers, and second 60. A pattern made from the same format stands before
it, so that only what was declared passes.

Numbers may come without their leading zero, as in strptime (``3-1-2026``), except where
two numbers touch (``%Y%m%d``): there each has its full width. Years are 1000 to 2999.
"""

import re
from dataclasses import dataclass
from typing import Final

EPOCH_FORMATS: Final = ("epoch_s", "epoch_ms")

OFFSET_PATTERN: Final = r"(?:Z|[+-](?:0[0-9]|1[0-4]):?[0-5][0-9])"
"""An offset from UTC: ``Z``, ``+02:00`` or ``+0200``."""

_NUMBERS: Final = {
    "d": (r"(?:3[01]|[12][0-9]|0[1-9])", r"(?:3[01]|[12][0-9]|0?[1-9])"),
    "m": (r"(?:1[0-2]|0[1-9])", r"(?:1[0-2]|0?[1-9])"),
    "H": (r"(?:2[0-3]|[01][0-9])", r"(?:2[0-3]|[01]?[0-9])"),
    "I": (r"(?:1[0-2]|0[1-9])", r"(?:1[0-2]|0?[1-9])"),
    "M": (r"[0-5][0-9]", r"[0-5]?[0-9]"),
    "S": (r"[0-5][0-9]", r"[0-5]?[0-9]"),
    "j": (r"[0-3][0-9]{2}", r"[0-3][0-9]{2}"),
    "Y": (r"[12][0-9]{3}", r"[12][0-9]{3}"),
    "y": (r"[0-9]{2}", r"[0-9]{2}"),
}
"""For each directive: its pattern at full width, and its pattern when it stands alone."""

_NAMES: Final = {"b": r"[A-Za-z]{3}", "B": r"[A-Za-z]{3,9}", "p": r"(?:AM|PM|am|pm)"}

_TOKEN: Final = re.compile(r"%(.)|([^%])", re.DOTALL)


@dataclass(frozen=True)
class TimeFormat:
    """A declared format, ready for use on a text column.

    Attributes:
        pattern: What the text must be, whole (for the column's regular expressions).
        parser: The format of the column parser, offset excluded.
        has_offset: Whether each value ends with its own offset (``%z``).
        is_date: Whether it is a date without a time of day.
    """

    pattern: str
    parser: str
    has_offset: bool
    is_date: bool


def time_format(declared: str) -> TimeFormat:
    """Compile strptime directives.

    ``%d-%m-%Y`` takes ``03-10-2026`` and ``3-10-2026``, not ``3-10-26`` or `` 3-10-2026``.

    Raises:
        ValueError: When a directive is unknown, ``%z`` is not last, or day, month or
            year cannot be told from it. The message is for the profile's author.
    """
    body, has_offset = declared.removesuffix("%z"), declared.endswith("%z")
    tokens = _tokens(body)
    directives = [token[1] for token in tokens if token[0] == "%" and token != "%%"]
    _require_a_date(directives)
    pattern = "".join(_pattern(tokens, place) for place in range(len(tokens)))
    return TimeFormat(
        pattern=f"^{pattern}{OFFSET_PATTERN if has_offset else ''}$",
        parser=body.replace(".%f", "%.f"),
        has_offset=has_offset,
        is_date=not set(directives) & set("HIMSfp"),
    )


def _tokens(body: str) -> list[str]:
    tokens = [match.group() for match in _TOKEN.finditer(body)]
    if "".join(tokens) != body:
        message = "a single '%' ends the format"
        raise ValueError(message)
    return tokens


def _require_a_date(directives: list[str]) -> None:
    known = {*_NUMBERS, *_NAMES, "f"}
    unknown = sorted({f"%{name}" for name in directives if name not in known})
    if unknown:
        hint = " (%z must stand at the end)" if "%z" in unknown else ""
        message = f"unknown directive {', '.join(unknown)}{hint}"
        raise ValueError(message)
    found = set(directives)
    has_day = "j" in found or ("d" in found and bool(found & set("mbB")))
    if not found & {"Y", "y"} or not has_day:
        message = "needs a year, a month and a day"
        raise ValueError(message)
    if ("I" in found) != ("p" in found):
        message = "%I and %p come together"
        raise ValueError(message)


def _pattern(tokens: list[str], place: int) -> str:
    token = tokens[place]
    if token[0] != "%" or len(token) == 1:
        return re.escape(token)
    name = token[1]
    if name == "%":
        return "%"
    if name == "f":
        return _fraction(tokens, place)
    if name in _NAMES:
        return _NAMES[name]
    touches = _is_number(tokens, place - 1) or _is_number(tokens, place + 1)
    return _NUMBERS[name][0 if touches else 1]


def _is_number(tokens: list[str], place: int) -> bool:
    if not 0 <= place < len(tokens):
        return False
    token = tokens[place]
    return token.isdigit() or (token[0] == "%" and token[1:] in _NUMBERS)


def _fraction(tokens: list[str], place: int) -> str:
    if place == 0 or tokens[place - 1] != ".":
        message = "%f must follow a '.'"
        raise ValueError(message)
    return r"[0-9]{1,6}"
