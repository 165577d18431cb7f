"""Reference data: customers, what belongs to whom, and the feeds, kept and read back.

Effects: the database. What was loaded is remembered by its hash, so that loading the same
content again writes nothing; what a folder has no file for stays as it is.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

import polars as pl

from loaders.database import Database, Transaction
from loaders.rate_plans import (
    mark_cycles,
    plan_currencies,
    plans_sha256,
    replace_assignments,
    replace_plans,
)
from loaders.totals import TotalsStore
from transforms.cdr import INSTANT, Schema, require
from transforms.reference import (
    CUSTOMER_RATE_PLANS,
    CUSTOMERS,
    SUBSCRIPTIONS,
    RatePlanText,
    Reference,
    SyncProfile,
    plan_faults,
    refuse,
    settings_from_json,
    settings_json,
    unknown_owners,
)

IDS_PER_QUERY: Final = 500

_FEEDS: Final[Schema] = {
    "id": pl.Int64(),
    "provider": pl.String(),
    "enabled": pl.Int64(),
    "every_minutes": pl.Int64(),
    "last_sync_at": INSTANT,
    "settings": pl.String(),
}


@dataclass(frozen=True)
class StoredSyncProfile:
    """A feed as the database knows it; ``last_sync_at`` is by the database's clock."""

    id: int
    profile: SyncProfile
    last_sync_at: datetime | None


class ReferenceStore:
    """The door for reference data."""

    def __init__(self, database: Database) -> None:
        """Remember the database; nothing is opened."""
        self._database = database

    def replace(self, reference: Reference) -> dict[str, int]:
        """Replace what the folder had files for, in one transaction.

        Returns:
            By file, how many rows were added, changed or removed; 0 when its content is
            what was loaded before, in which case nothing was written.

        Raises:
            ConfigError: When a subscription would belong to no customer, a customer with
                call detail records would disappear, or a customer would have a rate plan
                that is not there or is in another currency.
        """
        totals = TotalsStore(self._database)
        return self._database.run(lambda tx: _replace(tx, reference, totals))

    def customers(self) -> pl.DataFrame:
        """Read every customer (CUSTOMERS), sorted by id."""
        with self._database.snapshot() as tx:
            return tx.frame("reference/customers", CUSTOMERS)

    def subscriptions(self) -> pl.DataFrame:
        """Read every subscription (SUBSCRIPTIONS)."""
        with self._database.snapshot() as tx:
            return tx.frame("reference/subscriptions", SUBSCRIPTIONS)

    def sync_profiles(self) -> tuple[StoredSyncProfile, ...]:
        """Read every feed, by provider."""
        with self._database.snapshot() as tx:
            return _stored_feeds(tx)


def _replace(tx: Transaction, reference: Reference, totals: TotalsStore) -> dict[str, int]:
    changed: dict[str, int] = {}
    before = tx.frame("reference/customers", CUSTOMERS)
    if reference.customers is not None:
        changed["customers"] = _replace_customers(tx, reference.customers, before)
    if reference.subscriptions is not None:
        changed["subscriptions"] = _replace_subscriptions(tx, reference.subscriptions)
    _check_owners(tx, reference, before)
    if reference.sync_profiles is not None:
        changed["sync_profiles"] = _replace_feeds(tx, reference.sync_profiles)
    if reference.rate_plans is not None:
        changed["rate_plans"] = _replace_plans(tx, reference.rate_plans, totals)
    if reference.customer_rate_plans is not None:
        changed["customer_rate_plans"] = _replace_assignments(
            tx, reference.customer_rate_plans, totals
        )
    _check_plans(tx)
    return changed


def _replace_plans(
    tx: Transaction, plans: tuple[RatePlanText, ...], totals: TotalsStore
) -> int:
    """Replace the plans; whoever has one that changed is rated again."""
    if not _is_new(tx, "rate_plans", plans_sha256(plans)):
        return 0
    names = replace_plans(tx, plans)
    assigned = tx.frame("rate_plan/assignments", CUSTOMER_RATE_PLANS)
    touched = assigned.filter(pl.col("rate_plan").is_in(names))
    mark_cycles(tx, totals, touched, "rate plan changed")
    return len(names)


def _replace_assignments(
    tx: Transaction, assignments: pl.DataFrame, totals: TotalsStore
) -> int:
    rows = require(assignments, CUSTOMER_RATE_PLANS, "ReferenceStore.replace plans")
    if not _is_new(tx, "customer_rate_plans", _frame_sha256(rows)):
        return 0
    moved = replace_assignments(tx, rows)
    mark_cycles(tx, totals, moved, "another rate plan")
    return moved.height


