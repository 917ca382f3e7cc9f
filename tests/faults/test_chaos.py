"""Many mixed jobs while workers are killed again and again; every answer is exact."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from redis import Redis

from engine.result import Manifest
from tests.support.client import Api, pairs_of
from tests.support.killing import kill, workers_of
from tests.support.running import RunningService, free_port, running_service
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

CHAOS_S = 6.0
ENDS_WITHIN_S = 45.0
JOBS = 12
STUBBORN = {"maxAttempts": 100, "backoffMs": 10}
WORDS = ("ant", "bee", "cat", "dog", "elk")


@pytest.fixture
def service(tmp_path: Path) -> Iterator[RunningService]:
    (tmp_path / "sources").mkdir()
    with running_service(tmp_path / "data", tmp_path / "sources", port=free_port()) as running:
        yield running


@pytest.fixture
def dice(capsys: pytest.CaptureFixture[str]) -> random.Random:
    seed = random.SystemRandom().randrange(10**6)
    with capsys.disabled():
        print(f" seed {seed} ", end="")  # noqa: T201 - to repeat what went wrong
    return random.Random(seed)  # noqa: S311 - no secret


def some_lines(dice: random.Random) -> list[str]:
    return [" ".join(dice.choices(WORDS, k=dice.randint(0, 6))) for _ in range(60)]


async def run_one(service: RunningService, api: Api, dice: random.Random, index: int) -> None:
    """Run one job to its end and compare with plain Python."""
    lines = some_lines(dice)
    shape: dict[str, Any] = {"failurePolicy": STUBBORN, "reducers": dice.randint(1, 4)}
    words = Counter(word for line in lines for word in line.split())
    source: Any = lines
    if index % 2:
        (service.sources / f"{index}.txt").write_text("\n".join(lines) + "\n")
        source = f"{index}.txt"
    batching = {"maxItems": dice.randint(2, 9)}
    program = ("slow_count", "letters", "lines", "wordcount", "slow_count")[index % 5]
    job = await api.submit(program, source, batching=batching, **shape)
    status = await api.end_of(job, within_s=ENDS_WITHIN_S)
    assert status["items"]["succeeded"] == status["items"]["total"] == len(lines)
    if program == "lines":
        assert [row["line"] for row in status["result"]] == lines
    elif program == "letters":
        assert pairs_of(status) == Counter(c for line in lines for c in line if c != " ")
    else:
        assert pairs_of(status) == words
    if program == "slow_count":
        counters = (await api.job(job))["counters"]
        assert counters == [{"name": "words", "value": words.total()}]


async def kill_workers(service: RunningService, dice: random.Random, over: asyncio.Event) -> int:
    """Kill a worker about twice a second until *over*, or for six seconds."""
    loop, killed = asyncio.get_running_loop(), 0
    until = loop.time() + CHAOS_S
    while not over.is_set() and loop.time() < until:
        try:
            async with asyncio.timeout(dice.uniform(0.3, 0.7)):
                await over.wait()
        except TimeoutError:
            if workers := workers_of(service):
                kill(dice.choice(workers).pid)
                killed += 1
    return killed


@pytest.mark.long
async def test_answers_are_exact_however_workers_die(
    service: RunningService, dice: random.Random
) -> None:
    over = asyncio.Event()
    killing = asyncio.create_task(kill_workers(service, dice, over))
    async with Api(service.url) as api:
        async with asyncio.TaskGroup() as jobs:
            for index in range(JOBS):
                jobs.create_task(run_one(service, api, dice, index))
    over.set()

    assert await killing > 3
    await nothing_is_left(service)


async def nothing_is_left(service: RunningService) -> None:
    """Wait until Redis and the blob folder hold results alone."""
    with Redis(unix_socket_path=f"{service.data_dir}/redis/redis.sock") as redis:

        def members(key: str) -> list[Any]:
            return [member for member, _ in redis.zscan_iter(key)]

        def left() -> list[Any]:
            return [
                *members("fanfold:leases"),
                *members("fanfold:queue:process"),
                *members("fanfold:queue:loop"),
                *members("fanfold:tenant:local:live"),
                *redis.sscan_iter("fanfold:ended"),
                *redis.scan_iter("arq:*"),
                *stray_blobs(redis, service.data_dir / "blobs"),
            ]

        await eventually_async(lambda: not left(), within_s=15)
        assert redis.zcard("fanfold:tenant:local:jobs") == JOBS


def stray_blobs(redis: Redis, blobs: Path) -> list[str]:
    """Return the files that no manifest names."""
    kept: set[str] = set()
    for job, _ in redis.zscan_iter("fanfold:tenant:local:jobs"):
        name: Any = redis.hget(f"fanfold:job:{job.decode()}", "manifest")
        manifest = Manifest.from_bytes((blobs / name.decode()).read_bytes())
        kept |= {name.decode(), *(file.name for file in manifest.files)}
    found = {str(path.relative_to(blobs)) for path in blobs.rglob("*") if path.is_file()}
    return sorted(found - kept)
