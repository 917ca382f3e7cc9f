"""Jobs and tasks as read from their hashes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from engine.job import (
    ItemCounts,
    ItemFailure,
    Job,
    JobError,
    JobId,
    JobPhase,
    JobState,
    JobStatus,
    Task,
    TaskCounts,
    TaskKind,
    TaskState,
    instant,
    task_id,
)
from engine.jsonvalue import decode
from engine.progress import Progress, eta_s, ratio

Hash = Mapping[bytes, bytes]


def read_job(job: JobId, fields: Hash, inline: bytes | None) -> Job:
    """Build a job from its hash.

    Args:
        job: Its id.
        fields: The whole hash of an existing job.
        inline: The result's rows as a JSON array, if they are kept inline; while the job runs,
            those of the answer so far.
    """
    return Job(
        id=job,
        tenant=fields[b"tenant"].decode(),
        submitted_by=fields[b"by"].decode(),
        spec=decode(fields[b"spec"]),
        created_at=_instant(fields, "created"),
        started_at=instant(_int(fields, "started")),
        finished_at=instant(_int(fields, "finished")),
        expires_at=instant(_int(fields, "expires")),
        status=_status(job, fields, inline),
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
        error=read_error(fields.get(b"error")),
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


def _status(job: JobId, fields: Hash, inline: bytes | None) -> JobStatus:
    state = JobState(fields[b"state"].decode())
    updated = _int(fields, "updated") or 0
    progress = _progress(fields)
    is_done = state in (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED)
    share = 1.0 if is_done else ratio(progress)
    started = _int(fields, "started")
    message = fields.get(b"message")
    return JobStatus(
        id=job,
        version=_int(fields, "version") or 0,
        run=_int(fields, "run") or 1,
        state=state,
        phase=JobPhase.PENDING if state is JobState.QUEUED else _phase(fields),
        ratio=share,
        eta_seconds=None
        if state is not JobState.RUNNING or started is None
        else eta_s(share, elapsed_s=(updated - started) / 1000),
        items=_items(fields),
        map=progress.map,
        reduce=progress.reduce,
        bytes_read=progress.bytes_read,
        bytes_total=progress.bytes_total,
        result=decode(inline) if inline and state.is_terminal else None,
        partial=decode(inline) if inline and not state.is_terminal else None,
        coverage=float(fields[b"coverage"]) if b"coverage" in fields else None,
        result_rows=_int(fields, "result_rows"),
        result_bytes=_int(fields, "result_bytes"),
        error=read_error(fields.get(b"error")),
        message=message.decode() if message else None,
        updated_at=_instant(fields, "updated"),
    )


def _phase(fields: Hash) -> JobPhase:
    return JobPhase(fields[b"phase"].decode())


def _progress(fields: Hash) -> Progress:
    reduce = _tasks(fields, "reduce")
    return Progress(
        map=_tasks(fields, "map"),
        reduce=reduce,
        reducers=reduce.total,
        bytes_read=_int(fields, "bytes_read") or 0,
        bytes_total=_int(fields, "bytes_total"),
    )


def _tasks(fields: Hash, kind: str) -> TaskCounts:
    total = _int(fields, f"{kind}_total")
    if total is None and kind == "reduce":
        total = _int(fields, "reducers")
    running = _int(fields, f"{kind}_running") or 0
    succeeded = _int(fields, f"{kind}_succeeded") or 0
    failed = _int(fields, f"{kind}_failed") or 0
    return TaskCounts(
        total=total,
        pending=max(0, (total or 0) - running - succeeded - failed),
        running=running,
        succeeded=succeeded,
        failed=failed,
        retried=_int(fields, f"{kind}_retried") or 0,
    )


def _items(fields: Hash) -> ItemCounts:
    total = _int(fields, "items_total")
    running = _int(fields, "items_running") or 0
    succeeded = _int(fields, "items_succeeded") or 0
    failed = _int(fields, "items_failed") or 0
    return ItemCounts(
        total=total,
        pending=max(0, (total or 0) - running - succeeded - failed),
        running=running,
        succeeded=succeeded,
        failed=failed,
        skipped=0,
    )


def read_error(data: bytes | None) -> JobError | None:
    """Build an error from what the scripts keep; None when there is none."""
    if not data:
        return None
    found: dict[str, Any] = decode(data)
    return JobError(
        code=found["code"],
        message=found["message"],
        retryable=found["retryable"],
        task_id=found["task"] or None,
    )


def _int(fields: Hash, name: str) -> int | None:
    value = fields.get(name.encode())
    return None if value is None else int(value)


def _instant(fields: Hash, name: str) -> datetime:
    found = instant(_int(fields, name) or 0)
    assert found is not None  # noqa: S101 - only None gives None
    return found
