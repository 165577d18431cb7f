"""Amounts: numbers and money as the provider declared to write them, exact.

Pure. A text is first held against the declared grammar (decimal sign, thousands, signs,
currency tokens), and only then turned into a number; nothing is guessed. There is no
exponent, no ``+``, no blank round the number and no digit but 0 to 9 in any grammar.

Units: a *significand* and a *scale* are the exact decimal ``significand / 10**scale``;
``_micros`` are whole micros. A digit below one micro that is not zero is a fault, because
dropping it would be a rounding nobody asked for.
"""

import re
from fractions import Fraction
from typing import Final

import polars as pl

from transforms.money import LIMIT_MICROS
from transforms.profile import Locale

MAX_WHOLE_DIGITS: Final = 18
MAX_DECIMALS: Final = 18

MOST_POWERS: Final = 36
POWERS: Final = pl.Series([10**power for power in range(MOST_POWERS + 1)], dtype=pl.Int128)
"""10 to the power 0 to 36, looked up by row."""

ZERO: Final = pl.lit(0, dtype=pl.Int128)
"""What a 128-bit column is taken from to change its sign (it has no minus of its own)."""

_BLANKS: Final = "[ \\t\u00a0\u202f]*"


def read_decimals(text: pl.Series, locale: Locale) -> pl.DataFrame:
    """Read numbers in the declared grammar.

    With decimal ``,`` and thousands ``.``: ``1.536,25`` is 153625 at scale 2, ``,5`` is 5
    at scale 1, ``12`` is 12 at scale 0; ``1536.25``, ``1.53,6``, ``0.125`` and ``1e3``
    are not in the grammar.

    Args:
        text: The cells; null where there is none.
        locale: The layout's way of writing numbers.

    Returns:
        ``significand`` (Int128) and ``scale`` (Int32), null where there is no number;
        ``is_readable`` (Boolean), false where the text is not in the grammar.
        A number of more than 18 whole digits or decimals has no significand.
    """
    bare = _without_tokens(text, locale)
    is_readable = bare.str.contains(grammar(locale)).fill_null(value=False)
    is_negative = _is_negative(bare, locale)
    unsigned = bare.str.strip_chars("-()") if is_negative.any() else bare
    if locale.thousands:
        unsigned = unsigned.str.replace_all(locale.thousands, "", literal=True)
    scale = _scale(unsigned, locale)
    digits = unsigned
    if locale.decimal:
        digits = digits.str.replace(locale.decimal, "", literal=True)
    frame = pl.DataFrame(
        {
            "number": _whole_number(digits, is_readable),
            "is_negative": is_negative,
            "scale": scale,
            "is_readable": is_readable,
        }
    )
    limit = POWERS.gather(scale.clip(0, MAX_DECIMALS) + MAX_WHOLE_DIGITS)
    has_value = (pl.col("number") < limit) & (pl.col("scale") <= MAX_DECIMALS)
    signed = pl.when("is_negative").then(ZERO - pl.col("number")).otherwise("number")
    return frame.select(
        pl.when(has_value).then(signed).alias("significand"),
        pl.when("is_readable").then("scale").alias("scale"),
        "is_readable",
    )


def _whole_number(digits: pl.Series, is_readable: pl.Series) -> pl.Series:
    """Turn digits into a number; null where they are too many to be one."""
    longest = digits.str.len_bytes().max()
    if isinstance(longest, int) and longest > MAX_WHOLE_DIGITS + MAX_DECIMALS:
        digits = digits.str.replace(r"^0+([0-9])", "${1}")
    # Signs and whatever else is no digit stopped at the grammar.
    number = digits.cast(pl.Int128, strict=False)
    return number.zip_with(is_readable, pl.Series([None], dtype=pl.Int128))


def grammar(locale: Locale) -> str:
    """Return the declared grammar as a regular expression over a number without tokens.

    A first group of thousands never starts with 0, so that an English ``0.125`` in a
    Dutch file is a fault and not 125.
    """
    whole = "[0-9]+"
    if locale.thousands:
        groups = f"[1-9][0-9]{{0,2}}(?:{re.escape(locale.thousands)}[0-9]{{3}})+"
        whole = f"(?:{groups}|{whole})"
    number = whole
    if locale.decimal:
        point = re.escape(locale.decimal)
        number = f"(?:{whole}(?:{point}[0-9]+)?|{point}[0-9]+)"
    forms = {"lead": f"-{number}", "trail": f"{number}-", "parens": rf"\({number}\)"}
    signed = [forms[style] for style in locale.negative]
    return f"^(?:{'|'.join([number, *signed])})$"


