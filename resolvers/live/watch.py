"""A watch: the newest state of one job, shared by all who follow it in this process.

Whoever wants to hear of a newer state waits, is told once, and may wait again. So a follower that
is busy or slow holds nothing, and rings while nobody waits cost nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from engine.bell import ANY_JOB
from engine.errors import FanfoldError, NotFoundError
from engine.job import JobId, JobStatus
from resolvers.ids import no_such_job

UNKNOWN: Final = -1
"""Older than every version."""


class Waiter(Protocol):
    """Who waits for a newer state. Neither call may block or raise."""

    def tell(self, status: JobStatus) -> None:
        """Take a state newer than asked for, or one after which there will be none."""
        ...

    def fail(self, error: FanfoldError) -> None:
        """Take why there is none: the job does not exist, or following it has ended."""
        ...


class JobWatch:
    """What is known of one job, and who waits to know more.

    Args:
        tenant: Whose job it is.
        job: The job.
        ask: Called when the job should be read.
    """

    __slots__ = (
        "_ask",
        "_begun",
        "_failure",
        "_finished",
        "_is_live",
        "_waiting",
        "detach",
        "holders",
        "is_being_read",
        "is_stale",
        "job",
        "read_at",
        "status",
        "tenant",
        "was_awaited",
    )

    def __init__(self, tenant: str, job: JobId, ask: Callable[[JobWatch], None]) -> None:
        self.tenant = tenant
        self.job = job
        self.status: JobStatus | None = None
        self.holders = 0
        self.detach: Callable[[], None] | None = None
        self.is_stale = True
        self.is_being_read = False
        self.read_at = 0.0
        self.was_awaited = False
        self._ask = ask
        self._is_live = False
        self._begun = 0
        self._finished = 0
        self._waiting: list[tuple[int, int, Waiter]] = []
        self._failure: FanfoldError | None = None

    @property
    def is_wanted(self) -> bool:
        """Whether somebody waits who has not been told of all that is known to have rung."""
        return self.is_stale and self._is_live and bool(self._waiting)

    @property
    def has_failed(self) -> bool:
        """Whether nobody will be told anything any more."""
        return self._failure is not None

    def ring(self, _job: JobId = ANY_JOB) -> None:
        """Note that the job may have changed, and that the bell is heard."""
        self._is_live = True
        self.was_awaited = bool(self._waiting)
        self.refresh()

    def refresh(self) -> None:
        """Have the job read again for all who wait by then, be it unchanged."""
        self.is_stale = True
        if self._waiting and self._is_live and not self.is_being_read:
            self._ask(self)

    def wait(self, waiter: Waiter, version: int) -> None:
        """Tell *waiter* once of a state newer than *version*, or that there will be none.

        Where nothing has rung since the last read, what was read then may do, at once; else the
        state is one that is read later.
        """
        if self._failure is not None:
            waiter.fail(_copy(self._failure))
            return
        ticket = self._begun + self.is_stale
        if self._finished < ticket or not self._serve(waiter, version):
            self._waiting.append((ticket, version, waiter))
            if self.is_stale and self._is_live and not self.is_being_read:
                self._ask(self)

    async def newer_than(self, version: int) -> JobStatus:
        """Wait for a state newer than *version*, or one after which there will be none.

        Raises:
            NotFoundError: The tenant has no such job.
        """
        waiter = _Future()
        self.wait(waiter, version)
        return await waiter.told

    def begin(self) -> None:
        """Note that a read begins, which will show all that has rung by now."""
        self.is_stale = False
        self.is_being_read = True
        self._begun += 1

    def give_up(self) -> None:
        """Note that a read has failed: what rang is still to be read."""
        self.is_being_read = False
        self.is_stale = True
        self._begun -= 1

    def finish(self, status: JobStatus | None, *, now: float) -> None:
        """Note what was read, and tell all whom it concerns.

        Args:
            status: None where the tenant has no such job.
            now: By the loop's clock.
        """
        self.is_being_read = False
        self.read_at = now
        self._finished = self._begun
        if status is None or self.status is None or status.version > self.status.version:
            self.status = status
        waiting, self._waiting = self._waiting, []
        for entry in waiting:
            ticket, version, waiter = entry
            if ticket > self._finished or not self._serve(waiter, version):
                self._waiting.append(entry)

    def fail(self, error: FanfoldError) -> None:
        """Tell all who wait, and all who will, that following has ended."""
        self._failure = self._failure or error
        waiting, self._waiting = self._waiting, []
        for _, _, waiter in waiting:
            waiter.fail(_copy(error))

    def _serve(self, waiter: Waiter, version: int) -> bool:
        status = self.status
        if status is None:
            waiter.fail(NotFoundError(no_such_job(self.job)))
        elif status.version > version or status.state.is_terminal:
            waiter.tell(status)
        else:
            return False
        return True


class _Future:
    """A waiter that can be awaited."""

    __slots__ = ("told",)

    def __init__(self) -> None:
        self.told: asyncio.Future[JobStatus] = asyncio.get_running_loop().create_future()

    def tell(self, status: JobStatus) -> None:
        if not self.told.done():
            self.told.set_result(status)

    def fail(self, error: FanfoldError) -> None:
        if not self.told.done():
            self.told.set_exception(error)


def _copy(error: FanfoldError) -> FanfoldError:
    """Return an error of one's own to raise: a traceback is not shared."""
    copy = type(error)(error.message)
    copy.__cause__ = error
    return copy
