"""What a submit led to is shown the same with and without graphql-core."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from typing import Any

import orjson
import pytest
from graphql import ExecutionResult
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import InputError, Issue
from engine.job import JobState
from resolvers.submit import Submitted
from schema.build import build_schema
from schema.context import Context
from schema.errors import ValidationError
from tests.support.memory import ADA, World, job_of, make_world
from transport.operations import Operation, Operations

pytestmark = pytest.mark.anyio

OPERATIONS = Operations(build_schema())
LEAVES = (
    "id name tags spec submittedBy createdAt startedAt finishedAt expiresAt __typename"
    " status{id,version,s:state} status{items{total},map{pending}}"
).split()
PARTS = (
    "__typename",
    "...on SubmitJobSuccess{created}",
    "...on SubmitJobSuccess{c:created,job{id}}",
    "...on SubmitJobResult{__typename}",
    "...on UserError{message,code}",
    "...on ValidationError{issues{path}}",
    "...on SubmitJobSuccess{job{allowedActions,run}}",
    "...F",
)
FRAGMENT = "fragment F on SubmitJobSuccess{job{...on Job{name}}created}"
INPUT = {"program": "wordcount", "source": {"inline": ["a b"]}}


@st.composite
def documents(draw: st.DrawFn) -> str:
    leaves = draw(st.lists(st.sampled_from(LEAVES), min_size=1, max_size=5, unique=True))
    job = f"...on SubmitJobSuccess{{job{{{','.join(leaves)}}}}}"
    parts = draw(st.lists(st.sampled_from([*PARTS, job]), min_size=1, max_size=4))
    root = draw(st.sampled_from(["submitJob", "s:submitJob"]))
    text = ",".join(parts)
    tail = FRAGMENT if "...F" in text else ""
    return f"mutation($i:SubmitJobInput!){{{root}(input:$i){{{text}}}}}{tail}"


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    async with world.hub:
        yield world


def context_of(world: World) -> Context:
    return Context(world.services, world.hub, ADA)


def executed(operation: Operation, outcome: object) -> Mapping[str, Any] | None:
    """What graphql-core gives."""
    values = operation.plan.values({"i": INPUT})
    assert not isinstance(values, list)
    world = make_world()
    executor = operation.plan.executor_of(values, context_of(world), outcome)
    coroutine: Any = executor.execute_operation()
    with pytest.raises(StopIteration) as ended:
        coroutine.send(None)
    result: ExecutionResult = ended.value.value
    assert result.errors is None
    return result.data


@given(documents(), st.booleans(), st.sampled_from(JobState))
def test_a_compiled_selection_shows_what_graphql_core_does(
    document: str, created: bool, state: JobState
) -> None:
    job = job_of("j-1", state=state)
    submitted = Submitted(job, created=created)
    operation = OPERATIONS.prepare(document)
    if operation.submission is None:
        assert "allowedActions" in document or document.count("status{") > 1
        return

    shown = operation.submission.shown(submitted)

    assert orjson.dumps(shown) == orjson.dumps(executed(operation, submitted))


@pytest.mark.parametrize(
    "document",
    [
        'mutation { submitJob(input: {program: "p", source: {inline: []}}) { __typename } }',
        "mutation($i: SubmitJobInput!) { a: submitJob(input: $i) { __typename }"
        " b: submitJob(input: $i) { __typename } }",
        "mutation($i: SubmitJobInput!, $n: Boolean!) {"
        " submitJob(input: $i) { __typename @skip(if: $n) } }",
        'mutation { cancelJob(id: "j") { __typename } }',
        "query($i: SubmitJobInput!) { planJob(input: $i) { __typename } }",
    ],
)
def test_other_operations_are_left_to_graphql_core(document: str) -> None:
    assert OPERATIONS.prepare(document).submission is None


async def test_a_failure_is_shown_by_graphql_core_and_nothing_is_submitted_twice(
    world: World,
) -> None:
    operation = OPERATIONS.prepare(
        "mutation($i: SubmitJobInput!) { submitJob(input: $i) {"
        " __typename ... on ValidationError { message issues { path } } } }"
    )
    wrong = {"i": {**INPUT, "program": "no-such-program"}}

    answer = orjson.loads(await OPERATIONS.run(operation, wrong, context_of(world)))

    found = answer["data"]["submitJob"]
    assert found["__typename"] == "ValidationError"
    assert found["issues"] == [{"path": ["input", "program"]}]
    assert not world.jobs.jobs


async def test_what_a_submit_raises_is_told_once_with_its_place(world: World) -> None:
    operation = OPERATIONS.prepare(
        "mutation($i: SubmitJobInput!) { s: submitJob(input: $i) { __typename } }"
    )
    world.jobs.is_down = True

    answer = orjson.loads(await OPERATIONS.run(operation, {"i": INPUT}, context_of(world)))

    (error,) = answer["errors"]
    assert (answer["data"], error["path"]) == (None, ["s"])
    assert error["extensions"]["code"] == "UNAVAILABLE"


async def test_an_answer_is_the_same_with_and_without_a_compiled_selection(world: World) -> None:
    operation = OPERATIONS.prepare(
        "mutation($i: SubmitJobInput!) { submitJob(input: $i) {"
        " ... on SubmitJobSuccess { created job { name tags spec status { state version } } } } }"
    )
    assert operation.submission is not None
    given = {"i": {**INPUT, "tags": ["a"], "name": "n", "params": None, "waitUpToMs": 0}}

    compiled = await OPERATIONS.run(operation, given, context_of(world))
    plain = await OPERATIONS.run(replace(operation, submission=None), given, context_of(world))

    assert compiled == plain
    assert len(world.jobs.jobs) == 2


def test_a_failure_as_the_root_value_is_the_answer() -> None:
    operation = OPERATIONS.prepare(
        "mutation($i: SubmitJobInput!) { submitJob(input: $i) {"
        " ... on UserError { path } __typename } }"
    )
    failure = ValidationError.of(InputError(Issue(("input", "name"), "is wrong")))

    assert operation.submission is not None
    assert operation.submission.shown(failure) is None
    assert executed(operation, failure) == {
        "submitJob": {"path": ["input", "name"], "__typename": "ValidationError"}
    }
