"""Viewer tokens: ``createViewerToken`` with its input and outcome."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from engine import errors as engine_errors
from resolvers.access.viewer_tokens import create_viewer_token
from schema.context import Info
from schema.errors import ForbiddenError, NotFoundError, ValidationError

DEFAULT_TTL_S = 900


@strawberry.input
class CreateViewerTokenInput:
    """GraphQL ``CreateViewerTokenInput``."""

    job_ids: list[strawberry.ID]
    ttl_seconds: int | None = DEFAULT_TTL_S


@strawberry.type
class CreateViewerTokenSuccess:
    """GraphQL ``CreateViewerTokenSuccess``."""

    token: str
    expires_at: datetime


CreateViewerTokenResult: TypeAlias = Annotated[
    CreateViewerTokenSuccess | NotFoundError | ValidationError | ForbiddenError,
    strawberry.union("CreateViewerTokenResult"),
]


async def resolve_create_viewer_token(
    info: Info, input: CreateViewerTokenInput
) -> CreateViewerTokenResult:
    """Resolve ``Mutation.createViewerToken``."""
    context = info.context
    try:
        made = await create_viewer_token(
            context.services,
            caller=context.caller,
            job_ids=input.job_ids,
            ttl_seconds=DEFAULT_TTL_S if input.ttl_seconds is None else input.ttl_seconds,
        )
    except engine_errors.InputError as exc:
        return ValidationError.of(exc)
    except engine_errors.ForbiddenError as exc:
        return ForbiddenError.of(exc)
    except engine_errors.NotFoundError as exc:
        return NotFoundError.of(exc, path=("input", "jobIds"))
    return CreateViewerTokenSuccess(token=made.token, expires_at=made.expires_at)
