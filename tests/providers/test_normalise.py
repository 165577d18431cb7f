"""What becomes of single records: accepted, flagged, or rejected with a reason."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import polars as pl
import pytest

from tests.providers.text_frames import normalised, profile_with, rows
from transforms.normalise import DeliveryName, Normaliser, delivery_name
from transforms.profile import Profile

OCTOBER = DeliveryName("A1", "202610", "7")


def flags(
    profile: Profile, change: dict[str, str], name: DeliveryName | None = None
) -> str:
    read = normalised(rows(change), profile, name)
    flags: str = read.accepted["flags"].item()
    return flags


@pytest.mark.parametrize(
    ("change", "code", "reason"),
    [
        # The provider's words are mapped or the row is set aside; unknown is never free.
        ({"kind": "fax"}, "unknown_usage", "usage 'fax' is not in the profile's map"),
        ({"unit": "uur"}, "unknown_unit", "unit 'uur' is not in the profile"),
        # Numbers: destroyed ones are shown, others only by their last two digits.
        (
            {"from": "3.16E+10"},
            "number_destroyed",
            "number destroyed by spreadsheet: '3.16E+10'",
        ),
        ({"from": ""}, "own_missing", "the own line has no number"),
        (
            {"from": "0612345***"},
            "own_not_a_number",
            "the own line 'xxxxxxx***' is not a telephone number",
        ),
        (
            {"to": "0612345678901234567"},
            "number_length",
            "number 'xxxxxxxxxxxxxxxxx67' does not have 7 to 15 digits",
        ),
        (
            {"to": "06-123456ab"},
            "number_unreadable",
            "number 'xx-xxxxxxab' holds more than digits and one leading +",
        ),
        # Time.
        ({"time": ""}, "time_missing", "the start has no date or no time"),
        (
            {"time": "24:00:00"},
            "time_unreadable",
            "start '03-10-2026 24:00:00' is not written as the profile says",
        ),
        (
            {"day": "31-12-1999", "time": "12:00:00"},
            "time_implausible",
            "start '31-12-1999 12:00:00' is before the year 2000",
        ),
        # Quantity.
        ({"amount_used": "-"}, "quantity_missing", "the quantity is missing"),
        ({"amount_used": "-5"}, "quantity_negative", "quantity '-5' is negative"),
        (
            {"amount_used": "1e3"},
            "quantity_unreadable",
            "quantity '1e3' is not written as the profile says",
        ),
        # Money.
        (
            {"price": ""},
            "amount_missing",
            "the amount is missing and the record is not marked unrated",
        ),
        (
            {"price": "0.10"},
            "amount_unreadable",
            "amount '0.10' is not written as the profile says",
        ),
        (
            {"price": "0,1234567"},
            "money_precision",
            "amount '0,1234567' has a digit below one micro, it is not rounded",
        ),
        # The key.
        (
            {"id": ""},
            "no_key",
            "the dedupe key needs 'record_id', which is missing, and there is no fallback",
        ),
        # What a store could not keep whole.
        (
            {"account": "A" * 65},
            "text_too_long",
            "the text in column 'account' is longer than can be stored",
        ),
        # Escaped and capped: a value cannot write on the reader's terminal.
        (
            {"kind": "\x1b[31m" + "x" * 80},
            "unknown_usage",
            f"usage '?[31m{'x' * 52}...' is not in the profile's map",
        ),
        # A number in the wrong column stays private too.
        (
            {"kind": "+31612345678"},
            "unknown_usage",
            "usage '+xxxxxxxxx78' is not in the profile's map",
        ),
    ],
)
def test_a_record_that_cannot_be_read_is_rejected_with_its_reason(
    change: dict[str, str], code: str, reason: str
) -> None:
    read = normalised(rows({}, change))
    assert read.accepted["line_no"].to_list() == [2]
    row = read.rejected.row(0, named=True)
    assert (row["line_no"], row["reason_code"], row["reason"]) == (3, code, reason)
    assert row["raw"] == rows({}, change)["raw"][1]


def test_the_first_rule_that_fails_gives_the_reason() -> None:
    read = normalised(rows({"kind": "fax", "from": "3.16E+10", "price": "x"}))
    assert read.rejected["reason_code"].to_list() == ["unknown_usage"]


@pytest.mark.parametrize(
    ("profile", "change", "expected"),
    [
        ({}, {}, ""),
        ({}, {"to": "31600000XXX"}, "b_masked"),
        ({}, {"price": "-0,10"}, "correction"),
        ({}, {"kind": "web", "amount_used": "0,3"}, "quantity_rounded"),
        ({}, {"day": "25-10-2026", "time": "02:15:00"}, "time_ambiguous"),
        ({}, {"day": "29-03-2026", "time": "02:15:00"}, "time_shifted"),
        ({"money": {"column": ""}}, {"price": "x"}, "unrated"),
        ({"money": {"vat": "inc", "vat_rate": 21}}, {}, "vat_removed"),
        ({"time": {"date_only_format": "%d-%m-%Y"}}, {"time": "-"}, "date_only"),
        (
            {"numbers": {"bare": "national_no_zero_or_e164"}},
            {"from": "600000081", "to": "600000082"},
            "a_zero_added,b_zero_added",
        ),
        (
            {"dedupe": {"fallback": ["a_number", "start"]}},
            {"id": "", "price": "-1,00"},
            "correction,dedupe_fallback",
        ),
    ],
)
def test_what_was_unusual_about_a_record_is_in_its_flags(
    profile: dict[str, Any], change: dict[str, str], expected: str
) -> None:
    assert flags(profile_with(**profile), change) == expected


@pytest.mark.parametrize(
    ("day", "expected"),
    [
        ("01-10-2026", ""),
        ("31-10-2026", ""),
        ("30-09-2026", "outside_period"),
        ("01-11-2026", "outside_period"),
        # 62 days before 1 October is 31 July.
        ("31-07-2026", "outside_period"),
        ("30-07-2026", "late_record,outside_period"),
    ],
)
def test_a_record_outside_the_month_of_its_file_is_flagged(day: str, expected: str) -> None:
    assert flags(profile_with(), {"day": day}, OCTOBER) == expected


def test_without_a_month_in_the_file_name_nothing_is_outside_it() -> None:
    assert flags(profile_with(), {"day": "01-01-2020"}, DeliveryName()) == ""


@pytest.mark.parametrize(
    ("day", "time", "codes"),
    [("12-10-2026", "11:59:59", []), ("12-10-2026", "14:00:01", ["time_in_future"])],
)
def test_a_record_more_than_a_day_ahead_is_rejected(
    day: str, time: str, codes: list[str]
) -> None:
    profile = profile_with()
    noon = datetime(2026, 10, 11, 12, tzinfo=UTC)
    normaliser = Normaliser(profile, profile.layouts[0], DeliveryName(), latest_utc=noon)
    read = normaliser.read(rows({"day": day, "time": time}))
    assert read.rejected["reason_code"].to_list() == codes


A_B: dict[str, Any] = {
    "party": {"mode": "a_b"},
    "direction": {"column": "way", "map": {"out": "out", "in": "in"}},
}


def test_of_an_incoming_call_the_called_line_is_the_own_one() -> None:
    call = {"way": "in", "from": "anoniem00**", "to": "31880000032"}
    read = normalised(rows(call), profile_with(**A_B)).accepted.row(0, named=True)
    assert (read["subscriber"], read["direction"]) == ("+31880000032", "in")
    assert (read["other_kind"], read["other"]) == ("masked", "anoniem00**")
    assert read["flags"] == "a_masked"


def test_an_unknown_direction_rejects_unless_there_is_a_default() -> None:
    strict = normalised(rows({"way": "?"}), profile_with(**A_B))
    assert strict.rejected["reason_code"].to_list() == ["unknown_direction"]
    lenient = {**A_B, "direction": {**A_B["direction"], "default": "out"}}
    read = normalised(rows({"way": "?"}), profile_with(**lenient))
    assert read.accepted["direction"].to_list() == ["out"]


def test_an_own_line_may_be_a_login_where_the_profile_says_so() -> None:
    profile = profile_with(numbers={"own": "any"})
    read = normalised(rows({"from": "201"}, {"from": "0612345***"}), profile)
    assert read.accepted["subscriber"].to_list() == ["201"]
    assert read.rejected["reason_code"].to_list() == ["own_not_a_number"]


def test_another_party_may_be_text_where_the_profile_says_so() -> None:
    profile = profile_with(numbers={"other": "any"})
    read = normalised(rows({"to": "web.example"}, {"to": "3.16E+10"}), profile)
    kinds = read.accepted.select("other_kind", "other", "other_class").rows()
    assert kinds == [("text", "web.example", None)]
    assert read.rejected["reason_code"].to_list() == ["number_destroyed"]


def test_each_usage_type_has_its_own_quantity_column() -> None:
    read = normalised(
        rows({"amount_used": "1,5", "unit": "min"}, {"kind": "web"}, {"kind": "text"})
    )
    columns = ("duration_s", "volume_bytes", "events")
    assert read.accepted.select(columns).rows() == [
        (90, None, None),
        (None, 61440, None),
        (None, None, 1),
    ]


def test_a_duration_may_be_the_end_minus_the_start() -> None:
    profile = profile_with(
        time={"end_columns": ["day", "unit"], "end_next_day": "roll"},
        quantity={"voice": {"from": "end_minus_start", "unit": "s"}},
    )
    read = normalised(
        rows(
            {"time": "10:00:00", "unit": "10:01:30"},
            {"time": "23:59:30", "unit": "00:00:15"},
            {"time": "10:00:00", "unit": ""},
            {"time": "10:00:00", "unit": "10:61:00"},
            # Through the doubled hour: 02:50 summer to 02:10 winter is 20 minutes.
            {"day": "25-10-2026", "time": "02:50:00", "unit": "02:10:00"},
        ),
        profile,
    )
    assert read.accepted.select("duration_s", "flags").rows() == [
        (90, ""),
        (45, "end_rolled"),
        (1200, "time_ambiguous"),
    ]
    assert read.rejected["reason_code"].to_list() == ["end_missing", "end_unreadable"]


def test_an_end_before_its_start_is_rejected() -> None:
    profile = profile_with(
        time={"end_columns": ["day", "unit"]},
        quantity={"voice": {"column": "amount_used", "unit": "s"}},
    )
    read = normalised(rows({"time": "10:00:00", "unit": "09:59:59"}), profile)
    assert read.rejected["reason_code"].to_list() == ["end_before_start"]


def test_an_unrated_record_has_no_price_and_is_not_free() -> None:
    profile = profile_with(money={"unrated": {"column": "way", "equals": "U"}})
    read = normalised(rows({"way": "U", "price": ""}, {"price": "0,00"}), profile)
    assert read.accepted["cost_micros"].to_list() == [None, 0]
    assert read.accepted["price_decimals"].to_list() == [None, 2]


def test_vat_is_taken_out_of_prices_that_include_it() -> None:
    profile = profile_with(money={"vat": "inc", "vat_rate": "21"})
    read = normalised(
        rows({"price": "1,21"}, {"price": "1,00"}, {"price": "-1,00"}), profile
    )
    assert read.accepted["cost_micros"].to_list() == [1_000_000, 826_446, -826_446]


def test_part_states_are_translated_and_unknown_ones_rejected() -> None:
    profile = profile_with(
        columns={"part_state": "way"}, partial={"states": {"F": "first", "L": "last"}}
    )
    read = normalised(rows({"way": "F"}, {"way": "-"}, {"way": "X"}), profile)
    assert read.accepted["part_state"].to_list() == ["first", None]
    assert read.rejected["reason_code"].to_list() == ["unknown_part_state"]


def test_skip_rules_set_rows_aside_and_count_them() -> None:
    profile = profile_with(
        skip_rows=[
            {"column": "kind", "in": ["note", "memo"]},
            {"column": "id", "regex": "^#"},
            {"column": "way", "not_in": ["out", "in"]},
        ]
    )
    read = normalised(
        rows({}, {"kind": "memo"}, {"id": "# a remark"}, {"way": "?"}), profile
    )
    assert (read.accepted.height, read.rejected.height, read.ignored) == (1, 0, 3)
    assert read.tally.records == 1


def test_the_account_comes_from_the_file_name_where_no_column_has_it() -> None:
    profile = profile_without_account()
    assert normalised(rows({}), profile, OCTOBER).accepted["account"].to_list() == ["A1"]


def profile_without_account() -> Profile:
    profile = profile_with()
    layout = profile.layouts[0]
    columns = {name: column for name, column in layout.columns.items() if name != "account"}
    return replace(profile, layouts=(replace(layout, columns=columns),))


def test_an_empty_chunk_becomes_nothing() -> None:
    read = normalised(rows({}).clear())
    assert (read.accepted.height, read.rejected.height, read.ignored) == (0, 0, 0)


def test_the_groups_of_a_file_name_are_read_by_name() -> None:
    source = profile_with().source
    assert delivery_name(source, "K7_202610_12.csv") == DeliveryName("K7", "202610", "12")
    assert delivery_name(source, "march.csv") == DeliveryName(None, None, None)


def test_a_fixed_record_of_another_length_or_kind_is_rejected() -> None:
    profile = profile_with(
        type="fixed",
        record_length=40,
        record_type=[1, 1],
        header_types=["H"],
        data_types=["D"],
        trailer_types=["T"],
        fields={
            "id": [2, 3],
            "from": [5, 11],
            "start": [16, 14],
            "price": [30, 6],
            "used": [36, 5],
        },
        columns={"record_id": "id", "account": "id", "a_number": "from", "b_number": "id"},
        numbers={"other": "any"},
        time={"columns": ["start"], "format": "%Y%m%d%H%M%S"},
        usage={"column": "", "const": "voice", "map": {}},
        quantity={
            "voice": {"column": "used", "unit": "s"},
            "data": {"column": "used", "unit": "B"},
        },
        locale={"decimal": "", "thousands": ""},
        money={"column": "price", "unit": "cent"},
    )
    lines = [
        "H".ljust(40),
        "D  73160000001120261003100000000010   60",
        "D  8316000000112026100310000000001    60 too long",
        "X".ljust(40),
        "T".ljust(40),
    ]
    text = pl.DataFrame(
        {"line_no": range(1, 6), "raw": lines},
        {"line_no": pl.Int64(), "raw": pl.String()},
    )
    read = normalised(text, profile)
    row = read.accepted.row(0, named=True)
    assert (row["record_id"], row["duration_s"], row["cost_micros"]) == ("7", 60, 100_000)
    assert read.rejected.select("line_no", "reason_code").rows() == [
        (3, "record_length"),
        (4, "unknown_record_type"),
    ]
    assert (read.ignored, read.tally.records) == (0, 3)
    assert [mark.line_no for mark in read.tally.marks] == [5]
