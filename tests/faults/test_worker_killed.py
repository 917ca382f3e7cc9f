"""Processes of a real service are killed, stopped and told to end; answers stay exact."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.client import CANCEL, Api, pairs_of
from tests.support.killing import Stage, kill, pid_of, worker_of, workers_of
from tests.support.running import RunningService, free_port, is_running, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES = ["a b", "hold", "b b"]
ANSWER = {"a": 1, "b": 3, "hold": 1}
ONE_BY_ONE = {"batching": {"maxItems": 1}, "reducers": 3}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    """A service whose workers may be killed: it starts new ones. It gives tasks no grace time."""
    folder = tmp_path_factory.mktemp("killed")
    (folder / "sources").mkdir()
    settings = {"FANFOLD_GRACE_SECONDS": "0"}
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=settings
    ) as running:
        yield running


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    """A client, once there are two workers again."""
    await eventually_async(lambda: len(workers_of(service)) == 2)
    async with Api(service.url) as client:
        yield client


def shuffles(service: RunningService) -> Iterator[Path]:
    return service.data_dir.glob("blobs/jobs/*/shuffle/*")


async def the_task(api: Api, job: str, kind: str) -> dict[str, Any]:
    """Return the task of that kind that took most attempts."""
    return max(await api.tasks(job, kind), key=lambda task: int(task["attempts"]))


@pytest.mark.parametrize("where", ["map", "reduce"])
async def test_a_task_goes_on_elsewhere_when_its_worker_is_killed(
    api: Api, stage: Stage, where: str
) -> None:
    job = await api.submit("held", LINES, params=stage.params(where), **ONE_BY_ONE)
    killed = worker_of(await stage.begun())

    kill(killed)
    status = await api.end_of(job, within_s=10)

    assert pairs_of(status) == ANSWER
    assert status[where]["retried"] == 1
    task = await the_task(api, job, where.upper())
    assert (task["attempts"], task["state"]) == (2, "SUCCEEDED")
    assert pid_of(task) != killed
    assert (await api.job(job))["counters"] == [{"name": "words", "value": 5}]


async def test_a_task_is_tried_again_at_once_when_its_process_is_killed(
    api: Api, stage: Stage
) -> None:
    policy = {"backoffMs": 0}
    job = await api.submit(
        "held", LINES, params=stage.params("map"), failurePolicy=policy, **ONE_BY_ONE
    )
    process = await stage.begun()
    worker = worker_of(process)

    kill(process)
    status = await api.end_of(job, within_s=5)

    assert pairs_of(status) == ANSWER
    assert (await the_task(api, job, "MAP"))["attempts"] == 2
    os.kill(worker, 0)  # it lives


async def test_the_last_attempt_s_death_fails_the_job_and_says_so(api: Api, stage: Stage) -> None:
    policy = {"maxAttempts": 1}
    job = await api.submit(
        "held", LINES, params=stage.params("map"), failurePolicy=policy, **ONE_BY_ONE
    )
    worker = worker_of(await stage.begun())

    kill(worker)
    status = await api.end_of(job, within_s=10)

    assert status["state"] == "FAILED"
    assert status["error"]["code"] == "WORKER_LOST"
    assert "the worker died" in status["error"]["message"]
    assert status["error"]["taskId"] == "map-1"
    failed = [task for task in await api.tasks(job) if task["state"] == "FAILED"]
    assert [(task["id"], task["error"]["code"]) for task in failed] == [("map-1", "WORKER_LOST")]


async def test_a_worker_that_slept_through_its_lease_changes_nothing(
    service: RunningService, api: Api, stage: Stage
) -> None:
    job = await api.submit("held_large", LINES, params=stage.params("map"), **ONE_BY_ONE)
    sleeper = worker_of(await stage.begun())

    os.kill(sleeper, signal.SIGSTOP)
    try:
        status = await api.end_of(job, within_s=10)
        counters = (await api.job(job))["counters"]
        await eventually_async(lambda: not list(shuffles(service)))
        assert status["map"]["retried"] == 1
        stage.let_go()  # its task process finishes, but who would say so sleeps
        await eventually_async(lambda: list(shuffles(service)))
    finally:
        os.kill(sleeper, signal.SIGCONT)

    assert pairs_of(status) == ANSWER
    assert counters == [{"name": "words", "value": 5}]
    # The sleeper, awake, says its word in vain and then runs other jobs.
    while {pid_of(task) for task in await api.tasks(await _small_job(api), "MAP")} != {sleeper}:
        pass
    assert await api.end_of(job) == status
    assert (await api.job(job))["counters"] == counters
    await eventually_async(lambda: not list(shuffles(service)))


async def _small_job(api: Api) -> str:
    job: str = (await api.run("wordcount", ["a"]))["id"]
    return job


async def test_an_attempt_that_was_given_to_another_worker_is_fenced(
    api: Api, stage: Stage
) -> None:
    """Both attempts run to their end, the first one last."""
    job = await api.submit("held", LINES, params=stage.params("map", attempts=2), **ONE_BY_ONE)
    first = await stage.begun(1)
    sleeper = worker_of(first)
    os.kill(sleeper, signal.SIGSTOP)
    try:
        os.kill(first, signal.SIGSTOP)
        assert worker_of(await stage.begun(2)) != sleeper
        stage.let_go()
        status = await api.end_of(job, within_s=10)
    finally:
        os.kill(first, signal.SIGCONT)
        os.kill(sleeper, signal.SIGCONT)

    assert pairs_of(status) == ANSWER
    assert (await the_task(api, job, "MAP"))["attempts"] == 2
    assert await api.end_of(job) == status


async def test_a_worker_told_to_end_hands_its_task_back_uncharged(
    service: RunningService, api: Api, stage: Stage
) -> None:
    policy = {"maxAttempts": 1}  # a lease that runs out would fail the job
    job = await api.submit(
        "held", LINES, params=stage.params("map"), failurePolicy=policy, **ONE_BY_ONE
    )
    told = worker_of(await stage.begun())
    [process] = [worker for worker in workers_of(service) if worker.pid == told]

    os.kill(told, signal.SIGTERM)
    status = await api.end_of(job)

    assert pairs_of(status) == ANSWER
    await eventually_async(lambda: not is_running(process), within_s=3)


async def test_workers_told_to_end_at_any_moment_charge_nobody(
    service: RunningService, api: Api
) -> None:
    shape: dict[str, Any] = {"batching": {"maxItems": 1}, "failurePolicy": {"maxAttempts": 1}}
    jobs = [await api.submit("slow_count", ["a b", "b"] * 60, **shape) for _ in range(2)]
    ends = asyncio.gather(*(api.end_of(job) for job in jobs))

    told = 0
    while not ends.done():
        await asyncio.wait([ends], timeout=0.25)
        working = [worker for worker in workers_of(service) if worker.children()]
        if len(working) == 2:
            working[told % 2].terminate()
            told += 1
    assert told > 1
    statuses = await ends

    for status in statuses:
        assert pairs_of(status) == {"a": 60, "b": 120}


async def test_a_cancelled_job_ends_although_its_worker_is_dead(api: Api, stage: Stage) -> None:
    job = await api.submit("held", LINES, params=stage.params("map"), **ONE_BY_ONE)
    kill(worker_of(await stage.begun()))

    await api.ask(CANCEL, id=job)

    assert (await api.end_of(job, within_s=6))["state"] == "CANCELLED"
