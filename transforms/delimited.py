"""Delimited: the exact reading of one record, quotes and line ends included.

Pure, and the only judge of what the fast reader may not see. RFC 4180 with the profile's
delimiter and quote:

- A value may be quoted as a whole; a quote inside it is doubled (or, with ``escape``,
  written with a backslash). A quote anywhere else is a fault.
- A quoted value may hold line ends; the record then takes the physical lines it needs.
- A record with a misplaced quote ends with its first physical line, because a quote that
  should not be there says nothing about the lines after it. Any other fault takes the
  whole record.

Lines here are physical lines without their LF; in a CRLF file each still ends with CR.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from transforms.decode import Kind

FaultCode = Literal["bad_quotes", "line_end", "nul", "missing_columns", "extra_columns"]


@dataclass(frozen=True)
class Grammar:
    """How a delimited file is cut into values.

    ``quote`` empty: no quoting at all. ``escape`` empty: quotes are doubled.
    """

    delimiter: str
    quote: str = ""
    escape: str = ""
    strip_cells: bool = False
    max_record_chars: int = 1_048_576

    @property
    def blanks(self) -> str:
        """Characters that ``strip_cells`` takes off."""
        return " \t".replace(self.delimiter, "")


@dataclass(frozen=True)
class Lines:
    """Physical lines in hand, and how the file ends its lines.

    ``open_last``: the last line has no line end, because the file ends there.
    """

    texts: Sequence[str]
    kind: Kind
    open_last: bool = False

    def content_chars(self, index: int) -> int:
        """Return how many characters of a line come before its own line end."""
        text = self.texts[index]
        return len(text) - (self._has_cr_end(index) and self.kind == "CRLF")

    def is_ended_as_declared(self, index: int) -> bool:
        """Whether the line ends as the file does; a file's last line needs no end."""
        if self.kind != "CRLF" or self._is_open(index):
            return True
        return self._has_cr_end(index)

    def raw(self, start: int, stop: int) -> str:
        """Return the text of a record of these lines, without its line end."""
        last = self.texts[stop - 1][: self.content_chars(stop - 1)]
        return "\n".join([*self.texts[start : stop - 1], last])

    def _is_open(self, index: int) -> bool:
        return self.open_last and index == len(self.texts) - 1

    def _has_cr_end(self, index: int) -> bool:
        return self.texts[index].endswith("\r") and not self._is_open(index)


@dataclass(frozen=True)
class Record:
    """A record that can be told: its values, and the line after it."""

    values: tuple[str, ...]
    stop: int


@dataclass(frozen=True)
class Fault:
    """A record that is not as the profile says, and the line after it."""

    code: FaultCode
    reason: str
    stop: int


@dataclass(frozen=True)
class Unfinished:
    """A record whose end is not in sight: a quote still open, or simply too much."""

    is_too_long: bool


def read_record(
    lines: Lines, start: int, grammar: Grammar, width: int | None = None
) -> Record | Fault | Unfinished:
    """Read the record that starts on a line.

    ``a;"b;c"`` has the values ``a`` and ``b;c``; ``a;b"c`` is a fault.

    Args:
        lines: The physical lines in hand.
        start: Index of the record's first line.
        grammar: The profile's delimiter, quote and escape.
        width: How many values a record must have; None when that is not known yet.

    Returns:
        A record, a fault, or unfinished when the lines end inside a quoted value or the
        record is longer than the grammar allows.
    """
    outcome = _Scan(lines, start, grammar).record()
    if isinstance(outcome, Unfinished):
        return outcome
    return _fault(lines, start, outcome, width) or outcome


def _fault(
    lines: Lines, start: int, outcome: Record | Fault, width: int | None
) -> Fault | None:
    """Return what is wrong with a well-quoted record, the most telling fault first."""
    stop = outcome.stop
    if any("\0" in lines.texts[line] for line in range(start, stop)):
        return Fault("nul", "a NUL character in the record", stop)
    if isinstance(outcome, Fault):
        return outcome
    if not lines.is_ended_as_declared(stop - 1):
        return _line_end(lines, stop)
    found = len(outcome.values)
    if width is None or found == width:
        return None
    code: FaultCode = "missing_columns" if found < width else "extra_columns"
    return Fault(code, f"{found} columns where the header has {width}", stop)


def _line_end(lines: Lines, stop: int) -> Fault:
    reason = f"a line end of another kind than the file's {lines.kind}"
    return Fault("line_end", reason, stop)


