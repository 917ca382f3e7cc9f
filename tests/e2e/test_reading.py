"""What a job looks like beside its status: rows, tasks, counters; lists, plans, the service."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.client import Api
from tests.support.running import RunningService

pytestmark = pytest.mark.anyio

ROWS = """
query Rows($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    result {
      rowCount byteSize exact inline columns { name type }
      rows(first: $first, after: $after) { edges { node } pageInfo { hasNextPage endCursor } }
    }
  }
}
"""
PLAN = """
query Plan($input: SubmitJobInput!) {
  planJob(input: $input) {
    __typename
    ... on JobPlan { items bytes mapTasks reduceTasks mapStep reduceStep finishStep warnings }
    ... on SourceError { code location }
    ... on ValidationError { issues { path } }
  }
}
"""
JOBS = """
query Jobs($first: Int, $after: String, $filter: JobFilter) {
  jobs(first: $first, after: $after, filter: $filter) {
    edges { node { id name tags program { name } } }
    pageInfo { hasNextPage endCursor }
  }
}
"""


async def test_a_result_too_large_for_the_status_is_read_in_pages(api: Api) -> None:
    items = [f"{index:05} {'x' * 90}" for index in range(2_500)]

    status = await api.run("lines", items, batching={"maxItems": 700})

    assert status["result"] is None
    assert status["resultRows"] == 2_500
    assert status["resultBytes"] > 65_536
    rows: list[Any] = []
    found: dict[str, Any] = {}
    after, more = None, True
    while more:
        found = (await api.ask(ROWS, id=status["id"], first=999, after=after))["job"]["result"]
        page = found["rows"]
        rows += [edge["node"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]
    assert [row["line"] for row in rows] == items
    assert (found["inline"], found["rowCount"], found["exact"]) == (None, 2_500, True)
    assert found["columns"] == [
        {"name": "line", "type": "string"},
        {"name": "length", "type": "integer"},
    ]


async def test_an_empty_page_follows_the_last_row(api: Api) -> None:
    job = (await api.run("lines", ["a", "b"]))["id"]
    first = (await api.ask(ROWS, id=job, first=2))["job"]["result"]["rows"]

    rest = await api.ask(ROWS, id=job, first=2, after=first["pageInfo"]["endCursor"])

    assert not first["pageInfo"]["hasNextPage"]
    assert rest["job"]["result"]["rows"]["edges"] == []


async def test_every_task_tells_who_ran_it(api: Api) -> None:
    status = await api.run("slow_count", ["a b", "c", "d"], batching={"maxItems": 2}, reducers=2)

    job = await api.job(status["id"])

    assert job["counters"] == [{"name": "words", "value": 4}]
    assert job["allowedActions"] == ["DELETE"]
    nodes = [edge["node"] for edge in job["tasks"]["edges"]]
    assert job["tasks"]["totalCount"] == 5
    assert [(task["id"], task["items"]) for task in nodes] == [
        ("map-0", 2),
        ("map-1", 1),
        ("reduce-0", 0),
        ("reduce-1", 0),
        ("finish-0", 0),
    ]
    assert all(task["worker"] and task["attempts"] == 1 and not task["error"] for task in nodes)
    assert {task["state"] for task in nodes} == {"SUCCEEDED"}


async def test_jobs_are_listed_newest_first_in_pages(api: Api) -> None:
    ids = [await api.submit("wordcount", ["a"], name=f"n{i}", tags=["listed"]) for i in range(5)]

    seen: list[Any] = []
    after, more = None, True
    while more:
        wanted = {"tags": ["listed"]}
        page = (await api.ask(JOBS, first=2, after=after, filter=wanted))["jobs"]
        seen += [edge["node"] for edge in page["edges"]]
        after, more = page["pageInfo"]["endCursor"], page["pageInfo"]["hasNextPage"]

    assert [job["id"] for job in seen] == ids[::-1]
    assert [job["name"] for job in seen] == ["n4", "n3", "n2", "n1", "n0"]
    assert {job["program"]["name"] for job in seen} == {"wordcount"}


async def test_a_job_that_does_not_exist_is_null(api: Api) -> None:
    assert (await api.ask('{ job(id: "j-0") { id } }'))["job"] is None


async def test_a_plan_is_what_the_job_then_does(service: RunningService, api: Api) -> None:
    (service.sources / "plan.txt").write_text("a b\n" * 100)
    job = {
        "program": "wordcount",
        "source": {"files": {"uris": ["plan.txt"]}},
        "batching": {"maxBytes": 100},
        "reducers": 3,
    }

    plan = (await api.ask(PLAN, input=job))["planJob"]
    status = await api.run("wordcount", **{k: v for k, v in job.items() if k != "program"})

    assert plan["__typename"] == "JobPlan"
    assert plan["mapTasks"] == status["map"]["total"] == 4
    assert plan["reduceTasks"] == status["reduce"]["total"] == 3
    assert plan["bytes"] == status["bytesRead"] == 400


async def test_a_plan_refuses_what_a_submit_would_refuse(api: Api) -> None:
    missing = {"program": "wordcount", "source": {"files": {"uris": ["nowhere.txt"]}}}
    wrong = {"program": "wordcount", "source": {"inline": ["a"]}, "params": {"top": 0}}

    assert (await api.ask(PLAN, input=missing))["planJob"] == {
        "__typename": "SourceError",
        "code": "SOURCE_UNREADABLE",
        "location": "nowhere.txt",
    }
    refused = (await api.ask(PLAN, input=wrong))["planJob"]
    assert refused["issues"] == [{"path": ["input", "params", "top"]}]


async def test_programs_are_listed_with_their_parameters(api: Api) -> None:
    programs = (await api.ask("{ programs { name description paramsSchema } }"))["programs"]

    names = [program["name"] for program in programs]
    assert names == sorted(names)
    assert {"grep", "inverted_index", "sales", "wordcount"} <= set(names)
    schema_of = {program["name"]: program["paramsSchema"] for program in programs}
    assert schema_of["sales"]["properties"]["atLeast"]["minimum"] == 0


async def test_the_service_tells_its_limits(api: Api) -> None:
    service = (await api.ask("{ service { inlineResultBytes maxWaitMs runners } }"))["service"]

    assert service == {"inlineResultBytes": 65_536, "maxWaitMs": 25_000, "runners": ["WORKERS"]}
