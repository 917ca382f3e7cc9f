"""What the doorbell promises, over a real Redis that comes and goes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.redis.bell import RedisBell
from adapters.redis.client import connect, reply
from engine.bell import job_topic, tenant_topic
from engine.job import JobId
from tests.support.own_redis import OwnRedis, own_redis_in
from tests.support.waiting import eventually_async, turns

pytestmark = pytest.mark.anyio

TOPIC = "tenant:acme"
ANY_JOB = ""


@pytest.fixture
def own_redis(tmp_path: Path) -> Iterator[OwnRedis]:
    with own_redis_in(tmp_path) as server:
        yield server


@asynccontextmanager
async def bell_at(url: str) -> AsyncIterator[RedisBell]:
    client = connect(url)
    try:
        async with RedisBell(client) as bell:
            yield bell
    finally:
        await client.aclose()


@pytest.fixture
async def bell(redis: Redis, redis_server: str) -> AsyncIterator[RedisBell]:
    async with bell_at(redis_server) as bell:
        yield bell


async def commit(redis: Redis, job: str, topic: str = TOPIC) -> int:
    """Ring as the ledger's scripts do; return how many connections heard it."""
    heard: int = await reply(redis.publish(f"fanfold:bell:{topic}", job))
    return heard


async def commit_until_heard(url: str, rings: list[JobId], job: str) -> None:
    """Commit; again if it was lost on a connection that the bell gave up, which rings as well."""
    client = connect(url)
    try:
        while job not in rings:
            rings.clear()
            await commit(client, job)
            await eventually_async(lambda: rings)
    finally:
        await client.aclose()


async def test_a_change_that_is_committed_after_entering_rings(
    bell: RedisBell, redis: Redis
) -> None:
    rings: list[JobId] = []
    async with bell.listen(TOPIC, rings.append):
        await commit(redis, "j-1")
        await eventually_async(lambda: "j-1" in rings)


async def test_every_entrance_is_in_time(bell: RedisBell, redis: Redis) -> None:
    for number in range(100):
        rings: list[JobId] = []
        async with bell.listen(f"job:{number % 3}", rings.append):
            await commit(redis, f"j-{number}", f"job:{number % 3}")
            await eventually_async(lambda rings=rings, n=number: f"j-{n}" in rings)  # type: ignore[misc]


async def test_listeners_that_enter_while_the_bell_connects_are_heard(
    redis: Redis, redis_server: str
) -> None:
    for pauses in range(12):
        rings: dict[int, list[JobId]] = {number: [] for number in range(8)}
        async with asyncio.timeout(5), bell_at(redis_server) as bell, AsyncExitStack() as stack:

            async def enter(
                number: int,
                stack: AsyncExitStack = stack,
                bell: RedisBell = bell,
                rings: dict[int, list[JobId]] = rings,
            ) -> None:
                await stack.enter_async_context(bell.listen(f"job:{number}", rings[number].append))

            async with asyncio.TaskGroup() as group:
                for number in rings:
                    group.create_task(enter(number))
                    await turns(pauses)
            for number in rings:
                assert await commit(redis, "j-1", f"job:{number}") == 1
            await eventually_async(lambda rings=rings: all("j-1" in r for r in rings.values()))  # type: ignore[misc]


async def test_all_listeners_of_a_topic_are_rung(bell: RedisBell, redis: Redis) -> None:
    rings: list[list[JobId]] = [[] for _ in range(50)]
    async with AsyncExitStack() as stack:
        for heard in rings:
            await stack.enter_async_context(bell.listen(TOPIC, heard.append))

        assert await commit(redis, "j-1") == 1, "one connection is enough"

        await eventually_async(lambda: all("j-1" in heard for heard in rings))


async def test_topics_are_kept_apart(bell: RedisBell, redis: Redis) -> None:
    job, tenant = job_topic(JobId("j-1")), tenant_topic("acme")
    of_job: list[JobId] = []
    of_tenant: list[JobId] = []
    async with bell.listen(job, of_job.append), bell.listen(tenant, of_tenant.append):
        await commit(redis, "j-2", tenant)
        await commit(redis, "j-1", job)
        await eventually_async(lambda: "j-1" in of_job and "j-2" in of_tenant)

    assert "j-2" not in of_job
    assert "j-1" not in of_tenant


async def test_one_who_left_is_not_rung_any_more_and_the_others_still_are(
    bell: RedisBell, redis: Redis
) -> None:
    left: list[JobId] = []
    stayed: list[JobId] = []
    async with bell.listen(TOPIC, stayed.append):
        async with bell.listen(TOPIC, left.append):
            pass
        left.clear()
        await commit(redis, "j-1")
        await eventually_async(lambda: "j-1" in stayed)

    assert left == []


async def test_redis_is_told_when_nobody_listens(bell: RedisBell, redis: Redis) -> None:
    async with bell.listen(TOPIC, lambda _: None):
        pass

    async with asyncio.timeout(5):
        while await commit(redis, "j-1"):  # a command of Redis each time, so no busy waiting
            pass


async def test_who_comes_back_at_once_is_heard(bell: RedisBell, redis: Redis) -> None:
    for number in range(50):
        rings: list[JobId] = []
        async with bell.listen(TOPIC, lambda _: None):
            pass
        async with bell.listen(TOPIC, rings.append):
            await commit(redis, f"j-{number}")
            await eventually_async(lambda rings=rings, n=number: f"j-{n}" in rings or "" in rings)  # type: ignore[misc]


