"""Events to try a plan with: read from a CSV file, priced, described as a document.

Pure. One customer, whose lines are the subscribers of the file; cycles by the plan's own
zone. An event is a record without a provider: ``id, subscriber, usage_type, destination,
started_at, quantity`` and, where wanted, ``zone``, ``direction``, ``continuation``,
``cost``.

Units: quantities are seconds (voice), bytes (data) or events.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar, get_args
from zoneinfo import ZoneInfo

import polars as pl

from transforms.cycle import cycle_containing
from transforms.document import Faults, did_you_mean, one_of
from transforms.money import LIMIT_MICROS, MICROS, decimal_text
from transforms.profile import Usage
from transforms.rate_plan import UNIT_OF, Direction, RatePlan
from transforms.rating import CYCLES, EVENTS, Rated, rate
from transforms.rating_tables import prepare
from transforms.reference import CsvFile, Line

NEEDED: Final = (
    "id", "subscriber", "usage_type", "destination", "started_at", "quantity",
)  # fmt: skip
OPTIONAL: Final = ("zone", "direction", "continuation", "cost")

FAULTS_SHOWN: Final = 20

CUSTOMER: Final = 1
"""The one customer of a file of events."""

WORDS_OF_TRUTH: Final = {
    "": False, "0": False, "false": False, "no": False,
    "1": True, "true": True, "yes": True,
}  # fmt: skip

_COLUMN_OF: Final = {"s": "duration_s", "bytes": "volume_bytes", "events": "events"}
_WHOLE: Final = re.compile(r"-?[0-9]{1,18}")
_COST: Final = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,6})?")
_NUMBER: Final = re.compile(r"(?:00|\+)?([1-9][0-9]{6,14})")

T = TypeVar("T")
Document = dict[str, Any]


@dataclass(frozen=True)
class Events:
    """Events of a file: frame ``EVENTS`` in its order, their ids, and their cycles."""

    frame: pl.DataFrame
    ids: list[str]
    cycles: pl.DataFrame


def price_events(file: CsvFile, plan: RatePlan, cycle_day: int) -> Document:
    """Price the events of a file and describe what came of it.

    Args:
        file: The events as text.
        plan: What prices them.
        cycle_day: The day of the month on which a cycle starts.

    Returns:
        ``events`` in the order of the file, ``allowances_left``, ``cycle``, ``cycles``,
        ``lines``, ``unpriced_volume`` and what they are of.

    Raises:
        ConfigError: One message with every fault of the file.
    """
    events = read_events(file, plan, cycle_day)
    return described(rate(events.frame, events.cycles, prepare(plan)), events, plan)


# --- reading ----------------------------------------------------------------------------


def read_events(file: CsvFile, plan: RatePlan, cycle_day: int) -> Events:
    """Read events; a time without an offset is on the clock of the plan's zone.

    A destination of seven digits or more that does not begin with 0 is an international
    number, with or without ``+`` or ``00``; any other text is a short code or a name.

    Raises:
        ConfigError: One message with up to 20 faults and the number of further ones.
    """
    faults = Faults(f"events {file.name}")
    _check_columns(file, faults)
    faults.raise_if_any()
    notes: list[str] = []
    rows = [_event(line, plan, cycle_day, notes) for line in file.lines]
    ids = [line.cells.get("id", "").strip() for line in file.lines]
    notes += _doubled(ids, file)
    for note in notes[:FAULTS_SHOWN]:
        faults.note(file.name, note)
    if len(notes) > FAULTS_SHOWN:
        faults.note(file.name, f"{len(notes) - FAULTS_SHOWN} further faults")
    faults.raise_if_any()
    ranks = {name: rank for rank, name in enumerate(sorted(ids, key=_id_order))}
    frame = pl.DataFrame(
        [{**row, "order_key": ranks[name]} for row, name in zip(rows, ids, strict=True)],
        EVENTS,
    )
    cycles = (
        frame.select("customer_id", "cycle_start_date")
        .unique()
        .with_columns(timezone=pl.lit(plan.timezone))
    )
    return Events(frame, ids, cycles.select(list(CYCLES)).sort("cycle_start_date"))


def _check_columns(file: CsvFile, faults: Faults) -> None:
    for column in file.columns:
        if column not in (*NEEDED, *OPTIONAL):
            near = did_you_mean(column, (*NEEDED, *OPTIONAL))
            faults.note(file.name, f"unknown column {column!r}{near}")
    for column in NEEDED:
        if column not in file.columns:
            faults.note(file.name, f"column {column!r} is missing")


def _doubled(ids: list[str], file: CsvFile) -> Iterator[str]:
    first: dict[str, int] = {}
    for name, line in zip(ids, file.lines, strict=True):
        if first.setdefault(name, line.number) != line.number and name:
            yield f"line {line.number}: id: stands on line {first[name]} already"


def _id_order(name: str) -> tuple[int, int, str]:
    """Ids that are whole numbers go by their value, before all others."""
    return (0, int(name), "") if re.fullmatch(r"[0-9]{1,18}", name) else (1, 0, name)


def _event(
    line: Line, plan: RatePlan, cycle_day: int, notes: list[str]
) -> dict[str, object]:
    """Read one line; what is wrong with it is noted and a harmless value stands in."""
    if line.fault:
        notes.append(f"line {line.number}: {line.fault}")
        return {}

    def cell(column: str, parse: Callable[[str], T], otherwise: T) -> T:
        try:
            return parse(line.cells.get(column, "").strip())
        except ValueError as exc:
            notes.append(f"line {line.number}: {column}: {exc}")
            return otherwise

    usage: Usage = cell("usage_type", _usage, "voice")
    started = cell("started_at", _started(plan.timezone), datetime(2000, 1, 1, tzinfo=UTC))
    local = started.astimezone(ZoneInfo(plan.timezone)).replace(tzinfo=None)
    cell("id", _filled, "")
    return {
        "customer_id": CUSTOMER,
        "cycle_start_date": cycle_containing(local.date(), cycle_day).start,
        "subscriber": cell("subscriber", _filled, ""),
        "usage_type": usage,
        "direction": cell("direction", _direction, "out"),
        "destination": cell("destination", _destination, None),
        "zone": line.cells.get("zone", "").strip() or None,
        "call_date": local,
        "started_at_utc": started.astimezone(UTC).replace(tzinfo=None),
        _COLUMN_OF[UNIT_OF[usage]]: cell("quantity", _whole, 0),
        "cost_micros": cell("cost", _cost, None),
        "continuation": cell("continuation", _truth, otherwise=False),
    }


def _filled(text: str) -> str:
    if not text:
        message = "must not be empty"
        raise ValueError(message)
    return text


def _usage(text: str) -> Usage:
    known: tuple[Usage, ...] = get_args(Usage)
    for usage in known:
        if text == usage:
            return usage
    message = f"must be {one_of(known)}, not {text!r}"
    raise ValueError(message)


def _direction(text: str) -> Direction:
    known: tuple[Direction, ...] = get_args(Direction)
    for direction in known:
        if (text or "out") == direction:
            return direction
    message = f"must be {one_of(known)}, not {text!r}"
    raise ValueError(message)


def _started(zone: str) -> Callable[[str], datetime]:
    def parse(text: str) -> datetime:
        try:
            started = datetime.fromisoformat(text)
            aware = started if started.tzinfo else started.replace(tzinfo=ZoneInfo(zone))
            return aware.astimezone(UTC)
        except (ValueError, OverflowError) as exc:
            message = f"must be a time such as 2026-10-05T09:00:00+02:00, not {text!r}"
            raise ValueError(message) from exc

    return parse


def _destination(text: str) -> str | None:
    number = _NUMBER.fullmatch(text)
    return f"+{number[1]}" if number else text or None


def _whole(text: str) -> int:
    if not _WHOLE.fullmatch(text):
        message = f"must be a whole number of seconds, bytes or events, not {text!r}"
        raise ValueError(message)
    return int(text)


def _cost(text: str) -> int | None:
    if not text:
        return None
    if not _COST.fullmatch(text):
        message = f"must be an amount such as 0.0405, not {text!r}"
        raise ValueError(message)
    micros = int(Decimal(text) * MICROS)
    if abs(micros) >= LIMIT_MICROS:
        message = f"is too large: {text!r}"
        raise ValueError(message)
    return micros


def _truth(text: str) -> bool:
    if text.lower() not in WORDS_OF_TRUTH:
        message = f"must be true or false, not {text!r}"
        raise ValueError(message)
    return WORDS_OF_TRUTH[text.lower()]


# --- describing -------------------------------------------------------------------------


def described(rated: Rated, events: Events, plan: RatePlan) -> Document:
    """Write rated events as one document; amounts as text with six decimals."""
    by_key = {row["order_key"]: row for row in rated.events.iter_rows(named=True)}
    rows = [by_key[key] for key in events.frame["order_key"]]
    unpriced = [row for row in rows if row["unrated_code"]]
    return {
        "plan": plan.id,
        "version": plan.sha256,
        "currency": plan.currency,
        "events": [
            _event_document(name, row) for name, row in zip(events.ids, rows, strict=True)
        ],
        "allowances_left": _left(rated.allowances_left, plan),
        "cycle": _all_cycles(rated.sums.cycles),
        "cycles": [_cycle(row) for row in rated.sums.cycles.iter_rows(named=True)],
        "lines": [_line(row) for row in rated.sums.lines.iter_rows(named=True)],
        "unpriced_volume": sum(row["quantity"] or 0 for row in unpriced),
        "unpriced_by_usage": _by_usage(unpriced),
    }


def _event_document(name: str, row: Mapping[str, Any]) -> Document:
    charge = row["charge_micros"]
    return {
        "id": name,
        "cost": None if charge is None else decimal_text(charge),
        "cost_micros": charge,
        "entry": row["entry"],
        "in_allowance": row["in_allowance"],
        "overage": row["overage"],
        "billable": row["billable"],
        "allowance_micros": row["allowance_micros"],
        "provider_cost_micros": row["cost_micros"],
        "unrated_code": row["unrated_code"],
        "unrated_reason": row["unrated_reason"],
    }


def _left(left: pl.DataFrame, plan: RatePlan) -> Document:
    """What is left after the last cycle: units, or an amount as text for money.

    An allowance of each line has an object by subscriber.
    """
    document: Document = {}
    for allowance in plan.allowances:
        own = left.filter(pl.col("allowance") == allowance.name)
        last = own.filter(pl.col("cycle_start_date") == own["cycle_start_date"].max())
        is_money = allowance.units is None
        amounts = {
            subscriber: decimal_text(amount) if is_money else amount
            for subscriber, amount in last.select("subscriber", "left").iter_rows()
        }
        is_shared = allowance.pool == "customer"
        whole = decimal_text(allowance.size) if is_money else allowance.size
        document[allowance.name] = amounts.get("", whole) if is_shared else amounts
    return document


def _cycle(row: Mapping[str, Any]) -> Document:
    return {
        "cycle_start_date": row["cycle_start_date"].isoformat(),
        "cost": decimal_text(row["charge_micros"]),
        "cost_micros": row["charge_micros"],
        "minimum_applied": row["minimum_applied"],
        "maximum_applied": row["maximum_applied"],
        "cdr_count": row["cdr_count"],
        "unrated_count": row["unrated_count"],
    }


def _all_cycles(cycles: pl.DataFrame) -> Document:
    """Every cycle of the file together; one file is mostly one cycle."""
    micros = sum(cycles["charge_micros"].to_list())
    return {
        "cost": decimal_text(micros),
        "cost_micros": micros,
        "minimum_applied": bool(cycles["minimum_applied"].any()),
        "maximum_applied": bool(cycles["maximum_applied"].any()),
    }


def _line(row: Mapping[str, Any]) -> Document:
    kept = (
        "usage_type", "zone", "cdr_count", "unrated_count", "duration_s", "volume_bytes",
        "events", "provider_cost_micros", "charge_micros",
    )  # fmt: skip
    start = row["cycle_start_date"].isoformat()
    return {"cycle_start_date": start, **{name: row[name] for name in kept}}


def _by_usage(unpriced: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    sums: dict[str, int] = {}
    for row in unpriced:
        usage = row["usage_type"]
        sums[usage] = sums.get(usage, 0) + (row["quantity"] or 0)
    return sums
