"""Every figure of docs/rate-plans.md is what the plan and the events above it give."""

import csv
import io
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest

from tests.tidy.house import ROOT
from transforms.rate_events import price_events
from transforms.rate_plan_reading import named_files, parse_rate_plan
from transforms.reference import CsvFile, Line

PAGE = ROOT / "docs" / "rate-plans.md"
SHIPPED = ROOT / "etl" / "rate_plans"
HEAD = 'schema = "cdr-rate-plan/1"\nid = "example"\nname = "Example"\n'

BLOCK = re.compile(r"^```(toml|csv)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LEFT = re.compile(r"^- left of `([^`]+)`: \*\*(.+?)\*\*", re.MULTILINE)
LINE = re.compile(r"^- line `(\w+) ?([^`]*)` \*\*(.+?)\*\*", re.MULTILINE)
CYCLE = re.compile(r"^- the cycle costs \*\*(.+?)\*\*", re.MULTILINE)
EMPTY = {"unrated": None, "": None}


@dataclass(frozen=True)
class Example:
    """A plan and events of the page, and the text that follows them."""

    plan: str
    events: str
    said: str

    @property
    def rows(self) -> list[dict[str, str]]:
        """The table of results, by its headings."""
        table = next(part for part in self.said.split("\n\n") if part.startswith("|"))
        lines = table.splitlines()
        heads, _, *cells = [
            [cell.strip() for cell in line[1:-1].split("|")] for line in lines
        ]
        return [dict(zip(heads, row, strict=True)) for row in cells]


def examples() -> Iterator[Example]:
    text = PAGE.read_text(encoding="utf-8")
    blocks = list(BLOCK.finditer(text))
    for plan, events, after in zip(blocks, blocks[1:], [*blocks[2:], None], strict=False):
        if (plan[1], events[1]) == ("toml", "csv"):
            end = after.start() if after else len(text)
            yield Example(plan[2], events[2], text[events.end() : end])


def rows_of(name: str, text: str) -> CsvFile:
    reader = csv.DictReader(io.StringIO(text))
    lines = [Line(number, row) for number, row in enumerate(reader, start=2)]
    return CsvFile(name, tuple(reader.fieldnames or ()), lines)


def price(example: Example) -> dict[str, Any]:
    has_head = "schema =" in example.plan
    text = example.plan if has_head else HEAD + example.plan
    document = tomllib.loads(text, parse_float=Decimal)
    files = {
        name: rows_of(name, (SHIPPED / name).read_text(encoding="utf-8"))
        for name in named_files(document)
    }
    plan = parse_rate_plan(document, files, "")
    return price_events(rows_of("events.csv", example.events), plan, cycle_day=1)


every_example = pytest.mark.parametrize(
    "example", list(examples()), ids=lambda example: str(example.events.splitlines()[1])
)


def test_the_page_has_its_worked_examples() -> None:
    assert len(list(examples())) >= 11
    assert all(example.rows for example in examples())


@every_example
def test_an_event_costs_what_the_page_says(example: Example) -> None:
    events = {event["id"]: event for event in price(example)["events"]}
    assert [row["id"] for row in example.rows] == list(events)
    for row in example.rows:
        told = {name: EMPTY.get(cell, cell) for name, cell in row.items()}
        got = {
            name: None if events[row["id"]][name] is None else str(events[row["id"]][name])
            for name in row
        }
        assert got == told


@every_example
def test_what_the_page_says_of_the_cycle_is_so(example: Example) -> None:
    document = price(example)
    left = {name: str(amount) for name, amount in document["allowances_left"].items()}
    assert left == dict(LEFT.findall(example.said)) or not LEFT.search(example.said)
    for cost in CYCLE.findall(example.said):
        assert document["cycle"]["cost"] == cost
    for usage, zone, cost in LINE.findall(example.said):
        amounts = [
            line["charge_micros"]
            for line in document["lines"]
            if (line["usage_type"], line["zone"]) == (usage, zone)
        ]
        assert amounts == [int(Decimal(cost) * 10**6)]
