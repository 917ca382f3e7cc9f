"""A job's status as JSON, field for field what GraphQL gives for a full selection.

Owns the form in which REST and webhooks send it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

import orjson

from engine.job import ItemCounts, JobError, JobStatus, TaskCounts

ROWS: Final = ("partial", "result")
"""The fields that hold rows, which may be of any length."""


def status_to_json(status: JobStatus) -> dict[str, Any]:
    """Return *status* with the contract's names."""
    return {
        "id": status.id,
        "version": status.version,
        "run": status.run,
        "state": status.state,
        "phase": status.phase,
        "ratio": status.ratio,
        "etaSeconds": status.eta_seconds,
        "items": _items(status.items),
        "map": _tasks(status.map),
        "reduce": _tasks(status.reduce),
        "bytesRead": status.bytes_read,
        "bytesTotal": status.bytes_total,
        "partial": status.partial,
        "coverage": status.coverage,
        "result": status.result,
        "resultRows": status.result_rows,
        "resultBytes": status.result_bytes,
        "error": None if status.error is None else _error(status.error),
        "message": status.message,
        "updatedAt": write_instant(status.updated_at),
    }


def without_long_rows(state: dict[str, Any], *, limit_bytes: int) -> dict[str, Any]:
    """Return a status as JSON without its rows, if with them it is longer than *limit_bytes*.

    Who wants them reads the job.
    """
    is_long = len(orjson.dumps(state)) > limit_bytes
    return state | dict.fromkeys(ROWS) if is_long else state


def write_instant(value: datetime) -> str:
    """Return an instant in UTC with milliseconds, such as ``2026-01-31T12:00:00.000Z``."""
    in_utc = value if value.tzinfo is UTC else value.astimezone(UTC)
    # A state is written thousands of times a second, and ``isoformat`` takes three times as long.
    text = orjson.dumps(in_utc).decode()
    return f"{text[1:24]}Z" if in_utc.microsecond else f"{text[1:20]}.000Z"


def _items(counts: ItemCounts) -> dict[str, Any]:
    return {
        "total": counts.total,
        "pending": counts.pending,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "skipped": counts.skipped,
    }


def _tasks(counts: TaskCounts) -> dict[str, Any]:
    return {
        "total": counts.total,
        "pending": counts.pending,
        "running": counts.running,
        "succeeded": counts.succeeded,
        "failed": counts.failed,
        "retried": counts.retried,
    }


def _error(error: JobError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "taskId": error.task_id,
    }
