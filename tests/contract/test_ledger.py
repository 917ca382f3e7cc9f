"""What every ledger promises, on every adapter: Redis today."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from adapters.redis_jobs import RedisJobs
from adapters.redis_ledger import RedisLedger
from engine.errors import IdempotencyConflictError, NotFoundError
from engine.job import Job, JobId, JobPhase, JobState, TaskKind, TaskState
from engine.jobs import JobFilter, NewJob, TaskFilter
from engine.ledger import Claim, Verdict
from tests.support.jobs import BROKEN, TENANT, claim_of, files_job, inline_job, outcome_of

pytestmark = pytest.mark.anyio

LONG_LEASE_MS = 60_000


@dataclass
class House:
    """A job store and ledgers over the same store: one with living workers, one with dead ones."""

    jobs: RedisJobs
    ledger: RedisLedger
    dying: RedisLedger

    async def job(self, job: JobId, tenant: str = TENANT) -> Job:
        [found] = await self.jobs.get(tenant, [job])
        assert found is not None
        return found

    async def do(self, claim: Claim, *, worker: str = "w1") -> Verdict:
        assert await self.ledger.claim(claim, worker=worker) is not None
        return await self.ledger.commit(claim, outcome_of(claim))

    async def run_to_the_end(self, new: NewJob) -> Job:
        await self.jobs.accept(new)
        for task in ("map-0", "map-1", "reduce-0", "finish-0"):
            assert await self.do(claim_of(new.id, task)) is Verdict.ACCEPTED
        return await self.job(new.id)


@pytest.fixture
async def house(redis: Redis) -> House:
    return House(
        jobs=RedisJobs(redis),
        ledger=RedisLedger(redis, lease_ms=LONG_LEASE_MS),
        dying=RedisLedger(redis, lease_ms=0),
    )


async def test_a_job_runs_from_map_over_reduce_to_its_result(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    assert job.status.state is JobState.SUCCEEDED
    assert job.status.phase is JobPhase.DONE
    assert job.status.ratio == 1
    assert job.status.result == [{"key": "a"}]
    assert job.status.items.succeeded == job.status.items.total == 2
    assert job.finished_at is not None


async def test_a_plan_task_brings_the_batches(house: House) -> None:
    new = files_job()
    await house.jobs.accept(new)

    assert await house.do(claim_of(new.id, "plan-0")) is Verdict.ACCEPTED

    status = (await house.job(new.id)).status
    assert (status.phase, status.map.total, status.reduce.total) == (JobPhase.MAP, 2, 1)
    attempt = await house.ledger.claim(claim_of(new.id, "map-1"), worker="w1")
    assert attempt is not None
    assert attempt.batch is not None
    assert attempt.batch.items == ("b",)


async def test_a_plan_without_batches_goes_straight_to_reduce(house: House) -> None:
    new = inline_job(batches=0)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.map.total == 0
    assert await house.do(claim_of(new.id, "reduce-0")) is Verdict.ACCEPTED


async def test_a_map_only_job_has_no_reduce(house: House) -> None:
    new = inline_job(batches=1, map_only=True)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))

    finish = await house.ledger.claim(claim_of(new.id, "finish-0"), worker="w1")

    assert finish is not None
    assert [piece.name for piece in finish.inputs] == [f"jobs/{new.id}/map-0-a1"]


async def test_a_reduce_task_gets_the_committed_pieces_in_task_order(house: House) -> None:
    new = inline_job(batches=12)
    await house.jobs.accept(new)
    for index in reversed(range(12)):
        await house.do(claim_of(new.id, f"map-{index}"))

    attempt = await house.ledger.claim(claim_of(new.id, "reduce-0"), worker="w1")

    assert attempt is not None
    assert [piece.name for piece in attempt.inputs] == [
        f"jobs/{new.id}/map-{index}-a1" for index in range(12)
    ]


async def test_the_version_rises_by_one_with_every_change(house: House) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    versions = [(await house.job(new.id)).status.version]
    for task in ("map-0", "reduce-0", "finish-0"):
        await house.ledger.claim(claim_of(new.id, task), worker="w1")
        versions.append((await house.job(new.id)).status.version)
        await house.ledger.commit(claim_of(new.id, task), outcome_of(claim_of(new.id, task)))
        versions.append((await house.job(new.id)).status.version)

    assert versions == list(range(1, 8))


async def test_only_one_worker_gets_a_task(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is not None
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w2") is None


async def test_a_worker_whose_claim_was_answered_in_vain_may_ask_again(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first = await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") == first
    assert (await house.job(new.id)).status.map.running == 1


async def test_a_commit_counts_once_however_often_it_is_sent(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.do(claim)

    assert await house.ledger.commit(claim, outcome_of(claim)) is Verdict.REPEATED

    status = (await house.job(new.id)).status
    assert (status.map.succeeded, status.items.succeeded, status.bytes_read) == (1, 1, 5)


async def test_a_lost_attempt_is_tried_again_and_cannot_commit_any_more(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-0", 2)
    await house.dying.claim(lost, worker="dead")

    assert await house.ledger.sweep() == 1
    assert await house.ledger.commit(lost, outcome_of(lost)) is Verdict.FENCED
    assert await house.do(second) is Verdict.ACCEPTED
    assert await house.ledger.commit(lost, outcome_of(lost)) is Verdict.FENCED

    status = (await house.job(new.id)).status
    assert (status.map.succeeded, status.map.retried) == (1, 1)


async def test_a_renewed_lease_is_not_swept(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.dying.claim(claim, worker="slow")

    assert list(await house.ledger.renew([claim])) == []

    assert await house.ledger.sweep() == 0


async def test_renewing_tells_which_attempts_are_lost(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, kept = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.dying.claim(lost, worker="w1")
    await house.ledger.claim(kept, worker="w1")
    await house.ledger.sweep()

    assert list(await house.ledger.renew([lost, kept])) == [lost]


async def test_a_task_that_is_lost_too_often_fails_the_job(house: House) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 2})
    await house.jobs.accept(new)
    for number in (1, 2):
        await house.dying.claim(claim_of(new.id, "map-0", number), worker="dead")
        await house.ledger.sweep()

    status = (await house.job(new.id)).status
    assert status.state is JobState.FAILED
    assert status.error is not None
    assert status.error.code == "WORKER_LOST"


async def test_a_failed_attempt_is_tried_again_until_its_attempts_are_used_up(
    house: House,
) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 2, "backoffMs": 0})
    await house.jobs.accept(new)
    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")
    assert await house.ledger.fail(claim_of(new.id, "map-0"), BROKEN) is Verdict.ACCEPTED
    assert (await house.job(new.id)).status.state is JobState.RUNNING
    await house.ledger.claim(claim_of(new.id, "map-0", 2), worker="w1")
    assert await house.ledger.fail(claim_of(new.id, "map-0", 2), BROKEN) is Verdict.ACCEPTED

    status = (await house.job(new.id)).status

    assert status.state is JobState.FAILED
    assert status.error is not None
    assert status.error.message == BROKEN.message
    assert (status.map.failed, status.map.running) == (1, 0)


async def test_a_hopeless_attempt_fails_the_job_at_once(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")
    await house.ledger.claim(claim_of(new.id, "map-1"), worker="w2")
    hopeless = type(BROKEN)(code="INVALID_RECORD", message="not UTF-8")

    await house.ledger.fail(claim_of(new.id, "map-0"), hopeless)

    assert (await house.job(new.id)).status.state is JobState.FAILED
    other = claim_of(new.id, "map-1")
    assert await house.ledger.commit(other, outcome_of(other)) is Verdict.FENCED


async def test_a_released_task_is_dispatched_again_without_a_charge(house: House) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    for number in range(1, 6):
        assert await house.ledger.claim(claim_of(new.id, "map-0", number), worker="w1")
        await house.ledger.release(claim_of(new.id, "map-0", number))

    assert await house.do(claim_of(new.id, "map-0", 6)) is Verdict.ACCEPTED


async def test_counters_sum_over_committed_attempts_only(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-0", 2)
    await house.dying.claim(lost, worker="dead")
    await house.ledger.sweep()
    await house.ledger.commit(lost, outcome_of(lost, counters={"bad": 3}))
    await house.ledger.claim(second, worker="w1")
    await house.ledger.commit(second, outcome_of(second, counters={"bad": 2.5}))

    assert (await house.jobs.details(new.id)).counters == {"bad": 2.5}


async def test_no_more_tasks_are_dispatched_than_the_job_may_run_at_once(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=5, maxConcurrency=2)
    await house.jobs.accept(new)
    assert await redis.zcard("fanfold:queue:process") == 2

    await house.do(claim_of(new.id, "map-0"))

    assert await redis.zcard("fanfold:queue:process") == 2


async def test_a_claim_takes_the_entry_out_of_the_queue(house: House, redis: Redis) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)

    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await redis.zcard("fanfold:queue:process") == 0
    assert await redis.keys("arq:*") == []


async def test_cancelling_an_idle_job_ends_it_at_once(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.cancel(TENANT, new.id, reason="changed my mind")

    status = (await house.job(new.id)).status
    assert (status.state, status.message) == (JobState.CANCELLED, "changed my mind")
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is None


async def test_a_cancelled_job_has_ended_when_nothing_of_it_runs(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.ledger.claim(first, worker="w1")
    await house.ledger.claim(second, worker="w2")

    await house.jobs.cancel(TENANT, new.id, reason=None)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert set(await house.ledger.renew([first, second])) == {first, second}
    await house.ledger.release(first)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert await house.ledger.commit(second, outcome_of(second)) is Verdict.FENCED

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_a_cancelled_job_ends_though_its_worker_is_dead(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.dying.claim(claim_of(new.id, "map-0"), worker="dead")
    await house.jobs.cancel(TENANT, new.id, reason=None)

    await house.ledger.sweep()

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_cancelling_a_finished_job_changes_nothing(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    await house.jobs.cancel(TENANT, job.id, reason="too late")

    assert await house.job(job.id) == job


async def test_a_job_of_another_tenant_cannot_be_seen_or_cancelled(house: House) -> None:
    new = inline_job(tenant="other")
    await house.jobs.accept(new)

    assert await house.jobs.get(TENANT, [new.id]) == [None]
    with pytest.raises(NotFoundError):
        await house.jobs.cancel(TENANT, new.id, reason=None)


async def test_a_job_out_of_time_is_ended(house: House, redis: Redis) -> None:
    new = inline_job(timeoutSeconds=0.001)
    await house.jobs.accept(new)
    await redis.zadd("fanfold:deadlines", {new.id: 1})

    await house.ledger.sweep()

    status = (await house.job(new.id)).status
    assert status.state is JobState.TIMED_OUT
    assert status.error is not None
    assert status.error.code == "JOB_TIMEOUT"


async def test_the_same_key_and_input_give_the_same_job(house: House) -> None:
    first, second = inline_job(idempotencyKey="k"), inline_job(idempotencyKey="k")

    assert (await house.jobs.accept(first)).created
    again = await house.jobs.accept(second)

    assert (again.id, again.created) == (first.id, False)


async def test_the_same_key_with_another_input_is_a_conflict(house: House) -> None:
    first = inline_job(idempotencyKey="k")
    await house.jobs.accept(first)

    with pytest.raises(IdempotencyConflictError) as caught:
        await house.jobs.accept(inline_job(batches=3, idempotencyKey="k"))

    assert caught.value.existing_job_id == first.id


async def test_keys_belong_to_their_tenant(house: House) -> None:
    await house.jobs.accept(inline_job(idempotencyKey="k"))

    assert (await house.jobs.accept(inline_job(tenant="other", idempotencyKey="k"))).created


async def test_accepting_a_job_twice_makes_one_job(house: House, redis: Redis) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.version == 1
    assert await redis.zcard("fanfold:queue:process") == 2


async def test_jobs_are_listed_newest_first_in_pages(house: House) -> None:
    ids = [(await house.jobs.accept(inline_job(tags=[f"t{i % 2}"]))).id for i in range(5)]

    page = await house.jobs.page(TENANT, first=2, after=None, wanted=JobFilter())
    rest = await house.jobs.page(TENANT, first=9, after=page.jobs[-1].id, wanted=JobFilter())
    tagged = await house.jobs.page(
        TENANT, first=9, after=None, wanted=JobFilter(tags=frozenset({"t1"}))
    )

    assert [job.id for job in (*page.jobs, *rest.jobs)] == ids[::-1]
    assert (page.has_next, rest.has_next) == (True, False)
    assert [job.id for job in tagged.jobs] == [ids[3], ids[1]]


async def test_tasks_can_be_looked_at_one_by_one(house: House) -> None:
    new = inline_job(batches=3)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    await house.ledger.claim(claim_of(new.id, "map-1"), worker="w7")

    every = await house.jobs.tasks(new.id, first=10, after=None, wanted=TaskFilter())
    running = await house.jobs.tasks(
        new.id, first=10, after=None, wanted=TaskFilter(TaskKind.MAP, TaskState.RUNNING)
    )

    assert [(task.id, task.state) for task in every.tasks] == [
        ("map-0", TaskState.SUCCEEDED),
        ("map-1", TaskState.RUNNING),
        ("map-2", TaskState.PENDING),
    ]
    assert [task.worker for task in running.tasks] == ["w7"]


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                ["claim"] * 3
                + ["commit", "fail", "release", "renew", "die", "sweep", "sweep", "cancel"]
            ),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        max_size=40,
    )
)
async def test_whatever_happens_counts_add_up_and_every_task_is_committed_once(
    house: House, steps: list[tuple[str, int, int]]
) -> None:
    new = inline_job(batches=3, failurePolicy={"maxAttempts": 100, "backoffMs": 0})
    await house.jobs.accept(new)
    numbers, commits = [1, 1, 1], [0, 0, 0]
    for action, index, lag in steps:
        claim = claim_of(new.id, f"map-{index}", numbers[index])
        late = claim_of(new.id, f"map-{index}", max(1, numbers[index] - lag))
        match action:
            case "claim":
                await house.ledger.claim(claim, worker="w1")
            case "die":
                await house.dying.claim(claim, worker="w2")
            case "commit":
                verdict = await house.ledger.commit(late, outcome_of(late))
                commits[index] += verdict is Verdict.ACCEPTED
            case "fail":
                await house.ledger.fail(late, BROKEN)
            case "release":
                await house.ledger.release(late)
            case "renew":
                await house.ledger.renew([late])
            case "cancel":
                await house.jobs.cancel(TENANT, new.id, reason=None)
            case "sweep":
                await house.ledger.sweep()
        page = await house.jobs.tasks(
            new.id, first=3, after=None, wanted=TaskFilter(kind=TaskKind.MAP)
        )
        numbers = [max(1, task.attempts) for task in page.tasks]
        counts = (await house.job(new.id)).status.map
        assert counts.running == sum(task.state is TaskState.RUNNING for task in page.tasks)
        assert counts.succeeded == sum(commits)
        assert counts.pending + counts.running + counts.succeeded + counts.failed == 3

    assert max(commits) <= 1
