"""Reading a job's result through its manifest."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from engine.errors import NotFoundError
from engine.job import Job
from engine.result import START, Cursor, Manifest, read_page
from engine.rows import Columns
from resolvers.pages import Edge, Page, page_size
from resolvers.services import Services

MAX_ROWS: Final = 1_000


class ResultReader:
    """The result of one job; its manifest is read when it is first needed, and only once."""

    def __init__(self, services: Services, job: Job) -> None:
        self._services = services
        self._job = job
        self._manifest: Manifest | None = None
        self._reading = asyncio.Lock()

    async def columns(self) -> Columns:
        """Return the names and types of the columns.

        Raises:
            NotFoundError: The result has been erased.
        """
        return (await self._read_manifest()).columns

    async def rows(self, *, first: int, after: str | None = None) -> Page[Any]:
        """Return some rows in the order of the result's files, 1,000 at most.

        Raises:
            InputError: *first* is negative, or *after* is no cursor of these rows.
            NotFoundError: The result has been erased.
        """
        size = page_size(first, limit=MAX_ROWS)
        start = START if after is None else Cursor.parse(after, "after")
        manifest = await self._read_manifest()
        found = await asyncio.to_thread(
            read_page, self._services.blobs, manifest, first=size, after=start
        )
        return Page(
            edges=tuple(Edge(str(cursor), row) for cursor, row in found.rows),
            has_next=found.has_next,
            has_previous=start != START,
            total=manifest.rows,
        )

    async def _read_manifest(self) -> Manifest:
        async with self._reading:
            if self._manifest is None:
                details = await self._services.jobs.details(self._job.id)
                if details.manifest is None:
                    raise NotFoundError(f"job {self._job.id} has no result")
                data = await asyncio.to_thread(self._services.blobs.read, details.manifest)
                self._manifest = Manifest.from_bytes(data)
            return self._manifest
