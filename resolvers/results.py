"""Reading a job's result through its manifest."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from engine.errors import NotFoundError
from engine.job import Job
from engine.jsonvalue import as_it_is
from engine.output.destination import MANIFEST, file_name
from engine.output.suffix import content_type_of
from engine.result import START, Cursor, Manifest, read_page
from engine.rows import Columns
from engine.signing import Grant
from resolvers.pages import Edge, Page, page_size
from resolvers.row_budget import RowBudget
from resolvers.services import Services

MAX_ROWS: Final = 1_000
URL_LIFE_S: Final = 15 * 60
PATH: Final = "/files/"


@dataclass(frozen=True, slots=True)
class ResultFile:
    """A file that can be fetched without any other right, for a while.

    Attributes:
        name: What callers know it by.
        size_bytes: Its length.
        sha256: Its digest in hex.
        content_type: Its media type.
        url: Where to get it.
        url_expires_at: Until when.
    """

    name: str
    size_bytes: int
    sha256: str
    content_type: str
    url: str
    url_expires_at: datetime


@dataclass(frozen=True, slots=True)
class _StoredManifest:
    """A manifest as it lies in the blob store."""

    name: str
    data: bytes
    manifest: Manifest


class ResultReader:
    """The result of one job; its manifest is read when it is first needed, and only once.

    Args:
        services: What this process works with.
        job: The job.
        manifest: The manifest's blob, if the caller knows it.
    """

    def __init__(self, services: Services, job: Job, *, manifest: str | None = None) -> None:
        self._services = services
        self._job = job
        self._name = manifest
        self._stored: _StoredManifest | None = None
        self._reading = asyncio.Lock()

    async def columns(self) -> Columns:
        """Return the names and types of the columns.

        Raises:
            NotFoundError: The result has been erased.
        """
        return (await self._read_manifest()).manifest.columns

    async def files(self, base_url: str) -> Sequence[ResultFile]:
        """Return the result's files in the order of their rows, each with a fresh URL.

        Args:
            base_url: Address of this service, for stores that give no URLs themselves.

        Raises:
            NotFoundError: The result has been erased.
        """
        stored = await self._read_manifest()
        return await asyncio.to_thread(
            lambda: [
                self._file(
                    file_name(index, file.name), file.name, file.size_bytes, file.sha256, base_url
                )
                for index, file in enumerate(stored.manifest.files)
            ]
        )

    async def listings(self, base_url: str) -> Sequence[ResultFile]:
        """Return the files that list batches by what became of them, each with a fresh URL.

        Args:
            base_url: As in ``files``.

        Raises:
            NotFoundError: The result has been erased.
        """
        stored = await self._read_manifest()
        return await asyncio.to_thread(
            lambda: [
                self._file(
                    listing.file_name, listing.name, listing.size_bytes, listing.sha256, base_url
                )
                for listing in stored.manifest.listings
            ]
        )

    async def manifest(self, base_url: str) -> ResultFile:
        """Return the manifest as a file with a fresh URL.

        Args:
            base_url: As in ``files``.

        Raises:
            NotFoundError: The result has been erased.
        """
        stored = await self._read_manifest()
        digest = sha256(stored.data).hexdigest()
        return await asyncio.to_thread(
            self._file, MANIFEST, stored.name, len(stored.data), digest, base_url
        )

    async def rows(
        self, *, first: int, after: str | None = None, budget: RowBudget | None = None
    ) -> Page[Any]:
        """Return some rows in the order of the result's files, 1,000 or 4 MiB at most.

        Args:
            first: How many are wanted.
            after: The cursor to begin after.
            budget: Of the operation that asks.

        Raises:
            InputError: *first* is negative, or *after* is no cursor of these rows.
            NotFoundError: The result has been erased.
        """
        size = page_size(first, limit=MAX_ROWS)
        start = START if after is None else Cursor.parse(after)
        manifest = (await self._read_manifest()).manifest
        budget = budget or RowBudget()
        async with budget.turn:
            found = await asyncio.to_thread(
                read_page,
                self._services.blobs,
                manifest,
                first=size,
                after=start,
                limit_bytes=budget.left_bytes,
            )
            budget.left_bytes = max(0, budget.left_bytes - found.size_bytes)
        return Page(
            edges=tuple(Edge(str(cursor), as_it_is(row)) for cursor, row in found.rows),
            has_next=found.has_next,
            has_previous=start != START,
            total=manifest.rows,
        )

    async def _read_manifest(self) -> _StoredManifest:
        async with self._reading:
            if self._stored is None:
                name = self._name or (await self._services.jobs.details(self._job.id)).manifest
                if name is None:
                    raise NotFoundError(f"job {self._job.id} has no result")
                data = await asyncio.to_thread(self._services.blobs.read, name)
                manifest = await asyncio.to_thread(Manifest.from_bytes, data)
                self._stored = _StoredManifest(name, data, manifest)
            return self._stored

    def _file(
        self, name: str, blob: str, size_bytes: int, digest: str, base_url: str
    ) -> ResultFile:
        expires_s = int(time.time()) + URL_LIFE_S
        url = self._services.blobs.presigned_url(blob, method="GET", expires_s=URL_LIFE_S)
        if url is None:
            grant = Grant("GET", self._job.tenant, blob, expires_s, f"{self._job.id}-{name}")
            url = base_url.rstrip("/") + PATH + self._services.signer.sign(grant)
        return ResultFile(
            name=name,
            size_bytes=size_bytes,
            sha256=digest,
            content_type=content_type_of(blob),
            url=url,
            url_expires_at=datetime.fromtimestamp(expires_s, UTC),
        )


async def read_report(services: Services, *, job: Job) -> ResultReader | None:
    """Return a reader of how far the last run came that ended without a result, once it is told."""
    if not job.status.state.is_terminal:
        return None
    name = (await services.jobs.details(job.id)).report
    return None if name is None else ResultReader(services, job, manifest=name)
