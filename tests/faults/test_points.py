"""Every named point x every kind of fault: the same end as if nothing had happened."""

import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, product
from pathlib import Path

from loaders.audit import differences
from loaders.open import open_database
from tests.faults.conftest import Maker, Run
from tests.faults.forks import Forks, leaks
from tests.faults.points import ACTIONS, POINTS, Flow
from tests.flow.import_world import (
    ANNA,
    BERT,
    World,
    ask,
    call,
    mixed_calls,
    write_routit,
)
from tests.flow.sync_world import folder_feed
from transforms.reference import Reference

Case = tuple[str, str]
State = dict[str, list[tuple[str, ...]]]

CASES: list[Case] = list(product(POINTS, ACTIONS))

TABLES = (
    *("import_queue", "import_cycle", "import_decision", "dirty_cycle"),
    *("call_detail_record", "superseded_record", "rejected_record", "suspended_record"),
    *("conflict_record", "duplicate_record", "provider_invoice", "provider_invoice_line"),
    *("total_usage_new_table", "total_usage_line", "total_usage_new_backup_table"),
    *("invoice", "invoice_line", "insight_look"),
)
"""What must be the same, whatever happened on the way."""

OF_A_RUN = frozenset(
    {
        *("created_at", "updated_at", "started_at", "finished_at", "committed_at"),
        *("marked_at", "superseded_at", "lease_until", "duration_ms", "owner", "fence"),
        *("attempts", "mark", "batch_no", "first_line", "last_line", "backed_up_at"),
        *("decided_at", "issued_at", "looked_at", "message", "computed_at"),
        *("cost", "total_cost"),
    }
)
"""Columns that tell of the run and not of what came of it."""


@contextmanager
def place(maker: Maker, forks: Forks, name: str, flow: Flow) -> Iterator[tuple[str, Path]]:
    """A database in which a flow's preparations are done."""
    folder = maker.folder / f"point-{name}"
    inbox = folder / "inbox"
    with maker.fresh(name) as url:
        write_routit(inbox, mixed_calls(60))
        write_second(folder)
        with World(url, folder) as world:
            world.own({ANNA: 1, BERT: 2})
            feed = folder_feed("routit", inbox)
            world.app.reference.replace(Reference(sync_profiles=(feed,)))
        given = lines(flow.prepare, folder)
        done = forks.run("commands", url, folder=str(folder), lines=given)
        assert done.code == 0, done.said
        assert set(done.result) <= {0, 1}, done.said
        with World(url, folder) as world:
            world.own(dict(flow.owners))
        yield url, folder
    assert leaks(folder, maker.secret) == []
    shutil.rmtree(folder)


def write_second(folder: Path) -> Path:
    """Write a delivery with a repeat, a conflict and a record of its own."""
    return write_routit(
        folder,
        [
            call("0", Tijdstip="00:00:00"),
            call("1", BERT, Totaaltarief="9,00"),
            call("second", BERT),
        ],
        "CDR_10001_202502.zip",
    )


def lines(given: tuple[str, ...], folder: Path) -> list[str]:
    """Commands with the paths of their files."""
    first, second = (
        folder / "inbox" / "CDR_10001_202501.zip",
        folder / "CDR_10001_202502.zip",
    )
    return [line.format(first=first, second=second) for line in given]


def state(url: str, folder: Path) -> State:
    """What stands in every table of results and what is in storage; and it adds up."""
    database = open_database(url)
    assert differences(database) == []
    database.close()
    assert ask(url, "SELECT COUNT(*) FROM import_queue WHERE locked = 1") == [(0,)]
    found: State = {}
    for table in TABLES:
        names = [name for name in columns(url, table) if name not in OF_A_RUN]
        listed = ", ".join(f"`{name}`" for name in names)
        rows = ask(url, f"SELECT {listed} FROM {table}")  # noqa: S608 - our own names
        found[table] = sorted(tuple(map(str, row)) for row in rows)
    storage = folder / "storage"
    names = sorted(
        str(path.relative_to(storage))
        for path in storage.rglob("*.*")
        if path.suffix != ".part"
        and path.relative_to(storage).parts[0] not in {"work", "tmp"}
    )
    found["files in storage"] = [(name,) for name in names]
    return found


def columns(url: str, table: str) -> list[str]:
    """The columns of a table, but for a number that only counts rows."""
    if url.startswith("sqlite"):
        names = [str(row[1]) for row in ask(url, f"PRAGMA table_xinfo({table})")]
    else:
        names = [str(row[0]) for row in ask(url, f"SHOW COLUMNS FROM {table}")]
    return [name for name in names if name != "id" or table == "import_queue"]


def undisturbed(maker: Maker, forks: Forks, flow: Flow) -> State:
    """What a flow comes to when nothing happens to it."""
    with place(maker, forks, f"undisturbed-{flow.name}", flow) as (url, folder):
        given = lines(flow.go, folder)
        ended = forks.run("commands", url, folder=str(folder), lines=given, mend=True)
        assert ended.code == 0, ended.said
        return state(url, folder)


def disturbed(maker: Maker, forks: Forks, name: str, case: Case) -> State:
    """What a flow comes to when something happens to it, and it is given again."""
    point, action = case
    flow, before = POINTS[point]
    with place(maker, forks, name, flow) as (url, folder):
        given = lines(flow.go, folder)
        plan = f"{before}{point}:{action}"
        hit = forks.start("commands", url, faults=plan, folder=str(folder), lines=given)
        ended = hit.wait()
        assert point in hit.passed(), f"{flow.name} does not pass it: {ended.said}"
        assert ended.code == (-signal.SIGKILL if action == "kill" else 0), ended.said
        again = forks.run("commands", url, folder=str(folder), lines=given, mend=True)
        assert again.code == 0, again.said
        half = [*folder.glob("storage/incoming/*"), *folder.glob("storage/??/*.part")]
        assert half == [] or action == "kill"
        return state(url, folder)


def test_whatever_happens_at_any_named_point_the_end_is_the_same(
    maker: Maker, run: Run
) -> None:
    count = min(run.rounds(usual=len(CASES), quick=12), len(CASES))
    cases = run.chance().sample(CASES, count)
    with maker.forks(-1) as forks:
        flows = {POINTS[point][0] for point, _ in cases}
        expected = {flow: undisturbed(maker, forks, flow) for flow in flows}

    def judged(forks: Forks, name: str, case: Case) -> str:
        try:
            found = disturbed(maker, forks, name, case)
        except AssertionError as exc:
            return f"{':'.join(case)}: {exc}"
        wanted = expected[POINTS[case[0]][0]]
        differing = [name for name in wanted if found[name] != wanted[name]]
        return f"{':'.join(case)}: {differing}" if differing else ""

    def lane(number: int, share: int) -> list[str]:
        with maker.forks(number) as forks:
            return [
                judged(forks, f"{number}-{each}", cases[number + each * run.lanes])
                for each in range(share)
            ]

    wrong = [each for each in chain.from_iterable(run.in_lanes(count, lane)) if each]
    assert wrong == [], "\n".join(wrong)
    kinds = Counter(action.split("=")[0] for _, action in cases)
    run.tell(cases=count, points=len({point for point, _ in cases}), **kinds)
