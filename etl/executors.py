"""Executors: where work runs that can be shared out. One seam for all of it.

Effects: threads, child processes, a connection to a cluster. What is named in a word::

    serial              here, one task after the other
    threads:4           four threads of this process
    processes:4         four processes of this machine
    dask://host:8786    the workers of a Dask cluster (extra ``cluster``)

A task is a top-level function over plain values. It may be done more than once, because a
worker that dies is replaced and its task is done again: so a task computes, and whoever
asked for it writes (docs/decisions/0020-work-on-other-machines.md).

Units: ``_s`` seconds.
"""

import multiprocessing
import os
import pickle
import re
import signal
import threading
import traceback
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import (
    CancelledError,
    Executor,
    Future,
    ThreadPoolExecutor,
    wait,
)
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from importlib.util import find_spec
from multiprocessing import connection as pipes
from multiprocessing.connection import Connection
from multiprocessing.process import parent_process
from typing import Any, Final, NoReturn, ParamSpec, TypeVar, cast

from transforms.document import did_you_mean
from transforms.errors import BillingError, ConfigError, WorkerLost

SERIAL: Final = "serial"
SPECS: Final = (SERIAL, "threads:N", "processes:N", "dask://HOST:PORT")
MOST_WORKERS: Final = 256

MOST_DEATHS: Final = 3
"""How many workers may die over one task before it is given up."""

CONNECT_S: Final = 10
LOOK_S: Final = 5.0
"""How often a cluster that does not answer is looked at."""
MOST_LOOKS: Final = 12
"""How often a cluster without a worker is looked at before it is given up."""

P = ParamSpec("P")
T = TypeVar("T")
U = TypeVar("U")


class Beside(Executor):
    """An executor that says how much it does at a time.

    Attributes:
        beside: How many tasks run at the same time beside the caller; 0 is none.
    """

    beside: int

    def outcome(self, future: "Future[T]") -> T:
        """Wait for a task and return what it returned.

        Raises:
            WorkerLost: When those that worked on it died.
            BillingError: When there is nobody any more to work on it.
            Exception: Whatever the task raised.
        """
        return future.result()


@dataclass(frozen=True)
class Spec:
    """An executor as it was asked for.

    Attributes:
        kind: ``serial``, ``threads``, ``processes`` or ``dask``.
        count: How many threads or processes.
        address: Host and port of a cluster's scheduler.
    """

    kind: str
    count: int = 0
    address: str = ""


def read_spec(text: str) -> Spec:
    """Read what an executor is asked for with.

    Raises:
        ConfigError: Saying what is wrong, and what was meant.
    """
    kind, _, rest = text.partition(":")
    if text == SERIAL:
        return Spec(SERIAL)
    if kind in ("threads", "processes"):
        if not re.fullmatch(r"[0-9]{1,4}", rest) or not 1 <= int(rest) <= MOST_WORKERS:
            raise _faulty(text, f"say how many, from 1 to {MOST_WORKERS}, such as {kind}:4")
        return Spec(kind, count=int(rest))
    if kind == "dask":
        if not re.fullmatch(r"//(\[[0-9a-fA-F:.]+\]|[\w.-]+):[0-9]{1,5}", rest):
            raise _faulty(text, "name its scheduler, such as dask://127.0.0.1:8786")
        _require_dask(text)
        return Spec(kind, address=rest.removeprefix("//"))
    hint = did_you_mean(kind, (SERIAL, "threads", "processes", "dask"))
    raise _faulty(text, f"it is one of {', '.join(SPECS)}{hint}")


def _faulty(text: str, why: str) -> ConfigError:
    return ConfigError(f"executor {text!r}: {why}")


def _require_dask(text: str) -> None:
    if find_spec("distributed") is None:
        raise _faulty(text, "Dask is not installed; run: pip install 'cdr-etl[cluster]'")


def make_executor(spec: str, *, driver: str | None = None) -> Beside:
    """Make the executor that a word names; close it with ``shutdown``.

    Args:
        spec: ``serial``, ``threads:N``, ``processes:N`` or ``dask://HOST:PORT``.
        driver: A database URL without its secret, whose driver processes load first; None
            for tasks that open no database.

    Raises:
        ConfigError: When it names none.
        BillingError: When the cluster does not answer or has no workers.
    """
    asked = read_spec(spec)
    match asked.kind:
        case "threads":
            return ThreadExecutor(asked.count)
        case "processes":
            return ProcessExecutor(asked.count, driver)
        case "dask":
            return DaskExecutor(asked.address)
        case _:
            return SerialExecutor()


