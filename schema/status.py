"""A job's status: the one thing that subscriptions send."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from engine import job as engine_job
from schema.enums import JobPhase, JobState
from schema.scalars import JSON


@strawberry.type(
    description="Source items by where they stand; they add up to total once it is known."
)
class ItemCounts:
    """GraphQL ``ItemCounts``."""

    total: int | None
    pending: int
    running: int
    succeeded: int
    failed: int
    skipped: int

    @classmethod
    def of(cls, counts: engine_job.ItemCounts) -> Self:
        """Translate the engine's counts."""
        return cls(
            total=counts.total,
            pending=counts.pending,
            running=counts.running,
            succeeded=counts.succeeded,
            failed=counts.failed,
            skipped=counts.skipped,
        )


@strawberry.type(
    description="Tasks of one phase by where they stand; they add up to total once it is known."
)
class TaskCounts:
    """GraphQL ``TaskCounts``."""

    total: int | None
    pending: int
    running: int
    succeeded: int
    failed: int
    retried: int = strawberry.field(description="Attempts beyond the first.")

    @classmethod
    def of(cls, counts: engine_job.TaskCounts) -> Self:
        """Translate the engine's counts."""
        return cls(
            total=counts.total,
            pending=counts.pending,
            running=counts.running,
            succeeded=counts.succeeded,
            failed=counts.failed,
            retried=counts.retried,
        )


@strawberry.type(description="Why a job, task or item failed.")
class JobError:
    """GraphQL ``JobError``."""

    code: str = strawberry.field(
        description=(
            "Stable name, such as TOLERANCE_EXCEEDED, TASK_TIMEOUT, USER_CODE, SOURCE_UNREADABLE."
        )
    )
    message: str
    retryable: bool
    task_id: strawberry.ID | None

    @classmethod
    def of(cls, error: engine_job.JobError) -> Self:
        """Translate the engine's error."""
        return cls(
            code=error.code,
            message=error.message,
            retryable=error.retryable,
            task_id=None if error.task_id is None else strawberry.ID(error.task_id),
        )


@strawberry.type(
    description=(
        "A snapshot of a job's state. Its id is the job's id, so that a client cache keeps one"
        " entity per\njob and every view of it follows the subscription."
    )
)
class JobStatus:
    """GraphQL ``JobStatus``."""

    id: strawberry.ID
    version: int = strawberry.field(
        description="Rises with every change of the job, over all its runs."
    )
    run: int
    state: JobState
    phase: JobPhase
    ratio: float | None = strawberry.field(
        description="0 to 1, never falling within a run; null while the amount of work is unknown."
    )
    eta_seconds: float | None
    items: ItemCounts
    map: TaskCounts
    reduce: TaskCounts
    bytes_read: float
    bytes_total: float | None = strawberry.field(
        description="Null while the source is still being listed."
    )
    partial: list[JSON] | None = strawberry.field(
        description=(
            "Rows of the answer so far, for jobs that asked for them; null otherwise and once"
            " ended."
        )
    )
    coverage: float | None = strawberry.field(
        description="Share of the input that partial covers, 0 to 1."
    )
    result: list[JSON] | None = strawberry.field(
        description=(
            "All rows of the result, when they fit in service.inlineResultBytes; otherwise null,"
            " never cut."
        )
    )
    result_rows: float | None
    result_bytes: float | None
    error: JobError | None
    message: str | None = strawberry.field(description="A short text for people.")
    updated_at: datetime

    @classmethod
    def of(cls, status: engine_job.JobStatus) -> Self:
        """Translate the engine's status."""
        return cls(
            id=strawberry.ID(status.id),
            version=status.version,
            run=status.run,
            state=status.state,
            phase=status.phase,
            ratio=status.ratio,
            eta_seconds=status.eta_seconds,
            items=ItemCounts.of(status.items),
            map=TaskCounts.of(status.map),
            reduce=TaskCounts.of(status.reduce),
            bytes_read=status.bytes_read,
            bytes_total=status.bytes_total,
            partial=status.partial,
            coverage=status.coverage,
            result=status.result,
            result_rows=status.result_rows,
            result_bytes=status.result_bytes,
            error=None if status.error is None else JobError.of(status.error),
            message=status.message,
            updated_at=status.updated_at,
        )
