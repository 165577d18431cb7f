"""Rate plans in both stores: every version kept, what does not fit together refused."""

from datetime import date, datetime, timedelta

import polars as pl
import pytest

from loaders.database import Database
from loaders.imports import STORED
from loaders.rate_plans import RatePlanStore
from loaders.reference import ReferenceStore
from loaders.totals import TotalsStore
from transforms.errors import ConfigError, StoreError
from transforms.reference import CUSTOMER_RATE_PLANS, CUSTOMERS, RatePlanText, Reference

PEOPLE = pl.DataFrame(
    [
        (1, "Eerste", "Europe/Amsterdam", 1, "EUR", "{}"),
        (2, "Tweede", "UTC", 1, "GBP", "{}"),
    ],
    CUSTOMERS,
    orient="row",
)
OCTOBER = date(2026, 10, 1)


def plan(name: str, version: str, currency: str = "EUR") -> RatePlanText:
    return RatePlanText(name, version, currency, date(2026, 1, 1), None, '{"plan": "é"}')


def given(*rows: tuple[int, str]) -> pl.DataFrame:
    full = [(customer, name, None, None) for customer, name in rows]
    return pl.DataFrame(full, CUSTOMER_RATE_PLANS, orient="row")


def stored(database: Database) -> list[tuple[str, str, int]]:
    with database.snapshot() as tx:
        found = RatePlanStore(database).plans_in(tx, ["office", "cheap"])
    return [(each.id, each.version, len(each.document)) for each in found]


def test_the_newest_version_of_a_plan_is_used_and_the_older_one_comes_back(
    database: Database,
) -> None:
    store = ReferenceStore(database)
    store.replace(Reference(PEOPLE, rate_plans=(plan("office", "1"), plan("cheap", "1"))))

    changed = store.replace(Reference(rate_plans=(plan("office", "2"),)))

    assert changed == {"rate_plans": 2}  # one is another version, one is gone
    assert stored(database) == [("office", "2", 13)]
    assert store.replace(Reference(rate_plans=(plan("office", "2"),))) == {"rate_plans": 0}
    assert store.replace(Reference(rate_plans=(plan("office", "1"),))) == {"rate_plans": 1}
    assert stored(database) == [("office", "1", 13)]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ((1, "offise"), "there is no rate plan offise; did you mean office?"),
        ((9, "office"), "customer 9 is not in customers.csv"),
        ((2, "office"), "customer 2 pays in GBP, but rate plan office is in EUR"),
    ],
)
def test_a_plan_that_does_not_fit_its_customer_is_refused_whole(
    database: Database, row: tuple[int, str], message: str
) -> None:
    store = ReferenceStore(database)
    store.replace(Reference(PEOPLE, rate_plans=(plan("office", "1"),)))

    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        store.replace(Reference(customer_rate_plans=given((1, "office"), row)))

    with database.snapshot() as tx:
        assert RatePlanStore(database).assignments_in(tx).is_empty()


def test_a_plan_that_somebody_has_cannot_disappear(database: Database) -> None:
    store = ReferenceStore(database)
    store.replace(
        Reference(
            PEOPLE,
            rate_plans=(plan("office", "1"),),
            customer_rate_plans=given((1, "office")),
        )
    )

    with pytest.raises(ConfigError, match="there is no rate plan office"):
        store.replace(Reference(rate_plans=(plan("cheap", "1"),)))

    assert stored(database) == [("office", "1", 13)]


# --- reading records, whole customers at a time ---------------------------------------


def store_calls(database: Database, counts: dict[int, int]) -> pl.DataFrame:
    """Give customers so many calls in October; return their cycles."""
    nine = datetime(2026, 10, 5, 9)  # noqa: DTZ001 - a wall clock
    rows = [
        {
            **dict.fromkeys(STORED),
            "import_id": 1,
            "member": "a.csv",
            "line_no": number,
            "provider": "routit",
            "layout": "mobile",
            "other_kind": "none",
            "currency": "EUR",
            "flags": "",
            "customer_id": customer,
            "call_date": nine + timedelta(seconds=number),
            "started_at_utc": nine,
            "subscriber": "A",
            "usage_type": "voice",
            "direction": "out",
            "duration_s": 60,
            "fingerprint": number,
            "cost_micros": 40_500,
        }
        for customer, count in counts.items()
        for number in range(count)
    ]
    with database.transaction() as tx:
        tx.load("call_detail_record", pl.DataFrame(rows, STORED))
    return pl.DataFrame(
        {
            "customer_id": list(counts),
            "cycle_start_date": OCTOBER,
            "cycle_end_date": date(2026, 11, 1),
        },
        schema_overrides={"customer_id": pl.Int64()},
    )


def test_pages_hold_whole_customers_and_every_record_once(database: Database) -> None:
    pairs = store_calls(database, {1: 3, 2: 4, 3: 50, 4: 1, 5: 2})
    store = TotalsStore(database)

    with database.snapshot() as tx:
        pages = list(store.customers_records(tx, pairs, page_rows=5))

    seen = [customer for page in pages for customer in page["customer_id"].unique()]
    assert sorted(seen) == [1, 2, 3, 4, 5]
    assert sum(page.height for page in pages) == 60


def test_a_copy_that_is_short_is_never_rated(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    pairs = store_calls(database, {1: 3})
    store = TotalsStore(database)

    with database.snapshot() as tx:
        whole = tx.frames

        def short(path: str, /, *words: object, **more: object) -> object:
            for frame in whole(path, *words, **more):  # type: ignore[arg-type]
                yield frame.head(2) if path == "rate_plan/records" else frame

        monkeypatch.setattr(tx, "frames", short)
        with pytest.raises(StoreError, match="2 of 3 records"):
            list(store.customers_records(tx, pairs))
