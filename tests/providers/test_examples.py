"""Each provider's example delivery becomes exactly its expected records."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from etl.check import check_delivery
from etl.profiles import available_profiles, load_profile

SHIPPED = Path(__file__).resolve().parents[2] / "etl" / "providers"
EXAMPLES = SHIPPED / "examples"
EXPECTED = Path(__file__).parent / "expected"


def layouts() -> list[tuple[str, str]]:
    return [
        (provider, layout.name)
        for provider in available_profiles()
        for layout in load_profile(provider).layouts
    ]


def example_of(provider: str) -> Path:
    glob = load_profile(provider).source.file_glob
    (path,) = EXAMPLES.glob(glob)
    return path


def checked(provider: str, path: Path | None = None) -> dict[str, dict[str, Any]]:
    documents = check_delivery(path or example_of(provider), load_profile(provider))
    return {document["layout"]: document for document in documents}


@pytest.mark.parametrize(("provider", "layout"), layouts())
def test_an_example_delivery_becomes_its_expected_records(
    provider: str, layout: str
) -> None:
    found = checked(provider)[layout]["records"]
    expected = (EXPECTED / f"{provider}__{layout}.jsonl").read_text(encoding="utf-8")
    lines = [json.dumps(record, ensure_ascii=False) for record in found]
    assert lines == expected.splitlines()


@pytest.mark.parametrize(
    ("provider", "layout", "accepted", "duplicates", "rejected"),
    [
        ("kpn_een", "specificatie", 6, 0, 0),
        ("kpn_sp16", "usage", 6, 0, 0),
        ("routit", "mobile", 6, 0, 0),
        ("routit", "fixed", 5, 1, 0),
        ("tmobile_calvi", "usage", 6, 0, 0),
        ("vodafone_nl", "gespreksdetails", 6, 0, 0),
        ("yielder", "regels", 5, 0, 1),
    ],
)
def test_every_record_of_an_example_is_counted_once(
    provider: str, layout: str, accepted: int, duplicates: int, rejected: int
) -> None:
    assert checked(provider)[layout]["outcome"] == {
        "records": 6,
        "accepted": accepted,
        "duplicates": duplicates,
        "conflicts": 0,
        "rejected": rejected,
        "ignored": 0,
    }


@pytest.mark.parametrize(
    ("provider", "layout", "kind", "message"),
    [
        ("routit", "mobile", "none", "the profile declares no control record"),
        ("kpn_sp16", "usage", "trailer", "6 records, amount -2.485000"),
        ("vodafone_nl", "gespreksdetails", "total_row", "6 records, amount 1251.850000"),
        ("tmobile_calvi", "usage", "sidecar", "6 records, amount 0.110000"),
    ],
)
def test_the_control_record_of_an_example_proves_it_whole(
    provider: str, layout: str, kind: str, message: str
) -> None:
    control = checked(provider)[layout]["control"]
    assert (control["kind"], control["ok"]) == (kind, True)
    assert control["message"].startswith(message)


def test_a_delivery_without_its_control_file_is_not_proven(tmp_path: Path) -> None:
    example = example_of("tmobile_calvi")
    alone = Path(shutil.copy(example, tmp_path))
    control = checked("tmobile_calvi", alone)["usage"]["control"]
    assert control == {
        "kind": "sidecar",
        "ok": False,
        "message": "TMO_CALVI_AC9_202610_0007.tsv.ctl was not delivered",
    }


def test_a_delivery_that_lost_its_last_record_is_not_proven(tmp_path: Path) -> None:
    example = example_of("kpn_sp16")
    lines = example.read_bytes().splitlines(keepends=True)
    cut = tmp_path / example.name
    cut.write_bytes(b"".join([*lines[:6], lines[7]]))
    control = checked("kpn_sp16", cut)["usage"]["control"]
    assert control["ok"] is False
    assert "says 6, the file has 5 records" in control["message"]
    assert "says -2.485000, the records add up to 0.015000" in control["message"]


def test_a_repeated_header_and_a_blank_line_are_ignored(tmp_path: Path) -> None:
    example = example_of("yielder")
    lines = example.read_bytes().splitlines(keepends=True)
    copy = tmp_path / example.name
    copy.write_bytes(b"".join([*lines[:3], lines[0], b"\n", *lines[3:]]))
    outcome = checked("yielder", copy)["regels"]["outcome"]
    assert outcome == {
        "records": 8,
        "accepted": 5,
        "duplicates": 0,
        "conflicts": 0,
        "rejected": 1,
        "ignored": 2,
    }


def test_an_equal_row_without_an_id_is_a_record_of_its_own(tmp_path: Path) -> None:
    example = example_of("kpn_een")
    lines = example.read_bytes().splitlines(keepends=True)
    copy = tmp_path / example.name
    copy.write_bytes(b"".join([*lines, lines[1]]))
    outcome = checked("kpn_een", copy)["specificatie"]["outcome"]
    assert (outcome["accepted"], outcome["duplicates"]) == (7, 0)


def test_a_re_rated_record_in_one_file_supersedes_the_earlier_one(tmp_path: Path) -> None:
    example = example_of("tmobile_calvi")
    text = example.read_text(encoding="utf-8")
    again = text.splitlines()[5].replace("\t0.01\t", "\t0.02\t")
    copy = tmp_path / example.name
    copy.write_text(f"{text}{again}\n", encoding="utf-8")
    document = checked("tmobile_calvi", copy)["usage"]
    flags = {record["line"]: record["flags"] for record in document["records"]}
    assert (flags[6], flags[8]) == (["superseded"], [])
    assert document["outcome"]["conflicts"] == 1
