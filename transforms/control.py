"""Control: does the file hold what its own control record says it holds?

Pure. A trailer, a total row or a sidecar file states how many physical records there are
and what they add up to. Physical records are the data rows of the file, rejected and
repeated ones included; blank, skipped and repeated header lines and the control record
itself are not. One amount that cannot be read leaves the sum unproven, and a sum that is
not proven is not right.

Units: ``_micros`` are whole micros of the currency, as written (VAT included where the
file includes it). ``counted_micros`` are millionths of what the count column counts.
"""

from dataclasses import dataclass
from typing import Final

import polars as pl

from transforms.amount import read_micros
from transforms.money import MICROS, decimal_text
from transforms.profile import Control, ControlKind, Layout, money_exponent

_COUNTING: Final = 0
"""Implied decimals of a count: it is read like money without a smaller unit."""


@dataclass(frozen=True)
class Mark:
    """One control record as found: its line and the texts of its proofs."""

    line_no: int
    count: str | None
    amount: str | None


@dataclass(frozen=True)
class Tally:
    """What the physical records of a file add up to; tallies of chunks add up too."""

    records: int = 0
    amount_micros: int = 0
    unread_amounts: int = 0
    counted_micros: int = 0
    unread_counts: int = 0
    last_line_no: int = 0
    marks: tuple[Mark, ...] = ()

    def __add__(self, other: "Tally") -> "Tally":
        """Put the tally of a later chunk behind this one."""
        return Tally(
            self.records + other.records,
            self.amount_micros + other.amount_micros,
            self.unread_amounts + other.unread_amounts,
            self.counted_micros + other.counted_micros,
            self.unread_counts + other.unread_counts,
            max(self.last_line_no, other.last_line_no),
            self.marks + other.marks,
        )


@dataclass(frozen=True)
class Sidecar:
    """The control file beside a delivery, and what the delivery itself hashes to.

    Attributes:
        name: File name, for messages.
        text: Its text, or None when it was not delivered.
        sha256: Hash of the delivered file, 64 hex digits.
    """

    name: str
    text: str | None
    sha256: str


@dataclass(frozen=True)
class ControlResult:
    """Whether a file is proven whole, and what to tell."""

    kind: ControlKind
    ok: bool
    message: str


@dataclass(frozen=True)
class _Proof:
    """What a control record says, read; None where it says nothing."""

    count_micros: int | None
    amount_micros: int | None


def lost(rejected: pl.DataFrame) -> Tally:
    """Tally records that could not even be cut into columns (``cdr.REJECTED``)."""
    count = rejected.height
    last = rejected["line_no"].max()
    return Tally(
        records=count,
        unread_amounts=count,
        unread_counts=count,
        last_line_no=last if isinstance(last, int) else 0,
    )


def too_many_rejects(layout: Layout, records: int, rejected: int) -> bool:
    """Tell whether a delivery has more bad rows than its profile accepts.

    With ``max_bad_rows = 50`` and ``max_bad_pct = 1``: 50 of 100 are accepted, 51 are
    not; 100 of 10,000 are accepted, 101 are not.
    """
    return rejected * 100 > max(layout.max_bad_rows * 100, layout.max_bad_pct * records)


def reconcile(
    layout: Layout, tally: Tally, sidecar: Sidecar | None = None
) -> ControlResult:
    """Hold a tally against the control record of its file.

    Six records that add up to 0.11 against ``records=6`` and ``amount=0.11000`` are ok;
    against ``records=7`` they are not.

    Args:
        layout: Says what kind of control record there is.
        tally: Of one file (for a sidecar: of the whole delivery).
        sidecar: Needed for kind ``sidecar``.
    """
    control = layout.control
    if control.kind == "none":
        return ControlResult(
            "none", ok=True, message="the profile declares no control record"
        )
    if control.kind == "sidecar":
        faults = _sidecar_faults(layout, tally, sidecar)
    else:
        faults = _mark_faults(layout, tally)
    if faults:
        return ControlResult(control.kind, ok=False, message="; ".join(faults))
    return ControlResult(control.kind, ok=True, message=_proven(control, tally))


def _proven(control: Control, tally: Tally) -> str:
    amount = f", amount {decimal_text(tally.amount_micros)}" if _has_amount(control) else ""
    return f"{tally.records} records{amount}, as the {_spoken(control.kind)} says"


