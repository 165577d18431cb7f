"""Invoices and margins of customers with a rate plan."""

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.flow.plan_world import CHEAP, NOVEMBER, OCTOBER, PLAN, PlanWorld, event

AS_OF = date(2026, 11, 2)
AMSTERDAM = "Europe/Amsterdam"
NINE = '\n[vat]\nrate = "9"\nrounding = "line"\n'
INCLUSIVE = '\n[vat]\nrate = "21"\nprices_include = true\n'


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path) as made:
        made.customers({1: AMSTERDAM, 2: AMSTERDAM})
        yield made


def invoiced(world: PlanWorld) -> list[tuple[object, ...]]:
    columns = ("customer_id", "usage_micros", "net_cents", "vat_cents", "gross_cents")
    return world.table("invoice", *columns)


def test_a_customer_is_invoiced_by_the_vat_of_its_plan(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN + NINE)
    world.deliver(event(1, 5), event(2, 6, 120), event(3, 5, customer=2))
    world.dispatch()

    world.app.invoicing.due(AS_OF)

    # Two calls of 0.15 and 0.25 under the plan; what the provider charges without one.
    assert invoiced(world) == [(1, 400_000, 40, 4, 44), (2, 40_000, 4, 1, 5)]
    first = world.app.invoices.of_cycle(1, OCTOBER)[0]
    assert first.draft.method == "rateplan"
    assert first.draft.terms["vat_rate_bp"] == "900"
    assert first.draft.terms["vat_rounding"] == "line"


def test_prices_that_hold_vat_are_what_the_customer_pays(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN + INCLUSIVE)
    world.deliver(event(1, 5, 7260))  # 0.05 and 121 minutes of 0.10
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    assert invoiced(world) == [(1, 12_150_000, 1004, 211, 1215)]


def test_a_customers_own_rule_goes_before_its_plans(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN + NINE)
    world.do('UPDATE customer SET details = \'{"vat_rate": "5"}\' WHERE customer_id = 1')
    world.deliver(event(1, 5, 1200))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    assert invoiced(world) == [(1, 2_050_000, 205, 10, 215)]


def test_plans_of_one_cycle_that_differ_in_vat_keep_it_back(world: PlanWorld) -> None:
    world.plans(
        "1,office,,2026-10-10\n1,cheap,2026-10-10,", office=PLAN + NINE, cheap=CHEAP
    )
    world.deliver(event(1, 5), event(2, 12))
    world.dispatch()
    run = world.app.invoicing.due(AS_OF)
    assert [each.status for each in run.outcomes] == ["blocked"]
    assert "office + cheap share a cycle and differ" in run.outcomes[0].gates[0].message


