"""What every ledger promises of plans: batches that come in parts, workers that are counted."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from engine.batch import Batch
from engine.job import JobPhase, JobState
from engine.ledger import Verdict
from tests.support.house import RedisHouse, house_over
from tests.support.jobs import FOUND, claim_of, files_job, inline_job, outcome_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    return house_over(redis)


async def test_a_plan_task_brings_the_batches(house: RedisHouse) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    assert await house.ledger.extend(plan, 0, FOUND) is Verdict.ACCEPTED

    assert await house.ledger.commit(plan, outcome_of(plan)) is Verdict.ACCEPTED

    status = (await house.job(new.id)).status
    assert (status.phase, status.map.total, status.reduce.total) == (JobPhase.MAP, 2, 1)
    attempt = await house.take(claim_of(new.id, "map-1"))
    assert attempt.batch is not None
    assert attempt.batch.items == ("b",)


async def test_batches_come_in_parts_and_are_seen_by_nobody_before_the_plan_is_committed(
    house: RedisHouse, redis: Redis
) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    before = await house.job(new.id)

    for first, batch in enumerate(FOUND):
        await house.ledger.extend(plan, first, [batch])

    assert await house.job(new.id) == before
    assert await redis.zcard("fanfold:queue:process") == 0
    await house.ledger.commit(plan, outcome_of(plan))
    assert await redis.zcard("fanfold:queue:process") == len(FOUND)
    for index, batch in enumerate(FOUND):
        attempt = await house.take(claim_of(new.id, f"map-{index}"))
        assert attempt.batch == batch


async def test_a_later_attempt_at_the_plan_writes_over_what_an_earlier_one_found(
    house: RedisHouse,
) -> None:
    new = files_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "plan-0"), claim_of(new.id, "plan-0", 2)
    await house.dying.claim(lost, worker="dead")
    await house.dying.extend(lost, 0, [Batch(items=("stale",))] * 3)
    await house.ledger.sweep()
    await house.ledger.claim(second, worker="w1")
    await house.ledger.extend(second, 0, FOUND)

    assert await house.ledger.extend(lost, 0, [Batch(items=("late",))]) is Verdict.FENCED
    await house.ledger.commit(second, outcome_of(second))
    assert await house.ledger.extend(second, 0, [Batch(items=("later",))]) is Verdict.FENCED

    found = []
    for index in range((await house.job(new.id)).status.map.total or 0):
        attempt = await house.take(claim_of(new.id, f"map-{index}"))
        found.append(attempt.batch)
    assert found == list(FOUND)


async def test_map_tasks_begin_while_the_plan_goes_on_where_the_partitions_are_known(
    house: RedisHouse,
) -> None:
    new = files_job(reducers=1)
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")

    await house.ledger.extend(plan, 0, FOUND[:1])
    await house.do(claim_of(new.id, "map-0"))
    status = (await house.job(new.id)).status
    assert (status.phase, status.map.total, status.map.succeeded) == (JobPhase.PLAN, None, 1)

    await house.ledger.extend(plan, 1, FOUND[1:])
    await house.ledger.commit(plan, outcome_of(plan))
    await house.do(claim_of(new.id, "map-1"))
    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    assert (await house.job(new.id)).status.state is JobState.SUCCEEDED


async def test_a_plan_that_is_made_again_alike_goes_on_and_another_one_ends_the_job(
    house: RedisHouse,
) -> None:
    for again, state in ((FOUND, JobState.RUNNING), (FOUND[::-1], JobState.FAILED)):
        new = files_job(reducers=1)
        await house.jobs.accept(new)
        lost, second = claim_of(new.id, "plan-0"), claim_of(new.id, "plan-0", 2)
        await house.dying.claim(lost, worker="dead")
        await house.dying.extend(lost, 0, FOUND)
        await house.do(claim_of(new.id, "map-0"))
        await house.ledger.sweep()
        await house.ledger.claim(second, worker="w1")

        await house.ledger.extend(second, 0, again)

        status = (await house.job(new.id)).status
        assert status.state is state
        if state is JobState.FAILED:
            assert status.error is not None
            assert status.error.code == "SOURCE_CHANGED"


async def test_batches_of_a_job_that_is_over_are_fenced(house: RedisHouse, redis: Redis) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    await redis.zadd("fanfold:deadlines", {new.id: 1})
    await house.ledger.sweep()

    assert await house.ledger.extend(plan, 0, FOUND) is Verdict.FENCED

    assert await redis.exists(f"fanfold:job:{new.id}:batches") == 0


async def test_a_plan_is_told_how_many_workers_are_alive(house: RedisHouse, redis: Redis) -> None:
    new = files_job()
    await house.jobs.accept(new)
    for name in ("w1", "w2", "w3"):
        await house.leases.enter(name)
    await redis.zadd("fanfold:workers", {"w3": 1})
    await house.leases.leave("w2")
    await house.leases.enter("w4")

    attempt = await house.take(claim_of(new.id, "plan-0"))

    assert (attempt.workers, await house.jobs.workers()) == (2, 2)


async def test_a_plan_counts_its_own_worker_even_if_none_is_known(house: RedisHouse) -> None:
    new = files_job()
    await house.jobs.accept(new)

    attempt = await house.take(claim_of(new.id, "plan-0"))

    assert (attempt.workers, await house.jobs.workers()) == (1, 0)


async def test_a_heartbeat_without_claims_keeps_a_worker_on_the_list(
    house: RedisHouse, redis: Redis
) -> None:
    await redis.zadd("fanfold:workers", {"w1": 1, "gone": 1})

    assert list(await house.leases.renew([], worker="w1")) == []

    assert await house.jobs.workers() == 1
    assert await redis.zrange("fanfold:workers", 0, -1) == [b"w1"]


async def test_a_plan_without_batches_goes_straight_to_reduce(house: RedisHouse) -> None:
    new = inline_job(batches=0)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.map.total == 0
    assert await house.do(claim_of(new.id, "reduce-0")) is Verdict.ACCEPTED
