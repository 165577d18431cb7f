"""Allowances: what is used first, what is left, and what goes over."""

from datetime import date, datetime

import polars as pl
import pytest

from tests.spec.rating.sheet import costs, each, plan, price
from transforms.allowances import USED
from transforms.errors import ContractError
from transforms.rating import CYCLES, EVENTS, rate
from transforms.rating_tables import prepare

CALLS = """
[[entry]]
name = "calls"
usage = "voice"
increment = "{increment}"
connect_fee = "0.05"
price = "0.60"
per = "min"
"""

MINUTES = """
[[allowance]]
name = "minutes"
usage = "voice"
size = "{size}"
{further}
"""


def sheet(size: str = "2 min", further: str = "", increment: str = "1/1") -> str:
    return CALLS.format(increment=increment) + MINUTES.format(size=size, further=further)


def test_what_goes_over_is_priced_by_the_entry() -> None:
    document = price(
        sheet(),
        "2026-10-05T09:00 voice +3120 50",
        "2026-10-05T10:00 voice +3120 90",
        "2026-10-05T11:00 voice +3120 10",
    )
    assert each(document, "in_allowance") == [50, 70, 0]
    assert each(document, "overage") == [0, 20, 10]
    # 20 s at a cent; then 10 s and the fee of a call that began outside.
    assert costs(document) == ["0.000000", "0.200000", "0.150000"]
    assert document["allowances_left"] == {"minutes": 0}


def test_the_rest_is_rounded_up_on_its_own() -> None:
    # 90 s of which 80 were left: the other 10 are billed as a minute.
    document = price(sheet("80 s", increment="60/60"), "2026-10-05T09:00 voice +3120 90")
    assert each(document, "billable") == [60]
    assert costs(document) == ["0.600000"]


def test_usage_is_taken_in_whole_blocks() -> None:
    document = price(
        sheet("3 min", 'block = "60 s"'),
        "2026-10-05T09:00 voice +3120 61",
        "2026-10-05T10:00 voice +3120 61",
    )
    # The first takes two minutes, the second finds one.
    assert each(document, "in_allowance") == [61, 60]
    assert each(document, "overage") == [0, 1]


def test_the_order_of_events_decides_not_the_order_of_the_file() -> None:
    early, late = "2026-10-05T09:00 voice +3120 100", "2026-10-06T09:00 voice +3120 100"
    assert each(price(sheet(), early, late), "in_allowance") == [100, 20]
    assert each(price(sheet(), late, early), "in_allowance") == [20, 100]


def test_instants_decide_on_the_night_the_clock_goes_back() -> None:
    # 02:50 in summer time is before 02:10 in winter time.
    document = price(
        sheet("60 s"),
        "2026-10-25T02:10:00+01:00 voice +3120 60",
        "2026-10-25T02:50:00+02:00 voice +3120 60",
    )
    assert each(document, "in_allowance") == [0, 60]


def test_ties_go_by_the_id_of_the_event() -> None:
    same = "2026-10-05T09:00 voice +3120 100"
    assert each(price(sheet(), same, same, same), "in_allowance") == [100, 20, 0]


@pytest.mark.parametrize(
    ("further", "costs_of_three"),
    [
        ('connect_fee = "included"', ["0.000000", "0.200000", "0.150000"]),
        ('connect_fee = "charged"', ["0.050000", "0.250000", "0.150000"]),
    ],
)
def test_the_fee_of_a_call_that_begins_in_the_allowance(
    further: str, costs_of_three: list[str]
) -> None:
    document = price(
        sheet(further=further),
        "2026-10-05T09:00 voice +3120 50",
        "2026-10-05T10:00 voice +3120 90",
        "2026-10-05T11:00 voice +3120 10",
    )
    assert costs(document) == costs_of_three


