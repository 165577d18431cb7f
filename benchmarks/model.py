"""``python -m benchmarks.model``: what a million records cost, stage by stage.

Effects: a temporary database server and folder, removed afterwards. docs/scale.md reckons
with what this prints. With ``--executors`` also what executors make of several deliveries.
 Processor time is told, ours and the server's, because it says what
a machine must have; how long it took is told beside it, for a machine that was as busy as
its load average says.

Units: ``_s`` seconds.
"""

import argparse
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Final

# MySQL's driver has to be loaded before anything that loads pyarrow (loaders.open).
from loaders.open import prepare_driver

prepare_driver("mysql+mysqlconnector://nobody@localhost/nothing")

import polars as pl  # noqa: E402 - see above
from sqlalchemy.engine import make_url  # noqa: E402

from benchmarks.world import World, run_etl, world  # noqa: E402
from etl.app import App  # noqa: E402
from etl.chains import DispatchTotals  # noqa: E402
from etl.early_reading import Early  # noqa: E402
from etl.executors import make_executor  # noqa: E402
from etl.generate import Demand, generate_routit  # noqa: E402
from etl.handlers import bus_of  # noqa: E402
from etl.importing import OF_SPOOL, nothing_follows  # noqa: E402
from etl.profiles import load_profile  # noqa: E402
from etl.registering import register_stored  # noqa: E402
from etl.settings import load_settings  # noqa: E402
from etl.spool import Spool  # noqa: E402
from loaders.imports import ImportRow  # noqa: E402
from transforms.profile import Profile  # noqa: E402
from transforms.totals import PAIRS  # noqa: E402

USUAL_ROWS: Final = 300_000
DELIVERIES: Final = 4
LEASE_S: Final = 3600
LATE_DAYS: Final = 62
OF_THE_DELIVERY: Final = (datetime(2026, 10, 1), datetime(2026, 11, 1))  # noqa: DTZ001 - naive UTC
TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Cost:
    """What a stage cost: processor time of ours and of the server, and how long it took."""

    ours_s: float
    server_s: float
    took_s: float


class Bench:
    """Measures stages of work on one database."""

    def __init__(self, made: World, app: App, server_pid: int) -> None:
        self.made = made
        self.app = app
        self._server = Path(f"/proc/{server_pid}/stat")

    def cost(self, work: Callable[[], object]) -> Cost:
        """Do a stage once."""
        ours, server, began = time.process_time(), self._server_s(), time.perf_counter()
        work()
        return Cost(
            time.process_time() - ours,
            self._server_s() - server,
            time.perf_counter() - began,
        )

    def _server_s(self) -> float:
        fields = self._server.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS_A_SECOND


