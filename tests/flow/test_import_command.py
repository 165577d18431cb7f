"""``etl import`` and ``etl rejects:*`` as people, crontabs and programs call them."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from etl.cli import cli
from tests.flow.import_world import (
    ANNA,
    BERT,
    STRANGER,
    World,
    call,
    mixed_calls,
    write_routit,
)
from transforms.errors import BillingError


@pytest.fixture
def world(database_url: str, tmp_path: Path) -> Iterator[World]:
    with World(database_url, tmp_path) as made:
        made.own({ANNA: 1, BERT: 2})
        yield made


class Shell:
    """Runs commands against one world."""

    def __init__(self, world: World) -> None:
        self._env = {
            "ETL_DATABASE_URL": world.url,
            "ETL_STORAGE": str(world.settings.storage),
        }
        self.code: int | None = None
        self.said = ""

    def __call__(self, *arguments: object) -> str:
        """Run a command; return what it wrote to stdout."""
        words = [str(each) for each in arguments]
        result = CliRunner().invoke(cli, words, env=self._env, standalone_mode=False)
        self.said = result.stderr
        if isinstance(result.exception, BillingError):
            self.code, self.said = result.exception.exit_code, str(result.exception)
        elif result.exception is not None:
            raise result.exception
        else:
            self.code = result.return_value
        return result.stdout

    def json(self, *arguments: object) -> Any:  # noqa: ANN401 - a JSON document
        return json.loads(self(*arguments, "--json"))


@pytest.fixture
def etl(world: World) -> Shell:
    return Shell(world)


KEYS = {
    *("import_id", "file", "sha256", "provider", "status", "records", "loaded"),
    *("duplicates", "conflicts", "rejected", "suspended", "ignored", "cost_micros"),
    *("seconds", "message"),
}


def test_an_import_tells_its_counts_in_one_document(etl: Shell, tmp_path: Path) -> None:
    document = etl.json(
        "import", write_routit(tmp_path, mixed_calls()), "--provider=routit"
    )

    (told,) = document["imports"]
    assert set(told) == KEYS
    assert told["seconds"] >= 0
    assert len(told["sha256"]) == 64
    assert {name: told[name] for name in KEYS - {"seconds", "sha256"}} == {
        "import_id": 1,
        "file": "CDR_10001_202501.zip",
        "provider": "routit",
        "status": "done",
        "records": 106,
        "loaded": 80,
        "duplicates": 3,
        "conflicts": 1,
        "rejected": 2,
        "suspended": 20,
        "ignored": 0,
        "cost_micros": 3_240_000,
        "message": None,
    }
    assert etl.code == 1  # records were rejected, and one is in conflict


def test_with_v_an_import_says_what_it_does_step_by_step(
    etl: Shell, tmp_path: Path
) -> None:
    etl.json("import", write_routit(tmp_path, mixed_calls()), "--provider=routit", "-v")

    events = [json.loads(line) for line in etl.said.splitlines() if line.startswith("{")]
    assert [event["event"] for event in events] == [
        "import begun",
        "delivery read",
        "import complete",
    ]
    assert (events[-1]["import_id"], events[-1]["loaded"]) == (1, 80)


def test_records_without_an_owner_alone_are_no_fault(etl: Shell, tmp_path: Path) -> None:
    path = write_routit(tmp_path, [call("1"), call("2", STRANGER)])
    (told,) = etl.json("import", path, "--provider", "routit")["imports"]
    assert (told["loaded"], told["suspended"], etl.code) == (1, 1, 0)


def test_the_same_bytes_again_are_a_success_that_names_the_first_import(
    etl: Shell, tmp_path: Path
) -> None:
    path = write_routit(tmp_path, mixed_calls())
    (first,) = etl.json("import", path, "--provider", "routit")["imports"]
    copy = shutil.copy(path, tmp_path / "copy.zip")

    (again,) = etl.json("import", copy, "--provider", "routit")["imports"]

    assert etl.code == 0
    assert (again["status"], again["file"]) == ("already_imported", "copy.zip")
    counts = KEYS - {"status", "file", "message"}
    assert {name: again[name] for name in counts} == {name: first[name] for name in counts}
    told = "import 1 loaded these bytes before, under the name CDR_10001_202501.zip"
    assert again["message"] == told


def test_a_refused_file_does_not_keep_the_next_from_its_turn(
    etl: Shell, tmp_path: Path
) -> None:
    broken = tmp_path / "CDR_10001_202412.zip"
    broken.write_bytes(b"PK\x03\x04 and no more")
    missing_column = write_routit(tmp_path, [], "CDR_10001_202502.zip", header="a,b")
    fine = write_routit(tmp_path, [call("1")])

    document = etl.json("import", broken, missing_column, fine, "--provider", "routit")

    assert [one["status"] for one in document["imports"]] == ["refused", "refused", "done"]
    assert [one["loaded"] for one in document["imports"]] == [0, 0, 1]
    assert etl.code == 1


def test_people_read_the_same_in_words(etl: Shell, tmp_path: Path) -> None:
    said = etl("import", write_routit(tmp_path, mixed_calls()), "--provider", "routit")
    assert said.startswith(
        "CDR_10001_202501.zip: done: 106 records, 80 loaded, 3 duplicates, 1 conflicts, "
        "2 rejected, 20 suspended\n  cost 3.240000, "
    )


def test_a_dry_run_writes_nothing(etl: Shell, world: World, tmp_path: Path) -> None:
    path = write_routit(tmp_path, mixed_calls())
    document = etl.json("import", path, "--provider", "routit", "--dry-run")

    (told,) = document["dry_run"]
    assert told["outcome"] == {
        "records": 106,
        "accepted": 100,
        "duplicates": 3,
        "conflicts": 1,
        "rejected": 2,
        "ignored": 0,
    }
    assert etl.code == 1
    assert world.table("import_queue", "count(*)") == [(0,)]


def test_an_import_that_another_run_works_on_is_left_to_it(
    etl: Shell, world: World, tmp_path: Path
) -> None:
    world.app.imports.take_provider("routit", "another")
    path = write_routit(tmp_path, [call("1")])

    (told,) = etl.json("import", path, "--provider", "routit")["imports"]

    assert etl.code == 75
    assert (told["status"], told["import_id"]) == ("failed", 1)
    assert "lease import:routit is held by another" in told["message"]


def test_a_provider_that_is_not_known_is_a_mistake_of_the_command(
    etl: Shell, tmp_path: Path
) -> None:
    etl("import", write_routit(tmp_path, [call("1")]), "--provider", "routid")
    assert etl.code == 2
    assert "routid" in etl.said


# --- records that were set aside ----------------------------------------------------------


def test_rejects_are_listed_with_reason_and_without_numbers(
    etl: Shell, tmp_path: Path
) -> None:
    etl("import", write_routit(tmp_path, mixed_calls()), "--provider", "routit")

    document = etl.json("rejects:list")

    assert etl.code == 0
    counts = {(one["kind"], one["reason_code"]): one["count"] for one in document["counts"]}
    assert counts == {
        ("rejected", "amount_unreadable"): 1,
        ("rejected", "time_unreadable"): 1,
        ("suspended", "no_owner"): 20,
        ("conflict", "conflict_in_file"): 1,
        ("duplicate", "duplicate_in_file"): 3,
    }
    assert len(document["records"]) == 26
    waiting = next(one for one in document["records"] if one["kind"] == "suspended")
    assert (waiting["line_no"], waiting["subscriber"]) == (5, "…99")
    for text in (json.dumps(document), etl("rejects:list")):
        assert not [number for number in (ANNA, BERT, STRANGER) if number in text]


def test_the_lines_as_delivered_are_shown_when_asked_for(
    etl: Shell, tmp_path: Path
) -> None:
    calls = [call("1"), call("2", STRANGER), call("\x1b[2Jx", Totaaltarief="x")]
    etl("import", write_routit(tmp_path, calls), "--provider", "routit")

    document = etl.json("rejects:list", "--raw", "--kind", "suspended")
    assert [one["raw"] for one in document["records"]] == [call("2", STRANGER)]

    said = etl("rejects:list", "--raw", "--kind", "rejected", "--import", "1")
    assert "\x1b" not in said
    assert r"\x1b[2Jx,K10001," in said


def test_a_list_can_be_cut_short_and_narrowed(etl: Shell, tmp_path: Path) -> None:
    etl("import", write_routit(tmp_path, mixed_calls()), "--provider", "routit")

    two = etl.json("rejects:list", "--kind", "suspended", "--limit", "2")["records"]
    none = etl.json("rejects:list", "--import", "2")

    assert [one["line_no"] for one in two] == [5, 10]
    assert none == {"records": [], "counts": []}
    assert "No record was set aside." in etl("rejects:list", "--import", "2")


def test_a_replay_tells_what_became_of_each_import(
    etl: Shell, world: World, tmp_path: Path
) -> None:
    etl("import", write_routit(tmp_path, mixed_calls()), "--provider", "routit")
    world.own({ANNA: 1, BERT: 2, STRANGER: 2})

    tried = etl.json("rejects:replay", "--dry-run")
    done = etl.json("rejects:replay", "--import", "1")
    again = etl.json("rejects:replay")

    expected = {
        "import_id": 1,
        "provider": "routit",
        "examined": 20,
        "loaded": 20,
        "duplicates": 0,
        "conflicts": 0,
        "suspended": 0,
        "cost_micros": 810_000,
    }
    assert tried == {"imports": [expected], "dry_run": True, "runs": []}
    assert done == {"imports": [expected], "dry_run": False, "runs": []}
    assert again == {"imports": [], "dry_run": False, "runs": []}
    assert etl.code == 0
    assert etl.json("audit") == {"ok": True, "differences": []}


def test_a_replay_renews_what_the_provider_charges(
    etl: Shell, world: World, tmp_path: Path
) -> None:
    etl("import", write_routit(tmp_path, mixed_calls()), "--provider", "routit")
    etl("routit:invoice", "--id", "1")
    assert world.table("provider_invoice", "record_count", "cost_micros") == [
        (80, 3_240_000)
    ]
    world.own({ANNA: 1, BERT: 2, STRANGER: 2})

    done = etl.json("rejects:replay")

    assert [step["command"] for step in done["runs"][0]["steps"]] == [
        "routit:invoice",
        "totals:dispatch",
        "totals:backup",
        "totals:insight",
    ]
    invoiced = world.table("provider_invoice", "record_count", "cost_micros")
    assert invoiced == [(100, 4_050_000)]
    totals = world.table("total_usage_new_table", "customer_id", "cdr_count")
    assert totals == [(1, 40), (2, 60)]
    assert etl.json("audit") == {"ok": True, "differences": []}
