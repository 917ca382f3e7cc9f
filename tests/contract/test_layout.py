"""Versions of the service that keep jobs in other ways do not share a Redis."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from adapters.redis.layout import LAYOUT, LAYOUT_KEY, require_layout
from adapters.redis.ledger import RedisLedger
from engine.errors import ConfigError
from tests.support.house import house_over
from tests.support.jobs import inline_job

pytestmark = pytest.mark.anyio


async def test_an_empty_redis_is_taken_and_found_again(redis: Redis) -> None:
    await require_layout(redis)
    await RedisLedger(redis).enter("w1")
    await require_layout(redis)

    assert await redis.get(LAYOUT_KEY) == str(LAYOUT).encode()


async def test_jobs_of_another_layout_are_left_alone(redis: Redis) -> None:
    await redis.set(LAYOUT_KEY, LAYOUT + 1)
    with pytest.raises(ConfigError, match=f"layout {LAYOUT + 1}"):
        await require_layout(redis)


async def test_a_redis_that_was_emptied_meanwhile_gets_its_layout_with_the_next_job(
    redis: Redis,
) -> None:
    await house_over(redis).jobs.accept(inline_job())
    await require_layout(redis)


async def test_jobs_from_before_there_were_layouts_are_left_alone(redis: Redis) -> None:
    await house_over(redis).jobs.accept(inline_job())
    await redis.delete(LAYOUT_KEY)
    with pytest.raises(ConfigError, match="layout 1"):
        await require_layout(redis)
