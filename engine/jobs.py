"""The port to stored jobs: accepted, read, listed, cancelled, erased."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from engine.errors import InputError, Issue
from engine.job import ItemFailure, Job, JobId, JobState, JobStatus, Task, TaskKind, TaskState
from engine.plan import Plan
from engine.spec import MAX_TAGS, JobSpec


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job about to be accepted.

    Attributes:
        plan: The batches, when they are known without reading the source; else None, and a plan
            task finds them.
        is_async: Whether map tasks wait on others and share a process.
        is_map_only: Whether there is no reduce.
        sql: The steps of a job in SQL as JSON, handed to every attempt; None for a program.
        resolved_source: Blob that names the source's files, where they have been looked up; handed
            to every attempt.
        supports_partial: Whether there can be an answer so far, if the spec asks for it.
        has_one_reducer: Whether all rows must meet in one reduce task.
        traceparent: The span that it was submitted in, where there are traces.
    """

    id: JobId
    tenant: str
    submitted_by: str
    spec: JobSpec
    plan: Plan | None
    is_async: bool
    is_map_only: bool
    sql: dict[str, Any] | None = None
    resolved_source: str | None = None
    supports_partial: bool = False
    has_one_reducer: bool = False
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The job that a submit leads to.

    Attributes:
        id: The job's.
        created: False for a repeated idempotency key.
        job: As it stands, where that is known without asking again.
    """

    id: JobId
    created: bool
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs to list; None admits all."""

    states: frozenset[JobState] | None = None
    program: str | None = None
    tags: frozenset[str] = frozenset()
    created_after: datetime | None = None
    created_before: datetime | None = None

    def admits(self, job: Job) -> bool:
        """Whether *job* is wanted."""
        return (
            (self.states is None or job.status.state in self.states)
            and (self.program is None or job.spec["program"] == self.program)
            and self.tags <= set(job.spec["tags"])
            and (self.created_after is None or job.created_at > self.created_after)
            and (self.created_before is None or job.created_at < self.created_before)
        )


@dataclass(frozen=True, slots=True)
class JobPage:
    """Some jobs, newest first; the id of each is its cursor."""

    jobs: tuple[Job, ...]
    has_next: bool


@dataclass(frozen=True, slots=True)
class TaskFilter:
    """Which tasks to list; None admits all."""

    kind: TaskKind | None = None
    state: TaskState | None = None


@dataclass(frozen=True, slots=True)
class TaskPage:
    """Some tasks in the order map, reduce, finish; the position of each is its cursor."""

    tasks: tuple[Task, ...]
    first_position: int
    total: int
    has_next: bool


@dataclass(frozen=True, slots=True)
class FailurePage:
    """Some of a job's failed items, in the order in which they became known.

    The position of each is its cursor. A job keeps the first 10,000.
    """

    failures: tuple[ItemFailure, ...]
    first_position: int
    total: int
    has_next: bool


@dataclass(frozen=True, slots=True)
class FoundResult:
    """What the manifest of a result tells of its job; times in milliseconds since 1970.

    Attributes:
        items: That succeeded.
        failed_items: That did not.
        inline: All rows as a JSON array, if they are few; else None.
        manifest: Its blob.
    """

    id: JobId
    tenant: str
    submitted_by: str
    spec: dict[str, Any]
    run: int
    created_ms: int
    started_ms: int
    finished_ms: int
    items: int
    failed_items: int
    bytes_read: int
    rows: int
    size_bytes: int
    inline: str | None
    manifest: str


@dataclass(frozen=True, slots=True)
class JobUpdate:
    """What is to be changed of a live job; None and nothing leave it as it is."""

    max_concurrency: int | None = None
    tolerated_failure_count: int | None = None
    tolerated_failure_percentage: float | None = None
    add_tags: tuple[str, ...] = ()
    remove_tags: tuple[str, ...] = ()


def updated_spec(spec: dict[str, Any], update: JobUpdate) -> dict[str, Any]:
    """Return a job's spec, as ``JobSpec.to_json`` gives it, as it reads after an update.

    Raises:
        InputError: There would be too many tags.
    """
    policy = dict(spec["failurePolicy"])
    if update.tolerated_failure_count is not None:
        policy["toleratedFailureCount"] = update.tolerated_failure_count
    if update.tolerated_failure_percentage is not None:
        policy["toleratedFailurePercentage"] = update.tolerated_failure_percentage
    tags = [tag for tag in spec["tags"] if tag not in update.remove_tags]
    tags = list(dict.fromkeys((*tags, *update.add_tags)))
    if len(tags) > MAX_TAGS:
        raise InputError(Issue(("input", "addTags"), f"a job has {MAX_TAGS} tags at most"))
    changed = {**spec, "failurePolicy": policy, "tags": tags}
    if update.max_concurrency is not None:
        changed["maxConcurrency"] = update.max_concurrency
    return changed


