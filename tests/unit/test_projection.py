"""A compiled selection gives the same bytes as graphql-core, on documents of any form."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from graphql import subscribe
from hypothesis import given
from hypothesis import strategies as st

from engine.job import (
    ItemCounts,
    JobError,
    JobId,
    JobPhase,
    JobState,
    JobStatus,
    TaskCounts,
)
from schema.build import build_schema
from schema.context import Context
from schema.masking import for_client
from tests.support.client import STATUS
from tests.support.memory import ADA, job_of, make_world
from transport.operations import Operations
from transport.projection import NotProjected, Projection
from transport.rendering import Asked, Projections, root_field

pytestmark = pytest.mark.anyio
SCHEMA = build_schema()
OPERATIONS = Operations(SCHEMA)
LEAVES = (
    "id version run state phase ratio etaSeconds bytesRead bytesTotal partial coverage result"
    " resultRows resultBytes message updatedAt __typename"
).split()
COUNTS = "total pending running succeeded failed __typename".split()
INNER = {
    "items": [*COUNTS, "skipped"],
    "map": [*COUNTS, "retried"],
    "reduce": [*COUNTS, "retried"],
    "error": ["code", "message", "retryable", "taskId", "__typename"],
}
ALIASES = st.just("") | st.just("") | st.integers(0, 99).map("a{}: ".format)


def selection(names: Sequence[str]) -> st.SearchStrategy[str]:
    fields = st.builds("{}{}".format, ALIASES, st.sampled_from(names))
    return st.lists(fields, min_size=1, max_size=6).map(" ".join)


@st.composite
def documents(draw: st.DrawFn) -> str:
    parts = draw(st.lists(st.integers(0, 4), min_size=1, max_size=6))
    text, fragments = [], []
    for number, kind in enumerate(parts):
        if kind == 0:
            text.append(draw(selection(LEAVES)))
        elif kind == 1:
            name = draw(st.sampled_from(sorted(INNER)))
            text.append(f"{draw(ALIASES)}{name} {{ {draw(selection(INNER[name]))} }}")
        elif kind == 2:
            condition = draw(st.sampled_from(["", "on JobStatus "]))
            text.append(f"... {condition}{{ {draw(selection(LEAVES))} }}")
        elif kind == 3:
            fragments.append(
                f"fragment F{number} on JobStatus {{ {draw(selection(LEAVES))} "
                f"map {{ {draw(selection(INNER['map']))} }} }}"
            )
            text.append(f"...F{number}")
        else:
            switch = draw(st.sampled_from(["@skip(if: true)", "@include(if: $yes)", ""]))
            text.append(f"message {switch}")
    root = draw(st.sampled_from(["jobStatus", "s: jobStatus"]))
    body = f'{{ {root}(id: "j-1") {{ __typename {" ".join(text)} }} }}'
    variables = "($yes: Boolean = true)" if "$yes" in body else ""
    return f"subscription{variables} {body} {' '.join(fragments)}"


WHOLE = st.integers(0, 2**31 - 1)
AMOUNT = st.none() | st.integers(0, 2**53)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)
ROWS = st.none() | st.lists(JSON.filter(lambda row: row is not None), max_size=3) | st.just([None])
ITEMS = st.builds(
    ItemCounts, st.none() | WHOLE, WHOLE, WHOLE, WHOLE, st.integers(0, 2**31 + 5), WHOLE
)
TASKS = st.builds(TaskCounts, st.none() | WHOLE, WHOLE, WHOLE, WHOLE, WHOLE, WHOLE)
STATUSES = st.builds(
    JobStatus,
    id=st.just(JobId("j-1")),
    version=st.integers(0, 2**31 - 1),
    run=st.integers(1, 9),
    state=st.sampled_from(JobState),
    phase=st.sampled_from(JobPhase),
    ratio=st.none() | st.floats(0, 1),
    eta_seconds=st.none() | st.floats(0, 1e9),
    items=ITEMS,
    map=TASKS,
    reduce=TASKS,
    bytes_read=st.integers(0, 2**53),
    bytes_total=AMOUNT,
    result=ROWS,
    result_rows=AMOUNT,
    result_bytes=AMOUNT,
    error=st.none()
    | st.builds(
        JobError,
        st.text(max_size=9),
        st.text(max_size=9),
        st.booleans(),
        st.none() | st.just("map-1"),
    ),
    message=st.none() | st.text(max_size=9),
    updated_at=st.datetimes(datetime(1970, 1, 2), datetime(2100, 1, 1), timezones=st.just(UTC)),
    partial=ROWS,
    coverage=st.none() | st.floats(0, 1),
)


@given(query=documents(), status=STATUSES)
async def test_the_bytes_are_those_of_graphql_core(query: str, status: JobStatus) -> None:
    world = make_world()
    world.jobs.put(replace(job_of("j-1"), status=status))
    context = Context(world.services, world.hub, ADA)
    try:
        operation = OPERATIONS.prepare(query)
    except Exception:  # noqa: BLE001 - fields that do not merge, or too many aliases
        return
    async with world.hub:
        events: Any = subscribe(SCHEMA.graphql, operation.document, context_value=context)
        if inspect.isawaitable(events):
            events = await events
        async with aclosing(events):
            result = await anext(events)
    wanted: dict[str, Any] = {"data": result.data}
    if result.errors:
        wanted["errors"] = [for_client(error).formatted for error in result.errors]

    found = Asked(operation, {}, context).renderer(Projections())(status)

    if "errors" in wanted:  # each is logged under a reference of its own
        assert orjson.loads(found)["data"] == wanted["data"]
        assert len(orjson.loads(found)["errors"]) == len(wanted["errors"])
    else:
        assert found == orjson.dumps(wanted)


@pytest.mark.parametrize(
    ("selection", "is_projected"),
    [
        ("id version", True),
        ("...StatusParts", True),
        ("... { ... on JobStatus { items { a: total } } }", True),
        ("id @include(if: true)", False),
        ("... @skip(if: false) { id }", False),
    ],
)
def test_ordinary_selections_are_compiled(selection: str, is_projected: bool) -> None:
    fragment = STATUS if "StatusParts" in selection else ""
    query = f'{fragment} subscription {{ jobStatus(id: "j-1") {{ {selection} }} }}'
    operation = OPERATIONS.prepare(query)
    try:
        Projection(root_field(operation), operation.fragments)
    except NotProjected:
        assert not is_projected
    else:
        assert is_projected
