"""Stored jobs in DynamoDB, whose tasks another system dispatches: see ``engine/runner.py``."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from adapters.dynamodb.acceptance import DynamoAcceptance
from adapters.dynamodb.beginning import TASKS_AT_ONCE
from adapters.dynamodb.control import DynamoControl, launch
from adapters.dynamodb.input import Inputs, input_key, items_key
from adapters.dynamodb.items import as_hash, erased_key, is_live, meta_key
from adapters.dynamodb.listing import DynamoListing
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.job_fields import read_job, read_status
from engine.blobs import BlobStore
from engine.job import Job, JobId, JobStatus
from engine.jobs import (
    Accepted,
    FailurePage,
    FoundResult,
    JobDetails,
    JobFilter,
    JobPage,
    JobUpdate,
    NewJob,
    TaskFilter,
    TaskPage,
)
from engine.jsonvalue import decode, encode_again
from engine.quotas import Quotas
from engine.runner import Launcher, Runner

RETENTION_S: Final = 604_800
_NO_QUOTAS: Final = Quotas()


class DynamoJobs:
    """Implements ``engine.jobs.JobStore`` and ``JobControl``.

    Args:
        table: Where jobs are.
        blobs: Where large parts of what is submitted go.
        launchers: What dispatches the tasks of each runner; jobs of another wait for a process
            that has theirs.
        runner: Of jobs that name none.
        retention_s: For how long jobs are kept that do not say so.
        quotas: What each tenant may have.
        webhook_key: What calls of webhooks are signed with, by name.
    """

    def __init__(
        self,
        table: DynamoTable,
        blobs: BlobStore,
        *,
        launchers: Mapping[Runner, Launcher] | None = None,
        runner: Runner = Runner.STEP_FUNCTIONS,
        retention_s: int = RETENTION_S,
        quotas: Quotas = _NO_QUOTAS,
        webhook_key: str = "",
    ) -> None:
        self._table = table
        self._inputs = Inputs(blobs)
        self._launchers = launchers or {}
        self._listing = DynamoListing(table)
        self._control = DynamoControl(table, blobs, self._launchers, retention_s, quotas)
        self._acceptance = DynamoAcceptance(
            table, self._inputs, retention_s, quotas, webhook_key, runner
        )

    async def accept(self, new: NewJob) -> Accepted:
        """Store a job and have its run begun; see ``JobStore``.

        A launcher that does not answer delays the job: a caretaker asks it again.
        """
        return await asyncio.to_thread(self._accept, new)

    async def get(self, tenant: str, ids: Sequence[JobId]) -> list[Job | None]:
        """Return jobs in one round trip; see ``JobStore``."""
        found = await asyncio.to_thread(lambda: list(self._read(tenant, ids)))
        return [job for job, _ in found]

    async def statuses(self, tenant: str, ids: Sequence[JobId]) -> list[JobStatus | None]:
        """Return where jobs stand, in one round trip; see ``JobStore``."""
        found = await asyncio.to_thread(self._table.get_many, map(meta_key, ids))
        metas = [found.get(meta_key(job)) for job in ids]
        return [
            status_of(meta) if meta is not None and meta.get("tenant") == tenant else None
            for meta in metas
        ]

    async def page(
        self, tenant: str, *, first: int, after: JobId | None, wanted: JobFilter
    ) -> JobPage:
        """List jobs, newest first; see ``JobStore``."""
        read = partial(self._read, tenant)
        found = partial(self._listing.page, tenant, read, first=first, after=after, wanted=wanted)
        return await asyncio.to_thread(found)

    async def details(self, job: JobId) -> JobDetails:
        """Return what is kept beside a job's status; see ``JobStore``."""
        return await asyncio.to_thread(self._listing.details, job)

    async def tasks(
        self, job: JobId, *, first: int, after: int | None, wanted: TaskFilter
    ) -> TaskPage:
        """List a job's tasks; see ``JobStore``."""
        found = partial(self._listing.tasks, job, first=first, after=after, wanted=wanted)
        return await asyncio.to_thread(found)

    async def failures(self, job: JobId, *, first: int, after: int | None) -> FailurePage:
        """List a job's failed items; see ``JobStore``."""
        found = partial(self._listing.failures, job, first=first, after=after)
        return await asyncio.to_thread(found)

    async def restore(self, found: FoundResult) -> bool:
        """Put back an ended job; see ``JobStore``."""
        return await asyncio.to_thread(self._control.restore, found)

    async def cancel(self, tenant: str, job: JobId, *, reason: str | None) -> None:
        """Stop a job; see ``JobControl``. What is under way is refused when it ends."""
        await asyncio.to_thread(partial(self._control.cancel, tenant, job, reason=reason))

    async def update(self, tenant: str, job: JobId, update: JobUpdate) -> None:
        """Change a live job; see ``JobControl``."""
        await asyncio.to_thread(self._control.update, tenant, job, update)

    async def redrive(
        self,
        tenant: str,
        job: JobId,
        *,
        params: dict[str, Any] | None,
        idempotency_key: str | None,
    ) -> None:
        """Begin the next run; see ``JobControl``."""
        begin = partial(self._control.redrive, params=params, idempotency_key=idempotency_key)
        await asyncio.to_thread(begin, tenant, job)

    async def delete(self, tenant: str, job: JobId) -> None:
        """Make an ended job unknown to everybody; see ``JobControl``."""
        await asyncio.to_thread(self._control.delete, tenant, job)

    async def erase(self, job: JobId) -> None:
        """Remove all data of a deleted job; see ``JobControl``."""
        await asyncio.to_thread(self._control.erase, job)

    async def workers(self) -> int:
        """Return how many tasks are said to run at once; see ``JobStore``."""
        return TASKS_AT_ONCE

    async def is_erased(self, tenant: str, job: JobId) -> bool:
        """Return whether a job was erased; see ``JobStore``."""
        return await asyncio.to_thread(self._table.get, erased_key(tenant, job)) is not None

    def _accept(self, new: NewJob) -> Accepted:
        accepted = self._acceptance.accept(new)
        meta = self._table.get(meta_key(accepted.id)) if accepted.created else None
        if meta is not None and is_live(meta):
            launch(self._launchers, meta)
        return accepted

    def _read(self, tenant: str, ids: Sequence[JobId]) -> Iterator[tuple[Job | None, int]]:
        """Yield jobs, one by one, with the length of what was submitted."""
        keys = [key for job in ids for key in (meta_key(job), input_key(job), items_key(job))]
        found = self._table.get_many(keys)
        for job in ids:
            meta, given = found.get(meta_key(job)), found.get(input_key(job))
            if meta is None or given is None or meta.get("tenant") != tenant:
                yield None, 0
            else:
                spec = encode_again(self._inputs.spec_of(given, found.get(items_key(job))))
                yield read_job(job, as_hash(meta), spec, _rows(meta)), len(spec)


def status_of(meta: Item) -> JobStatus:
    """Return where a job stands, as its item says; also one that the stream has brought."""
    job = JobId(meta["pk"].partition("#")[2])
    return read_status(job, as_hash(meta), _rows(meta))


def tags_of(meta: Item) -> list[str]:
    """Return a job's tags, as for ``status_of``."""
    tags: list[str] = decode(meta.get("tags", "[]"))
    return tags


def _rows(meta: Item) -> bytes | None:
    rows: str | None = meta.get("result")
    return None if rows is None else rows.encode()
