"""Which run of a job is live, for those who were told of another one."""

from __future__ import annotations

from typing import Protocol

from engine.job import JobId


class LiveRuns(Protocol):
    """What the ledger knows of runs and an execution does not, which may go on with the next."""

    def present(self, job: JobId) -> int | None:
        """Return the run of a job that is to be worked on, if there is one."""
        ...

    def look(self, job: JobId, run: int) -> None:
        """Have somebody see to it that a run goes on."""
        ...
