"""A feed: the changes of all jobs of a tenant, shared by all who follow them in this process."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import AsyncIterator
from typing import Final

from engine.bell import Bell, tenant_topic
from engine.job import Job, JobId, JobState
from engine.jobs import JobFilter, JobStore
from resolvers.inbox import Inbox
from resolvers.lookout import ANY_JOB, Lookout, Timing

LIVE: Final = frozenset(state for state in JobState if not state.is_terminal)
_PAGE: Final = 200
_ENDED_REMEMBERED: Final = 2_000


class TenantFeed:
    """Reads the jobs that rang, in one round trip, and puts what is newer into every inbox."""

    def __init__(self, *, jobs: JobStore, bell: Bell, tenant: str, timing: Timing) -> None:
        self._jobs = jobs
        self._tenant = tenant
        self._live: dict[JobId, Job] = {}
        self._ended: OrderedDict[JobId, int] = OrderedDict()
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
        for job in found:
            self._take(job)
        for inbox in newcomers & self._newcomers:
            self._welcome(inbox)

    async def _read_everything(self) -> list[Job]:
        """Read the live jobs, and those that were live when last seen."""
        known = set(self._live)
        live = {job.id: job async for job in self._read_live()}
        gone = sorted(known - live.keys())
        again = await self._jobs.get(self._tenant, gone) if gone else []
        for job, found in zip(gone, again, strict=True):
            if found is None:
                del self._live[job]
        return [*live.values(), *(job for job in again if job)]

    async def _read_live(self) -> AsyncIterator[Job]:
        after: JobId | None = None
        wanted = JobFilter(states=LIVE)
        while True:
            page = await self._jobs.page(self._tenant, first=_PAGE, after=after, wanted=wanted)
            for job in page.jobs:
                yield job
                after = job.id
            if not page.has_next:
                return

    def _take(self, job: Job) -> None:
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
