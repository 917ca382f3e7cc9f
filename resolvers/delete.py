"""Erasing a finished job."""

from __future__ import annotations

import asyncio

from engine.job import JobId
from resolvers.caller import Caller
from resolvers.ids import require_job_id
from resolvers.services import Services


async def delete_job(services: Services, *, caller: Caller, job_id: str) -> JobId:
    """Erase a job that has ended, with its results; what is interrupted here is done later.

    Raises:
        NotFoundError: The caller has no such job.
        InvalidStateError: The job has not ended.
    """
    known = require_job_id(job_id)
    await services.control.delete(caller.tenant, known)
    await asyncio.to_thread(_remove_blobs, services, known)
    await services.control.erase(known)
    return known


def _remove_blobs(services: Services, job: JobId) -> None:
    services.blobs.delete(list(services.blobs.list(f"jobs/{job}")))
