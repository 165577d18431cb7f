"""``python -m benchmarks``: run the benchmarks, write what came of them, or check it.

Effects: everything the benchmarks do; writes ``benchmarks/results/``.
"""

import argparse
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

# MySQL's driver has to be loaded before anything that loads pyarrow (loaders.open).
from loaders.open import prepare_driver

prepare_driver("mysql+mysqlconnector://nobody@localhost/nothing")

from benchmarks import report  # noqa: E402 - see above
from benchmarks.check import fallen  # noqa: E402
from benchmarks.curve import curve_contest  # noqa: E402
from benchmarks.imports import mariadb_contest, sqlite_contest  # noqa: E402
from benchmarks.measuring import Contest  # noqa: E402
from benchmarks.queue import queue_contest  # noqa: E402
from benchmarks.rating import rating_contest  # noqa: E402
from benchmarks.scale import full_table_contest, growth_contest  # noqa: E402
from benchmarks.startup import startup_contest  # noqa: E402
from benchmarks.totals import totals_contest  # noqa: E402
from benchmarks.world import SERVER_OPTIONS, World, world  # noqa: E402

RESULTS: Final = Path(__file__).parent / "results"
FULL_ROWS: Final = 1_000_000
FULL_ROUNDS: Final = 3
QUICK_ROWS: Final = 100_000
QUICK_ROUNDS: Final = 3
CURVE_ROUNDS: Final = 1


@contextmanager
def _plain(contest: Contest) -> Iterator[Contest]:
    yield contest


BENCHMARKS: Final[dict[str, Callable[[World], Any]]] = {
    "import-mariadb": lambda w: _plain(mariadb_contest(w, "memory")),
    "import-mariadb-disk": lambda w: _plain(mariadb_contest(w, "disk")),
    "import-sqlite": lambda w: _plain(sqlite_contest(w)),
    "totals": totals_contest,
    "rating": rating_contest,
    "curve": lambda w: _plain(curve_contest(w)),
    "startup": startup_contest,
    "queue": queue_contest,
    "growth": growth_contest,
    "into-20m": full_table_contest,
}
QUICK: Final = ("import-mariadb", "import-sqlite", "totals", "startup")
ONCE: Final = ("import-mariadb-disk", "curve", "growth", "into-20m")
"""What runs in a single round: for the picture, or because it takes very long."""


def main() -> int:
    """Run what was asked for; 1 when the check finds something slower."""
    given = _arguments()
    name = "quick" if given.quick else "full"
    rows = given.rows or (QUICK_ROWS if given.quick else FULL_ROWS)
    rounds = given.rounds or (QUICK_ROUNDS if given.quick else FULL_ROUNDS)
    chosen = given.only or (QUICK if given.quick else tuple(BENCHMARKS))
    document = _measured(rows, rounds, chosen)
    print(report.text(document))
    if given.check:
        return _checked(document, RESULTS / f"{name}.json")
    if given.only:
        _keep_others(document, given.out / f"{name}.json")
    report.write_json(given.out / f"{name}.json", document)
    (given.out / f"{name}.html").write_text(report.html(document), encoding="utf-8")
    print(f"\nwritten: {given.out / name}.json and .html")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--rows", type=int, help="records in the delivery")
    parser.add_argument("--rounds", type=int, help="how often each side runs")
    parser.add_argument("--quick", action="store_true", help="small and under 2 minutes")
    parser.add_argument("--only", nargs="+", choices=BENCHMARKS, help="some of them")
    parser.add_argument("--out", type=Path, default=RESULTS, help="folder for results")
    parser.add_argument(
        "--check", action="store_true", help="compare with the stored results, write none"
    )
    return parser.parse_args()


def _measured(rows: int, rounds: int, chosen: tuple[str, ...]) -> dict[str, Any]:
    contests: dict[str, Any] = {}
    with world(rows) as made:
        about = report.machine(made.server_version())
        for name in chosen:
            with BENCHMARKS[name](made) as contest:
                held = contest.hold(CURVE_ROUNDS if name in ONCE else rounds)
                contests[name] = held.document()
    return {
        "rows": rows,
        "rounds": rounds,
        "machine": about,
        "server_options": list(SERVER_OPTIONS),
        "contests": contests,
    }


def _keep_others(document: dict[str, Any], stored: Path) -> None:
    """Leave what is stored of other benchmarks of this size; a ratio is of one run."""
    before = json.loads(stored.read_text(encoding="utf-8")) if stored.exists() else {}
    if before.get("rows") == document["rows"]:
        document["contests"] = {**before["contests"], **document["contests"]}


def _checked(document: dict[str, Any], stored: Path) -> int:
    if not stored.exists():
        print(f"nothing is stored in {stored}; run make bench first", file=sys.stderr)
        return 1
    slower = fallen(json.loads(stored.read_text(encoding="utf-8")), document)
    for each in slower:
        print(f"bench-check: {each}", file=sys.stderr)
    if not slower:
        print("\nbench-check: no ratio fell by more than a fifth")
    return 1 if slower else 0


if __name__ == "__main__":
    sys.exit(main())
