"""Bills worked out by hand under the shipped plans: ``worked/<plan>.csv``.

A row is an event, what it must cost (``cost_is``) and why. Rows that begin with ``=`` are
what a cycle costs, or one of its lines that no event made.
"""

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path

import pytest

from etl.rate_plan_files import load_rate_plan
from tests.tidy.house import ROOT
from transforms.rate_events import Document, price_events
from transforms.reference import CsvFile, Line

WORKED = Path(__file__).parent / "worked"
OURS = ("cost_is", "why")
"""Columns that are not the event's."""

Row = Mapping[str, str]

every_bill = pytest.mark.parametrize("plan", sorted(each.stem for each in WORKED.iterdir()))


def rows(plan: str) -> list[Row]:
    with (WORKED / f"{plan}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def events(plan: str) -> list[Row]:
    return [row for row in rows(plan) if not row["id"].startswith("=")]


def priced(plan: str) -> Document:
    own = [name for name in rows(plan)[0] if name not in OURS]
    lines = [
        Line(number, {name: row[name] for name in own})
        for number, row in enumerate(events(plan), start=2)
    ]
    return price_events(CsvFile(f"{plan}.csv", tuple(own), lines), load_rate_plan(plan), 1)


def sums(document: Document) -> Iterator[tuple[str, str]]:
    """What each cycle costs, and its lines that no event made, as the bill names them."""
    for cycle in document["cycles"]:
        yield f"= {cycle['cycle_start_date']}", cycle["cost"]
    for line in document["lines"]:
        if line["usage_type"].startswith("cycle_"):
            name = f"{line['usage_type']} {line['zone']}".strip()
            amount = Decimal(line["charge_micros"]).scaleb(-6)
            yield f"= {line['cycle_start_date']} {name}", f"{amount:.6f}"


@every_bill
def test_an_event_costs_what_was_worked_out_by_hand(plan: str) -> None:
    found = {each["id"]: each["cost"] or "unrated" for each in priced(plan)["events"]}
    assert found == {row["id"]: row["cost_is"] for row in events(plan)}


@every_bill
def test_a_cycle_costs_what_was_worked_out_by_hand(plan: str) -> None:
    told = {row["id"]: row["cost_is"] for row in rows(plan) if row["id"].startswith("=")}
    found = dict(sums(priced(plan)))
    assert {name: cost for name, cost in found.items() if Decimal(cost)} == told


def test_every_shipped_plan_has_its_bill() -> None:
    shipped = {each.stem for each in (ROOT / "etl" / "rate_plans").glob("*.toml")}
    assert {each.stem for each in WORKED.iterdir()} == shipped
