"""Bringing back a finished job that the store has lost, from the manifest of its result."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from engine.errors import NotFoundError
from engine.job import JobId, new_job_id
from engine.jobs import FoundResult
from engine.result import Manifest, inline_rows
from resolvers.access.caller import Caller
from resolvers.services import Services

_MANIFEST: Final = re.compile(r"/result/finish-0-a(\d+)\.manifest\.json$")


async def restore_job(services: Services, *, caller: Caller, job: JobId) -> bool:
    """Put a job back whose result is there although the store knows nothing of it.

    Returns:
        Whether there is such a result, of the caller's tenant.
    """
    is_known = (await services.jobs.details(job)).manifest is not None
    # What the store knows is another tenant's: that must not take longer than for an unknown id.
    name = await asyncio.to_thread(_last_manifest, services, new_job_id() if is_known else job)
    if name is None:
        return False
    found = await asyncio.to_thread(_read, services, job, name)
    if found is None or found.tenant != caller.tenant:
        return False
    return await services.jobs.restore(found)  # not what was deleted: an attempt may come too late


def _last_manifest(services: Services, job: JobId) -> str | None:
    """Return the blob that names the last result that a job left, if there is one."""
    attempts = {
        int(match[1]): name
        for name in services.blobs.list(f"jobs/{job}/result")
        if (match := _MANIFEST.search(name))
    }
    return attempts[max(attempts)] if attempts else None


def _read(services: Services, job: JobId, name: str) -> FoundResult | None:
    """Return the result whose manifest is *name*, if it is the job's."""
    try:
        manifest = Manifest.from_bytes(services.blobs.read(name))
        rows = inline_rows(
            services.blobs, manifest, limit_bytes=services.limits.inline_result_bytes
        )
    except NotFoundError:
        return None  # it is being erased
    facts = manifest.facts
    if manifest.job != job or "tenant" not in facts:
        return None
    return FoundResult(
        id=job,
        tenant=facts["tenant"],
        submitted_by=facts["submittedBy"],
        spec=facts["spec"],
        run=facts["run"],
        created_ms=facts["createdAtMs"],
        started_ms=facts["startedAtMs"],
        finished_ms=facts["finishedAtMs"],
        items=facts["items"],
        failed_items=facts["failedItems"],
        bytes_read=facts["bytesRead"],
        rows=manifest.rows,
        size_bytes=manifest.size_bytes,
        inline=rows,
        manifest=name,
    )
