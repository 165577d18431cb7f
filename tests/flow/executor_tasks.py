"""Tasks for executors to do in tests: top-level functions, as every task must be."""

import os
import signal
import sys
import time
from pathlib import Path
from typing import NoReturn

from etl.executors import ProcessExecutor
from transforms.errors import ConfigError, WorkerLost


def double(number: int) -> int:
    return 2 * number


def meet(folder: str, name: str, others: int) -> int:
    """Return only when so many others are here at the same time."""
    (Path(folder) / name).touch()
    deadline_s = time.monotonic() + 60
    while len(list(Path(folder).iterdir())) <= others:
        if time.monotonic() > deadline_s:
            raise TimeoutError
        time.sleep(0.01)
    return os.getpid()


def die_once(mark: str, number: int) -> int:
    """Be killed while a mark is there; it is gone then."""
    if Path(mark).exists():
        Path(mark).unlink()
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def give_up(*_: object) -> NoReturn:
    message = "3 processes died over one task"
    raise WorkerLost(message)


def fail() -> None:
    message = "etl.toml: no such key"
    raise ConfigError(message)


class OddError(Exception):
    """An error that cannot be put together again from its message."""

    def __init__(self, message: str, number: int) -> None:
        super().__init__(message)
        self.number = number


def fail_oddly() -> None:
    message = "mysql+mysqlconnector://etl:hush@host/etl"
    raise OddError(message, 7)


def main() -> None:
    """Start two processes, say who they are, give them work, and wait to be killed."""
    executor = ProcessExecutor(2)
    folder = sys.argv[1]
    met = [executor.submit(meet, folder, name, 1) for name in ("a", "b")]
    pids = [future.result() for future in met]
    for name in ("c", "d"):
        executor.submit(meet, folder, name, 9)
    while len(list(Path(folder).iterdir())) < 4:
        time.sleep(0.01)
    sys.stdout.write("".join(f"{pid}\n" for pid in pids))
    sys.stdout.flush()
    time.sleep(60)


if __name__ == "__main__":
    main()
