"""The job queue: each job once, whoever dies, wakes up late or asks twice."""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier

import pytest

from loaders.database import Database, Transaction
from loaders.jobs import Job, JobQueue, NewJob, message_text
from loaders.leases import Leases
from transforms.errors import ConfigError, FenceLost

TOTALS = NewJob("totals:new", {"customer": 123, "cycle": "2025-01-01"}, "123 2025-01-01")
BACKUP = NewJob("totals:backup", {"customer": 123}, "123 2025-01-01")
INSIGHT = NewJob("insight:new", {"customer": 123}, "123 2025-01-01")


def send(database: Database, job: NewJob = TOTALS, run_id: str = "run-1") -> int:
    return database.run(lambda tx: JobQueue(database).enqueue(tx, job, run_id))


def taken(job: Job | None) -> Job:
    assert job is not None
    return job


def complete(
    database: Database, job: Job, chained: Sequence[NewJob] = ()
) -> tuple[int, ...]:
    queue = JobQueue(database)
    return database.run(lambda tx: queue.complete(tx, job, {"ok": 1}, chained))


def count_effect(tx: Transaction, name: str) -> None:
    tx.execute("lease/ensure", name=name)
    tx.execute("lease/signal", name=name)


def test_a_job_keeps_what_it_was_sent_with(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database)

    job = taken(queue.claim("worker-1", 60))

    assert (job.id, job.command, job.work_key) == (job_id, "totals:new", "123 2025-01-01")
    assert job.payload == '{"customer": 123, "cycle": "2025-01-01"}'
    assert (job.run_id, job.parent_id) == ("run-1", None)
    assert (job.status, job.owner, job.fence) == ("running", "worker-1", 1)
    assert (job.attempts, job.max_attempts, job.message) == (1, 5, None)
    assert job.lease_until is not None
    assert job.started_at is not None
    assert 59 < (job.lease_until - job.started_at).total_seconds() < 61


def test_the_same_work_sent_twice_is_one_job(database: Database) -> None:
    first = send(database)

    assert send(database) == first
    assert send(database, BACKUP) != first
    taken(JobQueue(database).claim("worker-1", 60))
    assert send(database) == first


def test_work_that_ended_may_be_sent_again(database: Database) -> None:
    queue = JobQueue(database)
    first = send(database)
    complete(database, taken(queue.claim("worker-1", 60)))
    second = send(database)
    queue.fail(taken(queue.claim("worker-1", 60)), "no rate plan")
    third = send(database)

    assert len({first, second, third}) == 3


def test_a_sender_who_rolls_back_has_sent_nothing(database: Database) -> None:
    queue = JobQueue(database)

    def send_and_break() -> None:
        with database.transaction() as tx:
            queue.enqueue(tx, TOTALS, "run-1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        send_and_break()
    assert queue.waiting_count() == 0


def test_two_keys_longer_than_the_index_stay_two(database: Database) -> None:
    one = send(database, NewJob("import", {}, "x" * 500 + "1"))
    two = send(database, NewJob("import", {}, "x" * 500 + "2"))
    again = send(database, NewJob("import", {}, "x" * 500 + "1"))

    assert one == again != two


def test_of_two_workers_claiming_together_one_gets_the_job(database: Database) -> None:
    queue = JobQueue(database)
    for round_no in range(8):
        send(database, NewJob("import", {}, str(round_no)))
        together = Barrier(2)

        def ask(owner: str, together: Barrier = together) -> Job | None:
            together.wait()
            return queue.claim(owner, 60)

        with ThreadPoolExecutor(2) as pool:
            claims = list(pool.map(ask, ("worker-1", "worker-2")))
        assert [claim is None for claim in claims].count(False) == 1


def test_eight_workers_do_sixty_jobs_sent_twice_once_each(database: Database) -> None:
    queue = JobQueue(database)
    jobs = [NewJob("import", {"n": n}, str(n)) for n in range(60)]
    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(lambda job: send(database, job), jobs + jobs))

    def work(owner: str) -> int:
        worked = 0
        while job := queue.claim(owner, 60):
            database.run(partial(_effect_and_complete, queue, job))
            worked += 1
        return worked

    with ThreadPoolExecutor(8) as pool:
        worked = list(pool.map(work, [f"worker-{n}" for n in range(8)]))

    assert ids[:60] == ids[60:]
    assert sum(worked) == 60
    assert {job.status for job in queue.list(limit=500)} == {"done"}
    effects = [Leases(database).signals(f"effect {n}") for n in range(60)]
    assert effects == [1] * 60


def _effect_and_complete(queue: JobQueue, job: Job, tx: Transaction) -> None:
    count_effect(tx, f"effect {job.work_key}")
    queue.complete(tx, job, {})


