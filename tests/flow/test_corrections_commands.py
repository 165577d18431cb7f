"""The commands of an operator: accept, release, revert, rematch, as they are typed."""

import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.flow.import_world import ANNA, BERT, World, call, write_routit
from tests.flow.operator_world import Desk

NAME = ("--by", "J. Jansen")


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 1, BERT: 2})
        yield made


@pytest.fixture
def desk(world: World) -> Desk:
    return Desk(world.url, world.folder)


def faulty(world: World) -> Path:
    """A delivery with 51 records whose duration is no number, one more than accepted."""
    calls = [call("1"), *(call(f"{100 + n}", Duur="lang") for n in range(51))]
    return write_routit(world.folder / "in", calls)


def test_a_file_with_too_many_rejects_is_imported_when_a_person_accepts_it(
    world: World, desk: Desk
) -> None:
    refused = desk.etl("import", str(faulty(world)), "--provider", "routit", "--json")
    assert refused.code == 1
    assert refused.document["imports"][0]["status"] == "refused"
    assert world.table("call_detail_record", "record_id") == []

    accepted = desk.etl("import:accept", "1", *NAME, "--reason", "asked RoutIT", "--json")

    found = accepted.document["import"]
    assert accepted.code == 1  # it has rejects, and a person should know
    assert (found["status"], found["loaded"], found["rejected"]) == ("done", 1, 51)
    assert world.table("rejected_record", "count(*)") == [(51,)]
    steps = [step["command"] for step in accepted.document["runs"][0]["steps"]]
    assert steps == [
        "routit:invoice",
        "totals:dispatch",
        "totals:backup",
        "totals:insight",
    ]
    listed = desk.etl("import:list", "--json").document["imports"]
    assert [
        (each["decision"], each["decided_by"], each["reason"])
        for each in listed[0]["decisions"]
    ] == [("accept", "J. Jansen", "asked RoutIT")]
    assert world.audit() == []


def test_only_a_refused_file_is_accepted(world: World, desk: Desk) -> None:
    world.load(write_routit(world.folder / "in", [call("1")]))

    ended = desk.etl("import:accept", "1", *NAME)

    assert ended.code == 2
    assert "import 1 of CDR_10001_202501.zip is done, not refused" in ended.err


def test_nobody_accepts_without_a_name(world: World, desk: Desk) -> None:
    assert desk.etl("import:accept", "1").code == 2
    assert desk.etl("import:revert", "1", "--by", " ").code == 2
    assert world.table("import_decision", "id") == []


def test_a_held_import_goes_on_when_a_person_releases_it(world: World, desk: Desk) -> None:
    world.register(write_routit(world.folder / "in", [call("1"), call("2", BERT)]))
    world.do("UPDATE import_queue SET status = 'held', message = 'number 4 is missing'")

    ended = desk.etl("import:release", "1", *NAME, "--json")

    assert ended.code == 0, ended.err
    found = ended.document["import"]
    assert (found["status"], found["loaded"], found["cost_micros"]) == ("done", 2, 81_000)
    steps = [step["command"] for step in ended.document["runs"][0]["steps"]]
    assert steps == [
        "routit:import",
        "routit:invoice",
        "totals:dispatch",
        "totals:backup",
        "totals:insight",
    ]
    assert world.table("import_decision", "decision", "decided_by") == [
        ("release", "J. Jansen")
    ]
    assert world.audit() == []


def test_releasing_what_is_complete_changes_nothing(world: World, desk: Desk) -> None:
    world.load(write_routit(world.folder / "in", [call("1")]))
    before = world.results()

    ended = desk.etl("import:release", "1", *NAME, "--json")

    assert (ended.code, ended.document["import"]["status"]) == (0, "already_imported")
    assert world.results() == before


