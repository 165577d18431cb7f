"""Named places where a fault can be made to happen, to prove that a run survives it.

Effects: none, unless the environment variable ``FAULTS`` was set when the process began.
It lists ``name:action[:hit]``, comma-separated: ``FAULTS=after_claim:kill:2`` kills the
process the second time it passes ``after_claim``. A point fires at that hit only.

Actions: ``raise`` a ``FaultInjectedError``; ``kill`` (SIGKILL) or ``term`` (SIGTERM) this
process; ``sleep=S`` seconds; ``enospc`` and ``eio`` raise that ``OSError``.
"""

import errno
import os
import signal
import threading
import time
from collections import Counter
from dataclasses import dataclass

from transforms.errors import ConfigError

ACTIONS = ("raise", "kill", "term", "sleep", "enospc", "eio")


class FaultInjectedError(RuntimeError):
    """The fault that ``FAULTS`` asked for."""


@dataclass(frozen=True)
class Fault:
    """What happens at the n-th hit of one point."""

    action: str
    hit: int
    pause_s: float = 0


class FaultPlan:
    """The faults to come, and how often each point was passed."""

    def __init__(self, faults: dict[str, Fault]) -> None:
        self._faults = faults
        self._hits: Counter[str] = Counter()
        self._lock = threading.Lock()

    def pass_by(self, name: str) -> None:
        """Count this hit, and do the fault when it is the one."""
        fault = self._faults.get(name)
        if fault is None:
            return
        with self._lock:
            self._hits[name] += 1
            is_due = self._hits[name] == fault.hit
        if is_due:
            _happen(name, fault)


def fault_plan(text: str) -> FaultPlan | None:
    """Read a plan such as ``after_claim:kill:2,before_send:sleep=0.5``; empty is None.

    Raises:
        ConfigError: When an entry is not ``name:action[:hit]`` with a known action.
    """
    entries = [_entry(part) for part in text.split(",") if part.strip()]
    return FaultPlan(dict(entries)) if entries else None


def failpoint(name: str) -> None:
    """Mark a place where a fault may be made to happen; costs nothing otherwise."""
    if _PLAN is not None:
        _PLAN.pass_by(name)


def _entry(part: str) -> tuple[str, Fault]:
    name, _, rest = part.strip().partition(":")
    action, _, hit = rest.partition(":")
    action, _, pause_s = action.partition("=")
    try:
        fault = Fault(action, int(hit or 1), float(pause_s or 0))
    except ValueError:
        fault = Fault("", 1)
    if not name or fault.action not in ACTIONS:
        message = (
            f"FAULTS: {part.strip()!r} is not name:action[:hit]; "
            f"the actions are {', '.join(ACTIONS)} (sleep=SECONDS)"
        )
        raise ConfigError(message)
    return name, fault


def _happen(name: str, fault: Fault) -> None:
    match fault.action:
        case "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        case "term":
            os.kill(os.getpid(), signal.SIGTERM)
        case "sleep":
            time.sleep(fault.pause_s)
        case "enospc":
            raise OSError(errno.ENOSPC, f"no space left on device (fault at {name})")
        case "eio":
            raise OSError(errno.EIO, f"input/output error (fault at {name})")
        case _:
            message = f"fault at {name}"
            raise FaultInjectedError(message)


_PLAN = fault_plan(os.environ.get("FAULTS", ""))
