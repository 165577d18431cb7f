"""Programs of ours as processes of their own, without the second it takes to start Python.

Effects: one server process for each test process that asks, and the children it forks. The
server imports the engine once, opens nothing and has one thread; a child then runs a
module as ``python -m`` would, with the environment and the faults it was given, and ends as
any program does. A kill of it is a real SIGKILL. What starting itself does is tested with
``subprocess``.

Run as a program it is that server: orders come as JSON over the socket it is given.
"""

import atexit
import json
import os
import pkgutil
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from itertools import count
from pathlib import Path
from runpy import run_module
from threading import Lock
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
Completed = subprocess.CompletedProcess[str]

ROOMS = ("etl", "loaders", "transforms", "sql")
NOT_IMPORTED = (".__main__", ".migrations.")
"""What is run rather than imported: by Python, by alembic."""
LATER = ("pyarrow.compute", "pyarrow.ipc", "sqlalchemy.dialects.sqlite", "tests.mariadb")
"""What a program of ours imports while it works."""
ANY_MYSQL = "mysql+mysqlconnector://nobody@127.0.0.1/nothing"
"""Opens nothing; its driver has to be loaded before pyarrow (``loaders.open``)."""
MOST_BYTES = 1 << 18
"""Of an order: mostly the environment."""


@dataclass
class Forked:
    """A child: like ``subprocess.Popen``, as far as tests need it.

    Attributes:
        pid: Its process id, which stays its own until ``wait``.
        files: Where its stdout and stderr go.
        returncode: How it ended, once it was waited for; -9 when it was killed.
    """

    pid: int
    files: tuple[Path, Path]
    returncode: int | None = None

    def send_signal(self, number: int) -> None:
        """Send a signal; a child that ended meanwhile does not mind."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send_signal(signal.SIGKILL)

    def wait(self, timeout: float) -> int:
        """Wait until it ends, and return how.

        Raises:
            subprocess.TimeoutExpired: When it does not in time; it is killed then.
        """
        if self.returncode is None:
            has_ended = _has_ended(self.pid, timeout)
            if not has_ended:
                self.kill()
            self.returncode = int(_server().ask({"reap": self.pid}))
            if not has_ended:
                raise subprocess.TimeoutExpired(str(self.pid), timeout, *self.said())
        return self.returncode

    def communicate(self, timeout: float) -> tuple[str, str]:
        """Wait until it ends, and return what it wrote to stdout and stderr."""
        self.wait(timeout)
        return self.said()

    def said(self) -> tuple[str, str]:
        """What it wrote to stdout and stderr so far."""
        out, err = (each.read_text(errors="replace") for each in self.files)
        return out, err


def start(
    *words: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    faults: str = "",
    files: tuple[Path, Path] | None = None,
) -> Forked:
    """Run a module in a child, as ``python -m`` does: ``start("etl", "audit")``.

    Args:
        words: The module and its arguments.
        env: The whole environment; without it, that of the tests.
        cwd: Where it runs.
        faults: What happens at which point, as in ``FAULTS``.
        files: Where its stdout and stderr go, when they are to be kept.
    """
    given = {**(os.environ if env is None else env), "FAULTS": faults}
    files = files or _server().new_files()
    order = {"words": words, "env": given, "cwd": str(cwd), "files": [*map(str, files)]}
    return Forked(int(_server().ask(order)), files)


def run(
    *words: str,
    env: Mapping[str, str] | None = None,
    cwd: Path = ROOT,
    faults: str = "",
    timeout: float = 120,
) -> Completed:
    """Run a module in a child and wait for its end; see :func:`start`."""
    child = start(*words, env=env, cwd=cwd, faults=faults)
    out, err = child.communicate(timeout)
    return Completed(words, child.wait(timeout), out, err)


def _has_ended(pid: int, timeout: float) -> bool:
    descriptor = os.pidfd_open(pid)
    try:
        ready, _, _ = select.select([descriptor], [], [], timeout)
        return bool(ready)
    finally:
        os.close(descriptor)


class _Server:
    """The process that forks."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="cdr-etl-forked-")
        self._numbers = count(1)
        self._asking = Lock()
        self._ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.forked", str(theirs.fileno())],
                cwd=ROOT,
                env={**os.environ, "FAULTS": ""},
                pass_fds=[theirs.fileno()],
            )
        atexit.register(self.end)

    def new_files(self) -> tuple[Path, Path]:
        """Name files for what a child writes."""
        number = next(self._numbers)
        folder = Path(self._folder.name)
        return folder / f"{number}.out", folder / f"{number}.err"

    def ask(self, order: Mapping[str, object]) -> str:
        """Give an order and return the answer."""
        with self._asking:
            self._ours.send(json.dumps(order).encode())
            answer = self._ours.recv(MOST_BYTES)
        if not answer:
            message = "the server that forks children is gone"
            raise RuntimeError(message)
        return answer.decode()

    def end(self) -> None:
        """End it, and with it whatever still lives of its children."""
        self._ours.close()
        self._process.wait()
        self._folder.cleanup()


@cache
def _server() -> _Server:
    return _Server()


# --- the server -------------------------------------------------------------------------


def _serve(orders: socket.socket) -> Mapping[str, Any] | None:
    """Fork a child for each order; returns the order in the child, and None at the end."""
    living: set[int] = set()
    while True:
        said = orders.recv(MOST_BYTES)
        if not said:
            break
        order = json.loads(said)
        if "reap" in order:
            status = os.waitpid(order["reap"], 0)[1]
            living.discard(order["reap"])
            orders.send(str(os.waitstatus_to_exitcode(status)).encode())
            continue
        pid = os.fork()
        if not pid:
            orders.close()
            return dict(order)
        living.add(pid)
        orders.send(str(pid).encode())
    for pid in living:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return None


def _prepare() -> None:
    """Import the engine, and nothing that opens a file or starts a thread."""
    from loaders.open import prepare_driver

    prepare_driver(ANY_MYSQL)
    for room in ROOMS:
        package = import_module(room)
        for each in pkgutil.walk_packages(package.__path__, f"{room}."):
            if not any(part in each.name for part in NOT_IMPORTED):
                import_module(each.name)
    for name in LATER:
        import_module(name)


def _be(order: Mapping[str, Any]) -> None:
    """Become the program that was asked for."""
    from etl import failpoints

    os.environ.clear()
    os.environ.update(order["env"])
    for number, file in enumerate(order["files"], start=1):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.chdir(order["cwd"])
    failpoints._PLAN = failpoints.fault_plan(os.environ["FAULTS"])
    name, *words = order["words"]
    sys.argv = [name, *words]
    run_module(name, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    _prepare()
    with socket.socket(fileno=int(sys.argv[1])) as listening:
        asked = _serve(listening)
    if asked is not None:
        _be(asked)
