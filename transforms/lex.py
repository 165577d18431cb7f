"""Lex: from the bytes of one member to TEXT frames, every column a string.

Pure. The walk of a byte: decoded strictly (``decode``), cut into physical lines, passed
over as preamble or read as header (here), and cut into columns (``chunk``).

Each physical record ends in exactly one place: ``rows``, ``rejected`` or ``blank``; or the
whole delivery is refused, naming the line. Where the bytes are cut into feeds changes
nothing but where the frames are cut.

Units: ``line_no`` counts physical lines from 1, preamble and header included.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

import polars as pl

from transforms.chunk import Block, Chunk, ChunkReader, block_of, too_long
from transforms.decode import LineEnds, TextDecoder, UndecodableError
from transforms.delimited import Fault, Grammar
from transforms.errors import DeliveryRefused
from transforms.profile import Column, Layout, text_column

PIECE_BYTES: Final = 1 << 20
CHUNK_CHARS: Final = 1 << 24
"""Text in hand is read at this size, however few lines it has."""

MAX_COLUMNS: Final = 1_000


@dataclass(frozen=True)
class Lexed:
    """What some lines of a member are.

    Attributes:
        rows: ``line_no``, ``raw``, and for delimited layouts one ``c:`` column for each
            name of the header; an empty value is ``""``, never null.
        rejected: Records that cannot be cut into columns (``cdr.REJECTED``).
        blank: How many lines held nothing but their line end.
    """

    rows: pl.DataFrame
    rejected: pl.DataFrame
    blank: int


class Lexer:
    """Reads one member, fed in pieces of any size."""

    def __init__(
        self,
        layout: Layout,
        *,
        chunk_rows: int = 100_000,
        max_record_chars: int = 1_048_576,
    ) -> None:
        """Start before the first byte of a member.

        Args:
            layout: How its profile says the member is written.
            chunk_rows: About how many lines a frame holds.
            max_record_chars: A longer record refuses the delivery.
        """
        self._layout = layout
        self._chunk_rows = chunk_rows
        self._grammar = _grammar(layout, max_record_chars)
        self._decoder = TextDecoder(
            layout.encoding, layout.bom, reject_if_utf8=layout.reject_if_utf8
        )
        self._ends = LineEnds()
        self._pending = _Pending()
        self._lines_done = 0
        self._reader: ChunkReader | None = None
        self._has_yielded = False

    def feed(self, data: bytes) -> Iterator[Lexed]:
        """Read the next bytes; take the frames before the next feed.

        Raises:
            DeliveryRefused: Naming the line that is not what the profile says.
        """
        for begin in range(0, len(data), PIECE_BYTES):
            self._decode(data[begin : begin + PIECE_BYTES])
            if self._is_chunk_ready():
                yield from self._drain(is_final=False)

    def finish(self) -> Iterator[Lexed]:
        """Read what is left; a whole member yields at least one frame.

        Raises:
            DeliveryRefused: As ``feed``; also for a quote never closed, a member without
                its header, or UTF-8 where the profile forbids it.
        """
        self._decode(b"", is_final=True)
        self._keep(self._ends.finish())
        yield from self._drain(is_final=True)
        if not self._has_yielded and self._reader is not None:
            yield _lexed(self._reader.nothing())

    def _decode(self, data: bytes, *, is_final: bool = False) -> None:
        try:
            text = self._decoder.finish() if is_final else self._decoder.feed(data)
        except UndecodableError as exc:
            lines_before = self._lines_done + self._pending.lines
            line_no = lines_before + self._ends.line_ends_before(exc.before) + 1
            message = (
                f"{exc} (line {line_no}); "
                "ask for the file again or correct the encoding in its profile"
            )
            raise DeliveryRefused(message) from exc
        self._keep(self._ends.feed(text))

    def _keep(self, text: str) -> None:
        self._pending.add(text)
        max_chars = self._grammar.max_record_chars
        if self._pending.open_chars + self._ends.held_chars > max_chars + 1:
            raise too_long(self._lines_done + self._pending.lines + 1, max_chars)

    def _is_chunk_ready(self) -> bool:
        pending = self._pending
        return pending.lines >= self._chunk_rows or pending.chars >= CHUNK_CHARS

    def _drain(self, *, is_final: bool) -> Iterator[Lexed]:
        """Read the whole lines in hand; keep a record whose end is not there yet."""
        text, rest = self._pending.take(with_open_line=is_final)
        block = block_of(text, self._ends, self._lines_done + 1, is_final=is_final)
        count = len(block.series)
        start = self._data_start(block)
        size = _even_size(count - start, self._chunk_rows)
        while self._reader is not None and start < count:
            chunk = self._reader.read(block, start, min(start + size, count))
            if chunk.after > start:
                self._has_yielded = True
                yield _lexed(chunk)
            start = chunk.after
            if chunk.is_waiting:
                break
        self._lines_done += start
        kept = [f"{line}\n" for line in block.series.slice(start).to_list()]
        self._pending.add("".join(kept) + rest)

    def _data_start(self, block: Block) -> int:
        """Pass preamble and header, once; return the index of the first data line."""
        if self._reader is not None:
            return 0
        count, preamble = len(block.series), self._layout.preamble_lines
        if count <= preamble and not block.is_final:
            return 0
        if self._layout.type == "fixed":
            self._reader = ChunkReader(self._grammar, ())
            return min(preamble, count)
        if not self._layout.header:
            self._reader = _table_reader(self._grammar, self._layout.header_names)
            return min(preamble, count)
        return self._after_header(block)

    def _after_header(self, block: Block) -> int:
        count, at = len(block.series), self._layout.preamble_lines
        if at >= count:
            message = f"no header: the file ends before line {at + 1}; is it cut off?"
            raise DeliveryRefused(message)
        record = ChunkReader(self._grammar, ()).record(block, at)
        if isinstance(record, Fault):
            hint = " (is the file UTF-16?)" if record.code == "nul" else ""
            message = f"the header in line {at + 1} cannot be read: {record.reason}{hint}"
            raise DeliveryRefused(message)
        start = record.stop + self._layout.header_lines - 1 if record else count + 1
        if record is None or (start > count and not block.is_final):
            return 0
        names = [self._ends.restore(name) for name in record.values]
        checked = header_names(names, self._layout, line_no=at + 1)
        self._reader = _table_reader(self._grammar, checked)
        return min(start, count)


class _Pending:
    """Text that waits until there is enough of it to read."""

    def __init__(self) -> None:
        self._whole: list[str] = []
        self._open: list[str] = []
        self.lines = 0
        self.chars = 0
        self.open_chars = 0

    def add(self, text: str) -> None:
        cut = text.rfind("\n") + 1
        self.lines += text.count("\n")
        self.chars += len(text)
        if cut:
            self._whole += [*self._open, text[:cut]]
            self._open, self.open_chars = [], 0
        self._open.append(text[cut:])
        self.open_chars += len(text) - cut

    def take(self, *, with_open_line: bool) -> tuple[str, str]:
        """Return the whole lines, and what follows the last of them; then hold nothing."""
        whole, rest = self._whole, self._open
        if with_open_line:
            whole, rest = whole + rest, []
        self._whole, self._open = [], []
        self.lines = self.chars = self.open_chars = 0
        return "".join(whole), "".join(rest)


def _lexed(chunk: Chunk) -> Lexed:
    return Lexed(chunk.rows, chunk.rejected, chunk.blank)


def _grammar(layout: Layout, max_record_chars: int) -> Grammar:
    """Return how a layout's lines are cut; a fixed line is one value, whatever it holds."""
    if layout.type == "fixed":
        return Grammar(delimiter="\n", max_record_chars=max_record_chars)
    return Grammar(
        delimiter=layout.delimiter,
        quote=layout.quote,
        escape=layout.escape,
        strip_cells=layout.strip_cells,
        max_record_chars=max_record_chars,
    )


