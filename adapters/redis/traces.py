"""Where the trace of a job began, as it is kept with the job."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from redis.asyncio import Redis

from adapters.redis.client import reply, translated
from engine.errors import UnavailableError
from engine.job import JobId

FIELD: Final = "traceparent"
JOBS_REMEMBERED: Final = 1_000


class RedisTraces:
    """Tells the trace of a job, which is asked for once and does not change."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._known: OrderedDict[JobId, str | None] = OrderedDict()

    async def parent_of(self, job: JobId) -> str | None:
        """Return the span that a job was submitted in; None where nobody knows."""
        if job not in self._known:
            try:
                with translated():
                    found = await reply(self._redis.hget(f"fanfold:job:{job}", FIELD))
            except UnavailableError:
                return None
            self._known[job] = None if found is None else found.decode("ascii", "replace")
            if len(self._known) > JOBS_REMEMBERED:
                self._known.popitem(last=False)
        return self._known.get(job)