def test_a_revert_killed_half_way_is_finished_by_the_same_command(
    world: World, desk: Desk
) -> None:
    folder = world.folder / "in"
    world.load(write_routit(folder, [call("1"), call("2", BERT)]))
    world.load(write_routit(folder, [call("1"), call("3")], "second.zip"))

    killed = desk.killed("import:revert", "1", *NAME, faults="revert_after_page:kill")
    assert killed.code == -signal.SIGKILL
    assert [row[:2] for row in world.table("import_queue", "status", "locked")] == [
        ("done", 0),
        ("reverting", 1),
    ]
    assert world.audit() == []
    time.sleep(1.1)  # the lease of the killed one

    ended = desk.etl("import:revert", "1", *NAME, "--json")

    assert ended.code == 0, ended.err
    assert ended.document["status"] == "reverted"
    assert ended.document["offered"] == [
        {
            "import_id": 2,
            "records": 1,
            "loaded": 1,
            "duplicates": 0,
            "conflicts": 0,
            "rejected": 0,
            "suspended": 0,
        }
    ]
    found = world.table("call_detail_record", "import_id", "record_id")
    assert found == [(2, "1"), (2, "3")]
    assert world.audit() == []


def test_a_revert_by_hand_is_told_and_looks_first_when_asked(
    world: World, desk: Desk
) -> None:
    world.load(write_routit(world.folder / "in", [call("1"), call("2", BERT)]))

    looked = desk.etl("import:revert", "1", *NAME, "--dry-run")
    assert looked.out.splitlines() == [
        "import 1 of CDR_10001_202501.zip: 2 records of 0.081000 would leave, 0 that they "
        "had replaced count again; 2 cycles wait for totals",
        "Nothing was written.",
    ]
    done = desk.etl("import:revert", "1", *NAME)
    again = desk.etl("import:revert", "1", *NAME)

    assert (looked.code, done.code, again.code) == (0, 0, 0)
    assert done.out.splitlines()[-1] == "Compute the totals with: etl totals:dispatch"
    assert again.out == "import 1 of CDR_10001_202501.zip was backed out already.\n"
    assert world.table("call_detail_record", "record_id") == []


def test_a_reverted_import_is_imported_again_by_its_release(
    world: World, desk: Desk
) -> None:
    world.load(write_routit(world.folder / "in", [call("1")]))
    before = world.results()["call_detail_record"]
    desk.etl("import:revert", "1", *NAME)

    ended = desk.etl("import:release", "1", *NAME)

    assert ended.code == 0, ended.err
    assert world.results()["call_detail_record"] == before
    assert world.audit() == []


def test_records_go_to_their_owners_and_their_invoice_and_totals_follow(
    world: World, desk: Desk
) -> None:
    world.load(write_routit(world.folder / "in", [call("1"), call("2", BERT)]))
    assert desk.etl("routit:invoice", "--id", "1").code == 0
    world.own({ANNA: 3, BERT: 2})

    ended = desk.etl("cdr:rematch", "--json")

    assert ended.code == 0, ended.err
    assert ended.document["providers"] == [
        {"provider": "routit", "records": 2, "moved": 1, "suspended": 0, "cycles": 2}
    ]
    lines = world.table("provider_invoice_line", "customer_id", "cost_micros")
    assert lines == [(2, 40_500), (3, 40_500)]
    totals = world.table("total_usage_new_table", "customer_id", "total_cost_micros")
    assert totals == [(1, 0), (2, 40_500), (3, 40_500)]
    assert world.audit() == []


def test_imports_are_listed_the_newest_first(world: World, desk: Desk) -> None:
    world.load(write_routit(world.folder / "in", [call("1"), call("2")]))
    world.load(write_routit(world.folder / "in", [call("3")], "second.zip"))

    listed = desk.etl("import:list").out.splitlines()
    one = desk.etl("import:list", "--limit", "1", "--json").document["imports"]

    assert [line.split()[:6] for line in listed[1:]] == [
        ["2", "routit", "second.zip", "done", "1", "1"],
        ["1", "routit", "CDR_10001_202501.zip", "done", "2", "2"],
    ]
    assert [(each["id"], each["cost_micros"]) for each in one] == [(2, 40_500)]
