"""A chain of three commands for the bus tests, and workers that may be killed.

Run as a program it sends the chain once and works until the queue is empty, in one process
after another, each with a fault plan of its own; it prints how each of them ended and how
the chain stood then::

    python -m tests.flow.bus_commands DATABASE_URL in_complete:kill after_claim:kill:2

Without a plan it works in its own process, with the faults of ``FAULTS``.
"""

import os
import sys
import time
from dataclasses import dataclass
from datetime import date
from typing import ClassVar

from etl.bus import Bus, Context, Done, Route, route, routes
from loaders.database import Transaction
from loaders.jobs import JobQueue
from loaders.open import open_database

LEASE_S = 0.3


@dataclass(frozen=True)
class Totals:
    """The first command: computes one customer's cycle."""

    name: ClassVar[str] = "totals:new"
    customer: int
    cycle: date
    note: str | None = None

    @property
    def work_key(self) -> str:
        """One customer's cycle."""
        return f"{self.customer} {self.cycle}"


@dataclass(frozen=True)
class Backup:
    """The second: keeps the revision just written."""

    name: ClassVar[str] = "totals:backup"
    customer: int

    @property
    def work_key(self) -> str:
        """One customer."""
        return str(self.customer)


@dataclass(frozen=True)
class Insight:
    """The third: says what is remarkable."""

    name: ClassVar[str] = "insight:new"
    customer: int

    @property
    def work_key(self) -> str:
        """One customer."""
        return str(self.customer)


TOTALS = Totals(123, date(2025, 1, 1))


def count_effect(tx: Transaction, name: str) -> None:
    """Count, in a row of its own, how often some work took effect."""
    tx.execute("lease/ensure", name=name)
    tx.execute("lease/signal", name=name)


def totals(command: Totals, context: Context) -> Done:
    """Take effect and finish in one transaction."""
    followers = (Backup(command.customer),)
    return context.database.run(lambda tx: _finish(tx, context, "totals", followers))


def backup(command: Backup, context: Context) -> Done:
    """Take effect in a fenced transaction, and let the bus complete the job."""

    def write(tx: Transaction) -> None:
        context.require_fence(tx)
        count_effect(tx, "backup")

    context.database.run(write)
    return Done({"customer": command.customer}, (Insight(command.customer),))


def insight(command: Insight, context: Context) -> Done:
    """Take effect and finish in one transaction."""
    return context.database.run(lambda tx: _finish(tx, context, "insight", ()))


def chain() -> dict[str, Route]:
    """Who serves what."""
    return routes(route(Totals, totals), route(Backup, backup), route(Insight, insight))


def _finish(
    tx: Transaction, context: Context, name: str, followers: tuple[Backup, ...]
) -> Done:
    count_effect(tx, name)
    return context.finish(tx, {"did": name}, followers)


def _work_until_empty(url: str) -> None:
    database = open_database(url)
    queue = JobQueue(database)
    bus = Bus(database, chain(), owner=f"pid-{os.getpid()}", lease_s=LEASE_S)
    if not queue.list():
        bus.send(TOTALS)
    if queue.list(status="running"):
        time.sleep(LEASE_S + 0.05)  # of the worker that was killed before
    deadline_s = time.monotonic() + 10
    while queue.list(status="waiting") or queue.list(status="running"):
        bus.drain()
        time.sleep(0.02)
        if time.monotonic() > deadline_s:
            raise TimeoutError
    database.close()


if __name__ == "__main__":
    _work_until_empty(sys.argv[1])
