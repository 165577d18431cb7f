"""Local time: what the provider's wall clock said, as the instant it was.

Pure. Two hours a year need a rule. The hour that does not exist (29 March 2026, 02:15 in
Amsterdam) is moved one hour on or rejected; the hour that exists twice (25 October 2026,
02:15) is the first (summer) or the second (winter) by declaration, or by the order of the
file. Both are flagged. A value with its own offset needs no rule.

The order of the file (``file_order``): a record of the doubled hour is in the second run
when the record before it has the same date and a later wall clock, or is itself of that
hour and already in the second run. The record before is the previous one of the same
member whose time can be read, also across chunks.

Units: ``local`` is a naive wall clock, ``utc`` the instant as naive UTC, both in
microseconds.
"""

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

import polars as pl

from transforms.cdr import INSTANT
from transforms.profile import Time
from transforms.time_format import EPOCH_FORMATS, OFFSET_PATTERN, time_format

FIRST_INSTANT: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - naive UTC, as the columns are
PERIOD_ZONE: Final = "Europe/Amsterdam"
"""The zone in which the month of a file name is meant."""

Run = Literal["earliest", "latest"]

_LAST_EPOCH_S: Final = 32_503_680_000
"""The year 3000: what counts seconds beyond it counts something else."""

_HOUR: Final = timedelta(hours=1)
_DAY: Final = timedelta(days=1)
_QUARTER: Final = "15m"


@dataclass(frozen=True)
class Before:
    """The last record read: what ``file_order`` compares the next one with."""

    local: datetime | None = None
    is_ambiguous: bool = False
    is_second: bool = False


@dataclass(frozen=True)
class Written:
    """Times as written, not yet placed on the time line.

    Attributes:
        local: Wall clock; null where it could not be read.
        utc: The instant where the value says it itself, else null.
        is_date_only: Whether only a date was written.
        fault: time_missing, time_unreadable or offset_unreadable; null when read.
    """

    local: pl.Series
    utc: pl.Series
    is_date_only: pl.Series
    fault: pl.Series


@dataclass(frozen=True)
class Placed:
    """Starts on the time line, row by row.

    Attributes:
        local: Wall clock as written.
        utc: The instant; null where there is a fault.
        is_date_only, is_ambiguous, is_shifted: What is flagged.
        fault: A fault of ``Written``, or time_nonexistent.
    """

    local: pl.Series
    utc: pl.Series
    is_date_only: pl.Series
    is_ambiguous: pl.Series
    is_shifted: pl.Series
    fault: pl.Series


@dataclass(frozen=True)
class Ends:
    """Ends of records, row by row: the instant, whether rolled to the next day, fault."""

    utc: pl.Series
    is_rolled: pl.Series
    fault: pl.Series


@dataclass(frozen=True)
class Period:
    """The month of a file name as instants: ``[begin, end)``; before ``late`` is late."""

    begin: datetime
    end: datetime
    late: datetime


# --- where a record starts --------------------------------------------------------------


def read_starts(
    parts: list[pl.Series], offset: pl.Series | None, rules: Time, before: Before
) -> tuple[Placed, Before]:
    """Read the start of each record and put it on the time line.

    ``25-10-2026 02:45:00`` and then ``02:10:00`` in Amsterdam, under ``file_order``, are
    00:45 and 01:10 UTC.

    Args:
        parts: The cells of ``time.columns``, null where empty.
        offset: The cells of ``time.offset_column``, if any.
        rules: The layout's ``[layout.time]``.
        before: The last record of the chunk before this one.

    Returns:
        The starts, and what the next chunk is compared with.
    """
    written = read_written(parts, offset, rules)
    first, last = _in_zone(written.local, rules.timezone)
    by_zone = written.utc.is_null() & written.local.is_not_null()
    is_ambiguous = by_zone & (first != last).fill_null(value=False)
    is_missing = by_zone & first.is_null()
    is_second = _is_second(written.local, is_ambiguous, rules, before)
    utc = written.utc.zip_with(~by_zone, last.zip_with(is_second, first))
    if is_missing.any():
        shifted, _ = _in_zone(written.local + _HOUR, rules.timezone)
        utc = shifted.zip_with(is_missing & (rules.nonexistent == "shift"), utc)
    return (
        Placed(
            local=written.local,
            utc=utc,
            is_date_only=written.is_date_only,
            is_ambiguous=is_ambiguous,
            is_shifted=is_missing & utc.is_not_null(),
            fault=_placing_fault(written.fault, is_missing & utc.is_null()),
        ),
        _after(written.local, is_ambiguous, is_second, before),
    )


