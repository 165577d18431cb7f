"""What one record costs: increments, fees, steps, tiers, bounds, rounding."""

import pytest

from tests.spec.rating.sheet import costs, each, price

BY_INCREMENT = """
[[entry]]
name = "calls"
usage = "voice"
increment = "{increment}"
price = "0.60"
per = "min"
"""


# A cent a second: the cost is what the increment bills.
@pytest.mark.parametrize(
    ("increment", "seconds", "cost"),
    [
        ("60/60", 1, "0.600000"),  # the first minute is whole
        ("60/60", 60, "0.600000"),  # and lasts sixty seconds
        ("60/60", 61, "1.200000"),  # one second more begins another
        ("1/1", 61, "0.610000"),  # by the second
        ("30/6", 1, "0.300000"),  # a first half minute
        ("30/6", 31, "0.360000"),  # then steps of six
        ("30/6", 36, "0.360000"),
        ("30/6", 37, "0.420000"),
        ("60/1", 59, "0.600000"),
        ("60/1", 61, "0.610000"),
        ("60/60", 0, "0.000000"),  # nobody answered
    ],
)
def test_usage_is_rounded_up_by_the_increment(
    increment: str, seconds: int, cost: str
) -> None:
    sheet = BY_INCREMENT.format(increment=increment)
    assert costs(price(sheet, f"2026-10-05T09:00 voice +31201234567 {seconds}")) == [cost]


FEES = """
[[entry]]
name = "calls"
usage = "voice"
connect_fee = "0.05"
price = "0.60"
per = "min"
minimum = "0.10"
maximum = "3.00"
{further}
"""


@pytest.mark.parametrize(
    ("event", "further", "cost"),
    [
        ("60", "", "0.650000"),  # fee and a minute
        ("1", "", "0.100000"),  # 0.06 is lifted to the least
        ("1 continuation=true", "", "0.010000"),  # neither fee nor least again
        ("600", "", "3.000000"),  # 6.05 is held at the most
        ("600 continuation=yes", "", "3.000000"),  # a later part too
        ("0", "", "0.000000"),  # free when nobody answered
        ("0", 'zero_length = "connect_fee"', "0.050000"),  # unless the sheet says so
        ("0 continuation=1", 'zero_length = "connect_fee"', "0.000000"),
    ],
)
def test_fees_and_bounds_of_one_record(event: str, further: str, cost: str) -> None:
    sheet = FEES.format(further=further)
    assert costs(price(sheet, f"2026-10-05T09:00 voice +31201234567 {event}")) == [cost]


STEPS = """
[[entry]]
name = "service"
usage = "voice"
increment = "60/60"
steps = [
    { up_to = "2 min", price = "1.00" },
    { from = "2 min", up_to = "5 min", price = "0.50" },
    { from = "5 min", price = "0.10" },
]
per = "min"
"""


@pytest.mark.parametrize(
    ("seconds", "cost"),
    [(120, "2.000000"), (121, "2.500000"), (300, "3.500000"), (3600, "9.000000")],
)
def test_the_price_steps_as_a_call_goes_on(seconds: int, cost: str) -> None:
    assert costs(price(STEPS, f"2026-10-05T09:00 voice +31900123456 {seconds}")) == [cost]


TIERS = """
[[entry]]
name = "sessions"
usage = "data"
per = "MB"
connect_fee = "0.01"
tiers = [
    { up_to = "1 MB", flat = "0.50" },
    { up_to = "10 MB", price = "0.30", flat = "0.05" },
    { price = "0.20" },
]
"""


@pytest.mark.parametrize(
    ("size", "cost"),
    [
        (1, "0.510000"),
        (1_000_000, "0.510000"),  # the last byte of the first tier
        (1_000_001, "0.360000"),  # 0.3000003 + 0.05 + 0.01, rounded once
        (10_000_000, "3.060000"),
        (10_000_001, "2.010000"),  # all of it at the price of the last tier
        (0, "0.000000"),
    ],
)
def test_the_size_of_a_session_chooses_its_tier(size: int, cost: str) -> None:
    assert costs(price(TIERS, f"2026-10-05T09:00 data internet {size}")) == [cost]


