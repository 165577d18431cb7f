"""The verdict: what an error makes of the job that met it.

Effects: none, but for a little chance in the pauses.

Units: ``_s`` seconds.
"""

import random
import re
from dataclasses import dataclass
from typing import Literal

from loaders.jobs import Job
from transforms.errors import (
    BillingError,
    FenceLost,
    LeaseHeld,
    SourceUnavailable,
    Stopped,
    StoreUnavailable,
)

LONGEST_PAUSE_S = 3600
"""No job waits longer than this for its next attempt, whatever a service asks for."""

_SECRET = re.compile(
    r"""((?:pass(?:word|wd)?|secret|token|authorization|api[-_]?key)["']?\s*[:=]\s*["']?)"""
    r"""(?:(?:bearer|basic)\s+)?[^\s"',;&]+""",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Verdict:
    """What becomes of a job that was not completed.

    Attributes:
        action: What is done to the job.
        reason: Why, for the job's message.
        exit_code: What the step's exit code is.
        pause_s: How long the job waits.
        is_unforeseen: Whether the error is a mistake of ours: it belongs in the log.
    """

    action: Literal["postpone", "retry", "fail", "hand_back"]
    reason: str
    exit_code: int
    pause_s: float = 0
    is_unforeseen: bool = False


def judged(error: BaseException, job: Job, first_pause_s: float) -> Verdict:
    """Decide what an error makes of a job.

    With a first pause of 30 s, the attempts that find a service away are 30, 60, 120 and
    240 s apart, each up to a quarter longer, and never more than an hour.
    """
    match error:
        case Stopped() | KeyboardInterrupt() | SystemExit():
            return Verdict("hand_back", "stopped", Stopped.exit_code)
        case LeaseHeld():
            return Verdict("postpone", str(error), error.exit_code, first_pause_s)
        case StoreUnavailable() | SourceUnavailable() | FenceLost():
            pause_s = _pause_s(error, job.attempts, first_pause_s)
            return Verdict("retry", str(error), error.exit_code, pause_s)
        case BillingError():
            return Verdict("fail", str(error), error.exit_code)
        case _:
            reason = f"{type(error).__name__}: {redacted(str(error))}"
            return Verdict("fail", reason, BillingError.exit_code, is_unforeseen=True)


def redacted(text: str) -> str:
    """Hide what an unforeseen error may carry: credentials, queries and long numbers.

    ``https://u:p@host/x?token=t`` becomes ``https://***@host/x?***``, ``password=x``
    becomes ``password=***``, and ``31612345678`` becomes ``*********78``.
    """
    text = re.sub(r"(?<=://)[^/\s@]+@", "***@", text)
    text = re.sub(r"(://[^\s?]+\?)\S+", r"\1***", text)
    text = re.sub(_SECRET, r"\1***", text)
    return re.sub(r"\d{6,}(?=\d\d)", lambda found: "*" * len(found[0]), text)


def _pause_s(error: BillingError, attempts: int, first_pause_s: float) -> float:
    """Double the pause each time; a service that asks for longer gets it, up to an hour."""
    asked_s = (error.retry_after_s or 0) if isinstance(error, SourceUnavailable) else 0
    doubled_s = first_pause_s * 2.0 ** (attempts - 1) * random.uniform(1, 1.25)
    return round(min(max(doubled_s, asked_s), LONGEST_PAUSE_S), 3)
