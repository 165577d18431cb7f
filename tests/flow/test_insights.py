"""Insights found by the chain of totals, by a night's day, and told at the desk."""

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from etl import failpoints
from etl.chains import DispatchTotals, FindInsights, LookAtDay
from etl.handlers import bus_of
from loaders.audit import differences
from loaders.insights import InsightStore
from tests.flow.import_world import ANNA, BERT, STRANGER, World, call, write_routit
from tests.flow.invoice_world import bring
from tests.flow.operator_world import Desk
from tests.flow.plan_world import PLAN, PlanWorld, event
from tests.rater import Event

AMSTERDAM = "Europe/Amsterdam"
JULY, AUGUST, SEPTEMBER, OCTOBER = (date(2026, month, 1) for month in (7, 8, 9, 10))
AS_OF = "2026-11-06"


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[PlanWorld]:
    with PlanWorld(database_url, tmp_path) as world:
        world.customers({1: AMSTERDAM, 2: AMSTERDAM})
        yield world


def used(key: int, cycle: date, euros: int = 30, **other: Any) -> Event:  # noqa: ANN401 - what an event takes
    """A call of customer 1 on the 5th of a cycle at 09:00 UTC; its cost in whole euros."""
    start = datetime(cycle.year, cycle.month, 5, 9, 0, tzinfo=UTC)
    given: dict[str, Any] = {"start": start, "cycle": cycle, "cost": euros * 1_000_000}
    return event(key, 5, **{**given, **other})


def usual(euros: int = 30, **other: Any) -> list[Event]:  # noqa: ANN401 - as above
    """A call in each of the three cycles before October."""
    return [
        used(key, cycle, euros, **other)
        for key, cycle in enumerate((JULY, AUGUST, SEPTEMBER), start=1)
    ]


def change(world: World, key: int, what: str) -> None:
    """Change the record that was made of an event."""
    world.do(f"UPDATE call_detail_record SET {what} WHERE fingerprint = {key + 1}")  # noqa: S608 - our own words


def told(world: World, *words: str) -> list[dict[str, Any]]:
    """What ``etl insight`` lists, oldest first."""
    found = desk(world).etl("insight", "--json", "--raw", *words).document["insights"]
    return list(reversed(found))


def kinds(world: World, *words: str) -> list[str]:
    return [each["kind"] for each in told(world, *words)]


def desk(world: World) -> Desk:
    return Desk(world.url, world.folder)


def look_at(world: World, day: str = AS_OF) -> dict[str, Any]:
    """Look at what a day brings; return what came of it."""
    report = bus_of(world.app).run(LookAtDay(day), world.app.stop)
    assert report.failed_step is None, report.failed_step
    return dict(report.steps[0].result)


# --- after totals -------------------------------------------------------------------------


