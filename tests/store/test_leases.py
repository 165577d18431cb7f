"""Named leases: one live owner, by the database's clock, with a fence that only rises."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from loaders.database import Database
from loaders.leases import Lease, Leases
from transforms.errors import FenceLost, LeaseHeld

NAME = "import:routit"


def test_a_free_lease_is_taken_and_given_back(database: Database) -> None:
    leases = Leases(database)

    first = leases.acquire(NAME, "night-1", 60)
    leases.release(first)
    second = leases.acquire(NAME, "night-2", 60)

    assert first == Lease(NAME, "night-1", 1)
    assert second == Lease(NAME, "night-2", 2)


def test_a_live_lease_is_refused_naming_its_owner(database: Database) -> None:
    leases = Leases(database)
    leases.acquire(NAME, "night-1", 60)

    with pytest.raises(
        LeaseHeld, match=r"import:routit is held by night-1 until 20"
    ) as refused:
        leases.acquire(NAME, "night-2", 60)

    assert refused.value.exit_code == 75


def test_leases_of_two_names_do_not_meet(database: Database) -> None:
    leases = Leases(database)

    leases.acquire(NAME, "night-1", 60)

    assert leases.acquire("import:voiceco", "night-2", 60).fence == 1


def test_of_ten_who_ask_together_one_gets_the_lease(database: Database) -> None:
    leases = Leases(database)
    together = Barrier(10)

    def ask(number: int) -> str:
        together.wait()
        try:
            return leases.acquire(NAME, f"owner-{number}", 60).owner
        except LeaseHeld:
            return "refused"

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(ask, range(10)))

    assert answers.count("refused") == 9


def test_a_silent_owner_loses_the_lease_and_cannot_commit(database: Database) -> None:
    leases = Leases(database)
    silent = leases.acquire(NAME, "night-1", 0.1)
    time.sleep(0.2)
    new = leases.acquire(NAME, "night-2", 60)

    def late_write() -> None:
        with database.transaction() as tx:
            tx.execute("lease/ensure", name="written late")
            tx.execute("lease/signal", name="written late")
            leases.require(tx, silent, 60)

    with pytest.raises(FenceLost, match=r"import:routit \(fence 1\) was taken over"):
        late_write()
    assert leases.signals("written late") == 0
    assert new.fence == 2


def test_an_old_fence_is_refused_also_under_the_same_name(database: Database) -> None:
    leases = Leases(database)
    old = leases.acquire(NAME, "night-1", 0.1)
    time.sleep(0.2)
    new = leases.acquire(NAME, "night-1", 60)

    with pytest.raises(FenceLost):
        leases.renew(old, 60)
    leases.release(old)
    leases.renew(new, 60)


def test_an_owner_who_keeps_committing_keeps_the_lease(database: Database) -> None:
    leases = Leases(database)
    lease = leases.acquire(NAME, "night-1", 0.2)
    with database.transaction() as tx:
        leases.require(tx, lease, 60)
    time.sleep(0.3)

    with pytest.raises(LeaseHeld):
        leases.acquire(NAME, "night-2", 60)


def test_renewing_extends_a_lease_outside_any_other_transaction(database: Database) -> None:
    leases = Leases(database)
    lease = leases.acquire(NAME, "night-1", 0.2)
    leases.renew(lease, 60)
    time.sleep(0.3)

    with pytest.raises(LeaseHeld):
        leases.acquire(NAME, "night-2", 60)


def test_giving_back_a_lost_lease_leaves_the_new_owner_alone(database: Database) -> None:
    leases = Leases(database)
    silent = leases.acquire(NAME, "night-1", 0.1)
    time.sleep(0.2)
    leases.acquire(NAME, "night-2", 60)

    leases.release(silent)

    with pytest.raises(LeaseHeld, match="held by night-2"):
        leases.acquire(NAME, "night-3", 60)


def test_a_signal_is_seen_by_whoever_watches_it(database: Database) -> None:
    leases = Leases(database)
    before = leases.signals("stop workers")

    leases.signal("stop workers")

    assert (before, leases.signals("stop workers")) == (0, 1)