async def test_a_listener_that_gives_up_waiting_leaves_nothing_behind(
    bell: RedisBell, redis: Redis
) -> None:
    async def listen() -> None:
        async with bell.listen(TOPIC, lambda _: None):
            await asyncio.Event().wait()

    listening = asyncio.create_task(listen())
    await turns(1)
    listening.cancel()
    await asyncio.wait([listening])

    rings: list[JobId] = []
    async with bell.listen(TOPIC, rings.append):
        await commit(redis, "j-1")
        await eventually_async(lambda: "j-1" in rings)


async def test_a_cut_connection_heals_and_rings_everybody(bell: RedisBell, redis: Redis) -> None:
    rings: list[list[JobId]] = [[], [], []]
    async with AsyncExitStack() as stack:
        for number, heard in enumerate(rings):
            await stack.enter_async_context(bell.listen(f"job:{number}", heard.append))
        for cut in range(3):
            for heard in rings:
                heard.clear()
            await redis.client_kill_filter(_type="pubsub")
            await eventually_async(lambda: all(ANY_JOB in heard for heard in rings))
            for number in range(len(rings)):
                await commit(redis, f"j-{cut}", f"job:{number}")
            await eventually_async(lambda cut=cut: all(f"j-{cut}" in heard for heard in rings))  # type: ignore[misc]


async def test_listeners_that_come_and_go_while_it_is_cut_are_all_heard_in_the_end(
    bell: RedisBell, redis: Redis
) -> None:
    rings: dict[str, list[JobId]] = {f"job:{number}": [] for number in range(20)}

    async def come_and_go(topic: str, entered: asyncio.Event, end: asyncio.Event) -> None:
        while not has_healed.is_set():
            async with bell.listen(topic, lambda _: None):
                await redis.ping()
        async with bell.listen(topic, rings[topic].append):
            entered.set()
            await end.wait()

    end, has_healed = asyncio.Event(), asyncio.Event()
    entered = {topic: asyncio.Event() for topic in rings}
    async with asyncio.TaskGroup() as group:
        for topic in rings:
            group.create_task(come_and_go(topic, entered[topic], end))
        async with bell.listen(TOPIC, (reconnects := list[JobId]()).append):
            for _ in range(5):
                reconnects.clear()
                await redis.client_kill_filter(_type="pubsub")
                await eventually_async(lambda: reconnects)
        has_healed.set()
        for event in entered.values():
            await event.wait()
        for heard in rings.values():
            heard.clear()
        for topic in rings:
            await commit(redis, "j-1", topic)

        await eventually_async(lambda: all(heard for heard in rings.values()))
        end.set()


async def test_entering_while_redis_is_away_waits_for_it(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    rings: list[JobId] = []
    entered = asyncio.Event()

    async def listen(bell: RedisBell) -> None:
        async with bell.listen(TOPIC, rings.append):
            entered.set()
            await asyncio.Event().wait()

    async with asyncio.timeout(20), bell_at(own_redis.url) as bell:
        listening = asyncio.create_task(listen(bell))
        await eventually_async(lambda: "connection lost" in caplog.text)
        assert not entered.is_set()

        own_redis.start()

        await entered.wait()
        await commit_until_heard(own_redis.url, rings, "j-1")
        listening.cancel()
        await asyncio.wait([listening])


async def test_a_server_that_was_killed_and_started_again_rings_everybody(
    own_redis: OwnRedis,
) -> None:
    rings: list[JobId] = []
    others: list[JobId] = []
    own_redis.start()
    async with asyncio.timeout(20), bell_at(own_redis.url) as bell:
        async with bell.listen(TOPIC, rings.append), bell.listen("job:x", others.append):
            await commit_until_heard(own_redis.url, rings, "j-1")
            rings.clear()
            others.clear()

            own_redis.kill()
            own_redis.start()

            await eventually_async(lambda: ANY_JOB in rings and ANY_JOB in others)
            await commit_until_heard(own_redis.url, rings, "j-2")


async def test_a_server_that_hung_rings_when_it_is_back(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    rings: list[JobId] = []
    own_redis.start()
    async with asyncio.timeout(30), bell_at(own_redis.url) as bell:
        async with bell.listen(TOPIC, rings.append):
            await commit_until_heard(own_redis.url, rings, "j-1")
            rings.clear()

            own_redis.send(signal.SIGSTOP)
            late: list[JobId] = []

            async def enter_late() -> None:
                async with bell.listen("job:late", late.append):
                    await asyncio.Event().wait()

            entering = asyncio.create_task(enter_late())
            await eventually_async(lambda: "no answer to a ping" in caplog.text)
            entering_when_it_dials = asyncio.create_task(enter_late())
            await turns(1)
            own_redis.send(signal.SIGCONT)

            await eventually_async(lambda: ANY_JOB in rings)
            await commit_until_heard(own_redis.url, rings, "j-2")
            await eventually_async(lambda: late.count(JobId(ANY_JOB)) >= 2)
            for task in (entering, entering_when_it_dials):
                task.cancel()
            await asyncio.wait([entering, entering_when_it_dials])


async def test_leaving_the_bell_while_redis_is_away_does_not_wait(
    own_redis: OwnRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async with asyncio.timeout(3), bell_at(own_redis.url):
        await eventually_async(lambda: "connection lost" in caplog.text)
