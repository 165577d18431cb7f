"""Imports killed, paused or cut off at any moment: every record once, to the micro."""

import shutil
import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from etl.generate import Demand, Expected, Mix, generate_routit
from etl.reference_files import read_reference
from tests.faults.conftest import LANES, Maker, Run
from tests.faults.forks import Child, Forks, leaks
from tests.faults.work import IMPORT_LEASE_S
from tests.flow.import_world import OF_A_RUN, RESULTS, World, ask, columns
from tests.mariadb import MariaDBServer, work_folder
from transforms.errors import LeaseHeld

ROWS = 40_000
QUICK_ROWS = 4_000
CUSTOMERS = 100
MIX = Mix(duplicates=100, rejects=10, unknown=50)

MOST_KILLS = 6
"""How often one import is killed before it is left to finish."""

BEFORE_ITS_CLAIM = 0.1
"""How many of the kills come before the worker has claimed anything."""

NUMBERS_AN_IMPORT = ("id", "import_id", "against_import_id")

CLAIMED, COMMITTED = "import_after_claim", "import_after_load"

Results = dict[str, list[tuple[str, ...]]]


@dataclass(frozen=True)
class Delivery:
    """What every lane imports, and what must become of it."""

    path: Path
    expected: Expected
    rows: int
    undisturbed: Results
    seconds: float
    """How long an undisturbed import takes, from its claim on."""


@dataclass
class Tally:
    """What happened in one lane."""

    imports: int = 0
    kills: int = 0

    def __add__(self, other: "Tally") -> "Tally":
        """Add up two lanes."""
        return Tally(self.imports + other.imports, self.kills + other.kills)


def owned(url: str, folder: Path, reference: Path) -> None:
    """Load the customers of the delivery into a database."""
    with World(url, folder) as world:
        world.app.reference.replace(read_reference(reference))


@dataclass(frozen=True)
class Place:
    """A database with the customers, a folder, and children to import in."""

    forks: Forks
    url: str
    folder: Path

    def start(self, path: Path, rows: int) -> Child:
        """Begin to import in a child."""
        return self.forks.start(
            "import_file", self.url, folder=str(self.folder), file=str(path), rows=rows
        )


@contextmanager
def place(maker: Maker, forks: Forks, name: str, reference: Path) -> Iterator[Place]:
    """Make a place, and remove it."""
    folder = maker.folder / f"import-{name}"
    with maker.fresh(name) as url:
        owned(url, folder, reference)
        yield Place(forks, url, folder)
    assert leaks(folder, maker.secret) == []
    shutil.rmtree(folder)


def make_delivery(maker: Maker, run: Run) -> Delivery:
    """Generate a delivery and import it once, undisturbed."""
    rows = QUICK_ROWS if run.is_quick else ROWS
    reference = maker.folder / "reference"
    reference.mkdir()
    demand = Demand(rows, CUSTOMERS, period="202501", seed=run.seed % 2**31, mix=MIX)
    made = generate_routit(reference, demand)
    with maker.forks(-1) as forks, place(maker, forks, "first", reference) as quiet:
        child = quiet.start(made.path, rows)
        assert child.wait_for(CLAIMED), child.said()
        began_s = time.monotonic()
        assert child.wait().code == 0, child.said()
        seconds = time.monotonic() - began_s
        undisturbed = left_behind(quiet.url)
        delivery = Delivery(made.path, made.expected, rows, undisturbed, seconds)
        require(quiet, delivery)
    return delivery


