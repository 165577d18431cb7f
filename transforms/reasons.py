"""Reasons: what a rejected record is told, by the code of the rule it broke.

Pure. A reason names the rule and shows the value it stumbled on, short, without control
characters and without a telephone number: of a number, or of a long run of digits, only
the last two digits are shown. The raw line is kept beside it for those who may see it.
"""

from typing import Final

import polars as pl

SHOWN_CHARS: Final = 60
REASON_CHARS: Final = 250

_PLAIN: Final = {"number_destroyed"}
"""Codes whose value is shown as it is: what it was can no longer be told from it."""

_NUMBERS: Final = {"number_unreadable", "number_bare", "number_length", "own_not_a_number"}

REASONS: Final = {
    "record_length": "record has {} characters, the profile says another length",
    "unknown_record_type": "record type {} is not in the profile",
    "unknown_usage": "usage {} is not in the profile's map",
    "unknown_direction": "direction {} is not in the profile's map",
    "own_missing": "the own line has no number",
    "own_not_a_number": "the own line {} is not a telephone number",
    "number_destroyed": "number destroyed by spreadsheet: {}",
    "number_unreadable": "number {} holds more than digits and one leading +",
    "number_bare": "number {} could be national or international, the profile cannot tell",
    "number_length": "number {} does not have 7 to 15 digits",
    "time_missing": "the start has no date or no time",
    "time_unreadable": "start {} is not written as the profile says",
    "offset_unreadable": "offset {} of the start is not written as +HHMM",
    "time_nonexistent": "start {} is in the hour that the clock skips",
    "time_implausible": "start {} is before the year 2000",
    "time_in_future": "start {} is more than a day in the future",
    "end_unreadable": "end {} is not written as the profile says",
    "end_before_start": "end {} is before the start",
    "end_missing": "the end is needed for the quantity and is missing",
    "unknown_unit": "unit {} is not in the profile",
    "quantity_missing": "the quantity is missing",
    "quantity_unreadable": "quantity {} is not written as the profile says",
    "quantity_negative": "quantity {} is negative",
    "quantity_too_large": "quantity {} is too large",
    "amount_missing": "the amount is missing and the record is not marked unrated",
    "amount_unreadable": "amount {} is not written as the profile says",
    "money_precision": "amount {} has a digit below one micro, it is not rounded",
    "money_too_large": "amount {} is too large",
    "unknown_part_state": "part state {} is not in the profile",
    "text_too_long": "the text in column {} is longer than can be stored",
    "no_key": "the dedupe key needs {}, which is missing, and there is no fallback",
}
"""By code: the sentence; ``{}`` is where the value goes."""


def with_reasons(rejected: pl.DataFrame) -> pl.DataFrame:
    """Add ``reason`` to rejected records.

    ``number_destroyed`` of ``3.16E+10`` is ``number destroyed by spreadsheet:
    '3.16E+10'``; ``number_length`` of ``061234`` shows ``'xxxx34'``.

    Args:
        rejected: ``reason_code`` and ``evidence``, the value the rule stumbled on.
    """
    codes = rejected["reason_code"].unique().to_list()
    reason = pl.lit(None, dtype=pl.String)
    for code in sorted(codes):
        is_code = pl.col("reason_code") == code
        reason = pl.when(is_code).then(_sentence(code)).otherwise(reason)
    return rejected.with_columns(reason=reason.str.slice(0, REASON_CHARS))


def _sentence(code: str) -> pl.Expr:
    before, slot, after = REASONS[code].partition("{}")
    if not slot:
        return pl.lit(before)
    return pl.concat_str([pl.lit(before), _shown(code), pl.lit(after)])


def _shown(code: str) -> pl.Expr:
    value = pl.col("evidence").fill_null("")
    if code in _NUMBERS:
        value = _masked(value)
    elif code not in _PLAIN:
        value = _without_numbers(value)
    # Control and format characters could write on the terminal or the log of a reader.
    safe = value.str.replace_all(r"[\p{C}\p{Zl}\p{Zp}]", "?")
    cut = (
        pl.when(safe.str.len_chars() > SHOWN_CHARS)
        .then(safe.str.slice(0, SHOWN_CHARS - 3) + "...")
        .otherwise(safe)
    )
    return "'" + cut + "'"


def _masked(value: pl.Expr) -> pl.Expr:
    """Hide every digit but the last two characters."""
    head = pl.max_horizontal(value.str.len_chars().cast(pl.Int64) - 2, 0)
    return value.str.slice(0, head).str.replace_all("[0-9]", "x") + value.str.slice(head)


def _without_numbers(value: pl.Expr) -> pl.Expr:
    """Hide what may be a telephone number in a value that should be something else."""
    is_number = value.str.contains(r"^[+0-9 ().\-/]*$") & (
        value.str.count_matches("[0-9]") >= 9
    )
    has_run = value.str.contains("[0-9]{9}")
    return pl.when(is_number | has_run).then(_masked(value)).otherwise(value)
