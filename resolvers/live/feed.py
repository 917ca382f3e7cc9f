"""A feed: the changes of all jobs of a tenant, shared by all who follow them in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Final

from engine.bell import ANY_JOB, Bell, tenant_topic
from engine.job import Job, JobId, JobState
from engine.jobs import JobFilter, JobStore
from engine.meters import UNMEASURED, PushMeter
from resolvers.live.inbox import MAX_BEHIND, Inbox
from resolvers.live.lookout import Lookout, Timing

LIVE: Final = frozenset(state for state in JobState if not state.is_terminal)
_PAGE: Final = 200
_ENDED_REMEMBERED: Final = 2_000
_MARGIN: Final = timedelta(seconds=1)
"""Jobs may share a millisecond, and the store's clock may be set back a little."""
_LONG_AGO: Final = datetime(1970, 1, 2, tzinfo=UTC)


class TenantFeed:
    """Reads the jobs that rang, in one round trip, and puts what is newer into every inbox.

    Where any job may have rung it reads every live one, those that were live when last seen, and
    those accepted since the newest it knows: they may have come and ended unheard.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        bell: Bell,
        tenant: str,
        timing: Timing,
        meter: PushMeter = UNMEASURED,
    ) -> None:
        self._jobs = jobs
        self._tenant = tenant
        self._meter = meter
        self._live: dict[JobId, Job] = {}
        self._ended: OrderedDict[JobId, int] = OrderedDict()
        self._newest: datetime | None = None
        self._inboxes: set[Inbox] = set()
        self._newcomers: set[Inbox] = set()
        self.lookout = Lookout(
            bell=bell,
            topic=tenant_topic(tenant),
            read=self._read,
            timing=timing,
            rest_s=timing.rest_s,
        )

    def join(self, inbox: Inbox) -> None:
        """Fill *inbox* with the present state of every live job, then with what changes."""
        self._newcomers.add(inbox)
        self.lookout.ring(ANY_JOB)

    def leave(self, inbox: Inbox) -> None:
        """Put nothing more into *inbox*."""
        self._newcomers.discard(inbox)
        self._inboxes.discard(inbox)

    async def _read(self, rung: frozenset[JobId]) -> None:
        newcomers = frozenset(self._newcomers)
        if ANY_JOB in rung:
            found = await self._read_everything()
        else:
            found = [job for job in await self._jobs.get(self._tenant, sorted(rung)) if job]
            self._measure(found)
        for job in found:
            self._take(job)
        for inbox in newcomers & self._newcomers:
            self._welcome(inbox)

    async def _read_everything(self) -> list[Job]:
        """Read the live jobs, those that were live when last seen, and the recent ones."""
        known = set(self._live)
        newest = self._newest or await self._read_newest()
        live = {job.id: job async for job in self._read_jobs(JobFilter(states=LIVE))}
        gone = sorted(known - live.keys())
        again = await self._jobs.get(self._tenant, gone) if gone else []
        recent = await self._read_recent(since=newest - _MARGIN)
        for job, found in zip(gone, again, strict=True):
            if found is None:
                del self._live[job]
        self._newest = newest
        return [*live.values(), *(job for job in again if job), *recent]

    async def _read_newest(self) -> datetime:
        """Return when the tenant's newest job was accepted."""
        page = await self._jobs.page(self._tenant, first=1, after=None, wanted=JobFilter())
        return page.jobs[0].created_at if page.jobs else _LONG_AGO

    async def _read_recent(self, *, since: datetime) -> list[Job]:
        """Return the jobs accepted after *since*, ended ones too, the newest last.

        Stops where so many have ended that every inbox without a tag refuses them.
        """
        recent: list[Job] = []
        ended = 0
        async for job in self._read_jobs(JobFilter(created_after=since)):
            recent.append(job)
            ended += job.status.state.is_terminal
            if ended > MAX_BEHIND:
                break
        return recent[::-1]

    async def _read_jobs(self, wanted: JobFilter) -> AsyncIterator[Job]:
        after: JobId | None = None
        while True:
            page = await self._jobs.page(self._tenant, first=_PAGE, after=after, wanted=wanted)
            for job in page.jobs:
                yield job
                after = job.id
            if not page.has_next:
                return

    def _take(self, job: Job) -> None:
        if self._newest is None or job.created_at > self._newest:
            self._newest = job.created_at
        if job.status.version <= self._version_of(job.id):
            return
        if job.status.state.is_terminal:
            self._live.pop(job.id, None)
            self._remember_ended(job)
        else:
            self._live[job.id] = job
            self._ended.pop(job.id, None)
        for inbox in self._inboxes:
            inbox.put(job)

    def _measure(self, found: list[Job]) -> None:
        """Tell the meter how late one of those is that rang; the rest were read with it."""
        newer = (j for j in found if -1 < self._version_of(j.id) < j.status.version)
        first = next(newer, None)
        if first is not None:
            self._meter.read(first.status.updated_at)

    def _version_of(self, job: JobId) -> int:
        live = self._live.get(job)
        return live.status.version if live else self._ended.get(job, -1)

    def _remember_ended(self, job: Job) -> None:
        self._ended[job.id] = job.status.version
        self._ended.move_to_end(job.id)
        if len(self._ended) > _ENDED_REMEMBERED:
            self._ended.popitem(last=False)

    def _welcome(self, inbox: Inbox) -> None:
        self._newcomers.discard(inbox)
        for job in self._live.values():
            inbox.put(job)
        self._inboxes.add(inbox)
