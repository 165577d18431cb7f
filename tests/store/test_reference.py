"""Reference data in both stores: replaced whole, remembered, read back as it was."""

from dataclasses import replace
from datetime import date, datetime

import polars as pl
import pytest

from loaders.database import Database
from loaders.imports import STORED
from loaders.reference import ReferenceStore
from transforms.errors import ConfigError
from transforms.reference import (
    CUSTOMERS,
    SUBSCRIPTIONS,
    Reference,
    SyncProfile,
    SyncSettings,
)


def customers(*rows: tuple[int, str]) -> pl.DataFrame:
    full = [(cid, name, "Europe/Amsterdam", 31, "EUR", '{"a": "é"}') for cid, name in rows]
    return pl.DataFrame(full, CUSTOMERS, orient="row")


def subscriptions(*rows: tuple[str, int]) -> pl.DataFrame:
    full = [("line", line, owner, None, date(2027, 1, 1)) for line, owner in rows]
    return pl.DataFrame(full, SUBSCRIPTIONS, orient="row")


FEED = SyncProfile("routit", SyncSettings("folder", folder="drop"), every_minutes=15)
WHOLE = Reference(
    customers((1, "Eerste"), (2, "Tweede")), subscriptions(("A", 1), ("B", 2)), (FEED,)
)


def test_what_was_loaded_is_read_back(database: Database) -> None:
    store = ReferenceStore(database)

    changed = store.replace(WHOLE)

    assert changed == {"customers": 2, "subscriptions": 2, "sync_profiles": 1}
    assert WHOLE.customers is not None
    assert store.customers().equals(WHOLE.customers)
    assert WHOLE.subscriptions is not None
    assert store.subscriptions().equals(WHOLE.subscriptions)
    assert [each.profile for each in store.sync_profiles()] == [FEED]
    assert store.sync_profiles()[0].last_sync_at is None


def test_the_same_content_again_writes_nothing(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)

    assert store.replace(WHOLE) == {
        "customers": 0,
        "subscriptions": 0,
        "sync_profiles": 0,
    }


def test_only_what_changed_is_counted(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)

    changed = store.replace(
        Reference(
            customers((1, "Eerste"), (2, "Anders"), (3, "Derde")),
            subscriptions(("A", 1), ("B", 3)),
        )
    )

    assert changed == {"customers": 2, "subscriptions": 2}
    assert store.customers()["name"].to_list() == ["Eerste", "Anders", "Derde"]
    assert store.subscriptions()["customer_id"].to_list() == [1, 3]


def test_a_file_that_is_not_there_changes_nothing(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)

    changed = store.replace(Reference(subscriptions=subscriptions(("C", 2))))

    assert changed == {"subscriptions": 2 + 1}
    assert store.customers().height == 2
    assert len(store.sync_profiles()) == 1


def test_a_feed_that_changes_keeps_its_id_and_its_last_sync(database: Database) -> None:
    store = ReferenceStore(database)
    other = SyncProfile("kpn_een", SyncSettings("folder", folder="kpn"))
    store.replace(Reference(sync_profiles=(FEED, other)))
    before = {each.profile.provider: each.id for each in store.sync_profiles()}

    changed = store.replace(Reference(sync_profiles=(replace(FEED, enabled=False),)))

    after = store.sync_profiles()
    assert changed == {"sync_profiles": 2}
    assert [(each.id, each.profile.enabled) for each in after] == [
        (before["routit"], False)
    ]


def test_a_subscription_of_an_unknown_customer_changes_nothing(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)

    with pytest.raises(ConfigError, match="customer 9 owns subscriptions"):
        store.replace(Reference(subscriptions=subscriptions(("C", 9))))

    assert store.subscriptions()["identifier"].to_list() == ["A", "B"]


def test_a_customer_that_owns_a_subscription_cannot_disappear(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)

    with pytest.raises(ConfigError, match="customer 2 owns subscriptions"):
        store.replace(Reference(customers=customers((1, "Eerste"))))

    assert store.customers().height == 2


def test_a_customer_with_records_cannot_disappear(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(WHOLE)
    record: dict[str, object] = {
        **dict.fromkeys(STORED),
        "customer_id": 2,
        "call_date": datetime(2026, 10, 1),  # noqa: DTZ001 - a wall clock
        "started_at_utc": datetime(2026, 10, 1),  # noqa: DTZ001 - naive UTC
        "import_id": 1,
        "member": "a.csv",
        "line_no": 2,
        "provider": "routit",
        "layout": "mobile",
        "subscriber": "B",
        "other_kind": "none",
        "direction": "out",
        "usage_type": "voice",
        "currency": "EUR",
        "flags": "",
        "fingerprint": 1,
    }
    with database.transaction() as tx:
        tx.load("call_detail_record", pl.DataFrame([record], STORED))

    with pytest.raises(ConfigError, match="customer 2 is gone but has call detail records"):
        store.replace(
            Reference(customers((1, "Eerste")), subscriptions(("A", 1)), sync_profiles=None)
        )

    assert store.customers().height == 2