def main() -> None:
    """Measure every stage and print a table for docs/scale.md."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.model", description=__doc__)
    parser.add_argument("--rows", type=int, default=USUAL_ROWS, help="records")
    parser.add_argument(
        "--executors", nargs="*", default=(), help="also whole commands on these"
    )
    given = parser.parse_args()
    rows = given.rows
    busy = os.getloadavg()[0]
    with world(rows) as made, made.mariadb() as url, _app(made, url) as app:
        server = made.server("memory")
        bench = Bench(made, app, server.pid)
        costs = dict(_stages(bench))
        print(f"{rows:,} records, {made.customers:,} customers, load average {busy:.1f}\n")
        print("| stage | ours, s a million | server, s a million | took, s a million |")
        print("|---|---|---|---|")
        for name, cost in costs.items():
            told = (cost.ours_s, cost.server_s, cost.took_s)
            print(f"| {name} | {' | '.join(f'{each / rows * 1e6:.1f}' for each in told)} |")
        data = server.folder / "data" / str(make_url(url).database)
        table = (data / "call_detail_record.ibd").stat().st_size
        packed = made.delivery.path.stat().st_size
        parquet = (made.folder / "archive.parquet").stat().st_size
        print(f"\nbytes a record: {packed / rows:.0f} in the ZIP, {table / rows:.0f} in")
        print(f"call_detail_record with its indexes, {parquet / rows:.0f} in Parquet")
        if given.executors:
            _compare(made, given.executors)


@contextmanager
def _app(made: World, url: str) -> Iterator[App]:
    with App(load_settings(database_url=url, storage=str(made.storage()))) as app:
        yield app


def _stages(bench: Bench) -> Iterator[tuple[str, Cost]]:
    app, made = bench.app, bench.made
    profile = load_profile("routit")
    stored = app.storage.keep(made.delivery.path, limit_bytes=1 << 40)
    row = register_stored(app.imports, stored, made.delivery.path.name, profile)
    app.importer()  # asks the server whether it is fit, once
    with make_executor("threads:1") as executor:
        reader = replace(app.early_reader(profile, "routit"), executor=executor)
        with reader:
            early: list[Early | None] = []
            reading = bench.cost(lambda: early.append(reader.end(reader.begin(row))))
            yield "read a delivery (anywhere, before its turn)", reading
            _archive(early[0], made.folder)
            loading = bench.cost(lambda: _load(app, row, profile, early[0]))
            yield "load it (one provider's deliveries in turn)", loading
    yield (
        "look for stored keys (of the late days, each import)",
        bench.cost(lambda: _known_keys(app)),
    )
    yield "read and add up totals (shares)", bench.cost(lambda: _share(app))
    yield (
        "totals:dispatch in all, with its chain",
        bench.cost(lambda: bus_of(app).run(DispatchTotals())),
    )


def _compare(made: World, specs: Sequence[str]) -> None:
    """Import several deliveries and make their totals on each executor, whole commands."""
    folder = made.folder / "several"
    folder.mkdir()
    size = made.rows // DELIVERIES
    files = [
        generate_routit(
            folder, Demand(size, made.customers, period=f"20260{number + 6}", seed=number)
        ).path
        for number in range(DELIVERIES)
    ]
    print(f"\n{DELIVERIES} deliveries of {size:,} records, whole commands\n")
    print("| executor | import, s | processor, s | totals, s | processor, s |")
    print("|---|---|---|---|---|")
    for spec in specs:
        with made.mariadb() as url:
            told = []
            words = ("import", *map(str, files), "--provider", "routit")
            for command in (words, ("totals:dispatch",)):
                before = _children_s()
                ended = run_etl(
                    *command, database_url=url, storage=made.storage(), executor=spec
                )
                told += [ended.seconds, _children_s() - before]
        print(f"| {spec} | {' | '.join(f'{each:.1f}' for each in told)} |")


def _children_s() -> float:
    times = os.times()
    return times.children_user + times.children_system


def _archive(early: Early | None, folder: Path) -> None:
    """Write what was read as Parquet, without its raw lines, to see how large it is."""
    if early is None:
        message = "the delivery could not be read"
        raise RuntimeError(message)
    kinds = {kind: each for kind, each in early.was.spooled.items() if "owned" in kind}
    place = folder / "looking"
    place.mkdir()
    for kind in kinds:
        (place / f"{kind}.arrows").hardlink_to(Path(early.was.folder) / f"{kind}.arrows")
    taken = folder / "taken"
    taken.mkdir()
    with Spool(taken) as spool:
        spool.take_over(place, kinds)
        frames = [frame for kind in kinds for frame in spool.frames(kind, OF_SPOOL)]
    pl.concat(frames).sort("customer_id", "call_date").write_parquet(
        folder / "archive.parquet", compression="zstd"
    )


def _load(app: App, row: ImportRow, profile: Profile, early: Early | None) -> None:
    done = app.importer().import_stored(row, profile, nothing_follows, early)
    if done.status != "done":
        raise RuntimeError(done.message)


def _known_keys(app: App) -> None:
    none = pl.Series("fingerprint", [], dtype=pl.Int64)
    for _ in app.imports.known_keys("routit", *OF_THE_DELIVERY, LATE_DAYS, none):
        pass


def _share(app: App) -> None:
    lease = app.leases.acquire("totals", app.owner, LEASE_S)
    try:
        pairs = app.totals.dirty().select(list(PAIRS))
        app.totals_work.share(pairs, lease)
    finally:
        app.leases.release(lease)


if __name__ == "__main__":
    main()
