"""An inbox: the newest state of each job that one follower of a feed has not yet been sent."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

from engine.errors import UnavailableError
from engine.job import Job, JobId, JobStatus

MAX_BEHIND: Final = 10_000


class Inbox:
    """Holds one state for each job, and lets it out when the job's interval is over.

    Args:
        tag: Take only jobs that carry it; None takes all.
        min_interval_s: Shortest time between two states of the same job.
    """

    def __init__(self, *, tag: str | None, min_interval_s: float) -> None:
        self._tag = tag
        self._interval_s = min_interval_s
        self._unsent: dict[JobId, JobStatus] = {}
        self._ready_at: dict[JobId, float] = {}
        self._sent: dict[JobId, int] = {}
        self._ended_unsent = 0

    def put(self, job: Job) -> None:
        """Keep the job's state in place of an older one."""
        if self._tag is not None and self._tag not in job.spec["tags"]:
            return
        before = self._unsent.get(job.id)
        self._unsent[job.id] = job.status
        self._ended_unsent += job.status.state.is_terminal
        self._ended_unsent -= before is not None and before.state.is_terminal

    def take(self, clock: Callable[[], float]) -> Iterator[JobStatus]:
        """Yield and forget the states that may be sent by now.

        Args:
            clock: Gives the time in seconds.

        Raises:
            UnavailableError: Over 10,000 jobs have ended unread.
        """
        now = clock()
        for job in [job for job in self._unsent if self._ready_at.get(job, now) <= now]:
            if self._ended_unsent > MAX_BEHIND:
                raise UnavailableError(f"{MAX_BEHIND} jobs have ended unread; subscribe again")
            status = self._unsent.pop(job)
            if status.state.is_terminal:
                self._ended_unsent -= 1
                self._ready_at.pop(job, None)
            else:
                self._ready_at[job] = clock() + self._interval_s
            yield status

    def put_back(self, status: JobStatus) -> None:
        """Keep a state that was taken and could not be sent, unless there is a newer one."""
        if status.id not in self._unsent:
            self._unsent[status.id] = status
            self._ended_unsent += status.state.is_terminal
            self._ready_at.pop(status.id, None)

    def note_sent(self, status: JobStatus) -> int:
        """Note that a state was sent; return how many versions it left out."""
        before = self._sent.get(status.id)
        if status.state.is_terminal:
            self._sent.pop(status.id, None)
        else:
            self._sent[status.id] = status.version
        return 0 if before is None else status.version - before - 1

    def ready_at(self) -> float | None:
        """Return when the next state may be sent; None when there is none."""
        return min((self._ready_at.get(job, 0.0) for job in self._unsent), default=None)