def _check_plans(tx: Transaction) -> None:
    """Prove that who has which plan fits together, of whichever file it came."""
    assigned = tx.frame("rate_plan/assignments", CUSTOMER_RATE_PLANS)
    if assigned.is_empty():
        return
    customers = tx.frame("reference/customers", CUSTOMERS)
    faults = plan_faults(assigned, plan_currencies(tx), customers)
    if faults:
        refuse(faults)


def _check_owners(tx: Transaction, reference: Reference, before: pl.DataFrame) -> None:
    """Prove that what is stored now, of either file, still fits together."""
    customers = before if reference.customers is None else reference.customers
    subscriptions = reference.subscriptions
    if subscriptions is None:
        subscriptions = tx.frame("reference/subscriptions", SUBSCRIPTIONS)
    faults = unknown_owners(subscriptions, customers["customer_id"].to_list())
    if faults:
        refuse(faults)


def _replace_customers(
    tx: Transaction, customers: pl.DataFrame, before: pl.DataFrame
) -> int:
    rows = require(customers, CUSTOMERS, "ReferenceStore.replace customers")
    if not _is_new(tx, "customers", _frame_sha256(rows)):
        return 0
    removed = before.join(rows, on="customer_id", how="anti")["customer_id"].to_list()
    _refuse_removal(tx, removed)
    tx.execute("reference/clear_customers")
    tx.load("customer", rows)
    return _changed(rows, before) + len(removed)


def _refuse_removal(tx: Transaction, customer_ids: list[int]) -> None:
    faults: list[str] = []
    for start in range(0, len(customer_ids), IDS_PER_QUERY):
        page = customer_ids[start : start + IDS_PER_QUERY]
        rows = tx.rows("reference/customers_with_records", customer_ids=page)
        faults.extend(
            f"customers.csv: customer {row['customer_id']} is gone but has call detail"
            f" records; keep the line and end the subscriptions instead"
            for row in rows
        )
    if faults:
        refuse(faults)


def _replace_subscriptions(tx: Transaction, subscriptions: pl.DataFrame) -> int:
    rows = require(subscriptions, SUBSCRIPTIONS, "ReferenceStore.replace subscriptions")
    if not _is_new(tx, "subscriptions", _frame_sha256(rows)):
        return 0
    before = tx.frame("reference/subscriptions", SUBSCRIPTIONS)
    tx.execute("reference/clear_subscriptions")
    tx.load("subscription", rows)
    return _changed(rows, before) + _changed(before, rows)


def _changed(rows: pl.DataFrame, others: pl.DataFrame) -> int:
    """How many rows have no equal among the others."""
    return rows.join(others, on=rows.columns, how="anti", nulls_equal=True).height


def _replace_feeds(tx: Transaction, feeds: tuple[SyncProfile, ...]) -> int:
    wanted = {feed.provider: _feed_row(feed) for feed in feeds}
    text = json.dumps(sorted(wanted.items()), ensure_ascii=False)
    if not _is_new(tx, "sync_profiles", sha256(text.encode()).hexdigest()):
        return 0
    stored = {each.profile.provider: _feed_row(each.profile) for each in _stored_feeds(tx)}
    gone = [provider for provider in stored if provider not in wanted]
    changed = [row for provider, row in wanted.items() if stored.get(provider) != row]
    for provider in gone:
        tx.execute("reference/remove_sync_profile", provider=provider)
    for row in changed:
        step = "update" if row["provider"] in stored else "add"
        tx.execute(f"reference/{step}_sync_profile", **row)
    return len(changed) + len(gone)


def _feed_row(feed: SyncProfile) -> dict[str, str | int]:
    return {
        "provider": feed.provider,
        "enabled": int(feed.enabled),
        "every_minutes": feed.every_minutes,
        "settings": settings_json(feed.settings),
    }


def _stored_feeds(tx: Transaction) -> tuple[StoredSyncProfile, ...]:
    frame = tx.frame("reference/sync_profiles", _FEEDS)
    return tuple(
        StoredSyncProfile(
            id=feed_id,
            profile=SyncProfile(
                provider, settings_from_json(settings), bool(enabled), every_minutes
            ),
            last_sync_at=last_sync_at,
        )
        for feed_id, provider, enabled, every_minutes, last_sync_at, settings in (
            frame.iter_rows()
        )
    )


def _is_new(tx: Transaction, name: str, digest: str) -> bool:
    """Tell whether content differs from what was loaded last, and remember it if so."""
    row = tx.row("reference/state", name=name)
    if row is not None and row["sha256"] == digest:
        return False
    tx.execute("reference/forget", name=name)
    tx.execute("reference/remember", name=name, sha256=digest)
    return True


def _frame_sha256(rows: pl.DataFrame) -> str:
    digest = sha256()
    for row in rows.iter_rows():
        digest.update(json.dumps(row, ensure_ascii=False, default=str).encode())
        digest.update(b"\n")
    return digest.hexdigest()
