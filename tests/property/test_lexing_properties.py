"""What holds for every member, however it is written, broken or cut into feeds."""

import csv
import io
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.errors import DeliveryRefused
from transforms.lex import Lexer
from transforms.profile import Choice, Dedupe, Layout, Money, Quantity, Time

LAYOUT = Layout(
    name="calls",
    type="delimited",
    encoding="utf-8",
    time=Time(columns=("a",), format="%Y", timezone="UTC"),
    columns={"record_id": "b"},
    usage=Choice(const="voice"),
    quantity={"voice": Quantity(column="c", unit="s")},
    money=Money(column="c", unit="EUR"),
    dedupe=Dedupe(key=("record_id",)),
    quote='"',
)
LAYOUTS = st.sampled_from(
    [
        LAYOUT,
        replace(LAYOUT, delimiter=";", strip_cells=True),
        replace(LAYOUT, delimiter="\t", quote=""),
        replace(LAYOUT, escape="\\"),
        replace(LAYOUT, type="fixed"),
    ]
)
AWKWARD = st.sampled_from(
    ["", '"', '""', ",", ";", "\t", "\r", "\n", "\r\n", " ", "\0", "\\", "x", "€", "\ufeff"]
)
CODES = {"bad_quotes", "line_end", "nul", "missing_columns", "extra_columns"}
CELLS = st.one_of(
    st.lists(AWKWARD, max_size=5).map("".join), st.text(max_size=8), st.just("x^")
)


Quoting = Literal[0, 1, 2, 3]


@dataclass(frozen=True)
class Outcome:
    """Everything a member became, or why it was refused."""

    rows: tuple[tuple[object, ...], ...] = ()
    rejected: tuple[tuple[object, ...], ...] = ()
    blank: int = 0
    refused: str = ""


def read(
    data: bytes, layout: Layout, cuts: tuple[int, ...] = (), rows: int = 100
) -> Outcome:
    """Lex a member fed in pieces cut at these places."""
    lexer = Lexer(layout, chunk_rows=rows, max_record_chars=400)
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    pieces = [data[start:stop] for start, stop in pairwise(edges)]
    try:
        frames = [frame for piece in pieces for frame in lexer.feed(piece)]
        frames += lexer.finish()
    except DeliveryRefused as exc:
        return Outcome(refused=str(exc))
    return Outcome(
        tuple(pl.concat([frame.rows for frame in frames]).rows()),
        tuple(pl.concat([frame.rejected for frame in frames]).rows()),
        sum(frame.blank for frame in frames),
    )


def written(records: list[list[str]], line_end: str, *, quoting: Quoting) -> bytes:
    """Write a CSV as the standard library does."""
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator=line_end, quoting=quoting).writerows(
        [["a", "b", "c"], *records]
    )
    return text.getvalue().encode()


RECORDS = st.lists(
    st.lists(
        CELLS.map(lambda cell: cell.replace("\0", "").encode("utf-8", "ignore").decode()),
        min_size=3,
        max_size=3,
    ),
    max_size=12,
)


@given(
    RECORDS,
    # Under LF the standard library leaves a bare CR unquoted, which RFC 4180 does not.
    st.sampled_from(
        [("\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_ALL), ("\r\n", csv.QUOTE_MINIMAL)]
    ),
    st.lists(st.integers(0, 500), max_size=4),
)
@settings(max_examples=200, deadline=None)
def test_what_was_written_as_csv_is_read_back_to_the_letter(
    records: list[list[str]], style: tuple[str, Quoting], cuts: list[int]
) -> None:
    line_end, quoting = style
    data = written(records, line_end, quoting=quoting)
    outcome = read(data, LAYOUT, tuple(cuts), rows=3)
    assert outcome.refused == ""
    assert outcome.rejected == ()
    assert [list(row[2:]) for row in outcome.rows] == records


@st.composite
def broken_members(draw: st.DrawFn) -> bytes:
    """A well-formed member with some awkward pieces put in or characters taken out."""
    layout_mark = draw(st.sampled_from([",", ";", "\t"]))
    line_end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    cells = st.sampled_from(["1", "2,5", '"q"', '"a""b"', '"x\ny"', "", " z ", "\\"])
    rows = draw(st.lists(st.lists(cells, min_size=2, max_size=4), max_size=8))
    lines = [["a", "b", "c"], *rows]
    text = "".join(layout_mark.join(line) + line_end for line in lines)
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(6, len(text) + 6))
        text = text[:at] + draw(AWKWARD) + text[at + draw(st.integers(0, 1)) :]
    return text.encode()


@given(broken_members(), LAYOUTS, st.lists(st.integers(0, 500), max_size=6))
@settings(max_examples=200, deadline=None)
def test_where_the_bytes_are_cut_changes_nothing(
    data: bytes, layout: Layout, cuts: list[int]
) -> None:
    whole = read(data, layout)
    assert read(data, layout, tuple(cuts), rows=2) == whole
    assert read(data, layout, tuple(range(len(data))), rows=1) == whole


@given(broken_members(), LAYOUTS)
@settings(max_examples=200, deadline=None)
def test_every_line_of_a_broken_member_is_in_one_place_or_the_member_is_refused(
    data: bytes, layout: Layout
) -> None:
    outcome = read(data, layout)
    if outcome.refused:
        assert "line" in outcome.refused
        return
    numbers = [row[0] for row in (*outcome.rows, *outcome.rejected)]
    assert len(numbers) == len(set(numbers))
    spans = [str(row[1]) for row in outcome.rows] + [str(r[3]) for r in outcome.rejected]
    kind = line_end_of(data)
    lines = sum(1 + span.count(kind) for span in spans) + outcome.blank
    header = 0 if layout.type == "fixed" else 1
    assert lines == physical_lines(data, kind) - header


def line_end_of(data: bytes) -> str:
    """Return what ends the physical lines of a member: the LF of CRLF, else itself."""
    text = data.decode()
    lf, cr = text.find("\n"), text.find("\r")
    if cr < 0 or 0 <= lf < cr or lf == cr + 1:
        return "\n"
    return "\r"


def physical_lines(data: bytes, kind: str) -> int:
    """Count lines as an editor does: a last line without an end counts too."""
    text = data.decode()
    if kind == "\r":
        text = text.replace("\r\n", "\r")
    return text.count(kind) + (not text.endswith(kind))


@given(broken_members(), LAYOUTS, st.binary(min_size=1, max_size=3), st.integers(0, 200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_at_any_place_are_read_rejected_or_refused_by_name(
    data: bytes, layout: Layout, noise: bytes, at: int
) -> None:
    outcome = read(data[:at] + noise + data[at:], layout)
    assert {code for _, code, *_ in outcome.rejected} <= CODES


@given(broken_members(), LAYOUTS)
@settings(max_examples=200, deadline=None)
def test_the_fast_reader_and_the_exact_reader_agree(data: bytes, layout: Layout) -> None:
    """A delimiter of two bytes is never given to the fast reader."""
    wide = replace(layout, delimiter="¦") if layout.type == "delimited" else layout
    mark = layout.delimiter.encode()
    exact = read(data.replace(mark, "¦".encode()), wide)
    fast = read(data, layout)
    assert len(exact.rows) == len(fast.rows)
    assert [
        tuple(str(value).replace("¦", layout.delimiter) for value in row[2:])
        for row in exact.rows
    ] == [tuple(str(value) for value in row[2:]) for row in fast.rows]
