"""A provider is three data files: profile, example delivery, expected records."""

import json
import re
import tomllib
from pathlib import Path

import pytest

from tests.tidy.house import ROOT, name_of

PROVIDERS = ROOT / "etl" / "providers"
EXPECTED = ROOT / "tests" / "providers" / "expected"


def profiles() -> list[Path]:
    return sorted(path for path in PROVIDERS.glob("*.toml") if path.name[0] != "_")


def layouts() -> list[tuple[str, str]]:
    return [
        (path.stem, layout["name"])
        for path in profiles()
        for layout in tomllib.loads(path.read_text(encoding="utf-8"))["layout"]
    ]


def test_six_providers_ship_with_the_package() -> None:
    assert {path.stem for path in profiles()} >= {
        "kpn_een", "kpn_sp16", "routit", "tmobile_calvi", "vodafone_nl", "yielder",
    }  # fmt: skip


@pytest.mark.parametrize("path", profiles(), ids=name_of)
def test_every_profile_has_an_example_delivery(path: Path) -> None:
    source = tomllib.loads(path.read_text(encoding="utf-8"))["source"]
    named = re.compile(source["filename_regex"])
    examples = [file.name for file in (PROVIDERS / "examples").iterdir()]
    assert [name for name in examples if named.fullmatch(name)] != []


@pytest.mark.parametrize(("provider", "layout"), layouts())
def test_every_layout_has_its_expected_records(provider: str, layout: str) -> None:
    lines = (EXPECTED / f"{provider}__{layout}.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in lines.splitlines()] != []
