"""Who owns a record: by number, line, contract or account, and by the time it began."""

from datetime import date, datetime

import polars as pl
import pytest

from transforms.cdr import INSTANT, OWNED, RECORD
from transforms.errors import ContractError, MoneyError
from transforms.match import Owners, cycles_of, match
from transforms.reference import CUSTOMERS, SUBSCRIPTIONS

NUMBER = "+31600000011"


def customers(*rows: tuple[int, str, int, str]) -> pl.DataFrame:
    full = [(cid, "Customer", zone, day, money, "{}") for cid, zone, day, money in rows]
    return pl.DataFrame(full, CUSTOMERS, orient="row")


def subscriptions(
    *rows: tuple[str, str, int, date | None, date | None],
) -> pl.DataFrame:
    return pl.DataFrame(list(rows), SUBSCRIPTIONS, orient="row")


def records(*rows: dict[str, object]) -> pl.DataFrame:
    usual: dict[str, object] = {
        **dict.fromkeys(RECORD),
        "subscriber": NUMBER,
        "other_kind": "none",
        "direction": "out",
        "usage_type": "voice",
        "started_at_utc": datetime(2026, 10, 1, 12),  # noqa: DTZ001 - naive UTC
        "currency": "EUR",
        "flags": "",
        "fingerprint": 1,
    }
    numbered = [{**usual, "line_no": i + 1, **row} for i, row in enumerate(rows)]
    return pl.DataFrame(numbered, RECORD)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text)


TWO = customers(
    (1, "Europe/Amsterdam", 1, "EUR"),
    (2, "Europe/Amsterdam", 1, "EUR"),
)


# A number changes hands on 1 March 2026: midnight in Amsterdam is 23:00 UTC the day before.
@pytest.mark.parametrize(
    ("started_at_utc", "owner", "call_date"),
    [
        ("2026-02-28 22:59:59", 1, "2026-02-28 23:59:59"),
        ("2026-02-28 23:00:00", 2, "2026-03-01 00:00:00"),
        # In summer midnight is at 22:00 UTC; the owner stays.
        ("2026-06-30 22:00:00", 2, "2026-07-01 00:00:00"),
        # The night the clocks go back: 02:30 comes twice on the wall.
        ("2026-10-25 00:30:00", 2, "2026-10-25 02:30:00"),
        ("2026-10-25 01:30:00", 2, "2026-10-25 02:30:00"),
        # The night they go forward: 02:30 does not exist.
        ("2026-03-29 00:59:59", 2, "2026-03-29 01:59:59"),
        ("2026-03-29 01:00:00", 2, "2026-03-29 03:00:00"),
    ],
)
def test_a_number_changes_hands_at_midnight_of_its_owner(
    started_at_utc: str, owner: int, call_date: str
) -> None:
    owners = Owners.build(
        TWO,
        subscriptions(
            ("number", NUMBER, 1, None, date(2026, 3, 1)),
            ("number", NUMBER, 2, date(2026, 3, 1), None),
        ),
    )

    matched = match(records({"started_at_utc": at(started_at_utc)}), owners)

    found = matched.owned.select("customer_id", "call_date").rows()
    assert found == [(owner, at(call_date))]
    assert matched.suspended.is_empty()


# Where the clock jumps at midnight the day has no 00:00; it begins with the jump.
@pytest.mark.parametrize(
    ("zone", "day", "last_before", "first_of_day"),
    [
        # Cairo, 2026-04-24: 00:00 becomes 01:00, which is 22:00 UTC the day before.
        ("Africa/Cairo", date(2026, 4, 24), "2026-04-23 21:59:59", "2026-04-23 22:00:00"),
        # Havana, 2026-11-01: 01:00 becomes 00:00; the day begins at the first 00:00.
        ("America/Havana", date(2026, 11, 1), "2026-11-01 03:59:59", "2026-11-01 04:00:00"),
        ("Europe/London", date(2026, 3, 29), "2026-03-28 23:59:59", "2026-03-29 00:00:00"),
    ],
)
def test_a_day_begins_at_its_first_instant_even_without_midnight(
    zone: str, day: date, last_before: str, first_of_day: str
) -> None:
    owners = Owners.build(
        customers((1, zone, 1, "EUR")), subscriptions(("number", NUMBER, 1, day, None))
    )

    matched = match(
        records({"started_at_utc": at(last_before)}, {"started_at_utc": at(first_of_day)}),
        owners,
    )

    assert matched.suspended["line_no"].to_list() == [1]
    assert matched.owned["line_no"].to_list() == [2]


# The order of looking: number, line, contract, account; the first that is valid wins.
@pytest.mark.parametrize(
    ("subscription_rows", "owner"),
    [
        ([("number", NUMBER, 1, None, None), ("contract", "700101", 2, None, None)], 1),
        ([("line", NUMBER, 1, None, None), ("contract", "700101", 2, None, None)], 1),
        ([("contract", "700101", 1, None, None), ("account", "K1", 2, None, None)], 1),
        ([("account", "K1", 2, None, None)], 2),
        # The number is known but not valid any more: the contract still is.
        (
            [
                ("number", NUMBER, 1, None, date(2026, 9, 1)),
                ("contract", "700101", 2, None, None),
            ],
            2,
        ),
    ],
)
def test_the_first_kind_that_is_valid_decides(
    subscription_rows: list[tuple[str, str, int, date | None, date | None]], owner: int
) -> None:
    owners = Owners.build(TWO, subscriptions(*subscription_rows))

    matched = match(records({"contract": "700101", "account": "K1"}), owners)

    assert matched.owned["customer_id"].to_list() == [owner]


