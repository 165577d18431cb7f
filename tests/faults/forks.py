"""A process that forks children, which may be killed or paused at any moment.

Effects: one server process per ``Forks``, and the children it forks; log files. Importing
polars, DuckDB and the driver takes longer than most of what a fault run disturbs, so one
process imports them once, opens nothing, and forks a child for each piece of work. A child
calls one function of ``tests.faults.work``, with the faults it was given, and ends; a kill
of it is a real SIGKILL.

Which named points a child passed is written to a file as it goes, so that a run can kill
it so many seconds after it really began, and knows what it had been told was committed.

Run as a program it is that server: orders come as JSON lines, answers go back as such.
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
from typing import Any, NoReturn, Self
from urllib.parse import quote, quote_plus

ROOT = Path(__file__).resolve().parents[2]
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

    forks: "Forks"
    pid: int
    files: Path
    """Where its points, its result and its output are, each with an ending of its own."""

    def signal(self, number: int) -> None:
        """Send a signal; one that ended meanwhile does not mind."""
        os.kill(self.pid, number)  # not reaped before ``wait``, so the id is still its own

    def passed(self) -> list[str]:
        """Return the points it passed so far, in order."""
        points = _file(self.files, "points")
        return points.read_text().split("\n")[:-1] if points.exists() else []

    def has_ended(self) -> bool:
        """Whether it is over, killed or not."""
        stat = Path(f"/proc/{self.pid}/stat").read_text()
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
        deadline_s = time.monotonic() + patience_s
        while not self.has_ended():
            if time.monotonic() > deadline_s:
                raise self._hung()
            time.sleep(POLL_S)
        code = self.forks.reap(self.pid)
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
    """A server that forks children; ends with the ``with``."""

    def __init__(self, url: str, folder: Path) -> None:
        """Start the server.

        Args:
            url: A database of the kind its children work on, to load its driver.
            folder: Where their points, results and outputs are kept.
        """
        self.folder = folder
        self._numbers = count(1)
        folder.mkdir(parents=True, exist_ok=True)
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.forks"],
            cwd=ROOT,
            env={**os.environ, "FAULTS": ""},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ask({"url": url})

    def __enter__(self) -> Self:
        """Stay until the ``with`` ends."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the server and whatever still lives of its children."""
        for stream in (self._server.stdin, self._server.stdout):
            if stream is not None:
                stream.close()
        self._server.wait()

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
        return Child(self, int(self._ask(order)), files)

    def run(self, call: str, url: str, *, faults: str = "", **arguments: object) -> Ended:
        """Fork a child and wait for its end."""
        return self.start(call, url, faults=faults, **arguments).wait()

    def reap(self, pid: int) -> int:
        """Return the exit code of a child that ended."""
        return int(self._ask({"reap": pid}))

    def _ask(self, order: Mapping[str, object]) -> str:
        if self._server.stdin is None or self._server.stdout is None:
            raise RuntimeError
        self._server.stdin.write(json.dumps(order) + "\n")
        self._server.stdin.flush()
        answer = self._server.stdout.readline()
        if not answer:
            message = "the server that forks children is gone"
            raise RuntimeError(message)
        return answer


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


# --- the server -------------------------------------------------------------------------


class Watch:
    """A fault plan that also writes down which points were passed."""

    def __init__(self, plan: str, points: Path) -> None:
        from etl import failpoints

        self._plan = failpoints.fault_plan(plan)
        self._fd = os.open(points, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def pass_by(self, name: str) -> None:
        """Write the point down, then do what is planned there."""
        os.write(self._fd, f"{name}\n".encode())
        if self._plan is not None:
            self._plan.pass_by(name)


def _serve() -> None:
    from loaders.open import prepare_driver

    living: set[int] = set()
    try:
        for line in sys.stdin:
            order = json.loads(line)
            if "reap" in order:
                code = os.waitstatus_to_exitcode(os.waitpid(order["reap"], 0)[1])
                living.discard(order["reap"])
                _answer(code)
            elif "call" in order:
                pid = os.fork()
                if not pid:
                    _be_a_child(order)
                living.add(pid)
                _answer(pid)
            else:
                prepare_driver(order["url"])
                import_module(WORK)
                _answer(0)
    finally:
        for pid in living:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _answer(value: int) -> None:
    sys.stdout.write(f"{value}\n")
    sys.stdout.flush()


def _be_a_child(order: Mapping[str, Any]) -> NoReturn:
    from etl import failpoints
    from etl.stopping import STOP
    from transforms.errors import BillingError

    files = Path(order["files"])
    log = os.open(_file(files, "log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for number, fd in enumerate((nothing, log, log)):
        os.dup2(fd, number)
    code = 0
    try:
        STOP.install()
        failpoints._PLAN = Watch(order["faults"], _file(files, "points"))  # type: ignore[assignment]  # a plan that watches
        result = getattr(import_module(WORK), order["call"])(**order["arguments"])
        _file(files, "result").write_text(json.dumps(result))
    except SystemExit as exc:
        code = int(exc.code or 0)
    except BillingError as exc:
        traceback.print_exc()
        code = exc.exit_code
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent
        traceback.print_exc()
        code = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    _serve()
