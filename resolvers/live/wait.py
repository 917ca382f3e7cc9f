"""Reading a job when there is news of it."""

from __future__ import annotations

import asyncio
from collections.abc import Container
from contextlib import aclosing, suppress
from typing import Final

from engine.errors import InputError, Issue
from engine.job import Job
from resolvers.access.caller import Caller
from resolvers.live.hub import StatusHub
from resolvers.read import require_job
from resolvers.services import Services

_INTERVAL_MS: Final = 2


async def await_job(
    services: Services,
    *,
    hub: StatusHub,
    caller: Caller,
    job_id: str,
    wait_ms: int,
    known: Container[int] | None = None,
) -> Job:
    """Return a job when it has ended, or as it stands after a while.

    Args:
        services: What this process works with.
        hub: Follows the job while waiting.
        caller: Who reads.
        job_id: The job.
        wait_ms: How long to wait; 0 returns it at once.
        known: Versions that the caller has: wait only until there is another. None waits for the
            end.

    Raises:
        InputError: The time is out of range.
        NotFoundError: There is no such job, or it is another tenant's.
    """
    limit = services.limits.max_wait_ms
    if not 0 <= wait_ms <= limit:
        raise InputError(Issue(("waitMs",), f"must be 0 to {limit}, is {wait_ms}"))
    job = await require_job(services, caller=caller, job_id=job_id)
    status = job.status
    if not wait_ms or status.state.is_terminal:
        return job
    if known is not None and status.version not in known:
        return job
    states = hub.follow(caller, job.id, after_version=status.version, min_interval_ms=_INTERVAL_MS)
    with suppress(TimeoutError):
        async with asyncio.timeout(wait_ms / 1000), aclosing(states):
            async for _ in states:
                if known is not None:
                    break
    return await require_job(services, caller=caller, job_id=job_id)
