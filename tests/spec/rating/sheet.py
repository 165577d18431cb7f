"""A tariff sheet and its calls in short: the plan as TOML, each event as one line."""

import tomllib
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from tests.rating_frames import plan_of
from transforms.rate_events import Document, price_events
from transforms.rate_plan import RatePlan
from transforms.reference import CsvFile, Line

HEAD = 'schema = "cdr-rate-plan/1"\nid = "sheet"\nname = "Sheet"\n'
COLUMNS = ("id", "subscriber", "usage_type", "destination", "started_at", "quantity")
FURTHER = ("zone", "direction", "continuation", "cost")

Files = Mapping[str, Sequence[Mapping[str, str]]]


def plan(sheet: str, files: Files | None = None) -> RatePlan:
    """Read a sheet without its head; ``files`` are decks and price lists as rows."""
    document: dict[str, Any] = tomllib.loads(HEAD + sheet, parse_float=Decimal)
    return plan_of(document, files or {})


def price(
    sheet: str, *events: str, files: Files | None = None, cycle_day: int = 1
) -> Document:
    """Price events: ``2026-10-05T09:00 voice +31201234567 90 line=A zone=EU``.

    The id of an event is its place, from 1.
    """
    lines = [Line(n, _cells(n, event)) for n, event in enumerate(events, start=1)]
    file = CsvFile("events.csv", (*COLUMNS, *FURTHER), lines)
    return price_events(file, plan(sheet, files), cycle_day)


def _cells(number: int, event: str) -> dict[str, str]:
    started, usage, destination, quantity, *further = event.split()
    named = dict(each.split("=", 1) for each in further)
    cells = {
        "id": str(number),
        "subscriber": named.pop("line", "A"),
        "usage_type": usage,
        "destination": destination.replace("-", ""),
        "started_at": started,
        "quantity": quantity,
    }
    return {**dict.fromkeys(FURTHER, ""), **cells, **named}


def costs(document: Document) -> list[str | None]:
    """The cost of each event."""
    return [event["cost"] for event in document["events"]]


def each(document: Document, name: str) -> list[Any]:
    """One value of each event."""
    return [event[name] for event in document["events"]]
