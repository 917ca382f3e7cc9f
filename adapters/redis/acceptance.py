"""New jobs into Redis: one script stores a job and dispatches its first tasks.

Many batches are put beforehand where the script looks for them, some at a time, so that neither
this process nor Redis is busy with one job for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from redis.asyncio import Redis

from adapters.redis.client import LedgerScripts, translated
from adapters.redis.ledger import stored_batch
from adapters.redis.pipelined_scripts import PipelinedScripts
from adapters.status_fields import FIELDS, status_of
from engine.batch import Batch
from engine.errors import IdempotencyConflictError, UnavailableError
from engine.job import Job, JobId
from engine.jobs import Accepted, NewJob
from engine.jsonvalue import encode_again
from engine.new_jobs import (
    REDUCE_BYTES,
    digest_of,
    known_partitions,
    quota_exceeded,
    without_items,
)
from engine.quotas import Quotas

DEFAULT_WINDOW: Final = {"process": 256, "loop": 4_096}
SMALL_BYTES: Final = 64 * 1024
"""Jobs with larger items are sent by themselves, so that others do not wait behind them; and others
have their turn between the steps of making one ready."""
BATCHES_AT_ONCE: Final = 1_000
STAGED_FOR_S: Final = 60
"""After which batches are gone whose job was not accepted."""
OVER_QUOTA: Final = -2
"""What a script answers that found the tenant to have as much as it may."""
_BATCHES_GONE: Final = -3
_FIELD_NAMES: Final = tuple(name.decode() for name in FIELDS)


class RedisAcceptance:
    """What ``RedisJobs`` accepts jobs with.

    Args:
        redis: Where they are kept.
        retention_s: For how long those are that do not say so.
        quotas: What each tenant may have.
        webhook_key: What calls of webhooks are signed with, by name.
    """

    def __init__(self, redis: Redis, *, retention_s: int, quotas: Quotas, webhook_key: str) -> None:
        self._redis = redis
        self._scripts = LedgerScripts(redis)
        self._together = PipelinedScripts(redis)
        self._retention_s = retention_s
        self._quotas = quotas
        self._webhook_key = webhook_key

    async def accept(self, new: NewJob) -> Accepted:
        """Store a job and dispatch its first tasks; see ``JobStore``."""
        spec = new.spec.to_json()
        fields = self._fields(new)
        given = _input(new, spec)
        is_large = len(given["spec"]) > SMALL_BYTES
        if is_large:
            await asyncio.sleep(0)
        # So long a value has Redis keep the job's hash as a table, not as a list that every look at
        # a field searches from its start; a step of a task looks at dozens.
        digest = digest_of(spec)
        batches = await self._kept(new) if new.plan else []
        id, created, *more = await (self._scripts if is_large else self._together).call(
            "accept",
            new.id,
            new.tenant,
            new.spec.idempotency_key or "",
            digest,
            int((new.spec.timeout_seconds or 0) * 1000),
            len(new.plan.batches) if new.plan else -1,
            self._quotas.live_jobs,
            self._quotas.queued_tasks,
            self._quotas.submits_per_minute,
            fields["lane"],
            fields["window"],
            2 * len(fields),
            2 * len(given),
            *chain.from_iterable(fields.items()),
            *chain.from_iterable(given.items()),
            *batches,
        )
        if created > 0:
            is_shown = more and new.spec.webhook is None
            job = _fresh_job(new, spec, fields, now_ms=more[0]) if is_shown else None
            return Accepted(id=new.id, created=True, job=job)
        if new.plan and not batches:
            await self._drop(new.id)
        if created == OVER_QUOTA:
            raise quota_exceeded(self._quotas, id.decode(), retry_after_s=more[0] / 1000)
        if created == _BATCHES_GONE:
            raise UnavailableError("Redis took too long to store the job's batches")
        if created < 0:
            raise IdempotencyConflictError(
                f"idempotency key {new.spec.idempotency_key!r} was used with another input",
                existing_job_id=id.decode(),
            )
        return Accepted(id=JobId(id.decode()), created=False)

    def _fields(self, new: NewJob) -> dict[str, Any]:
        """Return what the job's hash holds from the start."""
        lane = "loop" if new.is_async else "process"
        policy = new.spec.failure_policy
        fields: dict[str, Any] = {
            "by": new.submitted_by,
            "lane": lane,
            "window": new.spec.max_concurrency or DEFAULT_WINDOW[lane],
            "max_attempts": policy.max_attempts,
            "backoff_ms": policy.backoff_ms,
            "bad_items": policy.bad_items.value,
            "tolerated_count": policy.tolerated_failure_count,
            "tolerated_percentage": policy.tolerated_failure_percentage,
            "retention_ms": 1000 * (new.spec.retention_seconds or self._retention_s),
        }
        partitions = known_partitions(new)
        if new.plan is None and partitions is not None:
            fields |= {"is_early": 1, "reducers": partitions}
        if new.sql is not None and new.spec.reducers is None:
            fields["reduce_bytes"] = REDUCE_BYTES
        if new.supports_partial and new.spec.partial_every_ms:
            fields["partial_every_ms"] = new.spec.partial_every_ms
        if new.traceparent is not None:
            fields["traceparent"] = new.traceparent
        if policy.task_timeout_seconds:
            fields["task_timeout_s"] = policy.task_timeout_seconds
        if new.plan:
            fields["reducers"] = new.plan.reducers
            fields["bytes_total"] = new.plan.size_bytes
            if new.plan.items is not None:
                fields["items_total"] = new.plan.items
        if new.spec.webhook is not None:
            fields |= {"webhook": new.spec.webhook, "webhook_key": self._webhook_key}
        return fields

    async def _kept(self, new: NewJob) -> list[bytes]:
        """Return the batches as they are kept; nothing for more than travel at once: these are."""
        batches = new.plan.batches if new.plan else ()
        if len(batches) <= BATCHES_AT_ONCE:
            return await stored_batches(batches)
        key = f"fanfold:job:{new.id}:batches"
        for first in range(0, len(batches), BATCHES_AT_ONCE):
            stored = map(stored_batch, batches[first : first + BATCHES_AT_ONCE])
            words = chain.from_iterable(enumerate(stored, first))
            with translated():
                async with self._redis.pipeline(transaction=True) as pipe:
                    pipe.execute_command("HSET", key, *words)
                    pipe.expire(key, STAGED_FOR_S)
                    await pipe.execute()
        return []

    async def _drop(self, job: JobId) -> None:
        """Remove batches that were put for a job which is not to be."""
        with translated():
            await self._redis.unlink(f"fanfold:job:{job}:batches")


