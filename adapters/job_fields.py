"""Jobs and tasks as read from their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from adapters.status_fields import FIELDS, error_of, status_of
from engine.job import (
    ItemFailure,
    Job,
    JobError,
    JobId,
    JobStatus,
    Task,
    TaskKind,
    TaskState,
    instant,
    task_id,
)
from engine.jsonvalue import decode
from engine.ledger import EndedRun
from engine.webhook_delivery import WebhookDelivery, WebhookState

Hash = Mapping[bytes, bytes]


def read_job(job: JobId, fields: Hash, spec: bytes, inline: bytes | None) -> Job:
    """Build a job from its hashes.

    Args:
        job: Its id.
        fields: The whole hash of an existing job.
        spec: What was submitted.
        inline: The result's rows as a JSON array, if they are kept inline; while the job runs,
            those of the answer so far.
    """
    return Job(
        id=job,
        tenant=fields[b"tenant"].decode(),
        submitted_by=fields[b"by"].decode(),
        spec=decode(spec),
        created_at=_instant(fields, "created"),
        started_at=instant(_int(fields, "started")),
        finished_at=instant(_int(fields, "finished")),
        expires_at=instant(_int(fields, "expires")),
        status=read_status(job, fields, inline),
        webhook=_read_webhook(fields),
    )


def _read_webhook(fields: Hash) -> WebhookDelivery | None:
    url = fields.get(b"webhook")
    if url is None:
        return None
    told = fields.get(b"webhook_state")
    state = WebhookState.PENDING if b"finished" in fields else WebhookState.WAITING
    return WebhookDelivery(
        host=urlsplit(url.decode()).netloc,
        state=state if told is None else WebhookState(told.decode()),
        attempts=_int(fields, "webhook_tries") or 0,
        last_status_code=_int(fields, "webhook_status"),
        last_attempt_at=instant(_int(fields, "webhook_tried")),
        next_attempt_at=instant(_int(fields, "webhook_next")),
    )


def read_ended_run(job: JobId, fields: Hash, spec: bytes) -> EndedRun:
    """Build a run that has ended without a result; the arguments are as in ``read_job``."""
    stored, failed = decode(spec), _int(fields, "items_failed") or 0
    error = fields.get(b"error")
    return EndedRun(
        job=job,
        run=_int(fields, "run") or 1,
        program=stored["program"] or "sql",
        has_failures=failed > 0,
        facts={
            "spec": stored,
            "state": fields[b"state"].decode(),
            "error": decode(error) if error else None,
            "items": _int(fields, "items_succeeded") or 0,
            "failedItems": failed,
            "bytesRead": _int(fields, "bytes_read") or 0,
            "createdAtMs": _int(fields, "created"),
            "startedAtMs": _int(fields, "started"),
            "finishedAtMs": _int(fields, "finished"),
            "run": _int(fields, "run") or 1,
        },
    )


def read_task(kind: TaskKind, index: int, fields: Hash, *, is_over: bool) -> Task:
    """Build a task from its hash, which is empty until the task is first claimed.

    A task that was under way when its job ended will not be done: it is shown as pending.
    """
    worker = fields.get(b"worker")
    state = TaskState(fields.get(b"state", b"PENDING").decode())
    name = task_id(kind, index)
    return Task(
        id=name,
        kind=kind,
        state=TaskState.PENDING if is_over and state is TaskState.RUNNING else state,
        index=index,
        items=_int(fields, "items") or 0,
        attempts=_int(fields, "attempt") or 0,
        worker=worker.decode() if worker else None,
        started_at=instant(_int(fields, "started")),
        finished_at=instant(_int(fields, "finished")),
        error=error_of(fields.get(b"error")),
        log=tuple(decode(fields.get(b"log", b"[]"))),
    )


def read_failure(data: bytes) -> ItemFailure:
    """Build a failed item from an entry of the job's list."""
    found: dict[str, Any] = decode(data)
    error = found["error"]
    named = {"task_id": error.get("task_id") or error.get("task") or None}
    return ItemFailure(
        location=found["location"],
        preview=found["preview"],
        items=int(found["items"]),
        error=JobError(
            code=error["code"], message=error["message"], retryable=error["retryable"], **named
        ),
    )


def read_status(job: JobId, fields: Hash, inline: bytes | None) -> JobStatus:
    """Build where a job stands from its hash; see ``read_job``."""
    return status_of(job, [fields.get(name) for name in FIELDS], inline)


def _int(fields: Hash, name: str) -> int | None:
    value = fields.get(name.encode())
    return None if value is None else int(value)


def _instant(fields: Hash, name: str) -> datetime:
    found = instant(_int(fields, name) or 0)
    assert found is not None  # noqa: S101 - only None gives None
    return found
