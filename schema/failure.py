"""A job's items that failed for good."""

from __future__ import annotations

from typing import Self

import strawberry

from engine import job as engine_job
from resolvers.pages import Page
from schema.page_info import PageInfo
from schema.status import JobError


@strawberry.type(description="One source item that failed for good.")
class Failure:
    """GraphQL ``Failure``."""

    location: str = strawberry.field(description="Object name with byte offset, line or row.")
    preview: str = strawberry.field(description="The item, cut at 4 KiB.")
    error: JobError
    task_id: strawberry.ID

    @classmethod
    def of(cls, failure: engine_job.ItemFailure) -> Self:
        """Translate the engine's failure."""
        return cls(
            location=failure.location,
            preview=failure.preview,
            error=JobError.of(failure.error),
            task_id=strawberry.ID(failure.error.task_id or ""),
        )


@strawberry.type
class FailureEdge:
    """GraphQL ``FailureEdge``."""

    cursor: str
    node: Failure


@strawberry.type
class FailureConnection:
    """GraphQL ``FailureConnection``."""

    edges: list[FailureEdge]
    page_info: PageInfo
    total_count: int

    @classmethod
    def of(cls, page: Page[engine_job.ItemFailure]) -> Self:
        """Translate a page of failures."""
        return cls(
            edges=[
                FailureEdge(cursor=edge.cursor, node=Failure.of(edge.node)) for edge in page.edges
            ],
            page_info=PageInfo.of(page),
            total_count=page.total or 0,
        )
