"""A job's result, its columns and its rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

import strawberry

from engine import job as engine_job
from resolvers import results
from resolvers.pages import Page
from resolvers.results import ResultReader
from resolvers.services import Services
from schema.context import Info
from schema.enums import JobState
from schema.page_info import PageInfo
from schema.scalars import JSON, URL


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
class ResultFile:
    """GraphQL ``ResultFile``."""

    name: str
    byte_size: float
    sha256: str
    content_type: str
    url: URL
    url_expires_at: datetime

    @classmethod
    def of(cls, file: results.ResultFile) -> Self:
        """Translate a file."""
        return cls(
            name=file.name,
            byte_size=file.size_bytes,
            sha256=file.sha256,
            content_type=file.content_type,
            url=URL(file.url),
            url_expires_at=file.url_expires_at,
        )


async def _files(info: Info, root: strawberry.Parent[JobResult]) -> list[ResultFile]:
    return [ResultFile.of(file) for file in await root.reader.files(info.context.base_url)]


async def _listings(info: Info, root: strawberry.Parent[JobResult]) -> list[ResultFile]:
    return [ResultFile.of(file) for file in await root.reader.listings(info.context.base_url)]


async def _manifest(info: Info, root: strawberry.Parent[JobResult]) -> ResultFile:
    return ResultFile.of(await root.reader.manifest(info.context.base_url))


@strawberry.type(description="How far a run came that ended without a result.")
class RunReport:
    """GraphQL ``RunReport``."""

    manifest: ResultFile = strawberry.field(
        description="As a result's, without files: why the run ended, and what it listed."
    )
    listings: list[ResultFile] = strawberry.field(
        description=(
            "Its SUCCEEDED_0.json, FAILED_0.json and PENDING_0.json, of which empty ones are left"
            " out."
        )
    )

    @classmethod
    async def of(cls, reader: ResultReader, base_url: str) -> Self:
        """Translate the report that *reader* reads."""
        return cls(
            manifest=ResultFile.of(await reader.manifest(base_url)),
            listings=[ResultFile.of(file) for file in await reader.listings(base_url)],
        )


@strawberry.type
class JobResult:
    """GraphQL ``JobResult``; ``columns``, ``rows`` and what is a file read something."""

    row_count: float
    byte_size: float
    inline: list[JSON] | None = strawberry.field(
        description=(
            "All rows, when they fit in service.inlineResultBytes; otherwise null, never cut."
        )
    )
    exact: bool = strawberry.field(description="False when items are missing from it.")
    files: list[ResultFile] = strawberry.field(
        resolver=_files,
        description="The result's files with presigned URLs, made afresh for every request.",
    )
    manifest: ResultFile = strawberry.field(
        resolver=_manifest,
        description=(
            "Written last: lists every file, and the succeeded, failed and pending items."
        ),
    )
    listings: list[ResultFile] = strawberry.field(
        resolver=_listings,
        description=(
            "The manifest's SUCCEEDED_0.json, FAILED_0.json and PENDING_0.json, of which empty ones"
            " are left out."
        ),
    )
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
        self, info: Info, first: int | None = 100, after: str | None = strawberry.UNSET
    ) -> RowConnection:
        """Read a page of rows."""
        page = await self.reader.rows(
            first=100 if first is None else first, after=after or None, budget=info.context.rows
        )
        return RowConnection.of(page)
