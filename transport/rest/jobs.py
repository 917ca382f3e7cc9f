"""Jobs as resources: submitted, read, waited for, cancelled."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import Issue
from engine.job import JobStatus
from engine.jsonvalue import decode_given, encode
from engine.status_json import status_to_json
from resolvers.access.authorize import require
from resolvers.access.caller import Caller, Scope
from resolvers.access.held import HeldRequests
from resolvers.cancel import cancel_job
from resolvers.check import check_input
from resolvers.live.hub import StatusHub
from resolvers.services import Services
from resolvers.submit import submit_job
from transport.bodies import read_body
from transport.negotiation import JSON, is_json
from transport.rest.job_reader import JobReader
from transport.rest.polling import etag_of, known_versions
from transport.rest.problems import Problem

LONGEST_PAUSE_S: Final = 30
_PRIVATE: Final = {"Cache-Control": "private, no-cache", "Vary": "Authorization"}


class Jobs:
    """Answers requests for jobs.

    Args:
        services: For resolvers.
        hub: For resolvers.
        reader: Reads jobs.
        held: Holds submits open that wait.
    """

    def __init__(
        self, services: Services, hub: StatusHub, reader: JobReader, held: HeldRequests
    ) -> None:
        self._services = services
        self._hub = hub
        self._reader = reader
        self._held = held

    async def submit(self, request: Request, caller: Caller) -> Response:
        """Answer ``POST /jobs``."""
        data = await _object_of(request)
        issues = _take_key(data, request.headers.get("idempotency-key"))
        wait_up_to_ms = data.pop("waitUpToMs", None) or 0
        if not isinstance(wait_up_to_ms, int) or isinstance(wait_up_to_ms, bool):
            issues.append(Issue(("input", "waitUpToMs"), "must be a whole number"))
        if issues:
            require(caller, Scope.SUBMIT)
            await check_input(self._services.catalog, data, *issues, limits=self._services.limits)
        submitting = submit_job(
            self._services,
            hub=self._hub,
            caller=caller,
            data=data,
            wait_up_to_ms=wait_up_to_ms,
            held=self._held,
        )
        # Not given up when the caller goes away: the job may be accepted by then.
        submitted = await submitting
        headers = {"Location": f"/jobs/{submitted.job.id}"}
        if not submitted.created:
            headers["Idempotent-Replayed"] = "true"
        return status_response(submitted.job.status, headers)

    async def status(self, request: Request, caller: Caller) -> Response:
        """Answer ``GET /jobs/{id}``."""
        known = known_versions(request.headers.getlist("if-none-match"))
        job = await self._reader.read(request, caller, known=known)
        headers = {"ETag": etag_of(job.status.version)}
        if known is not None and job.status.version in known:
            return Response(status_code=304, headers=_PRIVATE | headers)
        return status_response(job.status, headers)

    async def cancel(self, request: Request, caller: Caller) -> Response:
        """Answer ``DELETE /jobs/{id}``."""
        job = await cancel_job(
            self._services,
            caller=caller,
            job_id=request.path_params["id"],
            reason=request.query_params.get("reason"),
        )
        return status_response(job.status)


def status_response(status: JobStatus, headers: Mapping[str, str] | None = None) -> Response:
    """Return a job's status: 200 once it has ended, 202 with ``Retry-After`` until then."""
    more = dict(headers or {})
    if not status.state.is_terminal:
        more["Retry-After"] = str(_pause_s(status))
    return Response(
        encode(status_to_json(status)),
        200 if status.state.is_terminal else 202,
        _PRIVATE | more,
        JSON,
    )


def _pause_s(status: JobStatus) -> int:
    """Return after how many seconds to ask again: when the job should have ended, about."""
    return min(LONGEST_PAUSE_S, max(1, round(status.eta_seconds or 0)))


async def _object_of(request: Request) -> dict[str, Any]:
    """Return the JSON object that came with a request.

    Raises:
        Problem: It is none, or of another type: forms of other sites can send only those.
        RequestError: It is too large or too slow.
        Disconnected: The caller went away.
    """
    headers = request.headers
    if not is_json(headers.get("content-type")):
        raise Problem(415, "UNSUPPORTED_MEDIA_TYPE", "send application/json in UTF-8")
    if headers.get("content-encoding", "identity").lower() != "identity":
        problem = "send the body without a content coding"
        raise Problem(
            415, "UNSUPPORTED_MEDIA_TYPE", problem, headers={"Accept-Encoding": "identity"}
        )
    body = await read_body(request.receive, length=headers.get("content-length"))
    try:
        value = decode_given(body)
    except ValueError as exc:
        raise Problem(400, "BAD_REQUEST", f"the body is not JSON: {exc}") from None
    if not isinstance(value, dict):
        raise Problem(400, "BAD_REQUEST", "the body must be a JSON object")
    return value


def _take_key(data: dict[str, Any], header: str | None) -> list[Issue]:
    """Put the header's key, which may be in quotes, into *data*; return what is wrong with it."""
    if header is None:
        return []
    key = header[1:-1] if len(header) > 1 and header[0] == header[-1] == '"' else header
    given = data.get("idempotencyKey")
    if given not in (None, key):
        message = "differs from the header Idempotency-Key"
        return [Issue(("input", "idempotencyKey"), message)]
    data["idempotencyKey"] = key
    return []
