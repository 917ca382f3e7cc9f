"""All watched jobs of a process: read together, polled by one timer, listened to over one bell.

It owns the order that makes following right: attach the listener, wait until it is live, read, then
read once more after every ring. What rings while a read is under way is read with the next one, so
thousands of changes a second cost few round trips.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from contextvars import Context
from itertools import islice
from typing import Final

from engine.bell import Bell, job_topic
from engine.cancellation import cancel_all
from engine.errors import FanfoldError, UnavailableError
from engine.job import JobId, JobStatus
from engine.jobs import JobStore
from engine.meters import UNMEASURED, PushMeter
from engine.tracer import UNTRACED, Tracer
from resolvers.live.lookout import Retry, Timing
from resolvers.live.shared import shutting_down
from resolvers.live.watch import JobWatch

JOBS_A_READ: Final = 500
TOLD_AT_ONCE: Final = 100
"""Of those, before others have a turn."""
READS_AT_ONCE: Final = 2
MAX_POLLS_PER_S: Final = 200
"""So that ten thousand quiet jobs, whose rings may be trusted, cost next to nothing."""
_TICKS_A_POLL: Final = 8

_log = logging.getLogger(__name__)


class JobWatches:
    """Makes a watch for the first who holds it, and ends it when the last one leaves.

    While reading fails with ``UnavailableError`` it is tried again; any other exception ends the
    watch of the job at fault, and everybody who waits is told.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        bell: Bell,
        timing: Timing,
        meter: PushMeter = UNMEASURED,
        tracer: Tracer = UNTRACED,
    ) -> None:
        self._jobs = jobs
        self._bell = bell
        self._timing = timing
        self._meter = meter
        self._tracer = tracer
        self._watches: OrderedDict[tuple[str, JobId], JobWatch] = OrderedDict()
        self._due: dict[str, dict[JobWatch, None]] = {}
        self._readers: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._watches)

    def hold(self, tenant: str, job: JobId) -> JobWatch:
        """Return the watch of a job; ``release`` it.

        Raises:
            UnavailableError: ``close`` has been called.
        """
        if self._is_closed:
            raise shutting_down()
        key = (tenant, job)
        watch = self._watches.get(key)
        if watch is None or watch.has_failed:
            watch = self._watches[key] = JobWatch(tenant, job, self._ask)
            watch.detach = self._bell.attach(job_topic(job), watch.ring)
            if self._timer is None:
                self._set_timer()
        watch.holders += 1
        return watch

    def release(self, watch: JobWatch) -> None:
        """Leave a watch; to be called once for each ``hold``."""
        watch.holders -= 1
        if watch.holders:
            return
        self._detach(watch)
        due = self._due.get(watch.tenant)
        if due is not None:
            due.pop(watch, None)
        key = (watch.tenant, watch.job)
        if self._watches.get(key) is watch:
            del self._watches[key]

    async def close(self) -> None:
        """Stop everything; whoever waits gets ``UnavailableError``."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
        for watch in list(self._watches.values()):
            self._detach(watch)
            watch.fail(shutting_down())
        await cancel_all(list(self._readers))

    def _detach(self, watch: JobWatch) -> None:
        if watch.detach is not None:
            watch.detach()
            watch.detach = None

    def _ask(self, watch: JobWatch) -> None:
        if not watch.holders:
            return
        self._due.setdefault(watch.tenant, {})[watch] = None
        if not self._readers and not self._is_closed:
            self._start_reader()

    def _start_reader(self) -> None:
        # It works for all followers, not for the request that happened to start it.
        reader = asyncio.create_task(self._read_until_done(), name="job reader", context=Context())
        self._readers.add(reader)

    async def _read_until_done(self) -> None:
        try:
            await self._read_due()
        finally:
            # At once: what is asked for later starts another.
            reader = asyncio.current_task()
            self._readers = {other for other in self._readers if other is not reader}

    async def _read_due(self) -> None:
        """Read until nothing is due."""
        retry = Retry(self._timing)
        while batch := self._take():
            if self._due and len(self._readers) < READS_AT_ONCE:
                self._start_reader()
            try:
                await self._read(batch)
                retry.reset()
            except UnavailableError as exc:
                self._take_back(batch)
                await retry.wait("following jobs", exc)
            except Exception as exc:  # noqa: BLE001 - told to every follower
                await self._read_singly(batch, exc)

    def _take(self) -> list[JobWatch]:
        """Begin to read some jobs of the tenant whose turn it is."""
        batch: list[JobWatch] = []
        while self._due and not batch:
            tenant = next(iter(self._due))
            due = self._due.pop(tenant)
            some = list(islice(due, JOBS_A_READ))
            for watch in some:
                del due[watch]
            if due:
                self._due[tenant] = due  # behind those of others
            batch = [w for w in some if w.is_wanted and not w.is_being_read]
        for watch in batch:
            watch.begin()
        return batch

    async def _read(self, batch: Sequence[JobWatch]) -> None:
        found = await self._jobs.statuses(batch[0].tenant, [watch.job for watch in batch])
        now = asyncio.get_running_loop().time()
        is_measured = False
        for number, (watch, status) in enumerate(zip(batch, found, strict=True), 1):
            if status is None or watch.status is None or status.version <= watch.status.version:
                watch.finish(status, now=now)
            else:
                if watch.was_awaited and not is_measured:
                    # One for all that were read together; the rest would not be much different.
                    is_measured = True
                    self._meter.read(status.updated_at)
                if status.traceparent is None:
                    watch.finish(status, now=now)
                else:
                    with self._span(status, status.traceparent):
                        watch.finish(status, now=now)
            if watch.is_wanted:
                self._ask(watch)
            if number % TOLD_AT_ONCE == 0:
                await asyncio.sleep(0)

    def _span(self, status: JobStatus, parent: str) -> AbstractContextManager[None]:
        """Return a span for the time in which followers are told."""
        return self._tracer.span("push", parent=parent, job=status.id, version=status.version)

    async def _read_singly(self, batch: Sequence[JobWatch], error: Exception) -> None:
        """Tell the followers of the job at fault, and nobody else."""
        for watch in batch:
            if len(batch) > 1 and watch.is_being_read:
                try:
                    await self._read([watch])
                    continue
                except UnavailableError:
                    self._take_back([watch])
                    continue
                except Exception as exc:  # noqa: BLE001 - told to every follower
                    error = exc
            if watch.is_being_read:
                self._end(watch, error)

    def _end(self, watch: JobWatch, error: Exception) -> None:
        topic = job_topic(watch.job)
        _log.error("following %s ended", topic, exc_info=error)
        failure = FanfoldError(f"following {topic} ended")
        failure.__cause__ = error
        watch.is_being_read = False
        watch.fail(failure)

    def _take_back(self, batch: Iterable[JobWatch]) -> None:
        for watch in batch:
            watch.give_up()
            if watch.is_wanted:
                self._ask(watch)

    def _set_timer(self) -> None:
        delay_s = self._timing.poll_s / _TICKS_A_POLL * random.uniform(0.8, 1.2)  # noqa: S311
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._poll)

    def _poll(self) -> None:
        """Ring for the next eighth of the jobs, where nothing was read for a while."""
        self._timer = None
        if not self._watches or self._is_closed:
            return
        loop_now = asyncio.get_running_loop().time()
        quiet_since = loop_now - self._timing.poll_s * (1 - 1 / _TICKS_A_POLL)
        most = max(1, int(MAX_POLLS_PER_S * self._timing.poll_s / _TICKS_A_POLL))
        for _ in range(min(most, -(-len(self._watches) // _TICKS_A_POLL))):
            key, watch = next(iter(self._watches.items()))
            self._watches.move_to_end(key)
            if watch.read_at <= quiet_since:
                watch.refresh()
        self._set_timer()
