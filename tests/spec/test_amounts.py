"""Amounts and quantities: only what the provider declared, and that exactly."""

import polars as pl
import pytest

from transforms.amount import read_micros, without_vat
from transforms.money import round_ratio
from transforms.profile import Locale, money_exponent
from transforms.quantity import read_quantities

DUTCH = Locale(",", ".", ("€", "EUR"), ("lead", "trail"))
ENGLISH = Locale(".", ",", ("$",), ("lead", "parens"))
PLAIN = Locale(".", "", (), ("lead",))
DIGITS = Locale("", "", (), ("lead",))
UNSIGNED = Locale(",", "", (), ())


def micros(
    text: str | None, locale: Locale, exponent: int = 0
) -> tuple[int | None, str | None]:
    row = read_micros(pl.Series([text], dtype=pl.String), locale, exponent).row(0)
    return row[0], row[2]


@pytest.mark.parametrize(
    ("text", "locale", "expected"),
    [
        # Decimal sign and thousands, each in its place.
        ("0", DUTCH, 0),
        ("12", DUTCH, 12_000_000),
        ("0,00", DUTCH, 0),
        ("0,0002", DUTCH, 200),
        ("1,815", DUTCH, 1_815_000),
        (",5", DUTCH, 500_000),
        ("1.536,25", DUTCH, 1_536_250_000),
        ("1.250,00", DUTCH, 1_250_000_000),
        ("1.250", DUTCH, 1_250_000_000),
        ("1.234.567,89", DUTCH, 1_234_567_890_000),
        ("1250,00", DUTCH, 1_250_000_000),
        ("007,50", DUTCH, 7_500_000),
        ("1,234.50", ENGLISH, 1_234_500_000),
        ("0.045000", PLAIN, 45_000),
        ("12.500000", PLAIN, 12_500_000),
        (".5", PLAIN, 500_000),
        ("000000001500", DIGITS, 1_500_000_000),
        # Tokens, with the blanks round them, at the ends only.
        ("€ 0,10", DUTCH, 100_000),
        ("€0,10", DUTCH, 100_000),
        ("0,10 €", DUTCH, 100_000),
        ("EUR 3,00", DUTCH, 3_000_000),
        ("3,00EUR", DUTCH, 3_000_000),
        ("€\u00a01,00", DUTCH, 1_000_000),
        ("€ 1.250,00", DUTCH, 1_250_000_000),
        # Signs, where the profile has them.
        ("-3,25", DUTCH, -3_250_000),
        ("3,25-", DUTCH, -3_250_000),
        ("€ 1,50-", DUTCH, -1_500_000),
        ("-€ 1,50", DUTCH, -1_500_000),
        ("€ -1,50", DUTCH, -1_500_000),
        ("(3.25)", ENGLISH, -3_250_000),
        ("$(3.25)", ENGLISH, -3_250_000),
        ("-0,00", DUTCH, 0),
        ("-000000250000", DIGITS, -250_000_000_000),
        # More decimals than six are welcome as long as they are zeros.
        ("0,1230000", DUTCH, 123_000),
        ("0,000000000000000000", DUTCH, 0),
        # The largest there is.
        ("999999999999,999999", DUTCH, 999_999_999_999_999_999),
        ("-999999999999,999999", DUTCH, -999_999_999_999_999_999),
        ("0000000000000000000000000000000000000000000001,5", DUTCH, 1_500_000),
    ],
)
def test_an_amount_in_the_declared_grammar_is_exact(
    text: str, locale: Locale, expected: int
) -> None:
    assert micros(text, locale) == (expected, None)


