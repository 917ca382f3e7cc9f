"""Stopping a job."""

from __future__ import annotations

from typing import Final

from engine.job import Job
from resolvers.caller import Caller
from resolvers.ids import require_job_id
from resolvers.read import require_job
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
        NotFoundError: There is no such job, or it is another tenant's.
    """
    known = require_job_id(job_id)
    text = _storable(reason) if reason is not None else None
    await services.control.cancel(caller.tenant, known, reason=text)
    return await require_job(services, caller=caller, job_id=known)


def _storable(text: str) -> str:
    """Cut *text*, and replace lone surrogates, which JSON allows and UTF-8 does not."""
    return text[:MAX_REASON_LENGTH].encode(errors="replace").decode()
