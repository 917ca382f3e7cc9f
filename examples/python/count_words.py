"""Submit a job, follow it, print its rows: over GraphQL, with gql.

    python -m examples.python.count_words http://127.0.0.1:8000 'to be or not to be'

FANFOLD_TOKEN says who asks.
"""

# ruff: noqa: T201 - printing is what it is for

from __future__ import annotations

import asyncio
import logging
import os
import sys
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import TransportError
from gql.transport.httpx import HTTPXAsyncTransport

from examples.python.follow import follow

SUBMIT: Final = """
  mutation Submit($input: SubmitJobInput!) {
    submitJob(input: $input) {
      ... on SubmitJobSuccess { job { id } }
      ... on UserError { code message }
      ... on ValidationError { issues { path message } }
    }
  }
"""
ROWS: Final = """
  query Rows($id: ID!, $after: String) {
    job(id: $id) {
      result {
        rows(first: 500, after: $after) { edges { node } pageInfo { hasNextPage endCursor } }
      }
    }
  }
"""


async def main(address: str, *lines: str) -> int:
    url, token = f"{address}/graphql", os.environ.get("FANFOLD_TOKEN")
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    transport = HTTPXAsyncTransport(url=url, headers=headers, timeout=30)
    async with Client(transport=transport) as session:
        job = await submit(session, {"program": "wordcount", "source": {"inline": lines}})
        print(job)
        state = "QUEUED"
        async with aclosing(follow(url, job, token=token)) as states:
            async for status in states:
                state = status["state"]
                tasks = status["map"]
                print(f"{state}  map {tasks['succeeded']}/{tasks['total']}")
        if state != "SUCCEEDED":
            return 1
        async for row in rows_of(session, job):
            print(row["key"], row["value"])
        return 0


async def submit(session: AsyncClientSession, job: dict[str, Any]) -> str:
    """Submit a job and return its id.

    The key makes it safe to repeat the request when its answer was lost.

    Raises:
        ValueError: It was refused.
    """
    job = {"idempotencyKey": uuid.uuid4().hex, **job}
    request = GraphQLRequest(SUBMIT, variable_values={"input": job})
    answer = (await session.execute(request))["submitJob"]
    if "job" not in answer:
        raise ValueError(f"{answer['code']}: {answer.get('issues') or answer['message']}")
    return str(answer["job"]["id"])


async def rows_of(session: AsyncClientSession, job: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield the rows of a job that has succeeded, page by page."""
    after = None
    while True:
        request = GraphQLRequest(ROWS, variable_values={"id": job, "after": after})
        page = (await session.execute(request))["job"]["result"]["rows"]
        for edge in page["edges"]:
            yield edge["node"]
        if not page["pageInfo"]["hasNextPage"]:
            return
        after = page["pageInfo"]["endCursor"]


if __name__ == "__main__":
    logging.getLogger("gql").setLevel(logging.ERROR)
    if len(sys.argv) < 3:
        sys.exit("usage: python -m examples.python.count_words ADDRESS LINE...")
    try:
        sys.exit(asyncio.run(main(*sys.argv[1:])))
    except (TransportError, PermissionError, ValueError) as exc:
        sys.exit(f"{sys.argv[1]}: {exc}")