def test_the_chain_after_totals_ends_with_the_look_at_them(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    document = world.run("totals:new", "--customer", 1, "--cycle", "2026-10-05")
    assert document["chain"] == [
        {"command": "totals:backup", "status": "done"},
        {"command": "totals:insight", "status": "done"},
    ]


@pytest.mark.parametrize(("euros", "expected"), [(60, ["usage_jump"]), (59, [])])
def test_a_cycle_that_costs_twice_the_usual_is_found(
    world: PlanWorld, euros: int, expected: list[str]
) -> None:
    world.deliver(*usual(), used(4, OCTOBER, euros))
    world.dispatch()
    assert kinds(world) == expected


def test_a_jump_that_grows_with_later_records_stays_one_finding(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    world.deliver(used(5, OCTOBER, 10, quantity=61))
    world.dispatch()
    (found,) = told(world)
    assert found["evidence"]["total_micros"] == 70_000_000
    assert found["says"] == "costs 70.00 EUR, usually 30.00 EUR (3 cycles before)"
    assert world.table("billing_insight", "id", "replaced_by") == [(1, 2), (2, None)]


def test_a_jump_that_was_a_mistake_is_gone_with_it(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    change(world, 4, "cost_micros = 30000000")
    world.run("totals:new", "--customer", 1, "--cycle", "2026-10-05")
    assert kinds(world) == []


def test_looking_again_tells_nothing_twice(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    before = world.table("billing_insight", "id", "created_at")
    ended = desk(world).etl(
        "insight:find", "--as-of", AS_OF, "--cycle", "2026-10-05", "--json"
    )
    assert ended.code == 0
    looks = [run["steps"][0]["result"] for run in ended.document["runs"]]
    assert looks[0] == {"cycles": 1, "new": 0, "changed": 0, "gone": 0}
    assert world.table("billing_insight", "id", "created_at") == before


def test_thresholds_are_settings(world: PlanWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ETL_INSIGHTS__JUMP_PERCENT", "300")
    world.deliver(*usual(), used(4, OCTOBER, 89))
    world.dispatch()
    assert kinds(world) == []
    monkeypatch.setenv("ETL_INSIGHTS__JUMP_PERCENT", "200")
    desk(world).etl("insight:find", "--cycle", "2026-10-05", "--as-of", AS_OF)
    assert kinds(world) == ["usage_jump"]


NEW_USE: list[tuple[str, list[str]]] = [
    ("other_class = 'premium'", ["new_premium"]),
    ("usage_type = 'content'", ["new_premium"]),
    ("roaming_country = 'TR'", ["new_roaming"]),
    ("roaming_country = 'NL'", []),
    ("plmn = '28602'", ["new_roaming"]),
    ("plmn = '20408'", []),
    ("other_class = 'premium', cost_micros = 999999", []),
]


def test_premium_use_and_use_abroad_are_found_the_first_time(world: PlanWorld) -> None:
    customers = range(1, len(NEW_USE) + 1)
    world.customers(dict.fromkeys(customers, AMSTERDAM))
    world.deliver(*(each for who in customers for each in usual(customer=who)))
    world.deliver(*(used(10 + who, OCTOBER, 2, customer=who) for who in customers))
    for who, (what, _) in zip(customers, NEW_USE, strict=True):
        change(world, 10 + who, what)
    world.dispatch()
    assert [kinds(world, "--customer", str(who)) for who in customers] == [
        expected for _, expected in NEW_USE
    ]


def test_premium_use_that_was_there_in_august_is_not_new(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 2))
    change(world, 2, "other_class = 'premium'")
    change(world, 4, "usage_type = 'content'")
    world.dispatch()
    assert [each["cycle_start_date"] for each in told(world)] == ["2026-08-01"]


def test_a_plan_that_brings_less_than_it_costs_is_found(world: PlanWorld) -> None:
    world.plans("1,office,,\n2,office,,", office=PLAN)
    # A minute costs 2.00 and brings 0.15; another costs 1.14 and brings 0.15.
    world.deliver(
        used(1, OCTOBER, 2),
        event(2, 6, customer=2, cost=1_140_000),
    )
    world.dispatch()
    (found,) = told(world)
    assert (found["kind"], found["customer_id"]) == ("negative_margin", 1)
    assert found["evidence"]["margin_micros"] == -1_850_000
    assert found["evidence"]["by_usage_type"] == [
        {
            "usage_type": "voice",
            "provider_micros": 2_000_000,
            "own_micros": 150_000,
            "margin_micros": -1_850_000,
        }
    ]
    assert found["says"] == "costs 2.00 EUR and brings 0.15 EUR, most of it voice"


CHARGES = """customer_id,kind,name,amount,valid_from,valid_to
1,recurring,Subscription,1.50,,
1,discount,Loyal,-0.20,2026-10-31,
1,recurring,Old,9.00,,2026-10-01
1,recurring,New,9.00,2026-11-01,
1,one_off,Connection,9.00,2026-10-02,
"""


@pytest.mark.parametrize(("euros", "margins"), [(2, []), (3, [-1_550_000])])
def test_what_a_customer_pays_every_month_makes_up_for_a_loss_on_usage(
    world: PlanWorld, euros: int, margins: list[int]
) -> None:
    world.plans("1,office,,", office=PLAN)
    file = world.folder / "charges.csv"
    file.write_text(CHARGES)
    world.run("invoice:charges", file)
    world.deliver(used(1, OCTOBER, euros))  # brings 0.15, and 1.30 a month
    world.dispatch()
    assert [each["evidence"]["margin_micros"] for each in told(world)] == margins


MINUTES = """
[[allowance]]
name = "minutes"
usage = ["voice"]
size = "100 min"
"""


USED: list[tuple[int, list[tuple[str, str]]]] = [
    (90, [("allowance_nearly_used", "info")]),
    (89, []),
    (100, [("allowance_nearly_used", "info")]),
    (11, []),
    (10, [("allowance_unused", "info")]),
]


def test_an_allowance_nearly_used_or_hardly_used_is_found(world: PlanWorld) -> None:
    customers = range(1, len(USED) + 1)
    world.customers(dict.fromkeys(customers, AMSTERDAM))
    world.plans("\n".join(f"{who},office,," for who in customers), office=PLAN + MINUTES)
    world.deliver(
        *(
            event(who, 5, minutes * 60, customer=who, cost=10)
            for who, (minutes, _) in zip(customers, USED, strict=True)
        )
    )
    world.dispatch()
    look_at(world, "2026-10-31")
    assert "allowance_unused" not in kinds(world)  # it may still be used
    look_at(world, "2026-11-01")
    assert [
        [(each["kind"], each["severity"]) for each in told(world, "--customer", str(who))]
        for who in customers
    ] == [expected for _, expected in USED]


BURSTS: list[tuple[int, str, list[str]]] = [
    (20, "other_class = 'international'", ["call_burst"]),
    (19, "other_class = 'international'", []),
    (20, "other_class = 'premium'", ["call_burst"]),
    (20, "usage_type = 'content'", ["call_burst"]),
    (20, "cost_micros = 5000000", ["call_burst"]),
    (20, "cost_micros = 4999999", []),  # at home, and not dear
    (20, "other_class = 'international', direction = 'in'", []),
    (20, "other_class = 'international', usage_type = 'data'", []),
]


def test_many_premium_foreign_or_dear_calls_within_an_hour_are_an_alarm(
    world: PlanWorld,
) -> None:
    customers = range(1, len(BURSTS) + 1)
    world.customers(dict.fromkeys(customers, AMSTERDAM))
    at = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
    world.deliver(
        *(
            used(100 * who + n, OCTOBER, 1, customer=who, start=at.replace(minute=n))
            for who, (count, _, _) in zip(customers, BURSTS, strict=True)
            for n in range(count)
        )
    )
    for who, (_, what, _) in zip(customers, BURSTS, strict=True):
        world.do(f"UPDATE call_detail_record SET {what} WHERE customer_id = {who}")  # noqa: S608 - our own words
    world.dispatch()
    assert [kinds(world, "--customer", str(who)) for who in customers] == [
        expected for *_, expected in BURSTS
    ]


# --- cycles that are over -----------------------------------------------------------------


def own(world: PlanWorld, *lines: str) -> None:
    """Give customer 1 some lines."""
    folder = world.folder / "lines"
    folder.mkdir(exist_ok=True)
    header = "identifier,kind,customer_id,valid_from,valid_to"
    rows = "\n".join(f"{line},line,1,," for line in lines)
    (folder / "subscriptions.csv").write_text(f"{header}\n{rows}\n")
    world.run("reference:load", folder)


def test_a_line_without_use_in_three_cycles_is_found(world: PlanWorld) -> None:
    own(world, "A", "B", "C")
    world.deliver(*usual(), used(4, OCTOBER), used(5, AUGUST, line="B"))
    world.dispatch()
    look_at(world)
    (found,) = told(world)
    assert (found["kind"], found["customer_id"]) == ("silent_lines", 1)
    assert found["evidence"] == {
        "lines": ["C"],
        "count": 1,
        "cycles": 3,
        "since": "2026-08-01",
    }
    assert found["says"] == "not used since 2026-08-01 (3 cycles): C"


def test_a_silent_line_that_stays_silent_is_one_finding(world: PlanWorld) -> None:
    own(world, "A", "C")
    world.deliver(*usual(), used(4, OCTOBER))
    world.dispatch()
    assert look_at(world) == {"cycles": 2, "new": 1, "changed": 0, "gone": 0}
    assert look_at(world) == {"cycles": 0, "new": 0, "changed": 0, "gone": 0}
    assert look_at(world, "2026-12-01")["changed"] == 1
    (found,) = told(world)
    assert found["cycle_start_date"] == "2026-11-01"
    assert (found["evidence"]["lines"], found["evidence"]["since"]) == (["C"], "2026-09-01")


def test_a_line_that_is_used_again_is_no_longer_silent(world: PlanWorld) -> None:
    own(world, "A", "C")
    world.deliver(*usual(), used(4, OCTOBER))
    world.dispatch()
    look_at(world)
    world.deliver(used(5, OCTOBER, 1, line="C", quantity=61))
    world.dispatch()
    look_at(world)
    assert kinds(world) == []


def test_nothing_is_said_of_a_time_before_the_first_records(world: PlanWorld) -> None:
    own(world, "A", "C")
    world.deliver(used(1, SEPTEMBER), used(2, OCTOBER))
    world.dispatch()
    look_at(world)
    assert kinds(world) == []


# --- deliveries ---------------------------------------------------------------------------


@pytest.fixture
def routit(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as world:
        world.own({ANNA: 1, BERT: 2})
        yield world


def test_records_of_unknown_numbers_are_found_and_gone_once_they_have_an_owner(
    routit: World,
) -> None:
    bring(routit, [call("1"), call("2", STRANGER), call("3", STRANGER)])
    look_at(routit, "2025-02-06")
    (found,) = told(routit)
    assert found["kind"] == "unmatched_numbers"
    assert found["says"] == (
        "2 records of 1 numbers wait for an owner, 0.08, 2025-01-05 to 2025-01-05"
    )
    assert STRANGER not in str(found)

    routit.own({ANNA: 1, BERT: 2, STRANGER: 2})
    routit.replay()
    look_at(routit, "2025-02-06")
    assert kinds(routit) == []


def test_too_many_duplicates_are_found_and_gone_when_the_import_is_backed_out(
    routit: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_INSIGHTS__DUPLICATE_RECORDS", "2")
    calls = [call(str(n), Tijdstip=f"10:00:{n:02}") for n in range(3)]
    bring(routit, calls)
    bring(routit, [*calls[:2], call("new")], "CDR_10001_202502.zip")
    with World(routit.url, routit.folder, insights={"duplicate_records": 2}) as again:
        look_at(again, "2025-02-06")
        (found,) = told(again)
        assert (found["kind"], found["evidence"]["percent"]) == ("duplicate_share", 66)
        assert found["evidence"]["import_id"] == 2
        desk(again).etl("import:revert", "2", "--by", "A. Jansen", "--reason", "twice")
        look_at(again, "2025-02-06")
        assert kinds(again) == []


def test_a_provider_that_brings_nothing_for_a_cycle_is_missed(routit: World) -> None:
    bring(routit, [call("1")])
    look_at(routit, "2025-03-05")
    assert kinds(routit) == []
    look_at(routit, "2025-03-06")
    (found,) = told(routit)
    assert (found["kind"], found["provider"]) == ("missing_delivery", "routit")
    assert found["cycle_start_date"] == "2025-02-01"
    assert found["says"] == (
        "brought nothing of the cycle until 2025-03-01; of the one before it had 1 "
        "customers"
    )

    bring(routit, [call("2", Datum="05-02-2025")], "CDR_10001_202502.zip")
    look_at(routit, "2025-03-06")
    assert kinds(routit) == []


def test_a_delivery_that_is_late_by_its_own_habit_is_found(routit: World) -> None:
    for number in range(1, 5):
        path = write_routit(
            routit.folder, [call(str(number))], f"CDR_10001_20250{number}.zip"
        )
        routit.load(path)
        routit.do(
            f"UPDATE import_queue SET created_at = '2025-01-0{number} 04:00:00'"  # noqa: S608 - our own numbers
            f" WHERE id = {number}"
        )
    look_at(routit, "2025-01-06")
    assert "late_delivery" not in kinds(routit)
    look_at(routit, "2025-01-07")
    (found,) = told(routit, "--kind", "late_delivery")
    assert found["says"] == "last came on 2025-01-04, expected by 2025-01-05"


def test_a_feed_that_was_switched_off_is_neither_missed_nor_late(routit: World) -> None:
    for number in range(1, 5):
        day = f"0{number}-01-2025"
        path = write_routit(routit.folder, [call(str(number), Datum=day)], f"{number}.zip")
        routit.load(path)
    routit.do("UPDATE import_queue SET created_at = '2025-01-04 04:00:00' WHERE id = 4")
    for number in (1, 2, 3):
        change = f"created_at = '2025-01-0{number} 04:00:00' WHERE id = {number}"
        routit.do(f"UPDATE import_queue SET {change}")  # noqa: S608 - our own numbers
    look_at(routit, "2025-03-06")
    assert kinds(routit) == ["missing_delivery", "late_delivery"]

    routit.do(
        "INSERT INTO sync_profile (provider, enabled, every_minutes, settings)"
        " VALUES ('routit', 0, 5, '{}')"
    )
    look_at(routit, "2025-03-06")
    assert kinds(routit) == []


def test_a_cycle_that_waits_for_totals_is_looked_at_afterwards(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    world.do("DELETE FROM insight_look")
    world.deliver(used(5, OCTOBER, 10, quantity=61))
    find = ("insight:find", "--as-of", AS_OF, "--json")
    assert desk(world).etl(*find, "--dry-run").document["cycles"] == 3
    looks = [run["steps"][0]["result"] for run in desk(world).etl(*find).document["runs"]]
    # Three of the four cycles as they run; customer 2 only of those that are over.
    assert [each["cycles"] for each in looks] == [3, 1]
    world.dispatch()
    looks = [run["steps"][0]["result"] for run in desk(world).etl(*find).document["runs"]]
    assert [each["cycles"] for each in looks] == [0, 1]


# --- at the desk --------------------------------------------------------------------------


def test_the_list_shows_lines_without_their_digits_unless_it_is_asked_to(
    world: PlanWorld,
) -> None:
    own(world, "A", "+31600000099")
    world.deliver(*usual(), used(4, OCTOBER))
    world.dispatch()
    look_at(world)
    masked, whole = (desk(world).etl("insight", *words) for words in ((), ("--raw",)))
    assert masked.out == (
        "     1  info     silent_lines           customer 1, cycle 2026-10-01: not used "
        "since 2026-08-01 (3 cycles): …99\n"
    )
    assert "+31600000099" in whole.out
    assert "+31600000099" not in desk(world).etl("insight", "--json").out


def test_what_is_acknowledged_is_listed_only_when_asked_for(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    words = ("insight:acknowledge", "1", "--by", "A. Jansen", "--note", "called them")

    tried = desk(world).etl(*words, "--dry-run")
    assert tried.out.endswith("Nothing was written.\n")
    assert kinds(world) == ["usage_jump"]

    assert desk(world).etl(*words, "--json").document == {
        "id": 1,
        "acknowledged": True,
        "by": "A. Jansen",
        "dry_run": False,
    }
    assert desk(world).etl("insight").out == "Nothing to look at.\n"
    assert "(seen by A. Jansen: called them)" in desk(world).etl("insight", "--all").out
    again = desk(world).etl("insight:acknowledge", "1", "--by", "B. Bakker")
    assert (again.code, again.out) == (0, "insight 1 was acknowledged before\n")


REFUSED = [
    (("9", "--by", "A"), "there is no insight 9; see: etl insight --all"),
    (("1", "--by", "A"), "insight 1 stands no more: it is 2 now"),
    (("2", "--by", " "), "--by is one printable line"),
    (("2", "--by", "A", "--note", "x" * 256), "--note is one printable line"),
]


def test_what_cannot_be_acknowledged_is_said(world: PlanWorld) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    world.deliver(used(5, OCTOBER, 10, quantity=61))
    world.dispatch()
    for words, message in REFUSED:
        ended = desk(world).etl("insight:acknowledge", *words)
        assert ended.code == 2
        assert message in ended.err


def test_the_list_is_asked_for_a_kind_that_there_is(world: PlanWorld) -> None:
    assert desk(world).etl("insight", "--kind", "call_burst").code == 0
    assert desk(world).etl("insight", "--kind", "bursts").code == 2


def test_nothing_is_said_of_cycles_whose_records_were_removed(world: PlanWorld) -> None:
    own(world, "A", "C")
    world.deliver(*usual(), used(4, OCTOBER))
    world.dispatch()
    words = ("retention:apply", "--as-of", "2026-10-15", "--cdr-days", "30")
    assert desk(world).etl(*words).code == 0
    look_at(world)
    assert kinds(world) == []


def test_insights_that_name_lines_go_with_the_records_of_their_cycle(
    world: PlanWorld,
) -> None:
    at = datetime(2026, 10, 5, 9, 0, tzinfo=UTC)
    world.deliver(
        *usual(), *(used(n, OCTOBER, 9, start=at.replace(minute=n)) for n in range(4, 30))
    )
    world.dispatch()
    assert kinds(world) == ["usage_jump", "call_burst"]
    words = ("retention:apply", "--as-of", "2999-01-01", "--cdr-days", "30")
    assert desk(world).etl(*words).code == 0
    assert kinds(world) == ["usage_jump"]


# --- beside others, and broken off --------------------------------------------------------


def test_totals_that_change_while_somebody_looks_are_looked_at_afterwards(
    world: PlanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    world.dispatch()
    world.do("DELETE FROM insight_look")
    read = InsightStore.unlooked
    early = iter([True])

    def before_the_change(store: InsightStore, *asked: Any) -> pl.DataFrame:  # noqa: ANN401 - handed on
        found = read(store, *asked)
        return found.clear() if next(early, False) else found

    monkeypatch.setattr(InsightStore, "unlooked", before_the_change)
    report = bus_of(world.app).run(FindInsights(), world.app.stop)
    assert [step.result["cycles"] for step in report.steps] == [0, 4]


def test_a_look_that_broke_off_is_gone_on_with_by_the_next_one(
    world: PlanWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.deliver(*usual(), used(4, OCTOBER, 60))
    with monkeypatch.context() as broken:
        plan = failpoints.fault_plan("insight_before_commit:raise:4")
        broken.setattr(failpoints, "_PLAN", plan)
        report = bus_of(world.app).run(DispatchTotals(), world.app.stop)
    assert report.failed_step is not None
    assert report.failed_step.command == "totals:insight"
    assert kinds(world) == []

    assert desk(world).etl(*(report.resume or "").split()[1:]).code == 0
    assert kinds(world) == ["usage_jump"]
    assert world.table("insight_look", "cycle_start_date", "part", "revision") == [
        (cycle, "cycle", 1) for cycle in world_days(world, JULY, AUGUST, SEPTEMBER, OCTOBER)
    ]
    assert not [each for each in differences(world.app.database) if "insight" in each.check]


def world_days(world: World, *days: date) -> list[object]:
    """Days as a database's plain driver gives them."""
    is_text = world.url.startswith("sqlite")
    return [day.isoformat() if is_text else day for day in days]
