"""Erasing a job: ``deleteJob`` with its outcome."""

from __future__ import annotations

from typing import Annotated, TypeAlias

import strawberry

from engine import errors as engine_errors
from resolvers.delete import delete_job
from resolvers.read import get_job
from schema.context import Info
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
    context = info.context
    try:
        job = await delete_job(context.services, caller=context.caller, job_id=id)
    except engine_errors.NotFoundError as exc:
        return NotFoundError.of(exc)
    except engine_errors.InvalidStateError as exc:
        found = await get_job(context.services, caller=context.caller, job_id=id)
        if found is None:
            return NotFoundError.of(engine_errors.NotFoundError(exc.message))
        return InvalidStateError.of(exc, found)
    return DeleteJobSuccess(id=strawberry.ID(job))
