"""Bad items of jobs that skip them: what callers see of them, and of the rest."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.client import Api, source_of
from tests.support.running import RunningService
from tests.support.sql_jobs import run_sql

pytestmark = pytest.mark.anyio

FAILURES = """
query Failures($id: ID!, $first: Int, $after: String) {
  job(id: $id) {
    counters { name value }
    result { exact }
    failures(first: $first, after: $after) {
      totalCount
      pageInfo { hasNextPage endCursor }
      edges { node { location preview taskId error { code message } } }
    }
  }
}
"""
EVERY_KIND = ["choosy", "choosy_batch", "choosy_async", "choosy_table"]


@pytest.fixture
async def api(service: RunningService) -> AsyncIterator[Api]:
    async with Api(service.url) as client:
        yield client


def skipping(count: int = 0, *, attempts: int = 1, **more: Any) -> dict[str, Any]:
    return {
        "failurePolicy": {
            "badItems": "SKIP",
            "maxAttempts": attempts,
            "backoffMs": 10,
            "toleratedFailureCount": count,
            **more,
        }
    }


async def failures_of(api: Api, job_id: str) -> list[dict[str, Any]]:
    """Return all failures of a job, asked for two at a time."""
    found: list[dict[str, Any]] = []
    after = None
    while True:
        job = (await api.ask(FAILURES, id=job_id, first=2, after=after))["job"]
        page = job["failures"]
        found += [edge["node"] for edge in page["edges"]]
        assert page["totalCount"] >= len(found)
        if not page["pageInfo"]["hasNextPage"]:
            return found
        after = page["pageInfo"]["endCursor"]


def counts(status: dict[str, Any]) -> dict[str, int]:
    assert status["state"] == "PARTIALLY_SUCCEEDED", status["error"]
    return {row["key"]: row["value"] for row in status["result"]}


@pytest.mark.parametrize("program", EVERY_KIND)
async def test_bad_items_are_listed_and_the_rest_counts(api: Api, program: str) -> None:
    items = ["a", "raise", "b", "exit", "a", "segfault", "c"]

    status = await api.run(program, items, **skipping(5))

    assert counts(status) == {"a": 2, "b": 1, "c": 1}
    assert status["items"]["failed"] == 3
    assert status["items"]["succeeded"] == 4
    failures = await failures_of(api, status["id"])
    found = {(failure["location"], failure["error"]["code"]) for failure in failures}
    assert found == {
        ("inline[1]", "USER_CODE"),
        ("inline[3]", "TASK_CRASHED"),
        ("inline[5]", "TASK_CRASHED"),
    }
    assert {failure["taskId"].rpartition(":")[2] for failure in failures} == {"map-0"}
    by_place = {failure["location"]: failure for failure in failures}
    assert "raise" in by_place["inline[1]"]["preview"]
    if program != "choosy_async":
        assert "programs.py, line" in by_place["inline[1]"]["error"]["message"]


@pytest.mark.parametrize("program", ["choosy", "choosy_batch", "choosy_async"])
async def test_an_item_that_never_ends_is_skipped(api: Api, program: str) -> None:
    status = await api.run(program, ["a", "loop", "b"], **skipping(1, taskTimeoutSeconds=1))

    assert counts(status) == {"a": 1, "b": 1}
    (failure,) = await failures_of(api, status["id"])
    assert (failure["location"], failure["error"]["code"]) == ("inline[1]", "TASK_TIMEOUT")


async def test_a_result_that_lacks_items_says_so_and_counts_nothing_of_them(api: Api) -> None:
    status = await api.run("choosy", ["a", "raise", "b"], **skipping(1))

    job = (await api.ask(FAILURES, id=status["id"], first=50, after=None))["job"]
    assert job["result"]["exact"] is False
    assert job["counters"] == [{"name": "lines", "value": 2}]


async def test_items_are_told_apart_in_the_last_try_alone(api: Api) -> None:
    status = await api.run("choosy", ["a", "raise"], **skipping(1, attempts=3))

    assert counts(status) == {"a": 1}
    (task,) = await api.tasks(status["id"], "MAP")
    assert task["attempts"] == 3


async def test_more_bad_items_than_are_tolerated_end_the_job(api: Api) -> None:
    status = await api.run("choosy", ["raise", "a", "raise", "raise"], **skipping(2))

    assert status["state"] == "FAILED"
    assert status["error"]["code"] == "TOLERANCE_EXCEEDED"
    failures = await failures_of(api, status["id"])
    assert [failure["location"] for failure in failures] == [
        "inline[0]",
        "inline[2]",
        "inline[3]",
    ]


async def test_without_a_bad_item_the_job_just_succeeds(api: Api) -> None:
    status = await api.run("choosy", ["a", "b"], **skipping(1))

    assert status["state"] == "SUCCEEDED"
    assert await failures_of(api, status["id"]) == []


async def test_records_that_cannot_be_read_are_skipped(service: RunningService, api: Api) -> None:
    lines = b"a\nb\nt\xffo\na\n"
    (service.sources / "skipped.txt.gz").write_bytes(gzip.compress(lines))

    status = await api.run("choosy", "skipped.txt.gz", **skipping(1))

    assert counts(status) == {"a": 2, "b": 1}
    (failure,) = await failures_of(api, status["id"])
    assert failure["location"] == "skipped.txt.gz, byte 4"
    assert failure["error"]["code"] == "INVALID_RECORD"
    assert failure["preview"] == "t\ufffdo"


async def test_rows_that_fail_or_cannot_be_read_are_skipped_by_queries(
    service: RunningService, api: Api
) -> None:
    content = b"k,v\na,1\nb\nb,0\na,3\nc,4,5\nb,2\n"
    (service.sources / "skipped.csv").write_bytes(content)

    status = await run_sql(
        api,
        "SELECT k, sum(CASE WHEN v = 0 THEN CAST(k AS INT) ELSE v END) AS v "
        "FROM input GROUP BY k ORDER BY k",
        source_of("skipped.csv"),
        **skipping(3),
    )

    assert status["state"] == "PARTIALLY_SUCCEEDED", status["error"]
    assert status["result"] == [{"k": "a", "v": 4}, {"k": "b", "v": 2}]
    assert status["items"]["failed"] == 3
    failures = await failures_of(api, status["id"])
    assert {failure["location"]: failure["preview"] for failure in failures} == {
        "skipped.csv, byte 8": "b",
        "skipped.csv, byte 18": "c,4,5",
        "skipped.csv, row 2": '{"k":"b","v":0}',
    }
    assert str(service.sources) not in str(failures)


async def test_a_batch_none_of_whose_items_is_guilty_is_listed_as_one(
    service: RunningService, api: Api
) -> None:
    (service.sources / "unguilty.txt").write_text("bad\nfine\n")

    status = await api.run("gives_no_sum", "unguilty.txt", **skipping(1))

    assert status["state"] == "PARTIALLY_SUCCEEDED", status["error"]
    (failure,) = await failures_of(api, status["id"])
    assert (failure["location"], failure["preview"]) == ("unguilty.txt", "")
    assert "combine of gives_no_sum" in failure["error"]["message"]


async def test_a_line_that_duckdb_finds_when_it_first_looks_is_set_aside(api: Api) -> None:
    job = await api.try_submit(
        sql="SELECT sum(a) AS total FROM input",
        source={"files": {"uris": ["bad.jsonl"]}},
        failurePolicy={"badItems": "SKIP", "toleratedFailurePercentage": 50},
    )
    status = await api.end_of(job["job"]["id"])

    assert (status["state"], status["result"]) == ("PARTIALLY_SUCCEEDED", [{"total": 1}])
    assert (status["items"]["succeeded"], status["items"]["failed"]) == (1, 1)
