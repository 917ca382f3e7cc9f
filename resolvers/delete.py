"""Erasing a finished job."""

from __future__ import annotations

import asyncio

from engine.errors import NotFoundError
from engine.job import JobId
from resolvers.ids import job_id_from, no_such_job
from resolvers.services import Caller, Services


async def delete_job(services: Services, *, caller: Caller, job_id: str) -> JobId:
    """Erase a job that has ended, with its results; what is interrupted here is done later.

    Raises:
        NotFoundError: The caller has no such job.
        InvalidStateError: The job has not ended.
    """
    known = job_id_from(job_id)
    if known is None:
        raise NotFoundError(no_such_job(job_id))
    await services.control.delete(caller.tenant, known)
    await asyncio.to_thread(_remove_blobs, services, known)
    await services.control.erase(known)
    return known


def _remove_blobs(services: Services, job: JobId) -> None:
    services.blobs.delete(list(services.blobs.list(f"jobs/{job}")))