ROUNDED = """
[rounding]
mode = "{mode}"
decimals = {decimals}
[[entry]]
name = "calls"
usage = "voice"
price = "0.0001"
per = "s"
connect_fee = "0.10"
[[entry]]
name = "fees"
usage = "fee"
at_cost = true
"""


@pytest.mark.parametrize(
    ("mode", "decimals", "call", "credit"),
    [
        ("half-up", 2, "0.130000", "-0.130000"),  # 0.125 and -0.125
        ("half-even", 2, "0.120000", "-0.120000"),
        ("up", 2, "0.130000", "-0.130000"),
        ("down", 2, "0.120000", "-0.120000"),
        ("half-up", 3, "0.125000", "-0.125000"),
        ("up", 0, "1.000000", "-1.000000"),
        ("down", 0, "0.000000", "0.000000"),
    ],
)
def test_a_charge_is_rounded_once_by_the_named_rule(
    mode: str, decimals: int, call: str, credit: str
) -> None:
    sheet = ROUNDED.format(mode=mode, decimals=decimals)
    document = price(
        sheet,
        "2026-10-05T09:00 voice +31201234567 250",
        "2026-10-05T09:00 fee - 1 cost=-0.125",
    )
    assert costs(document) == [call, credit]


def test_parts_are_added_before_they_are_rounded() -> None:
    # 0.004 + 0.004 + 0.004 in three steps is 0.012, and not three times nothing.
    sheet = """
    [rounding]
    mode = "half-up"
    decimals = 2
    [[entry]]
    name = "calls"
    usage = "voice"
    per = "s"
    steps = [
        { up_to = 1, price = "0.004" },
        { up_to = 2, price = "0.004" },
        { price = "0.004" },
    ]
    """
    assert costs(price(sheet, "2026-10-05T09:00 voice +31201234567 3")) == ["0.010000"]


def test_prices_for_different_quantities_add_up_exactly() -> None:
    # 7 bytes at 1 for 1024, then 3 at 1 for 1000: 0.0068359375 + 0.003.
    sheet = """
    [[entry]]
    name = "data"
    usage = "data"
    steps = [{ up_to = 7, price = "1", per = "KiB" }, { price = "1", per = "kB" }]
    """
    assert costs(price(sheet, "2026-10-05T09:00 data internet 10")) == ["0.009836"]


def test_a_markup_is_on_what_the_provider_charges() -> None:
    sheet = '[[entry]]\nname = "fees"\nusage = "fee"\nat_cost = true\nmarkup = 3.5\n'
    document = price(
        sheet,
        "2026-10-05T09:00 fee - 1 cost=100",
        "2026-10-05T09:00 fee - 1 cost=-0.000100",
        "2026-10-05T09:00 fee - 1",
    )
    assert costs(document) == ["103.500000", "-0.000104", None]
    assert each(document, "unrated_code") == [None, None, "cost_missing"]


ODD = '[[entry]]\nname = "calls"\nusage = "voice"\nprice = "1"\nper = "s"\n'


@pytest.mark.parametrize("quantity", ["-1", "31622401", "999999999999999999"])
def test_a_quantity_that_cannot_be_is_unrated(quantity: str) -> None:
    document = price(ODD, f"2026-10-05T09:00 voice +31201234567 {quantity}")
    assert costs(document) == [None]
    assert each(document, "unrated_code") == ["quantity_out_of_range"]
    assert document["unpriced_volume"] == int(quantity)


def test_a_record_outside_the_validity_of_the_plan_is_unrated() -> None:
    sheet = "valid_from = 2026-10-01\nvalid_to = 2026-11-01\n" + ODD
    document = price(
        sheet,
        "2026-09-30T23:59:59 voice +31201234567 1",
        "2026-10-01T00:00:00 voice +31201234567 1",
        "2026-10-31T23:59:59 voice +31201234567 1",
        "2026-11-01T00:00:00 voice +31201234567 1",
    )
    assert costs(document) == [None, "1.000000", "1.000000", None]
    assert each(document, "unrated_code") == [
        "plan_not_valid",
        None,
        None,
        "plan_not_valid",
    ]
    assert document["unpriced_volume"] == 2
    assert document["unpriced_by_usage"] == {"voice": 2}
