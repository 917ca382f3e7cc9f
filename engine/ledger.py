"""The port to the ledger: what has been done, decided in small atomic steps.

Delivery is at least once and in any order; the ledger makes it exactly once. Every step is safe to
repeat, and a step by an attempt that is no longer current changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.job import JobError, JobId, TaskId


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run one attempt, as dispatched: three names, no data."""

    job: JobId
    task: TaskId
    number: int


@dataclass(frozen=True, slots=True)
class EndedJob:
    """A job that is to be tidied up.

    Attributes:
        id: Which one.
        run: The run that ended last.
        manifest: Blob of the manifest of its result or report; None where it has neither.
    """

    id: JobId
    run: int
    manifest: str | None


@dataclass(frozen=True, slots=True)
class EndedRun:
    """A run that has ended without a result.

    Attributes:
        job: Whose run it is.
        run: Its number.
        program: The program, or ``sql``.
        has_failures: Whether items failed.
        facts: The job's spec, state and counts, for a manifest.
    """

    job: JobId
    run: int
    program: str
    has_failures: bool
    facts: dict[str, Any]


class Verdict(StrEnum):
    """What the ledger said to a commit or failure."""

    ACCEPTED = "ACCEPTED"
    REPEATED = "REPEATED"
    """The same attempt had already said so."""
    FENCED = "FENCED"
    """The attempt no longer holds its task: another took over, or the job has ended."""


class PlanLedger(Protocol):
    """Batches on their way from a plan attempt to the map phase."""

    async def extend(self, claim: Claim, first: int, batches: Sequence[Batch]) -> Verdict:
        """Store the plan's batches number *first* and following.

        Where the number of partitions is known from the start, map tasks begin at once, and a
        later attempt that finds other batches ends the job. Elsewhere nobody sees them before the
        plan is committed, and a later attempt writes over them.
        """
        ...


class Roster(Protocol):
    """Which workers are alive; ``Ledger.renew`` keeps a worker on it, for a few seconds."""

    async def enter(self, worker: str) -> None:
        """Count *worker* among those who are alive."""
        ...

    async def leave(self, worker: str) -> None:
        """Count *worker* no longer, as when it is told to stop."""
        ...


class Ledger(PlanLedger, Roster, Protocol):
    """State of tasks, changed by the attempts that hold them.

    Promised: at most one attempt of a task is committed; ``version`` of the job rises by one with
    every change, followed by a ring of its bell; closing a phase and opening the next happen in the
    commit that closes it. Not promised: that an attempt runs only once, or that attempts run in
    order. Raises ``UnavailableError`` when the store does not answer; the step may then have
    happened, and repeating it is safe.
    """

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        """Take a task for *worker* under a lease; None when the claim is out of date."""
        ...

    async def renew(self, claims: Sequence[Claim], *, worker: str) -> Iterable[Claim]:
        """Extend the leases of *claims* and return those that are lost and must stop.

        A worker calls it every second, also with no claims: it tells that *worker* is alive.
        """
        ...

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """Make an attempt's outcome the task's.

        Items that it set aside count as failed; if they are more than the job tolerates, the same
        step ends the job.
        """
        ...

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict:
        """End an attempt: the task is tried again later, or has failed for good.

        A map task that fails for good counts all its items as failed; the job goes on without them
        if it tolerates that.

        Args:
            claim: The attempt.
            error: Why it failed.
            log: What the program logged; kept.
            location: Where a map task's batch is, for the list of failures.
        """
        ...

    async def release(self, claim: Claim) -> None:
        """Hand a task back untried, as when a worker is told to stop; no attempt is charged."""
        ...


class Sweeper(Protocol):
    """Repair of what dead workers left behind, and removal of what nobody needs any more."""

    async def sweep(self) -> int:
        """Try again every task whose lease has run out, end every job that ran out of time.

        The last tasks of a phase that take several times as long as others did get a rival: a
        second attempt beside the first, of which one is committed.

        Returns how many there were.
        """
        ...

    async def ended_jobs(self) -> Sequence[EndedJob]:
        """Return some ended jobs whose temporary data is there; until then, no next run begins."""
        ...

    async def unreported_runs(self) -> Sequence[EndedRun]:
        """Return some ended runs of which nobody has written yet how far they came."""
        ...

    async def reported(self, run: EndedRun, manifest: str) -> bool:
        """Tick a run off; *manifest* is the blob that tells how far it came.

        Returns whether that is now the report of its job. It is not where somebody else was faster,
        the next run has begun, or the job was deleted: what was written must go then.
        """
        ...

    async def is_untidied(self, ended: EndedJob) -> bool:
        """Tell whether a job is still to be tidied up after that run: no next one has begun."""
        ...

    async def cleaned(self, ended: EndedJob) -> None:
        """Remove what the store itself keeps for the tasks of that run, and tick the job off."""
        ...

    async def expired_jobs(self) -> Sequence[JobId]:
        """Make jobs that are due unknown to everybody; return some whose data is still there.

        One that was erased comes up once more, when its last attempts must have ended.
        """
        ...

    async def erase(self, job: JobId) -> None:
        """Remove all data of such a job, and tick it off; its blobs must be gone."""
        ...
