"""Start-up: how long an operator waits for help, and for one customer's totals."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from benchmarks.measuring import Contest, Sample, Side
from benchmarks.world import CYCLE, World, run_etl

HELP_S = 0.3
ONE_CUSTOMER_S = 1.5


@contextmanager
def startup_contest(world: World) -> Iterator[Contest]:
    """Time whole processes over a database that holds the delivery."""
    with world.mariadb() as mariadb, world.sqlite() as sqlite:
        for url in (mariadb, sqlite):
            world.import_delivery(url)
        new = ("totals:new", "--customer=7", f"--cycle={CYCLE}")
        yield Contest(
            "startup",
            "Whole processes",
            [
                Side("etl --help", partial(_run, world, sqlite, "--help")),
                Side("etl totals:new, SQLite", partial(_run, world, sqlite, *new)),
                Side("etl totals:new, MariaDB", partial(_run, world, mariadb, *new)),
            ],
            notes=[
                f"Wanted: help in {HELP_S} s, one customer's totals in {ONE_CUSTOMER_S} s."
            ],
        )


def _run(world: World, url: str, *words: str) -> Sample:
    ended = run_etl(*words, database_url=url, storage=world.storage())
    return Sample(ended.seconds, 1, ended.peak_mb)
