"""A job and its state: the values that every other room speaks of."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, NewType

from engine.webhook_delivery import WebhookDelivery

JobId = NewType("JobId", str)
TaskId = NewType("TaskId", str)


def new_job_id() -> JobId:
    """Return a fresh id: ``j-`` and 128 random bits in small letters and the digits 2 to 7.

    Nobody can guess one, and it tells nothing, not even when the job was submitted. It is a word
    in addresses, file names and shells.
    """
    digits = base64.b32encode(secrets.token_bytes(16)).rstrip(b"=")
    return JobId(f"j-{digits.decode().lower()}")


class JobState(StrEnum):
    """Where a job stands. The last five never change again within a run."""

    QUEUED = "QUEUED"
    RUNNING = "RUNNING"
    CANCELLING = "CANCELLING"
    SUCCEEDED = "SUCCEEDED"
    PARTIALLY_SUCCEEDED = "PARTIALLY_SUCCEEDED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"
    TIMED_OUT = "TIMED_OUT"

    @property
    def is_terminal(self) -> bool:
        """Whether the run has ended."""
        return self not in (JobState.QUEUED, JobState.RUNNING, JobState.CANCELLING)


class JobPhase(StrEnum):
    """What a job is busy with."""

    PENDING = "PENDING"
    PLAN = "PLAN"
    MAP = "MAP"
    REDUCE = "REDUCE"
    FINISH = "FINISH"
    DONE = "DONE"


class JobAction(StrEnum):
    """What a caller may do to a job."""

    CANCEL = "CANCEL"
    UPDATE = "UPDATE"
    REDRIVE = "REDRIVE"
    DELETE = "DELETE"


def actions_in(state: JobState) -> tuple[JobAction, ...]:
    """Return what may be done to a job in *state*."""
    if state is JobState.SUCCEEDED:
        return (JobAction.DELETE,)
    if state.is_terminal:
        return (JobAction.REDRIVE, JobAction.DELETE)
    if state is JobState.CANCELLING:
        return (JobAction.CANCEL,)
    return (JobAction.CANCEL, JobAction.UPDATE)


class TaskKind(StrEnum):
    """The steps of a job. PLAN and PARTIAL are ours alone; callers see the other three."""

    PLAN = "PLAN"
    MAP = "MAP"
    REDUCE = "REDUCE"
    FINISH = "FINISH"
    PARTIAL = "PARTIAL"


class TaskState(StrEnum):
    """Where a task stands."""

    PENDING = "PENDING"
    RUNNING = "RUNNING"
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"


def task_id(kind: TaskKind, index: int) -> TaskId:
    """Name a task within its job, such as ``map-12``."""
    return TaskId(f"{kind.lower()}-{index}")


def parse_task_id(value: str) -> tuple[TaskKind, int]:
    """Take a task's name apart.

    Raises:
        ValueError: It does not name a task.
    """
    kind, _, index = value.partition("-")
    return TaskKind(kind.upper()), int(index)


@dataclass(frozen=True, slots=True)
class JobError:
    """Why a job or task failed: a stable code, a text for people, the task at fault."""

    code: str
    message: str
    retryable: bool = False
    task_id: str | None = None


OUT_OF_TIME: Final = JobError(code="JOB_TIMEOUT", message="the job ran out of time")


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """An item that failed for good; or a whole batch, where none of its items could be told apart.

    Attributes:
        location: Where it came from: a file with byte, line or row, or ``inline[3]``.
        preview: The item as JSON or text, cut at 4 KiB; empty for a whole batch.
        error: Why; its ``task_id`` is the map task.
        items: How many items it stands for; 1 but for a whole batch.
    """

    location: str
    preview: str
    error: JobError
    items: int = 1


@dataclass(frozen=True, slots=True)
class ItemCounts:
    """Source items by where they stand; they add up to ``total`` once it is known."""

    total: int | None
    pending: int
    running: int
    succeeded: int
    failed: int
    skipped: int


@dataclass(frozen=True, slots=True)
class TaskCounts:
    """Tasks of one phase by where they stand; ``retried`` counts attempts beyond the first."""

    total: int | None
    pending: int
    running: int
    succeeded: int
    failed: int
    retried: int


@dataclass(frozen=True, slots=True)
class JobStatus:
    """A snapshot of a job's state.

    Attributes:
        version: Rises by one with every change of the job.
        ratio: Share of the work done, 0 to 1; None while its amount is unknown.
        bytes_read: Bytes of the source in committed map tasks.
        result: All rows, when they fit inline and the job has ended well; else None.
        partial: Rows of the answer so far, of a job that asked for them; None at first, and once
            ended.
        coverage: Share of the source that *partial* covers, 0 to 1.
        traceparent: The span that the job was submitted in, where there are traces.
    """

    id: JobId
    version: int
    run: int
    state: JobState
    phase: JobPhase
    ratio: float | None
    eta_seconds: float | None
    items: ItemCounts
    map: TaskCounts
    reduce: TaskCounts
    bytes_read: int
    bytes_total: int | None
    result: list[Any] | None
    result_rows: int | None
    result_bytes: int | None
    error: JobError | None
    message: str | None
    updated_at: datetime
    partial: list[Any] | None = None
    coverage: float | None = None
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Job:
    """One job across all its runs.

    Attributes:
        expires_at: When it is erased, known once it has ended.
        webhook: Whether its webhook has been told of the present run's end; None for no webhook.
    """

    id: JobId
    tenant: str
    submitted_by: str
    spec: dict[str, Any]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    status: JobStatus
    expires_at: datetime | None = None
    webhook: WebhookDelivery | None = None

    @property
    def allowed_actions(self) -> tuple[JobAction, ...]:
        """What may be done to the job in its present state."""
        return actions_in(self.status.state)


@dataclass(frozen=True, slots=True)
class Task:
    """One task of a job as callers see it; ``log`` is what its last attempt logged."""

    id: TaskId
    kind: TaskKind
    state: TaskState
    index: int
    items: int
    attempts: int
    worker: str | None
    started_at: datetime | None
    finished_at: datetime | None
    error: JobError | None
    log: tuple[str, ...]


def instant(epoch_ms: int | None) -> datetime | None:
    """Turn milliseconds since 1970 into an instant with an offset; None stays None."""
    return None if epoch_ms is None else datetime.fromtimestamp(epoch_ms / 1000, tz=UTC)