async def stored_batches(batches: Sequence[Batch]) -> list[bytes]:
    """Return batches as the scripts keep them, giving way to others after every 64 KiB."""
    kept: list[bytes] = []
    size_bytes = 0
    for batch in batches:
        kept.append(stored_batch(batch))
        size_bytes += len(kept[-1])
        if size_bytes > SMALL_BYTES:
            size_bytes = 0
            await asyncio.sleep(0)
    return kept


def _input(new: NewJob, spec: dict[str, Any]) -> dict[str, Any]:
    """Return what is kept apart from where the job stands, for it is read seldom."""
    given: dict[str, Any] = {
        "spec": encode_again(spec),
        "task_spec": encode_again(without_items(spec)),
    }
    if new.sql is not None:
        given["sql"] = encode_again(new.sql)
    if new.resolved_source is not None:
        given["resolved_source"] = new.resolved_source
    return given


def _fresh_job(new: NewJob, spec: dict[str, Any], fields: Mapping[str, Any], *, now_ms: int) -> Job:
    """Return a job as it stands when it has just been stored, which nobody needs to ask for."""
    known = {**fields, "version": 1, "run": 1, "state": b"QUEUED", "updated": now_ms}
    total = "map_total" if new.plan else "plan_total"
    known[total] = len(new.plan.batches) if new.plan else 1
    trace = new.traceparent
    known["traceparent"] = None if trace is None else trace.encode()
    return Job(
        id=new.id,
        tenant=new.tenant,
        submitted_by=new.submitted_by,
        spec=spec,
        created_at=datetime.fromtimestamp(now_ms / 1000, tz=UTC),
        started_at=None,
        finished_at=None,
        status=status_of(new.id, [known.get(name) for name in _FIELD_NAMES], None),
    )
