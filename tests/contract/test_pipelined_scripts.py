"""Scripts that are called together answer each caller as if it had called alone."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from adapters.redis.client import connect, reply
from adapters.redis.pipelined_scripts import PipelinedScripts
from engine.errors import UnavailableError
from engine.job import JobId
from tests.support.house import House, house_over
from tests.support.jobs import claim_of, inline_job
from tests.support.own_redis import OwnRedis, own_redis_in
from tests.support.waiting import turns

pytestmark = pytest.mark.anyio

TASKS = 150
ACCEPTED, FENCED = 1, 0


@pytest.fixture
def house(redis: Redis) -> House:
    return house_over(redis)


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    with tempfile.TemporaryDirectory() as short, own_redis_in(Path(short)) as own:
        yield own


async def held(house: House, tasks: range) -> JobId:
    """Store a job of which the attempts at *tasks* are held by a worker."""
    new = inline_job(batches=TASKS)
    await house.jobs.accept(new)
    for index in tasks:
        await house.take(claim_of(new.id, f"map-{index}"))
    return new.id


async def released(scripts: PipelinedScripts, job: str, tasks: range) -> list[object]:
    calls = (scripts.call("release", job, f"map-{index}", 1) for index in tasks)
    answers: list[object] = await asyncio.gather(*calls, return_exceptions=True)
    return answers


async def test_each_caller_gets_its_own_answer(redis: Redis, house: House) -> None:
    job = await held(house, range(0, TASKS, 2))

    answers = await released(PipelinedScripts(redis, calls_under_way=16), job, range(TASKS))

    assert answers == [ACCEPTED, FENCED] * (TASKS // 2)


async def test_calls_of_one_turn_travel_together(redis: Redis, house: House) -> None:
    job = await held(house, range(0))
    before = (await redis.info("clients"))["connected_clients"]

    await released(PipelinedScripts(redis), job, range(TASKS))

    assert (await redis.info("clients"))["connected_clients"] == before


async def test_a_script_that_redis_has_forgotten_is_loaded_again(
    redis: Redis, house: House
) -> None:
    job = await held(house, range(10))
    scripts = PipelinedScripts(redis)
    await released(scripts, job, range(5))
    await redis.script_flush()

    assert await released(scripts, job, range(5, 10)) == [ACCEPTED] * 5


async def test_a_call_that_is_refused_is_refused_alone(redis: Redis, house: House) -> None:
    job = await held(house, range(3))
    key = f"fanfold:job:{job}:task:map-1"
    await redis.delete(key)
    await reply(redis.lpush(key, "no task"))

    first, refused, last = await released(PipelinedScripts(redis), job, range(3))

    assert (first, last) == (ACCEPTED, ACCEPTED)
    assert isinstance(refused, ResponseError)
    assert not isinstance(refused, UnavailableError)


async def test_a_caller_that_is_cancelled_takes_nobody_along(redis: Redis, house: House) -> None:
    job = await held(house, range(2))
    scripts = PipelinedScripts(redis)
    calls = [
        asyncio.create_task(scripts.call("release", job, f"map-{index}", 1)) for index in range(2)
    ]
    await turns(1)

    calls[0].cancel()

    assert await calls[1] == ACCEPTED
    assert calls[0].cancelled() or calls[0].cancelling()


async def test_all_who_wait_hear_that_redis_is_away_and_can_ask_again(own_redis: OwnRedis) -> None:
    redis = connect(own_redis.url)
    scripts = PipelinedScripts(redis)

    failures = await released(scripts, "nobody's", range(TASKS))
    assert [type(failure) for failure in failures] == [UnavailableError] * TASKS
    assert len({id(failure) for failure in failures}) == TASKS

    own_redis.start()
    assert await released(scripts, "nobody's", range(TASKS)) == [FENCED] * TASKS
    await redis.aclose()
