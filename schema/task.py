"""A job's tasks."""

from __future__ import annotations

from datetime import datetime
from typing import Self

import strawberry

from engine import job as engine_job
from engine import jobs as engine_jobs
from resolvers.pages import Page
from schema.enums import TaskKind, TaskState
from schema.page_info import PageInfo
from schema.status import JobError


@strawberry.type
class Task:
    """GraphQL ``Task``."""

    id: strawberry.ID
    kind: TaskKind
    state: TaskState
    index: int
    items: int
    attempts: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    log: list[str] = strawberry.field(
        description="The last lines that the program logged in the task's last attempt."
    )

    @classmethod
    def of(cls, task: engine_job.Task) -> Self:
        """Translate the engine's task."""
        return cls(
            id=strawberry.ID(task.id),
            kind=TaskKind(task.kind),
            state=task.state,
            index=task.index,
            items=task.items,
            attempts=task.attempts,
            worker=task.worker,
            started_at=task.started_at,
            finished_at=task.finished_at,
            error=None if task.error is None else JobError.of(task.error),
            log=list(task.log),
        )


@strawberry.type
class TaskEdge:
    """GraphQL ``TaskEdge``."""

    cursor: str
    node: Task


@strawberry.type
class TaskConnection:
    """GraphQL ``TaskConnection``."""

    edges: list[TaskEdge]
    page_info: PageInfo
    total_count: int

    @classmethod
    def of(cls, page: Page[engine_job.Task]) -> Self:
        """Translate a page of tasks."""
        return cls(
            edges=[TaskEdge(cursor=edge.cursor, node=Task.of(edge.node)) for edge in page.edges],
            page_info=PageInfo.of(page),
            total_count=page.total or 0,
        )


@strawberry.input
class TaskFilter:
    """GraphQL ``TaskFilter``."""

    kind: TaskKind | None = strawberry.UNSET
    state: TaskState | None = strawberry.UNSET

    def to_engine(self) -> engine_jobs.TaskFilter:
        """Translate to the engine's filter; null means left out."""
        return engine_jobs.TaskFilter(
            kind=engine_job.TaskKind(self.kind) if self.kind else None,
            state=self.state or None,
        )
