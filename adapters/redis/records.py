"""What became of a job's batches, read from Redis page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from adapters.job_fields import read_failure
from adapters.redis.client import LedgerScripts, reply, translated
from adapters.status_fields import error_of
from engine.job import ItemFailure, JobId, TaskKind, TaskState, instant, task_id
from engine.listings import INCLUDED_BYTES, BatchRecord, RecordPage

PAGE_TASKS: Final = 500
PAGE_BYTES: Final = 1024 * 1024
PAGE_FAILURES: Final = 200


class RedisRecords:
    """Implements ``engine.listings.Records``."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._scripts = LedgerScripts(redis)

    async def batches(self, job: JobId, *, first: int) -> RecordPage:
        """Return batches from number *first* on; see ``Records``."""
        following, found = await self._scripts.call(
            "records", job, first, PAGE_TASKS, PAGE_BYTES, INCLUDED_BYTES
        )
        records = (_record(index, fields) for index, fields in enumerate(found, first))
        return RecordPage(tuple(records), following or None)

    async def failures(self, job: JobId, *, first: int) -> Sequence[ItemFailure]:
        """Return failed items from number *first* on; see ``Records``."""
        with translated():
            found = await reply(
                self._redis.lrange(f"fanfold:job:{job}:failures", first, first + PAGE_FAILURES - 1)
            )
        return [read_failure(data) for data in found]


def _record(index: int, fields: list[bytes | None]) -> BatchRecord:
    state, items, failed, attempt, started, finished, error, known, batch = fields
    found = TaskState((state or b"PENDING").decode())
    set_aside = int(failed or 0)
    if found is TaskState.FAILED:
        items, set_aside = failed, 0
    elif found is not TaskState.SUCCEEDED:
        items = known
    return BatchRecord(
        task=task_id(TaskKind.MAP, index),
        state=found,
        batch=batch or None,
        items=int(items or 0),
        failed_items=set_aside,
        attempts=int(attempt or 0),
        started_at=instant(int(started)) if started else None,
        finished_at=instant(int(finished)) if finished else None,
        error=error_of(error),
    )
