"""Erasing a job: ``deleteJob`` with its outcome."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from engine import errors as engine_errors
from engine.job import JobId
from resolvers.delete import delete_job
from resolvers.read import job_after
from schema.context import Context, Info
from schema.errors import ForbiddenError, InvalidStateError, NotFoundError


@strawberry.type
class DeleteJobSuccess:
    """GraphQL ``DeleteJobSuccess``."""

    id: strawberry.ID


DeleteJobResult: TypeAlias = Annotated[
    DeleteJobSuccess | NotFoundError | InvalidStateError | ForbiddenError,
    strawberry.union("DeleteJobResult"),
]


async def resolve_delete_job(info: Info, id: strawberry.ID) -> DeleteJobResult:
    """Resolve ``Mutation.deleteJob``."""
    try:
        return await _success_or_state(info.context, id)
    except engine_errors.ForbiddenError as exc:
        return ForbiddenError.of(exc)
    except engine_errors.NotFoundError as exc:
        return NotFoundError.of(exc)


async def _success_or_state(context: Context, id: str) -> DeleteJobSuccess | InvalidStateError:
    try:
        job = await delete_job(context.services, caller=context.caller, job_id=id)
    except engine_errors.InvalidStateError as exc:
        found = await job_after(context.services, caller=context.caller, job=JobId(id))
        return InvalidStateError.of(exc, found)
    return DeleteJobSuccess(id=strawberry.ID(job))
