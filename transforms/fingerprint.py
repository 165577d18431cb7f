r"""Fingerprints: a record's dedupe key as one stable 63-bit number.

Pure (DuckDB in memory). The hash functions of frame engines change between versions, so
the fingerprint is MD5 over a text anyone can write again: provider, layout, whether the
key or its fallback speaks, then the words of that key. It is no secret and no proof, only
a name; two records of one fingerprint are compared by content before anything is decided.

The text of a key joins its parts by ``US`` (0x1f). In a free text a backslash is doubled
and ``US`` is written ``\u``; a part that is null is written ``\N``, which no text can be.
The fingerprint is the first 8 bytes of the MD5 read as a little-endian number, without
its highest bit: a signed BIGINT on every store.
"""

import hashlib
from collections.abc import Sequence
from functools import cached_property
from typing import Final, Literal

import duckdb
import polars as pl

from sql import statement

SEPARATOR: Final = "\x1f"
NULL: Final = "\\N"
MASK: Final = 2**63 - 1

FEW_TEXTS: Final = 5_000
"""Up to so many texts are hashed before DuckDB would be ready to."""

KeyKind = Literal["key", "fallback"]

FREE_TEXTS: Final = frozenset(
    {"record_id", "account", "invoice_no", "a_number", "b_number"}
    | {"file_account", "file_period", "file_seq"}
)
"""Words whose values may hold any character; the others are written by us."""


def key_texts(
    parts: pl.DataFrame, words: Sequence[str], scope: tuple[str, str], kind: KeyKind
) -> pl.Series:
    """Write the key of each record as one text.

    Record ``C1`` of account ``AC9`` is ``tmobile_calvi|usage|key|AC9|C1`` (``|`` for
    ``US``).

    Args:
        parts: A column for each word; ``occurrence`` is no part of the text.
        words: The words of the key, in the profile's order.
        scope: Provider and layout.
        kind: Which of the profile's two keys this is.
    """
    prefix = SEPARATOR.join([*(escaped(name) for name in scope), kind])
    columns = [
        _part(parts[word], is_free=word in FREE_TEXTS)
        for word in words
        if word != "occurrence"
    ]
    return pl.select(
        pl.concat_str([pl.lit(prefix), *columns], separator=SEPARATOR)
    ).to_series()


def escaped(text: str) -> str:
    """Write a free text so that it can hold no separator and no null mark."""
    return text.replace("\\", "\\\\").replace(SEPARATOR, "\\u")


def _part(values: pl.Series, *, is_free: bool) -> pl.Series:
    text = values.cast(pl.String)
    if is_free and text.str.contains_any(["\\", SEPARATOR]).any():
        text = text.str.replace_all("\\", "\\\\", literal=True)
        text = text.str.replace_all(SEPARATOR, "\\u", literal=True)
    return text.fill_null(NULL)


class Hasher:
    """Hashes key texts: many in DuckDB, few in plain Python, to the same numbers.

    Make one for a member: DuckDB is opened for the first many texts, which takes as long
    as hashing some ten thousand. Not for two threads at once.
    """

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        """DuckDB in memory: no files, no network, no second thread."""
        connection = duckdb.connect()
        connection.execute(statement("duckdb/session/threads"), {"count": 1})
        for step in ("no_progress_bar", "no_external_access", "locked"):
            connection.execute(statement(f"duckdb/session/{step}"))
        return connection

    def fingerprints(self, texts: pl.Series) -> pl.Series:
        """Hash key texts, row by row.

        Args:
            texts: Key texts without nulls.

        Returns:
            Int64 from 0 to 2**63 - 1, in the order of the texts.
        """
        if len(texts) <= FEW_TEXTS:
            return pl.Series("fingerprint", map(fingerprint_of, texts), pl.Int64)
        frame = pl.DataFrame({"key_text": texts}).with_row_index("row_no")
        self._connection.register("key_texts", frame)
        question = statement("duckdb/normalise/fingerprint")
        hashed: pl.DataFrame = self._connection.sql(question).pl()
        self._connection.unregister("key_texts")
        return hashed["fingerprint"]


def nth_fingerprints(base: pl.Series, occurrence: pl.Series) -> pl.Series:
    """Give the n-th record of an equal key a fingerprint of its own.

    The first keeps the fingerprint of the key; the n-th is the fingerprint of the text
    ``base|n``. Equal files give equal fingerprints, whatever else is delivered.

    Args:
        base: Fingerprints of the keys.
        occurrence: How many records of this key there were up to here, from 1.
    """
    frame = pl.DataFrame({"base": base, "nth": occurrence})
    texts = frame.select(
        pl.concat_str(pl.col("base", "nth").cast(pl.String), separator=SEPARATOR)
    ).to_series()
    return Hasher().fingerprints(texts).zip_with(occurrence > 1, base)


def fingerprint_of(text: str) -> int:
    """Hash one key text, in plain Python: the twin of :class:`Hasher`."""
    digest = hashlib.md5(text.encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "little") & MASK
