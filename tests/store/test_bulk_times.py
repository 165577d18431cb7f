"""A moment is stored as the moment it is, in whichever form it travels to the database."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import polars as pl
import pytest

from loaders.bulk import Column, csv_batches, said
from loaders.database import Database
from loaders.imports import STORED
from tests.store.statements import statements_of_tests
from transforms.cdr import INSTANT, Schema

RECORDS: Schema = {
    "customer_id": pl.Int64(),
    "call_date": INSTANT,
    "cost_micros": pl.Int64(),
    "zone": pl.String(),
}


@pytest.fixture(autouse=True)
def _statements(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with statements_of_tests(monkeypatch):
        yield


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


def records(moments: list[datetime], **columns: list[object]) -> pl.DataFrame:
    count = len(moments)
    texts = {name: [""] * count for name, dtype in STORED.items() if dtype == pl.String()}
    wholes = {name: [7] * count for name, dtype in STORED.items() if dtype == pl.Int64()}
    given = {
        "customer_id": list(range(count)),
        "call_date": moments,
        "started_at_utc": moments,
        "currency": ["EUR"] * count,
    }
    short = {"other_kind": ["x"] * count, "direction": ["out"] * count}
    return pl.DataFrame(
        texts | wholes | given | short | columns, {**STORED}, strict=True
    ).select(list(STORED))


@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(
            [
                at("2026-10-25 02:59:59"),
                at("2026-10-25 00:00:00"),
                at("2024-02-29 23:59:59"),
                at("2024-03-01 00:00:00"),
                at("1969-12-31 23:00:01"),
                at("2026-01-09 09:09:09"),
            ],
            id="midnight, a leap day, before 1970",
        ),
        pytest.param(
            [at("1000-01-01 00:00:00"), at("9999-12-31 23:59:59")],
            id="the first and the last day a calendar of four digits has",
        ),
        pytest.param([at("1582-10-15 00:00:00"), at("1600-02-29 00:00:00")], id="long ago"),
    ],
)
def test_a_wall_clock_comes_back_to_the_second(
    database: Database, moments: list[datetime]
) -> None:
    with database.transaction() as tx:
        tx.load("call_detail_record", records(moments))
        found = tx.frame("test/records", RECORDS)
    assert found["call_date"].to_list() == moments


def test_every_day_of_a_leap_year_comes_back(database: Database) -> None:
    first = at("2024-01-01 12:34:56")
    moments = [first + timedelta(days=day) for day in range(366)]
    with database.transaction() as tx:
        tx.load("call_detail_record", records(moments))
        found = tx.frame("test/records", RECORDS)
    assert found["call_date"].to_list() == moments


def test_a_column_that_is_empty_in_one_load_and_not_in_the_next_is_right_in_both(
    database: Database,
) -> None:
    moments = [at("2026-10-01 08:00:00"), at("2026-10-02 08:00:00")]
    without: list[object] = [None, None]
    with database.transaction() as tx:
        tx.load("call_detail_record", records(moments, zone=without, cost_micros=without))
        tx.load(
            "call_detail_record",
            records(moments, customer_id=[2, 3], zone=["NL", None], cost_micros=[0, 405]),
        )
        found = tx.frame("test/records", RECORDS)
    assert found["zone"].to_list() == [None, None, "NL", None]
    assert found["cost_micros"].to_list() == [None, None, 0, 405]


def test_a_moment_travels_as_a_number_when_a_number_says_it_all() -> None:
    whole = pl.Series("at", [at("2026-10-25 02:30:00"), None], INSTANT)
    parted = pl.Series("at", [at("2026-10-25 02:30:00.000005")], INSTANT)
    early = pl.Series("at", [at("0987-06-05 04:03:02")], INSTANT)
    assert _written(whole) == b"20261025023000\nNULL\n"
    assert _written(parted) == b'"2026-10-25 02:30:00.000005"\n'
    assert _written(early) == b'"0987-06-05 04:03:02"\n'


def test_only_a_column_whose_silence_means_null_is_left_unsaid() -> None:
    columns = [
        Column("note", "text", is_needed=False, is_generated=False, is_null_unsaid=True),
        Column("count", "bigint(20)", is_needed=False, is_generated=False),
        Column("name", "text", is_needed=True, is_generated=False),
    ]
    nothing = pl.DataFrame({"note": [None], "count": [None], "name": ["x"]})
    something = pl.DataFrame({"note": [None, ""], "count": [None, 1], "name": ["x", "y"]})
    assert said(nothing, columns).frame.columns == ["count", "name"]
    assert said(something, columns).frame.columns == ["note", "count", "name"]
    assert said(nothing.select("note"), columns).frame.columns == ["note"]


def test_what_is_the_same_in_very_many_rows_is_said_once() -> None:
    same = pl.DataFrame(
        {"line": range(1000), "name": "x", "count": 7, "day": [None] * 1000}
    )
    assert said(same, []).once == {"name": "x", "count": 7}
    assert said(same, []).frame.columns == ["line", "day"]
    assert said(same.head(999), []).once == {}
    but_one = pl.concat([same, same.head(1).with_columns(name=pl.lit("y"))])
    but_null = pl.concat([same, same.head(1).with_columns(name=None)])
    assert said(but_one, []).once == {"count": 7}
    assert said(but_null, []).once == {"count": 7}
    assert said(same.select("name"), []).frame.columns == ["name"]
    assert said(same.with_columns(name=pl.lit("x" * 256)), []).once == {"count": 7}


def _written(values: pl.Series) -> bytes:
    return b"".join(csv_batches(values.to_frame(), 1000))
