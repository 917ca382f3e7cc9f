"""Stopping a job."""

from __future__ import annotations

from typing import Final

from engine.job import Job
from resolvers.access.authorize import require, require_own_id
from resolvers.access.caller import Caller, Scope
from resolvers.read import job_after
from resolvers.services import Services

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
        ForbiddenError: The caller may not manage jobs.
        NotFoundError: There is no such job, or it is another tenant's.
    """
    require(caller, Scope.MANAGE)
    known = require_own_id(caller, job_id)
    text = _storable(reason) if reason is not None else None
    await services.control.cancel(caller.tenant, known, reason=text)
    return await job_after(services, caller=caller, job=known)


def _storable(text: str) -> str:
    """Cut *text*, and replace lone surrogates, which JSON allows and UTF-8 does not."""
    return text[:MAX_REASON_LENGTH].encode(errors="replace").decode()
