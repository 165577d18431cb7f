"""A night issues the invoices that are due, writes their documents, and can be killed."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from etl import failpoints
from etl.night import folder_of, run_night
from etl.night_record import Night, report_text
from tests.flow.import_world import ANNA, BERT, World, call, write_routit
from tests.flow.invoice_world import many_customers
from tests.flow.operator_world import Desk
from tests.flow.plan_world import PLAN, PlanWorld, event

ENDINGS = (".html", ".csv", ".json")
"""What there is of every invoice, whatever is installed and known of the customer."""

NIGHT = datetime(2025, 2, 3, 2, 10, tzinfo=UTC)
NOVEMBER_NIGHT = datetime(2026, 11, 3, 2, 10, tzinfo=UTC)


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path, lease_seconds=1) as world:
        world.own({ANNA: 1, BERT: 2})
        yield world


@pytest.fixture
def plans(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path) as world:
        world.customers({1: "Europe/Amsterdam", 2: "Europe/Amsterdam"})
        yield world


def night(world: World, as_of: datetime = NIGHT) -> Night:
    return run_night(world.app, as_of, 0, lambda _line: None)


def deliver(world: World, *calls: str) -> None:
    world.load(write_routit(world.folder, calls))


def files(world: World) -> list[str]:
    folder = world.folder / "storage" / "invoices"
    return sorted(path.name for path in folder.rglob("*") if path.suffix in ENDINGS)


def whole(*numbers: int) -> set[str]:
    """What there must be of these invoices."""
    return {f"F2025-{each:06}{ending}" for each in numbers for ending in ENDINGS}


def numbers(world: World) -> list[tuple[object, ...]]:
    return world.table("invoice", "invoice_number", "customer_id", "content_sha256")


def steps(night: Night) -> dict[str, str]:
    return {step.name: step.message for step in night.steps}


# --- what a night issues ------------------------------------------------------------------


def test_a_night_issues_what_is_due_and_writes_its_documents(world: World) -> None:
    deliver(world, call("1", Totaaltarief="1000"), call("2", BERT))

    told = night(world)

    assert told.exit_code == 0
    assert [(each.number, each.gross_cents) for each in told.invoices] == [
        ("F2025-000001", 1210),
        ("F2025-000002", 5),
    ]
    assert steps(told)["invoices"] == "2 issued"
    assert steps(told)["documents"] == "of 2 invoices"
    assert set(files(world)) >= whole(1, 2)
    report = report_text(told)
    assert "Invoices: 2 issued (F2025-000001 to F2025-000002), EUR 12.15 with VAT" in report


def test_a_second_night_issues_nothing_and_writes_no_document_again(world: World) -> None:
    deliver(world, call("1"))
    night(world)
    before = {
        name: (world.folder / "storage" / "invoices" / "2025" / name).stat().st_ino
        for name in files(world)
    }

    again = night(world, NIGHT.replace(day=4))

    assert steps(again)["invoices"] == "0 issued"
    assert steps(again)["documents"] == "of 0 invoices"
    assert again.to_look_at == ()
    assert before == {
        name: (world.folder / "storage" / "invoices" / "2025" / name).stat().st_ino
        for name in files(world)
    }


def test_a_night_may_leave_invoices_alone(world: World) -> None:
    deliver(world, call("1"))
    ended = Desk(world.url, world.folder).etl(
        "nightly", "--as-of", "2025-02-03", "--patience", "0", "--no-invoices", "--json"
    )
    assert ended.code == 0
    assert [step["name"] for step in ended.document["steps"]] == [
        "sync",
        "queue",
        "totals",
        "insights",
        "audit",
    ]
    assert numbers(world) == []


# --- who is kept back ---------------------------------------------------------------------


def test_a_customer_without_prices_is_kept_back_and_the_others_are_invoiced(
    world: World,
) -> None:
    deliver(world, call("1"), call("2", BERT))
    world.do("UPDATE call_detail_record SET cost_micros = NULL WHERE customer_id = 2")

    told = night(world)

    assert [each.number for each in told.invoices] == ["F2025-000001"]
    assert [(each.customer_id, each.codes) for each in told.kept_back] == [
        (2, ("unrated",))
    ]
    assert "customer 2, cycle 2025-01-01: 1 records have no price" in report_text(told)


def test_customer_details_that_are_no_rule_make_the_night_end_with_faults(
    world: World,
) -> None:
    deliver(world, call("1"), call("2", BERT))
    world.do(
        """UPDATE customer SET details = '{"vat_category": "E"}' WHERE customer_id = 1"""
    )

    told = night(world)

    assert told.exit_code == 1
    assert [each.number for each in told.invoices] == ["F2025-000001"]
    assert [each.customer_id for each in told.invoices] == [2]
    (kept,) = told.kept_back
    assert kept.codes == ("details",)
    assert kept.reasons[0] in report_text(told)


def test_the_runs_file_names_whoever_was_kept_back(world: World) -> None:
    deliver(world, call("1"))
    world.do("UPDATE call_detail_record SET cost_micros = NULL")
    night(world)
    told = json.loads((folder_of(world.app, "2025-02-03") / "run.json").read_text("utf-8"))
    (kept,) = told["kept_back"]
    assert (kept["customer_id"], kept["cycle_start_date"]) == (1, "2025-01-01")
    assert kept["codes"] == ["unrated"]


# --- usage that no plan prices, and amounts that do not fit -------------------------------


def test_usage_without_an_entry_is_told_and_invoiced_once_the_plan_has_one(
    plans: PlanWorld,
) -> None:
    plans.plans("1,office,,", office=PLAN)
    plans.deliver(event(1, 5, 60), event(2, 5, 1, usage="sms"))

    first = night(plans, NOVEMBER_NIGHT)

    assert [(each.customer_id, each.codes) for each in first.kept_back] == [
        (1, ("unrated",))
    ]
    reason = "no entry of plan office covers sms out to this destination"
    assert f"  1 sms records of 1 customer: {reason}" in report_text(first)

    texts = '[[entry]]\nname = "texts"\nusage = "sms"\nprice = "0.05"\nper = "event"\n'
    plans.plans("1,office,,", office=PLAN + texts)
    second = night(plans, NOVEMBER_NIGHT.replace(day=4))

    # A minute of 0.15 and a text of 0.05 are 0.20, with 21 % VAT 0.24.
    assert plans.table("invoice", "customer_id", "gross_cents") == [(1, 24)]
    assert second.unrated == ()
    assert second.kept_back == ()


DEAR = '[[entry]]\nname = "texts"\nusage = "sms"\nprice = "1000000"\nper = "event"\n'


def test_amounts_that_do_not_fit_are_told_until_the_plan_is_mended(
    plans: PlanWorld,
) -> None:
    plans.plans("1,office,,\n2,office,,", office=PLAN + DEAR)
    plans.deliver(event(1, 5, 2_000_000, usage="sms"), event(2, 5, customer=2))

    first = night(plans, NOVEMBER_NIGHT)

    assert first.exit_code == 4
    assert plans.table("invoice", "customer_id") == [(2,)]
    assert "customer 1, cycle 2026-10-01" in first.left_out[0]
    assert f"  {first.left_out[0]}" in report_text(first)

    mended = PLAN + DEAR.replace('"1000000"', '"0.05"')
    plans.plans("1,office,,\n2,office,,", office=mended)
    second = night(plans, NOVEMBER_NIGHT.replace(day=4))

    assert second.left_out == []
    assert plans.table("invoice", "customer_id") == [(1,), (2,)]


def test_a_night_in_which_no_amount_fits_says_that_money_does_not_add_up(
    plans: PlanWorld,
) -> None:
    plans.plans("1,office,,", office=PLAN + DEAR)
    plans.deliver(event(1, 5, 2_000_000, usage="sms"))

    told = night(plans, NOVEMBER_NIGHT)

    assert told.exit_code == 4
    (failed,) = [step for step in told.steps if step.status == "failed"]
    assert failed.name == "totals"
    assert "customer 1, cycle 2026-10-01" in failed.message


# --- killed nights ------------------------------------------------------------------------

POINTS = (
    "invoice_before_commit:raise:1",
    "invoice_after_commit:raise:1",
    "document_before_rename:raise:1",
    "document_before_rename:raise:2",
    "document_before_rename:raise:4",
    "night_before_rename:raise:5",
    "night_before_rename:raise:9",
)


@pytest.mark.parametrize("point", POINTS)
def test_a_night_that_broke_off_goes_on_with_the_same_numbers_and_all_documents(
    world: World, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    many_customers(world, 2)
    with monkeypatch.context() as broken:
        broken.setattr(failpoints, "_PLAN", failpoints.fault_plan(point))
        with pytest.raises(failpoints.FaultInjectedError):
            night(world)
    issued = numbers(world)

    told = night(world)

    assert told.attempts == 2
    assert told.exit_code == 0
    assert [each.number for each in told.invoices] == ["F2025-000001", "F2025-000002"]
    assert numbers(world)[: len(issued)] == issued
    assert set(files(world)) >= whole(1, 2)


def test_documents_a_full_disk_kept_back_are_written_the_next_night(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver(world, call("1"))
    with monkeypatch.context() as full:
        full.setattr(
            failpoints, "_PLAN", failpoints.fault_plan("document_before_rename:enospc")
        )
        first = night(world)
    assert first.exit_code == 3
    assert "F2025-000001.json" not in files(world)

    second = night(world, NIGHT.replace(day=4))

    assert second.exit_code == 0
    assert steps(second)["documents"] == "of 1 invoices"
    assert "F2025-000001.json" in files(world)
