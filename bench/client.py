"""A caller of a running service: jobs from ``submitJob`` to the terminal state at a subscriber."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from anyio.from_thread import BlockingPortal, start_blocking_portal
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.websockets import WebsocketsTransport

from app.client.address import Address
from app.client.service import Service
from bench.jobs import Job, Task

_STATUS = """
subscription Status($id: ID!, $interval: Int!) {
  jobStatus(id: $id, minIntervalMs: $interval) {
    state error { message } coverage partial resultRows
  }
}
"""


@dataclass(frozen=True)
class Followed:
    """What a follower saw: the job, the rows of its result, and how many answers before the end."""

    job: str
    rows: int
    partials: int


class Caller:
    """A caller with its two connections open: requests over HTTP, subscriptions over a WebSocket.

    Both are kept by a thread, so that they live while nobody asks anything.
    """

    def __init__(self, url: str) -> None:
        self._url = url
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        self._portal: BlockingPortal = self._stack.enter_context(start_blocking_portal())
        transport = WebsocketsTransport(
            url=Address.parse(self._url).websocket,
            subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
            connect_args={"max_size": None, "proxy": None},
        )
        open_ = self._portal.wrap_async_context_manager
        self._service = self._stack.enter_context(open_(Service(self._url)))
        self._session: AsyncClientSession = self._stack.enter_context(
            open_(Client(transport=transport))
        )
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def run(self, spec: dict[str, Any], *, interval_ms: int = 1) -> Followed:
        """Run a job to its end.

        Args:
            spec: The SubmitJobInput.
            interval_ms: Between two of the states that are seen, at least; the last comes at once.

        Raises:
            AssertionError: The job has no result.
        """
        found: Followed = self._portal.call(self._run, spec, interval_ms)
        return found

    def ask(self, document: str, **variables: Any) -> dict[str, Any]:
        """Return the answer to a query."""
        request = GraphQLRequest(document, variable_values=variables)
        found: dict[str, Any] = self._portal.call(self._session.execute, request)
        return found

    async def _run(self, spec: dict[str, Any], interval_ms: int) -> Followed:
        coverages = set()
        status: dict[str, Any] = {"state": "LOST"}
        submitted = await self._service.submit(spec)
        variables = {"id": submitted["id"], "interval": interval_ms}
        request = GraphQLRequest(_STATUS, variable_values=variables)
        async for answer in self._session.subscribe(request):
            status = answer["jobStatus"]
            if status["partial"] is not None:
                coverages.add(status["coverage"])
        if status["state"] != "SUCCEEDED":
            raise AssertionError(status)
        return Followed(submitted["id"], int(status["resultRows"]), len(coverages))


def spec_of(job: Job) -> dict[str, Any]:
    """Return the SubmitJobInput of a job over the service's source root."""
    work = {"program": "regex_words"} if job.task is Task.REGEX else {"sql": query_of(job)}
    return {**work, "source": {"files": {"uris": [job.files]}}, "output": {"format": "PARQUET"}}


def query_of(job: Job) -> str:
    """Return the query as Fanfold takes it."""
    return job.task.value.replace("{table}", "input")
