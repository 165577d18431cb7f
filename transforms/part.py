"""A part of the reading: some columns of the record, what is wrong, what is flagged.

Pure. The start, the numbers, the quantity and the price of a record are read apart from
each other; each reader gives a ``Part``, and ``transforms.normalise`` puts them together.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import polars as pl


@dataclass(frozen=True)
class Fault:
    """What is wrong in each row: a code of ``transforms.reasons``, or null.

    ``evidence`` is the value the rule stumbled on.
    """

    code: pl.Series
    evidence: pl.Series


@dataclass(frozen=True)
class Part:
    """What one reader says of every record of a chunk.

    Attributes:
        columns: Columns of the record, by name; null where there is a fault.
        faults: What is wrong, the most telling first.
        flags: True where a record is flagged, by the flag's name.
    """

    columns: Mapping[str, pl.Series]
    faults: Sequence[Fault] = ()
    flags: Mapping[str, pl.Series] = field(default_factory=dict)


def fault_where(is_wrong: pl.Series, code: str, evidence: pl.Series) -> Fault:
    """Return one code wherever a test fails."""
    codes = pl.DataFrame({"is_wrong": is_wrong}).select(
        pl.when("is_wrong").then(pl.lit(code)).alias("code")
    )
    return Fault(codes["code"], evidence)


def flags_of(parts: Sequence[Part], rows: int) -> pl.Series:
    """Join the flags of each record: sorted, by comma, empty for none."""
    raised = {
        name: flag for part in parts for name, flag in part.flags.items() if flag.any()
    }
    words = [pl.when(raised[name]).then(pl.lit(name)) for name in sorted(raised)]
    if not words:
        return pl.repeat("", rows, eager=True)
    return pl.select(pl.concat_str(words, separator=",", ignore_nulls=True)).to_series()


def faults_of(parts: Sequence[Part]) -> pl.DataFrame:
    """Choose the first fault of each record: ``reason_code`` and ``evidence``."""
    faults = [fault for part in parts for fault in part.faults]
    evidence = pl.lit(None, dtype=pl.String)
    for fault in reversed(faults):
        evidence = (
            pl.when(fault.code.is_not_null()).then(fault.evidence).otherwise(evidence)
        )
    return pl.select(
        reason_code=pl.coalesce([fault.code for fault in faults]),
        evidence=evidence,
    )
