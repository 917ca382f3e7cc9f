"""Whoever joins, at whatever moment, gets the present state first and then only newer ones.

The long form is run on demand alone: ``JOINS=10000`` subscriptions; ``JOINS_SEED`` repeats a run.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from gql.transport.exceptions import TransportError
from redis import Redis

from tests.support.client import ENDED, Api
from tests.support.joins import Crowd, Feed, crowd_at
from tests.support.killing import kill, redis_of
from tests.support.leftovers import redis_url_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async

JOINS: Final = int(os.environ.get("JOINS", "1000"))
JOINS_AMID_TROUBLE: Final = max(400, JOINS // 10)
SOCKETS: Final = 20
LIVE_JOBS: Final = 4
LIVE_JOINS_A_SOCKET: Final = 80
# A connection may begin 20 operations a second.
PAUSE_S: Final = 0.13
FOLLOWERS: Final = 200
FEEDS_JOIN_WITHIN_S: Final = 2.0
# Less than it would take the slow timer to look at a job again.
HEALS_WITHIN_S: Final = 3.0
RESTARTS_WITHIN_S: Final = 15.0
ENDS_WITHIN_S: Final = 40.0
READ: Final = "query Read($id: ID!) { job(id: $id) { status { version } } }"

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(60 + JOINS // 50)]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a Redis of its own, and two processes that tell what is in it."""
    folder = tmp_path_factory.mktemp("joins")
    settings = {"FANFOLD_API_PROCESSES": "2"}
    port = free_port()
    with running_service(folder / "data", folder, port=port, settings=settings) as running:
        yield running


@pytest.fixture
def dice(capsys: pytest.CaptureFixture[str]) -> random.Random:
    seed = int(os.environ.get("JOINS_SEED", random.SystemRandom().randrange(10**6)))
    with capsys.disabled():
        print(f" JOINS_SEED={seed} ", end="")  # noqa: T201 - to repeat what went wrong
    return random.Random(seed)  # noqa: S311 - no secret


class Jobs:
    """A few jobs at any time; whenever one ends, the next begins.

    Attributes:
        live: Those that run.
        begun: How many were submitted, or are about to be.
        numbers: Of each, in the order of submission.
        ended: The version of each that has ended.
    """

    def __init__(self, api: Api, dice: random.Random) -> None:
        self._api = api
        self._dice = dice
        self._is_over = False
        self.begun = 0
        self.numbers: dict[str, int] = {}
        self.live: list[str] = []
        self.ended: dict[str, int] = {}

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run jobs until the block is left, and the last ones to their ends."""
        async with asyncio.TaskGroup() as group:
            for _ in range(LIVE_JOBS):
                group.create_task(self._run_one_after_another())
            await eventually_async(lambda: len(self.live) == LIVE_JOBS)
            yield
            self._is_over = True

    async def version_of(self, job: str) -> int:
        """Return the present version of a job, or 0 while Redis is away."""
        try:
            found = await self._api.ask(READ, id=job)
        except TransportError:
            return 0
        version: int = found["job"]["status"]["version"]
        return version

    async def _run_one_after_another(self) -> None:
        while not self._is_over:
            self.begun += 1
            number = self.begun
            job = await self._submit(f"{os.getpid()}-{id(self)}-{number}")
            self.numbers[job] = number
            self.live.append(job)
            last = await self._api.end_of(job, within_s=ENDS_WITHIN_S)
            assert last["state"] == "SUCCEEDED"
            self.live.remove(job)
            self.ended[job] = last["version"]

    async def _submit(self, key: str) -> str:
        lines = ["a b"] * self._dice.randrange(15, 60)
        while True:
            try:
                return await self._api.submit(
                    "slow_count", lines, batching={"maxItems": 1}, idempotencyKey=key
                )
            except TransportError:  # Redis is away
                await asyncio.sleep(PAUSE_S)


async def join_at_random(crowd: Crowd, jobs: Jobs, dice: random.Random, *, joins: int) -> None:
    """Have subscriptions come and go at random moments, until there were enough."""

    async def come_and_go(line: int) -> None:
        while len(crowd.joins) < joins:
            await asyncio.sleep(dice.uniform(0, PAUSE_S))
            await eventually_async(
                lambda: crowd.live_on(line) < LIVE_JOINS_A_SOCKET, within_s=ENDS_WITHIN_S
            )
            job = dice.choice(jobs.live or list(jobs.ended))
            if jobs.ended and dice.random() < 0.02:
                job = dice.choice(list(jobs.ended))
            if dice.random() < 0.3:  # whoever has read a version sees no older one
                crowd.saw(job, await jobs.version_of(job))
            after = crowd.newest[job] - dice.choice([0, 0, 1, 5]) if dice.random() < 0.2 else None
            join = await crowd.join(line, job, after=after, pause_ms=dice.choice([0, 20, 100]))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.uniform(0, PAUSE_S / 2))
                await crowd.leave(line, join)

    await asyncio.gather(*map(come_and_go, crowd.lines))


def all_is_right(crowd: Crowd, jobs: Jobs) -> None:
    """Check that everybody who stayed saw each job's end."""
    assert crowd.faults == []
    for join in crowd.joins:
        if not join.has_left:
            last = join.versions[-1] if join.versions else join.after
            assert last == jobs.ended[join.job], join


