"""How long it takes until a task runs again elsewhere; printed, for docs/RELIABILITY.md.

Once in ``make test``; ``RECOVERY_SAMPLES=10`` measures.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from gql.transport.exceptions import TransportError
from redis import Redis

from tests.support.client import Api, pairs_of
from tests.support.killing import DURABLE, Stage, kill, redis_of, worker_of, workers_of
from tests.support.leftovers import redis_url_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async

SAMPLES: Final = int(os.environ.get("RECOVERY_SAMPLES", "1"))

pytestmark = pytest.mark.anyio

LINES: Final = ["a b", "hold", "b b"]
ANSWER: Final = {"a": 1, "b": 3, "hold": 1}
SHAPE: Final[dict[str, Any]] = {
    "batching": {"maxItems": 1},
    "failurePolicy": {"taskTimeoutSeconds": 3600},
}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("recovery")
    (folder / "sources").mkdir()
    settings = {"FANFOLD_GRACE_SECONDS": "0", "FANFOLD_SQL": "off", **DURABLE}
    with running_service(
        folder / "data", folder / "sources", port=free_port(), settings=settings
    ) as running:
        yield running


def show(capsys: pytest.CaptureFixture[str], what: str, seconds: list[float]) -> None:
    median, most = statistics.median(seconds), max(seconds)
    with capsys.disabled():
        print(f" {what}: median {median:.2f} s, longest {most:.2f} s of {len(seconds)} ", end="")  # noqa: T201


def are_ready(service: RunningService) -> bool:
    """Whether two workers are up, and not only started."""
    with Redis.from_url(redis_url_of(service)) as redis:
        names: Any = redis.zrange("fanfold:workers", 0, -1)
    known = {int(name.decode().rsplit("-", 2)[1]) for name in names}
    living = {worker.pid for worker in workers_of(service)}
    return len(living) == 2 and living <= known


async def run_when_possible(api: Api) -> dict[str, Any]:
    """Run a small job, as often as it takes for Redis to be there."""
    while True:
        try:
            return await api.run("wordcount", ["a b a"])
        except TransportError:
            await asyncio.sleep(0.02)


def term(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


@pytest.mark.timeout(60 + 20 * SAMPLES)
@pytest.mark.parametrize(
    ("name", "act"), [("SIGKILL", kill), ("SIGTERM", term)], ids=["SIGKILL", "SIGTERM"]
)
async def test_a_task_runs_again_elsewhere_soon_after_its_worker_got(
    service: RunningService,
    api: Api,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    name: str,
    act: Callable[[int], None],
) -> None:
    took = []
    for sample in range(SAMPLES):
        await eventually_async(lambda: are_ready(service))
        stage = Stage(tmp_path / str(sample))
        job = await api.submit("held", LINES, params=stage.params("map", attempts=2), **SHAPE)
        worker = worker_of(await stage.begun(1))
        await asyncio.sleep(sample / SAMPLES)  # at any moment between two heartbeats

        begun = time.monotonic()
        act(worker)
        await stage.begun(2)
        took.append(time.monotonic() - begun)

        stage.let_go()
        assert pairs_of(await api.end_of(job)) == ANSWER
    show(capsys, f"again after {name}", took)


@pytest.mark.timeout(60 + 10 * SAMPLES)
async def test_a_job_can_be_run_soon_after_the_private_redis_was_killed(
    service: RunningService, capsys: pytest.CaptureFixture[str]
) -> None:
    took = []
    for _ in range(min(SAMPLES, 3)):  # one that keeps dying is started with growing pauses
        await eventually_async(lambda: are_ready(service))
        async with Api(service.url) as api:
            begun = time.monotonic()
            kill(redis_of(service).pid)
            status = await run_when_possible(api)
            took.append(time.monotonic() - begun)
            assert pairs_of(status) == {"a": 2, "b": 1}
    show(capsys, "a whole job after Redis was killed", took)
