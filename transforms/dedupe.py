"""Dedupe: what becomes of records that share a key within one delivery.

Pure. The provider's key decides whether two records are one: with the same content the
later ones are duplicates, with other content they are in conflict, and the profile says
whether a conflict is set aside or supersedes. A layout whose key counts occurrences has
no duplicates within a delivery: its n-th equal record is the n-th.

In two steps, because a delivery may hold ten million records and few of them repeat:
``repeated`` finds the keys that occur more than once in fingerprints alone, ``settle``
decides over the full rows of only those.
"""

from collections.abc import Callable, Iterable
from typing import Final

import polars as pl

from transforms.cdr import CONTENT, Schema, require
from transforms.fingerprint import MASK, nth_fingerprints
from transforms.profile import Conflict, Dedupe

KEYS: Final[Schema] = {
    "chunk": pl.Int32(),
    "row": pl.Int32(),
    "fingerprint": pl.Int64(),
    "falls_back": pl.Boolean(),
}
"""Where an accepted record is (chunk of the delivery, row of the chunk) and its key."""

FATE: Final[Schema] = {
    "chunk": pl.Int32(),
    "row": pl.Int32(),
    "fingerprint": pl.Int64(),
    "fate": pl.String(),
}
"""What becomes of a record whose key is repeated, and its final fingerprint.

``fate``: ``first`` (goes on), ``duplicate`` (same content as the one that goes on),
``conflict`` (other content, set aside) or ``superseded`` (other content, given up for a
later one of this delivery; it counts as a conflict).
"""

PART_ROWS: Final = 1_000_000

FALLBACK_FLAG: Final = "dedupe_fallback"


def keys_of(accepted: pl.DataFrame, chunk: int) -> pl.DataFrame:
    """Return the KEYS of one accepted chunk.

    Args:
        accepted: Needs ``fingerprint`` and ``flags``, in file order.
        chunk: Its number in the delivery.
    """
    return (
        accepted.select(
            pl.lit(chunk, dtype=pl.Int32).alias("chunk"),
            pl.int_range(pl.len(), dtype=pl.Int32).alias("row"),
            "fingerprint",
            "flags",
        )
        .pipe(with_fallback)
        .drop("flags")
    )


def with_fallback(records: pl.DataFrame) -> pl.DataFrame:
    """Add ``falls_back``: whether a record is named by its layout's fallback key."""
    is_fallback = pl.col("flags").str.contains(FALLBACK_FLAG, literal=True)
    return records.with_columns(falls_back=is_fallback)


def in_order(read: Callable[[], Iterable[pl.Series]], count: int) -> pl.Series:
    """Sort the fingerprints of all chunks.

    They are sorted about a million at a time, from the lowest to the highest, so that ten
    million need the 80 MB of the answer and little more.

    Args:
        read: Reads the fingerprints of each chunk, Int64; called for each part.
        count: How many there are.
    """
    parts = 1 + count // PART_ROWS
    width = -(-(MASK + 1) // parts)
    found = [pl.Series("fingerprint", [], dtype=pl.Int64)]
    for low in range(0, MASK + 1, width):
        high = min(low + width - 1, MASK)
        of_part = [each.filter(each.is_between(low, high)) for each in read()]
        if of_part:
            found.append(pl.concat(of_part).alias("fingerprint").sort())
    return pl.concat(found)


def repeated(ordered: pl.Series) -> pl.Series:
    """Return the fingerprints that occur more than once among sorted ones, sorted."""
    found = [ordered.clear()]
    for begin in range(0, len(ordered), PART_ROWS):
        # With the last one before: it may be the same as the first.
        part = ordered.slice(max(begin - 1, 0), PART_ROWS + min(begin, 1))
        found.append(part.filter(part == part.shift(1)))
    return pl.concat(found).unique().sort()


def settle(rows: pl.DataFrame, dedupe: Dedupe) -> pl.DataFrame:
    """Decide over records of one layout whose keys are repeated.

    Of three records of one key with contents A, A, B: under ``quarantine`` they are
    first, duplicate, conflict; under ``supersede`` superseded, superseded, first, because
    the last content is the one that holds. Where the key counts occurrences all three are
    first, with fingerprints of their own.

    Args:
        rows: KEYS and ``cdr.CONTENT``, every record of each repeated key.
        dedupe: The layout's ``[layout.dedupe]``.

    Returns:
        FATE for each row, sorted by chunk and row.
    """
    require(rows, {**KEYS, **CONTENT}, "settle")
    ordered = rows.sort("fingerprint", "chunk", "row")
    is_counted = _is_counted(ordered, dedupe)
    fates = pl.concat(
        [
            _occurrences(ordered.filter(is_counted)),
            _fates(ordered.filter(~is_counted), dedupe.conflict),
        ]
    )
    return require(fates.sort("chunk", "row"), FATE, "settle fates")


def _is_counted(rows: pl.DataFrame, dedupe: Dedupe) -> pl.Series:
    """Tell the records whose own key, or fallback, counts occurrences."""
    by_key, by_fallback = "occurrence" in dedupe.key, "occurrence" in dedupe.fallback
    counted = rows.select(
        pl.when("falls_back").then(pl.lit(by_fallback)).otherwise(pl.lit(by_key))
    )
    return counted.to_series()


def _occurrences(rows: pl.DataFrame) -> pl.DataFrame:
    if rows.is_empty():
        return pl.DataFrame(schema=FATE)
    nth = rows.select(pl.int_range(1, pl.len() + 1).over("fingerprint")).to_series()
    return rows.select("chunk", "row").with_columns(
        fingerprint=nth_fingerprints(rows["fingerprint"], nth), fate=pl.lit("first")
    )


def _fates(rows: pl.DataFrame, conflict: Conflict) -> pl.DataFrame:
    """Compare each record with the one of its key that holds: the first, or the last."""
    if rows.is_empty():
        return pl.DataFrame(schema=FATE)
    place = pl.col("place")
    holding = place.last() if conflict == "supersede" else place.first()
    placed = rows.with_row_index("place")
    holds = placed.select(holding.over("fingerprint")).to_series()
    is_equal = pl.all_horizontal(
        rows[name].eq_missing(rows[name].gather(holds)) for name in CONTENT
    )
    judged = rows.select("chunk", "row", "fingerprint").with_columns(is_equal=is_equal)
    nth_equal = pl.col("is_equal").cum_sum().over("fingerprint")
    other = "superseded" if conflict == "supersede" else "conflict"
    fate = (
        pl.when(~pl.col("is_equal"))
        .then(pl.lit(other))
        .when(nth_equal == 1)
        .then(pl.lit("first"))
        .otherwise(pl.lit("duplicate"))
    )
    return judged.with_columns(fate=fate).select(list(FATE))
