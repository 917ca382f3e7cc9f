"""A job's status as read from the fields of its hash, in the order in which they are asked for.

It is read for every change of every followed job, of which most followers want a few fields. So a
value is looked at when somebody asks for it.
"""

# What the attributes are is told by ``JobStatus``, whose slots the properties below stand for.
# ruff: noqa: D102
# pyright: reportIncompatibleVariableOverride=false

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, Final

from engine.job import ItemCounts, JobError, JobId, JobPhase, JobState, JobStatus, TaskCounts
from engine.jsonvalue import decode, decode_exactly
from engine.progress import eta_s, ratio

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
_set: Final = object.__setattr__  # a status does not change


class StoredStatus(JobStatus):
    """Where a job stands.

    Args:
        job: Its id.
        values: Of ``FIELDS``, None for those that the hash does not have; more are ignored.
        inline: The result's rows as a JSON array, if they are kept inline; while the job runs,
            those of the answer so far.
    """

    __slots__ = ("_inline", "_values")

    _inline: bytes | None
    _values: Sequence[Any]

    def __init__(self, job: JobId, values: Sequence[Any], inline: bytes | None) -> None:
        _set(self, "id", job)
        _set(self, "version", int(values[2] or 0))
        _set(self, "state", _STATES[values[1]])
        _set(self, "_values", values)
        _set(self, "_inline", inline)

    @property
    def run(self) -> int:
        return int(self._values[3] or 1)

    @property
    def phase(self) -> JobPhase:
        return JobPhase.PENDING if self.state is JobState.QUEUED else _PHASES[self._values[6]]

    @property
    def ratio(self) -> float | None:
        if self.state in _DONE:
            return 1.0
        values = self._values
        return ratio(
            maps=_int(values[20]),
            mapped=int(values[22] or 0),
            reducers=self._reducers,
            reduced=int(values[27] or 0),
            bytes_read=int(values[13] or 0),
            bytes_total=_int(values[14]),
        )

    @property
    def eta_seconds(self) -> float | None:
        started = self._values[5]
        if self.state is not JobState.RUNNING or started is None:
            return None
        return eta_s(self.ratio, elapsed_s=(self._updated_ms - int(started)) / 1000)

    @property
    def items(self) -> ItemCounts:
        values = self._values
        return ItemCounts(*_counts(values[16], values[17], values[18], values[19]), 0)

    @property
    def map(self) -> TaskCounts:
        values = self._values
        counts = _counts(values[20], values[21], values[22], values[23])
        return TaskCounts(*counts, int(values[24] or 0))

    @property
    def reduce(self) -> TaskCounts:
        values = self._values
        counts = _counts(self._reducers, values[26], values[27], values[28])
        return TaskCounts(*counts, int(values[29] or 0))

    @property
    def bytes_read(self) -> int:
        return int(self._values[13] or 0)

    @property
    def bytes_total(self) -> int | None:
        return _int(self._values[14])

    @property
    def result(self) -> list[Any] | None:
        return self._rows if self.state.is_terminal else None

    @property
    def result_rows(self) -> int | None:
        return _int(self._values[11])

    @property
    def result_bytes(self) -> int | None:
        return _int(self._values[12])

    @property
    def error(self) -> JobError | None:
        return error_of(self._values[8])

    @property
    def message(self) -> str | None:
        message = self._values[7]
        return message.decode() if message else None

    @property
    def updated_at(self) -> datetime:
        return datetime.fromtimestamp(self._updated_ms / 1000, tz=UTC)

    @property
    def partial(self) -> list[Any] | None:
        return None if self.state.is_terminal else self._rows

    @property
    def coverage(self) -> float | None:
        coverage = self._values[10]
        return None if coverage is None else float(coverage)

    @property
    def traceparent(self) -> str | None:
        trace = self._values[9]
        return None if trace is None else trace.decode()

    @property
    def _updated_ms(self) -> int:
        return int(self._values[4] or 0)

    @property
    def _reducers(self) -> int | None:
        values = self._values
        return _int(values[15] if values[25] is None else values[25])

    @property
    def _rows(self) -> list[Any] | None:
        rows: list[Any] | None = decode_exactly(self._inline) if self._inline else None
        return rows


def status_of(job: JobId, values: Sequence[Any], inline: bytes | None) -> JobStatus:
    """Build where a job stands with all its values read; see ``StoredStatus``."""
    stored = StoredStatus(job, values, inline)
    return JobStatus(*(getattr(stored, field.name) for field in fields(JobStatus)))


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


def _counts(
    total: bytes | int | None, running: bytes | None, succeeded: bytes | None, failed: bytes | None
) -> tuple[int | None, int, int, int, int]:
    """Return a total, and how many are pending, running, succeeded and failed."""
    known = None if total is None else int(total)
    under_way, done, lost = int(running or 0), int(succeeded or 0), int(failed or 0)
    pending = (known or 0) - under_way - done - lost
    return known, max(pending, 0), under_way, done, lost
