"""Uploads: ``createUpload`` with its input and outcome."""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Annotated, TypeAlias

import strawberry

from engine import errors as engine_errors
from resolvers.uploads import create_upload
from schema.context import Info
from schema.errors import ForbiddenError, ValidationError
from schema.scalars import URL


@strawberry.input
class CreateUploadInput:
    """GraphQL ``CreateUploadInput``."""

    file_name: str
    content_type: str | None = strawberry.UNSET


@strawberry.type
class CreateUploadSuccess:
    """GraphQL ``CreateUploadSuccess``."""

    id: strawberry.ID
    url: URL = strawberry.field(description="PUT the file here.")
    expires_at: datetime


CreateUploadResult: TypeAlias = Annotated[
    CreateUploadSuccess | ValidationError | ForbiddenError, strawberry.union("CreateUploadResult")
]


async def resolve_create_upload(info: Info, input: CreateUploadInput) -> CreateUploadResult:
    """Resolve ``Mutation.createUpload``."""
    context = info.context
    try:
        upload = await asyncio.to_thread(
            create_upload,
            context.services,
            caller=context.caller,
            file_name=input.file_name,
            content_type=input.content_type or None,
            base_url=context.base_url,
        )
    except engine_errors.InputError as exc:
        return ValidationError.of(exc)
    except engine_errors.ForbiddenError as exc:
        return ForbiddenError.of(exc)
    return CreateUploadSuccess(
        id=strawberry.ID(upload.id), url=URL(upload.url), expires_at=upload.expires_at
    )
