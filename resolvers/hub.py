"""The hub: one per API process; lets any number of callers follow jobs.

A subscription is a level, not a log: it gives the present state, then newer ones. A slow follower
skips versions and never holds more than the newest; nobody misses the end. See
ARCHITECTURE.md, "Level-triggered status".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Final, Self

from engine.bell import Bell
from engine.errors import InputError, Issue, NotFoundError
from engine.job import JobId, JobStatus
from engine.jobs import JobStore
from resolvers.caller import Caller
from resolvers.feed import TenantFeed
from resolvers.ids import job_id_from, no_such_job
from resolvers.inbox import Inbox
from resolvers.lookout import Lookout, Timing
from resolvers.pace import Pace
from resolvers.shared import Shared
from resolvers.watch import JobWatch

MAX_INTERVAL_MS: Final = 60_000


class StatusHub:
    """Follows jobs for the callers of this process.

    Use as an async context manager: leaving it ends every subscription with ``UnavailableError``
    and waits until all listeners are detached.
    """

    def __init__(self, *, jobs: JobStore, bell: Bell, timing: Timing | None = None) -> None:
        self._jobs = jobs
        self._bell = bell
        self._timing = timing or Timing()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches: Shared[tuple[str, JobId], JobWatch] = Shared(self._tasks)
        self._feeds: Shared[str, TenantFeed] = Shared(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._watches.close()
        self._feeds.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def listeners(self) -> int:
        """Jobs and tenants that are being listened to."""
        return len(self._watches) + len(self._feeds)

    async def follow(
        self,
        caller: Caller,
        job_id: str,
        *,
        after_version: int | None = None,
        min_interval_ms: int = 0,
    ) -> AsyncGenerator[JobStatus, None]:
        """Yield the job's present state, then newer ones, the terminal one last.

        Versions only rise; some may be skipped. While the store does not answer, nothing comes,
        and nothing is lost. Close the generator to leave.

        Args:
            caller: Who follows.
            job_id: The job.
            after_version: Yield only what is newer; a job that ended by then yields nothing.
            min_interval_ms: Shortest time between two states, the terminal one included.

        Raises:
            NotFoundError: There is no such job, or it is another tenant's.
            InputError: The interval is out of range.
            UnavailableError: This process is shutting down.
        """
        pace = Pace(_interval_s(min_interval_ms))
        job = job_id_from(job_id)
        if job is None:
            raise NotFoundError(no_such_job(job_id))
        version = -1 if after_version is None else after_version
        with self._watch(caller.tenant, job) as watch:
            while True:
                await pace.ready()
                status = await watch.newer_than(version)
                if status.version <= version:
                    return
                version = status.version
                pace.start()
                yield status
                if status.state.is_terminal:
                    return

    async def feed(
        self, caller: Caller, *, tag: str | None = None, min_interval_ms: int = 0
    ) -> AsyncGenerator[JobStatus, None]:
        """Yield the present state of every live job of the tenant, then what changes; never ends.

        For each job as in ``follow``: versions rise, some may be skipped, the terminal one comes.

        Args:
            caller: Who follows.
            tag: Only jobs that carry it.
            min_interval_ms: Shortest time between two states of the same job.

        Raises:
            InputError: The interval is out of range.
            UnavailableError: This process is shutting down, or the follower is 10,000 jobs behind.
        """
        inbox = Inbox(tag=tag, min_interval_s=_interval_s(min_interval_ms))
        with self._tenant_feed(caller.tenant) as feed:
            feed.join(inbox)
            try:
                while True:
                    for status in inbox.take(asyncio.get_running_loop().time):
                        yield status
                    await _read_or_ready(feed.lookout, inbox)
            finally:
                feed.leave(inbox)

    @contextmanager
    def _watch(self, tenant: str, job: JobId) -> Iterator[JobWatch]:
        def make() -> JobWatch:
            return JobWatch(
                jobs=self._jobs, bell=self._bell, tenant=tenant, job=job, timing=self._timing
            )

        with self._watches.hold((tenant, job), make) as watch:
            watch.join()
            yield watch

    @contextmanager
    def _tenant_feed(self, tenant: str) -> Iterator[TenantFeed]:
        def make() -> TenantFeed:
            return TenantFeed(jobs=self._jobs, bell=self._bell, tenant=tenant, timing=self._timing)

        with self._feeds.hold(tenant, make) as feed:
            yield feed


async def _read_or_ready(lookout: Lookout, inbox: Inbox) -> None:
    """Wait until something was read, or until the inbox may be emptied further."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(inbox.ready_at()):
            await lookout.next_read()


def _interval_s(interval_ms: int) -> float:
    if 0 <= interval_ms <= MAX_INTERVAL_MS:
        return interval_ms / 1000
    message = f"must be 0 to {MAX_INTERVAL_MS}, is {interval_ms}"
    raise InputError(Issue(("minIntervalMs",), message))
