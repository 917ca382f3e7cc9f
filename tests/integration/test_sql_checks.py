# ruff: noqa: S608
"""Queries of two tenants, checked by the process that does it in a deployment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.processes import sql_process
from app.settings import load_settings
from engine.cancellation import cancel_all
from engine.errors import InputError, QuotaExceededError
from engine.spec import parse_spec
from engine.sql.checker import SqlCheck
from workers.checker import ProcessChecker
from workers.task_process import TaskProcess

pytestmark = pytest.mark.anyio

HARD_WITHIN_S = 1.0
WAITING = 4


@pytest.fixture
async def process(tmp_path: Path) -> AsyncIterator[TaskProcess]:
    process = sql_process(load_settings({}, data_dir=tmp_path / "data"))
    try:
        async with asyncio.timeout(60):
            await process.start()
            yield process
    finally:
        await process.stop()


def hard_query(number: int) -> str:
    """Return a query that takes a planner many seconds, and is none that it has seen."""
    parts = (f"(SELECT max(a) FROM input WHERE a < {i} + t.a + {number})" for i in range(150))
    return f"SELECT {' + '.join(parts)} FROM input t"


def check_of(sql: str) -> SqlCheck:
    return SqlCheck(parse_spec({"sql": sql, "source": {"inline": [{"a": 1}]}}).to_json())


async def test_one_tenants_hard_queries_hold_up_another_for_one_check_at_most(
    process: TaskProcess,
) -> None:
    checker = ProcessChecker(process, within_s=HARD_WITHIN_S, waiting=WAITING)
    hard = [
        asyncio.create_task(checker.check(check_of(hard_query(number)), tenant="alpha"))
        for number in range(8)
    ]
    await asyncio.wait(hard, return_when=asyncio.FIRST_COMPLETED)  # those of whom too many wait

    checked = await checker.check(check_of("SELECT count(*) AS n FROM input"), tenant="beta")

    assert checked.job["steps"]["reduce"]
    ended = [check for check in hard if check.done()]
    refused = [check for check in ended if isinstance(check.exception(), QuotaExceededError)]
    timed_out = [check for check in ended if isinstance(check.exception(), InputError)]
    assert (len(ended), len(refused), len(timed_out)) == (4, 3, 1)
    await cancel_all(hard)
    again = await checker.check(check_of("SELECT sum(a) AS s FROM input"), tenant="alpha")
    assert again.job["steps"]["reduce"]
