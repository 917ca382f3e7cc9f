"""Items that fail for good: how many a job tolerates, and what it then ends as."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from engine.attempt import Outcome
from engine.errors import InvalidStateError, NotFoundError
from engine.job import ItemFailure, JobError, JobId, JobPhase, JobState
from engine.jobs import JobUpdate
from engine.ledger import Claim, Verdict
from tests.support.house import House
from tests.support.jobs import BROKEN, TENANT, claim_of, files_job, inline_job, outcome_of

pytestmark = pytest.mark.anyio

ON_REDIS = pytest.mark.parametrize("house", ["redis"], indirect=True)
"""Of what a queue of our own does."""

HOPELESS = JobError(code="INVALID_RECORD", message="line 3 is no JSON")
FOUND = [outcome_of(claim_of(JobId("j"), "map-0"))]


def job_of(batches: int, *, count: int = 0, percentage: float = 0, **policy: Any) -> Any:
    return inline_job(
        batches=batches,
        failurePolicy={
            "maxAttempts": 1,
            "toleratedFailureCount": count,
            "toleratedFailurePercentage": percentage,
            **policy,
        },
    )


def with_failures(claim: Claim, failed: int) -> Outcome:
    """What a map task gives that set items aside."""
    whole = outcome_of(claim, items=0, counters={"good": 1})
    failures = tuple(ItemFailure(f"inline[{i}]", "item", HOPELESS) for i in range(failed))
    return Outcome(
        items=0, bytes_read=5, piece=whole.piece, counters=whole.counters, failures=failures
    )


async def fail(house: House, job: JobId, task: str, number: int = 1) -> Verdict:
    claim = claim_of(job, task, number)
    await house.take(claim)
    return await house.ledger.fail(claim, HOPELESS, location=f"batch of {task}")


async def finish(house: House, job: JobId, *tasks: str) -> JobState:
    for task in (*tasks, "reduce-0", "finish-0"):
        await house.do(claim_of(job, task))
    return (await house.job(job)).status.state


async def test_a_job_goes_on_without_a_batch_that_it_tolerates(house: House) -> None:
    new = job_of(3, count=1)
    await house.jobs.accept(new)
    await fail(house, new.id, "map-1")

    assert await finish(house, new.id, "map-0", "map-2") is JobState.PARTIALLY_SUCCEEDED

    job = await house.job(new.id)
    assert (job.status.items.succeeded, job.status.items.failed, job.status.items.total) == (
        2,
        1,
        3,
    )
    assert (job.status.map.succeeded, job.status.map.failed) == (2, 1)
    assert job.status.result == [{"key": "a"}]
    page = await house.jobs.failures(new.id, first=10, after=None)
    [failure] = page.failures
    assert (failure.location, failure.error.code) == ("batch of map-1", HOPELESS.code)
    assert page.total == 1


@pytest.mark.parametrize(("count", "percentage"), [(1, 0), (0, 30), (1, 90), (9, 30)])
async def test_one_failure_too_many_ends_the_job_in_the_same_step(
    house: House, count: int, percentage: float
) -> None:
    new = job_of(4, count=count, percentage=percentage)
    await house.jobs.accept(new)
    await fail(house, new.id, "map-0")
    assert (await house.job(new.id)).status.state is JobState.RUNNING

    await fail(house, new.id, "map-1")

    status = (await house.job(new.id)).status
    assert status.state is JobState.FAILED
    assert status.error is not None
    assert (status.error.code, status.error.task_id) == ("TOLERANCE_EXCEEDED", "map-1")
    assert HOPELESS.message in status.error.message
    assert await house.ledger.claim(claim_of(new.id, "map-2"), worker="w1") is None


async def test_without_tolerance_a_job_fails_with_the_error_of_its_task(house: House) -> None:
    new = job_of(2)
    await house.jobs.accept(new)

    await fail(house, new.id, "map-0")

    status = (await house.job(new.id)).status
    assert (status.state, status.error and status.error.code) == (JobState.FAILED, HOPELESS.code)


async def test_items_that_a_task_set_aside_are_counted_and_listed(house: House) -> None:
    new = job_of(2, count=2, badItems="SKIP")
    await house.jobs.accept(new)
    attempt = await house.take(claim_of(new.id, "map-0"))
    assert attempt.isolates

    flawed = claim_of(new.id, "map-0")
    assert await house.ledger.commit(flawed, with_failures(flawed, 2)) is Verdict.ACCEPTED

    assert await finish(house, new.id, "map-1") is JobState.PARTIALLY_SUCCEEDED
    page = await house.jobs.failures(new.id, first=1, after=None)
    assert ([f.location for f in page.failures], page.total, page.has_next) == (
        ["inline[0]"],
        2,
        True,
    )
    page = await house.jobs.failures(new.id, first=5, after=0)
    assert [f.location for f in page.failures] == ["inline[1]"]


async def test_items_set_aside_beyond_the_tolerance_end_the_job(house: House) -> None:
    new = job_of(2, count=1, badItems="SKIP")
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.take(claim)

    await house.ledger.commit(claim, with_failures(claim, 2))

    status = (await house.job(new.id)).status
    assert (status.state, status.phase) == (JobState.FAILED, JobPhase.DONE)
    assert status.error is not None
    assert status.error.code == "TOLERANCE_EXCEEDED"


async def test_only_the_last_try_isolates(house: House) -> None:
    new = job_of(1, count=1, badItems="SKIP", maxAttempts=3, backoffMs=0)
    await house.jobs.accept(new)
    isolates = []
    for number in (1, 2):
        claim = claim_of(new.id, "map-0", number)
        isolates.append((await house.take(claim)).isolates)
        await house.ledger.fail(claim, BROKEN)
    isolates.append((await house.take(claim_of(new.id, "map-0", 3))).isolates)

    assert isolates == [False, False, True]


async def test_what_fails_for_good_is_isolated_at_once(house: House) -> None:
    new = job_of(1, count=1, badItems="SKIP", maxAttempts=9)
    await house.jobs.accept(new)

    await fail(house, new.id, "map-0")

    assert (await house.take(claim_of(new.id, "map-0", 2))).isolates


async def test_a_share_of_an_unknown_number_is_looked_at_when_all_are_known(house: House) -> None:
    policy = {"maxAttempts": 1, "toleratedFailurePercentage": 40}
    new = files_job(failurePolicy=policy)
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.take(plan)
    await house.ledger.commit(plan, outcome_of(plan))
    assert (await house.job(new.id)).status.map.total == 2


async def test_a_tolerance_that_is_lowered_ends_a_job_that_has_exceeded_it(house: House) -> None:
    new = job_of(4, count=3)
    await house.jobs.accept(new)
    await fail(house, new.id, "map-0")
    await fail(house, new.id, "map-1")

    await house.jobs.update(TENANT, new.id, JobUpdate(tolerated_failure_count=1))

    assert (await house.job(new.id)).status.state is JobState.FAILED


@ON_REDIS
async def test_a_smaller_window_lets_run_what_runs_and_starts_no_more(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=6, maxConcurrency=4)
    await house.jobs.accept(new)
    for index in (0, 1):
        await house.take(claim_of(new.id, f"map-{index}"))

    await house.jobs.update(TENANT, new.id, JobUpdate(max_concurrency=1))

    assert await house.ledger.claim(claim_of(new.id, "map-2"), worker="w1") is None
    assert await house.ledger.claim(claim_of(new.id, "map-3"), worker="w1") is None
    assert await redis.zcard("fanfold:queue:process") == 0
    for index in (0, 1):
        claim = claim_of(new.id, f"map-{index}")
        assert await house.ledger.commit(claim, outcome_of(claim)) is Verdict.ACCEPTED
    assert await redis.zcard("fanfold:queue:process") == 1
    for index in (2, 3, 4, 5):
        await house.do(claim_of(new.id, f"map-{index}"))
    assert (await house.job(new.id)).status.phase is JobPhase.REDUCE


@ON_REDIS
async def test_a_larger_window_starts_more_at_once(house: House, redis: Redis) -> None:
    new = inline_job(batches=6, maxConcurrency=1)
    await house.jobs.accept(new)
    assert await redis.zcard("fanfold:queue:process") == 1

    await house.jobs.update(TENANT, new.id, JobUpdate(max_concurrency=5))

    assert await redis.zcard("fanfold:queue:process") == 5
    assert (await house.job(new.id)).spec["maxConcurrency"] == 5


async def test_tags_come_and_go(house: House) -> None:
    new = inline_job(tags=["a", "b"])
    await house.jobs.accept(new)

    await house.jobs.update(TENANT, new.id, JobUpdate(add_tags=("c", "a"), remove_tags=("b",)))

    assert (await house.job(new.id)).spec["tags"] == ["a", "c"]


async def test_an_ended_job_and_a_foreign_one_cannot_be_changed(house: House) -> None:
    new = inline_job()
    await house.run_to_the_end(new)
    with pytest.raises(InvalidStateError):
        await house.jobs.update(TENANT, new.id, JobUpdate(max_concurrency=2))
    with pytest.raises(NotFoundError):
        await house.jobs.update("others", new.id, JobUpdate(max_concurrency=2))
