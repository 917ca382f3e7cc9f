"""Callers see what they can act on; everything else is a reference to our log."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest

from engine.errors import QuotaExceededError
from schema.build import build_schema
from schema.context import Context
from tests.support.asking import answer_of, answers_of
from tests.support.memory import ADA, World, job_of, make_world
from transport.operations import Operations

pytestmark = pytest.mark.anyio
SECRET = "password hunter2"


@pytest.fixture(scope="module")
def operations() -> Operations:
    return Operations(build_schema())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    async with world.hub:
        yield world


def context_of(world: World) -> Context:
    return Context(services=world.services, hub=world.hub, caller=ADA)


async def error_of(
    operations: Operations, world: World, query: str, **variables: Any
) -> dict[str, Any]:
    answer = await answer_of(operations, context_of(world), query, **variables)
    (error,) = answer["errors"]
    assert isinstance(error, dict)
    return error


async def test_an_unforeseen_fault_is_masked_and_logged_under_its_reference(
    operations: Operations, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.jobs.fault = ZeroDivisionError(SECRET)

    with caplog.at_level(logging.ERROR):
        error = await error_of(operations, world, '{ job(id: "j-1") { id } }')

    assert SECRET not in str(error)
    assert error["extensions"] == {"code": "INTERNAL"}
    assert error["path"] == ["job"]
    reference = error["message"].removeprefix("internal error, reference ")
    assert reference in caplog.text
    assert SECRET in caplog.text


async def test_a_store_that_does_not_answer_is_said_to(
    operations: Operations, world: World
) -> None:
    world.jobs.is_down = True

    error = await error_of(operations, world, '{ job(id: "j-1") { id } }')

    assert error["message"] == "the store is out of order"
    assert error["extensions"] == {"code": "UNAVAILABLE"}


@pytest.mark.parametrize(
    ("query", "variables", "code", "message"),
    [
        ("{ jobs(", {}, "GRAPHQL_PARSE_FAILED", "Syntax Error"),
        ("{ nothing }", {}, "GRAPHQL_VALIDATION_FAILED", "Cannot query field"),
        ('{ jobs(first: "x") { pageInfo { endCursor } } }', {}, "GRAPHQL_VALIDATION_FAILED", "Int"),
        (
            "query($n: Int) { jobs(first: $n) { pageInfo { endCursor } } }",
            {"n": "x"},
            "BAD_REQUEST",
            "$n",
        ),
        (
            "query($f: JobFilter) { jobs(filter: $f) { pageInfo { endCursor } } }",
            {"f": {"createdAfter": "yesterday"}},
            "BAD_REQUEST",
            "instant",
        ),
        (
            "query($f: JobFilter) { jobs(filter: $f) { pageInfo { endCursor } } }",
            {"f": {"createdAfter": "2026-01-31T12:00:00"}},
            "BAD_REQUEST",
            "instant",
        ),
        ("{ jobs(first: -1) { pageInfo { endCursor } } }", {}, "VALIDATION_FAILED", "first"),
        ('{ jobs(after: "?") { pageInfo { endCursor } } }', {}, "VALIDATION_FAILED", "cursor"),
        (
            "query($s: SourceInput!) { planJob(input: {source: $s}) { __typename } }",
            {"s": {}},
            "BAD_REQUEST",
            "exactly one key",
        ),
    ],
)
async def test_what_the_caller_got_wrong_keeps_its_message_and_has_a_code(
    operations: Operations,
    world: World,
    query: str,
    variables: dict[str, Any],
    code: str,
    message: str,
) -> None:
    error = await error_of(operations, world, query, **variables)

    assert error["extensions"] == {"code": code}
    assert message in error["message"]


async def test_a_result_that_is_out_of_range_is_our_fault(
    operations: Operations, world: World
) -> None:
    world.jobs.put(job_of("j-1", version=2**40))

    error = await error_of(operations, world, '{ job(id: "j-1") { status { version } } }')

    assert error["extensions"] == {"code": "INTERNAL"}


async def test_an_unknown_operation_is_the_callers_fault(
    operations: Operations, world: World
) -> None:
    query = "subscription A { jobFeed { version } }"
    (answer,) = await answers_of(operations, context_of(world), query, name="B")

    assert answer["errors"][0]["extensions"] == {"code": "BAD_REQUEST"}


@pytest.mark.parametrize("id", ["j-2", "no such id"])
async def test_following_a_job_that_does_not_exist_is_a_top_level_error(
    operations: Operations, world: World, id: str
) -> None:
    query = "subscription($id: ID!) { jobStatus(id: $id) { version } }"
    (answer,) = await answers_of(operations, context_of(world), query, id=id)

    assert "data" not in answer
    assert answer["errors"][0]["extensions"] == {"code": "NOT_FOUND"}


async def test_a_fault_within_a_subscription_is_masked(
    operations: Operations, world: World
) -> None:
    world.jobs.fault = ZeroDivisionError(SECRET)
    query = 'subscription { jobStatus(id: "j-1") { version } }'
    (answer,) = await answers_of(operations, context_of(world), query)

    assert answer["errors"][0]["extensions"] == {"code": "INTERNAL"}
    assert SECRET not in str(answer)


async def test_a_plan_of_a_tenant_whose_checks_wait_tells_when_to_try_again(
    operations: Operations, world: World
) -> None:
    world.sql.answer = QuotaExceededError("16 checks wait already", retry_after_s=1.5)
    plan = "query($i: SubmitJobInput!) { planJob(input: $i) { __typename } }"
    given = {"sql": "SELECT 1", "source": {"inline": [{"a": 1}]}}

    error = await error_of(operations, world, plan, i=given)

    assert error["message"] == "16 checks wait already"
    assert error["extensions"] == {"code": "QUOTA_EXCEEDED", "retryAfterSeconds": 1.5}