def test_a_record_nobody_knows_waits_without_an_owner() -> None:
    owners = Owners.build(TWO, subscriptions(("number", "+31600000099", 1, None, None)))

    matched = match(records({}), owners)

    assert matched.owned.is_empty()
    assert matched.owned.schema == pl.Schema(OWNED)
    reasons = matched.suspended.select("reason_code", "reason").rows()
    assert reasons == [
        ("no_owner", "no subscription knows this number, line, contract or account")
    ]


def test_a_record_before_its_subscription_waits_as_not_valid() -> None:
    owners = Owners.build(
        TWO, subscriptions(("number", NUMBER, 1, date(2026, 11, 1), None))
    )

    matched = match(records({}), owners)

    reasons = matched.suspended.select("reason_code", "reason").rows()
    assert reasons == [
        ("owner_not_valid", "a subscription knows it, but none is valid at that time")
    ]


def test_a_record_in_another_currency_waits() -> None:
    owners = Owners.build(TWO, subscriptions(("number", NUMBER, 1, None, None)))

    matched = match(records({"currency": "USD"}, {}), owners)

    reasons = matched.suspended.select("line_no", "reason_code", "reason").rows()
    assert reasons == [
        (1, "other_currency", "the record is in USD, its customer's currency is EUR")
    ]
    assert matched.owned["line_no"].to_list() == [2]


def test_a_masked_number_is_never_joined_on() -> None:
    masked = "+3160000XXX"
    owners = Owners.build(TWO, subscriptions(("line", masked, 1, None, None)))

    matched = match(records({"subscriber": masked, "flags": "a_masked,unrated"}), owners)

    assert matched.suspended["reason_code"].to_list() == ["no_owner"]


def test_records_keep_their_order_and_their_further_columns() -> None:
    owners = Owners.build(
        TWO,
        subscriptions(("account", "K2", 2, None, None), ("number", NUMBER, 1, None, None)),
    )
    given = records(
        {"subscriber": "x", "account": "K2"}, {}, {"subscriber": "y"}, {"account": "K2"}
    ).with_columns(row=pl.Series([7, 8, 9, 10]), owner=pl.lit("kept"))

    matched = match(given, owners)

    assert matched.owned.select("line_no", "customer_id", "row", "owner").rows() == [
        (1, 2, 7, "kept"),
        (2, 1, 8, "kept"),
        (4, 1, 10, "kept"),
    ]
    assert matched.suspended.select("line_no", "row").rows() == [(3, 9)]


def test_each_customer_sees_its_own_wall_clock() -> None:
    owners = Owners.build(
        customers((1, "Europe/Amsterdam", 1, "EUR"), (2, "America/Curacao", 1, "EUR")),
        subscriptions(("account", "A", 1, None, None), ("account", "B", 2, None, None)),
    )

    matched = match(records({"account": "A"}, {"account": "B"}), owners)

    assert matched.owned["call_date"].to_list() == [
        at("2026-10-01 14:00:00"),
        at("2026-10-01 08:00:00"),
    ]


def test_between_two_zones_the_owner_whose_day_began_last_has_the_hour() -> None:
    """London's 1 June begins an hour after Amsterdam's; until then both are right."""
    owners = Owners.build(
        customers((1, "Europe/London", 1, "EUR"), (2, "Europe/Amsterdam", 1, "EUR")),
        subscriptions(
            ("number", NUMBER, 1, None, date(2026, 6, 1)),
            ("number", NUMBER, 2, date(2026, 6, 1), None),
        ),
    )

    matched = match(
        records(
            {"started_at_utc": at("2026-05-31 21:59:59")},
            {"started_at_utc": at("2026-05-31 22:30:00")},
        ),
        owners,
    )

    assert matched.owned["customer_id"].to_list() == [1, 2]


def test_a_subscription_of_nobody_is_our_own_mistake() -> None:
    with pytest.raises(ContractError, match="belongs to a customer that is not described"):
        Owners.build(TWO, subscriptions(("number", NUMBER, 3, None, None)))


def owned(*rows: tuple[int, str, int | None]) -> pl.DataFrame:
    return pl.DataFrame(
        [(customer, at(moment), cost) for customer, moment, cost in rows],
        {"customer_id": pl.Int64(), "call_date": INSTANT, "cost_micros": pl.Int64()},
        orient="row",
    )


def test_records_fall_in_the_cycle_of_their_customers_cycle_day() -> None:
    people = customers(
        (1, "Europe/Amsterdam", 1, "EUR"),
        (2, "Europe/Amsterdam", 15, "EUR"),
        (3, "Europe/Amsterdam", 31, "EUR"),
    )

    cycles = cycles_of(
        owned(
            (1, "2026-10-31 23:59:59", 100),
            (1, "2026-11-01 00:00:00", 200),
            (2, "2026-10-14 12:00:00", 10),
            (2, "2026-10-15 00:00:00", None),
            (2, "2026-10-20 00:00:00", 5),
            (3, "2026-02-28 00:00:00", 1),
            (3, "2026-03-30 23:00:00", 2),
        ),
        people,
    )

    assert cycles.rows() == [
        (1, date(2026, 10, 1), date(2026, 11, 1), 1, 100),
        (1, date(2026, 11, 1), date(2026, 12, 1), 1, 200),
        (2, date(2026, 9, 15), date(2026, 10, 15), 1, 10),
        (2, date(2026, 10, 15), date(2026, 11, 15), 2, 5),
        (3, date(2026, 2, 28), date(2026, 3, 31), 2, 3),
    ]


def test_costs_that_do_not_fit_are_an_error_not_another_sum() -> None:
    dear = [(1, "2026-10-01 00:00:00", 10**18 - 1)] * 10

    with pytest.raises(MoneyError, match="more than 64 bits"):
        cycles_of(owned(*dear), TWO)
