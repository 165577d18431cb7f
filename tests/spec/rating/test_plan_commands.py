"""``etl plan:check`` and ``etl plan:price``, as a person or a program calls them."""

import json
import subprocess
import sys
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from etl.cli import cli
from transforms.errors import ConfigError

PLAN = """
schema = "cdr-rate-plan/1"
id = "flat"
name = "Flat"
decks = ["decks/nl.csv"]
[cycle]
minimum = "2.00"
[[entry]]
name = "calls"
usage = "voice"
destinations = ["NL"]
price = "0.1234"
per = "min"
[[allowance]]
name = "minutes"
usage = "voice"
size = "1 min"
"""

EVENTS = """id,subscriber,usage_type,destination,started_at,quantity,continuation
b,+31600000001,voice,+31201234567,2026-10-05T09:01:00+02:00,60,
a,+31600000001,voice,31201234567,2026-10-05T09:00:00,90,false
c,+31600000001,data,internet,2026-10-05T09:00:00,1000,
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan with its deck, and events."""
    (tmp_path / "decks").mkdir()
    (tmp_path / "decks" / "nl.csv").write_text("prefix;destination\n31;NL\n")
    (tmp_path / "flat.toml").write_text(PLAN)
    (tmp_path / "events.csv").write_text(EVENTS)
    return tmp_path


def etl(folder: Path, *words: str) -> Result:
    """Run one command in a folder."""
    with chdir(folder):
        return CliRunner().invoke(cli, words, standalone_mode=False)


def fault_of(ended: Result) -> str:
    """What a refused command says; a person must change something."""
    assert isinstance(ended.exception, ConfigError)
    assert ended.exception.exit_code == 2
    return str(ended.exception)


def document(ended: Result) -> dict[str, Any]:
    assert ended.exception is None
    assert ended.return_value == 0
    read: dict[str, Any] = json.loads(ended.stdout)
    return read


def test_events_are_priced_without_a_database(folder: Path) -> None:
    ended = etl(
        folder, "plan:price", "--plan", "flat.toml", "--events", "events.csv", "--json"
    )

    said = document(ended)
    kept = (
        "id", "cost", "cost_micros", "entry", "in_allowance", "overage", "unrated_reason",
    )  # fmt: skip
    assert [tuple(event[name] for name in kept) for event in said["events"]] == [
        ("b", "0.123400", 123_400, "calls", 0, 60, None),
        ("a", "0.061700", 61_700, "calls", 60, 30, None),
        (
            "c",
            None,
            None,
            None,
            0,
            0,
            "no entry of plan flat covers data out to this destination",
        ),
    ]
    assert said["allowances_left"] == {"minutes": 0}
    assert said["cycle"] == {
        "cost": "2.000000",
        "cost_micros": 2_000_000,
        "minimum_applied": True,
        "maximum_applied": False,
    }
    assert said["unpriced_volume"] == 1000
    assert [each.name for each in folder.iterdir() if each.name == "var"] == []


def test_a_person_reads_a_table(folder: Path) -> None:
    ended = etl(folder, "plan:price", "--plan", "flat.toml", "--events", "events.csv")
    assert ended.return_value == 0
    assert "cycle 2026-10-01: 2.000000 EUR (minimum applied)" in ended.stdout
    assert "left of minutes: 0" in ended.stdout
    assert "1 events are unrated" in ended.stdout


def test_a_sound_plan_has_a_version_that_every_file_makes(folder: Path) -> None:
    first = etl(folder, "plan:check", "flat.toml", "--json")
    again = etl(folder, "plan:check", "flat.toml", "--json")
    (folder / "decks" / "nl.csv").write_text("prefix;destination\n32;NL\n")
    changed = etl(folder, "plan:check", "flat.toml", "--json")

    assert document(first)["version"] == document(again)["version"]
    assert document(first)["version"] != document(changed)["version"]
    assert (document(first)["entries"], document(first)["prefixes"]) == (["calls"], 1)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (("0.1234", "x"), "entry[calls].price: must be an amount"),
        (('id = "flat"', 'id = "round"'), "it must be named like its file"),
        (("decks/nl.csv", "decks/be.csv"), "decks: 'decks/be.csv' cannot be read"),
        (("decks/nl.csv", "../nl.csv"), "must be a path below the folder of the plan"),
        (("[cycle]", "[cycle"), "is no TOML"),
    ],
)
def test_a_faulty_plan_is_refused(
    folder: Path, change: tuple[str, str], fault: str
) -> None:
    (folder / "flat.toml").write_text(PLAN.replace(*change))
    ended = etl(folder, "plan:check", "flat.toml", "--json")
    assert fault in fault_of(ended)


def test_faulty_events_are_refused_with_every_line(folder: Path) -> None:
    rows = [
        "id,subscriber,usage_type,destination,started_at,quantity",
        "1,A,speech,+31,2026-10-05T09:00,60",
        "2,A,voice,+31,yesterday,60",
        "3,A,voice,+31,2026-10-05T09:00,1.5",
        "3,,voice,+31,2026-10-05T09:00,1",
        "4,A,voice",
    ]
    (folder / "events.csv").write_text("\n".join(rows))
    ended = etl(folder, "plan:price", "--plan", "flat.toml", "--events", "events.csv")
    said = fault_of(ended)
    for fault in (
        "line 2: usage_type: must be one of 'voice'",
        "line 3: started_at: must be a time such as",
        "line 4: quantity: must be a whole number",
        "line 5: subscriber: must not be empty",
        "line 5: id: stands on line 4 already",
        "line 6: has 3 cells where the header has 6",
    ):
        assert fault in said


def test_a_near_miss_of_a_shipped_plan_is_named(folder: Path) -> None:
    said = fault_of(etl(folder, "plan:check", "office_voise"))
    assert said == "there is no rate plan 'office_voise' (did you mean 'office_voice'?)"


def test_a_refused_plan_ends_with_exit_code_2_and_says_why_in_json(folder: Path) -> None:
    (folder / "flat.toml").write_text(PLAN.replace("0.1234", "x"))
    ended = subprocess.run(
        [sys.executable, "-m", "etl", "plan:check", "flat.toml", "--json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2
    assert "entry[calls].price: must be an amount" in ended.stderr
    assert json.loads(ended.stdout)["error"]["class"] == "ConfigError"


@pytest.mark.parametrize("plan", ["office_voice", "mobile_bundle", "machine_data"])
def test_every_shipped_plan_is_sound(folder: Path, plan: str) -> None:
    ended = etl(folder, "plan:check", plan, "--json")
    assert document(ended)["plan"] == plan
