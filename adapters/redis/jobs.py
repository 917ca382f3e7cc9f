"""Stored jobs in Redis: accepted by one script, read as two hashes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from hashlib import sha1
from typing import Any, Final

from redis.asyncio import Redis

from adapters.job_fields import read_failure, read_job, read_task
from adapters.redis.acceptance import (
    OVER_QUOTA,
    SMALL_BYTES,
    RedisAcceptance,
    stored_batches,
)
from adapters.redis.client import LedgerScripts, reply, translated
from adapters.redis.ledger import FORGOTTEN_AFTER_MS, erase_job
from adapters.redis.statuses import RedisStatuses
from engine.errors import (
    InvalidStateError,
    NotFoundError,
    UnavailableError,
)
from engine.job import Job, JobId, JobState, JobStatus, Task, TaskKind, task_id
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
    updated_spec,
)
from engine.jsonvalue import decode, encode
from engine.new_jobs import quota_exceeded, without_items
from engine.plan import plan_inline
from engine.quotas import Quotas
from engine.spec import JobSpec

SCAN_STEP: Final = 200
READ_AT_ONCE: Final = 20
PAGE_BYTES: Final = 4 * 1024 * 1024
RETENTION_S: Final = 604_800
WORKERS_KEY: Final = "fanfold:workers"
RETRY_AFTER_S: Final = 5.0
"""When to try again where it depends on what runs."""
BEING_TIDIED: Final = -1
RESTORED: Final = -3
"""What a script answers that was to redrive a job."""
_NO_QUOTAS: Final = Quotas()


class RedisJobs:
    """Implements ``engine.jobs.JobStore`` and ``JobControl``."""

    def __init__(
        self,
        redis: Redis,
        *,
        retention_s: int = RETENTION_S,
        quotas: Quotas = _NO_QUOTAS,
        webhook_key: str = "",
    ) -> None:
        self._redis = redis
        self._scripts = LedgerScripts(redis)
        self._statuses = RedisStatuses(redis)
        self._retention_s = retention_s
        self._quotas = quotas
        self._acceptance = RedisAcceptance(
            redis, retention_s=retention_s, quotas=quotas, webhook_key=webhook_key
        )

    async def accept(self, new: NewJob) -> Accepted:
        """Store a job and dispatch its first tasks; see ``JobStore``."""
        return await self._acceptance.accept(new)

    async def get(self, tenant: str, ids: Sequence[JobId]) -> list[Job | None]:
        """Return jobs, up to 20 in one round trip; see ``JobStore``."""
        return [job async for job, _ in self._read(tenant, ids)]

    async def _read(
        self, tenant: str, ids: Sequence[JobId]
    ) -> AsyncGenerator[tuple[Job | None, int], None]:
        """Yield jobs, and how many bytes each has; others have turns in between."""
        for first in range(0, len(ids), READ_AT_ONCE):
            some = ids[first : first + READ_AT_ONCE]
            with translated():
                async with self._redis.pipeline(transaction=False) as pipe:
                    for job in some:
                        pipe.hgetall(_key(job))
                        pipe.hget(_input_key(job), "spec")
                        pipe.get(f"{_key(job)}:result")
                    found = await pipe.execute()
            parts = zip(some, found[::3], found[1::3], found[2::3], strict=True)
            for job, fields, spec, inline in parts:
                if not _is_of(tenant, fields):
                    yield None, 0
                    continue
                size_bytes = len(spec) + len(inline or b"")
                yield read_job(job, fields, spec, inline), size_bytes
                if size_bytes > SMALL_BYTES:
                    await asyncio.sleep(0)

    async def statuses(self, tenant: str, ids: Sequence[JobId]) -> list[JobStatus | None]:
        """Return where jobs stand, in one round trip; see ``JobStore``."""
        return await self._statuses.read(tenant, ids)

    async def page(
        self, tenant: str, *, first: int, after: JobId | None, wanted: JobFilter
    ) -> JobPage:
        """List jobs, newest first; see ``JobStore``.

        Goes on below the last score seen: an offset would skip or repeat jobs while the list
        changes between two round trips. Ends before *first* jobs where specs or rows are large.
        """
        jobs: list[Job] = []
        size_bytes = 0
        newest = await self._before(tenant, after)
        while True:
            with translated():
                scored = await self._redis.zrevrangebyscore(
                    _index(tenant, wanted),
                    newest,
                    _oldest(wanted),
                    start=0,
                    num=SCAN_STEP,
                    withscores=True,
                )
            async with aclosing(
                self._read(tenant, [JobId(job.decode()) for job, _ in scored])
            ) as found:
                async for job, job_bytes in found:
                    if job is None or not wanted.admits(job):
                        continue
                    jobs.append(job)
                    size_bytes += job_bytes
                    if len(jobs) > first or size_bytes > PAGE_BYTES:
                        return JobPage(jobs=tuple(jobs[:first]), has_next=True)
            if len(scored) < SCAN_STEP:
                return JobPage(jobs=tuple(jobs), has_next=False)
            newest = _below(scored[-1][1])

    async def details(self, job: JobId) -> JobDetails:
        """Return what is kept beside a job's status; see ``JobStore``."""
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hgetall(f"{_key(job)}:counters")
                pipe.hmget(_key(job), ["manifest", "report"])
                counters, (manifest, report) = await pipe.execute()
        return JobDetails(
            counters={name.decode(): float(value) for name, value in sorted(counters.items())},
            manifest=manifest.decode() if manifest else None,
            report=report.decode() if report else None,
        )

    async def tasks(
        self, job: JobId, *, first: int, after: int | None, wanted: TaskFilter
    ) -> TaskPage:
        """List a job's tasks; see ``JobStore``."""
        with translated():
            state, *totals = await reply(
                self._redis.hmget(_key(job), ["state", "map_total", "reduce_total", "finish_total"])
            )
        is_over = state is not None and JobState(state.decode()).is_terminal
        kinds = (TaskKind.MAP, TaskKind.REDUCE, TaskKind.FINISH)
        slots = [
            (kind, index)
            for kind, total in zip(kinds, totals, strict=True)
            if wanted.kind in (None, kind)
            for index in range(int(total or 0))
        ]
        start = 0 if after is None else after + 1
        if wanted.state is None:
            return TaskPage(
                tasks=tuple(
                    await self._read_tasks(job, slots[start : start + first], is_over=is_over)
                ),
                first_position=start,
                total=len(slots),
                has_next=start + first < len(slots),
            )
        every = await self._read_tasks(job, slots, is_over=is_over)
        matching = [task for task in every if task.state is wanted.state]
        return TaskPage(
            tasks=tuple(matching[start : start + first]),
            first_position=start,
            total=len(matching),
            has_next=start + first < len(matching),
        )

    async def failures(self, job: JobId, *, first: int, after: int | None) -> FailurePage:
        """List a job's failed items; see ``JobStore``."""
        start = 0 if after is None else after + 1
        key = f"{_key(job)}:failures"
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.lrange(key, start, start + first - 1)
                pipe.llen(key)
                found, total = await pipe.execute()
        return FailurePage(
            failures=tuple(map(read_failure, found)),
            first_position=start,
            total=total,
            has_next=start + first < total,
        )

    async def is_erased(self, tenant: str, job: JobId) -> bool:
        """Return whether a job was erased; see ``JobStore``."""
        mark = sha1(job.encode()).hexdigest()  # noqa: S324 - what Lua has; hides nothing
        with translated():
            return await self._redis.zscore(f"fanfold:tenant:{tenant}:erased", mark) is not None

    async def restore(self, found: FoundResult) -> bool:
        """Put back an ended job; see ``JobStore``."""
        fields = {
            "by": found.submitted_by,
            "spec": encode(found.spec),
            "run": found.run,
            "created": found.created_ms,
            "started": found.started_ms,
            "items_succeeded": found.items,
            "items_failed": found.failed_items,
            "items_total": found.items + found.failed_items,
            "bytes_read": found.bytes_read,
            "bytes_total": found.bytes_read,
            "result_rows": found.rows,
            "result_bytes": found.size_bytes,
            "manifest": found.manifest,
        }
        retention_s = found.spec.get("retentionSeconds") or self._retention_s
        answer = await self._scripts.call(
            "restore",
            found.id,
            found.tenant,
            found.finished_ms,
            1000 * retention_s,
            found.inline or "",
            len(fields),
            *(part for pair in fields.items() for part in pair),
        )
        return bool(answer)

    async def cancel(self, tenant: str, job: JobId, *, reason: str | None) -> None:
        """Stop a job; see ``JobControl``."""
        if not await self._scripts.call("cancel", tenant, job, reason or ""):
            raise NotFoundError(f"no job {job!r}")

    async def update(self, tenant: str, job: JobId, update: JobUpdate) -> None:
        """Change a live job; see ``JobControl``."""
        fields = _changed_fields(update)
        answer = 0
        while answer == 0:  # somebody else changed it in between
            stored = await self._stored_spec(tenant, job)
            spec = encode(updated_spec(decode(stored), update))
            answer = await self._scripts.call(
                "update", tenant, job, stored, spec, len(fields) // 2, *fields
            )
        _require_state(job, answer, "only a live job can be changed")

    async def redrive(
        self,
        tenant: str,
        job: JobId,
        *,
        params: dict[str, Any] | None,
        idempotency_key: str | None,
    ) -> None:
        """Begin the next run; see ``JobControl``."""
        spec = decode(await self._stored_spec(tenant, job))
        if params is not None:
            spec["params"] = params
        given = (
            tenant,
            job,
            idempotency_key or "",
            encode(spec),
            encode(without_items(spec)),
            self._quotas.live_jobs,
        )
        answer = await self._scripts.call("redrive", *given, 0)
        if answer == 0:  # its batches are gone: they were made of the spec, and are again
            parsed = JobSpec.model_validate(spec)
            plan = plan_inline(parsed, is_map_only=True)
            answer = await self._scripts.call(
                "redrive", *given, 1, *await stored_batches(plan.batches)
            )
        if answer == OVER_QUOTA:
            raise quota_exceeded(self._quotas, "live jobs", retry_after_s=RETRY_AFTER_S)
        if answer == BEING_TIDIED:
            raise UnavailableError(f"job {job} is being tidied up; try again in a moment")
        if answer == RESTORED:
            message = f"job {job} is known by its result alone: submit it again"
            raise InvalidStateError(message, state=JobState.PARTIALLY_SUCCEEDED)
        _require_state(job, answer, "only a job that ended without success can be redriven")

    async def _stored_spec(self, tenant: str, job: JobId) -> bytes:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                pipe.hget(_key(job), "tenant")
                pipe.hget(_input_key(job), "spec")
                owner, spec = await pipe.execute()
        if owner is None or owner.decode() != tenant:
            raise NotFoundError(f"no job {job!r}")
        stored: bytes = spec
        return stored

    async def delete(self, tenant: str, job: JobId) -> None:
        """Make an ended job unknown to everybody; see ``JobControl``."""
        state = await self._scripts.call("delete", tenant, job)
        if state is None:
            raise NotFoundError(f"no job {job!r}")
        if state:
            name = state.decode()
            raise InvalidStateError(f"job {job} is {name}; cancel it first", state=name)

    async def erase(self, job: JobId) -> None:
        """Remove all data of a deleted job; see ``JobControl``."""
        await erase_job(self._scripts, job)

    async def workers(self) -> int:
        """Return how many workers are alive; see ``JobStore``."""
        with translated():
            seconds, _ = await reply(self._redis.time())
            oldest = 1000 * int(seconds) - FORGOTTEN_AFTER_MS
            return int(await reply(self._redis.zcount(WORKERS_KEY, oldest, "+inf")))

    async def _before(self, tenant: str, after: JobId | None) -> str:
        """Return the highest score of jobs that are older than *after*."""
        if after is None:
            return "+inf"
        with translated():
            score = await self._redis.zscore(_index(tenant, JobFilter()), after)
        if score is None:
            raise NotFoundError(f"no job {after} to continue after")
        return _below(score)

    async def _read_tasks(
        self, job: JobId, slots: list[tuple[TaskKind, int]], *, is_over: bool
    ) -> list[Task]:
        with translated():
            async with self._redis.pipeline(transaction=False) as pipe:
                for kind, index in slots:
                    pipe.hgetall(f"{_key(job)}:task:{task_id(kind, index)}")
                found = await pipe.execute()
        return [
            read_task(kind, index, fields, is_over=is_over)
            for (kind, index), fields in zip(slots, found, strict=True)
        ]


