"""Children of fault runs, which may be killed or paused at any moment.

Effects: processes; log files. A child is forked (``tests.forked``), calls one function of
``tests.faults.work`` with the faults it was given, and ends. A kill is a real SIGKILL.

Which named points a child passed is written to a file as it goes, so that a run can kill
it so many seconds after it really began, and knows what it had been told was committed.

Run as a program it is such a child: what it does comes as JSON.
"""

import json
import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, quote_plus

from etl import failpoints
from etl.stopping import STOP
from tests import forked
from transforms.errors import BillingError

WORK = "tests.faults.work"
POLL_S = 0.004
PATIENCE_S = 120.0
"""No child of a fault run lives this long unless it hangs."""


class HungError(AssertionError):
    """A child did not end in time; it was killed."""


@dataclass(frozen=True)
class Ended:
    """How a child ended: its exit code (-9 when killed) and what its function returned."""

    code: int
    result: Any
    said: str


@dataclass
class Child:
    """One forked child."""

    process: forked.Forked
    files: Path
    """Where its points, its result and its output are, each with an ending of its own."""

    def signal(self, number: int) -> None:
        """Send a signal; one that ended meanwhile does not mind."""
        self.process.send_signal(number)

    def passed(self) -> list[str]:
        """Return the points it passed so far, in order."""
        points = _file(self.files, "points")
        return points.read_text().split("\n")[:-1] if points.exists() else []

    def has_ended(self) -> bool:
        """Whether it is over, killed or not."""
        stat = Path(f"/proc/{self.process.pid}/stat").read_text()
        return stat.rpartition(")")[2].split()[0] == "Z"

    def wait_for(self, point: str, patience_s: float = PATIENCE_S) -> bool:
        """Wait until it passed a point; False when it ended before.

        Raises:
            HungError: When neither happens in time.
        """
        deadline_s = time.monotonic() + patience_s
        while time.monotonic() < deadline_s:
            if point in self.passed():
                return True
            if self.has_ended():
                return point in self.passed()
            time.sleep(POLL_S)
        raise self._hung()

    def wait_s(self, seconds: float) -> None:
        """Wait so long, or until it ends."""
        deadline_s = time.monotonic() + seconds
        while time.monotonic() < deadline_s and not self.has_ended():
            time.sleep(max(0.0, min(POLL_S, deadline_s - time.monotonic())))

    def wait(self, patience_s: float = PATIENCE_S) -> Ended:
        """Wait until it ends.

        Raises:
            HungError: When it does not, in time.
        """
        try:
            code = self.process.wait(patience_s)
        except subprocess.TimeoutExpired:
            raise self._hung() from None
        result = _file(self.files, "result")
        returned = json.loads(result.read_text()) if code == 0 else None
        return Ended(code, returned, self.said())

    def said(self) -> str:
        """Return what it wrote to stdout and stderr."""
        log = _file(self.files, "log")
        return log.read_text(errors="replace") if log.exists() else ""

    def _hung(self) -> HungError:
        said = self.said()[-2000:]
        self.signal(signal.SIGKILL)
        return HungError(f"child {self.files.name} hung; it said:\n{said}")


def _file(files: Path, ending: str) -> Path:
    return files.with_name(f"{files.name}.{ending}")


class Forks:
    """Forks children; ends with the ``with``, and whatever still lives of them with it."""

    def __init__(self, folder: Path) -> None:
        """Plan children.

        Args:
            folder: Where their points, results and outputs are kept.
        """
        self.folder = folder
        self._numbers = count(1)
        self._children: list[Child] = []
        folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self) -> Self:
        """Stay until the ``with`` ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End whatever still lives."""
        for child in self._children:
            child.process.kill()
            child.process.wait(PATIENCE_S)

    def start(
        self,
        call: str,
        url: str,
        *,
        faults: str = "",
        **arguments: object,
    ) -> Child:
        """Fork a child that calls a function of ``tests.faults.work``.

        Args:
            call: The function's name.
            url: The database it works on; never in a command line.
            faults: What happens at which point, as in ``FAULTS``.
            **arguments: What the function gets besides.
        """
        files = self.folder / f"{next(self._numbers):05}-{call}"
        order = {
            "call": call,
            "faults": faults,
            "files": str(files),
            "arguments": {"url": url, **arguments},
        }
        log = _file(files, "log")
        process = forked.start("tests.faults.forks", json.dumps(order), files=(log, log))
        child = Child(process, files)
        self._children.append(child)
        return child

    def run(self, call: str, url: str, *, faults: str = "", **arguments: object) -> Ended:
        """Fork a child and wait for its end."""
        return self.start(call, url, faults=faults, **arguments).wait()


def leaks(folder: Path, *secrets: str) -> list[str]:
    """Return the files below a folder that hold one of some secrets, in any form."""
    wanted = [form for secret in secrets for form in forms_of(secret)]
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and _holds(path, wanted)
    )


def forms_of(secret: str) -> list[bytes]:
    """Return a secret as it is, as URLs write it, and as JSON and ``repr`` do."""
    texts = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    texts |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return [each.encode() for each in texts]


def _holds(path: Path, wanted: Sequence[bytes]) -> bool:
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        return any(each in content for each in wanted)
    return False


# --- as a program -------------------------------------------------------------------------


class Watch:
    """A fault plan that also writes down which points were passed."""

    def __init__(self, plan: str, points: Path) -> None:
        self._plan = failpoints.fault_plan(plan)
        self._fd = os.open(points, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def pass_by(self, name: str) -> None:
        """Write the point down, then do what is planned there."""
        os.write(self._fd, f"{name}\n".encode())
        if self._plan is not None:
            self._plan.pass_by(name)


def _work(order: Mapping[str, Any]) -> int:
    files = Path(order["files"])
    STOP.install()
    failpoints._PLAN = Watch(order["faults"], _file(files, "points"))  # type: ignore[assignment]  # a plan that watches
    try:
        result = getattr(import_module(WORK), order["call"])(**order["arguments"])
    except BillingError as exc:
        traceback.print_exc()
        return exc.exit_code
    _file(files, "result").write_text(json.dumps(result))
    return 0


if __name__ == "__main__":
    sys.exit(_work(json.loads(sys.argv[1])))
