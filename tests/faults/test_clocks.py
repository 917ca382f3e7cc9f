"""Clocks that are wrong, and jump: those of the workers and of the API, each another way."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from redis import Redis

from tests.support.client import Api, pairs_of
from tests.support.false_clock import FalseClock
from tests.support.own_redis import OwnRedis, own_redis_in
from tests.support.roles import running_api, running_role
from tests.support.running import free_port
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

HOUR_S: Final = 3_600
LINES: Final = [f"line{number}" for number in range(12)]
LEASE_MS: Final = 2_750
ENDS_WITHIN_S: Final = 30.0
TIMES: Final = "query($id: ID!) { job(id: $id) { createdAt startedAt finishedAt } }"


class House:
    """An API and two workers, each with a clock of its own, beside a Redis with the right time."""

    def __init__(self, folder: Path, redis: OwnRedis, stack: ExitStack) -> None:
        self.redis = Redis.from_url(redis.url)
        self.clocks = [FalseClock(folder / f"clock{number}") for number in range(3)]
        own, *others = self.clocks
        shared = {"FANFOLD_REDIS_URL": redis.url}
        for clock in others:
            stack.enter_context(
                running_role("worker", folder / "data", settings={**shared, **clock.environment})
            )
        self.service = stack.enter_context(
            running_api(folder / "data", port=free_port(), settings={**shared, **own.environment})
        )

    def set_clocks(self, *ahead_s: int) -> None:
        for clock, seconds in zip(self.clocks, ahead_s, strict=True):
            clock.set(seconds)

    def next_end_of_a_lease_ms(self) -> float:
        leases: Any = self.redis.zrange("fanfold:leases", 0, 0, withscores=True)
        return float(leases[0][1])

    def renewed(self, end_ms: float) -> bool:
        """Whether every lease ends a whole one after *end_ms*."""
        return self.next_end_of_a_lease_ms() > end_ms + LEASE_MS


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("clocks")
    with tempfile.TemporaryDirectory() as short, own_redis_in(Path(short)) as redis:
        redis.start()
        with ExitStack() as stack:
            yield House(folder, redis, stack)


@pytest.fixture
async def api(house: House) -> AsyncIterator[Api]:
    async with Api(house.service.url) as client:
        yield client


async def test_no_task_is_lost_or_run_twice_when_clocks_jump(
    house: House, api: Api, tmp_path: Path
) -> None:
    job = await api.submit(
        "crowd", LINES, params={"folder": str(tmp_path)}, batching={"maxItems": 1}
    )
    following = asyncio.create_task(api.end_of(job, within_s=2 * ENDS_WITHIN_S))
    await eventually_async(
        lambda: len(list(tmp_path.glob("*.begun"))) == len(LINES), within_s=ENDS_WITHIN_S
    )
    for ahead_s in ((HOUR_S, -HOUR_S, HOUR_S), (-HOUR_S, HOUR_S, -HOUR_S)):
        house.set_clocks(*ahead_s)
        renewed = partial(house.renewed, house.next_end_of_a_lease_ms())
        await eventually_async(renewed, within_s=ENDS_WITHIN_S)
    (tmp_path / "all.go").touch()
    status = await following
    assert pairs_of(status) == Counter(LINES)
    assert status["map"]["retried"] == status["reduce"]["retried"] == 0


async def test_times_are_told_by_redis_clock(house: House, api: Api) -> None:
    house.set_clocks(HOUR_S, -HOUR_S, HOUR_S)
    job = await api.submit("clock", LINES, batching={"maxItems": 1})
    status = await api.end_of(job)
    away = [abs(row["value"] - time.time()) for row in status["result"]]
    assert min(away) > HOUR_S - 60, "the workers' clocks are right"
    found: dict[str, str] = (await api.ask(TIMES, id=job))["job"]
    for moment in found.values():
        told = datetime.fromisoformat(moment).timestamp()
        assert abs(told - time.time()) < ENDS_WITHIN_S