def require(at: Place, delivery: Delivery) -> None:
    """The oracle: each record once, to the micro, and nothing locked or left over."""
    expected, url = delivery.expected, at.url
    with World(url, at.folder) as world:
        assert world.audit() == []
        (row,) = world.app.imports.recent(2)
        outcome = row.outcome
        require_free(world)
    assert row.status == "done"
    assert (outcome.records, outcome.loaded, outcome.duplicates) == (
        expected.records,
        expected.loaded,
        expected.duplicates,
    )
    assert (outcome.rejected, outcome.suspended, outcome.cost_micros) == (
        expected.rejected,
        expected.suspended,
        expected.cost_micros,
    )
    stored = ask(
        url,
        "SELECT COUNT(*), COUNT(DISTINCT fingerprint), SUM(cost_micros) "
        "FROM call_detail_record",
    )
    assert [tuple(map(int, each)) for each in stored] == [
        (expected.loaded, expected.loaded, expected.cost_micros)
    ]
    assert ask(url, "SELECT locked, complete FROM import_queue") == [(0, 1)]
    final = [each for each in (at.folder / "storage").glob("??/*") if each.is_file()]
    assert [each.stat().st_size for each in final] == [delivery.path.stat().st_size]
    assert left_behind(url) == delivery.undisturbed


def require_free(world: World) -> None:
    """Require that the provider's next import can begin, at the latest after a lease.

    A worker killed between its last commit and its goodbye leaves a lease, which ends.
    """
    deadline_s = time.monotonic() + 2 * IMPORT_LEASE_S
    while True:
        try:
            lease = world.app.imports.take_provider("routit", "the next one")
        except LeaseHeld:
            assert time.monotonic() < deadline_s
            time.sleep(IMPORT_LEASE_S / 10)
        else:
            world.app.imports.free_provider(lease)
            return


def left_behind(url: str) -> Results:
    """Every table of results, the number of the one import written as 1.

    A worker killed while it registered the delivery may have used up a number.
    """
    ((number,),) = ask(url, "SELECT id FROM import_queue")
    told = {}
    for table in RESULTS:
        names = [name for name in columns(url, table) if name.strip("`") not in OF_A_RUN]
        is_number = [name.strip("`") in NUMBERS_AN_IMPORT for name in names]
        rows = ask(url, f"SELECT {', '.join(names)} FROM {table}")  # noqa: S608 - our own names
        told[table] = sorted(
            tuple(
                "1" if is_id and value == number else str(value)
                for is_id, value in zip(is_number, row, strict=True)
            )
            for row in rows
        )
    return told


def test_an_import_killed_at_random_moments_loads_each_record_once(
    maker: Maker, run: Run
) -> None:
    kills = run.rounds(usual=120, quick=8)
    delivery = make_delivery(maker, run)
    reference = delivery.path.parent

    def lane(number: int, share: int) -> Tally:
        chance, tally = run.chance(number), Tally()
        with maker.forks(number) as forks:
            while tally.kills < share:
                name = f"{number}-{tally.imports}"
                with place(maker, forks, name, reference) as at:
                    most = min(MOST_KILLS, share - tally.kills)
                    tally.kills += killed_until_done(at, delivery, chance, most)
                    require(at, delivery)
                tally.imports += 1
        return tally

    total = sum(run.in_lanes(kills, lane), Tally())
    run.tell(
        kills=total.kills,
        imports=total.imports,
        rows_each=delivery.rows,
        lost=0,
        duplicated=0,
        unlocked_by_hand=0,
    )


def killed_until_done(at: Place, delivery: Delivery, chance: Random, most: int) -> int:
    """Kill one worker after the other at a random moment, until one is left to finish."""
    kills = 0
    while True:
        child = at.start(delivery.path, delivery.rows)
        if kills < most:
            wait_a_while(child, delivery, chance)
            child.signal(signal.SIGKILL)
        ended = child.wait()
        assert ended.code in (0, -signal.SIGKILL), ended.said
        if ended.code == 0:
            return kills
        kills += 1


def wait_a_while(child: Child, delivery: Delivery, chance: Random) -> None:
    """Wait until a random moment of an import, which lanes beside it slow down."""
    if chance.random() < BEFORE_ITS_CLAIM:
        child.wait_s(chance.uniform(0, 0.5))
    else:
        child.wait_for(CLAIMED)
        child.wait_s(chance.uniform(0, delivery.seconds * LANES / 2))


