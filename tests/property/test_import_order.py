"""How a month is cut into files, and in which order they come, changes no total."""

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.flow.import_world import ANNA, BERT, STRANGER, World, call, write_routit

OWNERS = {ANNA: 1, BERT: 2}

Cycles = list[tuple[int, str, int, int]]

records = st.builds(
    lambda number, day, hour, cents: (number, day, hour, cents),
    st.sampled_from([ANNA, BERT, STRANGER]),
    st.integers(1, 28),
    st.integers(0, 23),
    st.integers(-500, 99_999),
)


@st.composite
def months(draw: st.DrawFn) -> tuple[list[str], list[list[str]]]:
    """A month of calls, and the same calls dealt out to files that overlap."""
    drawn = draw(st.lists(records, min_size=1, max_size=30))
    calls = [
        call(
            str(n),
            number,
            Datum=f"{day:02}-0{1 + n % 3}-2025",
            Tijdstip=f"{hour:02}:00:00",
            Totaaltarief=f"{cents / 100:.2f}".replace(".", ","),
        )
        for n, (number, day, hour, cents) in enumerate(drawn)
    ]
    files = draw(st.integers(1, 4))
    homes = draw(
        st.lists(
            st.sets(st.integers(0, files - 1), min_size=1, max_size=2),
            min_size=len(calls),
            max_size=len(calls),
        )
    )
    dealt = [
        [each for each, home in zip(calls, homes, strict=True) if file in home]
        for file in range(files)
    ]
    return calls, draw(st.permutations([each for each in dealt if each]))


def cycles(world: World) -> Cycles:
    """What each cycle holds, as totals will see it."""
    query = (
        "SELECT customer_id, substr(call_date, 1, 7), count(*), sum(cost_micros) "
        "FROM call_detail_record GROUP BY customer_id, substr(call_date, 1, 7)"
    )
    return sorted(
        (one, str(two), three, int(four)) for one, two, three, four in world.rows(query)
    )


def imported(world: World, files: Sequence[Sequence[str]], folder: Path) -> Cycles:
    """Import files, then all of them once more; return what the cycles hold."""
    for _ in range(2):
        for number, calls in enumerate(files):
            world.load(write_routit(folder, calls, f"{number}/CDR_10001_202501.zip"))
    assert world.audit() == []
    return cycles(world)


@contextmanager
def empty_world(template: Path) -> Iterator[tuple[World, Path]]:
    folder = Path(tempfile.mkdtemp())
    shutil.copy(template, folder / "etl.db")
    try:
        with World(f"sqlite:///{folder / 'etl.db'}", folder, chunk_rows=7) as world:
            world.own(OWNERS)
            yield world, folder
    finally:
        shutil.rmtree(folder)


@settings(
    max_examples=10,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(month=months())
def test_files_in_any_order_and_any_cut_load_the_same(
    sqlite_template: Path, month: tuple[list[str], list[list[str]]]
) -> None:
    calls, files = month
    with empty_world(sqlite_template) as (world, folder):
        whole = imported(world, [calls], folder)
    with empty_world(sqlite_template) as (world, folder):
        assert imported(world, files, folder) == whole


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)])
def test_files_that_overlap_load_each_record_once(
    database_url: str, tmp_path: Path, order: tuple[int, ...]
) -> None:
    calls = [call(str(n), (ANNA, BERT)[n % 2], Datum=f"{1 + n}-01-2025") for n in range(9)]
    files = [calls[0:5], calls[3:8], calls[6:9]]
    with World(database_url, tmp_path, chunk_rows=4) as world:
        world.own(OWNERS)
        found = imported(world, [files[each] for each in order], tmp_path)
    assert found == [(1, "2025-01", 5, 202_500), (2, "2025-01", 4, 162_000)]
