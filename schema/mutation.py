"""The mutations: their resolvers, then the type that names them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import strawberry

from engine import errors as engine_errors
from resolvers.submit import Submitted, submit_job
from schema.actions import resolve_cancel_job, resolve_redrive_job, resolve_update_job
from schema.context import Context, Info
from schema.delete import DeleteJobResult, resolve_delete_job
from schema.errors import (
    ForbiddenError,
    IdempotencyConflictError,
    QuotaExceededError,
    SourceError,
    ValidationError,
)
from schema.inputs import SubmitJobInput
from schema.job import Job
from schema.outcomes import JobActionResult, SubmitJobResult, SubmitJobSuccess
from schema.upload import CreateUploadResult, resolve_create_upload
from schema.viewer_token import CreateViewerTokenResult, resolve_create_viewer_token

Outcome: TypeAlias = (
    Submitted
    | ValidationError
    | SourceError
    | IdempotencyConflictError
    | QuotaExceededError
    | ForbiddenError
)


async def outcome_of(context: Context, data: Mapping[str, Any], *, wait_up_to_ms: int) -> Outcome:
    """Submit a job; return it, or why it was refused; see ``submit_job``."""
    try:
        return await submit_job(
            context.services,
            hub=context.hub,
            caller=context.caller,
            data=data,
            wait_up_to_ms=wait_up_to_ms,
            held=context.held,
        )
    except engine_errors.InputError as exc:
        return ValidationError.of(exc)
    except engine_errors.SourceError as exc:
        return SourceError.of(exc)
    except engine_errors.IdempotencyConflictError as exc:
        return IdempotencyConflictError.of(exc)
    except engine_errors.QuotaExceededError as exc:
        return QuotaExceededError.of(exc)
    except engine_errors.ForbiddenError as exc:
        return ForbiddenError.of(exc)


async def _submit_job(
    info: Info, root: strawberry.Parent[object], input: SubmitJobInput
) -> SubmitJobResult:
    """Submit a job, or show what it led to where that is known: as the root value."""
    context = info.context
    outcome: Any = root
    if outcome is None:
        outcome = await outcome_of(context, input.to_data(), wait_up_to_ms=input.wait_up_to_ms or 0)
    if isinstance(outcome, Exception):
        raise outcome
    if not isinstance(outcome, Submitted):
        failure: SubmitJobResult = outcome
        return failure
    return SubmitJobSuccess(job=Job.of(context.services, outcome.job), created=outcome.created)


@strawberry.type
class Mutation:
    """GraphQL ``Mutation``."""

    submit_job: SubmitJobResult = strawberry.mutation(
        resolver=_submit_job,
        description=(
            "Accept a job and answer at once, or wait up to waitUpToMs for a small one to finish."
        ),
    )
    cancel_job: JobActionResult = strawberry.mutation(
        resolver=resolve_cancel_job,
        description="Stop a job. Idempotent: a finished job is returned unchanged.",
    )
    update_job: JobActionResult = strawberry.mutation(
        resolver=resolve_update_job,
        description="Change a live job's concurrency, tolerance or tags.",
    )
    redrive_job: JobActionResult = strawberry.mutation(
        resolver=resolve_redrive_job,
        description=(
            "Run again only what did not succeed, keeping what did. Same id, next run number."
        ),
    )
    delete_job: DeleteJobResult = strawberry.mutation(
        resolver=resolve_delete_job, description="Erase a finished job with its results."
    )
    create_upload: CreateUploadResult = strawberry.mutation(
        resolver=resolve_create_upload,
        description=(
            "A presigned place to upload a source file to, without passing through the API process."
        ),
    )
    create_viewer_token: CreateViewerTokenResult = strawberry.mutation(
        resolver=resolve_create_viewer_token,
        description=(
            "A short-lived token that can only read the given jobs, safe to hand to a browser."
        ),
    )
