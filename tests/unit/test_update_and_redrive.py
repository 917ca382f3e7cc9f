"""Changing live jobs, running ended ones again, and reading what failed: what is refused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.errors import (
    InputError,
    InvalidStateError,
    Issue,
    NotFoundError,
    SourceError,
    UnavailableError,
)
from engine.job import ItemFailure, Job, JobError, JobId, JobState
from engine.jobs import JobUpdate
from engine.spec import MAX_TAGS, parse_spec
from resolvers.access.caller import Caller
from resolvers.read import list_failures
from resolvers.redrive import redrive_job
from resolvers.update import update_job
from schema.build import Schema, build_schema
from schema.context import Context
from tests.support.memory import ADA, EVE, World, job_of, make_world

pytestmark = pytest.mark.anyio
QUERY = {"sql": "SELECT $n AS n FROM input", "source": {"inline": [{"a": 1}]}, "params": {"n": 1}}


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    async with asyncio.timeout(10), world.hub:
        yield world


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build_schema()


async def update(world: World, *, caller: Caller = ADA, job: str = "j-1", **data: Any) -> Job:
    return await update_job(world.services, caller=caller, job_id=job, data=data)


async def redrive(world: World, *, caller: Caller = ADA, job: str = "j-1", **data: Any) -> Job:
    return await redrive_job(world.services, caller=caller, job_id=job, data=data)


async def ask(schema: Schema, world: World, query: str, **variables: Any) -> Any:
    context = Context(services=world.services, hub=world.hub, caller=ADA)
    result = await schema.execute(query, variable_values=variables, context_value=context)
    assert result.errors is None
    return result.data


def failure_of(position: int) -> ItemFailure:
    error = JobError(code="USER_CODE", message=f"no {position}", task_id=f"map-{position}")
    return ItemFailure(location=f"a.txt, byte {position}", preview='"x"', error=error)


class TestUpdating:
    async def test_what_is_given_reaches_the_job_and_nothing_else(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.RUNNING, tags=["a", "b"]))

        job = await update(world, maxConcurrency=7, addTags=["c", "c"], removeTags=["a"])

        assert world.jobs.updates == [
            JobUpdate(max_concurrency=7, add_tags=("c",), remove_tags=("a",))
        ]
        assert job.spec["tags"] == ["b", "c"]

    async def test_a_tolerance_of_nothing_is_not_left_out(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.RUNNING))

        await update(world, toleratedFailureCount=0, toleratedFailurePercentage=0.0)

        assert world.jobs.updates == [
            JobUpdate(tolerated_failure_count=0, tolerated_failure_percentage=0.0)
        ]

    @pytest.mark.parametrize("number", [1, 10_000])
    async def test_concurrency_may_be_anything_within_its_limits(
        self, world: World, number: int
    ) -> None:
        world.jobs.put(job_of("j-1"))

        await update(world, maxConcurrency=number)

        assert world.jobs.updates == [JobUpdate(max_concurrency=number)]

    @pytest.mark.parametrize(
        ("data", "path"),
        [
            ({"maxConcurrency": 0}, "input.maxConcurrency"),
            ({"maxConcurrency": 10_001}, "input.maxConcurrency"),
            ({"toleratedFailureCount": -1}, "input.toleratedFailureCount"),
            ({"toleratedFailurePercentage": -0.1}, "input.toleratedFailurePercentage"),
            ({"toleratedFailurePercentage": 100.1}, "input.toleratedFailurePercentage"),
            ({"addTags": [""]}, "input.addTags"),
            ({"addTags": ["x" * 201]}, "input.addTags"),
            ({"addTags": [str(n) for n in range(MAX_TAGS + 1)]}, "input.addTags"),
            ({"removeTags": ["x" * 201]}, "input.removeTags"),
            ({"addTags": ["a"], "removeTags": ["a"]}, "input.removeTags"),
            ({"addTags": ["\ud800"]}, "input"),
            ({"surprise": 1}, "input.surprise"),
        ],
    )
    async def test_what_is_wrong_is_told_with_its_path(
        self, world: World, data: dict[str, Any], path: str
    ) -> None:
        world.jobs.put(job_of("j-1", state=JobState.RUNNING))

        with pytest.raises(InputError) as caught:
            await update(world, **data)

        assert path in {".".join(issue.path) for issue in caught.value.issues}
        assert world.jobs.updates == []

    async def test_every_problem_is_told_at_once(self, world: World) -> None:
        with pytest.raises(InputError) as caught:
            await update(world, maxConcurrency=0, toleratedFailureCount=-1, addTags=[""])

        assert len(caught.value.issues) == 3

    async def test_more_tags_than_a_job_may_have_are_refused(self, world: World) -> None:
        world.jobs.put(job_of("j-1", tags=[str(n) for n in range(MAX_TAGS)]))

        with pytest.raises(InputError, match=f"at most {MAX_TAGS} tags"):
            await update(world, addTags=["one more"])

    async def test_an_ended_job_stays_as_it_is(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.SUCCEEDED))

        with pytest.raises(InvalidStateError, match="SUCCEEDED"):
            await update(world, maxConcurrency=1)

    @pytest.mark.parametrize("id", ["j-2", "j 1", ""])
    async def test_an_unknown_job_is_not_found(self, world: World, id: str) -> None:
        with pytest.raises(NotFoundError):
            await update(world, job=id, maxConcurrency=1)

    async def test_another_tenants_job_is_not_found(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))

        with pytest.raises(NotFoundError):
            await update(world, caller=EVE, maxConcurrency=1)


class TestRedriving:
    async def test_a_failed_job_goes_into_its_next_run(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        job = await redrive(world)

        assert (job.id, job.status.run, job.status.state) == ("j-1", 2, JobState.RUNNING)

    async def test_the_same_key_begins_one_run(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        first = await redrive(world, idempotencyKey="k")
        second = await redrive(world, idempotencyKey="k")

        assert first == second
        assert second.status.run == 2

    async def test_a_job_that_is_being_tidied_up_is_waited_for(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.CANCELLED))
        world.jobs.tidying = 2

        assert (await redrive(world)).status.run == 2

    async def test_but_not_for_ever(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.CANCELLED))
        world.jobs.tidying = 1_000

        with pytest.raises(UnavailableError, match="tidied up"):
            await redrive(world)

    @pytest.mark.parametrize("state", [JobState.RUNNING, JobState.SUCCEEDED])
    async def test_there_must_be_something_to_run_again(
        self, world: World, state: JobState
    ) -> None:
        world.jobs.put(job_of("j-1", state=state))

        with pytest.raises(InvalidStateError, match=state):
            await redrive(world)

    async def test_corrected_params_take_the_place_of_the_old_ones(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        assert (await redrive(world, params={"top": 3})).spec["params"] == {"top": 3}

    @pytest.mark.parametrize(
        ("data", "path"),
        [
            ({"params": {"top": 0}}, "input.params.top"),
            ({"params": {"bottom": 1}}, "input.params.bottom"),
            ({"params": [1]}, "input.params"),
            ({"params": {"top": float("nan")}}, "input"),
            ({"idempotencyKey": ""}, "input.idempotencyKey"),
            ({"idempotencyKey": "x" * 201}, "input.idempotencyKey"),
        ],
    )
    async def test_what_is_wrong_is_told_with_its_path(
        self, world: World, data: dict[str, Any], path: str
    ) -> None:
        before = world.jobs.put(job_of("j-1", state=JobState.FAILED))

        with pytest.raises(InputError) as caught:
            await redrive(world, **data)

        assert path in {".".join(issue.path) for issue in caught.value.issues}
        assert world.jobs.jobs[before.id] == before

    async def test_params_of_a_query_are_bound_anew(self, world: World) -> None:
        spec = parse_spec(QUERY).to_json()
        world.jobs.put(job_of("j-1", state=JobState.FAILED, spec=spec))

        await redrive(world, params={"n": 2})

        (request,) = world.sql.requests
        assert request.spec["params"] == {"n": 2}
        assert request.spec["sql"] == QUERY["sql"]

    @pytest.mark.parametrize(
        "problem",
        [
            InputError(Issue(("input", "params", "n"), "give a value")),
            SourceError("a.csv is not there any more"),
        ],
    )
    async def test_params_that_a_query_cannot_use_are_a_problem_of_the_input(
        self, world: World, problem: InputError | SourceError
    ) -> None:
        world.sql.answer = problem
        spec = parse_spec(QUERY).to_json()
        before = world.jobs.put(job_of("j-1", state=JobState.FAILED, spec=spec))

        with pytest.raises(InputError, match=r"input\.params"):
            await redrive(world, params={"m": 2})

        assert world.jobs.jobs[before.id] == before

    @pytest.mark.parametrize("id", ["j-2", "j 1", ""])
    async def test_an_unknown_job_is_not_found(self, world: World, id: str) -> None:
        with pytest.raises(NotFoundError):
            await redrive(world, job=id)

    async def test_another_tenants_job_is_not_found(self, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        with pytest.raises(NotFoundError):
            await redrive(world, caller=EVE, params={"top": 1})


class TestReadingFailures:
    async def test_pages_follow_each_other_without_gap(self, world: World) -> None:
        job = world.jobs.put(job_of("j-1"))
        world.jobs.failure_lists[job.id] = tuple(map(failure_of, range(5)))
        seen, after = [], None
        while True:
            page = await list_failures(world.services, job=job, first=2, after=after)
            seen += [edge.node for edge in page.edges]
            after = page.edges[-1].cursor
            if not page.has_next:
                break

        assert seen == list(map(failure_of, range(5)))
        assert (page.total, page.has_previous) == (5, True)

    async def test_a_page_has_its_limit(self, world: World) -> None:
        job = world.jobs.put(job_of("j-1"))
        world.jobs.failure_lists[job.id] = tuple(map(failure_of, range(300)))

        page = await list_failures(world.services, job=job, first=1_000)

        assert (len(page.edges), page.has_next) == (200, True)

    @pytest.mark.parametrize("cursor", ["", "?", "a", "LTE="])
    async def test_a_made_up_cursor_is_refused(self, world: World, cursor: str) -> None:
        with pytest.raises(InputError, match="after"):
            await list_failures(world.services, job=job_of("j-1"), first=1, after=cursor)


class TestOverGraphql:
    UPDATE = """mutation($input: UpdateJobInput!) { updateJob(input: $input) { __typename
        ... on JobActionSuccess { job { tags status { version } } }
        ... on UserError { code path retryable }
        ... on InvalidStateError { state allowedActions } } }"""
    REDRIVE = """mutation($input: RedriveJobInput!) { redriveJob(input: $input) { __typename
        ... on JobActionSuccess { job { run status { run state } } }
        ... on UserError { code path }
        ... on ValidationError { issues { path } }
        ... on InvalidStateError { state allowedActions } } }"""

    async def test_an_update_answers_with_the_job(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", tags=["a"]))

        answer = await ask(
            schema, world, self.UPDATE, input={"id": "j-1", "addTags": ["b"], "removeTags": None}
        )

        assert answer["updateJob"] == {
            "__typename": "JobActionSuccess",
            "job": {"tags": ["a", "b"], "status": {"version": 2}},
        }

    async def test_an_ended_job_tells_what_may_be_done(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        answer = await ask(schema, world, self.UPDATE, input={"id": "j-1", "maxConcurrency": 2})

        assert answer["updateJob"] == {
            "__typename": "InvalidStateError",
            "code": "INVALID_STATE",
            "path": ["input", "id"],
            "retryable": False,
            "state": "FAILED",
            "allowedActions": ["REDRIVE", "DELETE"],
        }

    async def test_a_foreign_job_is_like_none(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", tenant=EVE.tenant))

        for document, name in ((self.UPDATE, "updateJob"), (self.REDRIVE, "redriveJob")):
            foreign = await ask(schema, world, document, input={"id": "j-1"})
            unknown = await ask(schema, world, document, input={"id": "j-2"})

            assert foreign == unknown
            assert foreign[name]["__typename"] == "NotFoundError"
            assert foreign[name]["path"] == ["input", "id"]

    async def test_a_redrive_answers_with_the_job(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.PARTIALLY_SUCCEEDED))

        answer = await ask(schema, world, self.REDRIVE, input={"id": "j-1", "params": None})

        assert answer["redriveJob"] == {
            "__typename": "JobActionSuccess",
            "job": {"run": 2, "status": {"run": 2, "state": "RUNNING"}},
        }

    async def test_wrong_params_are_data(self, schema: Schema, world: World) -> None:
        world.jobs.put(job_of("j-1", state=JobState.FAILED))

        answer = await ask(
            schema, world, self.REDRIVE, input={"id": "j-1", "params": {"bottom": 1}}
        )

        assert answer["redriveJob"]["__typename"] == "ValidationError"
        assert answer["redriveJob"]["issues"] == [{"path": ["input", "params", "bottom"]}]

    async def test_failures_are_listed(self, schema: Schema, world: World) -> None:
        job = world.jobs.put(job_of("j-1", state=JobState.PARTIALLY_SUCCEEDED))
        world.jobs.failure_lists[JobId(job.id)] = tuple(map(failure_of, range(3)))
        query = """query($after: String) { job(id: "j-1") { failures(first: 2, after: $after) {
            totalCount pageInfo { hasNextPage hasPreviousPage endCursor }
            edges { node { location preview taskId error { code message taskId } } } } } }"""

        first = (await ask(schema, world, query))["job"]["failures"]
        after = first["pageInfo"]["endCursor"]
        second = (await ask(schema, world, query, after=after))["job"]["failures"]

        assert first["totalCount"] == 3
        assert (len(first["edges"]), first["pageInfo"]["hasNextPage"]) == (2, True)
        assert second["pageInfo"]["hasPreviousPage"] is True
        assert [edge["node"] for edge in second["edges"]] == [
            {
                "location": "a.txt, byte 2",
                "preview": '"x"',
                "taskId": "map-2",
                "error": {"code": "USER_CODE", "message": "no 2", "taskId": "map-2"},
            }
        ]
