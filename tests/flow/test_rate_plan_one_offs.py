"""One-off allowances of customers: used once over all cycles, in the order of the calls."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from etl.rate_plan_files import load_rate_plan, rate_plan_text
from tests.flow.plan_world import PLAN, PlanWorld, event
from tests.rater import Event

AMSTERDAM = "Europe/Amsterdam"

WELCOME = f"""{PLAN}
[[allowance]]
name = "welcome"
usage = "voice"
amount = "0.40"
period = "once"
"""
"""A call of a minute costs 0.15; the first 0.40 of all calls are given."""

EACH_LINE = """
[[allowance]]
name = "first minutes"
usage = "voice"
size = "2 min"
period = "once"
pool = "line"
"""

STARTS = {month: date(2026, month, 1) for month in (9, 10, 11, 12)}


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path) as made:
        made.customers({1: AMSTERDAM, 2: AMSTERDAM})
        yield made


def month(key: int, number: int, day: int = 5, quantity: int = 60, **other: str) -> Event:
    """A call on some day of a month."""
    start = datetime(2026, number, day, 9, 0, tzinfo=UTC)
    return event(key, day, quantity, cycle=STARTS[number], start=start, **other)


def costs(world: PlanWorld) -> list[tuple[object, ...]]:
    """Revision and cost of each cycle, in their order."""
    return [
        row[1:]
        for row in world.table(
            "total_usage_new_table", "cycle_start_date", "revision", "total_cost_micros"
        )
    ]


def left(world: PlanWorld) -> list[tuple[object, ...]]:
    """What was available, used and is left in each cycle, in their order."""
    return [
        row[1:]
        for row in world.table(
            "total_allowance", "cycle_start_date", "available", "used", "available - used"
        )
    ]


def test_what_a_cycle_leaves_is_there_in_the_next_until_it_is_used(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10), month(3, 11), month(4, 12))

    world.dispatch()

    # 0.15 and 0.15 of the credit, then its last 0.10, then nothing is left of it.
    assert costs(world) == [(1, 0), (1, 0), (1, 50_000), (1, 150_000)]
    assert left(world) == [
        (400_000, 150_000, 250_000),
        (250_000, 150_000, 100_000),
        (100_000, 100_000, 0),
        (0, 0, 0),
    ]
    assert world.unbalanced() == []


def test_a_late_call_of_an_earlier_cycle_takes_from_the_later_ones(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10), month(3, 11))
    world.dispatch()

    world.deliver(month(4, 9, day=20))
    world.dispatch()

    # September takes 0.30, so October has 0.10 of its 0.15 and November none.
    assert costs(world) == [(2, 0), (2, 50_000), (2, 150_000)]
    assert [row[1] for row in left(world)] == [300_000, 100_000, 0]
    assert world.table("dirty_cycle", "customer_id") == []
    diff = world.run("totals:diff", "--customer", 1, "--cycle", "2026-10-05")
    why = "a one-off allowance was used otherwise in an earlier cycle"
    assert [line["why"] for line in diff["lines"]] == [[why]]
    assert diff["reasons"] == [why]


def test_reprocessing_one_cycle_marks_the_later_ones_that_depend_on_it(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10), month(3, 11))
    world.dispatch()
    world.deliver(month(4, 9, day=20))

    world.run("totals:new", "--customer", 1, "--cycle", "2026-09-05")

    marked = world.table("dirty_cycle", "cycle_start_date", "reason")
    why = "a one-off allowance was used otherwise in an earlier cycle"
    assert [(str(start), reason) for start, reason in marked] == [
        ("2026-10-01", why),
        ("2026-11-01", why),
    ]
    world.dispatch()
    assert [cost for _, cost in costs(world)] == [0, 50_000, 150_000]


def test_a_cycle_that_uses_what_it_used_before_leaves_the_later_ones_alone(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9, quantity=600), month(2, 10), month(3, 11))
    world.dispatch()

    # The credit was gone in September already: another call there changes nothing later.
    world.deliver(month(4, 9, day=20))
    world.run("totals:new", "--customer", 1, "--cycle", "2026-09-05")

    assert world.table("dirty_cycle", "customer_id") == []
    assert [revision for revision, _ in costs(world)] == [2, 1, 1]


def test_each_line_has_its_own_one_off_minutes(world: PlanWorld) -> None:
    world.plans("1,office,,\n2,office,,", office=PLAN + EACH_LINE)
    world.deliver(
        month(1, 9, quantity=90, line="A"),
        month(2, 9, quantity=60, line="B"),
        month(3, 10, quantity=60, line="A"),  # 30 s are left to A
        month(4, 10, quantity=60, line="B"),  # and 60 to B
    )

    world.dispatch()

    assert [cost for _, cost in costs(world)] == [0, 50_000]
    rows = world.table("total_allowance", "subscriber", "available", "used")
    assert rows == [("A", 30, 30), ("A", 120, 90), ("B", 60, 60), ("B", 120, 60)]


def test_reprocessing_shows_what_each_allowance_gave_and_hides_whose_line_it_is(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,", office=WELCOME + EACH_LINE)
    world.deliver(month(1, 9, quantity=180, line="+31612345678"))

    shown = world.run("totals:new", "--customer", 1, "--cycle", "2026-09-05")["allowances"]

    told = [(each["allowance"], each["subscriber"], each["used"]) for each in shown]
    # Two minutes are given; the third costs 0.10, which the credit pays.
    assert told == [("first minutes", "…78", 120), ("welcome", "", 100_000)]
    assert [each["left"] for each in shown] == [0, 300_000]


def test_a_changed_plan_is_used_from_the_first_cycle_on(world: PlanWorld) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10), month(3, 11))
    world.dispatch()

    world.plans("1,office,,", office=WELCOME.replace('"0.40"', '"0.20"'))
    world.dispatch()

    assert costs(world) == [(2, 0), (2, 100_000), (2, 150_000)]


def test_a_plan_that_is_taken_away_gives_its_one_offs_back(world: PlanWorld) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10), month(3, 11))
    world.dispatch()

    # September and October are at the provider's charge now; November has the 0.40.
    world.plans("1,office,2026-11-01,")
    world.dispatch()

    assert [cost for _, cost in costs(world)] == [40_000, 40_000, 0]
    assert left(world) == [(400_000, 150_000, 250_000)]


def test_a_customer_who_comes_back_to_a_plan_has_used_its_one_offs(
    world: PlanWorld,
) -> None:
    world.plans("1,office,,2026-10-01\n1,office,2026-11-01,", office=WELCOME)
    world.deliver(month(1, 9, quantity=180), month(2, 10), month(3, 11))

    world.dispatch()

    # 0.35 in September, 0.04 without a plan, then 0.15 of which 0.05 are given.
    assert [cost for _, cost in costs(world)] == [0, 40_000, 100_000]


def test_a_parked_cycle_does_not_hold_back_the_ones_after_it(world: PlanWorld) -> None:
    dear = '[[entry]]\nname = "texts"\nusage = "sms"\nprice = "1000000"\nper = "event"\n'
    world.plans("1,office,,", office=WELCOME + dear)
    world.deliver(month(1, 9), month(2, 10, quantity=2_000_000, usage="sms"), month(3, 11))

    result = world.dispatch(code=4)

    assert result["parked"] == 1
    assert [cost for _, cost in costs(world)] == [0, 0]
    assert [str(row[0]) for row in world.table("dirty_cycle", "cycle_start_date")] == [
        "2026-10-01"
    ]
    # The plan is mended, so the cycle is tried again; it takes what November had.
    mended = dear.replace("1000000", "0.10")
    world.plans("1,office,,", office=WELCOME + mended + 'maximum = "0.20"\n')
    world.deliver(month(4, 10, day=6, quantity=120))
    world.dispatch()

    # 0.20 for the texts, and a call of 0.25 that the credit pays; 0 of 0.15 is left.
    assert [cost for _, cost in costs(world)] == [0, 200_000, 150_000]


def test_a_plan_that_is_tried_begins_with_its_one_offs_whole(
    world: PlanWorld, tmp_path: Path
) -> None:
    world.deliver(month(1, 9), month(2, 10), month(3, 11), month(4, 12))
    world.dispatch()
    (tmp_path / "office.toml").write_text(WELCOME, encoding="utf-8")
    asked = ("totals:simulate", "--plan", tmp_path / "office.toml", "--cycle", "2026-12-01")

    (all_of_it,) = world.run(*asked, "--cycles", 4)["customers"]
    (two_cycles,) = world.run(*asked, "--cycles", 2)["customers"]

    # Four calls of 0.15 less 0.40, and two less what they cost.
    assert all_of_it["simulated_micros"] == 200_000
    assert two_cycles["simulated_micros"] == 0


def test_the_shipped_bundle_can_be_given_to_customers(world: PlanWorld) -> None:
    folder = Path(load_rate_plan.__code__.co_filename).parent / "rate_plans"
    kept = rate_plan_text(folder / "mobile_bundle.toml")
    assert kept.id == "mobile_bundle"
    world.plans("", office=PLAN)
    copied = world.folder / "shipped"
    (copied / "rate_plans" / "decks").mkdir(parents=True)
    for name in ("mobile_bundle.toml", "decks/destinations.csv"):
        text = (folder / name).read_text(encoding="utf-8")
        (copied / "rate_plans" / name).write_text(text, encoding="utf-8")
    header = "customer_id,rate_plan,valid_from,valid_to"
    (copied / "customer_rate_plans.csv").write_text(f"{header}\n1,mobile_bundle,,\n")
    world.run("reference:load", copied)
    # Two messages are 0.20 of the welcome credit, which is 25.00.
    world.deliver(
        month(1, 9, quantity=2, usage="sms"), month(2, 10, quantity=3, usage="sms")
    )

    world.dispatch()

    assert [cost for _, cost in costs(world)] == [0, 0]
    rows = world.table(
        "total_allowance",
        *("cycle_start_date", "available", "used", "unit"),
        where="is_once = 1",
    )
    assert [row[1:] for row in rows] == [
        (25_000_000, 200_000, "micros"),
        (24_800_000, 300_000, "micros"),
    ]


def test_the_audit_sees_a_one_off_that_was_given_twice(world: PlanWorld) -> None:
    world.plans("1,office,,", office=WELCOME)
    world.deliver(month(1, 9), month(2, 10))
    world.dispatch()
    assert world.unbalanced() == []

    world.do("UPDATE total_allowance SET available = 400000 WHERE available = 250000")

    assert world.unbalanced() == ["totals_one_offs"]


def test_after_its_term_only_what_is_needed_later_is_kept_of_a_line(
    world: PlanWorld,
) -> None:
    monthly = EACH_LINE.replace('period = "once"\n', "").replace("first", "monthly")
    world.plans("1,office,,", office=PLAN + EACH_LINE + monthly)
    world.deliver(month(1, 9, quantity=60), month(2, 10, quantity=60))
    world.dispatch()

    end = STARTS[10]
    removed = world.app.retention.reduce(1, STARTS[9], end, lambda _tx: None)

    assert removed == 1
    rows = world.table("total_allowance", "cycle_start_date", "allowance", "used")
    assert [row[1:] for row in rows] == [
        ("first minutes", 60),
        ("first minutes", 60),
        ("monthly minutes", 0),
    ]
    assert world.unbalanced() == []