def _table_reader(grammar: Grammar, names: Sequence[str]) -> ChunkReader:
    return ChunkReader(grammar, [text_column(name) for name in names])


def _even_size(count: int, chunk_rows: int) -> int:
    """Return a chunk size near ``chunk_rows`` that leaves no small last chunk."""
    chunks = max(1, round(count / chunk_rows))
    return max(1, -(-count // chunks))


def header_names(found: Sequence[str], layout: Layout, *, line_no: int) -> tuple[str, ...]:
    """Check a header against its layout and return its names.

    ``exact``: the names of the profile, in their order. ``superset``: every mapped column
    is there, wherever it stands. A name in another case is another name.

    Raises:
        DeliveryRefused: Naming every missing, unknown, doubled or misplaced name.
    """
    names = tuple(name.strip(" \t") if layout.strip_cells else name for name in found)
    is_exact = layout.header_match == "exact"
    wanted = layout.header_names if is_exact else source_columns(layout)
    faults = _header_faults(names, wanted, is_exact=is_exact)
    if faults:
        message = f"the header in line {line_no} is not the profile's: {'; '.join(faults)}"
        raise DeliveryRefused(message)
    return names


def _header_faults(
    names: Sequence[str], wanted: Sequence[str], *, is_exact: bool
) -> list[str]:
    if len(names) > MAX_COLUMNS:
        return [f"{len(names)} columns, where {MAX_COLUMNS} is the most"]
    doubled = [name for name, times in Counter(names).items() if times > 1]
    missing = [name for name in wanted if name not in names]
    unknown = [name for name in names if is_exact and name not in wanted]
    told = {"doubled": doubled, "missing": missing, "unknown": unknown}
    faults = [f"{word} {_listed(found)}" for word, found in told.items() if found]
    folded = {name.casefold(): name for name in names}
    faults += [
        f"{folded[name.casefold()]!r} is written {name!r} in the profile"
        for name in missing
        if name.casefold() in folded
    ]
    if not faults and is_exact and tuple(names) != tuple(wanted):
        faults.append(f"columns in another order, expected {_listed(wanted)}")
    return faults


def _listed(names: Iterable[str]) -> str:
    """Return names for a message, each escaped and cut to what a person can read."""
    shown = [repr(name[:60]) for name in names]
    more = f" and {len(shown) - 20} more" if len(shown) > 20 else ""
    return ", ".join(shown[:20]) + more


def source_columns(layout: Layout) -> tuple[str, ...]:
    """Return every source column that a layout's rules read, each once, in their order."""
    time, money, control = layout.time, layout.money, layout.control
    choices = [choice for choice in (layout.direction, layout.usage) if choice is not None]
    mapped: Iterable[Column] = chain(
        layout.columns.values(),
        time.columns,
        time.end_columns,
        [time.offset_column],
        (choice.column for choice in choices),
        chain.from_iterable((q.column, q.unit_column) for q in layout.quantity.values()),
        [money.column, money.unrated.column if money.unrated else ""],
        (rule.column for rule in layout.skip_rows),
        [control.detect.column if control.detect else ""],
        [control.count_column, control.amount_column],
        [control.count, control.amount] if control.kind == "trailer" else [],
    )
    return tuple(dict.fromkeys(name for name in mapped if isinstance(name, str) and name))
