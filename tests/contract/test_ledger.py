"""What every ledger promises, on every adapter: Redis today."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from engine.job import JobPhase, JobState, TaskKind, TaskState
from engine.jobs import TaskFilter
from engine.ledger import Verdict
from tests.support.house import RedisHouse, house_over
from tests.support.jobs import BROKEN, TENANT, claim_of, inline_job, outcome_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    return house_over(redis)


async def test_a_job_runs_from_map_over_reduce_to_its_result(house: RedisHouse) -> None:
    job = await house.run_to_the_end(inline_job())

    assert job.status.state is JobState.SUCCEEDED
    assert job.status.phase is JobPhase.DONE
    assert job.status.ratio == 1
    assert job.status.result == [{"key": "a"}]
    assert job.status.items.succeeded == job.status.items.total == 2
    assert job.finished_at is not None


async def test_a_map_only_job_has_no_reduce(house: RedisHouse) -> None:
    new = inline_job(batches=1, map_only=True)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))

    finish = await house.take(claim_of(new.id, "finish-0"))

    assert [piece.name for piece in finish.inputs] == [f"jobs/{new.id}/map-0-a1"]


async def test_the_version_rises_by_one_with_every_change(house: RedisHouse) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    versions = [(await house.job(new.id)).status.version]
    for task in ("map-0", "reduce-0", "finish-0"):
        await house.ledger.claim(claim_of(new.id, task), worker="w1")
        versions.append((await house.job(new.id)).status.version)
        await house.ledger.commit(claim_of(new.id, task), outcome_of(claim_of(new.id, task)))
        versions.append((await house.job(new.id)).status.version)

    assert versions == list(range(1, 8))


async def test_only_one_worker_gets_a_task(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is not None
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w2") is None


async def test_a_worker_whose_claim_was_answered_in_vain_may_ask_again(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first = await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") == first
    assert (await house.job(new.id)).status.map.running == 1


async def test_a_commit_counts_once_however_often_it_is_sent(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.do(claim)

    assert await house.ledger.commit(claim, outcome_of(claim)) is Verdict.REPEATED

    status = (await house.job(new.id)).status
    assert (status.map.succeeded, status.items.succeeded, status.bytes_read) == (1, 1, 5)


async def test_a_lost_attempt_is_tried_again_and_cannot_commit_any_more(house: RedisHouse) -> None:
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


async def test_a_renewed_lease_is_not_swept(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.dying.claim(claim, worker="slow")

    assert list(await house.leases.renew([claim], worker="slow")) == []

    assert await house.ledger.sweep() == 0


async def test_renewing_tells_which_attempts_are_lost(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, kept = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.dying.claim(lost, worker="w1")
    await house.ledger.claim(kept, worker="w1")
    await house.ledger.sweep()

    assert list(await house.leases.renew([lost, kept], worker="w1")) == [lost]


async def test_a_task_that_is_lost_too_often_fails_the_job(house: RedisHouse) -> None:
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
    house: RedisHouse,
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


async def test_a_hopeless_attempt_fails_the_job_at_once(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")
    await house.ledger.claim(claim_of(new.id, "map-1"), worker="w2")
    hopeless = type(BROKEN)(code="INVALID_RECORD", message="not UTF-8")

    await house.ledger.fail(claim_of(new.id, "map-0"), hopeless)

    assert (await house.job(new.id)).status.state is JobState.FAILED
    other = claim_of(new.id, "map-1")
    assert await house.ledger.commit(other, outcome_of(other)) is Verdict.FENCED


async def test_a_released_task_is_dispatched_again_without_a_charge(house: RedisHouse) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    for number in range(1, 6):
        assert await house.ledger.claim(claim_of(new.id, "map-0", number), worker="w1")
        await house.leases.release(claim_of(new.id, "map-0", number))

    assert await house.do(claim_of(new.id, "map-0", 6)) is Verdict.ACCEPTED


async def test_counters_sum_over_committed_attempts_only(house: RedisHouse) -> None:
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
    house: RedisHouse, redis: Redis
) -> None:
    new = inline_job(batches=5, maxConcurrency=2)
    await house.jobs.accept(new)
    assert await redis.zcard("fanfold:queue:process") == 2

    await house.do(claim_of(new.id, "map-0"))

    assert await redis.zcard("fanfold:queue:process") == 2


async def test_a_claim_takes_the_entry_out_of_the_queue(house: RedisHouse, redis: Redis) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)

    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await redis.zcard("fanfold:queue:process") == 0
    assert await redis.keys("arq:*") == []


async def test_cancelling_an_idle_job_ends_it_at_once(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.cancel(TENANT, new.id, reason="changed my mind")

    status = (await house.job(new.id)).status
    assert (status.state, status.message) == (JobState.CANCELLED, "changed my mind")
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is None


async def test_a_cancelled_job_has_ended_when_nothing_of_it_runs(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.ledger.claim(first, worker="w1")
    await house.ledger.claim(second, worker="w2")

    await house.jobs.cancel(TENANT, new.id, reason=None)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert set(await house.leases.renew([first, second], worker="w1")) == {first, second}
    await house.leases.release(first)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert await house.ledger.commit(second, outcome_of(second)) is Verdict.FENCED

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_a_cancelled_job_ends_though_its_worker_is_dead(house: RedisHouse) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.dying.claim(claim_of(new.id, "map-0"), worker="dead")
    await house.jobs.cancel(TENANT, new.id, reason=None)

    await house.ledger.sweep()

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_cancelling_a_finished_job_changes_nothing(house: RedisHouse) -> None:
    job = await house.run_to_the_end(inline_job())

    await house.jobs.cancel(TENANT, job.id, reason="too late")

    assert await house.job(job.id) == job


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
    house: RedisHouse, steps: list[tuple[str, int, int]]
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
                await house.leases.release(late)
            case "renew":
                await house.leases.renew([late], worker="w1")
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
