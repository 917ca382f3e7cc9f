"""Messages between a service and its Redis come twice, or not at all."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

import pytest

from tests.support.client import Api, pairs_of
from tests.support.proxied_service import ProxiedService, proxied_service
from tests.support.step_killer import Trap
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

LINES: Final = ["a b", "b", "c a b", "c"]
WORDS: Final = Counter(word for line in LINES for word in line.split())
LETTERS: Final = Counter(letter for line in LINES for letter in line if letter.isalpha())
ONE_BY_ONE: Final[dict[str, Any]] = {"batching": {"maxItems": 1}, "reducers": 2}
ENDS_WITHIN_S: Final = 30.0


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ProxiedService]:
    folder = tmp_path_factory.mktemp("messages")
    (folder / "sources").mkdir()
    (folder / "sources" / "words.txt").write_text("\n".join(LINES) + "\n")
    with proxied_service(folder) as running:
        yield running


@pytest.fixture
async def api(house: ProxiedService) -> AsyncIterator[Api]:
    async with Api(house.service.url) as client:
        yield client


async def run_some(api: Api) -> tuple[str, ...]:
    """Run a mix of jobs to their ends, followed each, and compare; none is tried again."""

    async def run(program: str, source: Any, answer: Counter[str]) -> str:
        job = await api.submit(program, source, **ONE_BY_ONE)
        states = await asyncio.wait_for(api.states(job), ENDS_WITHIN_S)
        assert pairs_of(states[-1]) == answer
        assert states[-1]["map"]["retried"] == states[-1]["reduce"]["retried"] == 0
        if program == "slow_count":
            [counter] = (await api.job(job))["counters"]
            assert counter == {"name": "words", "value": WORDS.total()}
        return job

    return await asyncio.gather(
        run("slow_count", LINES, WORDS),
        run("wordcount", "words.txt", WORDS),
        run("letters", LINES, LETTERS),
    )


async def test_every_call_of_the_ledger_that_comes_twice_counts_once(
    house: ProxiedService, api: Api
) -> None:
    house.proxy.doubles = True
    try:
        await run_some(api)
        await house.is_as_before()
    finally:
        house.proxy.doubles = False


async def test_every_dispatch_that_comes_twice_runs_once(house: ProxiedService, api: Api) -> None:
    house.proxy.dispatches_twice = True
    try:
        jobs = await run_some(api)
        await house.is_as_before()
    finally:
        house.proxy.dispatches_twice = False
    again = {names[0].decode() for names in house.proxy.dispatched_again}
    assert again >= set(jobs)


async def test_lost_answers_are_asked_for_again(house: ProxiedService, api: Api) -> None:
    def only_cut(_: int) -> None: ...

    names = ("accept", "claim", "extend", "commit", "renew")
    traps = [house.proxy.trap(Trap(name, when="after", act=only_cut)) for name in names]

    await run_some(api)

    await eventually_async(lambda: all(trap.caught for trap in traps))
    await house.is_as_before()


async def test_subscribers_see_the_end_without_any_doorbell(
    house: ProxiedService, api: Api
) -> None:
    house.proxy.mutes = True
    try:
        await run_some(api)
    finally:
        house.proxy.mutes = False
