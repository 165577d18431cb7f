"""Cycles: volume pricing, the least and the most, and lines that add up."""

import pytest

from tests.spec.rating.sheet import costs, price
from transforms.errors import MoneyError

VOLUME = """
[rounding]
mode = "half-up"
decimals = 2
[[entry]]
name = "messages"
usage = "sms"
cycle_volume = "messages"
[[cycle_volume]]
name = "messages"
mode = "{mode}"
tiers = [
    {{ up_to = 10, price = "0.10" }},
    {{ up_to = 20, price = "0.08", flat = "1.00" }},
    {{ price = "0.055" }},
]
{further}
"""


def messages(count: int, line: str = "A") -> str:
    return f"2026-10-05T09:00 sms +31612345678 {count} line={line}"


@pytest.mark.parametrize(
    ("mode", "count", "cost"),
    [
        ("graduated", 10, "1.000000"),  # the last of the first tier
        ("graduated", 11, "2.080000"),  # reaching the second adds its flat amount
        ("graduated", 20, "2.800000"),
        ("graduated", 21, "2.860000"),  # 2.855 rounded once
        ("volume", 10, "1.000000"),
        ("volume", 11, "1.880000"),  # all at 0.08, and the flat amount
        ("volume", 20, "2.600000"),
        ("volume", 21, "1.160000"),  # all at 0.055: less for one more
    ],
)
def test_a_cycle_pays_by_its_volume(mode: str, count: int, cost: str) -> None:
    sheet = VOLUME.format(mode=mode, further="")
    once = price(sheet, messages(count))
    in_parts = price(sheet, *[messages(1, line="AB"[n % 2]) for n in range(count)])

    assert once["cycle"]["cost"] == in_parts["cycle"]["cost"] == cost
    assert set(costs(in_parts)) == {"0.000000"}


def test_each_line_by_itself() -> None:
    sheet = VOLUME.format(mode="graduated", further='pool = "line"')
    document = price(sheet, messages(10, "A"), messages(11, "B"))
    assert document["cycle"]["cost"] == "3.080000"


PACKS = """
[[entry]]
name = "messages"
usage = "sms"
cycle_volume = "packs"
[[cycle_volume]]
name = "packs"
mode = "package"
package = 100
price = "4.00"
{further}
"""


@pytest.mark.parametrize(
    ("count", "further", "cost"),
    [
        (1, "", "4.000000"),
        (100, "", "4.000000"),
        (101, "", "8.000000"),
        (101, 'maximum = "7.50"', "7.500000"),
        (1, 'minimum = "6.00"', "6.000000"),
        (0, 'minimum = "6.00"', "0.000000"),  # no usage, no charge
    ],
)
def test_a_package_that_was_begun_is_paid(count: int, further: str, cost: str) -> None:
    document = price(PACKS.format(further=further), messages(count))
    assert document["cycle"]["cost"] == cost


def test_usage_within_an_allowance_does_not_count() -> None:
    allowance = '[[allowance]]\nname = "free"\nusage = "sms"\nsize = 5\n'
    sheet = VOLUME.format(mode="graduated", further="") + allowance
    assert price(sheet, messages(8), messages(4))["cycle"]["cost"] == "0.700000"


BOUNDS = """
[cycle]
minimum = "5.00"
maximum = "10.00"
[[entry]]
name = "messages"
usage = "sms"
price = "1.00"
"""


@pytest.mark.parametrize(
    ("count", "cost", "minimum", "maximum", "line"),
    [
        (0, "5.000000", True, False, ("cycle_minimum", 5_000_000)),
        (4, "5.000000", True, False, ("cycle_minimum", 1_000_000)),
        (5, "5.000000", False, False, None),
        (10, "10.000000", False, False, None),
        (12, "10.000000", False, True, ("cycle_maximum", -2_000_000)),
    ],
)
def test_a_cycle_is_held_between_its_least_and_its_most(
    count: int,
    cost: str,
    minimum: bool,  # noqa: FBT001 - the case's outcome
    maximum: bool,  # noqa: FBT001 - the case's outcome
    line: tuple[str, int] | None,
) -> None:
    document = price(BOUNDS, messages(count))
    cycle = document["cycle"]
    assert (cycle["cost"], cycle["minimum_applied"], cycle["maximum_applied"]) == (
        cost,
        minimum,
        maximum,
    )
    extra = [
        (each["usage_type"], each["charge_micros"])
        for each in document["lines"]
        if each["usage_type"] != "sms"
    ]
    assert extra == ([line] if line else [])
    assert sum(each["charge_micros"] for each in document["lines"]) == cycle["cost_micros"]


def test_our_charge_and_the_provider_s_cost_stand_side_by_side() -> None:
    sheet = '[zones]\neu = ["EU"]\n[[entry]]\nname = "m"\nusage = "sms"\nprice = "0.10"\n'
    document = price(
        sheet,
        "2026-10-05T09:00 sms +316 2 cost=0.05",
        "2026-10-05T09:00 sms +316 1 zone=EU cost=0.30",
        "2026-10-05T09:00 sms +316 7 zone=ROW cost=0.01",
    )
    kept = ("usage_type", "zone", "cdr_count", "unrated_count", "events")
    money = ("provider_cost_micros", "charge_micros")
    lines = [tuple(line[name] for name in (*kept, *money)) for line in document["lines"]]
    assert lines == [
        ("sms", "", 1, 0, 2, 50_000, 200_000),
        ("sms", "EU", 1, 0, 1, 300_000, 100_000),
        ("sms", "ROW", 1, 1, 7, 10_000, 0),
    ]
    assert document["unpriced_volume"] == 7


def test_every_cycle_has_its_own_minimum() -> None:
    document = price(
        BOUNDS, "2026-10-31T23:59:59 sms +316 1", "2026-11-01T00:00:00 sms +316 1"
    )
    found = [(each["cycle_start_date"], each["cost"]) for each in document["cycles"]]
    assert found == [("2026-10-01", "5.000000"), ("2026-11-01", "5.000000")]
    assert document["cycle"]["cost"] == "10.000000"


DEAR = '[[entry]]\nname = "dear"\nusage = "sms"\nprice = "1000000"\n'


def test_an_amount_that_does_not_fit_is_an_error_and_never_wraps() -> None:
    assert costs(price(DEAR, messages(999_999))) == ["999999000000.000000"]
    with pytest.raises(MoneyError, match=r"customer 1, cycle 2026-10-01"):
        price(DEAR, messages(1_000_000))
    with pytest.raises(MoneyError, match=r"customer 1, cycle 2026-10-01"):
        price(DEAR, messages(999_999), messages(999_999))
    with pytest.raises(MoneyError, match="does not fit in 64 bits"):
        price(DEAR, *[messages(999_999)] * 10)
