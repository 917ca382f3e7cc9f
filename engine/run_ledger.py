"""The port to the ledger of runs whose tasks another system dispatches: Step Functions, Spark.

That system decides when a task runs and notices when its process dies. The ledger decides what has
been done: it numbers attempts, fences late ones, counts, says whether a failed task is tried again,
and opens the next phase. Every step is safe to repeat.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from engine.attempt import Attempt, Outcome, Piece
from engine.job import JobError, JobId, TaskId, TaskKind
from engine.ledger import Claim, Verdict


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed task is to be tried again.

    Attributes:
        after_s: How long to wait before that.
    """

    after_s: float


@dataclass(frozen=True, slots=True)
class Phase:
    """A phase that has been opened.

    Attributes:
        kind: Of its tasks.
        tasks: How many there are.
        max_concurrency: How many may run at once; None for as many as the runner wants.
        may_fail: Whether the run goes on when one of them fails for good, as far as is known.
    """

    kind: TaskKind
    tasks: int
    max_concurrency: int | None = None
    may_fail: bool = True


class RunLedger(Protocol):
    """State of tasks, changed by the attempts that hold them.

    Promised: at most one attempt of a task is committed; ``version`` of the job rises with every
    change. Every method blocks and raises ``UnavailableError`` when the store does not answer; the
    step may then have happened.
    """

    def begin(
        self, job: JobId, task: TaskId, *, worker: str, known_items: int = 0
    ) -> Attempt | None:
        """Take a task under the next attempt number; whoever held it before is fenced.

        The attempt has no batch and no inputs: those are in blobs that the plan and ``pieces``
        tell of. None when the task has been committed or has failed for good, or the job's run is
        over.

        Args:
            job: The job.
            task: The task. A map task that the plan does not count, as where the runner itself
                lists the source, becomes known by this.
            worker: Who runs it.
            known_items: Items of a map task's batch, where they are known; what it counts for while
                it runs, and when it fails for good.
        """
        ...

    def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """Make an attempt's outcome the task's.

        Items that it set aside count as failed; more than the job tolerates end it. The piece of a
        plan task is the blob of its batches, and its ``items`` are those that are known to be in
        them, 0 for an unknown number.
        """
        ...

    def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Retry | None:
        """End an attempt; None when the task has failed for good, or the attempt is fenced.

        A map task that fails for good counts all its items as failed; the job goes on without them
        if it tolerates that, and ends otherwise.
        """
        ...

    def lost(self, job: JobId, task: TaskId, error: JobError) -> Retry | None:
        """End the present attempt of a task whose process died without a word; as ``fail``.

        A process that died before it took the task has used up a try, too: else one that cannot
        even start would be started for ever. None also for a task that has been committed.
        """
        ...

    def is_wanted(self, job: JobId, task: TaskId) -> bool:
        """Return whether a task may be begun: nobody holds it, and it has not ended in this run."""
        ...

    def open(self, job: JobId, kind: TaskKind) -> Phase | None:
        """Close the phase before *kind*, whose tasks have all ended, and open that of *kind*.

        Counts again what is committed, so that figures are exact from here on. None when the job's
        run is over, as it may be by this very step: too many items have failed. The phase before,
        as it stands, where tasks of it have yet to end, as after a redrive. Opening a phase again
        changes nothing.
        """
        ...

    def pieces(self, job: JobId, kind: TaskKind) -> Iterator[Piece]:
        """Yield what committed tasks of a kind left, in task order."""
        ...

    def end(self, job: JobId, run: int, error: JobError) -> None:
        """Fail a run for a reason outside of its tasks; one that is over stays as it is."""
        ...

    def is_live(self, job: JobId, run: int) -> bool:
        """Return whether a run is still to be worked on."""
        ...
