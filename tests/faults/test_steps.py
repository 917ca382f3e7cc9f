"""A worker is killed at every step of every kind of task: jobs end right, nothing is done twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.support.client import Api, pairs_of
from tests.support.invariants import KINDS, Rings, problems
from tests.support.killing import Stage, kill, worker_of, workers_of
from tests.support.proxied_service import ProxiedService, proxied_service
from tests.support.step_killer import Trap, kill_when_written
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES: Final = ["a b", "hold", "b b", "c a"]
ANSWER: Final = Counter(word for line in LINES for word in line.split())
ENDS_WITHIN_S: Final = 30.0
JOBS: Final = 3
PLACES: Final = ("map", "reduce", "finish")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedService]:
    folder = tmp_path_factory.mktemp("steps")
    (folder / "sources").mkdir()
    (folder / "sources" / "words.txt").write_text("\n".join(LINES) + "\n")
    with proxied_service(folder) as running:
        yield running


@pytest.fixture
async def api(house: ProxiedService) -> Any:
    """A client, once there are two workers again and nothing of earlier jobs."""
    await eventually_async(lambda: len(workers_of(house.service)) == 2)
    house.proxy.traps.clear()
    async with Api(house.service.url) as client:
        yield client


async def submit(api: Api, stage: Stage, where: str = "map", *, attempts: int = 0) -> str:
    params = stage.params(where, attempts=attempts)
    return await api.submit("held_anywhere", "words.txt", params=params, reducers=2)


async def ends_right(api: Api, job: str) -> dict[str, Any]:
    """Wait for the terminal state as a subscriber does, and compare."""
    states = await asyncio.wait_for(api.states(job), ENDS_WITHIN_S)
    versions = [state["version"] for state in states]
    assert versions == sorted(set(versions))
    assert pairs_of(states[-1]) == ANSWER
    [words] = (await api.job(job))["counters"]
    assert words == {"name": "words", "value": ANSWER.total()}
    return states[-1]


@pytest.mark.parametrize(
    ("script", "when"), [("claim", "after"), ("commit", "before"), ("commit", "after")]
)
async def test_jobs_end_right_when_workers_are_killed_around_a_step_of_every_kind_of_task(
    house: ProxiedService, api: Api, stage: Stage, script: str, when: Any
) -> None:
    rings = Rings(house.redis)
    traps = [house.proxy.trap(Trap(script, kind, when)) for kind in KINDS]
    jobs = [await submit(api, stage) for _ in range(JOBS)]

    ends = await asyncio.gather(*(ends_right(api, job) for job in jobs))

    assert [len(trap.caught) for trap in traps] == [1] * len(KINDS)
    lost = 0 if (script, when) == ("commit", "after") else 1
    for kind in ("map", "reduce"):
        assert sum(end[kind]["retried"] for end in ends) == lost
    await house.is_as_before()
    assert rings.wrong_versions(house.redis, jobs) == []


async def test_a_worker_that_is_killed_before_its_claim_costs_no_try(
    house: ProxiedService, api: Api, stage: Stage
) -> None:
    trap = house.proxy.trap(Trap("claim", "map"))

    end = await ends_right(api, await submit(api, stage))

    assert len(trap.caught) == 1
    assert end["map"]["retried"] == 0
    await house.is_as_before()


async def test_a_job_ends_right_when_its_planner_is_killed_amid_the_plan(
    house: ProxiedService, api: Api, stage: Stage
) -> None:
    trap = house.proxy.trap(Trap("extend", when="after"))

    job = await submit(api, stage)

    await ends_right(api, job)
    assert len(trap.caught) == 1
    await house.is_as_before()


@pytest.mark.parametrize("is_written", [False, True], ids=["amid the work", "when it is written"])
async def test_jobs_end_right_when_workers_are_killed(
    house: ProxiedService, api: Api, tmp_path: Path, is_written: bool
) -> None:
    async def run(where: str) -> None:
        stage = Stage(tmp_path / where)
        job = await submit(api, stage, where, attempts=1)
        ending = asyncio.create_task(ends_right(api, job))
        if is_written:
            await kill_when_written(stage, house.blobs / "jobs" / job)
        else:
            kill(worker_of(await stage.begun()))
        assert problems(house.redis) == []
        await ending

    async with asyncio.TaskGroup() as cases:
        for where in PLACES:
            cases.create_task(run(where))

    await house.is_as_before()
