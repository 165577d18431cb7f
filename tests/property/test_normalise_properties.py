"""Whatever the cells hold: every row ends once, and cutting a file changes nothing."""

from itertools import pairwise

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.providers.text_frames import ROW, frame, profile_with
from transforms.control import Tally
from transforms.money import LIMIT_MICROS
from transforms.normalise import DeliveryName, Normalised, Normaliser

PROFILE = profile_with(
    party={"mode": "a_b"},
    direction={"column": "way", "map": {"out": "out", "in": "in"}, "default": "out"},
    skip_rows=[{"column": "kind", "equals": "note"}],
    control={
        "kind": "trailer",
        "detect": {"column": "kind", "equals": "end"},
        "amount": "price",
    },
    dedupe={"fallback": ["a_number", "start", "price"]},
)

NUMBERS = st.sampled_from(
    ["31600000011", "0612345678", "112", "", "-", "06123XX", "3.16E+10", "INTERNET", "x"]
)
CELLS = {
    "id": st.sampled_from(["", "1", "2", "3"]),
    "from": NUMBERS,
    "to": NUMBERS | st.text(max_size=8),
    "day": st.sampled_from(["25-10-2026", "29-03-2026", "24-10-2026", "31-02-2026", ""]),
    "time": st.sampled_from(["02:45:00", "02:10:00", "02:20:00", "03:05:00", "24:00:00"]),
    "kind": st.sampled_from(["call", "call", "web", "text", "note", "end", "fax"]),
    "amount_used": st.sampled_from(["60", "0,5", "1.000", "-1", "", "1e3", "9" * 30])
    | st.text(max_size=6),
    "unit": st.sampled_from(["sec", "min", "uur"]),
    "price": st.sampled_from(
        ["0,10", "-1,00", "1.000,5", "0.10", "", "0,1234567", "9" * 20]
    )
    | st.text(max_size=6),
    "way": st.sampled_from(["out", "in", "?"]),
}
ROWS = st.lists(
    st.fixed_dictionaries(CELLS).map(lambda cells: {**ROW, **cells}),
    min_size=1,
    max_size=12,
)


def read(text: pl.DataFrame, cuts: list[int]) -> Normalised:
    """Read a file cut at some rows, and put what came out behind one another."""
    normaliser = Normaliser(PROFILE, PROFILE.layouts[0], DeliveryName("A", "202610", "1"))
    edges = [0, *sorted(cuts), text.height]
    parts = [
        normaliser.read(text.slice(start, end - start)) for start, end in pairwise(edges)
    ]
    return Normalised(
        accepted=pl.concat([part.accepted for part in parts]),
        rejected=pl.concat([part.rejected for part in parts]),
        ignored=sum(part.ignored for part in parts),
        tally=sum((part.tally for part in parts), Tally()),
    )


@settings(max_examples=50, deadline=None)
@given(cells=ROWS, data=st.data())
def test_every_row_ends_once_and_cutting_a_file_changes_nothing(
    cells: list[dict[str, str]], data: st.DataObject
) -> None:
    text = frame(cells)
    whole = read(text, [])
    marks = len(whole.tally.marks)
    ended = whole.accepted.height + whole.rejected.height + whole.ignored + marks
    assert ended == text.height
    lines = [*whole.accepted["line_no"], *whole.rejected["line_no"]]
    assert len(set(lines)) == len(lines)
    assert whole.tally.records == len(lines)
    assert whole.rejected["reason"].null_count() == 0
    assert all(abs(cost) < LIMIT_MICROS for cost in whole.accepted["cost_micros"])

    cuts = data.draw(st.lists(st.integers(0, text.height), max_size=2), label="cuts")
    pieces = read(text, cuts)
    assert pieces.accepted.equals(whole.accepted)
    assert pieces.rejected.equals(whole.rejected)
    assert (pieces.ignored, pieces.tally) == (whole.ignored, whole.tally)
