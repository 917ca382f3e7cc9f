"""A job's result, its columns and its rows."""

from __future__ import annotations

from typing import Any, Self

import strawberry

from engine import job as engine_job
from resolvers.pages import Page
from resolvers.results import ResultReader
from resolvers.services import Services
from schema.enums import JobState
from schema.page_info import PageInfo
from schema.scalars import JSON


@strawberry.type
class Column:
    """GraphQL ``Column``."""

    name: str
    type: str


@strawberry.type
class RowEdge:
    """GraphQL ``RowEdge``."""

    cursor: str
    node: JSON = strawberry.field(
        description="One result row: an object with a field for each column."
    )


@strawberry.type
class RowConnection:
    """GraphQL ``RowConnection``."""

    edges: list[RowEdge]
    page_info: PageInfo

    @classmethod
    def of(cls, page: Page[Any]) -> Self:
        """Translate a page of rows."""
        return cls(
            edges=[RowEdge(cursor=edge.cursor, node=edge.node) for edge in page.edges],
            page_info=PageInfo.of(page),
        )


@strawberry.type
class JobResult:
    """GraphQL ``JobResult``; only ``columns`` and ``rows`` read anything."""

    row_count: float
    byte_size: float
    inline: list[JSON] | None = strawberry.field(
        description=(
            "All rows, when they fit in service.inlineResultBytes; otherwise null, never cut."
        )
    )
    exact: bool = strawberry.field(description="False when items are missing from it.")
    reader: strawberry.Private[ResultReader]

    @classmethod
    def of(cls, services: Services, job: engine_job.Job) -> Self | None:
        """Describe the job's result; None when it has none."""
        status = job.status
        if status.result_rows is None:
            return None
        return cls(
            row_count=status.result_rows,
            byte_size=status.result_bytes or 0,
            inline=status.result,
            exact=status.state is not JobState.PARTIALLY_SUCCEEDED,
            reader=ResultReader(services, job),
        )

    @strawberry.field
    async def columns(self) -> list[Column]:
        """Read the columns from the manifest."""
        return [Column(name=name, type=kind) for name, kind in await self.reader.columns()]

    @strawberry.field
    async def rows(
        self, first: int | None = 100, after: str | None = strawberry.UNSET
    ) -> RowConnection:
        """Read a page of rows."""
        page = await self.reader.rows(first=100 if first is None else first, after=after or None)
        return RowConnection.of(page)
