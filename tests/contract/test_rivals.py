"""Stragglers: a second attempt runs beside the first, and exactly one of them is committed."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from adapters.redis.client import reply
from adapters.redis.ledger import RedisLedger
from engine.job import JobId, JobState
from engine.ledger import Verdict
from tests.support.house import LONG_LEASE_MS, RedisHouse, house_over
from tests.support.jobs import BROKEN, TENANT, claim_of, inline_job, outcome_of

pytestmark = pytest.mark.anyio

BATCHES = 5


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    found = house_over(redis)
    found.ledger = RedisLedger(redis, lease_ms=LONG_LEASE_MS, straggles_ms=0)
    return found


async def straggling(house: RedisHouse, redis: Redis) -> JobId:
    """Return a job of which all map tasks but the first are done; that one began long ago."""
    new = inline_job(batches=BATCHES)
    await house.jobs.accept(new)
    await house.take(claim_of(new.id, "map-0"), worker="slow")
    for index in range(1, BATCHES):
        await house.do(claim_of(new.id, f"map-{index}"))
    await reply(redis.hset(f"fanfold:job:{new.id}:task:map-0", "started", "1000"))
    await house.ledger.sweep()
    return new.id


async def end(house: RedisHouse, job: JobId) -> JobState:
    for task in ("reduce-0", "finish-0"):
        assert await house.do(claim_of(job, task)) is Verdict.ACCEPTED
    status = (await house.job(job)).status
    assert (status.items.succeeded, status.map.succeeded, status.map.running) == (5, 5, 0)
    return status.state


async def test_a_rival_that_is_faster_is_committed_and_the_straggler_stops(
    house: RedisHouse, redis: Redis
) -> None:
    job = await straggling(house, redis)
    slow, rival = claim_of(job, "map-0"), claim_of(job, "map-0", 2)
    await house.take(rival, worker="quick")
    assert list(await house.leases.renew([slow], worker="slow")) == []

    assert await house.ledger.commit(rival, outcome_of(rival)) is Verdict.ACCEPTED

    assert list(await house.leases.renew([slow], worker="slow")) == [slow]
    assert await house.ledger.commit(slow, outcome_of(slow)) is Verdict.FENCED
    assert await house.ledger.commit(rival, outcome_of(rival)) is Verdict.REPEATED
    assert await end(house, job) is JobState.SUCCEEDED


async def test_a_straggler_that_ends_first_is_committed_and_its_rival_stops(
    house: RedisHouse, redis: Redis
) -> None:
    job = await straggling(house, redis)
    slow, rival = claim_of(job, "map-0"), claim_of(job, "map-0", 2)
    await house.take(rival, worker="quick")

    assert await house.ledger.commit(slow, outcome_of(slow)) is Verdict.ACCEPTED

    assert list(await house.leases.renew([rival], worker="quick")) == [rival]
    assert await house.ledger.commit(rival, outcome_of(rival)) is Verdict.FENCED
    assert await end(house, job) is JobState.SUCCEEDED


@pytest.mark.parametrize("failing", [1, 2])
async def test_when_one_of_the_two_fails_the_other_goes_on(
    house: RedisHouse, redis: Redis, failing: int
) -> None:
    job = await straggling(house, redis)
    await house.take(claim_of(job, "map-0", 2), worker="quick")

    await house.ledger.fail(claim_of(job, "map-0", failing), BROKEN)

    left = claim_of(job, "map-0", 3 - failing)
    assert await house.ledger.commit(left, outcome_of(left)) is Verdict.ACCEPTED
    assert await end(house, job) is JobState.SUCCEEDED


async def test_a_rival_that_nobody_has_begun_uses_its_number_up(
    house: RedisHouse, redis: Redis
) -> None:
    job = await straggling(house, redis)
    await house.leases.release(claim_of(job, "map-0"))

    assert await house.ledger.claim(claim_of(job, "map-0", 2), worker="w1") is None
    await house.do(claim_of(job, "map-0", 3))
    assert await end(house, job) is JobState.SUCCEEDED


async def test_there_is_one_rival_at_most_and_none_while_tasks_wait(
    house: RedisHouse, redis: Redis
) -> None:
    job = await straggling(house, redis)
    await house.ledger.sweep()
    assert (await house.job(job)).status.map.retried == 1

    new = inline_job(batches=8, maxConcurrency=5)
    await house.jobs.accept(new)
    await house.take(claim_of(new.id, "map-0"))
    for index in (1, 2, 3):
        await house.do(claim_of(new.id, f"map-{index}"))
    await reply(redis.hset(f"fanfold:job:{new.id}:task:map-0", "started", "1000"))
    await reply(redis.hset(f"fanfold:job:{new.id}", "window", "1"))
    await house.ledger.sweep()
    assert (await house.job(new.id)).status.map.retried == 0


async def test_an_attempt_of_the_run_before_has_no_part_in_the_next(
    house: RedisHouse, redis: Redis
) -> None:
    job = await straggling(house, redis)
    rival = claim_of(job, "map-0", 2)
    await house.take(rival, worker="quick")
    await house.run_out_of_time(job)
    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)

    await house.take(claim_of(job, "map-0", 3), worker="third")
    assert await house.ledger.commit(rival, outcome_of(rival)) is Verdict.FENCED
    await house.ledger.fail(claim_of(job, "map-0", 3), BROKEN)

    assert list(await house.leases.renew([rival], worker="quick")) == [rival]
    await house.do(claim_of(job, "map-0", 4))
    assert await end(house, job) is JobState.SUCCEEDED
