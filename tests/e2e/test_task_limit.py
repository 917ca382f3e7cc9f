"""The longest that an attempt may run in a deployment, whatever its job and wherever it hangs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from tests.support.client import Api
from tests.support.running import RunningService, free_port, running_service
from tests.support.sql_jobs import PLAN, run_sql

pytestmark = pytest.mark.anyio

PROGRAMS = """
import asyncio
from engine import Program

def forever(*_):
    while True:
        pass

async def waiting(item, ctx):
    await asyncio.Event().wait()

def pairs(item, ctx):
    yield item, 1

def total(key, values, ctx):
    return sum(values)

maps = Program(name="maps", map=forever)
batches = Program(name="batches", map_batch=forever)
waits = Program(name="waits", map=waiting)
reduces = Program(name="reduces", map=pairs, reduce=forever)
finishes = Program(name="finishes", map=pairs, reduce=total, finish=forever)
"""
ONCE = {"maxAttempts": 1}
LONG_QUERY = (
    "SELECT sum(sin(a.range * b.range)) AS s FROM range(10000000) a, range(1000000) b, input"
)


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningService]:
    folder = tmp_path_factory.mktemp("limit")
    (folder / "hanging.py").write_text(PROGRAMS)
    settings = {
        "FANFOLD_MAX_TASK_SECONDS": "1",
        "FANFOLD_PROGRAMS": str(folder / "hanging.py"),
    }
    with running_service(folder / "data", folder, port=free_port(), settings=settings) as running:
        yield running


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    async with Api(service.url) as client:
        yield client


@pytest.mark.parametrize(
    ("program", "task"),
    [
        ("maps", "map-0"),
        ("batches", "map-0"),
        ("waits", "map-0"),
        ("reduces", "reduce-0"),
        ("finishes", "finish-0"),
    ],
)
async def test_a_job_that_says_nothing_has_the_limit(api: Api, program: str, task: str) -> None:
    failed = await api.run(program, ["x"], failurePolicy=ONCE, reducers=1)

    assert failed["error"] == {
        "code": "TASK_TIMEOUT",
        "message": f"{task} ran longer than 1 s",
        "retryable": True,
        "taskId": task,
    }


async def test_a_query_has_the_limit(api: Api) -> None:
    failed = await run_sql(api, LONG_QUERY, [{"a": 1}], failurePolicy=ONCE)

    assert failed["error"]["code"] == "TASK_TIMEOUT"
    assert failed["error"]["message"].endswith("ran longer than 1 s")


async def test_a_pattern_holds_nobody_up(api: Api) -> None:
    found = await api.run("grep", ["a" * 40 + "!", "aa"], params={"pattern": "(a+)+$"})

    assert [row["line"] for row in found["result"]] == ["aa"]


async def test_a_job_may_ask_for_less_and_not_for_more(api: Api) -> None:
    def asked(seconds: float) -> dict[str, Any]:
        policy = {**ONCE, "taskTimeoutSeconds": seconds}
        source = {"inline": ["x"]}
        return {"program": "maps", "source": source, "failurePolicy": policy}

    failed = await api.run("maps", ["x"], failurePolicy=asked(0.2)["failurePolicy"])
    refused = await api.try_submit(**asked(1.5))
    planned = (await api.ask(PLAN, input=asked(1.5)))["planJob"]

    assert failed["error"]["message"] == "map-0 ran longer than 0.2 s"
    assert refused["__typename"] == planned["__typename"] == "ValidationError"
    assert refused["issues"] == planned["issues"]
    assert refused["issues"] == [
        {
            "path": ["input", "failurePolicy", "taskTimeoutSeconds"],
            "message": "must be 1 or less in this deployment, is 1.5",
        }
    ]
