"""The curve: our import over batch size, batches in one commit, and connections."""

from functools import partial

from benchmarks.measuring import Contest, Sample, Side
from benchmarks.world import World

BATCH_ROWS = (100, 1_000, 10_000, 100_000)
BATCHES_PER_COMMIT = (1, 10, 50, 200)
CONNECTIONS = (1, 2, 4)


def curve_contest(world: World) -> Contest:
    """Import the delivery under one changed setting after the other."""
    settings: list[tuple[str, dict[str, int]]] = [
        *(
            # About as many rows in a commit, so that only the size of a LOAD changes.
            (
                f"batch of {rows:,}",
                {"batch_rows": rows, "batches_per_commit": max(1, 50_000 // rows)},
            )
            for rows in BATCH_ROWS
        ),
        *(
            (f"{count} batches in a commit", {"batches_per_commit": count})
            for count in BATCHES_PER_COMMIT
        ),
        *(
            (f"{count} connection{'s' * (count > 1)}", {"load_connections": count})
            for count in CONNECTIONS
        ),
    ]
    return Contest(
        "curve-mariadb",
        "Our import by batch size, commit interval and connections, MariaDB",
        [Side(name, partial(_ours, world, given)) for name, given in settings],
        notes=[
            "Where nothing else is said: batches of 1,000, 50 in a commit, 2 connections."
        ],
    )


def _ours(world: World, settings: dict[str, int]) -> Sample:
    with world.mariadb() as url:
        ended = world.import_delivery(url, **settings)
    return Sample(ended.seconds, world.rows, ended.peak_mb)