async def test_joining_at_any_moment_gives_the_present_state_and_then_newer_ones_to_the_end(
    service: RunningService, api: Api, dice: random.Random
) -> None:
    async with crowd_at(service.url, sockets=SOCKETS) as crowd:
        jobs = Jobs(api, dice)
        async with jobs.running():
            await join_at_random(crowd, jobs, dice, joins=JOINS)
        await crowd.over(within_s=ENDS_WITHIN_S)

    all_is_right(crowd, jobs)
    assert sum(len(join.versions) > 1 for join in crowd.joins) > JOINS / 4


async def test_a_feed_shows_the_present_of_all_jobs_and_every_later_one_to_its_end(
    service: RunningService, api: Api, dice: random.Random
) -> None:
    feeds: list[tuple[Feed, int]] = []
    async with crowd_at(service.url, sockets=SOCKETS) as crowd:
        jobs = Jobs(api, dice)

        async def follow_all(line: int) -> None:
            await asyncio.sleep(dice.uniform(0, FEEDS_JOIN_WITHIN_S))
            feed = await crowd.join_feed(line)
            await eventually_async(lambda: feed.jobs)
            feeds.append((feed, jobs.begun))

        def have_seen_the_ends() -> bool:
            return all(
                feed.of(job).has_seen_the_end
                for feed, begun in feeds
                for job, number in jobs.numbers.items()
                if number > begun or job in feed.jobs
            )

        async with jobs.running():
            await asyncio.gather(*map(follow_all, [*crowd.lines] * 2))
            await eventually_async(lambda: len(jobs.ended) > LIVE_JOBS, within_s=ENDS_WITHIN_S)
        await eventually_async(have_seen_the_ends, within_s=ENDS_WITHIN_S)

    assert crowd.faults == []
    for feed, _ in feeds:
        for job in feed.jobs.keys() & jobs.ended.keys():
            assert feed.of(job).versions[-1] == jobs.ended[job]


async def test_the_same_holds_while_redis_is_killed_and_its_connections_are_cut(
    service: RunningService, api: Api, dice: random.Random
) -> None:
    async with crowd_at(service.url, sockets=SOCKETS) as crowd:
        jobs = Jobs(api, dice)

        async def after(share: float) -> None:
            enough = share * JOINS_AMID_TROUBLE
            await eventually_async(lambda: len(crowd.joins) > enough, within_s=ENDS_WITHIN_S)

        async def trouble() -> None:
            await after(0.1)
            cut_bells(service)
            await after(0.3)
            kill(redis_of(service).pid)
            for share in (0.6, 0.9):
                await after(share)
                cut_bells(service)

        async with jobs.running():
            await asyncio.gather(
                join_at_random(crowd, jobs, dice, joins=JOINS_AMID_TROUBLE), trouble()
            )
        await crowd.over(within_s=ENDS_WITHIN_S)

    all_is_right(crowd, jobs)


async def test_what_happens_while_nobody_hears_the_bell_is_seen_at_once_when_it_is_heard_again(
    service: RunningService, api: Api, tmp_path: Path
) -> None:
    names = [f"item {number}" for number in range(8)]
    async with followed_crowd(service, api, tmp_path, names) as crowd:
        for done, name in enumerate(names[:-1], start=1):
            cut_bells(service)
            (tmp_path / f"{name}.go").touch()
            while (await api.job(crowd.joins[0].job))["status"]["map"]["succeeded"] < done:
                cut_bells(service)
            await everybody_sees(crowd, done, within_s=HEALS_WITHIN_S)


async def test_what_happens_around_a_restart_of_redis_is_seen_by_everybody(
    service: RunningService, api: Api, tmp_path: Path
) -> None:
    names = [f"item {number}" for number in range(4)]
    async with followed_crowd(service, api, tmp_path, names) as crowd:
        for done, name in enumerate(names[:-1], start=1):
            kill(redis_of(service).pid)
            (tmp_path / f"{name}.go").touch()
            await everybody_sees(crowd, done, within_s=RESTARTS_WITHIN_S)


@asynccontextmanager
async def followed_crowd(
    service: RunningService, api: Api, folder: Path, names: list[str]
) -> AsyncIterator[Crowd]:
    """Have many follow a job that waits at each item; let go of the rest at the end."""
    job = await api.submit("crowd", names, params={"folder": str(folder)}, batching={"maxItems": 1})
    async with crowd_at(service.url, sockets=SOCKETS) as crowd:
        for number in range(FOLLOWERS):
            await crowd.join(number % SOCKETS, job)
        await eventually_async(lambda: all(join.versions for join in crowd.joins))
        yield crowd
        (folder / "all.go").touch()
        await crowd.over(within_s=ENDS_WITHIN_S)
    assert crowd.faults == []
    assert all(join.has_seen_the_end for join in crowd.joins)
    assert (await api.job(job))["status"]["state"] in ENDED


async def everybody_sees(crowd: Crowd, succeeded: int, *, within_s: float) -> None:
    await eventually_async(
        lambda: all(join.succeeded >= succeeded for join in crowd.joins), within_s=within_s
    )


def cut_bells(service: RunningService) -> None:
    """Cut every connection to Redis that listens for what is published."""
    with Redis.from_url(redis_url_of(service)) as redis:
        redis.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
