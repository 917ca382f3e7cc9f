"""Documents that are too large are refused quickly; what people write is not."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
from graphql import get_introspection_query

from resolvers.read import MAX_JOBS
from schema.build import build_schema
from schema.context import Context
from tests.support.asking import answer_of
from tests.support.memory import ADA, World, job_of, make_world
from transport.operations import Operations

pytestmark = pytest.mark.anyio

EVERYTHING = """
query Everything($after: String) {
  service { version inlineResultBytes maxWaitMs sqlEnabled runners }
  programs { name description paramsSchema }
  jobs(first: 50, after: $after) {
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor }
    edges { cursor node { ...JobFields } }
  }
}
fragment JobFields on Job {
  id name program { name } spec tags submittedBy createdAt startedAt finishedAt run
  status { ...StatusFields } counters { name value } allowedActions
  tasks(first: 10) {
    totalCount pageInfo { hasNextPage }
    edges { node { id kind state index items attempts worker error { code message } } }
  }
  result { rowCount byteSize columns { name type } inline exact
    rows(first: 5) { edges { cursor node } pageInfo { endCursor } } }
}
fragment StatusFields on JobStatus {
  id version run state phase ratio etaSeconds bytesRead bytesTotal result resultRows resultBytes
  items { total pending running succeeded failed skipped }
  map { total pending running succeeded failed retried }
  reduce { total pending running succeeded failed retried }
  error { code message retryable taskId } message updatedAt
}
"""


@pytest.fixture(scope="module")
def operations() -> Operations:
    return Operations(build_schema())


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    world.jobs.put(job_of("j-1"))
    async with world.hub:
        yield world


async def errors_of(
    operations: Operations, world: World, query: str, **variables: Any
) -> list[dict[str, Any]]:
    context = Context(services=world.services, hub=world.hub, caller=ADA)
    answer = await answer_of(operations, context, query, **variables)
    errors: list[dict[str, Any]] = answer.get("errors", [])
    return errors


@pytest.mark.parametrize(
    "query",
    [
        EVERYTHING,
        get_introspection_query(
            specified_by_url=True,
            directive_is_repeatable=True,
            schema_description=True,
            input_value_deprecation=True,
        ),
        "{ " + " ".join(f"a{i}: service {{ version }}" for i in range(15)) + " }",
    ],
    ids=["everything", "introspection", "15 aliases"],
)
async def test_what_people_write_is_served(
    operations: Operations, world: World, query: str
) -> None:
    assert await errors_of(operations, world, query) == []


@pytest.mark.parametrize(
    ("query", "code", "message"),
    [
        ("{ " + "service { version } " * 300 + "}", "GRAPHQL_PARSE_FAILED", "1000 tokens"),
        ("{ a " * 490 + "}" * 490, "GRAPHQL_PARSE_FAILED", "too deeply"),
        (
            "{ " + " ".join(f"a{i}: service {{ version }}" for i in range(16)) + " }",
            "GRAPHQL_VALIDATION_FAILED",
            "15 aliases",
        ),
        (
            "{ ...A ...B } fragment A on Query { "
            + " ".join(f"a{i}: service {{ version }}" for i in range(9))
            + " } fragment B on Query { ...A }",
            "GRAPHQL_VALIDATION_FAILED",
            "15 aliases",
        ),
        (
            " ".join(f"query Q{i} {{ service {{ version }} }}" for i in range(21)),
            "GRAPHQL_VALIDATION_FAILED",
            "More than 20 operations",
        ),
        ("{ a " * 13 + "}" * 13, "GRAPHQL_VALIDATION_FAILED", "13 fields deep, 12 are allowed"),
        (
            "{ __schema { types " + "{ fields { type " * 4 + "{ name" + " }" * 11,
            "GRAPHQL_VALIDATION_FAILED",
            "introspection depth",
        ),
    ],
    ids=[
        "tokens",
        "nesting",
        "aliases",
        "aliases in fragments",
        "operations",
        "depth",
        "introspection depth",
    ],
)
async def test_what_is_too_large_is_refused(
    operations: Operations, world: World, query: str, code: str, message: str
) -> None:
    errors = await errors_of(operations, world, query)

    assert {error["extensions"]["code"] for error in errors} == {code}
    assert any(message in error["message"] for error in errors)


async def test_a_page_has_so_many_entries_and_no_more(operations: Operations, world: World) -> None:
    for number in range(MAX_JOBS + 5):
        world.jobs.put(job_of(f"j-{number}"))
    context = Context(services=world.services, hub=world.hub, caller=ADA)

    answer = await answer_of(operations, context, "{ jobs(first: 100000) { edges { cursor } } }")

    assert len(answer["data"]["jobs"]["edges"]) == MAX_JOBS


@pytest.mark.parametrize("spread", ["...F{n} ...F{n}", "...F{n} job(id: 1) {{ ...G ...G }}"])
async def test_fragments_that_double_are_handled_at_once(
    operations: Operations, world: World, spread: str
) -> None:
    count = 55
    chain = "".join(f" fragment F{i} on Query {{ {spread.format(n=i + 1)} }}" for i in range(count))
    tail = f" fragment F{count} on Query {{ a: service {{ version }} }}"
    extra = " fragment G on Job { id }" if "...G" in spread else ""
    start = time.monotonic()

    await errors_of(operations, world, f"{{ ...F0 }}{chain}{tail}{extra}")

    assert time.monotonic() - start < 2


async def test_fragments_within_themselves_are_refused(
    operations: Operations, world: World
) -> None:
    query = "{ ...A } fragment A on Query { ...B } fragment B on Query { ...A }"

    (error,) = await errors_of(operations, world, query)
    assert error["extensions"]["code"] == "GRAPHQL_VALIDATION_FAILED"


async def test_a_known_document_is_refused_the_same_way_again(
    operations: Operations, world: World
) -> None:
    query = "{ nothing }"

    assert await errors_of(operations, world, query) == await errors_of(operations, world, query)
