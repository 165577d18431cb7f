"""Telephone numbers: what a provider wrote as a number, and what kind of thing it is.

Pure. The tests run in one order, first match wins: nothing, a token of the profile, a
spreadsheet formula unwrapped, a mask, a number destroyed by a spreadsheet, and only then
digits. Whether a numbering plan knows the number is information (``number_class``), never
a reason to reject.

Kinds: ``none``, ``token``, ``masked``, ``short``, ``e164`` and ``bad``; the caller may
turn a bad one into ``text`` where its profile allows.
"""

from typing import Final

import polars as pl

from transforms.profile import Bare, Numbers

SHORT_CODE: Final = r"^(?:112|113|116[0-9]{3}|14[0-9]{3,4}|1[2368][0-9]{2}|[34][0-9]{3})$"
DESTROYED: Final = r"^[0-9]+(?:[.,][0-9]+)?[eE]\+?[0-9]+$"

_BLANKS: Final = " \t\u00a0\u202f"
_PUNCTUATION: Final = f"[{_BLANKS}./()\\-]"

_CLASS_BY_TWO: Final = {
    "mobile": ("61", "62", "63", "64", "65", "68"),
    "pager": ("66",),
    "mobile_unassigned": ("60", "67", "69"),
    "m2m": ("97",),
    "nongeo": ("84", "85", "87", "91"),
    "company": ("88",),
    "vpn": ("82",),
}
_CLASS_BY_THREE: Final = {"freephone": ("800",), "premium": ("900", "906", "909")}


def read_numbers(text: pl.Series, rules: Numbers) -> pl.DataFrame:
    """Read a column of telephone numbers by the rules of its profile.

    ``06-00000051`` is e164 ``+31600000051``, ``020000****`` is masked and kept as it is,
    ``14020`` is a short code, ``3.16E+10`` is bad: destroyed.

    Args:
        text: The cells; null where there is no number.
        rules: The layout's ``[layout.numbers]``.

    Returns:
        ``kind``; ``value``, null for none and bad; ``fault``: number_destroyed,
        number_unreadable, number_bare or number_length, null unless bad;
        ``zero_added``, whether the leading zero had to be supplied.
    """
    cells = text.str.strip_chars(_BLANKS)
    is_plain = _is_plain(cells, rules)
    if is_plain.all():
        return _read_plain(cells, rules)
    special = _read_any(cells.filter(~is_plain), rules)
    place = ((~is_plain).cast(pl.Int64).cum_sum() - 1).clip(0)
    plain = _read_plain(cells, rules)
    return pl.DataFrame(
        [
            plain[name].zip_with(is_plain, special[name].gather(place))
            for name in plain.columns
        ]
    )


def _is_plain(cells: pl.Series, rules: Numbers) -> pl.Series:
    """Tell the many that are digits and nothing else: no test but the last applies."""
    is_plain = cells.str.contains(r"^\+?[0-9]{7,}$").fill_null(value=False)
    if rules.mask_regex:
        is_plain &= ~cells.str.contains(rules.mask_regex).fill_null(value=False)
    if any(token.lstrip("+").isdigit() for token in rules.tokens):
        is_plain &= ~cells.is_in(list(rules.tokens)).fill_null(value=False)
    return is_plain


def _read_plain(cells: pl.Series, rules: Numbers) -> pl.DataFrame:
    frame = pl.DataFrame(
        {"clean": cells, "international": _international(cells, rules.bare)}
    )
    frame = frame.with_columns(is_e164=_has_length())
    return frame.select(
        kind=pl.when("is_e164").then(pl.lit("e164")).otherwise(pl.lit("bad")),
        value=pl.when("is_e164").then("international"),
        fault=pl.when(~pl.col("is_e164")).then(
            pl.when(pl.col("international").is_null())
            .then(pl.lit("number_bare"))
            .otherwise(pl.lit("number_length"))
        ),
        zero_added=pl.col("is_e164") & _zero_added(rules),
    )


def _has_length() -> pl.Expr:
    digits = pl.col("international").str.len_bytes().cast(pl.Int32) - 1
    return digits.is_between(7, 15).fill_null(value=False)


def _read_any(cells: pl.Series, rules: Numbers) -> pl.DataFrame:
    """Read cells that may be anything, by every test in its order."""
    frame = _sorted_out(cells, rules)
    frame = frame.with_columns(clean=_clean("written"))
    frame = frame.with_columns(
        is_digits=pl.col("clean").str.contains(r"^\+?[0-9]+$"),
        is_short=pl.col("clean").str.contains(SHORT_CODE),
    )
    frame = frame.with_columns(international=_international(frame["clean"], rules.bare))
    return _judged(frame, rules)


def _sorted_out(cells: pl.Series, rules: Numbers) -> pl.DataFrame:
    """Recognise what is not a number: nothing, tokens, masks, spreadsheet damage."""
    frame = pl.DataFrame({"cell": cells}).with_columns(
        token=_token(rules), written=pl.col("cell")
    )
    if rules.strip_excel_formula:
        # Unwrapped: ="06..." is what a spreadsheet is told to leave a number alone.
        inner = pl.col("cell").str.replace(r'^="(.*)"$', "${1}")
        frame = frame.with_columns(written=inner.str.strip_chars(_BLANKS))
    masked = pl.lit(value=False)
    if rules.mask_regex:
        masked = pl.col("written").str.contains(rules.mask_regex)
    return frame.with_columns(
        is_none=pl.col("written").is_null() | (pl.col("written") == ""),
        is_masked=masked,
        is_destroyed=pl.col("written").str.contains(DESTROYED),
    )


