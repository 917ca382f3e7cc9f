"""What followers hear, over a real Redis, while the bell is cut again and again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import pytest
from redis.asyncio import Redis

from adapters.redis.bell import RedisBell
from adapters.redis.client import connect
from adapters.redis.jobs import RedisJobs
from adapters.redis.ledger import RedisLedger
from engine.job import JobId, JobState
from engine.jobs import JobFilter, NewJob
from engine.ledger import Verdict
from resolvers.access.caller import Caller
from resolvers.live.feed import LIVE
from resolvers.live.hub import StatusHub
from resolvers.live.lookout import Timing
from tests.support.jobs import TENANT, claim_of, inline_job, outcome_of

pytestmark = pytest.mark.anyio

ADA = Caller(subject="ada", tenant=TENANT)
ONLY_WHEN_RUNG = Timing(poll_s=60)
CUTS = 30


@dataclass
class House:
    """A store, and a hub whose bell may be cut."""

    redis: Redis
    jobs: RedisJobs
    ledger: RedisLedger
    hub: StatusHub

    async def accept_and_run_unheard(self, new: NewJob) -> None:
        await self.cut_the_bell()
        await self.jobs.accept(new)
        await self.run_unheard(new)

    async def run_unheard(self, new: NewJob) -> None:
        await self.cut_the_bell()
        for task in ("map-0", "reduce-0", "finish-0"):
            claim = claim_of(new.id, task)
            assert await self.ledger.claim(claim, worker="w1") is not None
            assert await self.ledger.commit(claim, outcome_of(claim)) is Verdict.ACCEPTED

    async def cut_the_bell(self) -> None:
        await self.redis.client_kill_filter(_type="pubsub")


@pytest.fixture
async def house(redis: Redis, redis_server: str) -> AsyncIterator[House]:
    jobs, subscriber = RedisJobs(redis), connect(redis_server)
    async with (
        asyncio.timeout(30),
        RedisBell(subscriber) as bell,
        StatusHub(jobs=jobs, bell=bell, timing=ONLY_WHEN_RUNG) as hub,
    ):
        yield House(redis, jobs, RedisLedger(redis, lease_ms=60_000), hub)
    await subscriber.aclose()


async def test_a_feed_tells_the_end_of_jobs_that_came_and_went_while_the_bell_was_cut(
    house: House,
) -> None:
    early, live = inline_job(batches=1), inline_job(batches=1)
    await house.accept_and_run_unheard(early)
    await house.jobs.accept(live)
    unheard = [inline_job(batches=1) for _ in range(CUTS)]
    ends: list[JobId] = []

    async with asyncio.timeout(20), aclosing(house.hub.feed(ADA)) as states:
        assert (await anext(states)).id == live.id

        async def read_ends() -> None:
            async for status in states:
                if status.state.is_terminal:
                    ends.append(status.id)
                if len(ends) == CUTS or live.id in ends:
                    return

        reading = asyncio.create_task(read_ends())
        for new in unheard:
            await house.accept_and_run_unheard(new)
        await reading
        await house.cut_the_bell()
        await house.jobs.cancel(TENANT, live.id, reason=None)
        await read_ends()

    assert sorted(ends[:-1]) == sorted(new.id for new in unheard)
    assert ends[-1] == live.id


async def test_a_follower_is_told_of_the_end_that_was_cut_off(house: House) -> None:
    for _ in range(CUTS):
        new = inline_job(batches=1)
        await house.jobs.accept(new)
        async with asyncio.timeout(5), aclosing(house.hub.follow(ADA, new.id)) as states:
            assert (await anext(states)).state is JobState.QUEUED
            await house.run_unheard(new)
            seen = [status async for status in states]

        assert seen[-1].state is JobState.SUCCEEDED


class EndingJobs(Redis):
    """Ends the newest jobs whenever some have been listed."""

    async def zrevrangebyscore(self, name: Any, *args: Any, **options: Any) -> Any:
        found = await super().zrevrangebyscore(name, *args, **options)
        await self.zpopmax(name, 150)
        return found


async def test_jobs_that_end_while_pages_are_read_hide_no_others(
    redis: Redis, redis_server: str
) -> None:
    async with EndingJobs.from_url(redis_server) as ending:
        jobs = RedisJobs(ending)
        accepted = [(await jobs.accept(inline_job(batches=1))).id for _ in range(450)]

        page = await jobs.page(TENANT, first=450, after=None, wanted=JobFilter(states=LIVE))

    assert [job.id for job in page.jobs] == accepted[::-1]
