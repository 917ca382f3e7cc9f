"""Listing what became of a job's batches: before its finish task runs, or when it has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from secrets import token_hex
from typing import NamedTuple

from engine.attempt import Attempt
from engine.blobs import BlobStore
from engine.errors import UnavailableError
from engine.job import JobError, JobId, TaskKind
from engine.ledger import EndedRun
from engine.listing_writer import ListingWriter
from engine.listings import Listing, RecordPage, Records
from engine.result import Manifest
from workers.task_process import AttemptFailed

NameOf = Callable[[str], str]


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
        run = _Run(
            job=attempt.job,
            program=attempt.spec.get("program") or "sql",
            number=int(attempt.job_summary.get("run", 1)),
            has_failures=bool(attempt.job_summary.get("failedItems")),
        )
        try:
            listings = await self._list(run, lambda file: attempt.blob_name("result", file))
        except (UnavailableError, OSError) as exc:
            message = f"the batches cannot be listed: {exc}"
            error = JobError(UnavailableError.code, message, retryable=True)
            raise AttemptFailed(error) from exc
        return replace(attempt, listings=listings)

    async def report(self, ended: EndedRun) -> str:
        """Write how far a run came that has ended without a result, in a folder of its own.

        Returns:
            The blob of a manifest without files, written last.

        Raises:
            UnavailableError: The ledger or the blob store does not answer.
        """
        folder = f"jobs/{ended.job}/runs/{ended.run}-{token_hex(4)}"
        run = _Run(ended.job, ended.program, ended.run, ended.has_failures)
        name = f"{folder}/manifest.json"
        try:
            listings = await self._list(run, lambda file: f"{folder}/{file}")
            manifest = Manifest(ended.job, (), exact=False, facts=ended.facts, listings=listings)
            await asyncio.to_thread(self.blobs.put, name, manifest.to_bytes())
        except (UnavailableError, OSError):
            with suppress(UnavailableError, OSError):
                await self.withdraw(name)
            raise
        return name

    async def withdraw(self, manifest: str) -> None:
        """Remove a report that is not to be.

        Raises:
            UnavailableError: The blob store does not answer.
        """
        folder = manifest.rpartition("/")[0]
        await asyncio.to_thread(lambda: self.blobs.delete(list(self.blobs.list(folder))))

    async def _list(self, run: _Run, name_of: NameOf) -> tuple[Listing, ...]:
        page = await self.records.batches(run.job, first=0)
        if page.following is None and not run.has_failures:  # most jobs: in one go
            return await asyncio.to_thread(self._written, run, page, name_of)
        with await asyncio.to_thread(self._writer, run) as writer:
            await self._add_batches(run, page, writer)
            if run.has_failures:
                await self._add_failures(run, writer)
            return await asyncio.to_thread(writer.store, self.blobs, name_of)

    def _writer(self, run: _Run) -> ListingWriter:
        self.scratch.mkdir(parents=True, exist_ok=True)
        return ListingWriter(job=run.job, machine=run.program, scratch=self.scratch, run=run.number)

    def _written(self, run: _Run, page: RecordPage, name_of: NameOf) -> tuple[Listing, ...]:
        """Write the listings of a run whose batches are all in *page*."""
        with self._writer(run) as writer:
            writer.add_batches(page.records)
            return writer.store(self.blobs, name_of)

    async def _add_batches(self, run: _Run, page: RecordPage, writer: ListingWriter) -> None:
        while page.following is not None:
            page, _ = await asyncio.gather(
                self.records.batches(run.job, first=page.following),
                asyncio.to_thread(writer.add_batches, page.records),
            )
        await asyncio.to_thread(writer.add_batches, page.records)

    async def _add_failures(self, run: _Run, writer: ListingWriter) -> None:
        listed = 0
        while failures := await self.records.failures(run.job, first=listed):
            await asyncio.to_thread(writer.add_failures, failures)
            listed += len(failures)


class _Run(NamedTuple):
    """A run, as far as its listings tell of it."""

    job: JobId
    program: str
    number: int
    has_failures: bool
