"""Failures that a caller can act on: data, not top-level errors.

All failures of the contract have their type here.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Self

import strawberry

from engine import errors as engine_errors
from engine.job import Job
from schema.enums import JobAction, JobState


@strawberry.enum
class ErrorCode(StrEnum):
    """GraphQL ``ErrorCode``."""

    VALIDATION_FAILED = "VALIDATION_FAILED"
    NOT_FOUND = "NOT_FOUND"
    FORBIDDEN = "FORBIDDEN"
    INVALID_STATE = "INVALID_STATE"
    IDEMPOTENCY_CONFLICT = "IDEMPOTENCY_CONFLICT"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    SOURCE_UNREADABLE = "SOURCE_UNREADABLE"


@strawberry.interface
class UserError:
    """GraphQL ``UserError``."""

    code: ErrorCode
    message: str = strawberry.field(description="For people; branch on code.")
    path: list[str] | None = strawberry.field(
        description=(
            'Where in the input the problem lies, such as ["input", "source", "files", "uris"].'
        )
    )
    retryable: bool = strawberry.field(
        description="True when the same call may succeed later unchanged."
    )


@strawberry.type
class InputIssue:
    """GraphQL ``InputIssue``."""

    path: list[str]
    message: str


@strawberry.type(
    description="The input is wrong; issues lists every problem found, not only the first."
)
class ValidationError(UserError):
    """GraphQL ``ValidationError``."""

    issues: list[InputIssue]

    @classmethod
    def of(cls, error: engine_errors.InputError) -> Self:
        """Translate the engine's error; a single issue also gives its path."""
        first, *others = error.issues
        message = f"{'.'.join(first.path)}: {first.message}"
        return cls(
            code=ErrorCode(error.code),
            message=f"{message} (and {len(others)} more)" if others else message,
            path=None if others else list(first.path),
            retryable=error.retryable,
            issues=[
                InputIssue(path=list(issue.path), message=issue.message) for issue in error.issues
            ],
        )


@strawberry.type
class IdempotencyConflictError(UserError):
    """GraphQL ``IdempotencyConflictError``."""

    existing_job_id: strawberry.ID

    @classmethod
    def of(cls, error: engine_errors.IdempotencyConflictError) -> Self:
        """Translate the engine's error."""
        return cls(
            code=ErrorCode(error.code),
            message=error.message,
            path=["input", "idempotencyKey"],
            retryable=error.retryable,
            existing_job_id=strawberry.ID(error.existing_job_id),
        )


@strawberry.type(description="The source could not be listed or read.")
class SourceError(UserError):
    """GraphQL ``SourceError``."""

    location: str | None

    @classmethod
    def of(cls, error: engine_errors.SourceError) -> Self:
        """Translate the engine's error."""
        return cls(
            code=ErrorCode.SOURCE_UNREADABLE,
            message=error.message,
            path=None if error.path is None else list(error.path),
            retryable=error.retryable,
            location=error.location,
        )


@strawberry.type
class NotFoundError(UserError):
    """GraphQL ``NotFoundError``."""

    @classmethod
    def of(cls, error: engine_errors.NotFoundError, *, path: Sequence[str] = ("id",)) -> Self:
        """Translate the engine's error about the id at *path*."""
        return cls(
            code=ErrorCode(error.code),
            message=error.message,
            path=list(path),
            retryable=error.retryable,
        )


@strawberry.type
class QuotaExceededError(UserError):
    """GraphQL ``QuotaExceededError``."""

    retry_after_seconds: float | None

    @classmethod
    def of(cls, error: engine_errors.QuotaExceededError) -> Self:
        """Translate the engine's error."""
        return cls(
            code=ErrorCode(error.code),
            message=error.message,
            path=None,
            retryable=error.retryable,
            retry_after_seconds=error.retry_after_s,
        )


@strawberry.type
class InvalidStateError(UserError):
    """GraphQL ``InvalidStateError``."""

    state: JobState
    allowed_actions: list[JobAction]

    @classmethod
    def of(
        cls, error: engine_errors.InvalidStateError, job: Job, *, path: Sequence[str] = ("id",)
    ) -> Self:
        """Translate the engine's error about *job*, whose id is at *path*."""
        return cls(
            code=ErrorCode.INVALID_STATE,
            message=error.message,
            path=list(path),
            retryable=False,
            state=job.status.state,
            allowed_actions=list(job.allowed_actions),
        )


@strawberry.type
class ForbiddenError(UserError):
    """GraphQL ``ForbiddenError``."""

    @classmethod
    def of(cls, error: engine_errors.ForbiddenError) -> Self:
        """Translate the engine's error."""
        return cls(
            code=ErrorCode(error.code), message=error.message, path=None, retryable=error.retryable
        )