def test_whoever_carries_the_first_second_decides_on_the_fee() -> None:
    first = (
        '[[allowance]]\nname = "a"\nusage = "voice"\nsize = 30\nconnect_fee = "charged"\n'
    )
    second = '[[allowance]]\nname = "b"\nusage = "voice"\nsize = 60\n'
    document = price(
        CALLS.format(increment="1/1") + first + second,
        "2026-10-05T09:00 voice +3120 60",
        "2026-10-05T10:00 voice +3120 30",
    )
    # The first call begins in "a", which charges it; the second in "b", which does not.
    assert costs(document) == ["0.050000", "0.000000"]
    assert document["allowances_left"] == {"a": 0, "b": 0}


def test_allowances_are_used_by_their_order() -> None:
    last = '[[allowance]]\nname = "last"\norder = 9\nusage = "voice"\nsize = 60\n'
    first = '[[allowance]]\nname = "first"\norder = 1\nusage = "voice"\nsize = 60\n'
    event = "2026-10-05T09:00 voice +3120 70"
    document = price(CALLS.format(increment="1/1") + last + first, event)
    assert document["allowances_left"] == {"first": 0, "last": 50}


LINES = (
    "2026-10-05T09:00 voice +3120 100 line=A",
    "2026-10-05T10:00 voice +3120 100 line=B",
    "2026-10-05T11:00 voice +3120 100 line=A",
)


def test_lines_share_a_pool_or_have_their_own() -> None:
    shared = price(sheet(), *LINES)
    assert each(shared, "in_allowance") == [100, 20, 0]
    assert shared["allowances_left"] == {"minutes": 0}

    own = price(sheet(further='pool = "line"'), *LINES)
    assert each(own, "in_allowance") == [100, 100, 20]
    assert own["allowances_left"] == {"minutes": {"A": 0, "B": 20}}


MONTHS = (
    "2026-10-31T23:59:59 voice +3120 100",
    "2026-11-01T00:00:00 voice +3120 100",
)


def test_an_allowance_is_full_again_in_the_next_cycle_unless_it_is_once() -> None:
    assert each(price(sheet(), *MONTHS), "in_allowance") == [100, 100]
    assert price(sheet(), *MONTHS)["allowances_left"] == {"minutes": 20}
    once = price(sheet(further='period = "once"'), *MONTHS)
    assert each(once, "in_allowance") == [100, 20]
    assert once["allowances_left"] == {"minutes": 0}
    # With cycle day 15 both calls are of one cycle.
    assert each(price(sheet(), *MONTHS, cycle_day=15), "in_allowance") == [100, 20]


def test_what_was_used_before_is_not_there_any_more() -> None:
    start = datetime(2026, 10, 5, 9)  # noqa: DTZ001 - naive UTC
    cycle = date(2026, 10, 1)
    row = {
        **dict.fromkeys(EVENTS), "customer_id": 1, "cycle_start_date": cycle,
        "usage_type": "voice", "duration_s": 100, "call_date": start,
        "started_at_utc": start, "order_key": 1,
    }  # fmt: skip
    prepared = prepare(plan(sheet(further='period = "once"')))
    cycles = pl.DataFrame([(1, cycle, "UTC"), (2, cycle, "UTC")], CYCLES, orient="row")
    used = pl.DataFrame([(1, "", "minutes", 90)], USED, orient="row")

    rated = rate(pl.DataFrame([row], EVENTS), cycles, prepared, used)

    assert rated.events["in_allowance"].to_list() == [30]
    assert rated.allowances_left["left"].to_list() == [0, 120]


def test_money_pays_for_what_is_charged() -> None:
    credit = '[[allowance]]\nname = "credit"\nusage = ["voice", "sms"]\namount = "0.60"\n'
    messages = '[[entry]]\nname = "sms"\nusage = "sms"\nprice = "0.30"\n'
    document = price(
        CALLS.format(increment="1/1") + messages + credit,
        "2026-10-05T09:00 sms +316 1",
        "2026-10-05T10:00 voice +3120 60",
        "2026-10-05T11:00 sms +316 1",
    )
    assert costs(document) == ["0.000000", "0.350000", "0.300000"]
    assert each(document, "allowance_micros") == [300_000, 300_000, 0]
    assert document["allowances_left"] == {"credit": "0.000000"}


