"""Erasing a finished job."""

from __future__ import annotations

import asyncio

from engine.job import JobId
from resolvers.access.authorize import require, require_own_id
from resolvers.access.caller import Caller, Scope
from resolvers.services import Services


async def delete_job(services: Services, *, caller: Caller, job_id: str) -> JobId:
    """Erase a job that has ended, with its results; what is interrupted here is done later.

    Raises:
        ForbiddenError: The caller may not manage jobs.
        NotFoundError: The caller has no such job.
        InvalidStateError: The job has not ended.
    """
    require(caller, Scope.MANAGE)
    known = require_own_id(caller, job_id)
    await services.control.delete(caller.tenant, known)
    await asyncio.to_thread(_remove_blobs, services, known)
    await services.control.erase(known)
    return known


def _remove_blobs(services: Services, job: JobId) -> None:
    services.blobs.delete(list(services.blobs.list(f"jobs/{job}")))
