"""Progress for people: a bar on a terminal, a line every few seconds elsewhere.

Effects: writes to stderr and reads the monotonic clock.
"""

import sys
import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

SECONDS_BETWEEN_LINES = 5.0


class Meter:
    """Counts work of one kind, such as records read or loaded."""

    def __init__(self, label: str, total: int | None = None) -> None:
        """Nothing is shown before the first ``add``."""
        self._label = label
        self._total = total
        self._done = 0
        self._started = time.monotonic()
        self._spoken = self._started
        self._bar: Progress | None = None
        if sys.stderr.isatty():
            self._bar = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeElapsedColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._task = self._bar.add_task(label, total=total)

    def __enter__(self) -> Self:
        """Start the bar where there is one."""
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()

    def add(self, count: int) -> None:
        """Say that so much more is done."""
        self._done += count
        if self._bar is not None:
            self._bar.update(self._task, completed=self._done)
            return
        now = time.monotonic()
        if now - self._spoken >= SECONDS_BETWEEN_LINES:
            self._spoken = now
            of_total = f" of {self._total:,}" if self._total else ""
            rate = self._done / (now - self._started)
            sys.stderr.write(f"{self._label}: {self._done:,}{of_total} ({rate:,.0f}/s)\n")