def test_fifty_who_send_the_same_work_together_send_one_job(database: Database) -> None:
    together = Barrier(10)

    def ask(_: int) -> int:
        together.wait()
        return send(database)

    with ThreadPoolExecutor(10) as pool:
        ids = set(pool.map(ask, range(50)))

    assert len(ids) == 1
    assert JobQueue(database).waiting_count() == 1


def test_an_ended_lease_is_taken_over_and_the_old_owner_refused(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    old = taken(queue.claim("worker-1", 0.1))
    time.sleep(0.2)
    new = taken(queue.claim("worker-2", 60))

    def late_write() -> None:
        with database.transaction() as tx:
            count_effect(tx, "written late")
            queue.require_fence(tx, old)

    assert (new.id, new.fence, new.attempts) == (old.id, 2, 2)
    assert new.message == "owner worker-1 lost; taken over by worker-2"
    with pytest.raises(FenceLost, match=r"job \d+ totals:new \(fence 1\) is no longer"):
        late_write()
    assert Leases(database).signals("written late") == 0
    with pytest.raises(FenceLost):
        complete(database, old, [BACKUP])
    with pytest.raises(FenceLost):
        queue.heartbeat(old, 60)
    with pytest.raises(FenceLost):
        queue.fail(old, "late")
    assert queue.find(new.id).status == "running"
    assert complete(database, new) == ()


def test_an_old_fence_is_refused_also_under_the_same_name(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    old = taken(queue.claim("worker-1", 0.1))
    time.sleep(0.2)
    new = taken(queue.claim("worker-1", 60))

    def prove_the_old() -> None:
        with database.transaction() as tx:
            queue.require_fence(tx, old)

    for refused in (
        prove_the_old,
        partial(complete, database, old),
        partial(queue.heartbeat, old, 60),
        partial(queue.postpone, old, 0, "late"),
        partial(queue.fail, old, "late"),
    ):
        with pytest.raises(FenceLost):
            refused()
    assert queue.find(new.id) == new


def test_a_live_lease_is_not_taken_over(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 0.2))
    queue.heartbeat(job, 60)
    time.sleep(0.3)

    assert queue.claim("worker-2", 60) is None
    assert queue.claim_one(job.id, "worker-2", 60) is None


def test_a_job_that_kills_each_worker_fails_after_its_attempts(database: Database) -> None:
    queue = JobQueue(database)
    poison = send(database, NewJob("import", {}, "poison", max_attempts=2))
    other = send(database, NewJob("import", {}, "good"))
    for owner in ("worker-1", "worker-2"):
        assert taken(queue.claim_one(poison, owner, 0.05)).id == poison
        time.sleep(0.1)

    assert taken(queue.claim("worker-3", 60)).id == other
    assert queue.claim("worker-3", 60) is None
    buried = queue.find(poison)
    assert (buried.status, buried.attempts) == ("failed", 2)
    assert buried.message == "gave up after 2 attempts; owner worker-2 lost"


def test_a_job_tried_again_too_often_fails_with_its_last_reason(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database, NewJob("import", {}, "x", max_attempts=2))

    queue.retry_later(taken(queue.claim("worker-1", 60)), "provider away", 0)
    once = queue.find(job_id)
    queue.retry_later(taken(queue.claim("worker-1", 60)), "provider still away", 0)
    twice = queue.find(job_id)

    assert (once.status, once.attempts, once.message) == ("waiting", 1, "provider away")
    assert twice.status == "failed"
    assert twice.message == "gave up after 2 attempts; last: provider still away"


def test_completing_stores_the_chain_with_it(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 60))

    followers = complete(database, job, [BACKUP, INSIGHT])

    chain = queue.chain("run-1")
    assert [each.command for each in chain] == [
        "totals:new", "totals:backup", "insight:new"
    ]  # fmt: skip
    assert [each.status for each in chain] == ["done", "waiting", "waiting"]
    assert [each.parent_id for each in chain] == [None, job.id, job.id]
    assert followers == tuple(each.id for each in chain[1:]) == queue.children(job.id)
    assert chain[0].result == '{"ok": 1}'
    assert chain[0].finished_at is not None


def test_a_completion_that_breaks_off_stores_neither(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 60))

    def complete_and_break() -> None:
        with database.transaction() as tx:
            queue.complete(tx, job, {}, [BACKUP])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        complete_and_break()
    assert [each.status for each in queue.chain("run-1")] == ["running"]


def test_completing_again_after_a_lost_answer_changes_nothing(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 60))

    first = complete(database, job, [BACKUP])

    assert complete(database, job, [BACKUP]) == first
    assert len(queue.chain("run-1")) == 2


def test_a_job_that_is_not_ready_waits_without_using_an_attempt(database: Database) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 60))

    queue.postpone(job, 600, "the provider is still collecting")

    waiting = queue.find(job.id)
    assert (waiting.status, waiting.attempts, waiting.owner) == ("waiting", 0, None)
    assert waiting.message == "the provider is still collecting"
    assert queue.claim("worker-2", 60) is None
    assert taken(queue.claim_one(job.id, "worker-2", 60)).fence == 2