def test_a_plan_that_changed_since_makes_a_delta(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    world.plans("1,office,,", office=PLAN.replace("0.10", "0.20"))
    world.dispatch()

    run = world.app.invoicing.due(AS_OF)

    assert [each.status for each in run.outcomes] == ["corrected"]
    assert [row[1:3] for row in invoiced(world)] == [(100_000, 10), (150_000, 15)]
    checks = [each.check for each in world.audit()]
    assert [check for check in checks if check.startswith("invoice")] == []


# --- the calls one by one -----------------------------------------------------------------

BUNDLE = (
    PLAN
    + """
[cycle]
minimum = "1.00"

[[allowance]]
name = "minutes"
usage = "voice"
size = "90 s"
"""
)


def specified(world: PlanWorld, customer: int = 1, start: date = OCTOBER) -> dict[str, Any]:
    """What the files of a cycle's first invoice say of its calls."""
    first = world.app.invoices.of_cycle(customer, start)[0]
    (path,) = world.app.documents.write(first, ("calls.json",)).files
    document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return document


def amounts(document: dict[str, Any]) -> list[tuple[int | None, str]]:
    return [(each["amount_micros"], each["bundle"]) for each in document["calls"]]


def test_each_call_has_the_amount_its_plan_gives_it(world: PlanWorld) -> None:
    world.plans("1,office,,", office=BUNDLE)
    world.deliver(event(1, 7, 120), event(2, 5), event(3, 6), event(4, 8, customer=2))
    world.dispatch()
    world.app.invoicing.due(AS_OF)

    document = specified(world)

    # 60 s in the bundle, then 30 of 60 s (0.05 for the rest), then 0.05 + 2 x 0.10.
    assert amounts(document) == [(0, "whole"), (50_000, "part"), (250_000, "none")]
    assert [each["in_allowance"] for each in document["calls"]] == [60, 30, 0]
    assert document["calls_micros"] == 300_000
    assert document["cycle_lines"] == [
        {"usage_type": "cycle_minimum", "name": "", "amount_micros": 700_000}
    ]
    assert document["invoiced_micros"] == 1_000_000
    assert document["differences"] == []
    # The other customer has no plan and pays what the provider charges.
    assert amounts(specified(world, 2)) == [(40_000, "none")]
    csv = world.app.documents.write(
        world.app.invoices.of_cycle(1, OCTOBER)[0], ("csv",)
    ).files[0]
    assert "deels in bundel" in csv.read_text(encoding="utf-8-sig")


def test_calls_of_a_plan_that_changed_in_mid_cycle_are_priced_by_the_day(
    world: PlanWorld,
) -> None:
    world.plans(
        "1,office,2026-10-06,2026-10-10\n1,cheap,2026-10-10,", office=PLAN, cheap=CHEAP
    )
    world.deliver(event(1, 5), event(2, 7), event(3, 12))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    document = specified(world)
    # A day without a plan at cost, then 0.05 + 0.10, then 0.01 + 0.02.
    assert amounts(document) == [(40_000, "none"), (150_000, "none"), (30_000, "none")]
    assert document["differences"] == []


def test_calls_keep_the_prices_they_were_invoiced_at(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    before = specified(world)

    world.plans("1,office,,", office=PLAN.replace("0.10", "0.20"))
    assert specified(world) == before
    world.dispatch()
    assert specified(world) == before
    world.plans("1,cheap,,", office=PLAN, cheap=CHEAP)
    assert specified(world) == before
    world.plans("", office=PLAN)
    assert specified(world) == before
    assert before["calls_micros"] == before["invoiced_micros"] == 150_000


def test_calls_that_came_after_the_invoice_are_a_difference(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    world.deliver(event(2, 6, 120))
    document = specified(world)
    assert amounts(document) == [(150_000, "none"), (250_000, "none")]
    assert document["differences"] == [
        {
            "usage_type": "voice",
            "zone": "",
            "invoiced_micros": 150_000,
            "calls_micros": 400_000,
        }
    ]


def test_calls_of_plans_that_nobody_can_tell_any_more_have_no_amounts(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,2026-10-10\n1,cheap,2026-10-10,", office=PLAN, cheap=CHEAP)
    world.deliver(event(1, 5), event(2, 12))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    assert specified(world)["is_priced"] is True
    world.plans("1,cheap,,", office=PLAN, cheap=CHEAP)
    document = specified(world)
    assert document["is_priced"] is False
    assert amounts(document) == [(None, "none"), (None, "none")]


WELCOME = (
    PLAN
    + """
[[allowance]]
name = "welcome"
usage = "voice"
amount = "0.20"
period = "once"
"""
)


def test_calls_that_a_one_off_allowance_paid_for_add_up_in_each_cycle(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME)
    later = datetime(2026, 11, 5, 9, 0, tzinfo=UTC)
    world.deliver(event(1, 5), event(2, 5, cycle=NOVEMBER, start=later))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    world.app.invoicing.due(date(2026, 12, 2))
    # 0.20 pay the first call of 0.15 and 0.05 of the second one.
    first, second = specified(world), specified(world, start=NOVEMBER)
    assert amounts(first) == [(0, "whole")]
    assert amounts(second) == [(100_000, "part")]
    assert first["differences"] == second["differences"] == []

    # By the plan of then, and with what the month before used of it.
    world.plans("1,office,,", office=WELCOME.replace("0.10", "0.30"))
    assert specified(world) == first
    assert specified(world, start=NOVEMBER) == second


# --- what a plan charges, and what its allowances gave ------------------------------------

FEE = (
    BUNDLE
    + """
[[charge]]
name = "Abonnement"
amount = "10.00"
per = "line"

[[charge]]
name = "Aansluiten"
kind = "one_off"
amount = "5.00"
"""
)


def own_lines(world: PlanWorld, *lines: str) -> None:
    folder = world.folder / "lines"
    folder.mkdir(exist_ok=True)
    header = "identifier,kind,customer_id,valid_from,valid_to"
    text = "\n".join([header, *lines, ""])
    (folder / "subscriptions.csv").write_text(text, encoding="utf-8")
    world.run("reference:load", folder)


def invoiced_lines(world: PlanWorld, customer: int = 1) -> list[tuple[str, int, int]]:
    first = world.app.invoices.of_cycle(customer, OCTOBER)[0]
    return [
        (line.name, line.quantity, line.amount_cents)
        for line in first.draft.amounts.lines
        if line.kind != "rounding"
    ]


def test_what_a_plan_charges_stands_on_the_invoice(world: PlanWorld) -> None:
    world.plans("1,office,2026-10-01,\n2,office,2026-10-17,", office=FEE + NINE)
    own_lines(
        world,
        "+31600000001,number,1,,",
        "+31600000002,number,1,2026-10-20,",
        "A,line,1,,2026-10-02",
        "C1,contract,1,,",
    )
    world.deliver(event(1, 5, 120))
    world.dispatch()

    run = world.app.invoicing.due(AS_OF)

    # Customer 1 has three lines in October; 30 s of 120 s are not in the bundle.
    assert invoiced_lines(world) == [
        ("Bellen", 1, 5),
        ("Aanvulling tot het minimum", 0, 95),
        ("Abonnement", 3, 3000),
        ("Aansluiten", 1, 500),
    ]
    # Customer 2 has no line and made no call, so there are no totals: the plan's VAT holds.
    assert invoiced_lines(world, 2) == [("Aansluiten", 1, 500)]
    assert [each[3] for each in invoiced(world)] == [324, 45]
    assert [each.status for each in run.outcomes] == ["issued", "issued"]
    assert [each.check for each in world.audit() if each.check.startswith("invoice")] == []
    assert world.app.invoicing.due(AS_OF).outcomes == ()


def test_a_plan_that_charges_nothing_of_a_customer_makes_no_invoice(
    world: PlanWorld,
) -> None:
    world.plans("1,office,2026-11-01,", office=FEE)
    assert [each.status for each in world.app.invoicing.due(AS_OF).outcomes] == ["nothing"]


def test_an_invoice_says_what_its_allowances_gave_and_keeps_saying_it(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=BUNDLE)
    world.deliver(event(1, 5), event(2, 6))
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    said = "minutes: 0:01:30 inbegrepen, 0:01:30 gebruikt, 0 min over"

    first = world.app.invoices.of_cycle(1, OCTOBER)[0]
    notes = [note.replace("\N{NO-BREAK SPACE}", " ") for note in first.draft.notes]
    assert notes == [said]
    files = world.app.documents.write(first, ("html", "json")).files
    for path in files:
        text = path.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")
        assert said in text

    # A bundle that grows afterwards is the next document's matter.
    larger = BUNDLE.replace("90 s", "119 s").replace("1.00", "2.00")
    world.plans("1,office,,", office=larger)
    world.dispatch()
    world.app.invoicing.due(AS_OF)
    before, after = world.app.invoices.of_cycle(1, OCTOBER)
    assert before == first
    assert after.draft.notes[0].startswith("minutes: 0:01:59")
    credit = world.app.invoicing.credit(first.number, "Ann", "test", AS_OF)
    assert credit.invoices[0].draft.notes == ()


# --- margin -------------------------------------------------------------------------------


def test_margin_stands_by_usage_type_and_by_customer(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(
        event(1, 5), event(2, 6, 120), event(3, 5, customer=2), event(4, 7, cost=900_000)
    )
    world.dispatch()

    document = world.run("margin", "--cycle", "2026-10-31")

    # Customer 1: 0.15 + 0.25 + 0.15 under its plan; 0.04 + 0.04 + 0.90 to the provider.
    assert document["by_usage_type"] == [
        {
            "usage_type": "voice",
            "currency": "EUR",
            "record_count": 4,
            "unrated_count": 0,
            "provider_micros": 1_020_000,
            "own_micros": 590_000,
            "margin_micros": -430_000,
            "margin_bp": -7288,
        }
    ]
    assert [
        (
            each["customer_id"],
            each["provider_micros"],
            each["own_micros"],
            each["margin_bp"],
        )
        for each in document["by_customer"]
    ] == [(1, 980_000, 550_000, -7818), (2, 40_000, 40_000, 0)]
    assert document["losses"] == 1
    assert world.run("margin", "--cycle", "2026-11-01")["by_customer"] == []
    only = world.run("margin", "--customer", "2")["by_customer"]
    assert [each["customer_id"] for each in only] == [2]
