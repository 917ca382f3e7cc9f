"""The queue of webhook deliveries: fed by the end of a run, leased, put back, dropped when void."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.redis_client import reply
from adapters.redis_jobs import RedisJobs
from adapters.redis_webhooks import RedisWebhooks
from engine.job import JobError, JobId
from engine.webhooks import Delivery
from tests.support.house import House, house_over
from tests.support.jobs import TENANT, claim_of, inline_job

pytestmark = pytest.mark.anyio

URL = "https://hooks.test/ended"
BROKEN = JobError(code="USER_CODE", message="no")
LONG_PAUSE_S = 3_600.0


@pytest.fixture
async def house(redis: Redis) -> House:
    return house_over(redis)


@pytest.fixture
def queue(redis: Redis) -> RedisWebhooks:
    """A queue whose leases outlive every test."""
    return RedisWebhooks(redis, lease_ms=600_000)


@pytest.fixture
def forgetful(redis: Redis) -> RedisWebhooks:
    """A queue whose leases end at once, as those of dead workers do."""
    return RedisWebhooks(redis, lease_ms=0)


async def succeeded(house: House, **spec: Any) -> JobId:
    return (await house.run_to_the_end(inline_job(webhook=URL, **spec))).id


async def failed(house: House) -> JobId:
    new = inline_job(webhook=URL, failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.take(claim)
    await house.ledger.fail(claim, BROKEN)
    return new.id


async def size_of(redis: Redis) -> tuple[int, int]:
    """Return how many deliveries are noted, and of how many tries are counted."""
    tries = await reply(redis.hlen("fanfold:webhooks:tries"))
    return await redis.zcard("fanfold:webhooks"), tries


async def test_the_end_of_a_job_is_due_at_once(house: House, queue: RedisWebhooks) -> None:
    job = await succeeded(house)

    [found] = await queue.claim(10)

    ended = (await house.job(job)).finished_at
    assert ended is not None
    assert found == Delivery(job, 1, TENANT, URL, 1, round(ended.timestamp() * 1000))


@pytest.mark.parametrize("ends", ["fails", "is cancelled", "is out of time"])
async def test_however_a_job_ends_it_is_due(
    house: House, queue: RedisWebhooks, redis: Redis, ends: str
) -> None:
    if ends == "fails":
        job = await failed(house)
    else:
        new = inline_job(webhook=URL)
        await house.jobs.accept(new)
        job = new.id
        if ends == "is cancelled":
            await house.jobs.cancel(TENANT, job, reason=None)
        else:
            await redis.zadd("fanfold:deadlines", {job: 1})
            await house.ledger.sweep()

    assert [found.job for found in await queue.claim(10)] == [job]


async def test_a_job_without_a_webhook_is_not_due(house: House, queue: RedisWebhooks) -> None:
    await house.run_to_the_end(inline_job())

    assert await queue.claim(10) == []


async def test_a_job_that_runs_is_not_due(house: House, queue: RedisWebhooks) -> None:
    await house.jobs.accept(inline_job(webhook=URL))

    assert await queue.claim(10) == []


async def test_what_somebody_has_is_given_to_nobody_else(
    house: House, queue: RedisWebhooks
) -> None:
    await succeeded(house)

    assert len(await queue.claim(10)) == 1
    assert await queue.claim(10) == []


async def test_no_more_is_given_than_is_asked_for(house: House, queue: RedisWebhooks) -> None:
    jobs = {await succeeded(house) for _ in range(3)}

    first = await queue.claim(2)
    second = await queue.claim(2)

    assert (len(first), len(second)) == (2, 1)
    assert {found.job for found in (*first, *second)} == jobs


async def test_what_a_dead_worker_had_comes_up_again(
    house: House, forgetful: RedisWebhooks
) -> None:
    await succeeded(house)

    tries = [(await forgetful.claim(1))[0] for _ in range(3)]

    assert [found.tries for found in tries] == [1, 2, 3]
    assert len({found.id for found in tries}) == 1


async def test_what_was_delivered_is_forgotten(
    house: House, forgetful: RedisWebhooks, redis: Redis
) -> None:
    await succeeded(house)
    [found] = await forgetful.claim(1)

    await forgetful.end(found)

    assert await forgetful.claim(1) == []
    assert await size_of(redis) == (0, 0)


async def test_what_is_put_back_waits(house: House, queue: RedisWebhooks) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)

    await queue.put_back(found, pause_s=LONG_PAUSE_S)
    assert await queue.claim(1) == []

    await queue.put_back(found, pause_s=0)
    [again] = await queue.claim(1)
    assert (again.id, again.tries) == (found.id, 2)


async def test_what_was_not_tried_is_not_counted(house: House, queue: RedisWebhooks) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)

    await queue.put_back(found, pause_s=-1, is_tried=False)

    assert (await queue.claim(1))[0].tries == 1


async def test_what_has_ended_is_not_put_back(
    house: House, queue: RedisWebhooks, redis: Redis
) -> None:
    await succeeded(house)
    [found] = await queue.claim(1)
    await queue.end(found)

    await queue.put_back(found, pause_s=0)
    await queue.put_back(found, pause_s=0, is_tried=False)

    assert await size_of(redis) == (0, 0)


async def test_an_erased_job_is_dropped(house: House, queue: RedisWebhooks, redis: Redis) -> None:
    job = await succeeded(house)
    await house.jobs.delete(TENANT, job)

    assert await queue.claim(10) == []
    assert await size_of(redis) == (0, 0)


async def test_a_job_that_runs_again_is_told_of_when_that_run_ends(
    house: House, queue: RedisWebhooks, redis: Redis
) -> None:
    job = await failed(house)
    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    assert await queue.claim(10) == []

    await house.jobs.cancel(TENANT, job, reason=None)

    [found] = await queue.claim(10)
    assert (found.job, found.run, found.tries) == (job, 2, 1)
    assert await size_of(redis) == (1, 1)


async def test_the_end_of_an_earlier_run_does_not_take_that_of_a_later_one_along(
    house: House, queue: RedisWebhooks
) -> None:
    job = await failed(house)
    [first] = await queue.claim(10)
    await house.jobs.redrive(TENANT, job, params=None, idempotency_key=None)
    await house.jobs.cancel(TENANT, job, reason=None)

    await queue.end(first)

    assert [found.run for found in await queue.claim(10)] == [2]


async def test_what_another_key_is_to_sign_is_left_to_those_who_have_it(
    redis: Redis, house: House, caplog: pytest.LogCaptureFixture
) -> None:
    house.jobs = RedisJobs(redis, webhook_key="one")
    job = await succeeded(house)

    assert await RedisWebhooks(redis, key="other", lease_ms=0).claim(10) == []
    assert "1 left to workers with the API's signing.key" in caplog.text
    [found] = await RedisWebhooks(redis, key="one").claim(10)
    assert (found.job, found.tries) == (job, 1)
