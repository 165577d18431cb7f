"""Ten thousand random billing histories: on both databases, by one thread and by two.

Each is stored in pieces, half of one of its cycles late, and held to the independent rater
to the micro. SQLite is rated by one thread and MariaDB by two; what they store is then the
same, to the byte.
"""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.faults.conftest import Maker, Run
from tests.mariadb import MariaDBServer
from tests.tidy.house import ROOT

TOGETHER = 250
"""Histories in one database."""

THREADS = {"sqlite": "1", "mariadb": "2"}


def test_random_histories_cost_what_the_independent_rater_says(
    run: Run,
    tmp_path: Path,
    sqlite_template: Path,
    mariadb_template: list[str],
    mariadb_server: MariaDBServer,
) -> None:
    count = run.rounds(usual=10_000, quick=40)
    first = 1 + run.seed % 1_000_000
    starts = range(first, first + count, TOGETHER)
    makers = [
        Maker(kind, tmp_path / kind, sqlite_template, mariadb_template, mariadb_server)
        for kind in THREADS
    ]
    tasks = [
        (maker, start, min(TOGETHER, first + count - start))
        for start in starts
        for maker in makers
    ]
    with ThreadPoolExecutor(len(makers)) as pool:
        told = list(pool.map(lambda task: rate_piece(*task), tasks))

    assert [each["wrong"] for each in told if each["wrong"]] == []
    sqlite, mariadb = told[0::2], told[1::2]
    assert [each["digest"] for each in sqlite] == [each["digest"] for each in mariadb]
    sound = sum(each["histories"] for each in sqlite)
    assert sound > count * 3 / 4, "most random plans are sound"
    run.tell(histories_on_both_databases=sound)


def rate_piece(maker: Maker, first: int, count: int) -> dict[str, Any]:
    """Rate some histories in a process and a database of their own."""
    folder = maker.folder / f"files-{first}"
    folder.mkdir(parents=True)
    asked = ["-m", "tests.stored_histories"]
    with maker.fresh(f"rating-{first}") as url:
        done = subprocess.run(
            [sys.executable, *asked, url, str(folder), str(first), str(count)],
            env={**os.environ, "POLARS_MAX_THREADS": THREADS[maker.kind]},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.stdout, done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
