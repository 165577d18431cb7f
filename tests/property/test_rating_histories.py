"""Random billing histories cost what the independent rater says, to the micro.

``RATING_HISTORIES`` says how many (200 when it is not set), ``RATING_SEED`` where to
begin; a failure names its seed, and ``RATING_SEED=n RATING_HISTORIES=1`` replays it.
"""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from random import Random

import polars as pl
import pytest

from tests.histories import history
from tests.rater import Outcome, rate_plainly
from tests.rating_frames import plan_of, rated
from transforms.errors import ConfigError
from transforms.rating import Rated

POOL = ("customer_id", "cycle_start_date", "subscriber", "allowance")
SUMMED = ("charge_micros", "provider_cost_micros", "cdr_count", "unrated_count")

HISTORIES = int(os.environ.get("RATING_HISTORIES", "200"))
TOGETHER = 100
"""Histories in one test: a long run is many tests, none of them long."""

FIRST = int(os.environ.get("RATING_SEED", "1"))


@pytest.mark.parametrize("first", range(FIRST, FIRST + HISTORIES, TOGETHER))
def test_every_history_costs_what_the_independent_rater_says(first: int) -> None:
    count = min(TOGETHER, FIRST + HISTORIES - first)
    priced = unrated = refused = 0
    for seed in range(first, first + count):
        past = history(seed)
        try:
            plan = plan_of(past.document, past.files)
        except ConfigError:
            refused += 1
            continue
        got = rated(past, plan)
        expected = rate_plainly(past.document, past.files, past.events, past.cycles)
        assert _facts(got) == _told(expected), f"RATING_SEED={seed}"
        priced += sum(price.charge is not None for price in expected.prices.values())
        unrated += sum(price.charge is None for price in expected.prices.values())
    if count == TOGETHER:
        assert refused < count / 4, "most random plans are sound"
        assert min(priced, unrated) > count, "and most histories have records of both kinds"


def _facts(got: Rated) -> dict[str, object]:
    rows = got.events.iter_rows(named=True)
    return {
        "events": {
            row["order_key"]: (
                row["charge_micros"],
                row["entry"],
                row["in_allowance"],
                row["overage"],
                row["unrated_code"],
            )
            for row in rows
        },
        "cycles": {
            (row["customer_id"], row["cycle_start_date"]): row["charge_micros"]
            for row in got.sums.cycles.iter_rows(named=True)
        },
        "left": {
            (
                row["customer_id"],
                row["cycle_start_date"],
                row["subscriber"],
                row["allowance"],
            ): row["left"]
            for row in got.allowances_left.iter_rows(named=True)
        },
    }


def _told(expected: Outcome) -> dict[str, object]:
    return {
        "events": {
            key: (
                price.charge,
                price.entry,
                price.in_allowance,
                price.overage,
                price.unrated,
            )
            for key, price in expected.prices.items()
        },
        "cycles": expected.cycles,
        "left": expected.left,
    }


@pytest.mark.parametrize("seed", range(1, 16))
def test_the_order_of_records_changes_nothing(seed: int) -> None:
    past = history(seed)
    plan = plan_of(past.document, past.files)
    shuffled = list(past.events)
    Random(seed + 1).shuffle(shuffled)

    once = rated(past, plan)
    again = rated(replace(past, events=shuffled), plan)

    assert again.events.equals(once.events)
    assert again.sums.lines.equals(once.sums.lines)
    assert again.allowances_left.equals(once.allowances_left)


@pytest.mark.parametrize("seed", range(1, 31))
def test_lines_add_up_to_the_cycle_and_no_record_is_lost(seed: int) -> None:
    past = history(seed)
    got = rated(past, plan_of(past.document, past.files))
    key = ["customer_id", "cycle_start_date"]
    lines = got.sums.lines.group_by(key).agg(
        pl.col(name).sum().alias(f"{name}_of_lines") for name in SUMMED
    )
    cycles = got.sums.cycles.join(lines, on=key, how="left").fill_null(0)

    for name in SUMMED:
        assert cycles[name].equals(cycles[f"{name}_of_lines"].alias(name)), name
    assert got.sums.cycles["cdr_count"].sum() == len(past.events)
    assert got.sums.unrated["cdr_count"].sum() == got.sums.cycles["unrated_count"].sum()


@pytest.mark.parametrize("seed", range(1, 11))
def test_customers_rated_apart_cost_what_they_cost_together(seed: int) -> None:
    past = history(seed)
    plan = plan_of(past.document, past.files)
    together = rated(past, plan).sums.cycles
    for customer in past.zones:
        alone = rated(
            replace(
                past,
                events=[event for event in past.events if event.customer == customer],
                cycles=[cycle for cycle in past.cycles if cycle[0] == customer],
            ),
            plan,
        ).sums.cycles
        assert alone.equals(together.filter(customer_id=customer))


def test_one_thread_and_two_give_the_same_bytes(tmp_path: Path) -> None:
    digests = set()
    for threads in ("1", "2"):
        run = subprocess.run(
            [sys.executable, "-m", "tests.rating_frames", "1", "40"],
            env={**os.environ, "POLARS_MAX_THREADS": threads},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        digests.add(run.stdout)
    assert len(digests) == 1
    assert len(digests.pop().strip()) == 64
