"""Chunk: from physical lines to columns, the fast way where nothing can go wrong.

Pure. A line that a linear regular expression proves to be exactly N well-formed values is
given to the fast CSV reader; every other line is read by ``delimited``. Both give the same
text for the same line (``tests/property``), so which one reads a line is only speed.

Traps of the fast reader that the expression and the leading guard row keep away, each of
which loses or changes rows without an error: text that looks compressed (``x^``), a byte
order mark, single-column files, records of several lines.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import polars as pl

from transforms.cdr import REJECTED
from transforms.decode import Kind, LineEnds
from transforms.delimited import Fault, Grammar, Lines, Record, Unfinished, read_record
from transforms.errors import ContractError, DeliveryRefused

RAW_CHARS: Final = 4_096
"""How much of a rejected record is kept."""

UNSAFE: Final = r"\r\x{00}-\x{08}\x{feff}"
"""Characters that only the exact reader sees: as in a class of a regular expression."""


@dataclass(frozen=True)
class Block:
    """Whole physical lines in hand, LF taken off.

    ``first_line_no``: the file's number of the first of them. ``is_final``: the file ends
    with the last of them. ``is_open``: that last one has no line end.
    """

    series: pl.Series
    ends: LineEnds
    first_line_no: int
    is_final: bool
    is_open: bool

    @property
    def kind(self) -> Kind:
        """How the file ends its lines; a file without a line end counts as LF."""
        return self.ends.kind or "LF"

    @property
    def closed_lines(self) -> int:
        """How many lines have their line end; only the exact reader sees the other."""
        return len(self.series) - self.is_open

    @cached_property
    def lines(self) -> Lines:
        """The same lines for the exact reader."""
        return Lines(self.series.to_list(), self.kind, open_last=self.is_open)

    def line_no(self, at: int) -> int:
        """Return the file's number of the line at an index."""
        return self.first_line_no + at

    def raw(self, start: int, stop: int) -> str:
        """Return the text of a record as the file had it, without its line end."""
        return self.ends.restore(self.lines.raw(start, stop))


def block_of(text: str, ends: LineEnds, first_line_no: int, *, is_final: bool) -> Block:
    """Cut text into physical lines; only a final text may lack its last line end."""
    is_open = is_final and text != "" and not text.endswith("\n")
    lines = pl.Series("raw", [text]).str.split("\n").explode()
    whole = lines if is_open else lines.head(-1)
    return Block(whole, ends, first_line_no, is_final, is_open)


