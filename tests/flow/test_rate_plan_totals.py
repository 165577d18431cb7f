"""Totals under rate plans: routed, put together, kept by revision, compared, put back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from tests.flow.plan_world import CHEAP, NOVEMBER, PLAN, PlanWorld, event
from tests.flow.test_import import calvi
from tests.rater import Event

AMSTERDAM = "Europe/Amsterdam"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path) as made:
        made.customers({1: AMSTERDAM, 2: AMSTERDAM})
        yield made


def headers(world: PlanWorld) -> list[tuple[object, ...]]:
    return world.table(
        "total_usage_new_table",
        *("customer_id", "method", "rate_plan", "revision"),
        *("total_cost_micros", "provider_cost_micros", "cdr_count", "unrated_count"),
    )


def test_a_customer_with_a_plan_pays_by_it_and_another_what_the_provider_charges(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5), event(2, 6, 120), event(3, 5, customer=2))

    world.dispatch()

    assert headers(world) == [
        (1, "rateplan", "office", 1, 400_000, 80_000, 2, 0),
        (2, "standard", None, 1, 40_000, 40_000, 1, 0),
    ]
    assert world.unbalanced() == []


def test_a_plan_that_changes_in_mid_cycle_rates_its_own_days(world: PlanWorld) -> None:
    world.plans(
        "1,office,,2026-10-10\n1,cheap,2026-10-10,2026-10-20", office=PLAN, cheap=CHEAP
    )
    world.deliver(event(1, 9), event(2, 10), event(3, 19), event(4, 20))

    world.dispatch()

    # 0.15 by the office plan, twice 0.03 by the cheap one, 0.04 at the provider's charge.
    assert headers(world) == [(1, "rateplan", "office + cheap", 1, 250_000, 160_000, 4, 0)]
    assert world.unbalanced() == []


def test_the_day_a_plan_begins_is_by_the_customers_clock(world: PlanWorld) -> None:
    world.plans("1,office,,2026-10-10\n1,cheap,2026-10-10,", office=PLAN, cheap=CHEAP)
    late = datetime.fromisoformat("2026-10-09T22:30:00+00:00")  # 00:30 on the 10th

    world.deliver(event(1, 9, start=late))
    world.dispatch()

    assert [row[4] for row in headers(world)] == [30_000]


def test_usage_without_a_price_is_counted_with_its_reason(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5), event(2, 6, 90, destination="+32470000000"))

    result = world.dispatch()

    assert result["unrated"] == 1
    assert headers(world) == [(1, "rateplan", "office", 1, 150_000, 80_000, 2, 1)]
    reasons = world.table("total_unrated_reason", "unrated_code", "cdr_count", "quantity")
    assert reasons == [("no_entry", 1, 90)]

    wider = PLAN.replace('["31"]', '["31", "32"]')
    world.plans("1,office,,", office=wider)
    world.dispatch()

    assert headers(world) == [(1, "rateplan", "office", 2, 350_000, 80_000, 2, 0)]
    assert world.table("total_unrated_reason", "unrated_code") == []


def test_the_same_plan_again_changes_nothing_and_another_one_its_cycles_only(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,\n2,cheap,,", office=PLAN, cheap=CHEAP)
    world.deliver(event(1, 5), event(2, 5, customer=2))
    world.dispatch()

    again = world.plans("1,office,,\n2,cheap,,", office=PLAN, cheap=CHEAP)

    assert again["changed"] == {"rate_plans": 0, "customer_rate_plans": 0}
    assert world.table("dirty_cycle", "customer_id") == []

    world.plans("1,office,,\n2,cheap,,", office=PLAN.replace("0.10", "0.20"))

    assert world.table("dirty_cycle", "customer_id", "reason") == [(1, "rate plan changed")]
    world.dispatch()
    assert [(row[3], row[4]) for row in headers(world)] == [(2, 250_000), (1, 30_000)]


def test_a_plan_given_from_a_day_on_leaves_the_cycles_before_it_alone(
    world: PlanWorld,
) -> None:
    world.deliver(event(1, 5), event(2, 5, cycle=NOVEMBER, start=datetime.fromisoformat(
        "2026-11-05T09:00:00+00:00"
    )))  # fmt: skip
    world.dispatch()

    world.plans("1,office,2026-11-01,", office=PLAN)

    assert world.table("dirty_cycle", "customer_id", "cycle_start_date") in (
        [(1, "2026-11-01")],
        [(1, NOVEMBER)],
    )


def test_computing_again_without_a_change_writes_no_revision(world: PlanWorld) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5))
    world.dispatch()
    before = world.table("total_usage_new_table", "content_sha256", "updated_at")

    document = world.run("totals:new", "--customer", 1, "--cycle", "2026-10-05")

    assert document["revision"] == 1
    assert world.table("total_usage_new_table", "content_sha256", "updated_at") == before


def test_one_customer_whose_amounts_do_not_fit_holds_no_other_up(world: PlanWorld) -> None:
    dear = '[[entry]]\nname = "texts"\nusage = "sms"\nprice = "1000000"\nper = "event"\n'
    world.plans("1,office,,\n2,office,,", office=PLAN + dear)
    world.customers({1: AMSTERDAM, 2: AMSTERDAM, 3: AMSTERDAM})
    world.deliver(
        event(1, 5, 2_000_000, usage="sms"),
        event(2, 5, 60, customer=2),
        event(3, 5, customer=3),
    )

    result = world.dispatch(code=4)

    assert result["parked"] == 1
    assert "customer 1, cycle 2026-10-01" in result["faults"][0]
    assert [row[0] for row in headers(world)] == [2, 3]
    assert world.table("dirty_cycle", "customer_id") == [(1,)]


def test_a_parked_customer_is_tried_again_when_the_plan_changes(world: PlanWorld) -> None:
    dear = '[[entry]]\nname = "texts"\nusage = "sms"\nprice = "1000000"\nper = "event"\n'
    world.plans("1,office,,\n2,office,,", office=PLAN + dear)
    world.deliver(event(1, 5, 2_000_000, usage="sms"), event(2, 5, customer=2))
    world.dispatch(code=4)
    assert [row[0] for row in headers(world)] == [2]

    mended = dear.replace("1000000", "0.10")
    world.plans("1,office,,\n2,office,,", office=PLAN + mended)
    result = world.dispatch()

    assert (result["parked"], result["faults"]) == (0, [])
    assert [(row[0], row[4]) for row in headers(world)] == [
        (1, 200_000_000_000),
        (2, 150_000),
    ]
    assert world.table("dirty_cycle", "customer_id") == []


def test_a_cycle_without_records_pays_the_minimum_of_its_plan(world: PlanWorld) -> None:
    world.plans("1,office,,", office=f'{PLAN}[cycle]\nminimum = "7.50"\n')

    document = world.run("totals:new", "--customer", 1, "--cycle", "2026-10-05")

    assert document["total_cost"] == "7.500000"
    assert [line["usage_type"] for line in document["lines"]] == ["cycle_minimum"]
    assert world.unbalanced() == []


def test_a_roaming_record_is_in_the_zone_of_its_country(world: PlanWorld) -> None:
    zones = '[zones]\nhome = ["NL"]\nworld = ["CH"]\n[[entry]]\nname = "abroad"\n'
    abroad = 'usage = "voice"\nzones = ["world"]\nprice = "1.20"\nper = "min"\n'
    world.plans("1,office,,", office=PLAN + zones + abroad)
    world.deliver(event(1, 5, zone="ROW"))
    world.do("UPDATE call_detail_record SET roaming_country = 'CH'")

    world.dispatch()

    assert [row[4] for row in headers(world)] == [1_200_000]


# --- revisions --------------------------------------------------------------------------


def two_revisions(world: PlanWorld, year: int = 2026) -> None:
    october = date(year, 10, 1)

    def call(key: int, day: int, quantity: int = 60, **other: str) -> Event:
        start = datetime(year, 10, day, 9, 0, tzinfo=UTC)
        return event(key, day, quantity, cycle=october, start=start, **other)

    world.plans("1,office,,", office=PLAN)
    world.deliver(call(1, 5))
    world.dispatch()
    world.deliver(call(2, 6), call(3, 7, 5, usage="sms", destination="+31612345678"))
    world.dispatch()


def test_two_revisions_are_compared_line_by_line(world: PlanWorld) -> None:
    two_revisions(world, year=2126)  # a cycle that has not ended

    document = world.run("totals:diff", "--customer", 1, "--cycle", "2126-10-31")

    assert (document["from_revision"], document["to_revision"]) == (1, 2)
    assert (document["was"], document["is"]) == ("0.150000", "0.300000")
    assert document["plan"] is None
    assert document["lines"] == [
        {
            "usage_type": "sms",
            "zone": "",
            "was": None,
            "is": {"cost_micros": 0, "cdr_count": 1, "unrated_count": 1},
            "why": ["1 record added"],
        },
        {
            "usage_type": "voice",
            "zone": "",
            "was": {"cost_micros": 150_000, "cdr_count": 1, "unrated_count": 0},
            "is": {"cost_micros": 300_000, "cdr_count": 2, "unrated_count": 0},
            "why": ["1 record added"],
        },
    ]
    assert document["reasons"] == ["import 2"]
    assert [each["records"] for each in document["imports"]] == [2]


def test_records_that_come_after_the_end_of_their_cycle_are_late(world: PlanWorld) -> None:
    two_revisions(world, year=2020)

    document = world.run("totals:diff", "--customer", 1, "--cycle", "2020-10-31")

    assert [line["why"] for line in document["lines"]] == [["1 record added late"]] * 2
    assert [each["late"] for each in document["imports"]] == [True]


def test_a_record_that_a_later_delivery_corrected_is_named(
    world: PlanWorld, tmp_path: Path
) -> None:
    world.own({"31600000071": 1})
    first = ["C1 2026-10-05T12:00:00Z 10", "C2 2026-10-06T12:00:00Z 20"]
    world.load(calvi(tmp_path, first, 7), "tmobile_calvi")
    world.dispatch()
    world.load(calvi(tmp_path, ["C1 2026-10-05T12:00:00Z 15"], 8), "tmobile_calvi")
    world.dispatch()

    document = world.run("totals:diff", "--customer", 1, "--cycle", "2026-10-05")

    (line,) = document["lines"]
    assert line["why"] == ["1 record corrected"]
    assert (line["was"]["cost_micros"], line["is"]["cost_micros"]) == (300_000, 350_000)
    (record,) = document["corrected"]
    assert (record["record_id"], record["corrected_by"]) == ("C1", 2)
    assert record["was"]["cost_micros"] == 100_000
    assert record["is"] == {
        "import_id": 2,
        "member": "TMO_CALVI_AC9_202610_0008.tsv",
        "line_no": 2,
        "cost_micros": 150_000,
    }
    earlier = ("--from", 0, "--to", 1)
    assert "no revision 0" in str(
        world.refused("totals:diff", "--customer", 1, "--cycle", "2026-10-05", *earlier)
    )


def test_an_import_that_was_backed_out_is_the_reason(
    world: PlanWorld, tmp_path: Path
) -> None:
    world.own({"31600000071": 1})
    first = ["C1 2026-10-05T12:00:00Z 10", "C2 2026-10-06T12:00:00Z 20"]
    world.load(calvi(tmp_path, first, 7), "tmobile_calvi")
    world.load(calvi(tmp_path, ["C1 2026-10-05T12:00:00Z 15"], 8), "tmobile_calvi")
    world.dispatch()
    world.run("import:revert", 2, "--by", "Jansen")
    world.dispatch()

    document = world.run("totals:diff", "--customer", 1, "--cycle", "2026-10-05")

    # The record costs what it cost before: it neither came nor went.
    assert [line["why"] for line in document["lines"]] == [["import 2 reverted"]]


def test_another_plan_and_a_corrected_record_are_told_apart(world: PlanWorld) -> None:
    world.plans("", office=PLAN)
    world.deliver(event(1, 5))
    world.dispatch()
    world.do("UPDATE call_detail_record SET cost_micros = 50000")
    world.run("totals:new", "--customer", 1, "--cycle", "2026-10-05")
    world.plans("1,office,,", office=PLAN)
    world.dispatch()

    corrected = world.run(
        "totals:diff", "--customer", 1, "--cycle", "2026-10-05", "--to", 2
    )
    replaced = world.run("totals:diff", "--customer", 1, "--cycle", "2026-10-05")
    both = world.run("totals:diff", "--customer", 1, "--cycle", "2026-10-05", "--from", 1)

    assert [line["why"] for line in corrected["lines"]] == [["records corrected"]]
    assert replaced["plan"] == "priced by rate plan office instead of standard"
    assert [line["why"] for line in replaced["lines"]] == [["plan changed"]]
    assert (both["was"], both["is"]) == ("0.040000", "0.150000")


def test_a_dry_run_shows_the_whole_difference_and_writes_nothing(world: PlanWorld) -> None:
    world.deliver(event(1, 5))
    world.dispatch()
    world.plans("1,office,,", office=PLAN)

    document = world.run(
        "totals:new", "--customer", 1, "--cycle", "2026-10-05", "--dry-run"
    )

    assert document["diff"]["was_micros"] == 40_000
    assert document["diff"]["is_micros"] == 150_000
    assert document["diff"]["plan"] == "priced by rate plan office instead of standard"
    assert [row[3] for row in headers(world)] == [1]


def test_a_revision_is_put_back_and_that_is_undone_again(world: PlanWorld) -> None:
    two_revisions(world)
    asked = ("totals:restore", "--customer", 1, "--cycle", "2026-10-31", "--revision")

    back = world.run(*asked, 1)

    assert (back["revision"], back["total_cost"], back["cdr_count"]) == (3, "0.150000", 1)
    assert world.dispatch()["new_revisions"] == 0
    undone = world.run(*asked, 2)
    assert (undone["revision"], undone["total_cost"]) == (4, "0.300000")
    assert undone["unrated_count"] == 1
    assert world.unbalanced() == []

    again = world.run(*asked, 2)
    assert (again["revision"], again["changed"]) == (4, False)
    kept = world.table("total_usage_new_backup_table", "revision", "total_cost_micros")
    assert kept == [(1, 150_000), (2, 300_000), (3, 150_000), (4, 300_000)]


def test_a_restored_cycle_is_computed_anew_when_it_changes(world: PlanWorld) -> None:
    two_revisions(world)
    world.run("totals:restore", "--customer", 1, "--cycle", "2026-10-31", "--revision", 1)

    world.deliver(event(4, 8))
    world.dispatch()

    assert [(row[3], row[4], row[6]) for row in headers(world)] == [(4, 450_000, 4)]


def test_a_damaged_copy_is_not_put_back(world: PlanWorld) -> None:
    two_revisions(world)
    world.do(
        "UPDATE total_usage_new_backup_table SET total_cost_micros = 1 WHERE revision = 1"
    )

    asked = ("totals:restore", "--customer", 1, "--cycle", "2026-10-31", "--revision")

    assert "is not what was written" in str(world.refused(*asked, 1))
    assert "it has: 1, 2" in str(world.refused(*asked, 9))
    assert [row[3] for row in headers(world)] == [2]


# --- what it would have cost --------------------------------------------------------------


def test_history_is_tried_under_other_plans_best_saving_first(
    world: PlanWorld, tmp_path: Path
) -> None:
    world.plans("1,office,,", office=PLAN)
    world.deliver(event(1, 5), event(2, 6), event(3, 5, customer=2))
    world.dispatch()
    (tmp_path / "cheap.toml").write_text(CHEAP, encoding="utf-8")
    (tmp_path / "office.toml").write_text(PLAN, encoding="utf-8")
    before = headers(world)

    document = world.run(
        *("totals:simulate", "--plan", tmp_path / "cheap.toml"),
        *("--plan", tmp_path / "office.toml", "--cycle", "2026-11-05", "--cycles", 2),
    )

    told = [
        (row["customer_id"], row["rate_plan"], row["cycles"], row["saving_micros"])
        for row in document["customers"]
    ]
    assert told == [
        (1, "cheap", 1, 240_000),
        (2, "cheap", 1, 10_000),
        (1, "office", 1, 0),
        (2, "office", 1, -110_000),
    ]
    assert headers(world) == before


def test_a_customer_with_usage_that_a_plan_does_not_price_comes_last(
    world: PlanWorld, tmp_path: Path
) -> None:
    world.deliver(
        event(1, 5, cost=9_000_000, destination="+32470000000"), event(2, 5, customer=2)
    )
    world.dispatch()
    (tmp_path / "cheap.toml").write_text(CHEAP, encoding="utf-8")

    document = world.run(
        "totals:simulate", "--plan", tmp_path / "cheap.toml", "--cycle", "2026-10-05"
    )

    told = [(row["customer_id"], row["unrated_count"]) for row in document["customers"]]
    assert told == [(2, 0), (1, 1)]
