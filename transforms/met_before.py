"""Records whose key was met before: in the same delivery, or in the database.

Pure. What is stored already is our own, a duplicate, a conflict, or replaced. A key alone
cannot tell a duplicate from a conflict; the content can. Whose the record is does not
count as content: a number may have changed hands since.
"""

from dataclasses import dataclass

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

``fate``: ``ours`` (an earlier attempt at this import stored it), ``duplicate``,
``conflict``, or ``supersede`` (loaded, and the stored record becomes history).
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
class Decided:
    """The decisions for one chunk, and the rows that are set aside because of them."""

    decisions: pl.DataFrame
    """DECISION."""
    duplicates: pl.DataFrame
    """SET_ASIDE."""
    conflicts: pl.DataFrame
    """SET_ASIDE and ``raw``."""


def decide(
    chunk: pl.DataFrame, stored: pl.DataFrame, profile: Profile, import_id: int
) -> Decided:
    """Compare the records of a chunk with the stored records of the same keys.

    Args:
        chunk: OWNED with ``member``, ``layout`` and ``raw``.
        stored: KEY, ``import_id`` and the CONTENT of stored records.
        profile: Says for each layout whether a conflict is quarantined or supersedes.
        import_id: The import being loaded; what it stored itself is ``ours``.
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
    fate = (
        pl.when(pl.col("stored_import_id") == import_id)
        .then(pl.lit("ours"))
        .when(is_equal)
        .then(pl.lit("duplicate"))
        .when(pl.col("layout").is_in(superseding))
        .then(pl.lit("supersede"))
        .otherwise(pl.lit("conflict"))
    )
    judged = pairs.with_columns(fate.alias("fate"))
    return Decided(
        decisions=judged.select(list(DECISION)),
        duplicates=_set_aside(judged, "duplicate").select(list(SET_ASIDE)),
        conflicts=_set_aside(judged, "conflict").select([*SET_ASIDE, "raw"]),
    )


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
    ownerless = [
        pl.lit(None, dtype).alias(name)
        for name, dtype in cdr.KEY.items()
        if name not in repeats.columns
    ]
    rows = repeats.filter(pl.col("fate") != "first").with_columns(
        *ownerless,
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
    return (
        records.join(final, on=["chunk", "row"], how="left", maintain_order="left")
        .filter(pl.col("fate").fill_null("first") == "first")
        .with_columns(pl.coalesce("final", "fingerprint").alias("fingerprint"))
        .drop("fate", "final")
    )


def replaced_keys(superseding: pl.DataFrame) -> pl.DataFrame:
    """Return the KEY of the stored records that DECISION rows replace."""
    return superseding.select(
        pl.col("stored_customer_id").alias("customer_id"),
        pl.col("stored_call_date").alias("call_date"),
        "fingerprint",
    )


def _set_aside(judged: pl.DataFrame, fate: str) -> pl.DataFrame:
    import_no = pl.col("stored_import_id").cast(pl.String)
    reason = {
        "duplicate": pl.format("the same record was loaded by import {}", import_no),
        "conflict": pl.format("import {} loaded this key with other content", import_no),
    }[fate]
    return judged.filter(pl.col("fate") == fate).with_columns(
        pl.lit(f"{fate}_stored").alias("reason_code"),
        reason.alias("reason"),
        pl.col("stored_import_id").alias("against_import_id"),
    )