def _without_tokens(text: pl.Series, locale: Locale) -> pl.Series:
    """Take currency tokens off both ends: ``€ 1,50-`` is ``1,50-``, ``1€50`` stays."""
    if not locale.strip:
        return text
    longest_first = sorted(locale.strip, key=len, reverse=True)
    tokens = "|".join(re.escape(token) for token in longest_first)
    return text.str.replace(f"^([-(]?){_BLANKS}(?:{tokens}){_BLANKS}", "${1}").str.replace(
        f"{_BLANKS}(?:{tokens}){_BLANKS}([-)]?)$", "${1}"
    )


def _is_negative(bare: pl.Series, locale: Locale) -> pl.Series:
    """Tell by the signs the profile knows, at the ends where they may stand."""
    is_negative = pl.repeat(value=False, n=len(bare), eager=True)
    if "lead" in locale.negative:
        is_negative |= bare.str.starts_with("-")
    if "trail" in locale.negative:
        is_negative |= bare.str.ends_with("-")
    if "parens" in locale.negative:
        is_negative |= bare.str.starts_with("(")
    return is_negative.fill_null(value=False)


def _scale(unsigned: pl.Series, locale: Locale) -> pl.Series:
    if not locale.decimal:
        return pl.select(
            pl.when(unsigned.is_not_null()).then(pl.lit(0, dtype=pl.Int32))
        ).to_series()
    at = unsigned.str.find(locale.decimal, literal=True).cast(pl.Int32)
    length = unsigned.str.len_bytes().cast(pl.Int32)
    point = len(locale.decimal.encode())
    return (length - at - point).fill_null(0)


def read_micros(text: pl.Series, locale: Locale, exponent: int) -> pl.DataFrame:
    """Read money into whole micros.

    With unit ``cent`` (exponent 2) and decimal ``,``: ``120,033`` is 1200330 micros with
    5 decimals of the currency. With ``1e-5EUR`` (exponent 5) ``000000001500`` is 15000.

    Args:
        text: The cells; null where there is none.
        locale: The layout's way of writing numbers.
        exponent: Decimals the unit implies.

    Returns:
        ``micros`` (Int64), null where there is no amount; ``decimals`` (Int32) of the
        currency as written; ``fault`` (String): amount_missing, amount_unreadable,
        money_too_large or money_precision, null for an amount.
    """
    numbers = read_decimals(text, locale)
    scaled = numbers.select(
        "significand",
        "is_readable",
        decimals=pl.col("scale") + exponent,
        is_missing=text.is_null(),
        is_too_fine=pl.col("scale") > MAX_DECIMALS,
        up=POWERS.gather((6 - exponent - numbers["scale"]).clip(0)),
        down=POWERS.gather((numbers["scale"] + exponent - 6).clip(0, MOST_POWERS)),
    ).with_columns(
        micros=pl.col("significand") * pl.col("up") // pl.col("down"),
        is_inexact=(pl.col("significand") * pl.col("up")) % pl.col("down") != 0,
    )
    is_too_large = pl.col("micros").is_null() | (pl.col("micros").abs() >= LIMIT_MICROS)
    fault = (
        pl.when("is_missing")
        .then(pl.lit("amount_missing"))
        .when(~pl.col("is_readable"))
        .then(pl.lit("amount_unreadable"))
        .when("is_too_fine")
        .then(pl.lit("money_precision"))
        .when(is_too_large)
        .then(pl.lit("money_too_large"))
        .when("is_inexact")
        .then(pl.lit("money_precision"))
    )
    return scaled.with_columns(fault=fault).select(
        pl.when(pl.col("fault").is_null()).then("micros").cast(pl.Int64).alias("micros"),
        pl.when(pl.col("fault").is_null()).then("decimals").alias("decimals"),
        "fault",
    )


def without_vat(micros: pl.Series, vat_rate: str) -> pl.Series:
    """Take VAT out of amounts that include it, rounded half-up to the micro.

    At 21 %, 121 000 000 micros are 100 000 000 and 1 000 000 are 826 446. A credit
    mirrors its charge, as in ``transforms.money.round_ratio``.

    Args:
        micros: Int64, null for unrated.
        vat_rate: Percent as a decimal number.
    """
    share = Fraction(100) / (100 + Fraction(vat_rate))
    amount = pl.col("micros").cast(pl.Int128)
    doubled = amount.abs() * (2 * share.numerator) + share.denominator
    rounded = doubled // (2 * share.denominator)
    return (
        pl.DataFrame({"micros": micros})
        .select(pl.when(amount < 0).then(ZERO - rounded).otherwise(rounded).cast(pl.Int64))
        .to_series()
    )