def test_a_credit_gives_no_allowance_back() -> None:
    text = (
        '[[entry]]\nname = "fees"\nusage = "fee"\nat_cost = true\n'
        '[[allowance]]\nname = "credit"\nusage = "fee"\namount = "1.00"\n'
    )
    document = price(
        text,
        "2026-10-05T09:00 fee - 1 cost=0.75",
        "2026-10-05T10:00 fee - 1 cost=-5",
        "2026-10-05T11:00 fee - 1 cost=0.75",
    )
    assert costs(document) == ["0.000000", "-5.000000", "0.500000"]


def test_only_what_is_named_is_covered() -> None:
    text = """
    [zones]
    eu = ["EU"]
    [[entry]]
    name = "calls"
    usage = "voice"
    price = "0.60"
    per = "min"
    [[entry]]
    name = "other calls"
    usage = "voice"
    prefixes = ["32"]
    price = "0.60"
    per = "min"
    [[allowance]]
    name = "abroad"
    usage = "voice"
    size = "10 min"
    entries = ["calls"]
    zones = ["eu"]
    valid_from = 2026-10-05
    valid_to = 2026-10-06
    """
    document = price(
        text,
        "2026-10-05T09:00 voice +3120 60 zone=EU",
        "2026-10-05T09:00 voice +3120 60",  # at home
        "2026-10-05T09:00 voice +3220 60 zone=EU",  # the other entry
        "2026-10-04T23:59 voice +3120 60 zone=EU",  # the day before
        "2026-10-06T00:00 voice +3120 60 zone=EU",  # the day after
    )
    assert each(document, "in_allowance") == [60, 0, 0, 0, 0]
    assert document["allowances_left"] == {"abroad": 540}


def test_overage_in_windows_is_the_later_part_of_the_call() -> None:
    text = """
    [windows]
    am = ["daily 00:00-12:00"]
    pm = ["daily 12:00-24:00"]
    [[entry]]
    name = "calls"
    usage = "voice"
    per = "s"
    windows.am = { price = 1 }
    windows.pm = { price = 100 }
    """ + MINUTES.format(size="20 s", further="")
    # 30 s before noon of which 20 are paid for: 10 at 1 and 30 at 100.
    assert costs(price(text, "2026-10-05T11:59:30 voice +3120 60")) == ["3010.000000"]


def test_unrated_usage_uses_nothing() -> None:
    text = CALLS.format(increment="1/1").replace(
        'usage = "voice"', 'usage = "voice"\nprefixes = ["31"]'
    ) + MINUTES.format(size="2 min", further="")
    document = price(
        text, "2026-10-05T09:00 voice +4420 100", "2026-10-05T10:00 voice +3120 100"
    )
    assert each(document, "in_allowance") == [0, 100]


def test_two_records_with_one_order_key_are_refused() -> None:
    start = datetime(2026, 10, 5, 9)  # noqa: DTZ001 - naive UTC
    cycle = date(2026, 10, 1)
    row = {
        **dict.fromkeys(EVENTS), "customer_id": 1, "cycle_start_date": cycle,
        "usage_type": "voice", "duration_s": 1, "call_date": start,
        "started_at_utc": start, "order_key": 1,
    }  # fmt: skip
    cycles = pl.DataFrame([(1, cycle, "UTC")], CYCLES, orient="row")
    with pytest.raises(ContractError, match="one instant and one order key"):
        rate(pl.DataFrame([row, row], EVENTS), cycles, prepare(plan(sheet())))
    with pytest.raises(ContractError, match="a cycle that was not asked for"):
        rate(pl.DataFrame([row], EVENTS), cycles.clear(), prepare(plan(sheet())))