def test_a_worker_that_stops_hands_its_job_to_the_next(database: Database) -> None:
    queue = JobQueue(database)
    send(database)

    queue.hand_back(taken(queue.claim("worker-1", 60)))

    job = taken(queue.claim("worker-2", 60))
    assert (job.attempts, job.message) == (1, "handed back by worker-1, which stopped")


def test_a_job_sent_for_later_is_not_due_now(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database, NewJob("import", {}, "later", delay_s=600))

    assert queue.claim("worker-1", 60) is None
    queue.retry(job_id)
    assert taken(queue.claim("worker-1", 60)).id == job_id


def test_a_claim_may_be_for_some_commands_or_one_run(database: Database) -> None:
    queue = JobQueue(database)
    totals = send(database, TOTALS, "run-1")
    backup = send(database, BACKUP, "run-2")

    assert queue.claim("worker-1", 60, commands=["invoice:new"]) is None
    assert queue.claim("worker-1", 60, commands=[]) is None
    assert taken(queue.claim("worker-1", 60, run_id="run-2")).id == backup
    assert taken(queue.claim("worker-1", 60, commands=["totals:new"])).id == totals


def test_a_job_unlocked_by_hand_runs_again_and_its_owner_is_refused(
    database: Database,
) -> None:
    queue = JobQueue(database)
    send(database)
    job = taken(queue.claim("worker-1", 60))

    was = queue.unlock(job.id)

    assert (was.owner, was.started_at) == ("worker-1", job.started_at)
    with pytest.raises(FenceLost):
        complete(database, job)
    again = taken(queue.claim("worker-2", 60))
    assert (again.fence, again.message) == (3, "unlocked by hand; was with owner worker-1")


def test_only_a_running_job_is_unlocked(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database)

    with pytest.raises(ConfigError, match="is waiting, not running"):
        queue.unlock(job_id)
    with pytest.raises(ConfigError, match="there is no job 4711"):
        queue.unlock(4711)


def test_a_failed_job_tried_by_hand_has_all_its_attempts_again(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database)
    queue.fail(taken(queue.claim("worker-1", 60)), "disk full")

    queue.retry(job_id)

    job = taken(queue.claim("worker-1", 60))
    assert (job.id, job.attempts, job.message) == (job_id, 1, "disk full")
    assert send(database) == job_id


def test_a_failed_job_is_not_tried_beside_its_like(database: Database) -> None:
    queue = JobQueue(database)
    failed = send(database)
    queue.fail(taken(queue.claim("worker-1", 60)), "disk full")
    newer = send(database)

    with pytest.raises(ConfigError, match=f"same work is queued as job {newer}"):
        queue.retry(failed)


def test_a_running_or_done_job_is_not_tried_again(database: Database) -> None:
    queue = JobQueue(database)
    job_id = send(database)
    job = taken(queue.claim("worker-1", 60))
    with pytest.raises(ConfigError, match="is running"):
        queue.retry(job_id)
    complete(database, job)
    with pytest.raises(ConfigError, match="is done"):
        queue.retry(job_id)


def test_the_list_shows_the_newest_first_and_may_be_narrowed(database: Database) -> None:
    queue = JobQueue(database)
    first, second = send(database, TOTALS), send(database, BACKUP)
    queue.fail(taken(queue.claim_one(first, "worker-1", 60)), "no rate plan")

    assert [job.id for job in queue.list()] == [second, first]
    assert [job.id for job in queue.list(status="failed")] == [first]
    assert [job.id for job in queue.list(command="totals:backup")] == [second]
    assert [job.id for job in queue.list(limit=1)] == [second]
    assert queue.waiting_count() == 1


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("disk full", "disk full"),
        ("two\nlines\r\x1b[31mred", r"two\nlines\r\x1b[31mred"),
        ("half an emoji \ud83d", r"half an emoji \ud83d"),
        ("reversed \u202e name", r"reversed \u202e name"),
        (
            "caf\u00e9 \U0001f600 'quoted' %s :name",
            "caf\u00e9 \U0001f600 'quoted' %s :name",
        ),
    ],
)
def test_a_message_is_kept_on_one_safe_line(
    database: Database, text: str, kept: str
) -> None:
    queue = JobQueue(database)
    job_id = send(database)

    queue.fail(taken(queue.claim("worker-1", 60)), text)

    assert queue.find(job_id).message == kept


def test_a_message_is_cut_at_four_thousand_characters() -> None:
    assert message_text("x" * 4000) == "x" * 4000
    assert message_text("x" * 1_000_000) == "x" * 3999 + "…"
    assert len(message_text("\n" * 4000)) == 4000