def _token(rules: Numbers) -> pl.Expr:
    if not rules.tokens:
        return pl.lit(None, dtype=pl.String)
    return pl.col("cell").replace_strict(rules.tokens, default=None, return_dtype=pl.String)


def _clean(column: str) -> pl.Expr:
    """Take off what is written for the eye: ``+31 (0)20-000.00.73`` is ``+31200000073``."""
    no_trunk_zero = pl.col(column).str.replace(r"^(\+[^(]*)\(0\)", "${1}")
    return no_trunk_zero.str.replace_all(_PUNCTUATION, "")


def _international(clean: pl.Series, bare: Bare) -> pl.Series:
    """Write clean digits in international form; null where the profile cannot tell.

    Most columns are written in one way, so only the ways that occur are worked out.
    """
    has_plus, has_zeros = clean.str.starts_with("+"), clean.str.starts_with("00")
    has_zero = clean.str.starts_with("0")
    number = pl.col("clean")
    full = _bare(bare)
    if has_zero.any():
        national = "+31" + number.str.slice(1)
        full = pl.when(number.str.starts_with("0")).then(national).otherwise(full)
    if has_zeros.any():
        abroad = "+" + number.str.slice(2)
        full = pl.when(number.str.starts_with("00")).then(abroad).otherwise(full)
    if has_plus.any():
        full = pl.when(number.str.starts_with("+")).then(number).otherwise(full)
    found = clean.to_frame("clean").with_columns(number=full)["number"]
    has_trunk_zero = found.str.starts_with("+310")
    if not has_trunk_zero.any():
        return found
    return ("+31" + found.str.slice(4)).zip_with(
        has_trunk_zero.fill_null(value=False), found
    )


def _bare(bare: Bare) -> pl.Expr:
    clean = pl.col("clean")
    if bare == "e164":
        return "+" + clean
    if bare == "national_no_zero":
        return "+31" + clean
    if bare == "reject":
        return pl.lit(None, dtype=pl.String)
    return pl.when(_lacks_zero()).then("+31" + clean).when(_is_dutch()).then("+" + clean)


def _lacks_zero() -> pl.Expr:
    """Nine digits from 6: a mobile number that lost its zero."""
    return pl.col("clean").str.contains(r"^6[0-9]{8}$")


def _is_dutch() -> pl.Expr:
    """Eleven digits or more from 31: complete but for its ``+``."""
    return pl.col("clean").str.contains(r"^31[0-9]{9,}$")


def _judged(frame: pl.DataFrame, rules: Numbers) -> pl.DataFrame:
    """Choose the kind by the order of tests, and name what is wrong with a bad one."""
    kind = (
        pl.when(pl.col("cell").is_null() | (pl.col("cell") == ""))
        .then(pl.lit("none"))
        .when(pl.col("token").is_not_null())
        .then(pl.lit("token"))
        .when("is_none")
        .then(pl.lit("none"))
        .when("is_masked")
        .then(pl.lit("masked"))
        .when(pl.col("is_destroyed") | ~pl.col("is_digits"))
        .then(pl.lit("bad"))
        .when("is_short")
        .then(pl.lit("short"))
        .when(_has_length())
        .then(pl.lit("e164"))
        .otherwise(pl.lit("bad"))
    )
    return frame.with_columns(kind=kind).select(
        "kind",
        _value().alias("value"),
        _fault().alias("fault"),
        zero_added=(pl.col("kind") == "e164") & _zero_added(rules),
    )


def _value() -> pl.Expr:
    kind = pl.col("kind")
    return (
        pl.when(kind == "e164")
        .then("international")
        .when(kind == "token")
        .then("token")
        .when(kind == "masked")
        .then("written")
        .when(kind == "short")
        .then("clean")
    )


def _fault() -> pl.Expr:
    return pl.when(pl.col("kind") == "bad").then(
        pl.when("is_destroyed")
        .then(pl.lit("number_destroyed"))
        .when(~pl.col("is_digits"))
        .then(pl.lit("number_unreadable"))
        .when(pl.col("international").is_null())
        .then(pl.lit("number_bare"))
        .otherwise(pl.lit("number_length"))
    )


def _zero_added(rules: Numbers) -> pl.Expr:
    if rules.bare != "national_no_zero_or_e164":
        return pl.lit(value=False)
    return _lacks_zero().fill_null(value=False)


def number_class(kind: pl.Expr, value: pl.Expr) -> pl.Expr:
    """Say what part of the numbering plan a number is in; null where it says nothing.

    ``+31200000021`` is geographic, ``+319000000`` premium, ``+442079460001``
    international, ``112`` short.
    """
    national = value.str.slice(3, 3).replace_strict(
        _CLASSES, default=None, return_dtype=pl.String
    )
    return (
        pl.when(kind == "short")
        .then(pl.lit("short"))
        .when((kind == "e164") & ~value.str.starts_with("+31"))
        .then(pl.lit("international"))
        .when(kind == "e164")
        .then(national)
    )


def _dutch_class(digits: str) -> str | None:
    """Classify by the first three digits after +31."""
    for name, prefixes in _CLASS_BY_TWO.items():
        if digits[:2] in prefixes:
            return name
    for name, prefixes in _CLASS_BY_THREE.items():
        if digits in prefixes:
            return name
    return "geographic" if digits[0] in "123457" else None


_CLASSES: Final = {
    digits: _dutch_class(digits) for digits in (f"{number:03d}" for number in range(1000))
}
