"""A job's status as read from the fields of its hash, in the order in which they are asked for.

It is read for every change of every followed job, so it looks at each value once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

from engine.job import ItemCounts, JobError, JobId, JobPhase, JobState, JobStatus, TaskCounts
from engine.jsonvalue import decode
from engine.progress import Progress, eta_s, ratio

FIELDS: Final = tuple(
    name.encode()
    for name in (
        "tenant state version run updated started phase message error traceparent coverage"
        " result_rows result_bytes bytes_read bytes_total reducers"
        " items_total items_running items_succeeded items_failed"
        " map_total map_running map_succeeded map_failed map_retried"
        " reduce_total reduce_running reduce_succeeded reduce_failed reduce_retried"
    ).split()
)
"""Of a job's hash, the tenant first."""
_STATES: Final = {state.value.encode(): state for state in JobState}
_PHASES: Final = {phase.value.encode(): phase for phase in JobPhase}
_DONE: Final = (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED)


def status_of(job: JobId, values: Sequence[Any], inline: bytes | None) -> JobStatus:
    """Build where a job stands.

    Args:
        job: Its id.
        values: Of ``FIELDS``, None for those that the hash does not have; more are ignored.
        inline: The result's rows as a JSON array, if they are kept inline; while the job runs,
            those of the answer so far.
    """
    state = _STATES[values[1]]
    updated_ms, started = int(values[4] or 0), values[5]
    message, trace, coverage = values[7], values[9], values[10]
    reducers = values[25] if values[25] is not None else values[15]
    map_tasks = _tasks(values[20], values[21], values[22], values[23], values[24])
    reduce_tasks = _tasks(reducers, values[26], values[27], values[28], values[29])
    bytes_read, bytes_total = int(values[13] or 0), _int(values[14])
    share: float | None = 1.0
    if state not in _DONE:
        share = ratio(
            Progress(map_tasks, reduce_tasks, reduce_tasks.total, bytes_read, bytes_total)
        )
    eta = None
    if state is JobState.RUNNING and started is not None:
        eta = eta_s(share, elapsed_s=(updated_ms - int(started)) / 1000)
    rows = decode(inline) if inline else None
    has_ended = state.is_terminal
    return JobStatus(
        job,
        int(values[2] or 0),
        int(values[3] or 1),
        state,
        JobPhase.PENDING if state is JobState.QUEUED else _PHASES[values[6]],
        share,
        eta,
        _items(values[16], values[17], values[18], values[19]),
        map_tasks,
        reduce_tasks,
        bytes_read,
        bytes_total,
        rows if has_ended else None,
        _int(values[11]),
        _int(values[12]),
        None if values[8] is None else error_of(values[8]),
        message.decode() if message else None,
        datetime.fromtimestamp(updated_ms / 1000, tz=UTC),
        None if has_ended else rows,
        None if coverage is None else float(coverage),
        None if trace is None else trace.decode(),
    )


def error_of(data: bytes | None) -> JobError | None:
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


def _int(value: bytes | None) -> int | None:
    return None if value is None else int(value)


def _tasks(
    total: bytes | None,
    running: bytes | None,
    succeeded: bytes | None,
    failed: bytes | None,
    retried: bytes | None,
) -> TaskCounts:
    known = None if total is None else int(total)
    under_way, done, lost = int(running or 0), int(succeeded or 0), int(failed or 0)
    pending = (known or 0) - under_way - done - lost
    return TaskCounts(known, max(pending, 0), under_way, done, lost, int(retried or 0))


def _items(
    total: bytes | None, running: bytes | None, succeeded: bytes | None, failed: bytes | None
) -> ItemCounts:
    known = None if total is None else int(total)
    under_way, done, lost = int(running or 0), int(succeeded or 0), int(failed or 0)
    pending = (known or 0) - under_way - done - lost
    return ItemCounts(known, max(pending, 0), under_way, done, lost, 0)
