"""Every named point x every kind of fault: the same end as if nothing had happened."""

import signal
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import product
from pathlib import Path

from loaders.audit import differences
from loaders.open import open_database
from tests.faults.conftest import Maker, Run
from tests.faults.forks import Forks, leaks
from tests.faults.points import ACTIONS, POINTS, Flow
from tests.flow.import_world import (
    ANNA,
    BERT,
    STRANGER,
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
    *("invoice", "invoice_line"),
)
"""What must be the same, whatever happened on the way."""

OF_A_RUN = frozenset(
    {
        *("created_at", "updated_at", "started_at", "finished_at", "committed_at"),
        *("marked_at", "superseded_at", "lease_until", "duration_ms", "owner", "fence"),
        *("attempts", "mark", "batch_no", "first_line", "last_line", "backed_up_at"),
        *("decided_at", "issued_at", "message", "computed_at", "cost", "total_cost"),
    }
)
"""Columns that tell of the run and not of what came of it."""


@contextmanager
def place(maker: Maker, name: str, flow: Flow) -> Iterator[tuple[str, Path, Forks]]:
    """A database in which a flow's preparations are done, and children to go on."""
    folder = maker.folder / f"point-{name}"
    inbox = folder / "inbox"
    with ExitStack() as stack:
        url = stack.enter_context(maker.fresh(name))
        forks = stack.enter_context(Forks(url, folder / "forks"))
        write_routit(inbox, mixed_calls(60))
        write_second(folder)
        with World(url, folder) as world:
            world.own({ANNA: 1, BERT: 2})
            feed = folder_feed("routit", inbox)
            world.app.reference.replace(Reference(sync_profiles=(feed,)))
        done = forks.run("commands", folder=str(folder), lines=lines(flow.prepare, folder))
        assert done.code == 0, done.said
        assert set(done.result) <= {0, 1}, done.said
        if flow.knows_all:
            with World(url, folder) as world:
                world.own({ANNA: 1, BERT: 2, STRANGER: 1})
        yield url, folder, forks


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


def state(url: str) -> State:
    """What stands in every table of results, and that it adds up."""
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
    return found


def columns(url: str, table: str) -> list[str]:
    """The columns of a table, but for a number that only counts rows."""
    if url.startswith("sqlite"):
        names = [str(row[1]) for row in ask(url, f"PRAGMA table_xinfo({table})")]
    else:
        names = [str(row[0]) for row in ask(url, f"SHOW COLUMNS FROM {table}")]
    return [name for name in names if name != "id" or table == "import_queue"]


def undisturbed(maker: Maker, flow: Flow) -> State:
    """What a flow comes to when nothing happens to it."""
    with place(maker, f"undisturbed-{flow.name}", flow) as (url, folder, forks):
        given = lines(flow.go, folder)
        ended = forks.run("commands", folder=str(folder), lines=given, mend=True)
        assert ended.code == 0, ended.said
        return state(url)


def disturbed(maker: Maker, name: str, case: Case) -> tuple[int, State]:
    """What a flow comes to when something happens to it, and it is given again."""
    point, action = case
    flow, before = POINTS[point]
    with place(maker, name, flow) as (url, folder, forks):
        given = lines(flow.go, folder)
        plan = f"{before}{point}:{action}"
        hit = forks.start("commands", faults=plan, folder=str(folder), lines=given)
        ended = hit.wait()
        assert point in hit.passed(), f"{point} was not passed by {flow.name}: {ended.said}"
        assert ended.code == (-signal.SIGKILL if action == "kill" else 0), ended.said
        again = forks.run("commands", folder=str(folder), lines=given, mend=True)
        assert again.code == 0, again.said
        half = [*folder.glob("storage/incoming/*"), *folder.glob("storage/??/*.part")]
        assert half == [] or action == "kill"
        assert leaks(folder, maker.secret) == []
        return max(ended.result or [0]), state(url)


def test_whatever_happens_at_any_named_point_the_end_is_the_same(
    maker: Maker, run: Run
) -> None:
    count = run.rounds(usual=len(CASES), quick=12)
    cases = run.chance().sample(CASES, min(count, len(CASES)))
    flows = {POINTS[point][0] for point, _ in cases}
    expected = {flow: undisturbed(maker, flow) for flow in flows}

    def lane(number: int, share: int) -> list[str]:
        wrong = []
        for each in range(share):
            case = cases[number + each * run.lanes]
            try:
                _, found = disturbed(maker, f"{number}-{each}", case)
            except AssertionError as exc:
                wrong.append(f"{':'.join(case)}: {exc}")
                continue
            wanted = expected[POINTS[case[0]][0]]
            differing = [table for table in TABLES if found[table] != wanted[table]]
            wrong += [f"{':'.join(case)}: {differing}"] if differing else []
        return wrong

    wrong = sum(run.in_lanes(len(cases), lane), [])
    assert wrong == [], "\n".join(wrong)
    kinds = Counter(action.split("=")[0] for _, action in cases)
    run.tell(cases=len(cases), points=len({point for point, _ in cases}), **kinds)
