"""The heartbeat: keeps a lease alive while its owner works.

Effects: one thread with its own database connection, and this machine's monotonic clock,
which only measures how long the lease was not renewed.

Units: ``_s`` seconds.
"""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

from etl.failpoints import failpoint
from transforms.errors import FenceLost

_log = logging.getLogger(__name__)


class Heartbeat:
    """Keeps a lease alive from a thread with its own connection."""

    def __init__(self, renew: Callable[[], None], lease_s: float, what: str) -> None:
        """Plan to renew every third of the lease.

        Args:
            renew: Extends the lease; raises ``FenceLost`` when another has it.
            lease_s: How long the lease lasts unrenewed.
            what: What is leased, for the log: ``job 7``.
        """
        self._renew = renew
        self._what = what
        self._lease_s = lease_s
        self._alive_at_s = time.monotonic()
        self._is_taken = threading.Event()
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="heartbeat", daemon=True)

    def __enter__(self) -> "Heartbeat":
        """Start beating."""
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop beating; a beat under way is waited for."""
        self._is_over.set()
        self._thread.join()

    def is_lost(self) -> bool:
        """Answer whether the lease was taken over, or may have ended unrenewed."""
        silent_s = time.monotonic() - self._alive_at_s
        return self._is_taken.is_set() or silent_s >= self._lease_s

    def _beat(self) -> None:
        while not self._is_over.wait(self._lease_s / 3):
            began_at_s = time.monotonic()
            try:
                failpoint("before_heartbeat")
                self._renew()
                failpoint("after_heartbeat")
            except FenceLost:
                self._is_taken.set()
                return
            except Exception as error:  # noqa: BLE001 - the next beat may succeed
                _log.warning("%s: heartbeat failed: %s", self._what, error)
            else:
                self._alive_at_s = began_at_s
