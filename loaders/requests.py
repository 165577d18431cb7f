"""Delivery requests: what a provider calls the delivery we asked it for, and how far it is.

Effects: the database. One row for an account and period of a provider; it survives a kill
between asking and downloading, so that a period is asked for once.
"""

from dataclasses import dataclass
from typing import Literal

from loaders.database import Database, Transaction

Status = Literal["requested", "ready", "downloaded"]


@dataclass(frozen=True)
class RequestedDelivery:
    """One account and period of a provider, and how far its delivery is."""

    provider: str
    account: str
    period: str
    request_id: str
    status: Status
    import_id: int | None = None


class DeliveryRequests:
    """The door for delivery requests."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def find(self, provider: str, account: str, period: str) -> RequestedDelivery | None:
        """Return the request of an account and period, or None when it was never made."""
        with self._database.snapshot() as tx:
            return _find(tx, provider, account, period)

    def keep(self, asked: RequestedDelivery) -> None:
        """Write how far a request is; a later call replaces what an earlier one said."""
        self._database.run(lambda tx: self.keep_in(tx, asked))

    def keep_in(self, tx: Transaction, asked: RequestedDelivery) -> None:
        """Write how far a request is, inside the caller's transaction."""
        values = dict(vars(asked))
        if _find(tx, asked.provider, asked.account, asked.period) is None:
            values.pop("import_id")
            tx.execute("feed/keep_request", **values)
        else:
            tx.execute("feed/move_request", **values)


def _find(
    tx: Transaction, provider: str, account: str, period: str
) -> RequestedDelivery | None:
    row = tx.row("feed/request", provider=provider, account=account, period=period)
    if row is None:
        return None
    import_id = None if row["import_id"] is None else int(row["import_id"])
    return RequestedDelivery(
        provider, account, period, row["request_id"], row["status"], import_id
    )
