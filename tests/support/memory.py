"""Ports in memory, for tests of what stands on them; no evidence for any real store.

The bell rings only for those who listen, the store counts and can hold its reads, and either can
be out of order.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.bell import ANY_JOB, OnRing, job_topic, tenant_topic
from engine.catalog import load_catalog
from engine.errors import (
    FanfoldError,
    IdempotencyConflictError,
    InputError,
    InvalidStateError,
    Issue,
    NotFoundError,
    UnavailableError,
)
from engine.job import (
    ItemCounts,
    ItemFailure,
    Job,
    JobId,
    JobPhase,
    JobState,
    JobStatus,
    Task,
    TaskCounts,
)
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
from engine.output.destination import FILE, Destinations
from engine.output.folders import OutputFolders
from engine.signing import Signer
from engine.source.blob_files import BlobFiles
from engine.source.roots import SourceRoots
from engine.source.sources import BLOB, LOCAL, Sources
from engine.spec import MAX_TAGS, parse_spec
from engine.sql.checker import CheckedSql, SqlCheck
from resolvers.access.caller import Caller
from resolvers.live.hub import StatusHub
from resolvers.live.lookout import Timing
from resolvers.services import Limits, Services

ADA = Caller(subject="ada", tenant="acme")
EVE = Caller(subject="eve", tenant="other")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
QUICK = Timing(poll_s=60, retry_s=0.001, max_retry_s=0.002, rest_s=0)
"""Retries at once; polls so rarely that only a ring can explain a read."""


class MemoryBell:
    """Rings those who listen.

    Attributes:
        log: Shared with the store, to show what came first.
        failures: How many of the next attempts to listen fail.
    """

    def __init__(self, log: list[str]) -> None:
        self.log = log
        self.failures = 0
        self.listeners: dict[str, list[OnRing]] = {}

    @asynccontextmanager
    async def listen(self, topic: str, on_ring: OnRing) -> AsyncIterator[None]:
        if self.failures:
            self.failures -= 1
            raise UnavailableError("the bell is out of order")
        await asyncio.sleep(0)
        self.log.append(f"listen {topic}")
        self.listeners.setdefault(topic, []).append(on_ring)
        try:
            yield
        finally:
            self.listeners[topic].remove(on_ring)
            if not self.listeners[topic]:
                del self.listeners[topic]

    def attach(self, topic: str, on_ring: OnRing) -> Callable[[], None]:
        pending: asyncio.Handle | None = None

        def detach() -> None:
            if pending is not None:
                pending.cancel()
            if on_ring in self.listeners.get(topic, ()):
                self.listeners[topic].remove(on_ring)
                if not self.listeners[topic]:
                    del self.listeners[topic]

        def enter() -> None:
            nonlocal pending
            if self.failures:
                self.failures -= 1
                pending = asyncio.get_running_loop().call_soon(enter)
                return
            self.log.append(f"listen {topic}")
            self.listeners.setdefault(topic, []).append(on_ring)
            on_ring(ANY_JOB)

        pending = asyncio.get_running_loop().call_soon(enter)
        return detach

    def ring(self, topic: str, job: str) -> None:
        for on_ring in self.listeners.get(topic, ()):
            on_ring(JobId(job))


@dataclass
class MemoryJobs:
    """Jobs in a dict; also cancels, updates and redrives.

    Attributes:
        reads: What was asked for by ``get``, call by call.
        updates: What was to be changed, call by call.
        redrives: By their keys.
        tidying: How many of the next redrives come too early.
        is_down: Whether every call fails.
        fault: Raised by every read, for faults that nobody foresees.
        alive: How many workers there are said to be.
        erased: Deleted jobs whose data has been removed, too.
        open: Reads wait until it is set.
    """

    bell: MemoryBell
    jobs: dict[JobId, Job] = field(default_factory=dict)
    manifests: dict[JobId, str] = field(default_factory=dict)
    task_lists: dict[JobId, tuple[Task, ...]] = field(default_factory=dict)
    failure_lists: dict[JobId, tuple[ItemFailure, ...]] = field(default_factory=dict)
    updates: list[JobUpdate] = field(default_factory=list)
    redrives: dict[str, JobId] = field(default_factory=dict)
    tidying: int = 0
    reads: list[tuple[JobId, ...]] = field(default_factory=list)
    erased: list[JobId] = field(default_factory=list)
    pages: int = 0
    alive: int = 1
    is_down: bool = False
    fault: Exception | None = None
    open: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.open.set()

    async def accept(self, new: NewJob) -> Accepted:
        self._check()
        key = new.spec.idempotency_key
        for job in self.jobs.values():
            if key is not None and job.tenant == new.tenant and job.spec["idempotencyKey"] == key:
                if job.spec != new.spec.to_json():
                    raise IdempotencyConflictError("the key is taken", existing_job_id=job.id)
                return Accepted(id=job.id, created=False)
        self.put(job_of(new.id, tenant=new.tenant, spec=new.spec.to_json(), by=new.submitted_by))
        return Accepted(id=new.id, created=True)

    async def get(self, tenant: str, ids: Sequence[JobId]) -> list[Job | None]:
        self._check()
        self.reads.append(tuple(ids))
        self.bell.log.append(f"read {','.join(ids)}")
        found = [self._of(tenant, job) for job in ids]
        await self.open.wait()
        return found

    async def statuses(self, tenant: str, ids: Sequence[JobId]) -> list[JobStatus | None]:
        found = await self.get(tenant, ids)
        return [None if job is None else job.status for job in found]

    async def page(
        self, tenant: str, *, first: int, after: JobId | None, wanted: JobFilter
    ) -> JobPage:
        self._check()
        self.pages += 1
        await self.open.wait()
        newest_first = sorted(self.jobs.values(), key=lambda job: job.id, reverse=True)
        found = [
            job
            for job in newest_first
            if job.tenant == tenant and wanted.admits(job) and (after is None or job.id < after)
        ]
        return JobPage(jobs=tuple(found[:first]), has_next=len(found) > first)

    async def details(self, job: JobId) -> JobDetails:
        self._check()
        return JobDetails(counters={"words": 3.0}, manifest=self.manifests.get(job))

    async def is_erased(self, tenant: str, job: JobId) -> bool:
        return False

    async def restore(self, found: FoundResult) -> bool:
        return False

    async def tasks(
        self, job: JobId, *, first: int, after: int | None, wanted: TaskFilter
    ) -> TaskPage:
        self._check()
        found = [
            task
            for task in self.task_lists.get(job, ())
            if wanted.kind in (None, task.kind) and wanted.state in (None, task.state)
        ]
        start = 0 if after is None else after + 1
        return TaskPage(
            tasks=tuple(found[start : start + first]),
            first_position=start,
            total=len(found),
            has_next=len(found) > start + first,
        )

    async def cancel(self, tenant: str, job: JobId, *, reason: str | None) -> None:
        self._check()
        found = self._of(tenant, job)
        if found is None:
            raise NotFoundError(f"no job {job!r}")
        if not found.status.state.is_terminal:
            self.change(job, state=JobState.CANCELLED, message=reason)

    async def failures(self, job: JobId, *, first: int, after: int | None) -> FailurePage:
        self._check()
        found = self.failure_lists.get(job, ())
        start = 0 if after is None else after + 1
        return FailurePage(
            failures=found[start : start + first],
            first_position=start,
            total=len(found),
            has_next=len(found) > start + first,
        )

    async def update(self, tenant: str, job: JobId, update: JobUpdate) -> None:
        self._check()
        found = self._of(tenant, job)
        if found is None:
            raise NotFoundError(f"no job {job!r}")
        if found.status.state.is_terminal:
            state = found.status.state
            raise InvalidStateError(f"job {job} is {state}", state=state)
        kept = [tag for tag in found.spec["tags"] if tag not in update.remove_tags]
        tags = list(dict.fromkeys((*kept, *update.add_tags)))
        if len(tags) > MAX_TAGS:
            raise InputError(Issue(("input", "addTags"), f"a job has at most {MAX_TAGS} tags"))
        self.updates.append(update)
        spec = {**found.spec, "tags": tags}
        if update.max_concurrency is not None:
            spec["maxConcurrency"] = update.max_concurrency
        self.jobs[job] = replace(found, spec=spec)
        self.change(job)

    async def redrive(
        self,
        tenant: str,
        job: JobId,
        *,
        params: dict[str, Any] | None,
        idempotency_key: str | None,
    ) -> None:
        self._check()
        found = self._of(tenant, job)
        if found is None:
            raise NotFoundError(f"no job {job!r}")
        if self.tidying:
            self.tidying -= 1
            raise UnavailableError(f"job {job} is being tidied up")
        if idempotency_key is not None and self.redrives.get(idempotency_key) == job:
            return
        state = found.status.state
        if not state.is_terminal or state is JobState.SUCCEEDED:
            raise InvalidStateError(f"job {job} is {state}", state=state)
        if idempotency_key is not None:
            self.redrives[idempotency_key] = job
        if params is not None:
            self.jobs[job] = replace(found, spec={**found.spec, "params": params})
        self.change(job, state=JobState.RUNNING, run=found.status.run + 1)

    async def delete(self, tenant: str, job: JobId) -> None:
        self._check()
        found = self._of(tenant, job)
        if found is None:
            raise NotFoundError(f"no job {job!r}")
        if not found.status.state.is_terminal:
            state = found.status.state
            raise InvalidStateError(f"job {job} is {state}; cancel it first", state=state)
        del self.jobs[job]
        self.bell.ring(job_topic(job), job)

    async def erase(self, job: JobId) -> None:
        self._check()
        self.erased.append(job)

    async def workers(self) -> int:
        self._check()
        return self.alive

    def put(self, job: Job, *, rings: bool = True) -> Job:
        self.jobs[job.id] = job
        if rings:
            self.bell.ring(job_topic(job.id), job.id)
            self.bell.ring(tenant_topic(job.tenant), job.id)
        return job

    def change(self, job: str, *, rings: bool = True, **status: Any) -> Job:
        """Commit a change: the version rises and, unless the ring is lost, the bell rings."""
        before = self.jobs[JobId(job)]
        version = before.status.version + 1
        after = replace(before, status=replace(before.status, version=version, **status))
        return self.put(after, rings=rings)

    def _of(self, tenant: str, job: JobId) -> Job | None:
        found = self.jobs.get(job)
        return found if found is not None and found.tenant == tenant else None

    def _check(self) -> None:
        if self.is_down:
            raise UnavailableError("the store is out of order")
        if self.fault is not None:
            raise self.fault


class MemoryBlobs:
    """Blobs in a dict."""

    def __init__(self) -> None:
        self.blobs: dict[str, bytes] = {}

    def put(self, name: str, data: bytes) -> None:
        self.blobs[name] = data

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> bytes:
        if name not in self.blobs:
            raise NotFoundError(f"no blob {name!r}")
        return self.blobs[name][start:end]

    def put_file(self, name: str, path: Path) -> None:
        self.put(name, path.read_bytes())
        path.unlink()

    def size(self, name: str) -> int:
        return len(self.read(name))

    def local_path(self, name: str) -> Path | None:
        return None

    def presigned_url(self, name: str, *, method: str, expires_s: int) -> str | None:
        return None

    def list(self, prefix: str) -> Iterable[str]:
        return [name for name in self.blobs if name.startswith(f"{prefix}/")]

    def delete(self, names: Iterable[str]) -> None:
        for name in names:
            self.blobs.pop(name, None)


@dataclass
class ScriptedChecker:
    """Says of every query what it was told to say.

    Attributes:
        answer: What is found, or what is raised.
        requests: What it was asked to check.
    """

    answer: CheckedSql | FanfoldError = field(default_factory=lambda: checked_sql())
    requests: list[SqlCheck] = field(default_factory=list)

    async def check(self, request: SqlCheck, *, tenant: str) -> CheckedSql:
        self.requests.append(request)
        if isinstance(self.answer, FanfoldError):
            raise self.answer
        return self.answer


def checked_sql(
    *,
    is_map_only: bool = False,
    has_one_reducer: bool = False,
    supports_partial: bool = True,
) -> CheckedSql:
    """A query without a problem."""
    steps = {"map": "SELECT 1", "reduce": None if is_map_only else "SELECT 2", "finish": None}
    return CheckedSql(
        job={"steps": steps},
        is_map_only=is_map_only,
        has_one_reducer=has_one_reducer,
        supports_partial=supports_partial,
    )


@dataclass
class World:
    """Everything a resolver needs, in memory."""

    jobs: MemoryJobs
    bell: MemoryBell
    blobs: MemoryBlobs
    sql: ScriptedChecker
    services: Services
    hub: StatusHub
    log: list[str]


def make_world(
    *,
    timing: Timing = QUICK,
    roots: Iterable[Path] = (),
    output_roots: Iterable[Path] = (),
    max_wait_ms: int = 25_000,
    sql_enabled: bool = True,
) -> World:
    log: list[str] = []
    bell = MemoryBell(log)
    jobs = MemoryJobs(bell)
    blobs = MemoryBlobs()
    sql = ScriptedChecker()
    services = Services(
        catalog=load_catalog(()),
        jobs=jobs,
        control=jobs,
        blobs=blobs,
        sources=Sources({LOCAL: SourceRoots(tuple(roots)), BLOB: BlobFiles(blobs)}),
        destinations=Destinations({FILE: OutputFolders(tuple(output_roots))}),
        signer=Signer(b"a key of a test's own"),
        sql=sql,
        limits=Limits(
            inline_result_bytes=65_536,
            max_wait_ms=max_wait_ms,
            version="0.1.0",
            sql_enabled=sql_enabled,
        ),
    )
    hub = StatusHub(jobs=jobs, bell=bell, timing=timing)
    return World(jobs=jobs, bell=bell, blobs=blobs, sql=sql, services=services, hub=hub, log=log)


def job_of(
    id: str,
    *,
    tenant: str = ADA.tenant,
    state: JobState = JobState.QUEUED,
    version: int = 1,
    tags: Sequence[str] = (),
    spec: dict[str, Any] | None = None,
    by: str = "ada",
) -> Job:
    data = {"program": "wordcount", "source": {"inline": ["a b"]}, "tags": list(tags)}
    return Job(
        id=JobId(id),
        tenant=tenant,
        submitted_by=by,
        spec=spec or parse_spec(data).to_json(),
        created_at=NOON,
        started_at=None,
        finished_at=None,
        status=status_of(id, version=version, state=state),
    )


def status_of(id: str, *, version: int = 1, state: JobState = JobState.QUEUED) -> JobStatus:
    counts = TaskCounts(total=1, pending=1, running=0, succeeded=0, failed=0, retried=0)
    return JobStatus(
        id=JobId(id),
        version=version,
        run=1,
        state=state,
        phase=JobPhase.DONE if state.is_terminal else JobPhase.MAP,
        ratio=0.5,
        eta_seconds=None,
        items=ItemCounts(total=1, pending=1, running=0, succeeded=0, failed=0, skipped=0),
        map=counts,
        reduce=counts,
        bytes_read=0,
        bytes_total=0,
        result=None,
        result_rows=None,
        result_bytes=None,
        error=None,
        message=None,
        updated_at=NOON,
    )