class JobStore(Protocol):
    """Jobs as callers see them.

    An accepted job survives the death of the process that accepted it, and its first tasks are
    dispatched in the same step. Raises ``UnavailableError`` when the store does not answer.
    """

    async def accept(self, new: NewJob) -> Accepted:
        """Store a job and dispatch its first tasks.

        Raises:
            IdempotencyConflictError: The key was used with another input.
            QuotaExceededError: The tenant has as much as it may have, or submits too often.
        """
        ...

    async def get(self, tenant: str, ids: Sequence[JobId]) -> list[Job | None]:
        """Return jobs of *tenant* in one round trip; None for those that do not exist."""
        ...

    async def statuses(self, tenant: str, ids: Sequence[JobId]) -> list[JobStatus | None]:
        """Return where jobs of *tenant* stand, as ``get`` does, without what was submitted."""
        ...

    async def page(
        self, tenant: str, *, first: int, after: JobId | None, wanted: JobFilter
    ) -> JobPage:
        """List jobs, newest first; what comes or ends meanwhile hides and repeats no other."""
        ...

    async def workers(self) -> int:
        """Return how many workers are alive."""
        ...

    async def details(self, job: JobId) -> JobDetails:
        """Return what is kept beside a job's status."""
        ...

    async def tasks(
        self, job: JobId, *, first: int, after: int | None, wanted: TaskFilter
    ) -> TaskPage:
        """List a job's tasks."""
        ...

    async def failures(self, job: JobId, *, first: int, after: int | None) -> FailurePage:
        """List a job's failed items, over all its runs but those that a redrive mended."""
        ...

    async def is_erased(self, tenant: str, job: JobId) -> bool:
        """Return whether *tenant* had a job that was erased within about a week."""
        ...

    async def restore(self, found: FoundResult) -> bool:
        """Put back an ended job that the store has lost; False when it still knows of it.

        Also False when the job was erased, or would have been by now.
        """
        ...


class JobControl(Protocol):
    """What may be done to an accepted job."""

    async def cancel(self, tenant: str, job: JobId, *, reason: str | None) -> None:
        """Stop a job; one that has ended, or is being cancelled, stays as it is.

        Raises:
            NotFoundError: *tenant* has no such job.
        """
        ...

    async def update(self, tenant: str, job: JobId, update: JobUpdate) -> None:
        """Change a live job; what runs goes on, and no more starts than may.

        A tolerance that has been exceeded already ends the job.

        Raises:
            NotFoundError: *tenant* has no such job.
            InvalidStateError: The job has ended or is being cancelled.
            InputError: There would be too many tags.
        """
        ...

    async def redrive(
        self,
        tenant: str,
        job: JobId,
        *,
        params: dict[str, Any] | None,
        idempotency_key: str | None,
    ) -> None:
        """Begin the next run of a job that has ended: only what did not succeed runs again.

        Map tasks that succeeded without failed items keep their output, as long as it is there;
        reduce and finish run again.

        Args:
            tenant: Whose job it is.
            job: The job.
            params: Replaces the job's; they have been checked. None leaves them.
            idempotency_key: The same key again changes nothing.

        Raises:
            NotFoundError: *tenant* has no such job.
            InvalidStateError: The job has not ended, has succeeded, or was put back: of that, only
                its result is known.
            QuotaExceededError: The tenant has as many live jobs as it may have.
        """
        ...

    async def delete(self, tenant: str, job: JobId) -> None:
        """Make a job that has ended unknown to everybody; its blobs and its data are still there.

        Whether or not somebody removes them at once, a caretaker does so later.

        Raises:
            NotFoundError: *tenant* has no such job.
            InvalidStateError: The job has not ended.
        """
        ...

    async def erase(self, job: JobId) -> None:
        """Remove all data of a job that was deleted and has no blobs any more."""
        ...


@dataclass(frozen=True, slots=True)
class JobDetails:
    """What is kept beside a job's status.

    Attributes:
        counters: Built-in and user counters, summed over committed attempts.
        manifest: Blob name of the result's manifest; None until there is one.
        report: That of a manifest without a result, which tells how far the last run came; None
            until there is one.
    """

    counters: dict[str, float]
    manifest: str | None
    report: str | None = None
