"""SIGTERM: finish the batch in hand, hand the work back, exit with 143.

Effects: installs a signal handler. Inside ``stoppable()`` a first SIGTERM only raises a
flag, which long work asks for between its commits; anywhere else it stops at once.
"""

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

from transforms.errors import Stopped

MESSAGE = (
    "stopped by SIGTERM; what was committed stays, run the same command again to go on"
)


class StopSignal:
    """Whether someone asked this process to stop."""

    def __init__(self) -> None:
        """Not asked yet."""
        self._asked = False
        self._depth = 0

    def install(self) -> None:
        """Listen for SIGTERM."""
        signal.signal(signal.SIGTERM, self._on_signal)

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        was_asked, self._asked = self._asked, True
        if self._depth == 0 or was_asked:
            raise Stopped(MESSAGE)

    @contextlib.contextmanager
    def stoppable(self) -> Iterator[None]:
        """Work that asks ``checkpoint`` between its commits."""
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def is_asked(self) -> bool:
        """Whether to stop at the next good place."""
        return self._asked

    def checkpoint(self) -> None:
        """Stop here when asked to.

        Raises:
            Stopped: After a SIGTERM.
        """
        if self._asked:
            raise Stopped(MESSAGE)


STOP = StopSignal()
"""The one stop signal of this process."""