def fault_of(exc: Exception) -> str:
    """Say what an executor met, without what a stranger's error may carry."""
    return str(exc) if isinstance(exc, BillingError) else type(exc).__name__


def in_order(
    executor: Beside, items: Iterable[T], start: Callable[[T], U]
) -> Iterator[tuple[T, U]]:
    """Start as many items ahead as run beside the caller; give them back in their order."""
    ahead: deque[tuple[T, U]] = deque()
    for item in items:
        ahead.append((item, start(item)))
        if len(ahead) > executor.beside:
            yield ahead.popleft()
    yield from ahead


class SerialExecutor(Beside):
    """Does each task at once, in the caller."""

    beside = 0

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Do a task; its future is over when this returns."""
        future: Future[T] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as exc:  # noqa: BLE001 - whoever asks the future is told
            future.set_exception(exc)
        return future


class ThreadExecutor(ThreadPoolExecutor, Beside):
    """Threads of this process. Python code in them takes turns; frames do not."""

    def __init__(self, count: int) -> None:
        """Plan ``count`` threads."""
        super().__init__(count, thread_name_prefix="task")
        self.beside = count


# --- processes --------------------------------------------------------------------------


class ProcessExecutor(ThreadPoolExecutor, Beside):
    """Processes of this machine, each led by a thread of this one.

    A process that dies is replaced and its own task is done again, by nobody else's
    fault; with a pool, every task in hand would be lost with it. No process outlives this
    one.
    """

    def __init__(self, count: int, driver: str | None = None) -> None:
        """Plan ``count`` processes; each is started by the first task that needs it."""
        super().__init__(count, thread_name_prefix="child")
        self.beside = count
        self._driver = driver
        self._lock = threading.Lock()
        self._idle: list[_Child] = []
        self._children: set[_Child] = set()
        self._is_over = False

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Do a task in a process; function, arguments and result travel through a pipe."""
        return super().submit(self._in_child, partial(fn, *args, **kwargs))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """End the processes; with ``cancel_futures`` in the middle of their tasks."""
        if cancel_futures:
            super().shutdown(wait=False, cancel_futures=True)
            self._kill_all()
        super().shutdown(wait=wait)
        if wait:
            self._end_idle()

    def pids(self) -> list[int]:
        """The ids of the processes there are now."""
        with self._lock:
            return [child.pid for child in self._children]

    def _in_child(self, work: Callable[[], T]) -> T:
        for _ in range(MOST_DEATHS):
            child = self._take()
            try:
                answer = child.do(work)
            except _DiedError as exc:
                died = str(exc)
                self._bury(child)
                continue
            with self._lock:
                self._idle.append(child)
            return cast("T", answer.value_or_raise())
        message = f"{MOST_DEATHS} processes died over one task; the last one by {died}"
        raise WorkerLost(message)

    def _take(self) -> "_Child":
        with self._lock:
            if self._is_over:
                raise CancelledError
            if self._idle:
                return self._idle.pop()
            child = _Child(self._driver)
            self._children.add(child)
            return child

    def _bury(self, child: "_Child") -> None:
        with self._lock:
            self._children.discard(child)
        child.end()

    def _kill_all(self) -> None:
        """Kill every process; the thread that leads one buries it."""
        with self._lock:
            self._is_over = True
            for child in self._children:
                child.kill()

    def _end_idle(self) -> None:
        while self._idle:
            self._bury(self._idle.pop())


class _DiedError(Exception):
    """The process died; says of what."""


@dataclass(frozen=True)
class _Answer:
    """What a task came to in its process."""

    value: object
    error: Exception | None = None

    def value_or_raise(self) -> object:
        if self.error is not None:
            raise self.error
        return self.value


class _Child:
    """One process that does tasks, one after the other."""

    def __init__(self, driver: str | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._ours, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(theirs, driver))
        self._process.start()
        theirs.close()

    @property
    def pid(self) -> int:
        return self._process.pid or 0

    def do(self, work: Callable[[], object]) -> _Answer:
        """Let the process do a task.

        Raises:
            _DiedError: When it ends before it answers.
        """
        try:
            self._ours.send(work)
            pipes.wait([self._ours, self._process.sentinel])
            answer: _Answer = self._ours.recv()
        except (EOFError, OSError) as exc:
            self._process.join()
            code = self._process.exitcode or 0
            raise _DiedError(f"signal {-code}" if code < 0 else f"exit {code}") from exc
        return answer

    def kill(self) -> None:
        """Kill it; what it was doing nobody needs."""
        self._process.kill()

    def end(self) -> None:
        """End it, if it has not ended, and forget it."""
        self._process.kill()
        self._process.join()
        self._ours.close()


