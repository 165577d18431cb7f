"""Scale: ten times the records, the memory that takes, and a table that is full already.

Our own command against itself. ``growth`` imports a delivery and one ten times as large,
each into an empty MariaDB database, and makes the totals of both; ``into-20m`` imports a
delivery into an empty table and into one that holds twenty times as many records of the
months before.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Final

from benchmarks.imports import LOAD, TABLE, LoadFiles, driver_connection
from benchmarks.measuring import Contest, Limit, Ratio, Sample, Side
from benchmarks.totals import require_totals
from benchmarks.world import World, run_etl, world
from loaders.imports import STORED

TIMES: Final = 10
IMPORT_MB: Final = 600
TOTALS_MB: Final = 1500
LINEAR: Final = 0.87
"""Ten times the records in at most 11.5 times the time: linear within 15 %."""

BYTES_A_ROW: Final = 1_200
"""What a record needs at most while it is imported: spool, load file, table and its log."""

MONTHS: Final = 20
EARLIER_IMPORT: Final = 1_000_000
"""Records of the months before belong to imports from this number on."""


@contextmanager
def growth_contest(small: World) -> Iterator[Contest]:
    """Import one and ten deliveries' worth of records and make their totals."""
    with world(small.rows * TIMES, BYTES_A_ROW) as large:
        pairs = [(each, _Run(each)) for each in (small, large)]
        sides = [
            Side(f"etl {what} of {each.rows:,}", getattr(run, method))
            for each, run in pairs
            for what, method in (("import", "imported"), ("totals:dispatch", "totalled"))
        ]
        of_import, of_totals = (
            tuple(side.name for side in sides if word in side.name)
            for word in ("import", "totals")
        )
        yield Contest(
            "growth",
            f"Ten times the records: {small.rows:,} and {large.rows:,}, MariaDB",
            sides,
            [
                Ratio("growth_of_import", of_import[1], of_import[:1], LINEAR),
                Ratio("growth_of_totals", of_totals[1], of_totals[:1], LINEAR),
            ],
            ["Whole processes; there are ten times the customers, too."],
            [
                Limit("memory_of_import", of_import[1], IMPORT_MB),
                Limit("memory_of_totals", of_totals[1], TOTALS_MB),
            ],
        )


class _Run:
    """One import and the totals of it; both are measured in one go."""

    def __init__(self, made: World) -> None:
        self._world = made
        self._totals: Sample | None = None

    def imported(self) -> Sample:
        with self._world.mariadb() as url:
            imported = self._world.import_delivery(url)
            totals = run_etl(
                "totals:dispatch", database_url=url, storage=self._world.storage()
            )
            require_totals(self._world, url)
        self._totals = Sample(totals.seconds, self._world.rows, totals.peak_mb)
        return Sample(imported.seconds, self._world.rows, imported.peak_mb)

    def totalled(self) -> Sample:
        if self._totals is None:
            message = "totals are measured with their import"
            raise RuntimeError(message)
        return self._totals


@contextmanager
def full_table_contest(made: World) -> Iterator[Contest]:
    """Import a delivery into an empty table and into one that is full."""
    before = made.rows * MONTHS

    def empty() -> Sample:
        with made.mariadb() as url:
            ended = made.import_delivery(url)
        return Sample(ended.seconds, made.rows, ended.peak_mb)

    def full() -> Sample:
        with made.mariadb() as url:
            _fill(made, url)
            ended = made.import_delivery(url)
        return Sample(ended.seconds, made.rows, ended.peak_mb)

    yield Contest(
        "into-20m",
        f"An import into a table of {before:,} records, MariaDB",
        [
            Side("etl import, empty table", empty),
            Side(f"etl import, {before:,} records before", full),
        ],
        [
            Ratio(
                "import_into_full_table",
                f"etl import, {before:,} records before",
                ("etl import, empty table",),
                0.8,
            )
        ],
        ["The records before are of the same customers, a month of them each month back."],
    )


def _fill(made: World, url: str) -> None:
    """Put the delivery's records into each of the months before, under other keys."""
    columns = {name: name for name in STORED}
    with (
        closing(driver_connection(url, local_infile=True)) as connection,
        closing(connection.cursor()) as cursor,
    ):
        cursor.execute(f"CREATE TABLE bench_month LIKE {TABLE}")
        cursor.execute(
            LOAD.replace(f"INTO TABLE {TABLE}", "INTO TABLE bench_month"),
            (str(LoadFiles(made).sorted()),),
        )
        for month in range(1, MONTHS + 1):
            moved = columns | {
                "call_date": f"date_sub(call_date, INTERVAL {month} MONTH)",
                "started_at_utc": f"date_sub(started_at_utc, INTERVAL {month} MONTH)",
                "import_id": str(EARLIER_IMPORT + month),
                "record_id": f"concat(record_id, '-{month}')",
                "fingerprint": f"fingerprint ^ {month}",
            }
            cursor.execute(
                f"INSERT INTO {TABLE} ({', '.join(moved)}) "
                f"SELECT {', '.join(moved.values())} FROM bench_month"
            )
            connection.commit()
        cursor.execute("DROP TABLE bench_month")
