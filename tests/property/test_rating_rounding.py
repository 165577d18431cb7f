"""Rounding a column is rounding each of its amounts, far beyond 64 bits too."""

from typing import get_args

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.money import RoundingMode, round_ratio, round_ratios

ratios = st.tuples(st.integers(-(2**122), 2**122), st.integers(1, 2**90))
halves = st.integers(-1000, 1000).map(lambda whole: (2 * whole + 1, 2))


@settings(max_examples=100, deadline=None)
@given(
    pairs=st.lists(ratios | halves, min_size=1, max_size=20),
    mode=st.sampled_from(get_args(RoundingMode)),
)
def test_a_column_is_rounded_as_each_amount_is(
    pairs: list[tuple[int, int]], mode: RoundingMode
) -> None:
    frame = pl.DataFrame(
        pairs, {"numerator": pl.Int128, "denominator": pl.Int128}, orient="row"
    )
    rounded = frame.select(
        round_ratios(pl.col("numerator"), pl.col("denominator"), mode)
    ).to_series()

    assert rounded.to_list() == [round_ratio(*pair, mode) for pair in pairs]
