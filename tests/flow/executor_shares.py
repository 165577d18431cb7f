"""Tasks that die in the middle of our own work; apart, for they need the whole house."""

import os

from etl.early_reading import ToRead, WasRead, read_early
from etl.totals_shares import Cycle, Place, compute_share
from etl.totals_work import Computed
from tests.flow.executor_tasks import die_once

MARK = "TASK_DIES"
"""The variable that names a file; while it is there, a task is killed."""


def share_that_dies_once(
    place: Place, lease: tuple[str, str, int], cycles: list[Cycle]
) -> Computed:
    """Compute a share of totals, but be killed before the answer, once."""
    computed = compute_share(place, lease, cycles)
    die_once(os.environ[MARK], 0)
    return computed


def reading_that_dies_once(told: ToRead) -> WasRead | str | None:
    """Read a delivery early, but be killed before the answer, once."""
    was = read_early(told)
    die_once(os.environ[MARK], 0)
    return was
