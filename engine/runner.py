"""Where map and reduce tasks run, and the port to systems that run them for us."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from engine.job import JobId


class Runner(StrEnum):
    """Where map and reduce tasks run."""

    WORKERS = "WORKERS"
    """arq workers over Redis."""
    STEP_FUNCTIONS = "STEP_FUNCTIONS"
    """AWS Step Functions Distributed Map with Lambda."""
    SPARK = "SPARK"
    """Spark: local, or EMR Serverless."""


class Launcher(Protocol):
    """A system that dispatches the tasks of a run by itself, and tries them again.

    What has been done is the ledger's to say (``engine.run_ledger``); the launcher only sees that
    somebody asks it. Every method blocks, is safe to repeat, and raises ``UnavailableError`` when
    the system does not answer.
    """

    def start(self, job: JobId, run: int, *, is_small: bool) -> None:
        """Begin a run; one that was begun already goes on.

        Args:
            job: The job; everything else about it is in the job store.
            run: 1 for the first, one more for each redrive.
            is_small: Whether its batches are known and few, so that it is over within minutes.
        """
        ...

    def resume(self, job: JobId, run: int) -> bool:
        """Let the system repeat what failed of the run before *run*, where it can do so by itself.

        Returns:
            False where it cannot: start *run* instead.
        """
        ...

    def stop(self, job: JobId, run: int) -> None:
        """Dispatch no more tasks of a run; one that has ended, or that nobody knows, stays so."""
        ...

    def limit(self, job: JobId, run: int, *, max_concurrency: int | None, may_fail: bool) -> None:
        """Let a run that is under way know its limits, which have been changed.

        Args:
            job: The job.
            run: Its present run.
            max_concurrency: How many tasks may run at once; None for as many as the system wants.
            may_fail: Whether a map task may fail without ending the run.
        """
        ...
