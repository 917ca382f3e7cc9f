"""Results as resources: the rows where they are few, else where the files are."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from engine.errors import InvalidStateError, NotFoundError
from engine.job import Job
from engine.jsonvalue import encode
from engine.status_json import write_instant
from resolvers.access.caller import Caller
from resolvers.erased import is_erased
from resolvers.results import ResultFile, ResultReader
from resolvers.services import Services
from transport.negotiation import JSON
from transport.rest.job_reader import JobReader
from transport.rest.jobs import status_response
from transport.rest.problems import Problem

_HEADERS: Final = {"Cache-Control": "private, no-store", "Vary": "Authorization"}


class Results:
    """Answers requests for results.

    Args:
        services: For resolvers.
        reader: Reads jobs.
    """

    def __init__(self, services: Services, reader: JobReader) -> None:
        self._services = services
        self._jobs = reader

    async def result(self, request: Request, caller: Caller) -> Response:
        """Answer ``GET /jobs/{id}/result``."""
        job = await self._job(request, caller)
        if not job.status.state.is_terminal:
            return status_response(job.status)
        reader = self._reader(job)
        if job.status.result is not None:
            return _json(job.status.result)
        files = await _kept(reader.files(""))
        place = files[0].url if len(files) == 1 else f"/jobs/{job.id}/result/files"
        return _json({"location": place}, 303, Location=place)

    async def files(self, request: Request, caller: Caller) -> Response:
        """Answer ``GET /jobs/{id}/result/files``."""
        job = await self._job(request, caller)
        if not job.status.state.is_terminal:
            return status_response(job.status)
        reader = self._reader(job)
        base_url = str(request.base_url)
        return _json(
            {
                "rowCount": job.status.result_rows,
                "byteSize": job.status.result_bytes,
                "files": [_file(file) for file in await _kept(reader.files(base_url))],
                "listings": [_file(file) for file in await _kept(reader.listings(base_url))],
                "manifest": _file(await _kept(reader.manifest(base_url))),
            }
        )

    async def _job(self, request: Request, caller: Caller) -> Job:
        """Return the job, when it has ended or the caller has waited long enough.

        Raises:
            Problem: It has been erased.
            NotFoundError: There never was one, or it is another tenant's.
        """
        try:
            return await self._jobs.read(request, caller)
        except NotFoundError:
            job_id = request.path_params["id"]
            if await is_erased(self._services, caller=caller, job_id=job_id):
                raise _gone() from None
            raise

    def _reader(self, job: Job) -> ResultReader:
        """Return what reads the result of an ended job.

        Raises:
            InvalidStateError: It has none; a redrive may still lead to one.
        """
        state = job.status.state
        if job.status.result_rows is None:
            raise InvalidStateError(f"job {job.id} is {state}: it has no result", state=state)
        return ResultReader(self._services, job)


async def _kept(reading: Any) -> Any:
    """Await what reads a part of a result.

    Raises:
        Problem: The result has been erased.
    """
    try:
        return await reading
    except NotFoundError as exc:
        raise _gone() from exc


def _gone() -> Problem:
    return Problem(410, "GONE", "the result has been erased")


def _file(file: ResultFile) -> dict[str, Any]:
    return {
        "name": file.name,
        "byteSize": file.size_bytes,
        "sha256": file.sha256,
        "contentType": file.content_type,
        "url": file.url,
        "urlExpiresAt": write_instant(file.url_expires_at),
    }


def _json(value: Any, status: int = 200, **headers: str) -> Response:
    return Response(encode(value), status, _HEADERS | headers, JSON)