def _has_amount(control: Control) -> bool:
    return bool(control.amount or control.amount_column)


def _spoken(kind: ControlKind) -> str:
    return kind.replace("_", " ")


def _mark_faults(layout: Layout, tally: Tally) -> list[str]:
    kind = _spoken(layout.control.kind)
    if len(tally.marks) != 1:
        found = ", ".join(str(mark.line_no) for mark in tally.marks)
        lines = f" (lines {found})" if found else ""
        return [f"exactly one {kind} is needed, {len(tally.marks)} found{lines}"]
    mark = tally.marks[0]
    faults = []
    if layout.control.kind == "trailer" and mark.line_no < tally.last_line_no:
        faults.append(f"records follow the trailer of line {mark.line_no}")
    return faults + _proof_faults(layout, tally, mark)


def _sidecar_faults(layout: Layout, tally: Tally, sidecar: Sidecar | None) -> list[str]:
    control = layout.control
    if sidecar is None or sidecar.text is None:
        name = sidecar.name if sidecar else f"the file with ending {control.suffix}"
        return [f"{name} was not delivered"]
    values, faults = _key_values(sidecar)
    for key in (control.count, control.amount, control.sha256):
        if isinstance(key, str) and key and key not in values:
            faults.append(f"{sidecar.name} has no {key!r}")
    said = values.get(control.sha256, sidecar.sha256).lower()
    if control.sha256 and said != sidecar.sha256.lower():
        faults.append(f"{sidecar.name} gives another sha256 than the file has")
    mark = Mark(0, values.get(str(control.count)), values.get(str(control.amount)))
    return faults or _proof_faults(layout, tally, mark)


def _key_values(sidecar: Sidecar) -> tuple[dict[str, str], list[str]]:
    values: dict[str, str] = {}
    faults = []
    for line_no, line in enumerate((sidecar.text or "").splitlines(), start=1):
        key, equals, value = (part.strip() for part in line.partition("="))
        if not line.strip():
            continue
        if not equals or not key or key in values:
            faults.append(f"{sidecar.name} line {line_no} is not a new key=value")
        values[key] = value
    return values, faults


def _proof_faults(layout: Layout, tally: Tally, mark: Mark) -> list[str]:
    control = layout.control
    unit = control.amount_unit or layout.money.unit
    exponent = money_exponent(unit, layout.money.currency) or 0
    proof = _Proof(
        count_micros=_read(mark.count, layout, _COUNTING),
        amount_micros=_read(mark.amount, layout, exponent),
    )
    faults = []
    if control.count or control.count_column:
        faults += _count_faults(control, tally, proof.count_micros)
    if _has_amount(control):
        faults += _amount_faults(tally, proof.amount_micros)
    return faults


def _read(text: str | None, layout: Layout, exponent: int) -> int | None:
    """Read one number of a control record in the grammar of its layout."""
    if text is None:
        return None
    cell = pl.Series([text], dtype=pl.String)
    number: int | None = read_micros(cell, layout.locale, exponent)["micros"].item()
    return number


def _count_faults(control: Control, tally: Tally, said: int | None) -> list[str]:
    if said is None:
        return ["the count of the control record cannot be read"]
    if control.count_is == "rows":
        found = tally.records * MICROS
    elif tally.unread_counts:
        return [f"the counts of {tally.unread_counts} records cannot be read"]
    else:
        found = tally.counted_micros
    if found == said:
        return []
    what = "records" if control.count_is == "rows" else f"in {control.count_column!r}"
    return [f"the control record says {_count(said)}, the file has {_count(found)} {what}"]


def _count(micros: int) -> str:
    return decimal_text(micros).rstrip("0").rstrip(".")


def _amount_faults(tally: Tally, said: int | None) -> list[str]:
    if said is None:
        return ["the amount of the control record cannot be read"]
    if tally.unread_amounts:
        return [
            f"the amount is not proven: {tally.unread_amounts} records have an amount that "
            "cannot be read"
        ]
    if tally.amount_micros == said:
        return []
    return [
        f"the control record says {decimal_text(said)}, "
        f"the records add up to {decimal_text(tally.amount_micros)}"
    ]
