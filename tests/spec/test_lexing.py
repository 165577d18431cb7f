"""How a member's bytes become records: one case per rule, the outcome written out."""

from dataclasses import dataclass, replace

import polars as pl
import pytest

from transforms.errors import DeliveryRefused
from transforms.lex import Lexer, source_columns
from transforms.profile import (
    Choice,
    Control,
    Dedupe,
    Equals,
    Layout,
    Money,
    Quantity,
    SkipRule,
    Span,
    Time,
)

COMMA = Layout(
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
TAB = replace(COMMA, delimiter="\t", quote="")
SEMICOLON = replace(COMMA, delimiter=";")
BACKSLASH = replace(COMMA, escape="\\")
STRIPPED = replace(COMMA, strip_cells=True)
FIXED = replace(COMMA, type="fixed", delimiter="", quote="", header=False)
EXACT = replace(COMMA, header_match="exact", header_names=("a", "b", "c"))
NO_HEADER = replace(COMMA, header=False, header_names=("a", "b", "c"))

HEADER = "a,b,c\n"


@dataclass(frozen=True)
class Told:
    """What became of a member: values by line, rejects by line, blank lines."""

    rows: dict[int, tuple[str, ...]]
    rejected: dict[int, str]
    blank: int = 0


def lexed(
    data: str | bytes, layout: Layout = COMMA, **limits: int
) -> tuple[pl.DataFrame, pl.DataFrame, int]:
    """Read a whole member at once."""
    lexer = Lexer(layout, **limits)
    raw = data.encode() if isinstance(data, str) else data
    frames = [*lexer.feed(raw), *lexer.finish()]
    return (
        pl.concat([frame.rows for frame in frames]),
        pl.concat([frame.rejected for frame in frames]),
        sum(frame.blank for frame in frames),
    )


def told(data: str | bytes, layout: Layout = COMMA, **limits: int) -> Told:
    """Read a whole member at once and say what became of it."""
    rows, rejected, blank = lexed(data, layout, **limits)
    values = rows.select(pl.exclude("line_no", "raw") if rows.width > 2 else "raw")
    return Told(
        dict(zip(rows["line_no"].to_list(), values.rows(), strict=True)),
        dict(rejected.select("line_no", "reason_code").rows()),
        blank,
    )


def refusal(data: str | bytes, layout: Layout = COMMA, **limits: int) -> str:
    """Return why a member is refused."""
    with pytest.raises(DeliveryRefused) as caught:
        lexed(data, layout, **limits)
    return str(caught.value)


READ = [
    # values stand between delimiters, and an empty one is an empty text
    ("1,2,3\n", COMMA, {2: ("1", "2", "3")}),
    (",,\n", COMMA, {2: ("", "", "")}),
    ("1,,3\n", COMMA, {2: ("1", "", "3")}),
    # the last record needs no line end
    ("1,2,3\n4,5,6", COMMA, {2: ("1", "2", "3"), 3: ("4", "5", "6")}),
    # nothing is guessed: no types, no nulls, no comments, no blanks stripped
    ("NULL,NA,nan\n", COMMA, {2: ("NULL", "NA", "nan")}),
    ("007,1e3,true\n", COMMA, {2: ("007", "1e3", "true")}),
    ("#1,//,--\n", COMMA, {2: ("#1", "//", "--")}),
    (" 1 ,\t2,3 \n", COMMA, {2: (" 1 ", "\t2", "3 ")}),
    # a quoted value may hold the delimiter, and a doubled quote stands for one
    ('"1,5",2,3\n', COMMA, {2: ("1,5", "2", "3")}),
    ('"say ""no""",2,3\n', COMMA, {2: ('say "no"', "2", "3")}),
    ('"","""",""""""\n', COMMA, {2: ("", '"', '""')}),
    ('1,2,"3"', COMMA, {2: ("1", "2", "3")}),
    # a quoted value may hold line ends; the record has the number of its first line
    ('1,"two\nlines",3\n4,5,6\n', COMMA, {2: ("1", "two\nlines", "3"), 4: ("4", "5", "6")}),
    ('1,"\n\n",3\n4,5,6\n', COMMA, {2: ("1", "\n\n", "3"), 5: ("4", "5", "6")}),
    ('1,"x\n4,5,6\ny",3\n', COMMA, {2: ("1", "x\n4,5,6\ny", "3")}),
    ('1,"a\r\nb",3\n', COMMA, {2: ("1", "a\r\nb", "3")}),
    ('1,"a\rb",3\n', COMMA, {2: ("1", "a\rb", "3")}),
    # what the fast reader would take for a compressed file, or a mark, is data
    ("x^1,2,3\n", COMMA, {2: ("x^1", "2", "3")}),
    ("x\x01,2,3\n", COMMA, {2: ("x\x01", "2", "3")}),
    ("\ufeff1,2,3\n", COMMA, {2: ("\ufeff1", "2", "3")}),
    # other line separators of Unicode are data too
    ("1\u2028,2\u0085,3\x0b\n", COMMA, {2: ("1\u2028", "2\u0085", "3\x0b")}),
    ("é,€,😀\n", COMMA, {2: ("é", "€", "😀")}),
    # an escape, where the profile has one, stands before quote, delimiter or itself
    ('"a\\"b",2,3\n', BACKSLASH, {2: ('a"b', "2", "3")}),
    ('"a\\\\",2,3\n', BACKSLASH, {2: ("a\\", "2", "3")}),
    ("a\\,b,2,3\n", BACKSLASH, {2: ("a,b", "2", "3")}),
    ("a\\\\,2,3\n", BACKSLASH, {2: ("a\\", "2", "3")}),
    ('"C:\\new",2,3\n', BACKSLASH, {2: ("C:\\new", "2", "3")}),
    ('"1\\\n2",2,3\n', BACKSLASH, {2: ("1\\\n2", "2", "3")}),
    ("a\\b,2,3\n", COMMA, {2: ("a\\b", "2", "3")}),
    # strip_cells: blanks around values are not data, inside quotes they are
    (" 1 ,\t2\t, 3\n", STRIPPED, {2: ("1", "2", "3")}),
    ('" 1 ", "2" ,3 4\n', STRIPPED, {2: (" 1 ", "2", "3 4")}),
]


@pytest.mark.parametrize(("body", "layout", "rows"), READ)
def test_a_well_formed_record_is_read_as_it_stands(
    body: str, layout: Layout, rows: dict[int, tuple[str, ...]]
) -> None:
    assert told(HEADER + body, layout) == Told(rows, {})


def test_without_a_quote_in_the_profile_a_quote_is_a_letter() -> None:
    assert told('a\tb\tc\n"1\t2"\t""\n', TAB).rows == {2: ('"1', '2"', '""')}


def test_a_semicolon_file_keeps_its_commas() -> None:
    assert told("a;b;c\n1,5;2;3\n", SEMICOLON).rows == {2: ("1,5", "2", "3")}


REJECTED = [
    # too few and too many values
    ("1,2\n", {2: "missing_columns"}),
    ("1\n", {2: "missing_columns"}),
    ("1,2,3,4\n", {2: "extra_columns"}),
    ("1,2,3,\n", {2: "extra_columns"}),
    ('1,"2\n3"\n', {2: "missing_columns"}),
    # a quote may only open a value, close it, or be doubled inside
    ('1,2",3\n', {2: "bad_quotes"}),
    ('1,"2"x,3\n', {2: "bad_quotes"}),
    ('1,x"2",3\n', {2: "bad_quotes"}),
    ('1,"2" ,3\n', {2: "bad_quotes"}),
    ('1, "2",3\n', {2: "bad_quotes"}),
    # NUL anywhere in the record
    ("1,\0,3\n", {2: "nul"}),
    ('1,"\0",3\n', {2: "nul"}),
    ('1,"x\n\0",3\n', {2: "nul"}),
    ('1,\0",3\n', {2: "nul"}),
    # a line end of another kind than the file's first
    ("1,2,3\r\n", {2: "line_end"}),
    ("1,2\r,3\n", {2: "line_end"}),
    ('1,2,"3"\r\n', {2: "line_end"}),
    ('1,"2"\r,3\n', {2: "line_end"}),
    # a line of blanks is not a blank line
    ("  \n", {2: "missing_columns"}),
]


@pytest.mark.parametrize(("body", "rejected"), REJECTED)
def test_a_record_that_cannot_be_told_is_rejected_and_its_neighbours_are_read(
    body: str, rejected: dict[int, str]
) -> None:
    after = 2 + body.count("\n")
    assert told(f"{HEADER}{body}7,8,9\n") == Told({after: ("7", "8", "9")}, rejected)


def test_a_stray_quote_costs_its_own_line_and_not_the_lines_it_would_swallow() -> None:
    body = '1,"2,3\n4,5,6\n7,"8",9\n'
    expected = Told({3: ("4", "5", "6"), 4: ("7", "8", "9")}, {2: "bad_quotes"})
    assert told(HEADER + body) == expected


def test_a_rejected_record_says_line_reason_and_text() -> None:
    _, rejected, _ = lexed(HEADER + "1,2\n")
    assert rejected.rows() == [
        (2, "missing_columns", "2 columns where the header has 3", "1,2")
    ]


def test_the_text_of_a_rejected_record_is_kept_up_to_4096_characters() -> None:
    _, rejected, _ = lexed(HEADER + "9" * 5000 + "\n")
    assert rejected["raw"].str.len_chars().to_list() == [4096]


def test_the_text_of_a_record_is_its_lines_without_the_last_line_end() -> None:
    rows, _, _ = lexed('a,b,c\r\n1,"2\r\n3",4\r\n5,6,7\r\n')
    assert rows["raw"].to_list() == ['1,"2\r\n3",4', "5,6,7"]


def test_blank_lines_are_counted_and_are_no_records() -> None:
    assert told(HEADER + "\n1,2,3\n\r\n\n") == Told({3: ("1", "2", "3")}, {}, blank=3)


def test_a_blank_line_inside_quotes_is_data() -> None:
    assert told(HEADER + '1,"\n\n",3\n').blank == 0


def test_a_file_of_one_column_is_read() -> None:
    one = replace(NO_HEADER, header_names=("a",))
    assert told('1\n"2,5"\n\n""\n', one) == Told(
        {1: ("1",), 2: ("2,5",), 4: ("",)}, {}, blank=1
    )


LINE_ENDS = [
    # the first line end decides; CRLF and bare CR are read as well as LF
    ("a,b,c\r\n1,2,3\r\n", {2: ("1", "2", "3")}, {}),
    ("a,b,c\r1,2,3\r", {2: ("1", "2", "3")}, {}),
    ("a,b,c\r\n1,2,3", {2: ("1", "2", "3")}, {}),
    ("a,b,c\r1,2,3", {2: ("1", "2", "3")}, {}),
    # quotes at the end of a CRLF line
    ('a,b,c\r\n1,2,"3"\r\n4,5,""\r\n', {2: ("1", "2", "3"), 3: ("4", "5", "")}, {}),
    # line ends inside quotes are data of any kind
    ('a,b,c\r\n1,"x\ny",3\r\n4,5,6\r\n', {2: ("1", "x\ny", "3"), 4: ("4", "5", "6")}, {}),
    ('a,b,c\r1,"x\ny",3\r4,5,6\r', {2: ("1", "x\ny", "3"), 3: ("4", "5", "6")}, {}),
    ('a,b,c\r1,"x\r\ny",3\r4,5,6\r', {2: ("1", "x\r\ny", "3"), 4: ("4", "5", "6")}, {}),
    ('a,b,c\r1,"x\ry",3\r', {2: ("1", "x\ry", "3")}, {}),
    # one record of another kind is rejected, and only that one
    ("a,b,c\r\n1,2,3\n4,5,6\r\n", {3: ("4", "5", "6")}, {2: "line_end"}),
    ("a,b,c\r\n1,2\r,3\r\n4,5,6\r\n", {3: ("4", "5", "6")}, {2: "line_end"}),
    ("a,b,c\r\n1,2,3\r\r\n4,5,6\r\n", {3: ("4", "5", "6")}, {2: "line_end"}),
    ("a,b,c\r\n1,2,3\r", {}, {2: "line_end"}),
    ("a,b,c\r1,2,3\r\n4,5,6\r", {3: ("4", "5", "6")}, {2: "line_end"}),
    ("a,b,c\r1,2,3\n4,5,6\r7,8,9\r", {3: ("7", "8", "9")}, {2: "line_end"}),
]


@pytest.mark.parametrize(("data", "rows", "rejected"), LINE_ENDS)
def test_the_first_line_end_of_a_file_is_the_one_it_must_keep(
    data: str, rows: dict[int, tuple[str, ...]], rejected: dict[int, str]
) -> None:
    assert told(data) == Told(rows, rejected)


def test_lines_of_the_preamble_count_but_are_not_read() -> None:
    layout = replace(COMMA, preamble_lines=2)
    assert told('Report "of\n\na,b,c\n1,2,3\n', layout).rows == {4: ("1", "2", "3")}


def test_a_second_header_line_is_passed_over() -> None:
    assert told("a,b,c\nid,s,EUR\n1,2,3\n", replace(COMMA, header_lines=2)).rows == {
        3: ("1", "2", "3")
    }


def test_without_a_header_the_profile_names_the_columns() -> None:
    rows, _, _ = lexed("1,2,3\n", NO_HEADER)
    assert rows.columns == ["line_no", "raw", "c:a", "c:b", "c:c"]
    assert rows.rows() == [(1, "1,2,3", "1", "2", "3")]


def test_a_header_alone_is_a_file_of_no_records_with_its_columns() -> None:
    rows, rejected, blank = lexed(HEADER)
    assert rows.columns == ["line_no", "raw", "c:a", "c:b", "c:c"]
    assert (rows.height, rejected.height, blank) == (0, 0, 0)


def test_extra_columns_of_a_superset_header_are_kept_wherever_they_stand() -> None:
    rows, _, _ = lexed("z,c,b,a\n0,3,2,1\n")
    assert rows.select("c:a", "c:b", "c:c", "c:z").rows() == [("1", "2", "3", "0")]


def test_quoted_header_names_count_their_lines() -> None:
    rows, _, _ = lexed('"a","b","c","two\nlines"\n1,2,3,4\n')
    assert rows["line_no"].to_list() == [3]
    assert rows.columns[-1] == "c:two\nlines"


def test_strip_cells_strips_header_names() -> None:
    assert told(' a ,"b ",c\n1,2,3\n', STRIPPED).rows == {2: ("1", "2", "3")}


BAD_HEADERS = [
    # every missing and unknown name is in the one message
    ("a,x\n", COMMA, ["missing 'b', 'c'"]),
    ("a,b,x\n", EXACT, ["missing 'c'", "unknown 'x'"]),
    ("a,b,c,x\n", EXACT, ["unknown 'x'"]),
    ("b,a,c\n", EXACT, ["another order", "'a', 'b', 'c'"]),
    ("a,b,b,c\n", COMMA, ["doubled 'b'"]),
    # another case is another name, with a hint
    ("A,b,c\n", COMMA, ["missing 'a'", "'A' is written 'a' in the profile"]),
    (" a,b,c\n", COMMA, ["missing 'a'"]),
    # a header that cannot be read
    ('a,b"x,c\n', COMMA, ["line 1", "quote"]),
    ('a,"b,c\n', COMMA, ["line 1", "never closed"]),
    ("a,b,c\r", replace(COMMA, preamble_lines=1), ["no header", "line 2"]),
    ("", COMMA, ["no header"]),
    ("\n1,2,3\n", COMMA, ["missing 'b', 'a', 'c'"]),
    ("x\na,b,c\r\n", replace(COMMA, preamble_lines=1), ["line 2", "line end"]),
    (",".join(f"n{i}" for i in range(1001)), COMMA, ["1001 columns", "1000"]),
]


@pytest.mark.parametrize(("data", "layout", "words"), BAD_HEADERS)
def test_a_header_that_is_not_the_profiles_refuses_the_delivery(
    data: str, layout: Layout, words: list[str]
) -> None:
    message = refusal(data, layout)
    assert [word for word in words if word not in message] == []


def test_the_header_must_name_every_column_that_a_rule_reads() -> None:
    layout = replace(
        COMMA,
        columns={"record_id": "id", "a_number": "from"},
        time=Time(("day", "hour"), "%Y", "UTC", offset_column="off", end_columns=("end",)),
        direction=Choice(column="dir"),
        usage=Choice(column="kind"),
        quantity={"voice": Quantity("len", unit_column="unit"), "sms": Quantity(const=1)},
        money=Money("price", "EUR", unrated=Equals("rated", "U")),
        skip_rows=(SkipRule("note", equals="x"), SkipRule(Span(1, 2), equals="x")),
        control=Control(
            "total_row", Equals("id", "Total"), count_column="n", amount_column="sum"
        ),
    )
    assert source_columns(layout) == (
        *("id", "from", "day", "hour", "end", "off", "dir", "kind", "len", "unit"),
        *("price", "rated", "note", "n", "sum"),
    )


def test_the_keys_of_a_sidecar_are_no_columns_and_those_of_a_trailer_are() -> None:
    sidecar = replace(COMMA, control=Control("sidecar", count="records", amount="amount"))
    trailer = replace(COMMA, control=Control("trailer", count="records", amount="amount"))
    assert source_columns(sidecar) == ("b", "a", "c")
    assert source_columns(trailer) == ("b", "a", "c", "records", "amount")


def test_a_fixed_file_keeps_its_lines_whole() -> None:
    data = '10 head\r\n20 "a,b  \r\n\r\n20\0\r\n30\n90'
    assert told(data, FIXED) == Told(
        {1: ("10 head",), 2: ('20 "a,b  ',), 6: ("90",)},
        {4: "nul", 5: "line_end"},
        blank=1,
    )


UNDECODABLE = [
    # a bad byte refuses the file and names its offset and line
    (b"a,b,c\n1,\xff,3\n", COMMA, ["utf-8", "offset 8", "line 2"]),
    (b"a,b,c\r\n1,2,3\r\n\xc3(,2,3\r\n", COMMA, ["offset 14", "line 3"]),
    (b"a,b,c\r1,2,3\r\xff", COMMA, ["offset 12", "line 3"]),
    (b"a,b,c\n1,2,\xe2\x82", COMMA, ["ends inside a character", "offset 10", "line 2"]),
    (b"a,b,c\n\x81,2,3\n", replace(COMMA, encoding="cp1252"), ["offset 6", "line 2"]),
    (b"a,b,c\n\xe9,2,3\n", replace(COMMA, encoding="ascii"), ["ascii", "offset 6"]),
    (b"a,b,c\n\xed\xa0\x80,2,3\n", COMMA, ["offset 6"]),
    # byte order marks
    (b"\xef\xbb\xbfa,b,c\n", replace(COMMA, bom="forbid"), ["byte order mark", "forbids"]),
    (b"a,b,c\n", replace(COMMA, bom="require"), ["byte order mark", "requires"]),
    (b"", replace(COMMA, bom="require"), ["byte order mark"]),
    ("a,b,c\n".encode("utf-16"), COMMA, ["utf-16-le", "utf-8"]),
    (b"\xfe\xff" + "a,b,c\n".encode("utf-16-be"), COMMA, ["utf-16-be"]),
    ("a,b,c\n".encode("utf-32"), COMMA, ["utf-32-le"]),
    (b"\xef\xbb\xbfa,b,c\n", replace(COMMA, encoding="cp1252"), ["utf-8", "cp1252"]),
    ("a,b,c\n".encode("utf-16-le"), COMMA, ["line 1", "NUL", "UTF-16?"]),
    ("a,b,c\n".encode("utf-16-le"), replace(COMMA, encoding="utf-16"), ["utf-16-le"]),
    # two marks: the second one is part of the first name
    (b"\xef\xbb\xbf" * 2 + b"a,b,c\n", COMMA, ["missing 'a'"]),
]


@pytest.mark.parametrize(("data", "layout", "words"), UNDECODABLE)
def test_bytes_that_are_not_as_declared_refuse_the_delivery(
    data: bytes, layout: Layout, words: list[str]
) -> None:
    message = refusal(data, layout)
    assert [word for word in words if word not in message] == []


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("utf-8", b"\xef\xbb\xbfa,b,c\n\xe2\x82\xac,2,3\n"),
        ("utf-8", b"a,b,c\n\xe2\x82\xac,2,3\n"),
        ("cp1252", b"a,b,c\n\x80,2,3\n"),
        ("utf-16", "a,b,c\n€,2,3\n".encode("utf-16")),
        ("utf-16-le", "a,b,c\n€,2,3\n".encode("utf-16-le")),
        ("utf-16-be", b"\xfe\xff" + "a,b,c\n€,2,3\n".encode("utf-16-be")),
    ],
)
def test_a_declared_encoding_is_read_with_and_without_its_mark(
    encoding: str, data: bytes
) -> None:
    layout = replace(COMMA, encoding=encoding)
    assert told(data, layout).rows == {2: ("€", "2", "3")}


