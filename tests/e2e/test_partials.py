"""Answers so far: what a follower sees of a job's result before the job has ended."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Any

import pytest

from tests.support.client import CANCEL, Api, pairs_of
from tests.support.killing import Stage
from tests.support.running import RunningService
from tests.support.sql_jobs import PLAN, submit_sql

pytestmark = pytest.mark.anyio

ROWS = [{"k": f"k{number % 5}", "v": 1} for number in range(600)]
BY_K = "SELECT k, sum(v) AS n FROM input GROUP BY k ORDER BY k"


def with_partials(states: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [state for state in states if state["partial"] is not None]


def assert_rising(states: list[dict[str, Any]]) -> None:
    """Check that what is covered only grows, and is not told before there is an answer."""
    shown = with_partials(states)
    coverages = [state["coverage"] for state in shown]
    assert coverages == sorted(coverages)
    assert all(0 < coverage <= 1 for coverage in coverages)
    assert coverages[0] < 1
    assert all(state["state"] == "RUNNING" for state in shown)
    first = states.index(shown[0])
    assert all(state["coverage"] is None for state in states[:first])
    assert (states[-1]["partial"], states[-1]["coverage"]) == (None, None)


async def test_a_query_shows_what_it_knows_so_far(api: Api) -> None:
    job = await submit_sql(
        api, BY_K, {"inline": ROWS}, batching={"maxItems": 4}, partialEveryMs=20, reducers=2
    )

    states = await api.states(job)

    assert states[-1]["result"] == [{"k": f"k{k}", "n": 120} for k in range(5)]
    assert_rising(states)
    for state in with_partials(states):
        rows = state["partial"]
        assert [row["k"] for row in rows] == sorted(row["k"] for row in rows)
        assert sum(row["n"] for row in rows) == pytest.approx(600 * state["coverage"])


async def test_a_program_that_combines_shows_what_it_knows_so_far(api: Api, stage: Stage) -> None:
    lines = ["hold", *["a b b"] * 80]
    job = await api.submit(
        "held_sum",
        lines,
        params=stage.params("map"),
        batching={"maxItems": 1},
        partialEveryMs=1,
        reducers=2,
    )
    states = []
    async with asyncio.timeout(20), aclosing(api.follow(job)) as following:
        async for state in following:
            states.append(state)
            if state["items"]["succeeded"] == 80 and state["partial"]:
                await asyncio.to_thread(stage.let_go)

    assert pairs_of(states[-1]) == {"hold": 1, "a": 80, "b": 160}
    assert_rising(states)
    for state in with_partials(states):
        found = {row["key"]: row["value"] for row in state["partial"]}
        assert found["b"] == 2 * found["a"] <= 160


async def test_partials_of_a_slow_program_keep_their_distance(
    service: RunningService, api: Api
) -> None:
    path = service.sources / "partials.txt"
    path.write_text("a b b\n" * 6_000)
    job = await api.submit("slow_count", path.name, batching={"maxBytes": 600}, partialEveryMs=500)

    states = await api.states(job)

    assert pairs_of(states[-1]) == {"a": 6_000, "b": 12_000}
    assert_rising(states)
    different = {state["coverage"] for state in with_partials(states)}
    assert 1 <= len(different) <= 6  # 60 tasks of 30 ms on two workers take a second


@pytest.mark.parametrize("program", ["slow_count", "lengths"])
async def test_a_job_that_did_not_ask_never_shows_any(api: Api, program: str) -> None:
    job = await api.submit(program, ["a b"] * 40, batching={"maxItems": 1})

    states = await api.states(job)

    assert states[-1]["state"] == "SUCCEEDED"
    assert with_partials(states) == []
    assert {state["coverage"] for state in states} == {None}


async def test_a_job_that_maps_only_never_shows_any(api: Api) -> None:
    job = await api.submit("lines", ["a"] * 40, batching={"maxItems": 1}, partialEveryMs=1)

    assert with_partials(await api.states(job)) == []


async def test_a_cancelled_job_shows_no_partial_any_more(api: Api, stage: Stage) -> None:
    lines = ["hold", *["a b"] * 40]
    job = await api.submit(
        "held_sum",
        lines,
        params=stage.params("map"),
        batching={"maxItems": 1},
        partialEveryMs=1,
    )
    states = []
    is_cancelled = False
    async with asyncio.timeout(20), aclosing(api.follow(job)) as following:
        async for state in following:
            states.append(state)
            if state["partial"] and not is_cancelled:
                is_cancelled = True
                await api.ask(CANCEL, id=job)

    assert states[-1]["state"] == "CANCELLED"
    assert (states[-1]["partial"], states[-1]["coverage"]) == (None, None)
    assert states[-1]["result"] is None


@pytest.mark.parametrize(
    "job",
    [{"program": "lines"}, {"program": "held"}, {"sql": "SELECT k FROM input"}],
    ids=["map-only", "without combine", "map-only query"],
)
async def test_a_plan_warns_where_there_is_no_answer_before_the_end(
    api: Api, job: dict[str, Any]
) -> None:
    params = {"params": {"folder": "x"}} if job.get("program") == "held" else {}
    source = {"inline": ROWS[:3] if "sql" in job else ["a"]}

    plan = (await api.ask(PLAN, input={**job, **params, "source": source, "partialEveryMs": 100}))[
        "planJob"
    ]
    silent = (await api.ask(PLAN, input={**job, **params, "source": source}))["planJob"]

    assert any("partialEveryMs" in warning for warning in plan["warnings"]), plan
    assert not any("partialEveryMs" in warning for warning in silent["warnings"])


async def test_a_plan_is_silent_where_there_is_one(api: Api) -> None:
    for job in ({"program": "wordcount"}, {"sql": BY_K}):
        source = {"inline": ROWS[:3] if "sql" in job else ["a"]}
        plan = await api.ask(PLAN, input={**job, "source": source, "partialEveryMs": 100})
        assert plan["planJob"]["warnings"] == []