@pytest.mark.parametrize(
    ("text", "locale"),
    [
        # The other decimal sign is not "nearly right".
        ("0.10", DUTCH),
        ("0.125", DUTCH),
        ("1250.00", DUTCH),
        ("0,10", PLAIN),
        ("1,250.00", PLAIN),
        ("1,5", DIGITS),
        # Thousands in the wrong place.
        ("1.53,6", DUTCH),
        ("12.50", DUTCH),
        (".250", DUTCH),
        ("1..250", DUTCH),
        ("1.2500", DUTCH),
        ("1234.567", DUTCH),
        ("0.250.000", DUTCH),
        ("1,5.0", DUTCH),
        ("1,234", PLAIN),
        # Half a number.
        ("5,", DUTCH),
        (",", DUTCH),
        ("", DUTCH),
        ("-", DUTCH),
        ("€", DUTCH),
        ("€ -", DUTCH),
        ("1,2,3", DUTCH),
        # Signs the profile does not have, or twice.
        ("+1,00", DUTCH),
        ("--1,00", DUTCH),
        ("-1,00-", DUTCH),
        ("- 1,00", DUTCH),
        ("1,00 -", DUTCH),
        ("(1,00)", DUTCH),
        ("1.00-", ENGLISH),
        ("(1.00", ENGLISH),
        ("-(1.00)", ENGLISH),
        ("-1,00", UNSIGNED),
        ("\u22121,00", DUTCH),
        # Tokens in the middle, or unknown.
        ("1€50", DUTCH),
        ("$ 1,00", DUTCH),
        ("€€ 1,00", DUTCH),
        ("eur 1,00", DUTCH),
        # Blanks.
        (" 1,00", DUTCH),
        ("1,00 ", DUTCH),
        ("1 250,00", DUTCH),
        ("1\u00a0250,00", DUTCH),
        ("1,00\n", DUTCH),
        ("\t1,00", DUTCH),
        # Numbers of programs, not of invoices.
        ("1e3", DUTCH),
        ("1E-2", PLAIN),
        ("0x10", PLAIN),
        ("1_000", PLAIN),
        ("NaN", PLAIN),
        ("nan", PLAIN),
        ("inf", PLAIN),
        ("-inf", PLAIN),
        ("Infinity", PLAIN),
        ("true", PLAIN),
        ("None", PLAIN),
        ("1/2", PLAIN),
        ("1%", PLAIN),
        ("'1", PLAIN),
        ("=1+1", PLAIN),
        # Digits of other scripts.
        ("\u0661\u0662", PLAIN),
        ("\uff11", PLAIN),
        ("\u00bd", PLAIN),
        ("1\u200b0", PLAIN),
        ("\ufeff1", PLAIN),
        ("1\x00", PLAIN),
    ],
)
def test_an_amount_outside_the_declared_grammar_is_no_amount(
    text: str, locale: Locale
) -> None:
    assert micros(text, locale) == (None, "amount_unreadable")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "amount_missing"),
        # One tenth of a micro is not rounded away.
        ("0,0000001", "money_precision"),
        ("0,1234567", "money_precision"),
        ("-0,1234567", "money_precision"),
        # 10**18 micros and more do not fit the books.
        ("1000000000000,00", "money_too_large"),
        ("-1000000000000,00", "money_too_large"),
        ("99999999999999999999", "money_too_large"),
        ("9" * 60, "money_too_large"),
        ("0,1000000000000000055511151231257827", "money_precision"),
    ],
)
def test_an_amount_that_cannot_be_kept_exactly_is_a_fault(
    text: str | None, fault: str
) -> None:
    assert micros(text, DUTCH) == (None, fault)


@pytest.mark.parametrize(
    ("unit", "text", "locale", "expected", "decimals"),
    [
        ("EUR", "0,0405", DUTCH, 40_500, 4),
        ("cent", "12,5", DUTCH, 125_000, 3),
        ("cent", ",02", DUTCH, 200, 4),
        ("cent", "120,033", DUTCH, 1_200_330, 5),
        ("cent", "55", DUTCH, 550_000, 2),
        ("1e-5EUR", "000000001500", DIGITS, 15_000, 5),
        ("1e-5EUR", "-00000250000", DIGITS, -2_500_000, 5),
        ("1e-6EUR", "1", DIGITS, 1, 6),
        ("1e-8EUR", "100", DIGITS, 1, 8),
        ("1e-0EUR", "3", DIGITS, 3_000_000, 0),
    ],
)
def test_a_unit_says_how_many_decimals_are_implied(
    unit: str, text: str, locale: Locale, expected: int, decimals: int
) -> None:
    exponent = money_exponent(unit, "EUR")
    assert exponent is not None
    row = read_micros(pl.Series([text]), locale, exponent).row(0)
    assert row == (expected, decimals, None)


def test_a_unit_of_another_currency_is_unknown() -> None:
    assert money_exponent("USD", "EUR") is None
    assert money_exponent("1e-5USD", "EUR") is None
    assert money_exponent("USD", "USD") == 0


