"""Workers: the loop that works the queue, in this process or in several.

Effects: the database, child processes. A worker takes one job after another; between two
jobs it looks whether it should end (SIGTERM, or ``etl queue:stop-workers``) and whether an
operator unlocked an import. Several workers are processes, not threads: SIGTERM reaches
the main thread of a process only, and the loading of records suffers from Python code
that runs beside it (docs/decisions/0011-corrections-and-workers.md).

Units: ``_s`` seconds.
"""

import logging
import multiprocessing
import os
import secrets
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess, parent_process
from typing import NoReturn

from etl.app import App
from etl.bus import Step, new_job
from etl.chains import import_command
from etl.handlers import bus_of
from etl.logs import set_up_logs
from etl.settings import Settings
from etl.stopping import STOP
from loaders.database import Transaction
from loaders.open import prepare_driver
from transforms.errors import BillingError, Stopped, StoreUnavailable

STOP_SIGNAL = "workers:stop"
"""The signal that lets every worker end after the job in hand."""

POLL_S = 1.0
"""How often an idle worker looks, and how often a busy one looks up from its jobs."""

RECONNECTS = 8
"""How often a worker waits for a database that went away, each time for longer."""

INTERRUPTED_EXIT = 130
"""Exit code after Ctrl-C, as a shell gives it."""

_log = logging.getLogger(__name__)

Tell = Callable[[Step], None]


@dataclass
class Worked:
    """What came of some work on the queue."""

    ended: Counter[str] = field(default_factory=Counter)
    failed: list[Step] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)
    """Worker processes that died, and of what."""

    def add(self, step: Step) -> None:
        """Count one job."""
        self.ended[step.status] += 1
        if step.status == "failed":
            self.failed.append(step)

    @property
    def exit_code(self) -> int:
        """1 when a job failed, 3 when a process died, else 0."""
        if self.lost:
            return BillingError.exit_code
        return 1 if self.failed else 0


def work(app: App, *, drain: bool, tell: Tell) -> None:
    """Work the queue until asked to end or, when draining, until nothing is due.

    Raises:
        Stopped: After SIGTERM; the job in hand is handed back.
        StoreUnavailable: When the database stays away.
    """
    bus = bus_of(app)
    seen = app.leases.signals(STOP_SIGNAL)
    looked_up_s = time.monotonic()
    away = 0
    while not app.stop():
        try:
            if time.monotonic() - looked_up_s >= POLL_S:
                looked_up_s = time.monotonic()
                if app.leases.signals(STOP_SIGNAL) != seen:
                    return
            step = bus.work_one(app.stop)
            if step is not None:
                tell(step)
            elif not take_up_freed(app):
                if drain:
                    return
                time.sleep(POLL_S)
            away = 0
        except StoreUnavailable as exc:
            away += 1
            if away > RECONNECTS:
                raise
            _log.warning("the database does not answer, trying again: %s", exc)
            time.sleep(min(0.25 * 2**away, 30))
    message = "stopped by SIGTERM before the next job"
    raise Stopped(message)


def take_up_freed(app: App) -> int:
    """Queue the imports that an operator unlocked by hand, or that lost their owner.

    Returns:
        How many were queued.
    """

    def follow(tx: Transaction, import_id: int, provider: str) -> None:
        job = new_job(import_command(provider, import_id))
        app.jobs.enqueue(tx, job, secrets.token_hex(8))

    return len(app.corrections_store.take_up_freed(follow))


def stop_workers(app: App) -> None:
    """Let every worker that runs now end after the job in hand."""
    app.leases.signal(STOP_SIGNAL)


# --- several processes ------------------------------------------------------------------


def work_in_processes(
    settings: Settings, count: int, *, drain: bool, verbose: int, tell: Tell
) -> list[str]:
    """Work the queue in ``count`` processes; SIGTERM ends them all.

    A process that is killed is followed by a new one, except when draining; its job is
    taken over when the lease ends.

    Returns:
        Which processes died, and of what; empty when each ended by itself.

    Raises:
        Stopped: After SIGTERM, when every process has handed its job back.
    """
    crew = _Crew(settings, drain=drain, verbose=verbose)
    with STOP.stoppable():
        try:
            for _ in range(count):
                crew.start()
            while crew.members:
                crew.listen(tell)
                if STOP.is_asked():
                    crew.terminate()
        except BaseException:
            crew.terminate()
            crew.join()
            raise
        STOP.checkpoint()
    return crew.lost


class _Crew:
    """The worker processes of one command."""

    def __init__(self, settings: Settings, *, drain: bool, verbose: int) -> None:
        self._settings = settings
        self._drain = drain
        self._verbose = verbose
        self._context = multiprocessing.get_context("spawn")
        self._is_ending = False
        self.members: dict[Connection, BaseProcess] = {}
        self.lost: list[str] = []

    def start(self) -> None:
        ours, theirs = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=_work_as_child,
            args=(_Orders(self._settings, self._verbose, is_drain=self._drain), theirs),
        )
        process.start()
        theirs.close()
        self.members[ours] = process

    def listen(self, tell: Tell) -> None:
        """Hear what the processes say; one that ended says no more."""
        for ready in wait(list(self.members), timeout=POLL_S):
            if not isinstance(ready, Connection):
                continue
            try:
                tell(ready.recv())
            except (EOFError, OSError):
                self._end(ready)

    def terminate(self) -> None:
        if not self._is_ending:
            self._is_ending = True
            for process in self.members.values():
                process.terminate()

    def join(self) -> None:
        for process in self.members.values():
            process.join()

    def _end(self, connection: Connection) -> None:
        process = self.members.pop(connection)
        process.join()
        connection.close()
        code = process.exitcode or 0
        if self._is_ending or code in (0, Stopped.exit_code):
            return
        died = f"signal {-code}" if code < 0 else f"exit code {code}"
        self.lost.append(f"worker process {process.pid} ended with {died}")
        if code < 0 and not self._drain:
            self.start()


@dataclass(frozen=True)
class _Orders:
    """What a worker process is told; plain values that travel through a pipe."""

    settings: Settings
    verbose: int
    is_drain: bool


def _work_as_child(orders: _Orders, parent: Connection) -> NoReturn:
    prepare_driver(orders.settings.database_url)
    STOP.install()
    set_up_logs(orders.verbose)
    _end_with_parent()
    code = _worked(orders, parent)
    parent.close()
    sys.stdout.flush()
    sys.stderr.flush()
    # All is closed. Taking the interpreter apart under the thread that watches the parent
    # makes extension modules complain about what they think is leaked.
    os._exit(code)


def _worked(orders: _Orders, parent: Connection) -> int:
    try:
        with App(orders.settings) as app:
            work(app, drain=orders.is_drain, tell=parent.send)
    except KeyboardInterrupt:
        return INTERRUPTED_EXIT
    except Stopped as exc:
        return exc.exit_code
    except BillingError as exc:
        _log.error("worker: %s", exc)
        return exc.exit_code
    except Exception:  # noqa: BLE001 - whatever it is, it is told before the process ends
        _log.exception("worker: this is a fault of ours")
        return BillingError.exit_code
    return 0


def _end_with_parent() -> None:
    """Stop as after SIGTERM when the parent process is gone: nobody would end us."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            wait([parent.sentinel])
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()
