"""Records whose key was met before: in the same delivery, or in the database.

Pure. A record whose key is stored already is a duplicate, in conflict, or replaces the
stored one. A key alone cannot tell a duplicate from a conflict; the content can. Whose the
record is does not count as content: a number may have changed hands since.

What an earlier attempt at the same import stored is told by its place, member and line,
and by nothing else: who owns a number, or what day it is, may have changed in between.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms import cdr
from transforms.profile import Profile

DECISION: cdr.Schema = {
    "fingerprint": pl.Int64(),
    "fate": pl.String(),
    "stored_customer_id": pl.Int64(),
    "stored_call_date": cdr.INSTANT,
    "stored_import_id": pl.Int64(),
}
"""What becomes of a record of this delivery, by its key, and the record it met.

``fate``: ``duplicate``, ``conflict``, or ``supersede`` (loaded, and the stored record
becomes history).
"""

SET_ASIDE: cdr.Schema = {
    "member": pl.String(),
    "line_no": pl.Int64(),
    "reason_code": pl.String(),
    "reason": pl.String(),
    "customer_id": pl.Int64(),
    "call_date": cdr.INSTANT,
    "fingerprint": pl.Int64(),
    "cost_micros": pl.Int64(),
    "against_import_id": pl.Int64(),
}
"""A record kept beside the loaded ones because of the record it met."""


@dataclass(frozen=True)
class DeliveryOrder:
    """What a delivery's file name says of its place among the others of its account."""

    account: str | None
    period: str | None
    sequence: str | None

    def is_before(self, other: "DeliveryOrder") -> bool:
        """Whether this one comes before another by name; never when the names cannot tell.

        Number 0007 of 202610 is before 0008, and before 0001 of 202611.
        """
        if self.account != other.account or None in (self.period, other.period):
            return False
        if self.period != other.period:
            return str(self.period) < str(other.period)
        numbers = (self.sequence or "", other.sequence or "")
        return all(map(str.isdecimal, numbers)) and int(numbers[0]) < int(numbers[1])


@dataclass(frozen=True)
class Earlier:
    """The records of a delivery that an earlier attempt at its import stored.

    Attributes:
        line_nos: By member, the line numbers stored, sorted.
    """

    line_nos: Mapping[str, pl.Series]

    @classmethod
    def of(cls, places: Iterable[pl.DataFrame]) -> "Earlier":
        """Put pages of ``member`` and ``line_no`` together."""
        held: dict[str, list[pl.Series]] = {}
        for page in places:
            for (member,), rows in page.group_by("member"):
                held.setdefault(str(member), []).append(rows["line_no"])
        return cls({name: pl.concat(lines).sort() for name, lines in held.items()})

    def without(self, records: pl.DataFrame) -> pl.DataFrame:
        """Return the records that are not stored yet, in their order.

        Args:
            records: Needs ``member`` and ``line_no``.
        """
        if not self.line_nos or records.is_empty():
            return records
        return records.filter(~self._is_stored(records["member"], records["line_no"]))

    def _is_stored(self, members: pl.Series, line_nos: pl.Series) -> pl.Series:
        is_stored = pl.repeat(value=False, n=len(members), eager=True)
        for name, stored in self.line_nos.items():
            is_stored |= (members == name) & is_among(line_nos, stored)
        return is_stored


def is_among(values: pl.Series, ordered: pl.Series) -> pl.Series:
    """Tell which values are among sorted ones; quick for few values among very many."""
    if ordered.is_empty():
        return pl.repeat(value=False, n=len(values), eager=True)
    at = ordered.search_sorted(values).clip(upper_bound=len(ordered) - 1)
    return ordered.gather(at) == values


@dataclass(frozen=True)
class Decided:
    """The decisions for one chunk, and the rows that are set aside because of them."""

    decisions: pl.DataFrame
    """DECISION."""
    duplicates: pl.DataFrame
    """SET_ASIDE."""
    conflicts: pl.DataFrame
    """SET_ASIDE and ``raw``."""


FIRST_FATE: Final = ("duplicate", "supersede", "conflict")
"""Which fate goes first for a record that meets several stored ones."""


