"""A watch: the newest state of one job, shared by all who follow it in this process."""

from __future__ import annotations

from engine.bell import Bell, job_topic
from engine.errors import NotFoundError
from engine.job import JobId, JobStatus
from engine.jobs import JobStore
from resolvers.ids import no_such_job
from resolvers.lookout import Lookout, Timing


class JobWatch:
    """Reads one job at every ring, once for all followers."""

    def __init__(
        self, *, jobs: JobStore, bell: Bell, tenant: str, job: JobId, timing: Timing
    ) -> None:
        self._jobs = jobs
        self._tenant = tenant
        self._job = job
        self._status: JobStatus | None = None
        self.lookout = Lookout(bell=bell, topic=job_topic(job), read=self._read, timing=timing)

    def join(self) -> None:
        """Have the job read again, so that a newcomer sees its present state."""
        self.lookout.ring(self._job)

    async def newer_than(self, version: int) -> JobStatus:
        """Wait for a state newer than *version*, or one after which there will be none.

        Returns:
            The newest state, as far as the bell has told.

        Raises:
            NotFoundError: The tenant has no such job.
        """
        ticket = self.lookout.ticket()
        while True:
            if self.lookout.has_read(ticket):
                if self._status is None:
                    raise NotFoundError(no_such_job(self._job))
                if self._status.version > version or self._status.state.is_terminal:
                    return self._status
            await self.lookout.next_read()

    async def _read(self, _rung: frozenset[JobId]) -> None:
        (job,) = await self._jobs.get(self._tenant, [self._job])
        if job is None:
            self._status = None
        elif self._status is None or job.status.version > self._status.version:
            self._status = job.status
