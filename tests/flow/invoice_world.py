"""A small world with totals to invoice, and a program that invoices what is due.

Run as a program::

python -m tests.flow.invoice_world DATABASE_URL FOLDER
"""

import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

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


if __name__ == "__main__":
    prepare_driver(sys.argv[1])
    with World(sys.argv[1], Path(sys.argv[2]), lease_seconds=1) as invoiced:
        invoiced.app.invoicing.due(AS_OF)
