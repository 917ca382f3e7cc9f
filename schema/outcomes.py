"""What an operation leads to: its success, or a failure that the caller can act on."""

from __future__ import annotations

from typing import Annotated, Self, TypeAlias

import strawberry

from resolvers import plan as resolvers_plan
from schema.errors import (
    ForbiddenError,
    IdempotencyConflictError,
    InvalidStateError,
    NotFoundError,
    QuotaExceededError,
    SourceError,
    ValidationError,
)
from schema.job import Job


@strawberry.type
class SubmitJobSuccess:
    """GraphQL ``SubmitJobSuccess``."""

    job: Job
    created: bool = strawberry.field(
        description=(
            "False when the idempotency key had been seen and the earlier job is returned."
        )
    )


@strawberry.type
class JobPlan:
    """GraphQL ``JobPlan``."""

    items: float | None
    bytes: float | None
    map_tasks: int
    reduce_tasks: int
    map_step: str = strawberry.field(description="What each phase will run; SQL for SQL jobs.")
    reduce_step: str | None
    finish_step: str | None
    warnings: list[str]

    @classmethod
    def of(cls, plan: resolvers_plan.JobPlan) -> Self:
        """Translate a plan."""
        return cls(
            items=plan.items,
            bytes=plan.size_bytes,
            map_tasks=plan.map_tasks,
            reduce_tasks=plan.reduce_tasks,
            map_step=plan.map_step,
            reduce_step=plan.reduce_step,
            finish_step=plan.finish_step,
            warnings=list(plan.warnings),
        )


@strawberry.type
class JobActionSuccess:
    """GraphQL ``JobActionSuccess``."""

    job: Job


SubmitJobResult: TypeAlias = Annotated[
    SubmitJobSuccess
    | ValidationError
    | IdempotencyConflictError
    | QuotaExceededError
    | SourceError
    | ForbiddenError,
    strawberry.union("SubmitJobResult"),
]
PlanJobResult: TypeAlias = Annotated[
    JobPlan | ValidationError | SourceError | ForbiddenError, strawberry.union("PlanJobResult")
]
JobActionResult: TypeAlias = Annotated[
    JobActionSuccess | NotFoundError | InvalidStateError | ValidationError | ForbiddenError,
    strawberry.union("JobActionResult"),
]
