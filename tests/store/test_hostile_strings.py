"""Whatever a text holds, it comes back from both databases as it was, byte for byte."""

import random
from collections.abc import Iterator

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from loaders.bulk import csv_batches
from loaders.database import Database
from tests.store.statements import statements_of_tests
from transforms.cdr import Schema

SEED = 20261025
COUNT = 100_000
TEXTS: Schema = {"line_no": pl.Int64(), "raw": pl.String()}

PIECES = [
    *("NULL", "null", "\\N", "\\", "\\\\", "\\0", "\\n", "\\'", '\\"', '"', '""', '"""'),
    *("'", "''", "`", ",", ";", "\t", "\n", "\r", "\r\n", "\n\r", "\x00", "\x1a", "\x08"),
    *("\x1b[31m", "\x7f", "\x85", "\xa0", "\u2028", "\u2029", "\ufeff", "\u200b", "\u202e"),
    *(
        "é",
        "e\u0301",
        "ß",
        "ss",
        "İ",
        "ı",
        "a",
        "A",
        "Ａ",
        "😀",
        "👩\u200d👩\u200d👧",
        "\U0010ffff",
    ),
    *(" ", "  ", "\u3000", "%", "%s", "%(a)s", "%%", ":name", "?", "{}", "${jndi:x}", "$1"),
    *("--", "#", "/*", "*/", "=1+1", "+1", "-0", "@x", "1e3", "10.7", "0x10", "0000-00-00"),
    *(
        "2026-10-25 02:30:00",
        "true",
        "NaN",
        "inf",
        "\ufffd",
        "\ue000",
        "١٢٣",
        "ﬁ",
        "\u0000",
    ),
]


@pytest.fixture(autouse=True)
def _statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with statements_of_tests(monkeypatch):
        yield


def hostile_texts() -> list[str]:
    """Each piece alone, then seeded mixtures of up to six of them."""
    chance = random.Random(SEED)
    mixtures = [
        "".join(chance.choices(PIECES, k=chance.randint(0, 6)))
        for _ in range(COUNT - len(PIECES))
    ]
    return PIECES + mixtures


def rejected(texts: list[str]) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "import_id": [1] * len(texts),
            "member": ["member"] * len(texts),
            "line_no": list(range(len(texts))),
            "reason_code": ["code"] * len(texts),
            "reason": ["reason"] * len(texts),
            "raw": texts,
        }
    )


def test_a_hundred_thousand_hostile_texts_come_back_as_they_were(
    database: Database,
) -> None:
    sent = rejected(hostile_texts())
    assert sent.height == COUNT
    with database.transaction() as tx:
        tx.load("rejected_record", sent)
    with database.snapshot() as tx:
        found = tx.frame("test/texts", TEXTS)
    assert_frame_equal(found, sent.select(list(TEXTS)))


@pytest.mark.parametrize(
    "text", ["", "NULL", "\\", "\\N'", "%s", "''", "".join(PIECES)[:200]]
)
def test_a_hostile_text_that_very_many_rows_share_comes_back_as_it_was(
    database: Database, text: str
) -> None:
    sent = rejected([text] * 1500).with_columns(member=pl.lit(text))
    with database.transaction() as tx:
        tx.load("rejected_record", sent)
        found = tx.frame("test/texts", TEXTS)
    assert_frame_equal(found, sent.select(list(TEXTS)))


def test_hostile_texts_that_are_bound_come_back_as_they_were(database: Database) -> None:
    pieces = [piece[:255] for piece in PIECES]
    with database.transaction() as tx:
        for number, piece in enumerate(pieces[:20]):
            tx.execute("test/add", customer_id=number, name=piece, details=piece)
        rows = [
            {"customer_id": number, "name": piece, "details": piece}
            for number, piece in enumerate(pieces)
        ]
        tx.execute_many("test/add", rows[20:])
        found = [row["name"] for row in tx.rows("test/names")]
    assert found == pieces


def test_a_text_is_found_by_its_own_bytes_only(database: Database) -> None:
    """``a`` is not ``A``, and ``ss`` is not ``ß``."""
    alike = ["a", "A", "á", "a\u0301", "ss", "ß", "Ａ"]
    with database.transaction() as tx:
        for number, text in enumerate(alike):
            tx.execute("test/add", customer_id=number, name=text, details="{}")
        for number, text in enumerate(alike):
            found = tx.rows("test/share", name=text)
            assert [row["customer_id"] for row in found] == [number]


def test_a_very_long_text_comes_back_as_it_was(database: Database) -> None:
    long = 'é,"\n\\' * 250_000
    with database.transaction() as tx:
        tx.load("rejected_record", rejected([long, "short", long]))
        found = tx.frame("test/texts", TEXTS)
    assert found["raw"].to_list() == [long, "short", long]


@pytest.mark.parametrize("batch_rows", [1, 2, 3, 7, 1000])
def test_a_frame_is_cut_between_its_rows_wherever_texts_break_lines(
    batch_rows: int,
) -> None:
    texts = ["a\nb", "", "\n\n\n", "x", '"\n"', "\r\n", "end\n", "NULL", "long" * 500]
    frame = pl.DataFrame({"text": texts, "number": list(range(len(texts)))})
    whole = b"".join(csv_batches(frame, 10**6))
    pieces = [bytes(piece) for piece in csv_batches(frame, batch_rows)]
    assert b"".join(pieces) == whole
    assert len(pieces) == -(-len(texts) // batch_rows)
    for number, piece in enumerate(pieces):
        rows = frame.slice(number * batch_rows, batch_rows)
        assert piece == b"".join(csv_batches(rows, 10**6))
