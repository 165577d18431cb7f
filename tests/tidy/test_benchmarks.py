"""The benchmarks keep their rules: what is stored, what is a fall, what is told."""

import json
from typing import Any

import pytest

from benchmarks.check import fallen, ratios
from benchmarks.measuring import Contest, Limit, Sample, Side
from benchmarks.report import html, text
from tests.tidy.house import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def results(**found: float) -> dict[str, Any]:
    """A results file with these ratios."""
    sides = {
        "etl import": {"records": 10, "seconds": [2.0], "median_s": 2.0, "rate": 5.0},
        "a <b> & c": {"records": 10, "seconds": [1.0], "median_s": 1.0, "rate": 10.0},
    }
    told = {
        name: {"side": "etl import", "against": ["a <b> & c"], "ratio": each, "target": 1.5}
        for name, each in found.items()
    }
    return {
        "rows": 10,
        "rounds": 1,
        "machine": {"cores": 2, "python": "3.11", "mariadb": "10.11"},
        "server_options": ["--one"],
        "contests": {"c": {"title": "C", "notes": [], "sides": sides, "ratios": told}},
    }


@pytest.mark.parametrize(
    ("now", "has_fallen"),
    [
        (2.5, False),  # faster
        (1.5, False),  # as before
        (1.21, False),  # within a fifth
        (1.19, True),  # more than a fifth below 1.5
    ],
)
def test_a_ratio_may_fall_by_a_fifth_and_not_by_more(
    now: float, *, has_fallen: bool
) -> None:
    assert bool(fallen(results(load=1.5), results(load=now))) is has_fallen


def test_a_ratio_that_is_not_measured_any_more_is_a_fall() -> None:
    assert fallen(results(load=1.5, totals=2.0), results(load=1.5)) == [
        "totals was not measured; 2.00 is stored"
    ]


@pytest.mark.parametrize(("seconds", "rounds"), [(0.9, 3), (1.0, 1)])
def test_a_side_for_one_round_comes_to_all_when_it_is_quick(
    seconds: float, rounds: int
) -> None:
    contest = Contest("c", "C", [Side("bare", lambda: Sample(seconds, 10), rounds=1)])
    assert len(contest.hold(3).samples["bare"]) == rounds


def test_a_new_ratio_has_nothing_to_fall_from() -> None:
    assert fallen(results(load=1.5), results(load=1.5, new=0.1)) == []


def test_the_report_says_met_or_missed_and_escapes_what_it_tells() -> None:
    page = html(results(load=1.49, totals=1.5))
    assert "1.5x: missed" in page
    assert "1.5x: met" in page
    assert "a &lt;b&gt; &amp; c" in page
    assert "<script" not in page
    assert "1.49x  (wanted 1.5x: MISSED)" in text(results(load=1.49))


def test_the_report_says_whether_memory_stayed_under_its_limit() -> None:
    limit = {"side": "etl import", "peak_mb": 599.6, "most_mb": 600}
    document = results(load=1.5)
    document["contests"]["c"]["limits"] = {
        "memory": limit,
        "more": {**limit, "peak_mb": 600.0},
    }
    assert "600 MB  (wanted under 600 MB: met)" in text(document)
    assert "600 MB  (wanted under 600 MB: MISSED)" in text(document)
    assert "under 600 MB: met" in html(document)
    assert "under 600 MB: missed" in html(document)


def test_a_contest_tells_the_most_memory_of_all_rounds() -> None:
    samples = iter([Sample(1.0, 10, 70.0), Sample(1.0, 10, 90.0), Sample(1.0, 10, 80.0)])
    contest = Contest(
        "c",
        "C",
        [Side("etl import", lambda: next(samples))],
        limits=[Limit("memory", "etl import", 85)],
    )
    assert contest.hold(3).document()["limits"] == {
        "memory": {"side": "etl import", "most_mb": 85, "peak_mb": 90.0}
    }


@pytest.mark.parametrize("name", ["quick", "full"])
def test_results_are_stored_as_json_and_as_a_page(name: str) -> None:
    stored = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    assert ratios(stored)
    assert (RESULTS / f"{name}.html").read_text(encoding="utf-8") == html(stored)


def test_every_target_is_told_with_the_ratio_that_is_stored() -> None:
    stored = json.loads((RESULTS / "full.json").read_text(encoding="utf-8"))
    readme = (ROOT / "benchmarks" / "README.md").read_text(encoding="utf-8")
    wanted = [
        f"{each['ratio']:.2f}x"
        for contest in stored["contests"].values()
        for each in contest["ratios"].values()
        if each["target"] is not None
    ]
    assert wanted
    assert [each for each in wanted if each not in readme] == []
