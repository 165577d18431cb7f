"""Windows: which price holds when, and where a call is cut."""

from datetime import date, datetime

import polars as pl
import pytest

from tests.spec.rating.sheet import costs, plan, price
from transforms.rating import CYCLES, EVENTS, rate
from transforms.rating_tables import prepare

WEEK = """
holidays = [2026-12-25]
[windows]
peak = ["mon-fri 08:00-18:00"]
off_peak = ["mon-fri 00:00-08:00", "mon-fri 18:00-24:00", "sat,sun,holiday 00:00-24:00"]
[[entry]]
name = "calls"
usage = "voice"
per = "s"
connect_fee = "100"
windows.peak = { price = 10 }
windows.off_peak = { price = 1, connect_fee = "200" }
[[entry]]
name = "data"
usage = "data"
per = "B"
windows.peak = { price = 10 }
windows.off_peak = { price = 1 }
"""


# Peak is 10 a second after a fee of 100, off-peak 1 after a fee of 200.
@pytest.mark.parametrize(
    ("event", "cost"),
    [
        ("2026-10-05T08:00:00 voice +3120 10", "200"),  # Monday, the first second of peak
        ("2026-10-05T07:59:55 voice +3120 10", "255"),  # five seconds of each
        ("2026-10-05T17:59:59 voice +3120 10", "119"),  # one of peak, nine off
        ("2026-10-05T18:00:00 voice +3120 10", "210"),
        ("2026-10-03T12:00:00 voice +3120 10", "210"),  # Saturday
        ("2026-10-04T23:59:55 voice +3120 10", "210"),  # Sunday into Monday, off-peak all
        ("2026-12-25T12:00:00 voice +3120 10", "210"),  # a holiday on a Friday
        ("2026-12-24T23:59:55 voice +3120 28865", "29065"),  # a night into a holiday
        ("2026-10-05T07:59:50 voice +3120 36020", "360220"),  # across all of peak
        ("2026-10-05T07:59:55 data internet 10", "10"),  # not a call: where it began
        ("2026-10-05T08:00:00 data internet 10", "100"),
    ],
)
def test_a_call_pays_the_price_of_the_window_it_is_in(event: str, cost: str) -> None:
    assert costs(price(WEEK, event)) == [f"{cost}.000000"]


def test_what_rounding_adds_is_in_the_last_part() -> None:
    sheet = WEEK.replace('per = "s"', 'per = "s"\nincrement = "60/60"')
    # 70 s are billed as 120: ten at peak, a hundred and ten off.
    assert costs(price(sheet, "2026-10-05T17:59:50 voice +3120 70")) == ["310.000000"]


def test_a_later_part_of_a_call_pays_no_fee_in_its_window() -> None:
    event = "2026-10-05T18:00:00 voice +3120 10 continuation=true"
    assert costs(price(WEEK, event)) == ["10.000000"]


NIGHT = """
[windows]
night = ["daily 00:00-02:30"]
day = ["daily 02:30-24:00"]
[[entry]]
name = "calls"
usage = "voice"
per = "s"
windows.night = { price = 1 }
windows.day = { price = 100 }
"""


@pytest.mark.parametrize(
    ("event", "night_s", "day_s"),
    [
        ("2026-10-25T02:20:00+02:00 voice +3120 1200", 600, 600),  # the first 02:30
        ("2026-10-25T02:50:00+02:00 voice +3120 1200", 600, 600),  # back to night at 03:00
        ("2026-10-25T02:20:00+01:00 voice +3120 1200", 600, 600),  # the second 02:30
        ("2026-10-25T00:00:00+02:00 voice +3120 90000", 10800, 79200),  # 25 hours
        ("2026-03-29T01:50:00+01:00 voice +3120 1200", 600, 600),  # 02:30 comes at 03:00
        ("2026-03-29T00:00:00+01:00 voice +3120 82800", 7200, 75600),  # 23 hours
        ("2026-03-28T00:00:00+01:00 voice +3120 86400", 9000, 77400),  # the day before
    ],
)
def test_nights_on_which_the_clock_changes(event: str, night_s: int, day_s: int) -> None:
    assert costs(price(NIGHT, event)) == [f"{night_s + 100 * day_s}.000000"]


def test_each_customer_has_the_clock_of_its_own_zone() -> None:
    zones = {1: "Europe/Amsterdam", 2: "America/New_York", 3: "Pacific/Chatham"}
    start = datetime(2026, 10, 5, 15, 59, 55)  # noqa: DTZ001 - naive UTC
    row = {
        **dict.fromkeys(EVENTS), "cycle_start_date": date(2026, 10, 1), "duration_s": 10,
        "usage_type": "voice", "call_date": start, "started_at_utc": start, "order_key": 1,
    }  # fmt: skip
    cycles = [(number, date(2026, 10, 1), zone) for number, zone in zones.items()]
    rated = rate(
        pl.DataFrame([{**row, "customer_id": number} for number in zones], EVENTS),
        pl.DataFrame(cycles, CYCLES, orient="row"),
        prepare(plan(WEEK)),
    )
    # 17:59:55 in Amsterdam, 11:59:55 in New York, 04:44:55 on Chatham.
    assert rated.events["charge_micros"].to_list() == [
        155_000_000,
        200_000_000,
        210_000_000,
    ]


def test_a_second_belongs_to_the_window_in_which_it_begins() -> None:
    # Begun half a second before 18:00, the first second is at peak.
    assert costs(price(WEEK, "2026-10-05T17:59:59.500 voice +3120 2")) == ["111.000000"]


def test_steps_go_on_across_a_boundary() -> None:
    sheet = """
    [windows]
    am = ["daily 00:00-12:00"]
    pm = ["daily 12:00-24:00"]
    [[entry]]
    name = "calls"
    usage = "voice"
    per = "s"
    windows.am = { steps = [{ up_to = 10, price = 1 }, { price = 2 }] }
    windows.pm = { steps = [{ up_to = 20, price = 100 }, { price = 200 }] }
    """
    # 10 x 1 and 5 x 2 before noon; then 5 x 100 up to the 20th second and 5 x 200.
    assert costs(price(sheet, "2026-10-05T11:59:45 voice +3120 25")) == ["1520.000000"]


def test_a_time_on_the_clock_is_read_in_the_zone_of_the_plan() -> None:
    sheet = 'timezone = "America/New_York"\n' + WEEK
    assert costs(price(sheet, "2026-10-05T17:59:59 voice +3120 1")) == ["110.000000"]
    assert costs(price(sheet, "2026-10-05T21:59:59Z voice +3120 1")) == ["110.000000"]
