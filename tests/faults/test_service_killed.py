"""The service or its Redis is killed, and started again on the same data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, aclosing
from pathlib import Path
from typing import Any

import pytest

from app.client.follow import follow
from tests.support.client import Api, pairs_of
from tests.support.killing import DURABLE, Stage, all_gone, all_of, kill, redis_of
from tests.support.running import RunningService, free_port, is_running, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES = ["a b", "hold", "b b"]
ANSWER = {"a": 1, "b": 3, "hold": 1}
Start = Callable[[], AbstractContextManager[RunningService]]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Start the service, on the same port and data folder each time."""
    port = free_port()
    (tmp_path / "sources").mkdir()
    return lambda: running_service(
        tmp_path / "data", tmp_path / "sources", port=port, settings=DURABLE
    )


async def hold(service: RunningService, stage: Stage, **job: Any) -> str:
    """Submit a job and wait until one of its map tasks is held."""
    async with Api(service.url) as api:
        shape = {"batching": {"maxItems": 1}, "reducers": 2, **job}
        submitted = await api.submit("held", LINES, params=stage.params("map"), **shape)
        await stage.begun()
        return submitted


async def test_nothing_is_left_when_the_service_is_killed(start: Start, stage: Stage) -> None:
    with start() as service:
        await hold(service, stage)
        started = all_of(service)
        assert len(started) >= 5  # Redis, two workers, their task processes

        kill(service.process.pid)
        service.process.wait()

        await all_gone(started, within_s=8)


async def test_after_a_restart_interrupted_jobs_go_on_and_ended_ones_are_there(
    start: Start, stage: Stage
) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(start())
        async with Api(first.url) as api:
            ended = await api.run("wordcount", ["a b a"])
        job = await hold(first, stage, failurePolicy={"maxAttempts": 2})
        seen: list[dict[str, Any]] = []

        async def watch() -> None:
            async with aclosing(follow(first.url, job)) as states:
                async for state in states:
                    seen.append(state)

        watching = asyncio.create_task(watch())
        await eventually_async(lambda: bool(seen))

        kill(first.process.pid)
        first.process.wait()
        again = await asyncio.to_thread(stack.enter_context, start())
        async with Api(again.url) as api:
            status = await api.end_of(job, within_s=15)
            counters = (await api.job(job))["counters"]
            assert await api.states(ended["id"]) == [ended]
        await asyncio.wait_for(watching, 10)

    assert pairs_of(status) == ANSWER
    assert counters == [{"name": "words", "value": 5}]
    assert seen[-1]["result"] == status["result"]
    versions = [state["version"] for state in seen]
    assert versions == sorted(set(versions))


async def test_the_service_ends_when_its_redis_cannot_be_started_again(
    start: Start, stage: Stage
) -> None:
    with ExitStack() as stack:
        service = stack.enter_context(start())
        job = await hold(service, stage)
        started = all_of(service)
        folder = service.data_dir / "redis"
        [kept] = [
            *folder.glob("appendonlydir/*.manifest"),
            *folder.glob("appendonly.aof"),  # before Redis 7
        ]
        right = kept.read_bytes()
        kept.write_text("no such format\n")

        kill(redis_of(service).pid)
        await eventually_async(lambda: service.process.poll() is not None, within_s=20)
        status = service.process.returncode

        assert status == 2
        assert not any(map(is_running, started))
        log = service.log
        assert "redis-server did not start 5 times in a row; every accepted job is kept" in log
        assert "Traceback" not in log
        kept.write_bytes(right)
        again = await asyncio.to_thread(stack.enter_context, start())
        async with Api(again.url) as api:
            assert pairs_of(await api.end_of(job, within_s=15)) == ANSWER


async def test_ctrl_c_hands_running_tasks_back_before_redis_ends(
    start: Start, stage: Stage
) -> None:
    with start() as service:
        job = await hold(service, stage, failurePolicy={"maxAttempts": 1})

    with start() as service:
        async with Api(service.url) as api:
            assert pairs_of(await api.end_of(job, within_s=10)) == ANSWER
    assert "trying again" not in service.log
