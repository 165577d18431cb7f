"""The spool gives back what it was given: in key order, some columns, or a few records."""

import pickle
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import polars as pl
import pytest

from etl.spool import SortedSpool, Spool

START = datetime.fromisoformat("2026-10-01 00:00:00")


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    with Spool(tmp_path) as made:
        yield made


def frame(numbers: list[int]) -> pl.DataFrame:
    """Records whose order, by a number, is not the order they come in."""
    return pl.DataFrame(
        {
            "number": numbers,
            "at": [START + timedelta(minutes=number) for number in numbers],
            "text": [f"record {number}, é" if number % 3 else None for number in numbers],
        },
        {"number": pl.Int64(), "at": pl.Datetime("us"), "text": pl.String()},
    )


def sorted_spool(spool: Spool, parts: int) -> SortedSpool:
    """A spool of three frames in several parts."""
    kept = SortedSpool(spool, "kept", ["number"], chunk_rows=10, parts=parts)
    for begin in (2, 0, 1):
        kept.write(frame(list(range(begin, 30, 3))[::-1]))
    return kept


@pytest.mark.parametrize("parts", [1, 3, 7])
def test_records_come_back_in_the_order_of_their_key(spool: Spool, parts: int) -> None:
    kept = sorted_spool(spool, parts)
    assert kept.count() == 30
    assert pl.concat(kept.frames()).equals(frame(list(range(30))))


def test_only_some_columns_are_read_back_when_only_they_are_asked_for(spool: Spool) -> None:
    found = pl.concat(sorted_spool(spool, 3).frames(["number", "text"]))
    assert found.equals(frame(list(range(30))).select("number", "text"))


@pytest.mark.parametrize("parts", [1, 3])
def test_the_records_of_a_few_values_are_found_whole(spool: Spool, parts: int) -> None:
    wanted = pl.Series([-5, 0, 7, 8, 29, 300])
    found = pl.concat(sorted_spool(spool, parts).among("number", wanted))
    assert found.sort("number").equals(frame([0, 7, 8, 29]))


def test_no_record_has_a_value_that_none_was_given(spool: Spool) -> None:
    found = pl.concat(sorted_spool(spool, 2).among("number", pl.Series([99])))
    assert found.is_empty()
    assert found.schema == frame([1]).schema


def test_a_kind_that_was_never_written_has_no_records(spool: Spool) -> None:
    assert list(spool.frames("nothing")) == []
    assert list(spool.among("nothing", "number", pl.Series([1]))) == []


def alike(count: int) -> pl.DataFrame:
    """Many records that are alike in all but a number and, here and there, a text."""
    number = pl.int_range(count, dtype=pl.Int64, eager=True).reverse().alias("number")
    return number.to_frame().with_columns(
        pl.lit("mobile").alias("layout"),
        pl.lit(START).alias("at"),
        pl.lit(None, pl.String).alias("zone"),
        pl.when(number == 700).then(pl.lit("late")).otherwise(pl.lit("")).alias("flags"),
        pl.when(number > 0).then(pl.lit("EUR")).alias("currency"),
    )


@pytest.mark.parametrize("parts", [1, 3])
def test_what_is_the_same_in_many_records_comes_back_with_each(
    spool: Spool, parts: int
) -> None:
    kept = SortedSpool(spool, "kept", ["at", "number"], chunk_rows=2000, parts=parts)
    kept.write(alike(2000).with_columns(pl.lit("fixed").alias("layout")))
    kept.write(alike(3000).filter(pl.col("number") >= 2000))
    every = pl.concat(kept.frames())
    expected = (
        alike(3000)
        .sort("number")
        .with_columns(
            pl.when(pl.col("number") < 2000)
            .then(pl.lit("fixed"))
            .otherwise("layout")
            .alias("layout")
        )
    )
    assert every.sort("number").equals(expected)
    some = ["at", "number", "zone", "layout"]
    assert pl.concat(kept.frames(some)).equals(every.select(some))
    met = pl.concat(kept.among("number", pl.Series([0, 700, 2500])))
    assert met.sort("number").equals(expected[[0, 700, 2500]])


def test_many_records_that_are_all_the_same_are_counted(spool: Spool) -> None:
    same = pl.DataFrame({"layout": ["mobile"] * 1500, "number": [7] * 1500})
    spool.write("kept", same)
    (found,) = spool.frames("kept")
    (one,) = spool.frames("kept", ["number"])
    (met,) = spool.among("kept", "number", pl.Series([7]))
    assert found.equals(same)
    assert one.equals(same.select("number"))
    assert met.equals(same)


def test_what_another_process_spooled_is_taken_over_whole(tmp_path: Path) -> None:
    theirs, ours = tmp_path / "theirs", tmp_path / "ours"
    theirs.mkdir()
    ours.mkdir()
    with Spool(theirs) as spool:
        spool.write("kept", alike(1500))
        list(spool.frames("kept"))
        told = pickle.dumps(spool.spooled())
    with Spool(ours) as spool:
        spool.take_over(theirs, pickle.loads(told))
        assert spool.count("kept") == 1500
        assert pl.concat(spool.frames("kept")).equals(alike(1500))


def test_what_the_spool_remembers_of_a_frame_is_one_row(spool: Spool) -> None:
    spool.write("kept", alike(2000))
    (piece,) = spool.spooled()["kept"].pieces
    assert piece.once.values.columns == ["layout", "at", "zone"]
    assert piece.once.values.height == 1
