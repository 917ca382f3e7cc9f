"""A small job does not wait for a large one that came before it."""

from __future__ import annotations

import asyncio

import pytest

from tests.support.client import CANCEL, Api

pytestmark = pytest.mark.anyio

TASKS = 10_000
BEGINS_WITHIN_S = 2.0


async def test_a_job_of_ten_tasks_begins_while_ten_thousand_of_another_are_queued(
    api: Api,
) -> None:
    large = await api.submit(
        "slow_count",
        [f"line {number}" for number in range(TASKS)],
        batching={"maxItems": 1},
        maxConcurrency=TASKS,
    )
    small = await api.submit(
        "slow_count", [f"line {number}" for number in range(10)], batching={"maxItems": 1}
    )
    try:
        async with asyncio.timeout(BEGINS_WITHIN_S):
            async for status in api.follow(small):
                if status["map"]["succeeded"]:
                    break
        assert (await api.end_of(small))["state"] == "SUCCEEDED"
        status = (await api.job(large))["status"]
        assert status["state"] == "RUNNING"
        assert status["map"]["pending"] > TASKS // 2
    finally:
        await api.ask(CANCEL, id=large)
