"""Findings in both stores: told once, replaced when their figures change, acknowledged."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date

import polars as pl
import pytest

from loaders.database import Database, Transaction
from loaders.insights import (
    InsightStore,
    Settled,
    record_insight,
    settle,
    settle_about,
    standing,
)
from transforms.insights import Insight

OCTOBER = date(2026, 10, 1)

JUMP = Insight(
    "usage_jump",
    "warning",
    {"total_micros": 60_000_000, "since": OCTOBER, "who": "é"},
    customer_id=7,
    cycle_start_date=OCTOBER,
    subject="2026-10-01",
)
GRAVER = replace(JUMP, severity="alarm", evidence={"total_micros": 120_000_000})
HIGHER = replace(JUMP, evidence={"total_micros": 61_000_000})


@pytest.fixture
def store(database: Database) -> InsightStore:
    return InsightStore(database)


def look(database: Database, *found: Insight) -> Settled:
    """Look at customer 7, find this, and settle it."""
    with database.transaction() as tx:
        return settle(tx, found, standing(tx, ["usage_jump", "call_burst"], [7]))


def subjects(store: InsightStore) -> list[str]:
    """What stands, oldest first."""
    kept = [store.find(row["id"]) for row in reversed(store.listed(is_all=True))]
    return [str(row["subject"]) for row in kept if row is not None]


def told(store: InsightStore, *, is_all: bool = True) -> list[tuple[object, ...]]:
    names = ("id", "severity", "acknowledged_by")
    return [
        tuple(row[name] for name in names) for row in reversed(store.listed(is_all=is_all))
    ]


def test_the_same_finding_again_is_the_same_row(
    database: Database, store: InsightStore
) -> None:
    assert look(database, JUMP) == Settled(new=1)
    assert look(database, JUMP) == Settled()
    assert told(store) == [(1, "warning", None)]
    (row,) = store.listed()
    assert row["evidence"] == {
        "total_micros": 60_000_000,
        "since": "2026-10-01",
        "who": "é",
    }
    assert (row["customer_id"], row["cycle_start_date"]) == (7, OCTOBER)


def test_a_finding_with_other_figures_takes_the_place_of_the_one_before(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP)
    assert look(database, HIGHER) == Settled(changed=1)
    assert told(store) == [(2, "warning", None)]
    first = store.find(1)
    assert first is not None
    assert (first["is_replaced"], first["replaced_by"]) == (1, 2)


def test_a_finding_that_is_no_longer_so_stands_no_more(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP)
    assert look(database) == Settled(gone=1)
    assert told(store) == []
    first = store.find(1)
    assert first is not None
    assert (first["is_replaced"], first["replaced_by"]) == (1, None)


def test_what_was_found_before_and_is_so_again_stands_again(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP)
    look(database, HIGHER)
    assert look(database, JUMP) == Settled(changed=1)
    assert told(store) == [(1, "warning", None)]
    look(database)
    assert look(database, JUMP) == Settled(new=1)
    assert told(store) == [(1, "warning", None)]


def test_two_subjects_of_a_customer_stand_side_by_side(
    database: Database, store: InsightStore
) -> None:
    november = replace(JUMP, subject="2026-11-01", cycle_start_date=date(2026, 11, 1))
    assert look(database, JUMP, november) == Settled(new=2)
    assert look(database, HIGHER, november) == Settled(changed=1)
    assert subjects(store) == ["2026-11-01", "2026-10-01"]


def test_findings_about_others_are_left_alone(
    database: Database, store: InsightStore
) -> None:
    with database.transaction() as tx:
        record_insight(tx, replace(JUMP, customer_id=8))
        record_insight(tx, replace(JUMP, kind="negative_margin"))
    look(database, JUMP)
    assert look(database) == Settled(gone=1)
    assert [row[0] for row in told(store)] == [1, 2]


def test_who_looks_at_the_same_time_tells_it_once(
    database: Database, store: InsightStore
) -> None:
    def at_once(number: int) -> Settled:
        found = (JUMP, replace(JUMP, customer_id=100 + number))

        def work(tx: Transaction) -> Settled:
            return settle(tx, found, standing(tx, ["usage_jump"], [7, 100 + number]))

        return database.run(work)

    with ThreadPoolExecutor(4) as several:
        settled = list(several.map(at_once, range(8)))
    assert sum(each.new for each in settled) == 9
    assert len(store.listed()) == 9


# --- acknowledged -------------------------------------------------------------------------


def test_an_insight_is_acknowledged_once_and_the_first_who_did_stays(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP)
    assert store.acknowledge(1, "A. Jansen", "called them")
    assert not store.acknowledge(1, "B. Bakker", None)
    (row,) = store.listed(is_all=True)
    assert (row["acknowledged_by"], row["note"]) == ("A. Jansen", "called them")
    assert row["acknowledged_at"] >= row["created_at"]
    assert store.listed() == []


STAYS: list[tuple[str, Insight, str | None]] = [
    ("as grave as before", HIGHER, "A. Jansen"),
    ("graver", GRAVER, None),
]


@pytest.mark.parametrize(
    ("after", "by"), [each[1:] for each in STAYS], ids=[each[0] for each in STAYS]
)
def test_an_acknowledgement_holds_until_it_gets_graver(
    database: Database, store: InsightStore, after: Insight, by: str | None
) -> None:
    look(database, JUMP)
    store.acknowledge(1, "A. Jansen", "called them")
    look(database, after)
    (row,) = store.listed(is_all=True)
    assert (row["id"], row["acknowledged_by"]) == (2, by)
    assert row["note"] == (None if by is None else "called them")


# --- one subject --------------------------------------------------------------------------


def about_import(number: int, side: str, cents: int) -> Insight:
    return Insight(
        "provider_invoice",
        "warning",
        {"difference_micros": cents * 10_000},
        provider="routit",
        subject=f"import {number} {side}",
    )


def differences(database: Database, about: str, *found: Insight) -> Settled:
    with database.transaction() as tx:
        return settle_about(tx, "provider_invoice", about, found)


def test_a_difference_that_was_mended_stands_no_more(
    database: Database, store: InsightStore
) -> None:
    delivery, invoice = about_import(1, "delivery", 5), about_import(1, "invoice", 7)
    other = about_import(10, "delivery", 9)
    assert differences(database, "import 1", delivery, invoice) == Settled(new=2)
    assert differences(database, "import 10", other) == Settled(new=1)
    assert differences(database, "import 1 invoice") == Settled(gone=1)
    assert subjects(store) == ["import 1 delivery", "import 10 delivery"]
    assert differences(database, "import 1") == Settled(gone=1)
    assert subjects(store) == ["import 10 delivery"]


# --- the list -----------------------------------------------------------------------------


def test_the_list_is_asked_by_customer_kind_and_day(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP, replace(JUMP, kind="call_burst"))
    with database.transaction() as tx:
        record_insight(tx, replace(JUMP, customer_id=8))
    now = store.listed()[0]["created_at"]

    assert [row["kind"] for row in store.listed(customer_id=7)] == [
        "call_burst",
        "usage_jump",
    ]
    assert [row["customer_id"] for row in store.listed(kind="call_burst")] == [7]
    assert [row["customer_id"] for row in store.listed(most=1)] == [8]
    assert len(store.listed(since=now.replace(year=now.year - 1))) == 3
    assert store.listed(since=now.replace(year=now.year + 1)) == []
    assert store.open_counts() == {
        ("warning", "call_burst"): 1,
        ("warning", "usage_jump"): 2,
    }


def test_a_cycle_that_waits_for_totals_is_marked_in_the_list(
    database: Database, store: InsightStore
) -> None:
    look(database, JUMP)
    assert [row["is_dirty"] for row in store.listed()] == [0]
    with database.transaction() as tx:
        tx.load("dirty_cycle", _dirty())
    assert [row["is_dirty"] for row in store.listed()] == [1]


def _dirty() -> pl.DataFrame:
    return pl.DataFrame(
        {
            "customer_id": [7],
            "cycle_start_date": [OCTOBER],
            "cycle_end_date": [date(2026, 11, 1)],
            "mark": [1],
            "reason": ["import 1"],
        }
    )
