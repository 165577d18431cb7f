"""The control record of a file against its records."""

from typing import Any

import polars as pl
import pytest

from tests.providers.text_frames import ROW, frame, profile_with
from transforms.control import (
    Mark,
    Sidecar,
    Tally,
    lost,
    reconcile,
    too_many_rejects,
)
from transforms.normalise import DeliveryName, Normaliser
from transforms.profile import Layout

TRAILER = {
    "kind": "trailer",
    "detect": {"column": "kind", "equals": "end"},
    "count": "id",
    "amount": "price",
}
TOTAL_ROW = {
    "kind": "total_row",
    "detect": {"column": "kind", "equals": "total"},
    "count_column": "amount_used",
    "count_is": "sum",
    "amount_column": "price",
}
SIDECAR = {
    "kind": "sidecar",
    "suffix": ".ctl",
    "count": "records",
    "amount": "amount",
    "sha256": "sha256",
}


def layout_with(control: dict[str, Any], **tables: Any) -> Layout:  # noqa: ANN401 - TOML
    return profile_with(control=control, **tables).layouts[0]


def message(control: dict[str, Any], cells: list[dict[str, str]], cut: int = 0) -> str:
    """Read rows in one or two chunks and reconcile them; empty when they are proven."""
    profile = profile_with(control=control)
    normaliser = Normaliser(profile, profile.layouts[0], DeliveryName())
    text = frame([{**ROW, **row} for row in cells])
    tally = normaliser.read(text.head(cut)).tally + normaliser.read(text.slice(cut)).tally
    result = reconcile(profile.layouts[0], tally)
    return "" if result.ok else result.message


TEN, DUPLICATE = {"price": "0,10"}, {"price": "0,10"}
BAD_NUMBER = {"from": "3.16E+10", "price": "0,05"}
BAD_PRICE = {"price": "0.05"}
END = {"kind": "end", "id": "3", "price": "0,25"}


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        # Rejected and repeated records are in the file, so they count.
        ([TEN, DUPLICATE, BAD_NUMBER, END], ""),
        ([TEN, DUPLICATE, END], "says 3, the file has 2 records"),
        ([TEN, DUPLICATE, BAD_NUMBER], "exactly one trailer is needed, 0 found"),
        (
            [TEN, DUPLICATE, BAD_NUMBER, END, END],
            "exactly one trailer is needed, 2 found (lines 5, 6)",
        ),
        ([TEN, DUPLICATE, END, BAD_NUMBER], "records follow the trailer of line 4"),
        ([TEN, TEN, TEN, END], "says 0.250000, the records add up to 0.300000"),
        ([TEN, TEN, BAD_PRICE, END], "1 records have an amount that cannot be read"),
        (
            [TEN, TEN, BAD_NUMBER, {**END, "price": "?"}],
            "amount of the control record cannot",
        ),
        ([TEN, TEN, BAD_NUMBER, {**END, "id": ""}], "count of the control record cannot"),
    ],
)
def test_a_trailer_proves_its_file(cells: list[dict[str, str]], expected: str) -> None:
    found = message(TRAILER, cells)
    assert expected in found
    assert bool(expected) == bool(found)


def test_a_trailer_in_a_chunk_of_its_own_proves_the_file() -> None:
    assert message(TRAILER, [TEN, DUPLICATE, BAD_NUMBER, END], cut=3) == ""


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ("1.000.121", ""),
        ("1.000.122", "says 1000122, the file has 1000121 in 'amount_used'"),
    ],
)
def test_a_total_row_may_add_up_a_column(said: str, expected: str) -> None:
    used = [
        {"amount_used": text, "price": "1,00"} for text in ("60", "61", "1.000.000", "")
    ]
    total = {"kind": "total", "amount_used": said, "price": "4,00"}
    found = message(TOTAL_ROW, [*used, total])
    assert expected in found
    assert bool(expected) == bool(found)


TALLY = Tally(records=6, amount_micros=110_000)
GOOD = "file=x.tsv\nrecords=6\n\namount=0,11000\nsha256=ABCD\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD, ""),
        (GOOD.replace("=", " = "), ""),
        (None, "x.tsv.ctl was not delivered"),
        (GOOD.replace("records=6", "records=7"), "says 7, the file has 6 records"),
        (
            GOOD.replace("0,11000", "0,110001"),
            "says 0.110001, the records add up to 0.1100",
        ),
        (GOOD.replace("ABCD", "ABCE"), "gives another sha256 than the file has"),
        (GOOD.replace("records=6", ""), "x.tsv.ctl has no 'records'"),
        (GOOD + "records=6\n", "x.tsv.ctl line 6 is not a new key=value"),
        (GOOD + "what?\n", "x.tsv.ctl line 6 is not a new key=value"),
    ],
)
def test_a_sidecar_proves_its_file(text: str | None, expected: str) -> None:
    result = reconcile(layout_with(SIDECAR), TALLY, Sidecar("x.tsv.ctl", text, "abcd"))
    assert result.ok is not bool(expected)
    assert expected in result.message


def test_records_that_could_not_be_cut_count_and_leave_the_amount_unproven() -> None:
    rejected = pl.DataFrame({"line_no": [3, 9]})
    tally = Tally(records=1, last_line_no=2, marks=(Mark(10, "3", "0,00"),)) + lost(
        rejected
    )
    result = reconcile(layout_with(TRAILER), tally)
    assert result.message == (
        "the amount is not proven: 2 records have an amount that cannot be read"
    )


def test_amounts_beyond_64_bits_add_up_exactly() -> None:
    profile = profile_with(control=TRAILER)
    text = frame([{**ROW, "price": "999999999999,999999"}] * 20)
    read = Normaliser(profile, profile.layouts[0], DeliveryName()).read(text)
    assert read.tally.amount_micros == 19_999_999_999_999_999_980


@pytest.mark.parametrize(
    ("records", "rejected", "refused"),
    [
        (100, 50, False),
        (100, 51, True),
        (10_000, 100, False),
        (10_000, 101, True),
        (5_050, 50, False),
        (5_050, 51, True),
        (0, 0, False),
    ],
)
def test_a_delivery_may_have_so_many_bad_rows(
    records: int, rejected: int, *, refused: bool
) -> None:
    layout = layout_with({"kind": "none"}, max_bad_rows=50, max_bad_pct=1)
    assert too_many_rejects(layout, records, rejected) is refused
