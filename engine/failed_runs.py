"""Runs that failed outside of the ledger: the system that dispatched them gave them up."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Protocol

from engine.job import JobError, JobId
from engine.run_ledger import RunLedger

RUNNER_FAILED: Final = "RUNNER_FAILED"
"""Code of the error of such a run."""


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A run that is worked on no more.

    Attributes:
        job: The job.
        run: Which of its runs.
        why: What the system says.
    """

    job: JobId
    run: int
    why: str


class RunWatcher(Protocol):
    """A system that can be asked which runs it has given up, since nobody tells."""

    def failed_runs(self) -> Iterable[FailedRun]:
        """Yield runs that have failed, or were cancelled, lately; the same again and again.

        Blocks, and raises ``UnavailableError`` when the system does not answer.
        """
        ...


def end_failed_runs(watcher: RunWatcher, ledger: RunLedger) -> None:
    """End the runs that *watcher* knows to have failed; those that have ended stay as they are.

    Raises:
        UnavailableError: The watcher or the ledger does not answer.
    """
    for failed in watcher.failed_runs():
        error = JobError(RUNNER_FAILED, f"the runner gave up: {failed.why}", retryable=True)
        ledger.end(failed.job, failed.run, error)
