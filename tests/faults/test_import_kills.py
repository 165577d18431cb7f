"""Imports killed, paused and cut off at any moment: every record once, every micro there."""

import signal
import sqlite3
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from etl.generate import Demand, Expected, Mix, generate_routit
from etl.reference_files import read_reference
from tests.faults.conftest import LANES, Maker, Run
from tests.faults.forks import Child, Forks, leaks
from tests.flow.import_world import World, ask, results
from tests.mariadb import MariaDBServer, work_folder

ROWS = 40_000
QUICK_ROWS = 4_000
CUSTOMERS = 100
MIX = Mix(duplicates=100, rejects=10, unknown=50)

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


def start(forks: Forks, folder: Path, path: Path, rows: int) -> Child:
    """Begin to import in a child."""
    return forks.start("import_file", folder=str(folder), file=str(path), rows=rows)


@contextmanager
def place(maker: Maker, name: str, reference: Path) -> Iterator[tuple[str, Path, Forks]]:
    """A database with the customers, a folder, and children to import in."""
    folder = maker.folder / f"import-{name}"
    with ExitStack() as stack:
        url = stack.enter_context(maker.fresh(name))
        owned(url, folder, reference)
        yield url, folder, stack.enter_context(Forks(url, folder / "forks"))


def make_delivery(maker: Maker, run: Run) -> Delivery:
    """Generate a delivery and import it once, undisturbed."""
    rows = QUICK_ROWS if run.is_quick else ROWS
    reference = maker.folder / "reference"
    reference.mkdir()
    demand = Demand(rows, CUSTOMERS, period="202501", seed=run.seed % 2**31, mix=MIX)
    made = generate_routit(reference, demand)
    with place(maker, "undisturbed", reference) as (url, folder, forks):
        child = start(forks, folder, made.path, rows)
        assert child.wait_for(CLAIMED), child.said()
        began_s = time.monotonic()
        assert child.wait().code == 0, child.said()
        seconds = time.monotonic() - began_s
        delivery = Delivery(made.path, made.expected, rows, results(url), seconds)
        require(url, folder, delivery)
    return delivery


def require(url: str, folder: Path, delivery: Delivery) -> None:
    """The oracle: each record once, to the micro, and nothing locked or left over."""
    expected = delivery.expected
    with World(url, folder) as world:
        assert world.audit() == []
        (row,) = world.app.imports.recent(2)
        outcome = row.outcome
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
    assert ask(url, "SELECT COUNT(*) FROM lease WHERE owner IS NOT NULL") == [(0,)]
    final = [each for each in (folder / "storage").glob("??/*") if each.is_file()]
    assert [each.stat().st_size for each in final] == [delivery.path.stat().st_size]
    assert results(url) == (delivery.undisturbed or results(url))


def test_an_import_killed_at_random_moments_loads_each_record_once(
    maker: Maker, run: Run
) -> None:
    kills = run.rounds(usual=120, quick=8)
    delivery = make_delivery(maker, run)
    reference = delivery.path.parent

    def lane(number: int, share: int) -> Tally:
        chance, tally = run.chance(number), Tally()
        while tally.kills < share:
            name = f"{number}-{tally.imports}"
            with place(maker, name, reference) as (url, folder, forks):
                tally.kills += killed_until_done(forks, folder, delivery, chance)
                require(url, folder, delivery)
                assert leaks(folder, maker.secret) == []
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


def killed_until_done(forks: Forks, folder: Path, delivery: Delivery, chance: Random) -> int:
    """Kill one worker after the other at a random moment, until one is quicker."""
    kills = 0
    while True:
        child = start(forks, folder, delivery.path, delivery.rows)
        if chance.random() < 0.1:  # before it has claimed anything
            child.wait_s(chance.uniform(0, 0.5))
        else:
            child.wait_for(CLAIMED)
            child.wait_s(chance.uniform(0, delivery.seconds * LANES / 2))
        child.signal(signal.SIGKILL)
        ended = child.wait()
        assert ended.code in (0, -signal.SIGKILL), ended.said
        if ended.code == 0:
            return kills
        kills += 1


def test_an_import_paused_past_its_lease_writes_nothing_more(
    maker: Maker, run: Run
) -> None:
    pauses = run.rounds(usual=20, quick=4)
    delivery = make_delivery(maker, run)
    reference = delivery.path.parent

    def lane(number: int, share: int) -> Tally:
        chance, tally = run.chance(number), Tally()
        while tally.kills < share:
            name = f"{number}-{tally.imports}"
            with place(maker, name, reference) as (url, folder, forks):
                tally.kills += paused_and_overtaken(forks, url, folder, delivery, chance)
                require(url, folder, delivery)
            tally.imports += 1
        return tally

    total = sum(run.in_lanes(pauses, lane), Tally())
    run.tell(owners_paused=total.kills, imports=total.imports, stale_commits=0)


def paused_and_overtaken(
    forks: Forks, url: str, folder: Path, delivery: Delivery, chance: Random
) -> int:
    """Pause an owner between two commits, let another finish, wake it up."""
    first = start(forks, folder, delivery.path, delivery.rows)
    first.wait_for(CLAIMED)
    first.wait_s(chance.uniform(0, delivery.seconds))
    if not is_paused_outside_a_commit(first, url):
        assert first.wait().code == 0
        return 0
    second = start(forks, folder, delivery.path, delivery.rows).wait()
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
    while tally.kills < kills:
        with place(maker, str(tally.imports), delivery.path.parent) as (url, folder, forks):
            is_done = False
            while not is_done:
                before = committed(url)
                child = start(forks, folder, delivery.path, delivery.rows)
                child.wait_for(CLAIMED)
                child.wait_s(chance.uniform(0, delivery.seconds * 1.2))
                is_alive = not child.has_ended()
                own_server.kill()
                acknowledged = child.passed().count(COMMITTED)
                own_server.start()
                tally.kills += is_alive
                assert committed(url) >= before + acknowledged
                ended = child.wait()
                assert ended.code in (0, 3), ended.said
                is_done = ended.code == 0
                went_on += is_alive and is_done
            require(url, folder, delivery)
            assert leaks(folder, maker.secret) == []
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
