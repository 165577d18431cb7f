"""Invoices and margins of customers with a rate plan."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest

from tests.flow.plan_world import CHEAP, OCTOBER, PLAN, PlanWorld, event

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
