"""Queue: how many jobs a second the command queue works, on both databases.

Effects: temporary databases and servers, worker processes, and the clock. Each job counts
in a row of its own and is completed in the same transaction, so a job is what it always
is: a claim, a heartbeat thread, one transaction of work and completion, and a look how it
ended. What a real job does beside that comes on top.
"""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from benchmarks.measuring import Contest, Ratio, Sample, Side, timed
from benchmarks.world import SERVER_OPTIONS, World
from loaders.open import open_database
from tests.faults.forks import Forks
from tests.flow.import_world import ask
from tests.mariadb import (
    MariaDBServer,
    execute_all,
    fresh_database,
    schema_statements,
)

MOST_JOBS: Final = 1000
FEWEST_JOBS: Final = 50
RECORDS_A_JOB: Final = 1000
WORKERS: Final = (1, 2, 8)


class Queues:
    """Databases of one kind in one place, and processes that work in them."""

    def __init__(self, kind: str, folder: Path, stack: ExitStack) -> None:
        """Start what is needed; it ends with ``stack``."""
        self._kind = kind
        self._folder = folder
        self._number = 0
        if kind == "mariadb":
            self._server = MariaDBServer(folder / "server", SERVER_OPTIONS)
            stack.callback(self._server.remove)
            self._server.start()
            with fresh_database(self._server) as url:
                _upgrade(url)
                self._schema = schema_statements(url)
        self._forks = stack.enter_context(Forks(folder / "forks"))

    @contextmanager
    def fresh(self) -> Iterator[str]:
        """Make an empty queue."""
        if self._kind == "mariadb":
            with fresh_database(self._server) as url:
                execute_all(url, self._schema)
                yield url
            return
        self._number += 1
        folder = self._folder / f"sqlite-{self._number}"
        folder.mkdir()
        url = f"sqlite:///{folder / 'etl.db'}"
        _upgrade(url)
        yield url
        shutil.rmtree(folder)

    def worked(self, workers: int, jobs: int) -> Sample:
        """Send jobs, then let some workers work them all; only the work is timed."""
        with self.fresh() as url:
            self._send(url, jobs)
            seconds = timed(lambda: self._work(url, workers))
            (found,) = ask(url, "SELECT COUNT(*) FROM job WHERE status = 'done'")
        if found != (jobs,):
            message = f"{found[0]} of {jobs} jobs were done"
            raise RuntimeError(message)
        return Sample(seconds, jobs)

    def sent(self, jobs: int) -> Sample:
        """Send jobs from one process, each in a transaction of its own."""
        with self.fresh() as url:
            return Sample(timed(lambda: self._send(url, jobs)), jobs)

    def _send(self, url: str, jobs: int) -> None:
        ended = self._forks.run("send", url, numbers=list(range(jobs)), seed=1)
        if ended.code:
            raise RuntimeError(ended.said)

    def _work(self, url: str, workers: int) -> None:
        crew = [self._forks.start("work", url, who=f"w{each}") for each in range(workers)]
        for ended in [each.wait(600) for each in crew]:
            if ended.code:
                raise RuntimeError(ended.said)


def _upgrade(url: str) -> None:
    with closing(open_database(url)) as database:
        database.upgrade()


@contextmanager
def queue_contest(world: World) -> Iterator[Contest]:
    """Every kind of database, in every place, with one worker and with several."""
    jobs = max(FEWEST_JOBS, min(MOST_JOBS, world.rows // RECORDS_A_JOB))
    places = {"memory": world.folder, "disk": Path(tempfile.gettempdir())}
    sides, ratios = [], []
    with ExitStack() as stack:
        for kind in ("sqlite", "mariadb"):
            for place, parent in places.items():
                folder = Path(tempfile.mkdtemp(prefix="cdr-etl-queue-", dir=parent))
                stack.callback(shutil.rmtree, folder, ignore_errors=True)
                queues = Queues(kind, folder, stack)
                name = f"{kind}, {place}"
                sides.append(Side(f"{name}: sent", partial(queues.sent, jobs)))
                sides += [
                    Side(f"{name}: {_crew(each)}", partial(queues.worked, each, jobs))
                    for each in WORKERS
                ]
                ratios.append(
                    Ratio(
                        f"queue_{kind}_{place}_eight_to_one",
                        f"{name}: {_crew(8)}",
                        (f"{name}: {_crew(1)}",),
                    )
                )
        yield Contest(
            "queue",
            "Jobs a second through the command queue",
            sides,
            ratios,
            [f"{jobs:,} jobs, each a transaction of its own; sent by one process."],
        )


def _crew(workers: int) -> str:
    return f"{workers} worker{'s' * (workers > 1)}"
