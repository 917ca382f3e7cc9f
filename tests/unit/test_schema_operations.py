"""Operations, as a client would send them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.job import JobError, JobId, JobState, Task, TaskKind, TaskState, task_id
from engine.jsonvalue import decode, encode
from schema.build import Schema, build_schema
from schema.context import Context
from schema.scalars import read_instant, write_instant
from tests.support.memory import ADA, EVE, NOON, World, job_of, make_world
from tests.support.waiting import eventually_async
from tests.unit.test_submit import store_result

pytestmark = pytest.mark.anyio

SUBMIT = """
mutation($input: SubmitJobInput!) {
  submitJob(input: $input) {
    __typename
    ... on SubmitJobSuccess { created job { id spec tags status { state version } } }
    ... on UserError { code message path retryable }
    ... on ValidationError { issues { path message } }
    ... on IdempotencyConflictError { existingJobId }
    ... on SourceError { location }
  }
}
"""
INLINE = {"program": "wordcount", "source": {"inline": ["a b"]}}


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema()


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = make_world(roots=[tmp_path])
    async with asyncio.timeout(10), world.hub:
        yield world


def context_of(world: World) -> Context:
    return Context(services=world.services, hub=world.hub, caller=ADA)


async def ask(schema: Schema, world: World, query: str, **variables: Any) -> Any:
    result = await schema.execute(query, variable_values=variables, context_value=context_of(world))
    assert result.errors is None
    return decode(encode(result.data))  # rows are JSON already


async def submit(schema: Schema, world: World, **given: Any) -> Any:
    return (await ask(schema, world, SUBMIT, input=given))["submitJob"]


class TestSubmitJob:
    async def test_every_default_is_filled_in(self, schema: Schema, world: World) -> None:
        answer = await submit(schema, world, **INLINE)

        assert answer["created"] is True
        assert answer["job"]["status"] == {"state": "QUEUED", "version": 1}
        assert answer["job"]["spec"]["failurePolicy"] == {
            "maxAttempts": 3,
            "backoffMs": 500,
            "taskTimeoutSeconds": None,
            "toleratedFailureCount": 0,
            "toleratedFailurePercentage": 0,
            "badItems": "FAIL",
        }

    async def test_null_means_left_out_wherever_it_stands(
        self, schema: Schema, world: World
    ) -> None:
        explicit = {
            **INLINE,
            "params": None,
            "batching": {"maxItems": None, "maxBytes": None},
            "maxConcurrency": None,
            "reducers": None,
            "failurePolicy": {
                "maxAttempts": None,
                "backoffMs": None,
                "taskTimeoutSeconds": None,
                "toleratedFailureCount": None,
                "toleratedFailurePercentage": None,
                "badItems": None,
            },
            "name": None,
            "tags": None,
            "idempotencyKey": None,
            "timeoutSeconds": None,
            "waitUpToMs": None,
        }

        with_nulls = await submit(schema, world, **explicit)
        without = await submit(schema, world, **INLINE)

        assert with_nulls["job"]["spec"] == without["job"]["spec"]

    async def test_nulls_within_json_values_stay(self, schema: Schema, world: World) -> None:
        row = {"a": None, "b_c": {"someKey": [None]}}

        answer = await submit(schema, world, program="wordcount", source={"inline": [row]})

        assert answer["job"]["spec"]["source"]["inline"] == [row]

    async def test_everything_that_is_given_arrives(self, schema: Schema, world: World) -> None:
        given = {
            "program": "wordcount",
            "params": {"top": 3},
            "source": {"inline": ["a"]},
            "batching": {"maxItems": 5, "maxBytes": 6},
            "maxConcurrency": 2,
            "reducers": 4,
            "failurePolicy": {
                "maxAttempts": 2,
                "backoffMs": 1,
                "taskTimeoutSeconds": 1.5,
                "toleratedFailureCount": 3,
                "toleratedFailurePercentage": 0.5,
                "badItems": "SKIP",
            },
            "name": "n",
            "tags": ["t"],
            "idempotencyKey": "k",
            "timeoutSeconds": 9.5,
        }

        spec = (await submit(schema, world, **given))["job"]["spec"]

        assert {name: spec[name] for name in given if name != "source"} == {
            name: value for name, value in given.items() if name != "source"
        }

    async def test_files_arrive_with_their_layout(
        self, schema: Schema, world: World, tmp_path: Path
    ) -> None:
        (tmp_path / "a.csv").write_text("x;y\n1;2\n")
        files = {
            "uris": ["a.csv"],
            "mode": "RECORDS",
            "format": "CSV",
            "itemsPointer": None,
            "csv": {"delimiter": ";", "header": False, "columns": ["x", "y"]},
        }

        answer = await submit(schema, world, program="wordcount", source={"files": files})

        assert answer["job"]["spec"]["source"]["files"] == files

    async def test_every_problem_is_data(self, schema: Schema, world: World) -> None:
        answer = await submit(
            schema, world, program="nope", source={"inline": [1]}, waitUpToMs=99_999
        )

        assert answer["__typename"] == "ValidationError"
        assert (answer["code"], answer["retryable"]) == ("VALIDATION_FAILED", False)
        assert {tuple(issue["path"][:2]) for issue in answer["issues"]} == {
            ("input", "waitUpToMs"),
            ("input", "program"),
            ("input", "source"),
        }

    async def test_a_missing_program_is_data(self, schema: Schema, world: World) -> None:
        answer = await submit(schema, world, source=INLINE["source"])

        assert (answer["__typename"], answer["path"]) == ("ValidationError", ["input"])
        assert "exactly one of program and sql" in answer["message"]

    async def test_a_source_that_leads_nowhere_is_data(self, schema: Schema, world: World) -> None:
        files = {"files": {"uris": ["none.txt"]}}
        answer = await submit(schema, world, program="wordcount", source=files)

        assert (answer["__typename"], answer["code"]) == ("SourceError", "SOURCE_UNREADABLE")
        assert answer["path"][:4] == ["input", "source", "files", "uris"]

    async def test_a_key_used_otherwise_is_data(self, schema: Schema, world: World) -> None:
        first = await submit(schema, world, **INLINE, idempotencyKey="k")
        answer = await submit(schema, world, **INLINE, idempotencyKey="k", name="other")

        assert answer["__typename"] == "IdempotencyConflictError"
        assert answer["existingJobId"] == first["job"]["id"]

    async def test_waiting_returns_the_job_ended(self, schema: Schema, world: World) -> None:
        waiting = asyncio.create_task(submit(schema, world, **INLINE, waitUpToMs=9_000))
        await eventually_async(lambda: world.bell.listeners)
        (job,) = world.jobs.jobs
        world.jobs.change(job, state=JobState.SUCCEEDED)

        assert (await waiting)["job"]["status"]["state"] == "SUCCEEDED"


class TestJobs:
    async def test_a_page_with_all_that_is_stored_with_a_job_is_one_read(
        self, schema: Schema, world: World
    ) -> None:
        for i in range(60):
            world.jobs.put(job_of(f"j-{i:02}", tags=["t"]))

        data = await ask(
            schema,
            world,
            """{ jobs(first: 50, filter: {tags: ["t"], states: [QUEUED]}) {
                pageInfo { hasNextPage endCursor }
                edges { node { id status { state items { total } } program { name }
                               allowedActions result { rowCount inline exact } } } } }""",
        )

        assert len(data["jobs"]["edges"]) == 50
        assert data["jobs"]["pageInfo"]["hasNextPage"] is True
        assert data["jobs"]["edges"][0]["node"]["allowedActions"] == ["CANCEL", "UPDATE"]
        assert (world.jobs.pages, world.jobs.reads) == (1, [])

    async def test_the_filter_is_passed_on(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", tags=["a", "b"]))
        world.jobs.put(job_of("j-2", tags=["a"], state=JobState.FAILED))
        query = "query($f: JobFilter) { jobs(filter: $f) { edges { node { id } } } }"

        async def ids(**wanted: Any) -> list[str]:
            data = await ask(schema, world, query, f=wanted)
            return [edge["node"]["id"] for edge in data["jobs"]["edges"]]

        assert await ids(tags=["a", "b"]) == ["j-1"]
        assert await ids(states=["FAILED", "CANCELLED"]) == ["j-2"]
        assert await ids(states=[]) == []
        assert await ids(program="grep") == []
        assert await ids(createdAfter="2026-01-31T11:59:59Z", states=None) == ["j-2", "j-1"]
        assert await ids(createdBefore="2026-01-31T13:00:00+01:00") == []

    async def test_a_job_that_is_not_the_callers_is_null(
        self, schema: Schema, world: World
    ) -> None:
        world.jobs.put(job_of("j-1", tenant=EVE.tenant))

        assert await ask(schema, world, '{ job(id: "j-1") { id } }') == {"job": None}

    async def test_an_ended_job_shows_its_result(self, schema: Schema, world: World) -> None:
        job = job_of("j-1", state=JobState.SUCCEEDED)
        status = replace(job.status, result=[{"n": 1}, {"n": 2}], result_rows=2, result_bytes=2**40)
        world.jobs.put(replace(job, status=status))
        store_result(world, "j-1", [b'{"n":1}\n{"n":2}\n'])

        data = await ask(
            schema,
            world,
            """{ job(id: "j-1") { counters { name value } allowedActions result {
                rowCount byteSize exact inline columns { name type }
                rows(first: 1) { edges { node } pageInfo { hasNextPage hasPreviousPage } } } } }""",
        )

        assert data["job"] == {
            "counters": [{"name": "words", "value": 3}],
            "allowedActions": ["DELETE"],
            "result": {
                "rowCount": 2,
                "byteSize": 2**40,
                "exact": True,
                "inline": [{"n": 1}, {"n": 2}],
                "columns": [{"name": "n", "type": "integer"}],
                "rows": {
                    "edges": [{"node": {"n": 1}}],
                    "pageInfo": {"hasNextPage": True, "hasPreviousPage": False},
                },
            },
        }

    async def test_a_live_job_has_no_result(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1"))

        data = await ask(schema, world, '{ job(id: "j-1") { result { rowCount } } }')
        assert data == {"job": {"result": None}}

    async def test_tasks_are_listed_and_filtered(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        world.jobs.task_lists[JobId("j-1")] = (
            some_task(TaskKind.MAP, 0),
            some_task(TaskKind.MAP, 1),
            some_task(TaskKind.REDUCE, 0),
        )
        query = """query($f: TaskFilter, $after: String) { job(id: "j-1") {
            tasks(first: 1, after: $after, filter: $f) {
                totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
                edges { node { id kind state startedAt error { code taskId } } } } } }"""

        first = (await ask(schema, world, query, f={"kind": "MAP"}))["job"]["tasks"]
        second = (
            await ask(schema, world, query, f={"kind": "MAP"}, after=first["pageInfo"]["endCursor"])
        )["job"]["tasks"]

        assert first["totalCount"] == 2
        assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"]) == (
            True,
            False,
        )
        assert second["pageInfo"]["hasPreviousPage"] is True
        assert second["edges"][0]["node"] == {
            "id": "map-1",
            "kind": "MAP",
            "state": "FAILED",
            "startedAt": "2026-01-31T12:00:00.000Z",
            "error": {"code": "USER_CODE", "taskId": "map-1"},
        }


class TestOtherOperations:
    async def test_programs_are_described(self, schema: Schema, world: World) -> None:
        data = await ask(
            schema,
            world,
            """{ programs { name } known: program(name: "wordcount") { description paramsSchema }
                 unknown: program(name: "nope") { name } }""",
        )

        names = [program["name"] for program in data["programs"]]
        assert names == sorted(names)
        assert "wordcount" in names
        assert data["known"]["paramsSchema"]["properties"].keys() == {"top"}
        assert data["unknown"] is None

    async def test_the_service_tells_its_limits(self, schema: Schema, world: World) -> None:
        data = await ask(
            schema,
            world,
            "{ service { version inlineResultBytes maxWaitMs sqlEnabled runners } }",
        )

        assert data["service"] == {
            "version": "0.1.0",
            "inlineResultBytes": 65_536,
            "maxWaitMs": 25_000,
            "sqlEnabled": True,
            "runners": ["WORKERS"],
        }

    async def test_a_plan_shows_the_steps(self, schema: Schema, world: World) -> None:
        data = await ask(
            schema,
            world,
            """query($i: SubmitJobInput!) { planJob(input: $i) { ... on JobPlan {
                items bytes mapTasks reduceTasks mapStep reduceStep finishStep warnings } } }""",
            i=INLINE,
        )

        assert data["planJob"] == {
            "items": 1,
            "bytes": 0,
            "mapTasks": 1,
            "reduceTasks": 1,
            "mapStep": "map_batch count_words, combine total",
            "reduceStep": "reduce total",
            "finishStep": "finish keep_top",
            "warnings": [],
        }

    async def test_a_job_is_cancelled_and_an_unknown_one_is_data(
        self, schema: Schema, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        query = """mutation($id: ID!) { cancelJob(id: $id, reason: "enough") { __typename
            ... on JobActionSuccess { job { status { state message } } }
            ... on UserError { code path retryable } } }"""

        known = (await ask(schema, world, query, id="j-1"))["cancelJob"]
        unknown = (await ask(schema, world, query, id="j-2"))["cancelJob"]

        assert known["job"]["status"] == {"state": "CANCELLED", "message": "enough"}
        assert unknown == {
            "__typename": "NotFoundError",
            "code": "NOT_FOUND",
            "path": ["id"],
            "retryable": False,
        }


class TestSubscriptions:
    async def test_a_job_is_followed_to_its_end(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        stream = await schema.subscribe(
            'subscription { jobStatus(id: "j-1", minIntervalMs: 0) { id version state } }',
            context_value=context_of(world),
        )
        seen = []
        async for result in stream:
            assert result.data is not None
            seen.append(result.data["jobStatus"])
            if len(seen) == 1:
                world.jobs.change("j-1", state=JobState.SUCCEEDED)

        assert seen == [
            {"id": "j-1", "version": 1, "state": "QUEUED"},
            {"id": "j-1", "version": 2, "state": "SUCCEEDED"},
        ]
        await eventually_async(lambda: not world.bell.listeners)

    @pytest.mark.parametrize("arguments", ["", ", afterVersion: null, minIntervalMs: null"])
    async def test_nulls_are_left_out(self, schema: Schema, world: World, arguments: str) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))
        stream = await schema.subscribe(
            f'subscription {{ jobStatus(id: "j-1"{arguments}) {{ version }} }}',
            context_value=context_of(world),
        )

        assert [result.data async for result in stream] == [{"jobStatus": {"version": 1}}]

    async def test_a_client_that_goes_away_leaves_nothing_behind(
        self, schema: Schema, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        for query in (
            'subscription { jobStatus(id: "j-1") { version } }',
            "subscription { jobFeed { version } }",
        ):
            stream = await schema.subscribe(query, context_value=context_of(world))
            async with aclosing(stream):
                await anext(stream)
                assert world.hub.listeners == 1
            assert world.hub.listeners == 0
        await eventually_async(lambda: not world.bell.listeners)

    async def test_the_feed_tells_of_all_jobs_with_the_tag(
        self, schema: Schema, world: World
    ) -> None:
        world.jobs.put(job_of("j-1", tags=["t"]))
        stream = await schema.subscribe(
            'subscription { jobFeed(tag: "t", minIntervalMs: 0) { id state } }',
            context_value=context_of(world),
        )
        async with aclosing(stream):
            first = await anext(stream)
            world.jobs.put(job_of("j-2"))
            world.jobs.put(job_of("j-3", tags=["t"]))
            second = await anext(stream)

        assert first.data == {"jobFeed": {"id": "j-1", "state": "QUEUED"}}
        assert second.data == {"jobFeed": {"id": "j-3", "state": "QUEUED"}}


async def test_instants_are_written_in_utc_and_read_with_any_offset() -> None:
    assert write_instant(read_instant("2026-01-31T14:00:00.5+02:00")) == "2026-01-31T12:00:00.500Z"
    assert read_instant("2026-01-31t12:00:00z") == NOON


def some_task(kind: TaskKind, index: int) -> Task:
    name = task_id(kind, index)
    return Task(
        id=name,
        kind=kind,
        state=TaskState.FAILED,
        index=index,
        items=1,
        attempts=1,
        worker="w",
        started_at=NOON,
        finished_at=None,
        error=JobError(code="USER_CODE", message="boom", task_id=name),
        log=("went this far",),
    )
