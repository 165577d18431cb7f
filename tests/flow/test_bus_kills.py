"""A worker killed at any boundary of a chain is followed by one that ends the same."""

import pytest

from etl import failpoints
from etl.bus import Bus
from loaders.database import Database
from loaders.jobs import JobQueue
from loaders.leases import Leases
from tests import forked
from tests.flow.bus_commands import TOTALS, chain
from transforms.errors import ConfigError

KILLS = (
    ("after_claim:kill", "running"),  # totals claimed, nothing done
    ("before_claim:kill:2", "done waiting"),  # totals done in the handler's own commit
    ("before_complete:kill", "done running"),  # backup took effect, is not completed
    ("in_complete:kill", "done running"),  # completed, but not committed
    ("after_complete:kill", "done done waiting"),
    ("after_claim:kill", "done done running"),
    ("before_claim:kill:2", "done done done"),
)


def worked(url: str, queue: JobQueue, plan: str) -> str:
    """Work in a process of its own; how it ended, and the jobs then, first job first."""
    code = forked.run("tests.flow.bus_commands", url, faults=plan).returncode
    return " ".join([str(code), *(job.status for job in reversed(queue.list()))])


def test_a_chain_killed_at_each_boundary_ends_as_if_undisturbed(
    database: Database, database_url: str
) -> None:
    queue = JobQueue(database)

    plans = [*(plan for plan, _ in KILLS), ""]
    ended = [worked(database_url, queue, plan) for plan in plans]

    jobs = queue.list()
    leases = Leases(database)
    assert ended == [*(f"-9 {chain_then}" for _, chain_then in KILLS), "0 done done done"]
    assert [(job.command, job.status) for job in jobs] == [
        ("insight:new", "done"),
        ("totals:backup", "done"),
        ("totals:new", "done"),
    ]
    assert len({job.run_id for job in jobs}) == 1
    assert leases.signals("totals") == 1
    assert leases.signals("insight") == 1
    assert leases.signals("backup") == 3  # its effect has a commit of its own: done again


@pytest.mark.parametrize("point", ["before_send", "after_send", "after_claim"])
def test_a_command_given_again_after_a_crash_ends_the_same(
    database: Database, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    monkeypatch.setattr(failpoints, "_PLAN", failpoints.fault_plan(f"{point}:raise"))
    with pytest.raises(failpoints.FaultInjectedError):
        Bus(database, chain(), owner="first", lease_s=0).run(TOTALS)

    report = Bus(database, chain(), owner="second", lease_s=60).run(TOTALS)

    leases = Leases(database)
    assert [step.status for step in report.steps] == ["done"] * 3
    assert [leases.signals(name) for name in ("totals", "backup", "insight")] == [1, 1, 1]


def test_a_fault_happens_at_its_hit_only() -> None:
    plan = failpoints.fault_plan("a:raise:2, b:enospc")
    assert plan is not None

    plan.pass_by("a")
    with pytest.raises(failpoints.FaultInjectedError, match="fault at a"):
        plan.pass_by("a")
    plan.pass_by("a")
    with pytest.raises(OSError, match="no space left"):
        plan.pass_by("b")


def test_no_faults_are_no_plan() -> None:
    assert failpoints.fault_plan("") is None


@pytest.mark.parametrize("entry", ["a", "a:explode", "a:kill:soon", ":kill", "a:sleep=x"])
def test_a_fault_that_is_not_one_is_refused(entry: str) -> None:
    with pytest.raises(ConfigError, match="FAULTS: "):
        failpoints.fault_plan(entry)