def _placing_fault(fault: pl.Series, is_nowhere: pl.Series) -> pl.Series:
    named = pl.when(pl.col("is_nowhere")).then(pl.lit("time_nonexistent"))
    frame = pl.DataFrame({"fault": fault, "is_nowhere": is_nowhere})
    return frame.select(pl.coalesce("fault", named)).to_series()


def _in_zone(local: pl.Series, zone: str) -> tuple[pl.Series, pl.Series]:
    """Read wall clocks in a zone as the first and the last instant they may mean.

    Null where the clock never showed that time. Clocks change on the quarter hour, and a
    chunk has few different ones: those are looked up in the zone, not every row.
    """
    if zone == "UTC":
        return local, local
    rows = pl.DataFrame({"quarter": local.dt.truncate(_QUARTER)})
    quarters = rows.select(pl.col("quarter").unique())
    shifts = quarters.with_columns(
        first=_in_utc("quarter", zone, "earliest") - pl.col("quarter"),
        last=_in_utc("quarter", zone, "latest") - pl.col("quarter"),
    )
    found = rows.join(shifts, on="quarter", how="left", maintain_order="left")
    return local + found["first"], local + found["last"]


def _in_utc(column: str, zone: str, run: Run) -> pl.Expr:
    aware = pl.col(column).dt.replace_time_zone(zone, ambiguous=run, non_existent="null")
    return aware.dt.convert_time_zone("UTC").dt.replace_time_zone(None)


def _is_second(
    local: pl.Series, is_ambiguous: pl.Series, rules: Time, before: Before
) -> pl.Series:
    if rules.ambiguous == "first" or not is_ambiguous.any():
        return pl.repeat(value=False, n=len(local), eager=True)
    if rules.ambiguous == "second":
        return is_ambiguous
    return _second_by_order(local, is_ambiguous, before)


def _second_by_order(
    local: pl.Series, is_ambiguous: pl.Series, before: Before
) -> pl.Series:
    """Tell the two runs through the doubled hour apart by the order of the records."""
    is_read = pl.col("local").is_not_null()
    read = (
        pl.DataFrame({"local": local, "is_ambiguous": is_ambiguous})
        .with_row_index("row")
        .filter(is_read)
        .with_columns(
            earlier=pl.col("local").shift(1, fill_value=pl.lit(before.local, INSTANT)),
            follows=pl.col("is_ambiguous").shift(1, fill_value=before.is_ambiguous),
        )
    )
    same_date = pl.col("earlier").dt.date() == pl.col("local").dt.date()
    stays = (pl.col("is_ambiguous") & pl.col("follows") & same_date).fill_null(value=False)
    turns = (same_date & (pl.col("earlier") > pl.col("local"))).fill_null(value=False)
    carried = (pl.int_range(pl.len()) == 0) & stays & pl.lit(before.is_second)
    runs = read.with_columns(run=(~stays).cum_sum(), turns=turns | carried).with_columns(
        is_second=pl.col("turns").cum_max().over("run") & pl.col("is_ambiguous")
    )
    found = runs.select("row", "is_second")
    rows = pl.DataFrame({"local": local}).with_row_index("row")
    joined = rows.join(found, on="row", how="left", maintain_order="left")
    return joined["is_second"].fill_null(value=False)


def _after(
    local: pl.Series, is_ambiguous: pl.Series, is_second: pl.Series, before: Before
) -> Before:
    read = local.is_not_null().arg_true()
    if not len(read):
        return before
    last = int(read[-1])
    return Before(local[last], bool(is_ambiguous[last]), bool(is_second[last]))


# --- what was written -------------------------------------------------------------------


