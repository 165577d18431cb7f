"""Invoices in a night: who was kept back and why, and documents that are not there yet.

Effects: reads the database and the storage folder, writes documents. The JSON of an
invoice is written after its other documents: where it is, all of them are. So a night that
was killed between numbers and documents is told apart from one that was not.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final

from etl.app import App
from etl.documents.writing import Format, usual_formats
from etl.invoicing import Run
from loaders.nights import invoices_since
from transforms.invoice import Invoice

LOOK_BACK_S: Final = 7 * 24 * 60 * 60
"""How long ago an invoice may have been issued whose documents are still looked for."""

LAST_WRITTEN: Final[Format] = "json"

WAITING: Final = ("blocked", "changed", "credited")
"""What becomes of a cycle that waits for a person, or for another run."""

DATA_TO_MEND: Final = frozenset({"unrated", "suspended"})
"""Gates that only say of records what the night says of them anyway."""


@dataclass(frozen=True)
class KeptBack:
    """A cycle that is due and was not invoiced, with the reasons."""

    customer_id: int
    cycle_start_date: date
    status: str
    codes: tuple[str, ...]
    reasons: tuple[str, ...]

    @property
    def is_fault(self) -> bool:
        """Whether more is wrong than records without a price or an owner."""
        return self.status != "credited" and not set(self.codes) <= DATA_TO_MEND


@dataclass(frozen=True)
class Documents:
    """How many invoices were written as files, and what could not be, by format."""

    invoices: int
    missing: tuple[str, ...]


def kept_back(run: Run) -> tuple[KeptBack, ...]:
    """Return every cycle that waits for a person, or for another run."""
    return tuple(
        KeptBack(
            each.customer_id,
            each.start,
            each.status,
            tuple(gate.code for gate in each.gates if gate.is_blocking),
            tuple(gate.message for gate in each.gates if gate.is_blocking),
        )
        for each in run.outcomes
        if each.status in WAITING
    )


def warnings(run: Run) -> tuple[str, ...]:
    """Return what should be looked at beside invoices that were issued all the same."""
    notes = run.notes if run.invoices else ()
    return (
        *notes,
        *(
            f"customer {each.customer_id}, cycle {each.start}: {gate.message}"
            for each in run.outcomes
            if each.is_new
            for gate in each.gates
        ),
    )


def unwritten(app: App, since_s: int, fresh: Mapping[str, Invoice]) -> Iterator[Invoice]:
    """Yield the invoices issued since a moment whose documents are not all there.

    Args:
        app: The application.
        since_s: From when on, by the database's clock.
        fresh: Invoices at hand, by number; the others are read.
    """
    written: dict[int, set[str]] = {}
    for each in invoices_since(app.database, since_s):
        if each.year not in written:
            folder = app.settings.storage / "invoices" / str(each.year)
            written[each.year] = _numbers(folder)
        if each.number in written[each.year]:
            continue
        invoice = fresh.get(each.number) or app.invoices.find(each.number)
        if invoice is not None:
            yield invoice


def write_documents(
    app: App, invoices: Iterator[Invoice], go_on: Callable[[], None]
) -> Documents:
    """Write every format there is of these invoices.

    Args:
        app: The application.
        invoices: What to write.
        go_on: Called after each; raises when this run may not go on.
    """
    formats = sorted(usual_formats(), key=lambda each: each == LAST_WRITTEN)
    written = app.documents.write_all(invoices, formats, progress=lambda _: go_on())
    missing = (
        f"{each.number}: no {ending}: {why}"
        for each in written
        for ending, why in each.missing.items()
    )
    return Documents(len(written), tuple(missing))


def _numbers(folder: Path) -> set[str]:
    return {path.stem for path in folder.glob(f"*.{LAST_WRITTEN}")}