@dataclass(frozen=True)
class Chunk:
    """What some lines of a block are; ``after`` is the first line not yet told.

    ``is_waiting``: the record at ``after`` goes on beyond the block.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    blank: int
    after: int
    is_waiting: bool = False


@dataclass
class _Found:
    """What the exact reader told, in line order."""

    after: int
    records: list[tuple[int, Record]] = field(default_factory=list)
    faults: list[tuple[int, Fault]] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    is_waiting: bool = False

    def take(self, at: int, outcome: Record | Fault) -> None:
        if isinstance(outcome, Record):
            self.records.append((at, outcome))
        else:
            self.faults.append((at, outcome))
        self.taken.extend(range(at, outcome.stop))
        self.after = max(self.after, outcome.stop)


class ChunkReader:
    """Reads the lines of one layout into its columns."""

    def __init__(self, grammar: Grammar, columns: Sequence[str]) -> None:
        """Keep the columns of the frame; none for a fixed layout, which stays raw."""
        self._grammar = grammar
        self._columns = tuple(columns)
        self._schema: dict[str, pl.DataType] = {
            "line_no": pl.Int64(),
            "raw": pl.String(),
            **dict.fromkeys(self._columns, pl.String()),
        }

    def read(self, block: Block, start: int, stop: int) -> Chunk:
        """Read the records that start on the lines ``[start, stop)``.

        Raises:
            DeliveryRefused: For a record that is too long, or a quote never closed.
        """
        lines = block.series.slice(start, stop - start)
        self._check_lengths(lines, block, start)
        index = pl.int_range(start, stop, eager=True)
        is_blank = lines.is_in(["", "\r"])
        is_fast = self._is_fast(lines, block.kind) & ~is_blank
        is_fast &= index < block.closed_lines
        found = self._exact(block, start, ~(is_fast | is_blank), stop)

        is_free = ~index.is_in(found.taken) & (index < found.after)
        fast = pl.DataFrame({"line_no": index + block.first_line_no, "raw": lines})
        rows = self._fast_rows(fast.filter(is_fast & is_free), block.kind)
        return Chunk(
            rows=self._with_records(rows, block, found),
            rejected=_rejected(block, found),
            blank=int((is_blank & is_free).sum()),
            after=found.after,
            is_waiting=found.is_waiting,
        )

    def nothing(self) -> Chunk:
        """Return the frames of a member without records."""
        rows = pl.DataFrame(schema=self._schema)
        return Chunk(rows, pl.DataFrame(schema=REJECTED), blank=0, after=0)

    def _check_lengths(self, lines: pl.Series, block: Block, start: int) -> None:
        """Refuse a line that is too long, before anything walks through it."""
        limit = self._grammar.max_record_chars + (block.kind == "CRLF")
        if not (lines.str.len_bytes() > limit).any():
            return
        too_long = (lines.str.len_chars() > limit).arg_true()
        if len(too_long):
            raise self.too_long(block.line_no(start + int(too_long[0])))

    def too_long(self, line_no: int) -> DeliveryRefused:
        """Return the refusal of a record that has no end in sight."""
        return too_long(line_no, self._grammar.max_record_chars)

    def _is_fast(self, lines: pl.Series, kind: Kind) -> pl.Series:
        proof = self._proof(kind)
        if proof is None:
            return pl.repeat(value=False, n=len(lines), eager=True)
        is_fast = lines.str.contains(proof)
        if self._grammar.strip_cells and self._grammar.quote:
            is_fast &= ~lines.str.contains(self._blank_beside_quote())
        return is_fast

    def _proof(self, kind: Kind) -> str | None:
        """Return the expression of a line that the fast reader cannot misread."""
        end = r"\r$" if kind == "CRLF" else "$"
        if not self._columns:
            return r"^[^\r\x{00}]*" + end
        grammar = self._grammar
        marks = grammar.delimiter, grammar.quote or "-", grammar.escape or "-"
        if len(self._columns) < 2 or any(len(mark.encode()) != 1 for mark in marks):
            return None
        delimiter = _literal(grammar.delimiter)
        value = _value_pattern(grammar)
        more = f"(?:{delimiter}{value}){{{len(self._columns) - 1}}}"
        return f"^{value}{more}{end}"

    def _blank_beside_quote(self) -> str:
        quote = _literal(self._grammar.quote)
        blanks = "".join(_literal(blank) for blank in self._grammar.blanks)
        return f"[{blanks}]{quote}|{quote}[{blanks}]"

    def _exact(self, block: Block, start: int, is_slow: pl.Series, stop: int) -> _Found:
        """Read the slow lines one record after the other."""
        found = _Found(after=start)
        for at in (is_slow.arg_true() + start).to_list():
            if at < found.after:
                continue
            outcome = self.record(block, at)
            if outcome is None:
                found.after, found.is_waiting = at, True
                return found
            found.take(at, outcome)
        found.after = max(found.after, stop)
        return found

    def record(self, block: Block, at: int) -> Record | Fault | None:
        """Read one record exactly; None when it goes on beyond the block.

        Raises:
            DeliveryRefused: When it is too long, or the file ends inside a quote.
        """
        width = len(self._columns) or None
        outcome = read_record(block.lines, at, self._grammar, width)
        if not isinstance(outcome, Unfinished):
            return outcome
        if outcome.is_too_long:
            raise self.too_long(block.line_no(at))
        if block.is_final:
            message = (
                f"line {block.line_no(at)}: a quote opened in the record that starts here "
                "is never closed; ask for the file again"
            )
            raise DeliveryRefused(message)
        return None

    def _fast_rows(self, lines: pl.DataFrame, kind: Kind) -> pl.DataFrame:
        """Cut proven lines into columns.

        Raises:
            ContractError: When the fast reader did not return each line once.
        """
        if kind == "CRLF":
            lines = lines.with_columns(pl.col("raw").str.strip_suffix("\r"))
        if not self._columns:
            return lines
        if lines.is_empty():
            return pl.DataFrame(schema=self._schema)
        guard = pl.Series("raw", [self._grammar.delimiter * (len(self._columns) - 1)])
        text = pl.concat([guard, lines["raw"]]).str.join("\n")
        values = pl.read_csv(
            text.cast(pl.Binary).item(),
            has_header=False,
            schema=dict.fromkeys(self._columns, pl.String()),
            separator=self._grammar.delimiter,
            quote_char=self._grammar.quote or None,
            empty_string_is_null=False,
        )
        if values.height != lines.height + 1:
            made = values.height - 1
            message = f"the CSV reader made {made} rows of {lines.height} lines"
            raise ContractError(message)
        if self._grammar.strip_cells:
            values = values.select(pl.all().str.strip_chars(self._grammar.blanks))
        return lines.hstack(values.slice(1))

    def _with_records(
        self, rows: pl.DataFrame, block: Block, found: _Found
    ) -> pl.DataFrame:
        """Put what the exact reader told between the fast rows, in line order."""
        if not found.records:
            return rows
        told = [
            (block.line_no(at), block.raw(at, record.stop), *self._values(block, record))
            for at, record in found.records
        ]
        exact = pl.DataFrame(told, schema=self._schema, orient="row")
        return pl.concat([rows, exact]).sort("line_no")

    def _values(self, block: Block, record: Record) -> list[str]:
        if not self._columns:
            return []
        return [block.ends.restore(value) for value in record.values]


def too_long(line_no: int, max_chars: int) -> DeliveryRefused:
    """Return the refusal of a record longer than the limit."""
    message = (
        f"the record that starts in line {line_no} is longer than {max_chars} characters; "
        "is the file what its profile says, and is every quote closed?"
    )
    return DeliveryRefused(message)


def _rejected(block: Block, found: _Found) -> pl.DataFrame:
    faults = [
        (
            block.line_no(at),
            fault.code,
            fault.reason,
            block.raw(at, fault.stop)[:RAW_CHARS],
        )
        for at, fault in found.faults
    ]
    return pl.DataFrame(faults, schema=REJECTED, orient="row")


def _value_pattern(grammar: Grammar) -> str:
    """Return the expression of one well-formed value, quoted or not."""
    delimiter, escape = _literal(grammar.delimiter), _literal(grammar.escape)
    plain = f"[^{delimiter}{_literal(grammar.quote)}{escape}{UNSAFE}]*"
    if not grammar.quote:
        return plain
    quote = _literal(grammar.quote)
    inner = f"[^{quote}{escape}{UNSAFE}]"
    doubled = "" if grammar.escape else f"|{quote}{quote}"
    return f"(?:{plain}|{quote}(?:{inner}{doubled})*{quote})"


def _literal(text: str) -> str:
    r"""Return text for a regular expression, inside or outside a class: ``\x{3b}``."""
    return "".join(f"\\x{{{ord(char):x}}}" for char in text)
