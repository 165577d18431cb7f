"""Decks and price lists: the CSV files of a rate plan, checked line by line.

Pure. A deck says where a prefix leads (``31612,NL mobile``); a price list says what a
destination costs (``Belgium,0.0950``). Every fault is noted with file and line.
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from transforms.document import Faults, did_you_mean
from transforms.rate_plan import ALWAYS, DeckLine, Increment, Unit
from transforms.rate_plan_values import read_increment, read_nanos
from transforms.reference import CsvFile, Line

DECK_COLUMNS: Final = ("prefix", "destination", "weight")
PRICE_COLUMNS: Final = ("destination", "increment", "price", "connect_fee")

FAULTS_SHOWN: Final = 20
"""Faults of one file that a message lists; it counts the rest."""

HEAVIEST: Final = 1_000_000
LONGEST: Final = 64

_NUMBER: Final = re.compile(r"\+?([1-9][0-9]{0,14})")
_WEIGHT: Final = re.compile(r"-?[0-9]{1,7}")


@dataclass(frozen=True)
class PriceLine:
    """What one destination costs, by window; None where the entry's own holds."""

    destination: str
    prices: Mapping[str, int]
    connects: Mapping[str, int]
    increment: Increment | None


def as_prefix(text: str) -> str:
    """Read a prefix: ``316`` and ``+316`` are ``+316``; ``=112`` is all of ``112``.

    Raises:
        ValueError: When it is neither digits of an international number nor ``=`` and a
            whole destination.
    """
    found = _NUMBER.fullmatch(text)
    if found:
        return f"+{found[1]}"
    if text.startswith("=") and 1 < len(text) <= LONGEST and "\0" not in text:
        return text
    message = (
        f"must be the first digits of an international number, or = and a whole"
        f" destination (=112), not {text!r}"
    )
    raise ValueError(message)


def read_decks(files: Iterable[CsvFile], faults: Faults) -> tuple[DeckLine, ...]:
    """Read every deck of a plan; of one prefix the heaviest line holds.

    Returns:
        One line for each prefix, sorted by prefix.
    """
    found: dict[str, tuple[DeckLine, str]] = {}
    for file in files:
        notes = _Notes(file, faults)
        for line in notes.whole(DECK_COLUMNS, ("prefix", "destination")):
            read = _deck_line(line, notes)
            if read is None:
                continue
            place = f"{file.name} line {line.number}"
            earlier, where = found.setdefault(read.prefix, (read, place))
            if where != place and earlier.weight == read.weight:
                notes.note(
                    line, f"prefix {read.prefix} stands in {where} with the same weight"
                )
            elif read.weight > earlier.weight:
                found[read.prefix] = (read, place)
        notes.close()
    return tuple(found[prefix][0] for prefix in sorted(found))


def _deck_line(line: Line, notes: "_Notes") -> DeckLine | None:
    destination = line.cells["destination"].strip()
    weight = line.cells.get("weight", "").strip() or "0"
    if not destination:
        notes.note(line, "destination: must not be empty")
    if not _WEIGHT.fullmatch(weight) or abs(int(weight)) > HEAVIEST:
        notes.note(line, f"weight: must be a whole number, not {weight!r}")
        return None
    try:
        prefix = as_prefix(line.cells["prefix"].strip())
    except ValueError as exc:
        notes.note(line, f"prefix: {exc}")
        return None
    return DeckLine(prefix, destination, int(weight))


def read_prices(
    file: CsvFile, unit: Unit, windows: Sequence[str], faults: Faults
) -> tuple[PriceLine, ...]:
    """Read a price list; with windows, each has its column (``price.peak``).

    Args:
        file: The list.
        unit: What the increments are in.
        windows: The windows to price; none for one price at all times.
        faults: Where faults are noted.
    """
    names = {window: _column("price", window) for window in windows or (ALWAYS,)}
    fees = {window: _column("connect_fee", window) for window in names}
    columns = dict.fromkeys((*PRICE_COLUMNS[:2], *names.values(), *fees.values()))
    notes = _Notes(file, faults)
    increment = read_increment(unit)
    lines: dict[str, PriceLine] = {}
    for line in notes.whole(tuple(columns), ("destination", *names.values())):
        destination = line.cells["destination"].strip()
        if not destination or destination in lines:
            fault = "stands twice" if destination else "must not be empty"
            notes.note(line, f"destination: {fault}")
            continue
        try:
            lines[destination] = PriceLine(
                destination,
                {window: read_nanos(line.cells[name]) for window, name in names.items()},
                {
                    window: read_nanos(line.cells[name])
                    for window, name in fees.items()
                    if line.cells.get(name)
                },
                increment(line.cells["increment"]) if line.cells.get("increment") else None,
            )
        except ValueError as exc:
            notes.note(line, str(exc))
    notes.close()
    return tuple(lines.values())


def _column(name: str, window: str) -> str:
    return f"{name}.{window}" if window else name


class _Notes:
    """Notes of one file; the first ones go into the message, the rest are counted."""

    def __init__(self, file: CsvFile, faults: Faults) -> None:
        self._file = file
        self._faults = faults
        self._count = 0

    def whole(self, known: Sequence[str], needed: Sequence[str]) -> Iterator[Line]:
        """Yield the rows that have the header's columns; none without the needed ones."""
        name, columns = self._file.name, self._file.columns
        for column in columns:
            if column not in known:
                near = did_you_mean(column, known)
                self._faults.note(f"{name} line 1", f"unknown column {column!r}{near}")
        missing = [column for column in needed if column not in columns]
        for column in missing:
            self._faults.note(f"{name} line 1", f"column {column!r} is missing")
        if not self._file.lines:
            self._faults.note(name, "holds no lines")
        for line in [] if missing else self._file.lines:
            if line.fault:
                self.note(line, line.fault)
            else:
                yield line

    def note(self, line: Line, fault: str) -> None:
        self._count += 1
        if self._count <= FAULTS_SHOWN:
            self._faults.note(f"{self._file.name} line {line.number}", fault)

    def close(self) -> None:
        if self._count > FAULTS_SHOWN:
            further = self._count - FAULTS_SHOWN
            self._faults.note(self._file.name, f"{further} further faults")
