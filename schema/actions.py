"""Changing jobs: ``cancelJob``, ``updateJob`` and ``redriveJob``."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

import strawberry

from engine import errors as engine_errors
from engine import job as engine_job
from resolvers.cancel import cancel_job
from resolvers.read import job_after
from resolvers.redrive import redrive_job
from resolvers.update import update_job
from schema.context import Context, Info
from schema.errors import ForbiddenError, InvalidStateError, NotFoundError, ValidationError
from schema.inputs import RedriveJobInput, UpdateJobInput
from schema.job import Job
from schema.outcomes import JobActionResult, JobActionSuccess


async def resolve_cancel_job(
    info: Info, id: strawberry.ID, reason: str | None = strawberry.UNSET
) -> JobActionResult:
    """Resolve ``Mutation.cancelJob``."""
    context = info.context
    action = cancel_job(context.services, caller=context.caller, job_id=id, reason=reason or None)
    return await _outcome(context, action, job_id=id, path=("id",))


async def resolve_update_job(info: Info, input: UpdateJobInput) -> JobActionResult:
    """Resolve ``Mutation.updateJob``."""
    context = info.context
    action = update_job(
        context.services, caller=context.caller, job_id=input.id, data=input.to_data()
    )
    return await _outcome(context, action, job_id=input.id, path=("input", "id"))


async def resolve_redrive_job(info: Info, input: RedriveJobInput) -> JobActionResult:
    """Resolve ``Mutation.redriveJob``."""
    context = info.context
    action = redrive_job(
        context.services, caller=context.caller, job_id=input.id, data=input.to_data()
    )
    return await _outcome(context, action, job_id=input.id, path=("input", "id"))


async def _outcome(
    context: Context, action: Awaitable[engine_job.Job], *, job_id: str, path: Sequence[str]
) -> JobActionResult:
    """Return what came of *action* on the job whose id is at *path*."""
    try:
        return await _success_or_state(context, action, job_id=job_id, path=path)
    except engine_errors.InputError as exc:
        return ValidationError.of(exc)
    except engine_errors.ForbiddenError as exc:
        return ForbiddenError.of(exc)
    except engine_errors.NotFoundError as exc:
        return NotFoundError.of(exc, path=path)


async def _success_or_state(
    context: Context, action: Awaitable[engine_job.Job], *, job_id: str, path: Sequence[str]
) -> JobActionSuccess | InvalidStateError:
    try:
        job = await action
    except engine_errors.InvalidStateError as exc:
        job_id_known = engine_job.JobId(job_id)
        found = await job_after(context.services, caller=context.caller, job=job_id_known)
        return InvalidStateError.of(exc, found, path=path)
    return JobActionSuccess(job=Job.of(context.services, job))
