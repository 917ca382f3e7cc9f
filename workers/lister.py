"""Listing what became of a job's batches, before its finish task runs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

from engine.attempt import Attempt
from engine.blobs import BlobStore
from engine.errors import UnavailableError
from engine.job import JobError, TaskKind
from engine.listing_writer import ListingWriter
from engine.listings import Listing, RecordPage, Records
from workers.task_process import AttemptFailed


@dataclass(frozen=True, slots=True)
class Lister:
    """Writes the listings of jobs, page by page: a job of any size takes little memory.

    Attributes:
        records: What became of batches.
        blobs: Where listings go.
        scratch: A folder of this process alone; made when it is first needed.
    """

    records: Records
    blobs: BlobStore
    scratch: Path

    async def prepare(self, attempt: Attempt) -> Attempt:
        """Return a finish attempt with its job's listings, which are written here.

        Any other attempt is returned as it is.

        Raises:
            AttemptFailed: The ledger or the blob store does not answer; trying again may help.
        """
        if attempt.kind is not TaskKind.FINISH:
            return attempt
        try:
            return await self._listed(attempt)
        except (UnavailableError, OSError) as exc:
            message = f"the batches cannot be listed: {exc}"
            error = JobError(UnavailableError.code, message, retryable=True)
            raise AttemptFailed(error) from exc

    async def _listed(self, attempt: Attempt) -> Attempt:
        page = await self.records.batches(attempt.job, first=0)
        has_failures = bool(attempt.job_summary.get("failedItems"))
        if page.following is None and not has_failures:  # most jobs: in one go
            listings = await asyncio.to_thread(self._written, attempt, page)
            return replace(attempt, listings=listings)
        with await asyncio.to_thread(self._writer, attempt) as writer:
            await self._add_batches(attempt, page, writer)
            if has_failures:
                await self._add_failures(attempt, writer)
            listings = await asyncio.to_thread(
                writer.store, self.blobs, lambda file: attempt.blob_name("result", file)
            )
        return replace(attempt, listings=listings)

    def _writer(self, attempt: Attempt) -> ListingWriter:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return ListingWriter(
            job=attempt.job,
            machine=attempt.spec.get("program") or "sql",
            scratch=self.scratch,
            run=int(attempt.job_summary.get("run", 1)),
        )

    def _written(self, attempt: Attempt, page: RecordPage) -> tuple[Listing, ...]:
        """Write the listings of a job whose batches are all in *page*."""
        with self._writer(attempt) as writer:
            writer.add_batches(page.records)
            return writer.store(self.blobs, lambda file: attempt.blob_name("result", file))

    async def _add_batches(self, attempt: Attempt, page: RecordPage, writer: ListingWriter) -> None:
        while page.following is not None:
            page, _ = await asyncio.gather(
                self.records.batches(attempt.job, first=page.following),
                asyncio.to_thread(writer.add_batches, page.records),
            )
        await asyncio.to_thread(writer.add_batches, page.records)

    async def _add_failures(self, attempt: Attempt, writer: ListingWriter) -> None:
        listed = 0
        while failures := await self.records.failures(attempt.job, first=listed):
            await asyncio.to_thread(writer.add_failures, failures)
            listed += len(failures)
