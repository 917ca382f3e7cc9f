"""Redis is killed, away for a while, or frozen; nobody else ends, and nothing is lost.

The long form is run on demand alone: with ``LONG_OUTAGE=1`` Redis is away for a minute.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import psutil
import pytest
from gql.transport.exceptions import TransportQueryError
from redis import Redis

from tests.support.client import Api, pairs_of
from tests.support.invariants import leftovers
from tests.support.killing import DURABLE, kill, redis_of, workers_of
from tests.support.leftovers import redis_url_of
from tests.support.own_redis import OwnRedis, own_redis_in
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES: Final = ["a b", "b"] * 20
ANSWER: Final = Counter(word for line in LINES for word in line.split())
IS_LONG: Final = "LONG_OUTAGE" in os.environ
OUTAGE_S: Final = 60.0 if IS_LONG else 4.0
ENDS_WITHIN_S: Final = 30.0


@pytest.fixture
def dice(capsys: pytest.CaptureFixture[str]) -> random.Random:
    seed = int(os.environ.get("OUTAGE_SEED", random.SystemRandom().randrange(10**6)))
    with capsys.disabled():
        print(f" OUTAGE_SEED={seed} ", end="")  # noqa: T201 - to repeat what went wrong
    return random.Random(seed)  # noqa: S311 - no secret


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service with a Redis of its own."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "sources").mkdir()
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=DURABLE
    ) as running:
        yield running


@pytest.fixture(scope="module")
def own_redis() -> Iterator[OwnRedis]:
    with tempfile.TemporaryDirectory() as short, own_redis_in(Path(short), keeps=True) as own:
        own.start()
        yield own


@pytest.fixture(scope="module")
def beside(
    own_redis: OwnRedis, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RunningService]:
    """A service beside a Redis that is somebody else's."""
    folder = tmp_path_factory.mktemp("beside")
    (folder / "sources").mkdir()
    with running_service(
        folder / "data",
        folder / "sources",
        port=free_port(),
        settings={"FANFOLD_REDIS_URL": own_redis.url, "FANFOLD_SQL": "off"},
    ) as running:
        yield running


@pytest.fixture
async def probe() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


async def submit(api: Api, **job: Any) -> str:
    """Submit a job of a second or so, in many tasks."""
    return await api.submit("slow_count", LINES, batching={"maxItems": 1}, **job)


async def ends_right(api: Api, job: str, *, within_s: float = ENDS_WITHIN_S) -> None:
    """Follow a job on one connection, from now to its end, and compare."""
    states = await asyncio.wait_for(api.states(job), within_s)
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert pairs_of(states[-1]) == ANSWER
    assert (await api.job(job))["counters"] == [{"name": "words", "value": ANSWER.total()}]


async def readiness(probe: httpx.AsyncClient, service: RunningService) -> tuple[int, str]:
    answer = await probe.get(f"{service.url}/readyz")
    return answer.status_code, answer.text.strip()


async def until_ready(
    probe: httpx.AsyncClient, service: RunningService, wanted: int, *, within_s: float = 10.0
) -> str:
    """Wait until the service says that it is ready, or not, and return its reason."""
    async with asyncio.timeout(within_s):
        while (found := await readiness(probe, service))[0] != wanted:  # noqa: ASYNC110 - HTTP
            await asyncio.sleep(0.02)
    return found[1]


def processes_of(service: RunningService) -> set[int]:
    return {service.process.pid, *(worker.pid for worker in workers_of(service))}


async def test_jobs_go_on_when_the_private_redis_is_killed(
    service: RunningService, dice: random.Random
) -> None:
    async with Api(service.url) as api:
        before = processes_of(service)
        jobs = [await submit(api) for _ in range(3)]
        ends = [asyncio.create_task(ends_right(api, job)) for job in jobs]
        for _ in range(2):
            await asyncio.wait(ends, timeout=dice.uniform(0, 0.8))
            kill(redis_of(service).pid)
            await eventually_async(lambda: is_there(service))

        await asyncio.gather(*ends)

    assert processes_of(service) == before
    with Redis.from_url(redis_url_of(service)) as redis:
        blobs = service.data_dir / "blobs"
        await eventually_async(lambda: not leftovers(redis, blobs))
    log = service.log
    assert log.count("redis-server ended with -9: starting it again") == 2
    assert "Traceback" not in log


def is_there(service: RunningService) -> bool:
    """Whether the private Redis is a process again, not just about to become one."""
    try:
        return redis_of(service).status() != psutil.STATUS_ZOMBIE
    except (ValueError, psutil.NoSuchProcess):
        return False


@pytest.mark.timeout(180)
async def test_everybody_waits_for_a_redis_that_is_away(
    beside: RunningService, own_redis: OwnRedis, probe: httpx.AsyncClient
) -> None:
    async with Api(beside.url) as api:
        assert await until_ready(probe, beside, 200) == "ok"
        before = processes_of(beside)
        job = await submit(api)
        end = asyncio.create_task(ends_right(api, job, within_s=OUTAGE_S + ENDS_WITHIN_S))
        await eventually_async(lambda: has_begun(own_redis, job))

        own_redis.kill()
        back_at = time.monotonic() + OUTAGE_S
        assert await until_ready(probe, beside, 503) == "Redis does not answer"
        with pytest.raises(TransportQueryError, match="UNAVAILABLE"):
            await api.submit("wordcount", ["a"])
        await eventually_async(lambda: time.monotonic() > back_at, within_s=OUTAGE_S + 5)
        assert (await readiness(probe, beside))[0] == 503
        own_redis.start()

        assert await until_ready(probe, beside, 200) == "ok"
        await end
        assert pairs_of(await api.run("wordcount", ["a b a"])) == {"a": 2, "b": 1}
    assert processes_of(beside) == before
    assert "Traceback" not in beside.log


def has_begun(own_redis: OwnRedis, job: str) -> bool:
    with Redis.from_url(own_redis.url) as redis:
        done: Any = redis.hget(f"fanfold:job:{job}", "map_succeeded")
        return int(done or 0) > 0


async def test_everybody_waits_for_a_redis_that_is_frozen(
    beside: RunningService, own_redis: OwnRedis, probe: httpx.AsyncClient
) -> None:
    async with Api(beside.url) as api:
        job = await submit(api)
        end = asyncio.create_task(ends_right(api, job))
        await eventually_async(lambda: has_begun(own_redis, job))

        own_redis.send(signal.SIGSTOP)
        try:
            assert await until_ready(probe, beside, 503) == "Redis does not answer"
        finally:
            own_redis.send(signal.SIGCONT)

        assert await until_ready(probe, beside, 200) == "ok"
        await end


async def test_a_service_that_starts_before_its_redis_waits_for_it(
    tmp_path: Path, probe: httpx.AsyncClient
) -> None:
    (tmp_path / "sources").mkdir()
    with tempfile.TemporaryDirectory() as short, own_redis_in(Path(short)) as own:
        with running_service(
            tmp_path / "data",
            tmp_path / "sources",
            port=free_port(),
            workers=1,
            settings={"FANFOLD_REDIS_URL": own.url, "FANFOLD_SQL": "off"},
        ) as early:
            assert await until_ready(probe, early, 503) == "Redis does not answer"

            own.start()

            assert await until_ready(probe, early, 200) == "ok"
            async with Api(early.url) as api:
                assert pairs_of(await api.run("wordcount", ["a b a"])) == {"a": 2, "b": 1}
