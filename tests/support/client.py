"""A client of a running service: gql over HTTP, and WebSockets for what is followed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Any, Final

from gql import Client, gql
from gql.client import AsyncClientSession
from gql.transport.httpx import HTTPXAsyncTransport
from gql.transport.websockets import WebsocketsTransport

ENDS_WITHIN_S: Final = 60.0
ENDED: Final = ("SUCCEEDED", "PARTIALLY_SUCCEEDED", "FAILED", "CANCELLED", "TIMED_OUT")

STATUS: Final = """
fragment StatusParts on JobStatus {
  id version run state phase ratio bytesRead bytesTotal message updatedAt
  items { total pending running succeeded failed skipped }
  map { total pending running succeeded failed retried }
  reduce { total pending running succeeded failed retried }
  partial coverage result resultRows resultBytes
  error { code message retryable taskId }
}
"""
SUBMIT: Final = (
    STATUS
    + """
mutation Submit($input: SubmitJobInput!) {
  submitJob(input: $input) {
    __typename
    ... on SubmitJobSuccess { created job { id spec allowedActions status { ...StatusParts } } }
    ... on UserError { code message path retryable }
    ... on ValidationError { issues { path message } }
    ... on SourceError { location }
    ... on IdempotencyConflictError { existingJobId }
  }
}
"""
)
JOB: Final = (
    STATUS
    + """
query Job($id: ID!) {
  job(id: $id) {
    id allowedActions counters { name value } status { ...StatusParts }
    tasks(first: 200) {
      totalCount
      edges { node { id kind state index items attempts worker error { code message } } }
    }
  }
}
"""
)
RESULT: Final = """
fragment FileParts on ResultFile { name byteSize sha256 contentType url urlExpiresAt }
query Result($id: ID!) {
  job(id: $id) {
    result {
      rowCount byteSize exact columns { name type }
      files { ...FileParts }
      listings { ...FileParts }
      manifest { ...FileParts }
    }
  }
}
"""
CANCEL: Final = """
mutation Cancel($id: ID!) {
  cancelJob(id: $id, reason: "enough") {
    __typename
    ... on JobActionSuccess { job { id status { state version } } }
  }
}
"""
FOLLOW: Final = (
    STATUS
    + """
subscription Follow($id: ID!, $afterVersion: Int) {
  jobStatus(id: $id, afterVersion: $afterVersion, minIntervalMs: 0) { ...StatusParts }
}
"""
)

logging.getLogger("gql").setLevel(logging.ERROR)


class Api:
    """One client of the service at *url*, as an async context manager."""

    def __init__(self, url: str) -> None:
        self._url = f"{url}/graphql"
        self._stack = AsyncExitStack()
        self._http: AsyncClientSession | None = None

    async def __aenter__(self) -> Api:
        transport = HTTPXAsyncTransport(url=self._url, timeout=30, trust_env=False)
        client = Client(transport=transport, execute_timeout=None)
        self._http = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Run a query or mutation over HTTP."""
        assert self._http is not None
        request = gql(document)
        request.variable_values = variables
        return await self._http.execute(request)

    async def try_submit(self, **job: Any) -> dict[str, Any]:
        """Submit, and return whatever came of it."""
        answer: dict[str, Any] = (await self.ask(SUBMIT, input=job))["submitJob"]
        return answer

    async def submit(self, program: str, source: Any, **job: Any) -> str:
        """Submit what must be accepted, and return the job's id."""
        answer = await self.try_submit(program=program, source=source_of(source), **job)
        assert answer["__typename"] == "SubmitJobSuccess", answer
        job_id: str = answer["job"]["id"]
        return job_id

    async def run(self, program: str, source: Any, **job: Any) -> dict[str, Any]:
        """Submit a job and return its terminal status."""
        return await self.end_of(await self.submit(program, source, **job))

    async def result(self, job_id: str) -> dict[str, Any]:
        """Return a job's result with the addresses of its files."""
        found: dict[str, Any] = (await self.ask(RESULT, id=job_id))["job"]["result"]
        return found

    async def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = (await self.ask(JOB, id=job_id))["job"]
        return found

    async def tasks(self, job_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        edges = (await self.job(job_id))["tasks"]["edges"]
        return [edge["node"] for edge in edges if kind in (None, edge["node"]["kind"])]

    async def states(
        self, job_id: str, *, after_version: int | None = None
    ) -> list[dict[str, Any]]:
        """Return all that a follower sees of a job."""
        async with aclosing(self.follow(job_id, after_version=after_version)) as states:
            return [state async for state in states]

    async def follow(
        self, job_id: str, *, after_version: int | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Follow a job over a WebSocket until the service completes the subscription."""
        async with self.socket() as session:
            request = gql(FOLLOW)
            request.variable_values = {"id": job_id, "afterVersion": after_version}
            async for answer in session.subscribe(request):
                yield answer["jobStatus"]

    async def end_of(self, job_id: str, *, within_s: float = ENDS_WITHIN_S) -> dict[str, Any]:
        """Return a job's terminal status."""
        async with asyncio.timeout(within_s):
            last = (await self.states(job_id))[-1]
        assert last["state"] in ENDED, last
        return last

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[AsyncClientSession]:
        """Open a WebSocket of its own."""
        transport = WebsocketsTransport(
            url=self._url.replace("http", "ws", 1),
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
            close_timeout=1,
            connect_args={"proxy": None, "max_size": 2**26},
        )
        async with Client(transport=transport, execute_timeout=None) as session:
            yield session


def source_of(source: Any) -> dict[str, Any]:
    """Return a SourceInput: a list is inline, a string a file, a dict is one already."""
    if isinstance(source, list):
        return {"inline": source}
    return {"files": {"uris": [source]}} if isinstance(source, str) else source


def pairs_of(status: dict[str, Any]) -> dict[Any, Any]:
    """Return the rows of a succeeded job as a mapping."""
    assert status["state"] == "SUCCEEDED", status["error"]
    return {row["key"]: row["value"] for row in status["result"]}
