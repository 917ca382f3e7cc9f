"""Many mixed jobs while everything is killed again and again, by schedules with a seed.

Each job ends with its exact answer, each subscriber sees the end, and nothing is left over.

``make chaos`` runs 200 schedules. A failing one is named by its seed and run again with
``CHAOS_SEED=<seed> make chaos``.
"""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing
from typing import Any, Final, TypeVar

import httpx
import pytest
from gql.transport.exceptions import TransportError
from redis import Redis
from redis.backoff import ConstantBackoff
from redis.retry import Retry

from app.client.follow import follow
from tests.support.chaos import Chaos
from tests.support.client import Api, pairs_of
from tests.support.invariants import leftovers
from tests.support.waiting import eventually_async

T = TypeVar("T")

pytestmark = [pytest.mark.anyio, pytest.mark.long]

CHAOS_S: Final = 5.0
ENDS_WITHIN_S: Final = 50.0
JOBS: Final = 9
STUBBORN: Final = {"maxAttempts": 100, "backoffMs": 10}
WORDS: Final = ("ant", "bee", "cat", "dog", "elk")
PROGRAMS: Final = ("slow_count", "letters", "lines", "wordcount", "sql", "slow_count", "sql")
SQL: Final = """
    SELECT word AS key, count(*) AS value
    FROM (SELECT unnest(string_split(line, ' ')) AS word FROM input)
    WHERE word <> '' GROUP BY word ORDER BY key
"""


def seeds() -> list[int]:
    if seed := os.environ.get("CHAOS_SEED"):
        return [int(seed)]
    # Processes that share one run of the tests have to draw the same.
    dice = random.Random(os.environ.get("PYTEST_XDIST_TESTRUNUID"))  # noqa: S311 - no secret
    return [dice.randrange(10**6) for _ in range(int(os.environ.get("CHAOS_SCHEDULES", "2")))]


@pytest.fixture(scope="module")
def chaos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Chaos]:
    with Chaos(tmp_path_factory.mktemp("chaos")) as running:
        yield running


def some_lines(dice: random.Random) -> list[str]:
    return [" ".join(dice.choices(WORDS, k=dice.randint(0, 6))) for _ in range(40)]


class Mix:
    """A mix of jobs that one seed gives."""

    def __init__(self, chaos: Chaos, seed: int) -> None:
        self._chaos = chaos
        self._seed = seed

    async def run(self, index: int) -> None:
        """Run one job to its end, as a client that comes back does, and compare."""
        dice = random.Random(f"{self._seed} {index}")  # noqa: S311 - no secret
        lines = some_lines(dice)
        program = PROGRAMS[index % len(PROGRAMS)]
        job = await self._submit(
            **({"sql": SQL} if program == "sql" else {"program": program}),
            source=self._source(lines, index),
            idempotencyKey=f"{self._seed}-{index}",
            failurePolicy=STUBBORN,
            reducers=dice.randint(1, 4),
            batching={"maxItems": dice.randint(2, 9)},
        )
        status = await self._end_of(job)
        assert status["state"] == "SUCCEEDED", status["error"]
        status, counters = await self._answered(lambda api: _found(api, job))
        assert status["items"]["succeeded"] == status["items"]["total"] == len(lines)
        self._compare(program, lines, status, counters)

    def _source(self, lines: list[str], index: int) -> dict[str, Any]:
        if index % 2 == 0:
            return {"inline": lines}
        name = f"{self._seed}-{index}.txt"
        (self._chaos.service.sources / name).write_text("\n".join(lines) + "\n")
        return {"files": {"uris": [name]}}

    async def _submit(self, **job: Any) -> str:
        """Submit a job and return its id."""
        answer = await self._answered(lambda api: api.try_submit(**job))
        assert answer["__typename"] == "SubmitJobSuccess", answer
        job_id: str = answer["job"]["id"]
        return job_id

    async def _answered(self, ask: Callable[[Api], Awaitable[T]]) -> T:
        """Ask until there is an answer."""
        while True:
            try:
                async with Api(self._chaos.service.url) as api:
                    return await ask(api)
            except (TransportError, httpx.HTTPError, OSError):
                await asyncio.sleep(0.1)

    async def _end_of(self, job: str) -> dict[str, Any]:
        """Follow a job to its end."""
        seen: list[dict[str, Any]] = []
        async with aclosing(follow(self._chaos.service.url, job)) as states:
            async for state in states:
                seen.append(state)
        versions = [state["version"] for state in seen]
        assert versions == sorted(set(versions))
        return seen[-1]

    @staticmethod
    def _compare(
        program: str, lines: list[str], status: dict[str, Any], counters: list[dict[str, Any]]
    ) -> None:
        words = Counter(word for line in lines for word in line.split())
        if program == "lines":
            assert [row["line"] for row in status["result"]] == lines
        elif program == "letters":
            assert pairs_of(status) == Counter(c for line in lines for c in line if c != " ")
        else:
            assert pairs_of(status) == words
        if program == "slow_count":
            assert counters == [{"name": "words", "value": words.total()}]


async def _found(api: Api, job: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return what a client finds that comes after the end: the status, and the counters."""
    [status] = await api.states(job)
    return status, (await api.job(job))["counters"]


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", seeds())
async def test_answers_are_exact_whatever_happens(chaos: Chaos, seed: int) -> None:
    mix, over = Mix(chaos, seed), asyncio.Event()
    chaos.happened.clear()
    happening = asyncio.create_task(
        chaos.happen(random.Random(seed), over.is_set, for_s=CHAOS_S)  # noqa: S311 - no secret
    )
    try:
        async with asyncio.timeout(ENDS_WITHIN_S), asyncio.TaskGroup() as jobs:
            for index in range(JOBS):
                jobs.create_task(mix.run(index))
        over.set()
        await happening
        await nothing_is_left(chaos)
    except BaseException as exc:
        exc.add_note(f"again: CHAOS_SEED={seed} make chaos; happened: {chaos.happened}")
        raise
    finally:
        over.set()
        await happening


async def nothing_is_left(chaos: Chaos) -> None:
    """Wait until Redis and the blob folder hold results alone."""
    data = chaos.service.data_dir
    patience = Retry(ConstantBackoff(0.1), retries=100)  # it may have just been killed
    with Redis(
        unix_socket_path=f"{data}/redis/redis.sock", retry=patience, retry_on_error=[OSError]
    ) as redis:
        await eventually_async(lambda: not leftovers(redis, data / "blobs"))
