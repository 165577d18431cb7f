"""A small world with totals to invoice, and a program that invoices it in many processes.

Run as a program it forks children that all invoice what is due, each with a fault plan of
its own (``-`` disturbs nothing), one after the other or all at once, and prints how each
of them ended::

    python -m tests.flow.invoice_world DATABASE_URL FOLDER one-by-one|at-once PLAN...
"""

import os
import sys
import traceback
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from etl import failpoints
from etl.chains import DispatchTotals
from etl.handlers import bus_of
from loaders.open import prepare_driver
from tests.flow.import_world import World, call, write_routit

JANUARY = date(2025, 1, 1)
FEBRUARY = date(2025, 2, 1)
AS_OF = date(2025, 2, 3)


def bring(world: World, calls: Sequence[str], name: str = "") -> None:
    """Import a delivery and compute the totals it changes."""
    world.load(write_routit(world.folder, calls, name))
    total(world)


def total(world: World) -> None:
    """Compute every cycle that waits."""
    report = bus_of(world.app).run(DispatchTotals(), world.app.stop)
    assert report.failed_step is None, report.failed_step


def many_customers(world: World, count: int) -> None:
    """Give each customer a number and one call of 4.05 cents in January."""
    numbers = {f"316000{each:05d}": each for each in range(1, count + 1)}
    world.own(numbers)
    calls = [call(f"r{owner}", number) for number, owner in numbers.items()]
    bring(world, calls, "CDR_10001_202501.zip")


def _invoice_in_a_child(url: str, folder: str, plan: str) -> int:
    child = os.fork()
    if child:
        return child
    failpoints._PLAN = failpoints.fault_plan("" if plan == "-" else plan)
    try:
        with World(url, Path(folder), lease_seconds=1) as world:
            world.app.invoicing.due(AS_OF)
    except BaseException:  # noqa: BLE001 - a fork must never return into its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def _children(url: str, folder: str, how: str, *plans: str) -> None:
    running = []
    for plan in plans:
        running.append(_invoice_in_a_child(url, folder, plan))
        if how == "one-by-one":
            _say(running.pop())
    for child in running:
        _say(child)


def _say(child: int) -> None:
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    sys.stdout.write(f"{code}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    prepare_driver(sys.argv[1])
    _children(*sys.argv[1:])
