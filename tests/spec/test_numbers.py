"""Telephone numbers: every rule of the order of tests, and every class of the plan."""

import polars as pl
import pytest

from transforms.numbers import number_class, read_numbers
from transforms.profile import Bare, Numbers

MASK = "[xX*]{2,}$"


def read(text: str | None, rules: Numbers) -> tuple[str, str | None, str | None, bool]:
    row = read_numbers(pl.Series([text], dtype=pl.String), rules).row(0)
    kind, value, fault, zero_added = row
    return kind, value, fault, zero_added


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        # 1. Nothing.
        (None, "none", None),
        ("", "none", None),
        ("  ", "none", None),
        # 2. A token, before anything else looks at it.
        ("000INTERNET", "token", "data"),
        ("anoniem", "token", "withheld"),
        ("0800000001", "token", "desk"),
        # 3. A spreadsheet formula, unwrapped.
        ('="0600000061"', "e164", "+31600000061"),
        ('="06-00000061"', "e164", "+31600000061"),
        ('=""', "none", None),
        # 4. A mask: kept as it is, never completed.
        ("020000****", "masked", "020000****"),
        ("31600000XXX", "masked", "31600000XXX"),
        ("0612345xx", "masked", "0612345xx"),
        # 5. Destroyed by a spreadsheet.
        ("3.16E+10", "bad", None),
        ("3,16E+10", "bad", None),
        ("3E10", "bad", None),
        # 6. Cleaned of what is written for the eye.
        ("+31 (0)20 000 0073", "e164", "+31200000073"),
        ("+31(0)200000073", "e164", "+31200000073"),
        ("06-00000051", "e164", "+31600000051"),
        ("(020) 000.00/53", "e164", "+31200000053"),
        ("06\u00a000000051", "e164", "+31600000051"),
        ("+44 7700 900123", "e164", "+447700900123"),
        ("06_00000051", "bad", None),
        ("06 0000 0051 ext 3", "bad", None),
        ("++31600000051", "bad", None),
        ("31+600000051", "bad", None),
        ("٠٦٠٠٠٠٠٠٥١", "bad", None),
        # 7. With a plus, with two zeros, with one.
        ("+31600000051", "e164", "+31600000051"),
        ("0031600000051", "e164", "+31600000051"),
        ("00493023125007", "e164", "+493023125007"),
        ("0850000031", "e164", "+31850000031"),
        # 8. Short codes, kept as they are.
        ("112", "short", "112"),
        ("113", "short", "113"),
        ("116111", "short", "116111"),
        ("14020", "short", "14020"),
        ("140111", "short", "140111"),
        ("1233", "short", "1233"),
        ("1300", "short", "1300"),
        ("1600", "short", "1600"),
        ("1888", "short", "1888"),
        ("3000", "short", "3000"),
        ("4000", "short", "4000"),
        ("5000", "bad", None),
        ("114", "bad", None),
        # 10. One trunk zero too many; 7 to 15 digits.
        ("+310600000051", "e164", "+31600000051"),
        ("00310600000051", "e164", "+31600000051"),
        ("+1234567", "e164", "+1234567"),
        ("+123456", "bad", None),
        ("+123456789012345", "e164", "+123456789012345"),
        ("+1234567890123456", "bad", None),
        ("08000000", "e164", "+318000000"),
    ],
)
def test_a_number_is_recognised_by_the_first_test_that_fits(
    text: str | None, kind: str, value: str | None
) -> None:
    tokens = {"000INTERNET": "data", "anoniem": "withheld", "0800000001": "desk"}
    rules = Numbers(mask_regex=MASK, tokens=tokens, strip_excel_formula=True)
    assert read(text, rules)[:2] == (kind, value)


@pytest.mark.parametrize(
    ("bare", "text", "value", "zero_added"),
    [
        ("e164", "31612345678", "+31612345678", False),
        ("e164", "318001234", "+318001234", False),
        ("national_no_zero", "612345678", "+31612345678", False),
        ("national_no_zero_or_e164", "612345678", "+31612345678", True),
        ("national_no_zero_or_e164", "31612345678", "+31612345678", False),
        ("national_no_zero_or_e164", "3197000000074", "+3197000000074", False),
        ("national_no_zero_or_e164", "0612345678", "+31612345678", False),
        # Nobody can tell 0800-1234 from 0318-001234.
        ("national_no_zero_or_e164", "318001234", None, False),
        ("national_no_zero_or_e164", "200000021", None, False),
        ("reject", "31612345678", None, False),
        ("reject", "0612345678", "+31612345678", False),
    ],
)
def test_bare_digits_are_what_the_profile_declares(
    bare: Bare, text: str, value: str | None, *, zero_added: bool
) -> None:
    found = read(text, Numbers(bare=bare))
    assert (found[1], found[3]) == (value, zero_added)
    assert found[2] == (None if value else "number_bare")


def test_without_its_rule_a_spreadsheet_formula_is_not_unwrapped() -> None:
    assert read('="0600000061"', Numbers())[0] == "bad"


def test_plain_and_odd_numbers_of_one_column_keep_their_places() -> None:
    column = pl.Series(["31600000011", "112", "x", "31200000021", None, "06-00000051"])
    found = read_numbers(column, Numbers())
    assert found.select("kind", "value").rows() == [
        ("e164", "+31600000011"),
        ("short", "112"),
        ("bad", None),
        ("e164", "+31200000021"),
        ("none", None),
        ("e164", "+31600000051"),
    ]


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("short", "112", "short"),
        ("e164", "+442079460001", "international"),
        ("e164", "+31610000000", "mobile"),
        ("e164", "+31650000000", "mobile"),
        ("e164", "+31680000000", "mobile"),
        ("e164", "+31660000000", "pager"),
        ("e164", "+31600000012", "mobile_unassigned"),
        ("e164", "+31670000000", "mobile_unassigned"),
        ("e164", "+31690000000", "mobile_unassigned"),
        ("e164", "+3197000000074", "m2m"),
        ("e164", "+318000000", "freephone"),
        ("e164", "+319000000", "premium"),
        ("e164", "+319060000", "premium"),
        ("e164", "+319090000", "premium"),
        ("e164", "+31840000000", "nongeo"),
        ("e164", "+31850000031", "nongeo"),
        ("e164", "+31870000000", "nongeo"),
        ("e164", "+31910000000", "nongeo"),
        ("e164", "+31880000032", "company"),
        ("e164", "+31820000000", "vpn"),
        ("e164", "+31200000021", "geographic"),
        ("e164", "+31700000000", "geographic"),
        # In no class: nothing is said.
        ("e164", "+319010000", None),
        ("e164", "+31890000000", None),
        ("e164", "+31920000000", None),
        ("masked", "020000****", None),
        ("token", "data", None),
        ("none", None, None),
        ("text", "web.example", None),
    ],
)
def test_a_number_is_told_its_part_of_the_numbering_plan(
    kind: str, value: str | None, expected: str | None
) -> None:
    frame = pl.DataFrame(
        {"kind": [kind], "value": [value]}, {"kind": pl.String, "value": pl.String}
    )
    found = frame.select(number_class(pl.col("kind"), pl.col("value"))).item()
    assert found == expected