@pytest.mark.parametrize(
    ("inclusive", "rate", "exclusive"),
    [
        (121_000_000, "21", 100_000_000),
        (1_000_000, "21", 826_446),
        (-1_000_000, "21", -826_446),
        # 0.000109 / 1.09 is exactly 0.0001; 3 / 1.2 = 2.5 goes up, away from zero.
        (109, "9", 100),
        (3, "20", 3),
        (-3, "20", -3),
        (1, "100", 1),
        (10, "9.5", 9),
        (0, "21", 0),
        (999_999_999_999_999_999, "21", 826_446_280_991_735_536),
        (None, "21", None),
    ],
)
def test_vat_is_taken_out_half_up_to_the_micro(
    inclusive: int | None, rate: str, exclusive: int | None
) -> None:
    found = without_vat(pl.Series([inclusive], dtype=pl.Int64), rate).item()
    assert found == exclusive


def test_taking_vat_out_is_the_one_rounding_of_this_house() -> None:
    amounts = [*range(-300, 300), 10**17 + 7, -(10**17) - 7]
    found = without_vat(pl.Series(amounts), "21").to_list()
    assert found == [round_ratio(each * 100, 121, "half-up") for each in amounts]


@pytest.mark.parametrize(
    ("text", "unit", "expected", "rounded"),
    [
        ("185", "s", 185, False),
        ("0", "s", 0, False),
        ("1.200", "s", 1_200, False),
        ("15", "ds", 2, True),
        ("20", "ds", 2, False),
        ("1,5", "min", 90, False),
        ("0,01", "min", 1, True),
        ("00:03:05", "hh:mm:ss", 185, False),
        ("01:00:01", "hh:mm:ss", 3_601, False),
        ("100:00:00", "hh:mm:ss", 360_000, False),
        ("90:00", "mm:ss", 5_400, False),
        ("1", "B", 1, False),
        ("0,5", "B", 1, True),
        ("512", "kB", 512_000, False),
        ("1.024", "KiB", 1_048_576, False),
        ("0,250", "GB", 250_000_000, False),
        ("10,5", "MiB", 11_010_048, False),
        ("1.536,25", "MiB", 1_610_874_880, False),
        ("0,3", "KiB", 308, True),
        ("1", "MB", 1_000_000, False),
        ("1", "GiB", 1_073_741_824, False),
        ("3", "event", 3, False),
        ("900000000", "GiB", 966_367_641_600_000_000, False),
    ],
)
def test_a_quantity_is_exact_and_a_fraction_counts_as_one(
    text: str, unit: str, expected: int, *, rounded: bool
) -> None:
    found = read_quantities(pl.Series([text]), pl.Series([unit]), DUTCH)
    assert (found.amount.item(), found.is_rounded.item()) == (expected, rounded)
    assert found.fault.item() is None


@pytest.mark.parametrize(
    ("text", "unit", "fault"),
    [
        (None, "s", "quantity_missing"),
        ("-1", "s", "quantity_negative"),
        ("", "s", "quantity_unreadable"),
        (" 1", "s", "quantity_unreadable"),
        ("1e3", "s", "quantity_unreadable"),
        ("1.5", "min", "quantity_unreadable"),
        ("00:61:00", "hh:mm:ss", "quantity_unreadable"),
        ("00:00:60", "hh:mm:ss", "quantity_unreadable"),
        ("1:2:3", "hh:mm:ss", "quantity_unreadable"),
        ("01:02", "hh:mm:ss", "quantity_unreadable"),
        ("01:00:00", "mm:ss", "quantity_unreadable"),
        ("185", "hh:mm:ss", "quantity_unreadable"),
        ("1000000000", "GiB", "quantity_too_large"),
        ("1000000000000000000", "B", "quantity_too_large"),
        ("9" * 40, "s", "quantity_too_large"),
    ],
)
def test_a_quantity_that_cannot_be_told_is_a_fault(
    text: str | None, unit: str, fault: str
) -> None:
    cell = pl.Series([text], dtype=pl.String)
    found = read_quantities(cell, pl.Series([unit]), DUTCH)
    assert (found.amount.item(), found.fault.item()) == (None, fault)


def test_each_row_is_counted_in_its_own_unit() -> None:
    text, unit = pl.Series(["1", "00:01:00", "2"]), pl.Series(["min", "hh:mm:ss", None])
    assert read_quantities(text, unit, DUTCH).amount.to_list() == [60, 60, None]
