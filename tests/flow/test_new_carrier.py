"""A carrier nobody has heard of: its page in the docs is followed to the letter."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from etl.cli import cli
from tests.tidy.house import ROOT

PAGE = ROOT / "docs" / "adding-a-carrier.md"
FILE = "zeewind_77_202610.csv"


@pytest.fixture
def carrier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page shows: the carrier's file, its profile, its customers."""
    page = PAGE.read_text(encoding="utf-8")
    csv_text, toml_text = (
        match[1] for match in re.finditer(r"```(?:csv|toml)\n(.*?)```", page, re.DOTALL)
    )
    (tmp_path / "providers").mkdir()
    (tmp_path / "reference").mkdir()
    (tmp_path / FILE).write_text(csv_text, encoding="utf-8")
    (tmp_path / "providers" / "zeewind.toml").write_text(toml_text, encoding="utf-8")
    (tmp_path / "reference" / "customers.csv").write_text(
        "customer_id,name,timezone,cycle_day,currency\n7,Duin BV,,,\n", encoding="utf-8"
    )
    (tmp_path / "reference" / "subscriptions.csv").write_text(
        "identifier,kind,customer_id,valid_from,valid_to\n"
        "+31600000101,number,7,2026-01-01,\n"
        "+31600000102,number,7,2026-01-01,\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> tuple[int, object]:
    """Run a command with ``--json``; its exit code is the value click hands back."""
    result = CliRunner().invoke(cli, [*words, "--json"], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, json.loads(result.stdout)


@pytest.mark.usefixtures("carrier")
def test_a_new_carrier_is_imported_with_nothing_but_a_toml_file(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_DATABASE_URL", database_url)
    run("reference:load", "reference")

    code, checked = run("provider:check", FILE, "--provider", "zeewind")
    assert code == 1
    assert isinstance(checked, list)
    assert checked[0]["outcome"] == {
        "records": 5,
        "accepted": 3,
        "duplicates": 1,
        "conflicts": 0,
        "rejected": 1,
        "ignored": 0,
    }

    code, imported = run("import", FILE, "--provider", "zeewind")
    assert code == 1
    assert isinstance(imported, dict)
    (one,) = imported["imports"]
    assert one["status"] == "done"
    assert [one["loaded"], one["duplicates"], one["rejected"]] == [3, 1, 1]
    assert one["cost_micros"] == 122_000 + 50_000 + 60_000

    run("totals:dispatch")
    code, totals = run("totals:new", "--customer", "7", "--cycle", "2026-10-31")
    assert code == 0
    assert isinstance(totals, dict)
    assert totals["total_cost"] == "0.232000"
    assert run("audit") == (0, {"ok": True, "differences": []})