class _Scan:
    """One pass over one record: where it is, and what it has read."""

    def __init__(self, lines: Lines, start: int, grammar: Grammar) -> None:
        self._lines = lines
        self._grammar = grammar
        self._start = start
        self._line = start
        self._pos = 0
        self._chars = 0
        self._values: list[str] = []
        self._stray_line_end = False
        self._enter(start)

    def record(self) -> Record | Fault | Unfinished:
        while not self._is_too_long():
            self._skip_blanks_before_quote()
            value = self._quoted() if self._is_at_quote() else self._unquoted()
            if value is None:
                return Unfinished(is_too_long=self._is_too_long())
            if isinstance(value, Fault):
                return value
            self._values.append(value)
            if not self._takes_delimiter():
                return self._whole()
        return Unfinished(is_too_long=True)

    def _is_too_long(self) -> bool:
        return self._chars > self._grammar.max_record_chars

    def _whole(self) -> Record | Fault:
        if self._stray_line_end:
            return _line_end(self._lines, self._line + 1)
        return Record(tuple(self._values), self._line + 1)

    def _bad_quotes(self) -> Fault:
        column = len(self._values) + 1
        reason = f"a quote where none may stand, in column {column}"
        return Fault("bad_quotes", reason, self._start + 1)

    def _enter(self, line: int) -> None:
        """Take a physical line into the record."""
        self._line = line
        self._pos = 0
        self._text = self._lines.texts[line]
        self._end = self._lines.content_chars(line)
        self._chars += self._end + (line > self._start)

    def _skip_blanks_before_quote(self) -> None:
        if not (self._grammar.strip_cells and self._grammar.quote):
            return
        pos = self._after_blanks(self._pos)
        if self._text.startswith(self._grammar.quote, pos):
            self._pos = pos

    def _after_blanks(self, pos: int) -> int:
        while pos < self._end and self._text[pos] in self._grammar.blanks:
            pos += 1
        return pos

    def _is_at_quote(self) -> bool:
        quote = self._grammar.quote
        return bool(quote) and self._text.startswith(quote, self._pos, self._end)

    def _is_at_value_end(self) -> bool:
        """Whether a closed quoted value is followed by what may follow it."""
        if self._grammar.strip_cells:
            self._pos = self._after_blanks(self._pos)
        if self._pos >= self._end:
            return True
        if self._text[self._pos] == "\r":
            self._stray_line_end = True
            self._pos = self._value_end(self._pos)
            return True
        return self._text.startswith(self._grammar.delimiter, self._pos)

    def _takes_delimiter(self) -> bool:
        if self._pos >= self._end:
            return False
        self._pos += len(self._grammar.delimiter)
        return True

    def _unquoted(self) -> str | Fault:
        begin, self._pos = self._pos, self._value_end(self._pos)
        value = self._text[begin : self._pos]
        if self._has_quote(value):
            return self._bad_quotes()
        self._stray_line_end = self._stray_line_end or "\r" in value
        if self._grammar.strip_cells:
            value = value.strip(self._grammar.blanks)
        return self._unescaped(value)

    def _value_end(self, pos: int) -> int:
        """Return where an unquoted value ends: before its delimiter, or with the line."""
        escape, delimiter = self._grammar.escape, self._grammar.delimiter
        while True:
            end = self._text.find(delimiter, pos, self._end)
            if end < 0:
                return self._end
            escapes = len(self._text[pos:end]) - len(self._text[pos:end].rstrip(escape))
            if not escape or escapes % 2 == 0:
                return end
            pos = end + len(delimiter)

    def _has_quote(self, value: str) -> bool:
        grammar = self._grammar
        if not grammar.quote:
            return False
        if grammar.escape:
            value = value.replace(grammar.escape * 2, "")
            value = value.replace(grammar.escape + grammar.quote, "")
        return grammar.quote in value

    def _unescaped(self, value: str) -> str:
        escape = self._grammar.escape
        if not escape or escape not in value:
            return value
        parts: list[str] = []
        pos = 0
        while (at := value.find(escape, pos)) >= 0:
            parts.append(value[pos:at])
            parts.append(self._escaped(value[at + 1 : at + 2]))
            pos = at + 2
        return "".join([*parts, value[pos:]])

    def _escaped(self, char: str) -> str:
        """Return what a backslash and this character stand for."""
        grammar = self._grammar
        if char and char in (grammar.quote, grammar.escape, grammar.delimiter):
            return char
        return grammar.escape + char

    def _quoted(self) -> str | Fault | None:
        """Return the value whose opening quote is here; None when it is not closed."""
        self._pos += 1
        parts: list[str] = []
        while (part := self._up_to_mark()) is not None:
            parts.append(part.text)
            if part.is_last:
                return "".join(parts) if self._is_at_value_end() else self._bad_quotes()
        return None

    def _up_to_mark(self) -> "_Part | None":
        """Read up to the next quote, escape or line end inside a quoted value."""
        begin, at = self._pos, self._next_mark()
        if at < 0:
            rest = self._text[begin:] + "\n"
            return _Part(rest) if self._takes_next_line() else None
        mark, after = self._text[at], self._text[at + 1 : at + 2]
        before = self._text[begin:at]
        if mark == self._grammar.quote and (self._grammar.escape or after != mark):
            self._pos = at + 1
            return _Part(before, is_last=True)
        self._pos = at + 2
        return _Part(before + (mark if after == mark else self._escaped(after)))

    def _takes_next_line(self) -> bool:
        if self._line + 1 >= len(self._lines.texts):
            return False
        self._enter(self._line + 1)
        return not self._is_too_long()

    def _next_mark(self) -> int:
        """Return where the next quote or escape stands on this line, or -1."""
        quote_at = self._text.find(self._grammar.quote, self._pos)
        if not self._grammar.escape:
            return quote_at
        escape_at = self._text.find(self._grammar.escape, self._pos)
        found = [at for at in (quote_at, escape_at) if at >= 0]
        return min(found, default=-1)


@dataclass(frozen=True)
class _Part:
    """A piece of a quoted value; the last one stands before the closing quote."""

    text: str
    is_last: bool = False
