"""Jobs in SQL as a client runs them, and what plain DuckDB says to the same."""

from __future__ import annotations

import json
from typing import Any, Final

import duckdb

from tests.support.client import Api, source_of

PLAN: Final = """
query Plan($input: SubmitJobInput!) {
  planJob(input: $input) {
    __typename
    ... on JobPlan { items bytes mapTasks reduceTasks mapStep reduceStep finishStep warnings }
    ... on UserError { code message path }
    ... on ValidationError { issues { path message } }
    ... on SourceError { location }
  }
}
"""
RESULT: Final = """
query Result($id: ID!, $first: Int!, $after: String) {
  job(id: $id) {
    result {
      rowCount byteSize exact inline columns { name type }
      files { name byteSize sha256 contentType url }
      manifest { name }
      rows(first: $first, after: $after) { edges { node } pageInfo { hasNextPage endCursor } }
    }
  }
}
"""


async def submit_sql(api: Api, sql: str, source: Any, **job: Any) -> str:
    """Submit a query that must be accepted, and return the job's id."""
    answer = await api.try_submit(sql=sql, source=source_of(source), **job)
    assert answer["__typename"] == "SubmitJobSuccess", answer
    job_id: str = answer["job"]["id"]
    return job_id


async def run_sql(api: Api, sql: str, source: Any, **job: Any) -> dict[str, Any]:
    """Submit a query and return the job's terminal status."""
    return await api.end_of(await submit_sql(api, sql, source, **job))


async def rows_of(api: Api, sql: str, source: Any, **job: Any) -> list[Any]:
    """Run a query that must succeed and return its rows."""
    status = await run_sql(api, sql, source, **job)
    assert status["state"] == "SUCCEEDED", status["error"]
    rows: list[Any] = status["result"]
    return rows


async def refusal_of(api: Api, sql: str, source: Any, **job: Any) -> list[dict[str, Any]]:
    """Submit what must be refused, and return the issues."""
    answer = await api.try_submit(sql=sql, source=source_of(source), **job)
    assert answer["__typename"] == "ValidationError", answer
    issues: list[dict[str, Any]] = answer["issues"]
    return issues


async def read_pages(api: Api, job_id: str, *, first: int) -> list[Any]:
    """Return all rows of a result, page by page."""
    rows: list[Any] = []
    after = None
    while True:
        answer = await api.ask(RESULT, id=job_id, first=first, after=after)
        page = answer["job"]["result"]["rows"]
        assert len(page["edges"]) <= first
        rows += [edge["node"] for edge in page["edges"]]
        if not page["pageInfo"]["hasNextPage"]:
            return rows
        after = page["pageInfo"]["endCursor"]


def plain(sql: str, **params: Any) -> list[Any]:
    """Return the rows that plain DuckDB gives, as JSON."""
    with duckdb.connect(config={"threads": 1}) as con:
        con.execute("SET TimeZone = 'UTC'")
        relation = con.sql(f"SELECT to_json(__row)::VARCHAR FROM ({sql}) AS __row", params=params)  # noqa: S608
        return [json.loads(row) for (row,) in relation.fetchall()]


def unordered(rows: list[Any]) -> list[str]:
    """Return *rows* in an order that does not depend on theirs, floats to nine digits."""
    return sorted(json.dumps(_rounded(row), sort_keys=True) for row in rows)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.9g}")
    if isinstance(value, dict):
        return {name: _rounded(part) for name, part in value.items()}
    return [_rounded(part) for part in value] if isinstance(value, list) else value
