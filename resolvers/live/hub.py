"""The hub: one per API process; lets any number of callers follow jobs.

A subscription is a level, not a log: it gives the present state, then newer ones. A slow follower
skips versions and never holds more than the newest; nobody misses the end. See
ARCHITECTURE.md, "Level-triggered status".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from types import TracebackType
from typing import Final, Self

from engine.bell import Bell
from engine.cancellation import cancel_all
from engine.errors import InputError, Issue
from engine.job import JobId, JobStatus
from engine.jobs import JobStore
from engine.meters import UNMEASURED, PushMeter
from engine.tracer import UNTRACED, Tracer
from resolvers.access.authorize import require, require_own_id
from resolvers.access.caller import Caller, Scope
from resolvers.live.feed import TenantFeed
from resolvers.live.inbox import Inbox
from resolvers.live.lookout import Lookout, Timing
from resolvers.live.pace import Pace
from resolvers.live.shared import Shared
from resolvers.live.watch import UNKNOWN, JobWatch
from resolvers.live.watches import JobWatches

MAX_INTERVAL_MS: Final = 60_000


class StatusHub:
    """Follows jobs for the callers of this process.

    Use as an async context manager: leaving it ends every subscription with ``UnavailableError``
    and waits until all listeners are detached.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        bell: Bell,
        timing: Timing | None = None,
        meter: PushMeter = UNMEASURED,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._jobs = jobs
        self._bell = bell
        self._timing = timing or Timing()
        self._tasks: set[asyncio.Task[None]] = set()
        self._watches = JobWatches(
            jobs=jobs, bell=bell, timing=self._timing, meter=meter, tracer=tracer
        )
        self._meter = meter
        self._tracer = tracer
        self._feeds: Shared[str, TenantFeed] = Shared(self._tasks)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await self._watches.close()
        self._feeds.close()
        await cancel_all(list(self._tasks))

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
            ForbiddenError: The caller may not read.
            NotFoundError: There is no such job, or it is another tenant's.
            InputError: The interval is out of range.
            UnavailableError: This process is shutting down.
        """
        require(caller, Scope.READ)
        pace = Pace(interval_s(min_interval_ms))
        job = require_own_id(caller, job_id)
        version = UNKNOWN if after_version is None else after_version
        with self._watched(caller.tenant, job) as watch:
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
            ForbiddenError: The caller may not read.
            InputError: The interval is out of range.
            UnavailableError: This process is shutting down, or the follower is 10,000 jobs behind.
        """
        require(caller, Scope.READ)
        inbox = Inbox(tag=tag, min_interval_s=interval_s(min_interval_ms))
        with self._tenant_feed(caller.tenant) as feed:
            feed.join(inbox)
            try:
                while True:
                    for status in inbox.take(asyncio.get_running_loop().time):
                        if caller.sees(status.id):
                            yield status
                    await _read_or_ready(feed.lookout, inbox)
            finally:
                feed.leave(inbox)

    def watch(self, caller: Caller, job_id: str) -> JobWatch:
        """Return the watch of a job, for followers that need no task; ``unwatch`` it.

        Whether the job exists is told to those who wait.

        Raises:
            ForbiddenError: The caller may not read.
            NotFoundError: No such job can exist for the caller.
            UnavailableError: This process is shutting down.
        """
        require(caller, Scope.READ)
        return self._watches.hold(caller.tenant, require_own_id(caller, job_id))

    def unwatch(self, watch: JobWatch) -> None:
        """Leave a watch; to be called once for each ``watch``."""
        self._watches.release(watch)

    def open_feed(self, caller: Caller) -> OpenFeed:
        """Return the feed of the caller's tenant, for followers that share a task; close it.

        Raises:
            ForbiddenError: The caller may not read.
            UnavailableError: This process is shutting down.
        """
        require(caller, Scope.READ)
        stack = ExitStack()
        feed = stack.enter_context(self._tenant_feed(caller.tenant))
        return OpenFeed(feed, stack.close, self._tracer)

    @contextmanager
    def _watched(self, tenant: str, job: JobId) -> Iterator[JobWatch]:
        watch = self._watches.hold(tenant, job)
        try:
            watch.refresh()
            yield watch
        finally:
            self._watches.release(watch)

    @contextmanager
    def _tenant_feed(self, tenant: str) -> Iterator[TenantFeed]:
        def make() -> TenantFeed:
            return TenantFeed(
                jobs=self._jobs,
                bell=self._bell,
                tenant=tenant,
                timing=self._timing,
                meter=self._meter,
            )

        with self._feeds.hold(tenant, make) as feed:
            yield feed


class OpenFeed:
    """A tenant's feed that is held open; see ``StatusHub.open_feed``."""

    def __init__(self, feed: TenantFeed, close: Callable[[], None], tracer: Tracer) -> None:
        self._feed = feed
        self._tracer = tracer
        self.close = close

    def join(self, inbox: Inbox) -> None:
        """Fill *inbox* with the present state of every live job, then with what changes."""
        self._feed.join(inbox)

    def leave(self, inbox: Inbox) -> None:
        """Put nothing more into *inbox*."""
        self._feed.leave(inbox)

    def span(self, status: JobStatus) -> AbstractContextManager[None]:
        """Return a span for the time in which the first of the followers is told."""
        if status.traceparent is None:
            return nullcontext()
        return self._tracer.span(
            "push", parent=status.traceparent, job=status.id, version=status.version
        )

    async def read_or(self, time: float | None) -> None:
        """Wait until something was read, or until *time* by the loop's clock.

        Raises:
            FanfoldError: Nothing will be read any more.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout_at(time):
                await self._feed.lookout.next_read()


async def _read_or_ready(lookout: Lookout, inbox: Inbox) -> None:
    """Wait until something was read, or until the inbox may be emptied further."""
    with suppress(TimeoutError):
        async with asyncio.timeout_at(inbox.ready_at()):
            await lookout.next_read()


def interval_s(interval_ms: int) -> float:
    """Return an interval in seconds.

    Raises:
        InputError: It is out of range.
    """
    if 0 <= interval_ms <= MAX_INTERVAL_MS:
        return interval_ms / 1000
    message = f"must be 0 to {MAX_INTERVAL_MS}, is {interval_ms}"
    raise InputError(Issue(("minIntervalMs",), message))