def test_an_import_paused_past_its_lease_writes_nothing_more(
    maker: Maker, run: Run
) -> None:
    pauses = run.rounds(usual=20, quick=4)
    delivery = make_delivery(maker, run)
    reference = delivery.path.parent

    def lane(number: int, share: int) -> Tally:
        chance, tally = run.chance(number), Tally()
        with maker.forks(number) as forks:
            while tally.kills < share:
                name = f"{number}-{tally.imports}"
                with place(maker, forks, name, reference) as at:
                    tally.kills += paused_and_overtaken(at, delivery, chance)
                    require(at, delivery)
                tally.imports += 1
        return tally

    total = sum(run.in_lanes(pauses, lane), Tally())
    run.tell(owners_paused=total.kills, imports=total.imports, stale_commits=0)


def paused_and_overtaken(at: Place, delivery: Delivery, chance: Random) -> int:
    """Pause an owner between two commits, let another finish, wake it up."""
    first = at.start(delivery.path, delivery.rows)
    first.wait_for(CLAIMED)
    first.wait_s(chance.uniform(0, delivery.seconds))
    if not is_paused_outside_a_commit(first, at.url):
        assert first.wait().code == 0
        return 0
    second = at.start(delivery.path, delivery.rows).wait()
    assert second.code == 0, second.said
    first.signal(signal.SIGCONT)
    late = first.wait()
    assert late.code in (0, 3), late.said  # complete already, or its fence is lost
    return 1


def is_paused_outside_a_commit(child: Child, url: str) -> bool:
    """Stop a child while it holds no lock in the database; False when it ended first."""
    while not child.has_ended():
        child.signal(signal.SIGSTOP)
        if not is_locked(url):
            return True
        child.signal(signal.SIGCONT)
        time.sleep(0.002)
    return False


def is_locked(url: str) -> bool:
    """Whether anybody is inside a writing transaction."""
    if url.startswith("sqlite"):
        return not can_write(url)
    open_ones = ask(
        url,
        "SELECT COUNT(*) FROM information_schema.innodb_trx "
        "WHERE trx_rows_modified > 0 OR trx_rows_locked > 0",
    )
    return open_ones != [(0,)]


def can_write(url: str) -> bool:
    """Whether the one write lock of a SQLite file is free."""
    path = url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as file:
        try:
            file.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError:
            return False
        file.execute("ROLLBACK")
        return True


@pytest.fixture
def own_server(mariadb_server: MariaDBServer) -> Iterator[MariaDBServer]:
    """A MariaDB server that may be killed; the run's own one stays."""
    server = MariaDBServer(work_folder())
    server.start()
    yield server
    server.remove()


def test_a_database_server_killed_in_mid_import_loses_nothing_it_acknowledged(
    own_server: MariaDBServer,
    mariadb_template: list[str],
    sqlite_template: Path,
    tmp_path: Path,
    run: Run,
) -> None:
    kills = run.rounds(usual=30, quick=3)
    maker = Maker("mariadb", tmp_path, sqlite_template, mariadb_template, own_server)
    delivery = make_delivery(maker, run)
    chance, tally, went_on = run.chance(), Tally(), 0
    with maker.forks(0) as forks:
        while tally.kills < kills:
            with place(maker, forks, str(tally.imports), delivery.path.parent) as at:
                while True:
                    before = committed(at.url)
                    child = at.start(delivery.path, delivery.rows)
                    child.wait_for(CLAIMED)
                    child.wait_s(chance.uniform(0, delivery.seconds * 1.2))
                    is_alive = not child.has_ended()
                    own_server.kill()
                    acknowledged = child.passed().count(COMMITTED)
                    own_server.start()
                    tally.kills += is_alive
                    assert committed(at.url) >= before + acknowledged
                    ended = child.wait()
                    assert ended.code in (0, 3), ended.said
                    if ended.code == 0:
                        went_on += is_alive
                        break
                require(at, delivery)
            tally.imports += 1
    run.tell(
        server_kills=tally.kills,
        imports=tally.imports,
        of_them_went_on_by_themselves=went_on,
        acknowledged_commits_lost=0,
    )


def committed(url: str) -> int:
    """How many batches are in the ledger; each acknowledged commit brought some."""
    return int(ask(url, "SELECT COUNT(*) FROM import_batch")[0][0])