def test_a_utf8_file_under_a_single_byte_profile_is_refused() -> None:
    layout = replace(COMMA, encoding="cp1252", reject_if_utf8=True)
    assert "the file is UTF-8" in refusal("a,b,c\né,2,3\n", layout)
    assert told(b"a,b,c\n\xe9,2,3\n", layout).rows == {2: ("é", "2", "3")}
    assert told(b"a,b,c\n1,2,3\n", layout).rows == {2: ("1", "2", "3")}


def test_a_quote_never_closed_refuses_the_delivery_with_the_line_it_began_on() -> None:
    message = refusal(HEADER + '1,2,3\n4,"5,6\n7,8,9\n')
    assert "line 3" in message
    assert "never closed" in message


@pytest.mark.parametrize(
    "body",
    [
        "1,2," + "9" * 100,
        "1,2," + "9" * 100 + "\n",
        '1,2,"' + "9\n" * 50 + '"\n',
        '1,2,"' + "9\n" * 50,
    ],
)
def test_a_record_longer_than_the_limit_refuses_the_delivery_with_its_line(
    body: str,
) -> None:
    message = refusal(f"{HEADER}1,2,3\n{body}", max_record_chars=100)
    assert "line 3" in message
    assert "longer than 100 characters" in message


def test_a_record_of_exactly_the_limit_is_read() -> None:
    body = "1,2," + "9" * 96
    assert told(f"a,b,c\r\n{body}\r\n", max_record_chars=100).rows[2][2] == "9" * 96


def test_a_line_without_end_is_refused_long_before_the_file_ends() -> None:
    lexer = Lexer(COMMA)
    list(lexer.feed(HEADER.encode()))
    for _ in range(16):
        assert list(lexer.feed(b"9" * 65_536)) == []
    with pytest.raises(DeliveryRefused, match="line 2 is longer than 1048576"):
        list(lexer.feed(b"9" * 65_536))


def test_frames_are_cut_at_the_chunk_size_and_records_are_not() -> None:
    lexer = Lexer(COMMA, chunk_rows=4)
    data = HEADER + "1,2,3\n" * 9 + '4,"5\n5\n5\n5\n5",6\n' + "7,8,9\n" * 3
    frames = [*lexer.feed(data.encode()), *lexer.finish()]
    heights = [frame.rows.height for frame in frames]
    assert max(heights) <= 5
    assert sum(heights) == 13
    assert pl.concat([frame.rows for frame in frames])["line_no"].to_list() == [
        *range(2, 12),
        *range(16, 19),
    ]
