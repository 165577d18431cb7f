"""Named leases: one live owner for one thing, such as the imports of one provider.

Effects: the database. A lease ends by the database's clock, never by a worker's, and each
time it changes hands its fence rises: an owner who wakes up late holds an old fence and
cannot commit. Rows of ``lease`` are never deleted, so a fence never starts again.

Units: ``lease_s`` seconds until a silent owner loses the lease.
"""

from dataclasses import dataclass
from typing import NoReturn

from loaders.database import Database, Transaction
from transforms.errors import FenceLost, LeaseHeld


@dataclass(frozen=True)
class Lease:
    """A lease as it was taken: whose it is, and the fence that proves it."""

    name: str
    owner: str
    fence: int


class Leases:
    """The door for named leases."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def acquire(self, name: str, owner: str, lease_s: float) -> Lease:
        """Take a lease that is free, or whose owner has been silent for too long.

        A lease that is live is held also against its own owner: take it once, hand the
        value on.

        Raises:
            LeaseHeld: When another owner lives; the message names it and until when.
        """

        def take(tx: Transaction) -> Lease:
            tx.execute("lease/ensure", name=name)
            taken = tx.execute("lease/acquire", name=name, owner=owner, lease_s=lease_s)
            if not taken:
                _refuse(tx, name)
            return Lease(name, owner, _fence(tx, name))

        return self._database.run(take)

    def require(self, tx: Transaction, lease: Lease, lease_s: float) -> None:
        """Prove in the caller's transaction that the lease is still ours, and extend it.

        The row stays locked until the transaction ends, so nobody takes the lease over
        between this check and the commit.

        Raises:
            FenceLost: When another owner took the lease; the transaction must not commit.
        """
        held = tx.execute(
            "lease/require",
            name=lease.name,
            owner=lease.owner,
            fence=lease.fence,
            lease_s=lease_s,
        )
        if held != 1:
            message = (
                f"lease {lease.name} (fence {lease.fence}) was taken over; "
                "what was not committed is undone, the new owner goes on"
            )
            raise FenceLost(message)

    def renew(self, lease: Lease, lease_s: float) -> None:
        """Extend the lease while no transaction of its owner does.

        Raises:
            FenceLost: When another owner took the lease.
        """
        self._database.run(lambda tx: self.require(tx, lease, lease_s))

    def release(self, lease: Lease) -> None:
        """Give the lease back; one that was taken over meanwhile is left alone."""
        self._database.run(
            lambda tx: tx.execute(
                "lease/release", name=lease.name, owner=lease.owner, fence=lease.fence
            )
        )

    def signal(self, name: str) -> None:
        """Raise the number of a signal that others watch, such as ``stop workers``."""

        def raise_number(tx: Transaction) -> None:
            tx.execute("lease/ensure", name=name)
            tx.execute("lease/signal", name=name)

        self._database.run(raise_number)

    def signals(self, name: str) -> int:
        """Return how often a signal was given; who sees it change acts on it."""
        with self._database.snapshot() as tx:
            return _fence(tx, name)


def _fence(tx: Transaction, name: str) -> int:
    row = tx.row("lease/find", name=name)
    return 0 if row is None else int(row["fence"])


def _refuse(tx: Transaction, name: str) -> NoReturn:
    row = tx.row("lease/find", name=name)
    owner, until = (None, None) if row is None else (row["owner"], row["lease_until"])
    message = (
        f"lease {name} is held by {owner} until {until} (database clock); "
        "wait for it to end, then run again"
    )
    raise LeaseHeld(message)
