"""The API is killed at every step of a submit; the client repeats it and there is one job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
from gql.transport.exceptions import TransportError
from redis import Redis

from tests.support.client import Api, pairs_of
from tests.support.invariants import problems
from tests.support.proxied_service import proxied_redis
from tests.support.redis_proxy import RedisProxy
from tests.support.roles import running_api, running_role
from tests.support.running import RunningService, free_port
from tests.support.step_killer import Trap

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("submit")


@pytest.fixture(scope="module")
def store() -> Iterator[tuple[RedisProxy, Redis]]:
    with proxied_redis() as found:
        yield found


@pytest.fixture(scope="module")
def settings(folder: Path, store: tuple[RedisProxy, Redis]) -> Iterator[Mapping[str, str]]:
    """What the API needs to know, while a worker runs."""
    known = {"FANFOLD_REDIS_URL": store[0].url}
    with running_role("worker", folder / "data", settings=known):
        yield known


def jobs_in(redis: Redis) -> int:
    found: Any = redis.zcard("fanfold:tenant:local:jobs")
    return int(found)


async def submit(service: RunningService, key: str) -> dict[str, Any]:
    async with Api(service.url) as api:
        source = {"inline": ["a b", "b"]}
        return await api.try_submit(program="wordcount", source=source, idempotencyKey=key)


@pytest.mark.parametrize(
    ("name", "when", "is_accepted"),
    [
        ("accept", "before", False),
        ("accept", "after", True),
    ],
)
async def test_a_repeated_submit_leads_to_one_job(
    folder: Path,
    store: tuple[RedisProxy, Redis],
    settings: Mapping[str, str],
    name: str,
    when: Any,
    is_accepted: bool,
) -> None:
    proxy, redis = store
    port, key = free_port(), f"{name} {when}"
    there = jobs_in(redis)
    with ExitStack() as stack:
        api = stack.enter_context(running_api(folder / "data", port=port, settings=settings))
        trap = proxy.trap(Trap(name, when=when))
        with pytest.raises((TransportError, httpx.HTTPError)):
            await submit(api, key)
        assert trap.caught == [api.process.pid]
        api.process.wait(10)
        assert jobs_in(redis) == there + is_accepted

        start = running_api(folder / "data", port=port, settings=settings)
        again = await asyncio.to_thread(stack.enter_context, start)
        answers = [await submit(again, key) for _ in range(2)]

        assert [answer["created"] for answer in answers] == [not is_accepted, False]
        [job] = {answer["job"]["id"] for answer in answers}
        assert jobs_in(redis) == there + 1
        async with Api(again.url) as client:
            assert pairs_of(await client.end_of(job)) == {"a": 1, "b": 2}
    assert problems(redis) == []