def decide(
    chunk: pl.DataFrame,
    stored: pl.DataFrame,
    profile: Profile,
    later_imports: Iterable[int] = (),
) -> Decided:
    """Compare the records of a chunk with the stored records of the same keys.

    A re-rated record that is delivered late does not replace what a later delivery said.

    Args:
        chunk: RECORD with ``member``, ``layout`` and ``raw``; owned or not.
        stored: KEY, ``import_id`` and the CONTENT of stored records.
        profile: Says for each layout whether a conflict is quarantined or supersedes.
        later_imports: Imports whose deliveries come after this one by their names.
    """
    met = stored.rename(
        {name: f"stored_{name}" for name in stored.columns if name != "fingerprint"}
    )
    pairs = chunk.join(met, on="fingerprint", how="inner", maintain_order="left")
    is_equal = pl.all_horizontal(
        pl.col(name).eq_missing(pl.col(f"stored_{name}")) for name in cdr.CONTENT
    )
    superseding = [
        one.name for one in profile.layouts if one.dedupe.conflict == "supersede"
    ]
    is_late = pl.col("stored_import_id").is_in(list(later_imports))
    fate = (
        pl.when(is_equal)
        .then(pl.lit("duplicate"))
        .when(pl.col("layout").is_in(superseding) & ~is_late)
        .then(pl.lit("supersede"))
        .otherwise(pl.lit("conflict"))
    )
    judged = _one_each(
        pairs.with_columns(_without_owner(pairs), fate=fate, is_late=is_late)
    )
    return Decided(
        decisions=judged.select(list(DECISION)),
        duplicates=_set_aside(judged, "duplicate").select(list(SET_ASIDE)),
        conflicts=_set_aside(judged, "conflict").select([*SET_ASIDE, "raw"]),
    )


def _one_each(judged: pl.DataFrame) -> pl.DataFrame:
    """Keep one fate for each record: an id used twice long ago meets two stored records."""
    order = pl.col("fate").replace_strict(
        list(FIRST_FATE), list(range(len(FIRST_FATE))), return_dtype=pl.Int64
    )
    return judged.sort(
        order, "stored_call_date", descending=[False, True], maintain_order=True
    ).unique("fingerprint", keep="first", maintain_order=True)


def _without_owner(records: pl.DataFrame) -> list[pl.Expr]:
    """The columns of an owner that records without one lack, as nulls."""
    return [
        pl.lit(None, dtype).alias(name)
        for name, dtype in cdr.KEY.items()
        if name not in records.columns
    ]


@dataclass(frozen=True)
class Aside:
    """Rows that are kept beside the loaded ones."""

    duplicates: pl.DataFrame
    """SET_ASIDE."""
    conflicts: pl.DataFrame
    """SET_ASIDE and ``raw``."""


IN_DELIVERY_REASONS = {
    "duplicate": "the same record stands earlier in this delivery",
    "conflict": "this key stands earlier in this delivery with other content",
    "superseded": "this key stands later in this delivery with other content",
}


def repeats_aside(repeats: pl.DataFrame, import_id: int) -> Aside:
    """Describe the records that repeat a key of their own delivery.

    Args:
        repeats: Spooled records with their ``fate`` (``dedupe.FATE``); owned ones have
            ``customer_id`` and ``call_date``, suspended ones do not.
        import_id: The import they belong to.
    """
    rows = repeats.filter(pl.col("fate") != "first").with_columns(
        *_without_owner(repeats),
        pl.format("{}_in_file", "fate").alias("reason_code"),
        pl.col("fate")
        .replace_strict(IN_DELIVERY_REASONS, return_dtype=pl.String)
        .alias("reason"),
        pl.lit(import_id, pl.Int64).alias("against_import_id"),
    )
    is_duplicate = pl.col("fate") == "duplicate"
    return Aside(
        duplicates=rows.filter(is_duplicate).select(list(SET_ASIDE)),
        conflicts=rows.filter(~is_duplicate).select([*SET_ASIDE, "raw"]),
    )


def going_on(records: pl.DataFrame, fates: pl.DataFrame) -> pl.DataFrame:
    """Return the records that go on, under their final fingerprints.

    Args:
        records: Spooled records with ``chunk`` and ``row``.
        fates: ``dedupe.FATE`` of those whose key is repeated.
    """
    final = fates.select("chunk", "row", "fate", pl.col("fingerprint").alias("final"))
    judged = records.select("chunk", "row", "fingerprint").join(
        final, on=["chunk", "row"], how="left", maintain_order="left"
    )
    named = records.with_columns(
        judged.select(pl.coalesce("final", "fingerprint").alias("fingerprint"))
    )
    return named.filter(judged["fate"].fill_null("first") == "first")


def replaced_keys(superseding: pl.DataFrame) -> pl.DataFrame:
    """Return the KEY of the stored records that DECISION rows replace."""
    return superseding.select(
        pl.col("stored_customer_id").alias("customer_id"),
        pl.col("stored_call_date").alias("call_date"),
        "fingerprint",
    )


def _set_aside(judged: pl.DataFrame, fate: str) -> pl.DataFrame:
    import_no = pl.col("stored_import_id").cast(pl.String)
    code, reason = {
        "duplicate": (
            pl.lit("duplicate_stored"),
            pl.format("the same record was loaded by import {}", import_no),
        ),
        "conflict": (
            pl.when("is_late")
            .then(pl.lit("superseded_stored"))
            .otherwise(pl.lit("conflict_stored")),
            pl.when("is_late")
            .then(pl.format("import {}, a later delivery, has other content", import_no))
            .otherwise(
                pl.format("import {} loaded this key with other content", import_no)
            ),
        ),
    }[fate]
    return judged.filter(pl.col("fate") == fate).with_columns(
        reason_code=code, reason=reason, against_import_id=pl.col("stored_import_id")
    )
