"""What the long fault runs share: how many rounds, which seed, and databases for lanes.

They are not part of ``make test``; ``make faults`` runs them::

    make faults                                      the usual counts, about 15 minutes
    .venv/bin/pytest tests/faults --quick            a look whether the runs still run
    FAULT_ROUNDS=1000 .venv/bin/pytest tests/faults/test_import_kills.py -k sqlite
    FAULT_SEED=17 …                                  the same accidents once more
"""

import faulthandler
import os
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pytest

from tests.faults.forks import Forks, leaks
from tests.mariadb import MariaDBServer, execute_all, fresh_database

T = TypeVar("T")

LANES = int(os.environ.get("FAULT_LANES", "4"))
"""How much goes on side by side: most of the time of a fault run is spent waiting for the
leases of the dead."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--quick", action="store_true", help="Fault runs with small counts, for a look."
    )


@dataclass
class Run:
    """One fault run: its count, its seed, and what it has to say.

    Attributes:
        seed: Every accident of the run is drawn from it. The machine's own timing is not:
            the same seed kills at the same seconds, perhaps at another record.
        count: How many rounds were asked for.
    """

    request: pytest.FixtureRequest
    seed: int
    count: int = 0
    figures: dict[str, object] = field(default_factory=dict)

    def rounds(self, usual: int, quick: int) -> int:
        """How often: ``FAULT_ROUNDS``, or the usual count, or the quick one."""
        given = os.environ.get("FAULT_ROUNDS")
        self.count = int(given) if given else quick if self.is_quick else usual
        return self.count

    @property
    def is_quick(self) -> bool:
        """Whether this is only a look."""
        return bool(self.request.config.getoption("--quick"))

    def chance(self, lane: int = 0) -> random.Random:
        """What decides the accidents of one lane."""
        return random.Random(f"{self.seed} {lane}")

    lanes = LANES

    def in_lanes(self, rounds: int, work: Callable[[int, int], T]) -> list[T]:
        """Share rounds among lanes: ``work(lane, rounds of it)``, side by side."""
        shares = [rounds // LANES + (lane < rounds % LANES) for lane in range(LANES)]
        lanes = [(lane, share) for lane, share in enumerate(shares) if share]
        with ThreadPoolExecutor(len(lanes)) as pool:
            return list(pool.map(lambda one: work(*one), lanes))

    def tell(self, **figures: object) -> None:
        """Say what was measured, at the end of the run."""
        self.figures |= figures

    def headline(self) -> str:
        """Describe how to run the very same accidents again."""
        count = f"FAULT_ROUNDS={self.count} " if self.count else ""
        return (
            f"  again: FAULT_SEED={self.seed} {count}"
            f".venv/bin/pytest '{self.request.node.nodeid}'"
        )


@pytest.fixture
def run(request: pytest.FixtureRequest) -> Iterator[Run]:
    """Count, seed and report of one run; the seed is new each time unless it is given."""
    given = os.environ.get("FAULT_SEED")
    made = Run(request, int(given) if given else random.SystemRandom().getrandbits(32))
    faulthandler.cancel_dump_traceback_later()  # these runs are meant to be long
    yield made
    figures = ", ".join(f"{value} {name}" for name, value in made.figures.items())
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        writer = request.config.get_terminal_writer()
        writer.line()
        writer.line(f"  {figures.replace('_', ' ')}" if figures else "  no figures")
        writer.line(made.headline())


@dataclass(frozen=True)
class Maker:
    """Makes fresh, upgraded databases of one kind.

    Attributes:
        kind: ``sqlite`` or ``mariadb``.
    """

    kind: str
    folder: Path
    sqlite_template: Path
    mariadb_template: Sequence[str]
    server: MariaDBServer

    @contextmanager
    def fresh(self, name: str) -> Iterator[str]:
        """Make a database for as long as it is needed; yields its URL."""
        if self.kind == "sqlite":
            folder = self.folder / name
            folder.mkdir(parents=True)
            shutil.copy(self.sqlite_template, folder / "etl.db")
            (folder / "etl.db").chmod(0o600)
            yield f"sqlite:///{folder / 'etl.db'}"
            shutil.rmtree(folder)
            return
        with fresh_database(self.server) as url:
            execute_all(url, self.mariadb_template)
            yield url

    @contextmanager
    def forks(self, lane: int) -> Iterator[Forks]:
        """Fork children; what they said holds no secret in the end."""
        folder = self.folder / f"forks-{lane}"
        with Forks(folder) as made:
            yield made
        assert leaks(folder, self.secret) == []

    @property
    def secret(self) -> str:
        """What may never be seen in an output: the server's password."""
        return self.server._secret


@pytest.fixture(params=("sqlite", "mariadb"))
def maker(
    request: pytest.FixtureRequest,
    tmp_path: Path,
    sqlite_template: Path,
    mariadb_template: list[str],
    mariadb_server: MariaDBServer,
) -> Maker:
    """Fresh databases, of each kind in turn."""
    return Maker(
        str(request.param), tmp_path, sqlite_template, mariadb_template, mariadb_server
    )