def read_written(parts: list[pl.Series], offset: pl.Series | None, rules: Time) -> Written:
    """Read times in the declared format, without placing them.

    The cells are joined by one blank. Where all but the first are empty, the first is
    read by ``date_only_format``.
    """
    names = [f"part{place}" for place in range(len(parts))]
    cells = pl.DataFrame(dict(zip(names, parts, strict=True)))
    frame = cells.select(
        text=pl.concat_str(names, separator=" "),
        day=pl.col(names[0]),
        is_missing=pl.any_horizontal(pl.col(names).is_null()),
        is_day=pl.all_horizontal(
            pl.col(names[0]).is_not_null(), pl.col(names[1:]).is_null()
        ),
    )
    if rules.format in EPOCH_FORMATS:
        return _read_epoch(frame, rules)
    return _with_offset(_read_clock(frame, rules), offset, rules)


def _read_epoch(frame: pl.DataFrame, rules: Time) -> Written:
    per_second = 1_000_000 if rules.format == "epoch_s" else 1_000
    is_whole = pl.col("text").str.contains(r"^[0-9]{1,15}$")
    count = pl.when(is_whole).then("text").cast(pl.Int64)
    in_range = pl.when(count < _LAST_EPOCH_S * 1_000_000 // per_second).then(count)
    read = frame.select(
        "is_missing", utc=(in_range * per_second).cast(INSTANT)
    ).with_columns(fault=_reading_fault("utc"))
    never = pl.repeat(value=False, n=len(read), eager=True)
    return Written(read["utc"], read["utc"], never, read["fault"])


def _read_clock(frame: pl.DataFrame, rules: Time) -> pl.DataFrame:
    """Parse the format; a date alone where the profile takes one."""
    whole = time_format(rules.format)
    body = pl.col("text")
    if whole.has_offset:
        body = body.str.replace(f"{OFFSET_PATTERN}$", "")
    is_declared = pl.col("text").str.contains(whole.pattern)
    frame = frame.with_columns(
        own_offset=pl.col("text").str.extract(f"({OFFSET_PATTERN})$")
        if whole.has_offset
        else pl.lit(None, dtype=pl.String),
        local=_parsed(pl.when(is_declared).then(body), whole.parser),
        is_date_only=pl.lit(value=False),
    )
    if rules.date_only_format:
        frame = _with_dates(frame, rules.date_only_format)
    return frame.with_columns(fault=_reading_fault("local"))


def _with_dates(frame: pl.DataFrame, declared: str) -> pl.DataFrame:
    day = time_format(declared)
    is_day = pl.col("is_day") & pl.col("local").is_null()
    is_declared = is_day & pl.col("day").str.contains(day.pattern)
    dates = frame.select(
        local=pl.when(is_declared)
        .then("day")
        .str.to_date(day.parser, strict=False)
        .cast(INSTANT)
    )
    return frame.with_columns(
        local=pl.coalesce("local", dates["local"]),
        is_date_only=dates["local"].is_not_null(),
    ).with_columns(is_missing=pl.col("is_missing") & ~pl.col("is_day"))


def _parsed(text: pl.Expr, parser: str) -> pl.Expr:
    return text.str.to_datetime(parser, time_unit="us", strict=False)


def _reading_fault(read: str) -> pl.Expr:
    return (
        pl.when("is_missing")
        .then(pl.lit("time_missing"))
        .when(pl.col(read).is_null())
        .then(pl.lit("time_unreadable"))
    )


def _with_offset(frame: pl.DataFrame, offset: pl.Series | None, rules: Time) -> Written:
    """Take the offset of the value, or of its column, off the wall clock."""
    has_own = rules.format.endswith("%z")
    said = frame["own_offset"] if offset is None or has_own else offset
    placed = frame.with_columns(said=said).with_columns(shift=_offset("said"))
    is_garbled = pl.col("said").is_not_null() & pl.col("shift").is_null()
    placed = placed.with_columns(
        utc=pl.col("local") - pl.col("shift"),
        fault=pl.coalesce("fault", pl.when(is_garbled).then(pl.lit("offset_unreadable"))),
    )
    local = placed.select(pl.when(pl.col("fault").is_null()).then("local")).to_series()
    return Written(
        local=local.alias("local"),
        utc=placed["utc"],
        is_date_only=placed["is_date_only"],
        fault=placed["fault"],
    )


def _offset(column: str) -> pl.Expr:
    """Read ``+02:00``, ``+0200`` or ``Z`` as a duration; null for anything else."""
    text = pl.col(column)
    declared = pl.when(text.str.contains(f"^{OFFSET_PATTERN}$")).then(text)
    signed = declared.str.replace("Z", "+0000", literal=True).str.replace(
        ":", "", literal=True
    )
    hhmm = signed.cast(pl.Int64, strict=False)
    minutes = hhmm.abs() // 100 * 60 + hhmm.abs() % 100
    return pl.duration(minutes=hhmm.sign() * minutes)


# --- where a record ends ----------------------------------------------------------------


def read_ends(
    parts: list[pl.Series], offset: pl.Series | None, rules: Time, starts: Placed
) -> Ends:
    """Read the end of each record and check it against its start.

    An end in the doubled hour is taken in the first run that is not before the start. An
    end before its start on the same date is the next day under ``end_next_day = "roll"``
    (23:50 to 00:10), else a fault.

    Returns:
        Ends; null without a fault where none was written.
    """
    written = read_written(parts, offset, rules)
    frame = pl.DataFrame(
        {
            "start": starts.utc,
            "start_local": starts.local,
            "local": written.local,
            "said": written.utc,
            "fault": written.fault,
            **_candidates(written.local, rules, "same"),
            **_candidates(written.local + _DAY, rules, "next"),
        }
    ).with_columns(
        same=_first_not_before_start("said", "same_first", "same_last"),
        next=_first_not_before_start("next_said", "next_first", "next_last")
        if rules.end_next_day == "roll"
        else pl.lit(None, dtype=INSTANT),
    )
    return _ended(frame)


def _candidates(local: pl.Series, rules: Time, day: str) -> dict[str, pl.Series]:
    """Give the instants a wall clock may mean; the hour that is not, one hour on."""
    first, last = _in_zone(local, rules.timezone)
    if rules.nonexistent == "shift":
        shifted, _ = _in_zone(local + _HOUR, rules.timezone)
        is_clock = first.is_not_null()
        first, last = first.zip_with(is_clock, shifted), last.zip_with(is_clock, shifted)
    return {f"{day}_first": first, f"{day}_last": last}


def _first_not_before_start(said: str, first: str, last: str) -> pl.Expr:
    own = pl.col("said") if said == "said" else pl.col("said") + _DAY
    candidate = (
        pl.when(own.is_not_null())
        .then(own)
        .when(pl.col(first) >= pl.col("start"))
        .then(first)
        .otherwise(last)
    )
    return pl.when(candidate >= pl.col("start")).then(candidate)


def _ended(frame: pl.DataFrame) -> Ends:
    same_date = pl.col("local").dt.date() == pl.col("start_local").dt.date()
    rolls = pl.col("same").is_null() & pl.col("next").is_not_null() & same_date
    is_read = pl.col("local").is_not_null() & pl.col("start").is_not_null()
    frame = frame.with_columns(is_rolled=rolls.fill_null(value=False)).with_columns(
        end=pl.when("is_rolled").then("next").otherwise("same")
    )
    # A cell left empty is no end; any other text must be one.
    unreadable = pl.col("fault").is_not_null() & (pl.col("fault") != "time_missing")
    fault = (
        pl.when(unreadable)
        .then(pl.lit("end_unreadable"))
        .when(is_read & pl.col("end").is_null())
        .then(pl.lit("end_before_start"))
    )
    done = frame.with_columns(fault=fault)
    return Ends(done["end"], done["is_rolled"], done["fault"])


# --- the month of a file name -----------------------------------------------------------


def period_of(period: str | None, accept_late_days: int) -> Period | None:
    """Return the month a file name speaks of, or None when it names none.

    ``202610`` and ``2026-10`` are October 2026 in Amsterdam: from 2026-09-30 22:00 UTC to
    2026-10-31 23:00 UTC. A day after the month (``20261003``) is left aside.
    """
    found = re.fullmatch(r"([0-9]{4})-?(0[1-9]|1[0-2])(?:-?[0-9]{2})?", period or "")
    if found is None or not 2000 <= int(found[1]) <= 9990:
        return None
    first = date(int(found[1]), int(found[2]), 1)
    next_month = date(first.year + first.month // 12, first.month % 12 + 1, 1)
    return Period(
        begin=_midnight(first),
        end=_midnight(next_month),
        late=_midnight(first - timedelta(days=accept_late_days)),
    )


def _midnight(day: date) -> datetime:
    local = datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(PERIOD_ZONE))
    return local.astimezone(UTC).replace(tzinfo=None)