def _require_state(job: JobId, answer: Any, expected: str) -> None:
    """Refuse what a script answered when the job is not there, or in another state."""
    if answer is None:
        raise NotFoundError(f"no job {job!r}")
    if isinstance(answer, bytes):
        name = answer.decode()
        raise InvalidStateError(f"job {job} is {name}: {expected}", state=name)


def _changed_fields(update: JobUpdate) -> list[Any]:
    """Return names and values of what an update changes of a job's hash."""
    changes = {
        "window": update.max_concurrency,
        "tolerated_count": update.tolerated_failure_count,
        "tolerated_percentage": update.tolerated_failure_percentage,
    }
    return [part for name, value in changes.items() if value is not None for part in (name, value)]


def _key(job: JobId) -> str:
    return f"fanfold:job:{job}"


def _input_key(job: JobId) -> str:
    return f"{_key(job)}:input"


def _is_of(tenant: str, fields: Mapping[bytes, bytes]) -> bool:
    return fields.get(b"tenant") == tenant.encode()


def _index(tenant: str, wanted: JobFilter) -> str:
    """Return the shortest list that holds every wanted job."""
    only_live = wanted.states is not None and not any(s.is_terminal for s in wanted.states)
    return f"fanfold:tenant:{tenant}:{'live' if only_live else 'jobs'}"


def _below(score: float) -> str:
    return f"({score:.0f}"


def _oldest(wanted: JobFilter) -> str:
    """Return the score above which every wanted job is: microseconds, noted after ``created``."""
    if wanted.created_after is None:
        return "-inf"
    return _below(wanted.created_after.timestamp() * 1_000_000)
