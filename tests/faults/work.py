"""What the children of fault runs do: each function is the whole life of one child.

Effects: a database, a storage folder. Arguments and results are plain values; they travel
as JSON. A child may be killed at any point, and another does the same again.
"""

import contextlib
import os
import random
import shlex
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import ClassVar
from unittest.mock import patch

from etl.bus import Bus, Context, Done, Route, route, routes
from etl.cli import _one_line_errors, cli
from etl.extract import folder as drop_folder
from etl.failpoints import failpoint
from loaders.database import Transaction
from loaders.jobs import JobQueue
from loaders.open import open_database
from tests.flow import sync_world
from tests.flow.bus_commands import count_effect
from tests.flow.import_world import World
from transforms.errors import LeaseHeld

LEASE_S = 0.6
"""Lease of the jobs that only count."""
IMPORT_LEASE_S = 1

# --- the queue --------------------------------------------------------------------------


@dataclass(frozen=True)
class Count:
    """Take effect once: a row named after the job counts how often it did."""

    name: ClassVar[str] = "faults:count"
    number: int
    is_poison: bool = False

    @property
    def work_key(self) -> str:
        """The number."""
        return str(self.number)


Handler = Callable[[Count, Context], Done]


def _bus(url: str, who: str, handler: Handler) -> tuple[Bus, JobQueue]:
    database = open_database(url)
    table: dict[str, Route] = routes(route(Count, handler))
    bus = Bus(database, table, owner=f"{who}:{os.getpid()}", lease_s=LEASE_S)
    return bus, JobQueue(database)


def _counting(who: str, pause_s: float = 0) -> Handler:
    """Take effect and finish in one transaction, or kill the worker."""

    def count(command: Count, context: Context) -> Done:
        if command.is_poison:
            os.kill(os.getpid(), signal.SIGKILL)
        time.sleep(pause_s)
        return context.database.run(lambda tx: _effect(tx, context, who))

    return count


def _effect(tx: Transaction, context: Context, who: str) -> Done:
    count_effect(tx, f"effect {context.job.id} {who}")
    return context.finish(tx, {"by": who})


def send(url: str, numbers: Sequence[int], seed: int, poison: Sequence[int] = ()) -> None:
    """Send all these commands, in an order of one's own."""
    bus, _ = _bus(url, "sender", _counting("sender"))
    mixed = list(numbers)
    random.Random(seed).shuffle(mixed)
    for number in mixed:
        bus.send(Count(number, number in poison))


def work(
    url: str,
    who: str,
    resend: Sequence[int] = (),
    seed: int = 0,
) -> dict[str, int]:
    """Work the queue until nothing is due; now and then send for work again."""
    bus, _ = _bus(url, who, _counting(who))
    chance = random.Random(seed)
    ended: Counter[str] = Counter()
    while step := bus.work_one():
        ended[step.status] += 1
        if resend and chance.random() < 0.2:
            bus.send(Count(chance.choice(resend)))
    return dict(ended)


def work_to_the_end(url: str, who: str, pause_s: float = 0) -> dict[str, int]:
    """Work the queue until nothing waits or runs, also what the dead leave behind."""
    bus, queue = _bus(url, who, _counting(who, pause_s))
    ended: Counter[str] = Counter()
    while queue.list(status="waiting", limit=1) or queue.list(status="running", limit=1):
        ended += bus.drain()
        time.sleep(0.02)
    return dict(ended)


def own(url: str, number: int, go: str) -> dict[str, str]:
    """Work one job and no other; write nothing before a file says so."""
    at_once = _counting("first")

    def wait(command: Count, context: Context) -> Done:
        failpoint("owner_in_hand")
        while not Path(go).exists():
            time.sleep(0.005)
        return at_once(command, context)

    bus, _ = _bus(url, "first", wait)
    (step,) = bus.run(Count(number)).steps
    return {"status": step.status, "message": step.message or ""}


# --- imports ----------------------------------------------------------------------------


def import_file(
    url: str, folder: str, file: str, rows: int, provider: str = "routit"
) -> dict[str, object]:
    """Import a file as soon as the lease is free, with some ten commits to it."""
    with World(
        url,
        Path(folder),
        lease_seconds=IMPORT_LEASE_S,
        chunk_rows=max(rows // 4, 1),
        batch_rows=max(rows // 20, 1),
    ) as world:
        deadline_s = time.monotonic() + 60
        while time.monotonic() < deadline_s:
            with contextlib.suppress(LeaseHeld):
                row = world.load(Path(file), provider)
                return {"status": row.status}
            time.sleep(0.02)
    raise TimeoutError


# --- a chain ----------------------------------------------------------------------------


def work_feeds(url: str, folder: str, as_of: str) -> None:
    """Send for what is due and work until nothing is left to do."""
    drop_folder.SECOND_LOOK_S = 0  # type: ignore[misc]  # nobody writes meanwhile
    sync_world.work_until_empty(url, Path(folder), datetime.fromisoformat(as_of))


# --- commands as they are typed -----------------------------------------------------------


def commands(url: str, folder: str, lines: Sequence[str], mend: bool = False) -> list[int]:  # noqa: FBT001, FBT002 - travels as JSON
    """Give commands one after the other until one fails; return how each ended.

    Args:
        url: The database.
        folder: Where storage is.
        lines: Commands, as they are typed after ``etl``.
        mend: Whether to see to what failed, afterwards, as an operator does: retry failed
            jobs and work the queue until nothing waits. No failure ends it before.
    """
    drop_folder.SECOND_LOOK_S = 0  # type: ignore[misc]  # nobody writes meanwhile
    settings = {
        "ETL_DATABASE_URL": url,
        "ETL_STORAGE": str(Path(folder) / "storage"),
        "ETL_LEASE_SECONDS": "1",
        "ETL_CHUNK_ROWS": "50",
        "ETL_BATCH_ROWS": "10",
        "ETL_BATCHES_PER_COMMIT": "2",
    }
    with patch.dict(os.environ, settings):
        codes = []
        for line in lines:
            codes.append(_command(line))
            if codes[-1] not in (0, 1) and not mend:
                break
        if mend:
            _mend(url)
    return codes


def _command(line: str) -> int:
    """Give a command; while another run holds the lease, give it again."""
    deadline_s = time.monotonic() + 20
    while True:
        sys.stdout.write(f"$ etl {line}\n")
        code = _typed(shlex.split(line))
        if code != LeaseHeld.exit_code or time.monotonic() > deadline_s:
            sys.stdout.write(f"[{code}]\n")
            sys.stdout.flush()
            return code
        time.sleep(0.1)


def _typed(words: Sequence[str]) -> int:
    try:
        with patch.object(sys, "argv", ["etl", *words]), _one_line_errors():
            return cli.main(list(words), standalone_mode=False) or 0
    except SystemExit as end:
        return int(end.code or 0)


MOST_MENDING = 40


def _mend(url: str) -> None:
    with closing(open_database(url)) as database:
        queue = JobQueue(database)
        for _ in range(MOST_MENDING):
            for job in [*queue.list(status="failed"), *queue.list(status="waiting")]:
                if job.attempts:
                    _command(f"queue:retry {job.id}")
            _command("worker --drain")
            if not any(
                queue.list(status=each) for each in ("failed", "waiting", "running")
            ):
                return
            time.sleep(0.1)
    raise TimeoutError
