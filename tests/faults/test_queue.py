"""The queue under many workers: each job takes effect once, whoever dies or sleeps."""

import signal
import time

from tests.faults.conftest import Maker, Run
from tests.faults.forks import Child
from tests.faults.work import LEASE_S
from tests.flow.import_world import ask

WORKERS = 8
GROUP = 10
"""Owners that are paused at the same time."""

EFFECTS = "SELECT name, fence FROM lease WHERE name LIKE 'effect %'"


def effects(url: str) -> dict[str, int]:
    """How often each job took effect, by job and by who did it."""
    return {str(name): int(times) for name, times in ask(url, EFFECTS)}


def jobs(url: str) -> dict[str, int]:
    """How many jobs there are in which status."""
    return {
        str(status): int(number)
        for status, number in ask(url, "SELECT status, COUNT(*) FROM job GROUP BY status")
    }


def test_each_job_takes_effect_once_though_eight_send_it_and_eight_work_it(
    maker: Maker, run: Run
) -> None:
    count = run.rounds(usual=1000, quick=60)
    numbers = list(range(count))
    with maker.fresh("queue") as url, maker.forks(0) as forks:
        senders = [
            forks.start("send", url, numbers=numbers, seed=run.seed + each)
            for each in range(WORKERS)
        ]
        assert [sender.wait().code for sender in senders] == [0] * WORKERS
        assert jobs(url) == {"waiting": count}

        began_s = time.monotonic()
        workers = [
            forks.start("work", url, who=f"w{each}", resend=numbers, seed=run.seed + each)
            for each in range(WORKERS)
        ]
        ended = [worker.wait() for worker in workers]
        seconds = time.monotonic() - began_s

        assert [each.code for each in ended] == [0] * WORKERS
        done = jobs(url)
        assert list(done) == ["done"]
        took_effect = effects(url)
        assert sorted(took_effect.values()) == [1] * done["done"]
        assert len({name.split()[1] for name in took_effect}) == done["done"]
        keys = ask(url, "SELECT COUNT(DISTINCT work_key) FROM job")
        assert keys == [(count,)]
        assert sum(each.result.get("done", 0) for each in ended) == done["done"]
        run.tell(
            jobs_sent=WORKERS * count,
            were_stored_first=count,
            took_effect=len(took_effect),
            jobs_a_second=round(done["done"] / seconds),
        )


def test_workers_killed_at_any_moment_leave_each_job_done_once(
    maker: Maker, run: Run
) -> None:
    kills = run.rounds(usual=100, quick=10)
    count = kills * 10
    chance = run.chance()
    killed = 0
    with maker.fresh("queue") as url, maker.forks(0) as forks:
        assert forks.run("send", url, numbers=list(range(count)), seed=1).code == 0

        def worker() -> Child:
            return forks.start("work_to_the_end", url, who="w", pause_s=0.01)

        crew = [worker() for _ in range(WORKERS)]
        while killed < kills and jobs(url).keys() - {"done"}:
            time.sleep(chance.uniform(0, 0.1))
            at = chance.randrange(WORKERS)
            crew[at].signal(signal.SIGKILL)
            killed += crew[at].wait().code == -signal.SIGKILL
            crew[at] = worker()
        codes = [each.wait().code for each in crew]

        assert codes == [0] * WORKERS
        assert jobs(url) == {"done": count}
        assert sorted(effects(url).values()) == [1] * count
        taken_over = ask(url, "SELECT COUNT(*) FROM job WHERE fence > 1")[0][0]
        run.tell(workers_killed=killed, jobs=count, of_them_taken_over=taken_over)


def pause(owner: Child) -> None:
    """Stop an owner that has a job in hand, and no transaction open."""
    assert owner.wait_for("owner_in_hand")
    while True:
        owner.signal(signal.SIGSTOP)
        passed = owner.passed()
        if passed.count("before_heartbeat") == passed.count("after_heartbeat"):
            return
        owner.signal(signal.SIGCONT)
        time.sleep(0.01)


def test_an_owner_paused_past_its_lease_commits_nothing(maker: Maker, run: Run) -> None:
    count = run.rounds(usual=100, quick=10)
    with maker.fresh("queue") as url, maker.forks(0) as forks:
        lost = 0
        for first in range(0, count, GROUP):
            go = maker.folder / f"go-{first}"
            numbers = range(first, min(first + GROUP, count))
            owners = [forks.start("own", url, number=each, go=str(go)) for each in numbers]
            for owner in owners:
                pause(owner)
            time.sleep(LEASE_S + 0.05)
            assert forks.run("work_to_the_end", url, who="second").code == 0
            go.touch()
            for owner in owners:
                owner.signal(signal.SIGCONT)
            lost += sum(owner.wait().result["status"] == "lost" for owner in owners)

        assert lost == count
        assert jobs(url) == {"done": count}
        by = effects(url)
        assert [name for name in by if name.endswith("first")] == []
        assert sorted(by.values()) == [1] * count
        assert ask(url, "SELECT DISTINCT fence FROM job") == [(2,)]
        run.tell(owners_paused=count, stale_commits=0)


def test_a_job_that_kills_its_worker_is_given_up_and_the_others_are_done(
    maker: Maker, run: Run
) -> None:
    count = run.rounds(usual=10, quick=2)
    good = 20 * count
    poison = list(range(good, good + count))
    deaths = 0
    with maker.fresh("queue") as url, maker.forks(0) as forks:
        sent = forks.run(
            "send", url, numbers=list(range(good + count)), seed=1, poison=poison
        )
        assert sent.code == 0
        crew = [forks.start("work_to_the_end", url, who="w") for _ in range(3)]
        while crew:
            time.sleep(0.01)
            for each in [one for one in crew if one.has_ended()]:
                crew.remove(each)
                if each.wait().code == -signal.SIGKILL:
                    deaths += 1
                    crew.append(forks.start("work_to_the_end", url, who="w"))

        assert deaths == 5 * count
        assert jobs(url) == {"done": good, "failed": count}
        assert sorted(effects(url).values()) == [1] * good
        failed = ask(
            url, "SELECT work_key, attempts, message FROM job WHERE status = 'failed'"
        )
        assert sorted(int(key) for key, _, _ in failed) == poison
        assert {attempts for _, attempts, _ in failed} == {5}
        assert all(
            str(told).startswith("gave up after 5 attempts; owner w:")
            for _, _, told in failed
        )
        run.tell(poisonous_jobs_given_up=count, workers_they_killed=deaths)
