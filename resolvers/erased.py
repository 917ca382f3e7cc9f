"""Telling what was erased from what never was."""

from __future__ import annotations

from resolvers.access.caller import Caller
from resolvers.ids import job_id_from
from resolvers.services import Services


async def is_erased(services: Services, *, caller: Caller, job_id: str) -> bool:
    """Return whether the caller had such a job that has been erased not long ago."""
    known = job_id_from(job_id)
    if known is None or not caller.sees(known):
        return False
    return await services.jobs.is_erased(caller.tenant, known)
