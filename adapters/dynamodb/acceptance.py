"""New jobs into DynamoDB: one transaction stores a job, its input and its due times.

Its run is begun by whatever dispatches its tasks; that it should be is one of the due times.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

from boto3.dynamodb.conditions import Attr

from adapters.dynamodb.input import Inputs
from adapters.dynamodb.items import (
    Due,
    as_hash,
    due_key,
    jobs_index,
    live_item,
    meta_key,
    tags_text,
    tenant_key,
)
from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import IS_NEW, Change, Put, Update, Write
from adapters.job_fields import read_job
from engine.errors import IdempotencyConflictError, QuotaExceededError, UnavailableError
from engine.job import JobId
from engine.jobs import Accepted, NewJob
from engine.jsonvalue import encode_again
from engine.new_jobs import REDUCE_BYTES, digest_of, known_partitions, quota_exceeded
from engine.quotas import Quotas
from engine.runner import Runner

START_WITHIN_MS: Final = 60_000
"""After which a caretaker looks whether a run has begun."""
RETRY_AFTER_S: Final = 5.0
SMALL_BATCHES: Final = 32
MINUTE_MS: Final = 60_000
MAX_RACES: Final = 50


@dataclass(frozen=True, slots=True)
class DynamoAcceptance:
    """Stores new jobs.

    Attributes:
        table: Where to.
        inputs: Writes what was submitted.
        retention_s: For how long jobs are kept that do not say so.
        quotas: What each tenant may have. Nothing queues where another system dispatches, so
            ``queued_tasks`` is not looked at.
        webhook_key: What calls of webhooks are signed with, by name.
        runner: Of jobs that name none.
    """

    table: DynamoTable
    inputs: Inputs
    retention_s: int
    quotas: Quotas
    webhook_key: str
    runner: Runner

    def accept(self, new: NewJob) -> Accepted:
        """Store a job; see ``JobStore``."""
        spec = new.spec.to_json()
        digest = digest_of(spec)
        if (known := self._known(new, digest)) is not None:
            return known
        given = self.inputs.items(new, spec)
        try:
            accepted = self._store(new, given, spec, digest)
        except QuotaExceededError:
            self.inputs.forget(given)
            raise
        if not accepted.created:
            self.inputs.forget(given)
        return accepted

    def _store(self, new: NewJob, given: list[Item], spec: dict[str, Any], digest: str) -> Accepted:
        for _ in range(MAX_RACES):
            meta = {**self._meta(new), "digest": digest}
            failed = self.table.transact(*self._writes(new, meta, given))
            if failed is None:
                job = read_job(new.id, as_hash(meta), encode_again(spec), None)
                return Accepted(id=new.id, created=True, job=job)
            if failed == 0:  # the first answer was lost
                return Accepted(id=new.id, created=True)
            if (known := self._known(new, digest)) is not None:
                return known
        raise UnavailableError("DynamoDB: too many jobs of the tenant are submitted at once")

    def _known(self, new: NewJob, digest: str) -> Accepted | None:
        """Return the job that the idempotency key already has."""
        key = new.spec.idempotency_key
        if key is None:
            return None
        found = self.table.get(tenant_key(new.tenant, f"KEY#{key}"))
        if found is None:
            return None
        job = JobId(found["job"])
        if job == new.id:
            return Accepted(id=job, created=True)
        if found["digest"] != digest:
            raise IdempotencyConflictError(
                f"idempotency key {key!r} was used with another input", existing_job_id=job
            )
        return Accepted(id=job, created=False)

    def _writes(self, new: NewJob, meta: Item, given: list[Item]) -> list[Write]:
        job = new.id
        writes: list[Write] = [Put(meta, IS_NEW), self._taking(new.tenant, meta["created"])]
        if new.spec.idempotency_key is not None:
            pk, sk = tenant_key(new.tenant, f"KEY#{new.spec.idempotency_key}")
            owner = {"pk": pk, "sk": sk, "job": job, "digest": meta["digest"]}
            writes.append(Put(owner, IS_NEW))
        writes += map(Put, [live_item(meta), *given])
        writes.append(due(Due.START, meta["start_due"], job, 1))
        if "deadline" in meta:
            writes.append(due(Due.DEADLINE, meta["deadline"], job, 1))
        return writes

    def _taking(self, tenant: str, now: int) -> Write:
        """Return the write by which the tenant has one more job.

        Raises:
            QuotaExceededError: It may not have that.
        """
        key, quotas = tenant_key(tenant, "LIVE"), self.quotas
        if not quotas.live_jobs and not quotas.submits_per_minute:
            return Update(key, Change(adds={"live": 1}))
        found = self.table.get(key) or {}
        write = take_live(key, found, quotas)
        if not quotas.submits_per_minute:
            return write
        # When all that was taken will have come back (generic cell rate algorithm).
        each_ms = MINUTE_MS / quotas.submits_per_minute
        back = max(float(now), float(found.get("back", 0))) + each_ms
        if back - now > MINUTE_MS:
            wait_s = (back - now - MINUTE_MS) / 1000
            raise quota_exceeded(quotas, "submits a minute", retry_after_s=wait_s)
        is_same = Attr("back").eq(found["back"]) if "back" in found else Attr("back").not_exists()
        condition = is_same if write.condition is None else write.condition & is_same
        return Update(key, Change({"back": round(back, 3)}, {"live": 1}), condition)

    def _meta(self, new: NewJob) -> Item:
        """Return where the job stands at first."""
        now_us = time.time_ns() // 1000
        now = now_us // 1000
        policy, spec = new.spec.failure_policy, new.spec
        pk, sk = meta_key(new.id)
        plan, partitions = new.plan, known_partitions(new)
        timeout_ms = int(1000 * (spec.timeout_seconds or 0))
        meta: dict[str, Any] = {
            "pk": pk,
            "sk": sk,
            "gsi1pk": jobs_index(new.tenant),
            "gsi1sk": f"{now_us:016d}#{new.id}",
            "tenant": new.tenant,
            "by": new.submitted_by,
            "created": now,
            "updated": now,
            "state": "QUEUED",
            "phase": "PLAN",
            "run": 1,
            "base": 1,
            "version": 1,
            "runner": (spec.runner or self.runner).value,
            "start_due": now + START_WITHIN_MS,
            "is_small": int(plan is not None and len(plan.batches) <= SMALL_BATCHES),
            "plan_total": 1,
            "max_attempts": policy.max_attempts,
            "backoff_ms": policy.backoff_ms,
            "bad_items": policy.bad_items.value,
            "tolerated_count": policy.tolerated_failure_count,
            "tolerated_percentage": policy.tolerated_failure_percentage,
            "retention_ms": 1000 * (spec.retention_seconds or self.retention_s),
            "window": spec.max_concurrency,
            "task_timeout_s": policy.task_timeout_seconds,
            "traceparent": new.traceparent,
            "idempotency_key": spec.idempotency_key,
            "tags": tags_text(spec.tags),
            "reducers": partitions,
        }
        if new.sql is not None and spec.reducers is None:
            meta["reduce_bytes"] = REDUCE_BYTES
        if timeout_ms:
            meta |= {"timeout_ms": timeout_ms, "deadline": now + timeout_ms}
        if plan is not None:
            meta |= {
                "is_planned": 1,
                "reducers": plan.reducers,
                "bytes_total": plan.size_bytes,
                "items_total": plan.items,
                "map_total": len(plan.batches),
            }
        if spec.webhook is not None:
            meta |= {"webhook": spec.webhook, "webhook_key": self.webhook_key}
        return {name: value for name, value in meta.items() if value is not None}


def take_live(key: tuple[str, str], found: Item, quotas: Quotas) -> Update:
    """Return the write by which a tenant has one more live job.

    Args:
        key: Of the count.
        found: The count as it was read.
        quotas: What the tenant may have.

    Raises:
        QuotaExceededError: It has as many as it may have.
    """
    change = Change(adds={"live": 1})
    if not quotas.live_jobs:
        return Update(key, change)
    if found.get("live", 0) >= quotas.live_jobs:
        raise quota_exceeded(quotas, "live jobs", retry_after_s=RETRY_AFTER_S)
    return Update(key, change, Attr("live").not_exists() | Attr("live").lt(quotas.live_jobs))


def due(kind: Due, at_ms: int, job: str, run: int | None = None) -> Put:
    """Return the write by which a caretaker looks at a job at a time."""
    pk, sk = due_key(kind, at_ms, job, run)
    return Put({"pk": pk, "sk": sk})
