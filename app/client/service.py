"""The running service, as a client sees it: requests and answers over HTTP.

Turns every failure into one ServiceError: a refusal that came as data, an error of the whole
request, an address where nobody answers.
"""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Self

import httpx
from gql import Client, GraphQLRequest
from gql.client import AsyncClientSession
from gql.transport.exceptions import (
    TransportConnectionFailed,
    TransportError,
    TransportQueryError,
    TransportServerError,
)
from gql.transport.httpx import HTTPXAsyncTransport

from app.client import documents
from app.client.address import Address
from app.client.errors import ServiceError
from app.client.json_reading import read_exactly
from app.client.refusals import (
    accepted,
    existing,
    insecure,
    no_result,
    no_such_job,
    refusal,
    unsendable,
)

PAGE_ROWS: Final = 1_000
PAGE_JOBS: Final = 200
PAGE_FAILURES: Final = 200
RETRY_WITHIN_S: Final = 30.0
_RETRY_PAUSE_S: Final = 0.2
TIMEOUT: Final = httpx.Timeout(60.0, connect=5.0)

# It reports what we raise or repair anyway.
logging.getLogger("gql").addHandler(logging.NullHandler())
logging.getLogger("gql").propagate = False


class Service:
    """Requests to one service, as an async context manager.

    A service that has answered once is waited for when it goes away, as it does for a restart;
    every request is safe to repeat. One that never answered is reported at once.

    All methods raise ServiceError, and nothing else of the network.
    """

    def __init__(self, at: str | Address) -> None:
        """Prepare to speak to the one at that address; nothing is sent yet."""
        self._address = Address.of(at)
        self._has_answered = False
        self._stack = AsyncExitStack()
        self._session: AsyncClientSession | None = None

    async def __aenter__(self) -> Self:
        transport = HTTPXAsyncTransport(
            url=self._address.http,
            json_deserialize=read_exactly,
            headers=self._address.headers,
            timeout=TIMEOUT,
            trust_env=not self._address.is_loopback,
        )
        client = Client(transport=transport, execute_timeout=None)
        self._session = await self._stack.enter_async_context(client)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    async def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        """Submit a SubmitJobInput and return the job.

        Carries a fresh idempotency key, so that repeating it over a restart makes one job.
        """
        job = {"idempotencyKey": uuid.uuid4().hex} | job
        data = await self._ask(documents.SUBMIT, input=job)
        submitted: dict[str, Any] = accepted(data["submitJob"])["job"]
        return submitted

    async def plan(self, job: dict[str, Any]) -> dict[str, Any]:
        """Return how a SubmitJobInput would be run, a JobPlan."""
        return accepted((await self._ask(documents.PLAN, input=job))["planJob"])

    async def cancel(self, job_id: str, *, reason: str | None = None) -> dict[str, Any]:
        """Stop a job and return it; one that has ended is returned unchanged."""
        data = await self._ask(documents.CANCEL, id=job_id, reason=reason)
        if data["cancelJob"].get("code") == "NOT_FOUND":
            raise no_such_job(job_id)
        job: dict[str, Any] = accepted(data["cancelJob"])["job"]
        return job

    async def update(self, job_id: str, changes: dict[str, Any]) -> dict[str, Any]:
        """Change a live job and return it.

        Args:
            job_id: The job.
            changes: The UpdateJobInput without its id.
        """
        data = await self._ask(documents.UPDATE, input={"id": job_id} | changes)
        if data["updateJob"].get("code") == "NOT_FOUND":
            raise no_such_job(job_id)
        job: dict[str, Any] = accepted(data["updateJob"])["job"]
        return job

    async def delete(self, job_id: str) -> None:
        """Erase a job that has ended, with its result."""
        data = await self._ask(documents.DELETE, id=job_id)
        if data["deleteJob"].get("code") == "NOT_FOUND":
            raise no_such_job(job_id)
        accepted(data["deleteJob"])

    async def redrive(self, job_id: str, *, params: dict[str, Any] | None) -> dict[str, Any]:
        """Run again what did not succeed and return the job.

        Carries a fresh idempotency key, so that repeating it over a restart begins one run.
        """
        wish: dict[str, Any] = {"id": job_id, "idempotencyKey": uuid.uuid4().hex}
        if params is not None:
            wish["params"] = params
        data = await self._ask(documents.REDRIVE, input=wish)
        if data["redriveJob"].get("code") == "NOT_FOUND":
            raise no_such_job(job_id)
        job: dict[str, Any] = accepted(data["redriveJob"])["job"]
        return job

    async def create_upload(self, file_name: str) -> dict[str, Any]:
        """Return a place to send a file to: its ``id`` as a source, and the ``url`` to PUT it."""
        data = await self._ask(documents.CREATE_UPLOAD, input={"fileName": file_name})
        return accepted(data["createUpload"])

    async def share(self, job_ids: Sequence[str], *, ttl_s: int) -> dict[str, Any]:
        """Return a token that can only read these jobs, and when it expires."""
        wish = {"jobIds": list(job_ids), "ttlSeconds": ttl_s}
        return accepted((await self._ask(documents.SHARE, input=wish))["createViewerToken"])

    async def failures(self, job_id: str, *, limit: int | None) -> Failures:
        """Return a job's failed items, in the order in which they became known.

        Raises:
            ServiceError: There is no such job.
        """
        found: list[dict[str, Any]] = []
        after = None
        while True:
            first = PAGE_FAILURES if limit is None else min(limit - len(found), PAGE_FAILURES)
            data = await self._ask(documents.FAILURES, id=job_id, first=first, after=after)
            page = existing(data, job_id)["failures"]
            found += [edge["node"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"] or len(found) == limit:
                return Failures(found, page["totalCount"])

    async def job(self, job_id: str) -> dict[str, Any]:
        """Return a job."""
        return existing(await self._ask(documents.JOB, id=job_id), job_id)

    async def programs(self) -> list[dict[str, Any]]:
        """Return the programs that the caller may run, by name."""
        found: list[dict[str, Any]] = (await self._ask(documents.PROGRAMS))["programs"]
        return found

    async def jobs(
        self, *, limit: int, wanted: dict[str, Any] | None = None
    ) -> list[dict[str, Any]]:
        """Return the newest jobs, newest first.

        Args:
            limit: How many at most.
            wanted: A JobFilter that they pass.
        """
        found: list[dict[str, Any]] = []
        after = None
        while len(found) < limit:
            first = min(limit - len(found), PAGE_JOBS)
            data = await self._ask(documents.JOBS, first=first, after=after, filter=wanted)
            page = data["jobs"]
            found += [edge["node"] for edge in page["edges"]]
            after = page["pageInfo"]["endCursor"]
            if not page["pageInfo"]["hasNextPage"]:
                break
        return found

    async def result(self, job_id: str, *, page_rows: int = PAGE_ROWS) -> AsyncIterator[ResultPage]:
        """Yield a job's result, at least one page.

        Raises:
            ServiceError: There is no such job, or it has no result.
        """
        after = None
        while True:
            data = await self._ask(documents.ROWS, id=job_id, first=page_rows, after=after)
            job = existing(data, job_id)
            result = job["result"]
            if result is None:
                raise no_result(job_id, job["status"]["state"])
            page = result["rows"]
            yield ResultPage(
                columns=[column["name"] for column in result["columns"]],
                rows=[edge["node"] for edge in page["edges"]],
                row_count=int(result["rowCount"]),
            )
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]

    async def files(self, job_id: str) -> list[dict[str, Any]]:
        """Return a result's files in the order of their rows, each with a fresh URL.

        Raises:
            ServiceError: There is no such job, or it has no result.
        """
        job = existing(await self._ask(documents.FILES, id=job_id), job_id)
        if job["result"] is None:
            raise no_result(job_id, job["status"]["state"])
        files: list[dict[str, Any]] = job["result"]["files"]
        return files

    async def _ask(self, document: str, **variables: Any) -> dict[str, Any]:
        request = GraphQLRequest(document, variable_values=variables)
        give_up = time.monotonic() + RETRY_WITHIN_S
        while True:
            try:
                answer = await self._execute(request)
            except ServiceError as exc:
                is_away = exc.code in ("UNREACHABLE", "UNAVAILABLE")
                if not (is_away and self._has_answered) or time.monotonic() > give_up:
                    raise
                await asyncio.sleep(_RETRY_PAUSE_S)
            else:
                self._has_answered = True
                return answer

    async def _execute(self, request: GraphQLRequest) -> dict[str, Any]:
        if self._session is None:
            raise RuntimeError("not entered")
        try:
            return await self._session.execute(request)
        except TransportQueryError as exc:
            raise refusal(exc) from exc
        except TransportConnectionFailed as exc:
            if (refused := insecure(exc, self._address)) is not None:
                raise refused from exc
            if not isinstance(exc.__cause__, httpx.RequestError | OSError):
                raise unsendable(exc.__cause__) from exc
            # Whoever hangs up on a request was there: worth waiting for.
            self._has_answered |= not isinstance(exc.__cause__, httpx.ConnectError)
            raise self._address.unreachable() from exc
        except TransportServerError as exc:
            code = "UNAVAILABLE" if exc.code in (502, 503, 504) else "NOT_A_SERVICE"
            message = f"{self._address.http} answered with HTTP status {exc.code}"
            raise ServiceError(f"{message}: is it the address of a service?", code=code) from exc
        except TransportError as exc:
            raise ServiceError(
                f"{self._address.http} does not answer in GraphQL: is it the address of a service?",
                code="NOT_A_SERVICE",
            ) from exc


@dataclass(frozen=True, slots=True)
class Failures:
    """Some of a job's failed items, and how many are kept of it in all."""

    items: list[dict[str, Any]]
    total: int


@dataclass(frozen=True, slots=True)
class ResultPage:
    """Some rows of a result, its columns, and how many rows it has in all."""

    columns: list[str]
    rows: list[Any]
    row_count: int
