"""Stopping a job."""

from __future__ import annotations

from typing import Final

from engine.errors import NotFoundError
from engine.job import Job
from resolvers.ids import job_id_from, no_such_job
from resolvers.read import get_job
from resolvers.services import Caller, Services

MAX_REASON_LENGTH: Final = 1_000


async def cancel_job(
    services: Services, *, caller: Caller, job_id: str, reason: str | None = None
) -> Job:
    """Stop a job and return it as it now stands; one that has ended is returned unchanged.

    Args:
        services: What this process works with.
        caller: Who cancels.
        job_id: The job.
        reason: For people; cut at 1,000 characters.

    Raises:
        NotFoundError: There is no such job, or it is another tenant's.
    """
    known = job_id_from(job_id)
    if known is None:
        raise NotFoundError(no_such_job(job_id))
    text = _storable(reason) if reason is not None else None
    await services.control.cancel(caller.tenant, known, reason=text)
    job = await get_job(services, caller=caller, job_id=known)
    if job is None:
        raise NotFoundError(no_such_job(job_id))
    return job


def _storable(text: str) -> str:
    """Cut *text*, and replace lone surrogates, which JSON allows and UTF-8 does not."""
    return text[:MAX_REASON_LENGTH].encode(errors="replace").decode()
