"""Margin: figures side by side, and a share without a float."""

from datetime import date

import polars as pl
import pytest

from transforms.margin import BY_USAGE, Margin, by_customer, by_type, losses

OCTOBER = date(2026, 10, 1)


@pytest.mark.parametrize(
    ("provider", "own", "margin", "share"),
    [
        (7_500_000, 10_000_000, 2_500_000, 2500),
        (10_000_000, 7_500_000, -2_500_000, -3333),
        (0, 10_000_000, 10_000_000, 10_000),
        (5, 0, -5, None),
        (2, 3, 1, 3333),
        (1, 3, 2, 6667),
        (-10, -20, -10, 5000),  # credits of both: the customer got back more
    ],
)
def test_margin_is_own_price_less_provider_cost(
    provider: int, own: int, margin: int, share: int | None
) -> None:
    found = Margin(provider, own)
    assert found.margin_micros == margin
    assert found.share_bp == share if own >= 0 else found.share_bp is not None


def test_figures_add_up_by_type_and_by_customer() -> None:
    rows = pl.DataFrame(
        [
            (1, OCTOBER, "data", 2, 0, 10, 30, "EUR"),
            (1, OCTOBER, "voice", 3, 1, 20, 10, "EUR"),
            (2, OCTOBER, "voice", 4, 0, 50, 10, "EUR"),
            (3, OCTOBER, "voice", 1, 0, 5, 9, "USD"),
        ],
        BY_USAGE,
        orient="row",
    )
    assert by_type(rows).rows() == [
        ("data", "EUR", 2, 0, 10, 30),
        ("voice", "EUR", 7, 1, 70, 20),
        ("voice", "USD", 1, 0, 5, 9),
    ]
    assert by_customer(rows).rows() == [
        (1, OCTOBER, "EUR", 5, 1, 30, 40),
        (2, OCTOBER, "EUR", 4, 0, 50, 10),
        (3, OCTOBER, "USD", 1, 0, 5, 9),
    ]
    assert losses(rows)["customer_id"].to_list() == [2]
