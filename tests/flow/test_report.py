"""``etl report``: a night told again, and how a billing period stands."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl import failpoints
from etl.night import folder_of, run_night
from etl.night_record import Night, report_text
from tests.flow.import_world import ANNA, BERT, STRANGER, World, call, write_routit
from tests.flow.operator_world import Desk
from tests.flow.plan_world import PLAN, PlanWorld, event

NIGHT = datetime(2025, 2, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as world:
        world.own({ANNA: 1, BERT: 2})
        yield world


@pytest.fixture
def desk(database_url: str, tmp_path: Path) -> Desk:
    return Desk(database_url, tmp_path)


def night(world: World, as_of: datetime = NIGHT) -> Night:
    return run_night(world.app, as_of, 0, lambda _line: None)


# --- a night ------------------------------------------------------------------------------


def test_a_night_ends_with_insights_that_its_report_tells(world: World, desk: Desk) -> None:
    world.load(write_routit(world.folder, [call("1"), call("2", STRANGER)]))

    told = night(world)

    assert [(each.severity, each.kind) for each in told.insights] == [
        ("warning", "unmatched_numbers")
    ]
    assert told.open_insights == 1
    report = report_text(told)
    assert "Insights: 1 warning; 1 stand in all, see: etl insight" in report
    assert (
        "  warning unmatched_numbers: routit: 1 record of 1 numbers wait for an owner, 0.04"
    ) in report
    assert STRANGER not in report
    again = night(world, NIGHT.replace(day=4))
    assert {step.name: step.message for step in again.steps}["insights"] in {
        "0 new or changed",
        "1 new or changed",  # when both nights began within one second
    }


def test_the_report_of_a_night_is_shown_again(world: World, desk: Desk) -> None:
    night(world)
    night(world, NIGHT.replace(day=4))
    kept = (folder_of(world.app, "2025-02-03") / "report.txt").read_text("utf-8")

    assert desk.etl("report", "--night", "2025-02-03").out == kept
    assert desk.etl("report").out.startswith("Night of 2025-02-04: all is well\n")
    run = desk.etl("report", "--night", "2025-02-03", "--json").document
    assert (run["name"], run["status"], run["exit_code"]) == ("2025-02-03", "done", 0)


def test_a_night_that_broke_off_says_how_to_go_on(
    world: World, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        plan = failpoints.fault_plan("night_before_rename:raise:4")
        broken.setattr(failpoints, "_PLAN", plan)
        with pytest.raises(failpoints.FaultInjectedError):
            night(world)
    assert desk.etl("report").out == (
        "the night of 2025-02-03 has not come to its end; steps that are done: sync, "
        "queue; go on with: etl nightly --as-of 2025-02-03\n"
    )


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "there was no night yet; run one with: etl nightly"),
        (("--night", "2025-02-05"), "there was no night of 2025-02-05"),
        (("--night", "2025-02-05", "--cycle", "2025-02-05"), "give --night, or --cycle"),
        (("--as-of", "2025-02-05"), "give --night, or --cycle"),
    ],
)
def test_what_cannot_be_told_is_said(
    desk: Desk, words: tuple[str, ...], message: str
) -> None:
    ended = desk.etl("report", *words)
    assert ended.code == 2
    assert message in ended.err


# --- a period -----------------------------------------------------------------------------


@pytest.fixture
def plans(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    """Customer 1 at a loss, 2 without a price for a text, 3 without a plan."""
    with PlanWorld(database_url, tmp_path) as world:
        world.customers(dict.fromkeys((1, 2, 3), "Europe/Amsterdam"))
        world.plans("1,office,,\n2,office,,", office=PLAN)
        world.deliver(
            event(1, 5, cost=2_000_000),
            event(2, 5, customer=2),
            event(3, 5, 1, customer=2, usage="sms"),
            event(4, 5, customer=3),
        )
        run_night(world.app, datetime(2026, 11, 3, 2, tzinfo=UTC), 0, lambda _line: None)
        yield world


PERIOD = ("report", "--cycle", "2026-10-15", "--as-of", "2026-11-03")


def test_a_period_is_told_with_cost_price_margin_invoices_and_insights(
    plans: PlanWorld, desk: Desk
) -> None:
    told = desk.etl(*PERIOD, "--json").document
    assert told["totals"] == [
        {
            "currency": "EUR",
            "cycles": 3,
            "cdr_count": 4,
            "unrated_count": 1,
            "total_cost_micros": 340_000,
            "provider_cost_micros": 2_120_000,
            "waiting": 0,
        }
    ]
    assert [
        (row["usage_type"], row["provider_micros"], row["own_micros"], row["margin_micros"])
        for row in told["by_usage_type"]
    ] == [("sms", 40_000, 0, -40_000), ("voice", 2_080_000, 340_000, -1_740_000)]
    assert [(row["customer_id"], row["margin_micros"]) for row in told["by_customer"]] == [
        (1, -1_850_000),
        (2, 70_000),
        (3, 0),
    ]
    assert told["invoiced"] == [
        {
            "kind": "invoice",
            "currency": "EUR",
            "documents": 2,
            "net_cents": 19,
            "vat_cents": 4,
            "gross_cents": 23,
        }
    ]
    (kept,) = told["kept_back"]
    assert (kept["customer_id"], kept["codes"]) == (2, ["unrated"])
    assert [(each["kind"], each["customer_id"]) for each in told["insights"]] == [
        ("negative_margin", 1)
    ]


def test_a_period_is_told_in_words(plans: PlanWorld, desk: Desk) -> None:
    text = desk.etl(*PERIOD).out
    assert text.startswith("Cycles that contain 2026-10-15, as they stand:\n")
    assert "3 customers, 1 at a loss:" in text
    assert (
        "Kept back on 2026-11-03: 1\n  customer 2, cycle 2026-10-01: 1 records have" in text
    )
    assert (
        "Insights that nobody acknowledged: 1\n  warning negative_margin: customer 1, "
        "cycle 2026-10-01: costs 2.00 EUR and brings 0.15 EUR, most of it voice"
    ) in text


def test_a_period_without_anything_is_told_too(world: World, desk: Desk) -> None:
    told = desk.etl("report", "--cycle", "2025-01-01", "--json").document
    assert (told["totals"], told["invoiced"], told["insights"]) == ([], [], [])
    assert json.dumps(told["kept_back"]) == "[]"