def _serve(orders: Connection, driver: str | None) -> NoReturn:
    """Be a process that does tasks until the pipe is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    _end_with_parent()
    if driver is not None:
        # Not at the top: settings know this module, and most commands need neither.
        from etl.logs import set_up_logs
        from loaders.open import prepare_driver

        prepare_driver(driver)
        set_up_logs(0)
    with suppress(EOFError, OSError):
        while True:
            orders.send_bytes(_packed(_done(orders.recv_bytes())))
    os._exit(0)


def _done(order: bytes) -> _Answer:
    try:
        return _Answer(pickle.loads(order)())
    except Exception as exc:  # noqa: BLE001 - whatever it is, it travels to who asked
        exc.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return _Answer(None, exc)
    except BaseException as exc:  # noqa: BLE001 - a panic of the frame library
        return _Answer(None, _fault_of_ours(exc))


def _packed(answer: _Answer) -> bytes:
    """Pack an answer; an error that cannot travel becomes one that can."""
    try:
        packed = pickle.dumps(answer, protocol=pickle.HIGHEST_PROTOCOL)
        if answer.error is not None:
            pickle.loads(packed)
    except Exception as exc:  # noqa: BLE001 - any fault of packing
        return pickle.dumps(_Answer(None, _fault_of_ours(answer.error or exc)))
    return packed


def _fault_of_ours(exc: BaseException) -> BillingError:
    from etl.verdict import redacted

    return BillingError(f"a task failed: {type(exc).__name__}: {redacted(str(exc))}")


def _end_with_parent() -> None:
    """End at once when the parent process is gone: nobody would end us."""
    parent = parent_process()

    def watch() -> None:
        if parent is not None:
            pipes.wait([parent.sentinel])
            os._exit(1)

    threading.Thread(target=watch, name="parent watch", daemon=True).start()


# --- a cluster --------------------------------------------------------------------------


class DaskExecutor(Beside):
    """The workers of a Dask cluster; a task of one that dies is done by another."""

    def __init__(self, address: str) -> None:
        """Connect to the scheduler.

        Raises:
            BillingError: When it does not answer, or has no workers.
        """
        self._address = address
        self._client = self._connected()
        self.beside = self._threads()
        if not self.beside:
            self._client.close()
            message = f"the cluster at {address} has no workers; start some, and run again"
            raise BillingError(message)
        self._executor: Executor = self._client.get_executor(pure=False, retries=0)

    def submit(
        self, fn: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> "Future[T]":
        """Do a task on any worker; function and arguments pass through the scheduler."""
        return self._executor.submit(fn, *args, **kwargs)

    def outcome(self, future: "Future[T]") -> T:
        """Wait for a task, as long as there is somebody to do it."""
        killed: type[Exception] = import_module("distributed").KilledWorker
        looks = 0
        while not wait([future], timeout=LOOK_S).done:
            looks = 0 if self._threads() else looks + 1
            if looks >= MOST_LOOKS:
                future.cancel()
                message = f"the cluster at {self._address} has no workers any more"
                raise BillingError(message)
        try:
            return future.result()
        except killed as exc:
            message = f"workers of the cluster at {self._address} died over one task"
            raise WorkerLost(message) from exc
        except CancelledError as exc:
            message = f"the cluster at {self._address} lost a task"
            raise BillingError(message) from exc

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 - the library's signature
        """Let go of the cluster; it goes on for others."""
        self._executor.shutdown(wait=wait and not cancel_futures)
        self._client.close()

    def _threads(self) -> int:
        """How many tasks its workers do at a time; 0 when nobody answers."""
        try:
            return sum(self._client.nthreads().values())
        except (OSError, TimeoutError):
            return 0

    def _connected(self) -> Any:  # noqa: ANN401 - the extra is not always installed
        dask: Any = import_module("dask")
        distributed: Any = import_module("distributed")
        is_secure = dask.config.get("distributed.comm.require-encryption", default=False)
        url = f"{'tls' if is_secure else 'tcp'}://{self._address}"
        try:
            return distributed.Client(url, timeout=CONNECT_S, set_as_default=False)
        except (OSError, TimeoutError) as exc:
            message = (
                f"the cluster's scheduler at {self._address} does not answer; start it, or "
                "run with --executor serial"
            )
            raise BillingError(message) from exc
