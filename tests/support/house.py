"""A job store and ledgers over one store, for tests of what they do together.

The same tests run over Redis, where each attempt is dispatched under its number, and over DynamoDB,
where a runner hands out tasks: ``tests/support/dispatched.py`` plays that runner.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Final, Protocol

from redis.asyncio import Redis

from adapters.redis.client import reply
from adapters.redis.jobs import RedisJobs
from adapters.redis.ledger import LATE_KEY, RedisLedger
from adapters.redis.records import RedisRecords
from adapters.redis.webhooks import RedisWebhooks
from engine.attempt import Attempt, Outcome, Piece
from engine.job import Job, JobError, JobId
from engine.jobs import JobControl, JobStore, NewJob
from engine.ledger import Claim, PlanLedger, Sweeper, Verdict
from engine.listings import Records
from engine.webhooks import LOOKS_AT, WebhookQueue
from tests.support.jobs import TENANT, claim_of, outcome_of

LONG_LEASE_MS: Final = 60_000


class Jobs(JobStore, JobControl, Protocol):
    """What callers may do to jobs."""


class Tasks(PlanLedger, Sweeper, Protocol):
    """What every ledger's attempts and caretakers may do, named as in ``engine.ledger.Ledger``."""

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None: ...

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict: ...

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict: ...


class House(ABC):
    """A job store and ledgers over the same store: one with living workers, one with dead ones."""

    jobs: Jobs
    ledger: Tasks
    dying: Tasks
    records: Records

    @abstractmethod
    def jobs_with(self, **settings: Any) -> Jobs:
        """Return another job store over the same store."""

    @abstractmethod
    def webhooks(
        self, *, lease_ms: int = 600_000, key: str = "", looks_at: int = LOOKS_AT
    ) -> WebhookQueue:
        """Return the queue of deliveries; its leases outlive every test."""

    @abstractmethod
    async def deliveries(self) -> int:
        """Return how many deliveries are noted."""

    @abstractmethod
    async def run_out_of_time(self, job: JobId) -> None:
        """Let the time be over that *job* has, and somebody notice."""

    @abstractmethod
    async def expire(self, job: JobId) -> None:
        """Let the time be over for which *job* is kept."""

    @abstractmethod
    async def mentions(self, job: JobId) -> set[str]:
        """Return everything that names *job*, but for what it is due once more by when erased."""

    async def tidy(self, job: JobId) -> None:
        """Do with *job* what a caretaker does, as far as the store goes."""
        for ended in await self.ledger.ended_jobs():
            if ended.id == job:
                await self.ledger.cleaned(ended)

    async def job(self, job: JobId, tenant: str = TENANT) -> Job:
        [found] = await self.jobs.get(tenant, [job])
        assert found is not None
        return found

    async def is_known(self, job: JobId, tenant: str = TENANT) -> bool:
        [found] = await self.jobs.get(tenant, [job])
        return found is not None

    async def take(self, claim: Claim, *, worker: str = "w1") -> Attempt:
        attempt = await self.ledger.claim(claim, worker=worker)
        assert attempt is not None
        return attempt

    async def do(
        self, claim: Claim, outcome: Outcome | None = None, *, worker: str = "w1"
    ) -> Verdict:
        """Claim a task and commit *outcome*, or what a task of that kind would give."""
        await self.take(claim, worker=worker)
        return await self.ledger.commit(claim, outcome or outcome_of(claim))

    async def run_to_the_end(self, new: NewJob) -> Job:
        """Run a job of two batches and one reducer."""
        await self.jobs.accept(new)
        for task in ("map-0", "map-1", "reduce-0", "finish-0"):
            assert await self.do(claim_of(new.id, task)) is Verdict.ACCEPTED
        return await self.job(new.id, new.tenant)


class RedisHouse(House):
    """One over Redis.

    Attributes:
        leases: The ledger, with what only those who hold leases do.
    """

    def __init__(self, redis: Redis) -> None:
        self.redis = redis
        self.jobs = RedisJobs(redis)
        self.leases = RedisLedger(redis, lease_ms=LONG_LEASE_MS)
        self.ledger = self.leases
        self.dying = RedisLedger(redis, lease_ms=0)
        self.records = RedisRecords(redis)

    def jobs_with(self, **settings: Any) -> Jobs:
        return RedisJobs(self.redis, **settings)

    def webhooks(
        self, *, lease_ms: int = 600_000, key: str = "", looks_at: int = LOOKS_AT
    ) -> WebhookQueue:
        return RedisWebhooks(self.redis, lease_ms=lease_ms, key=key, looks_at=looks_at)

    async def deliveries(self) -> int:
        due, tries = (
            await self.redis.zcard("fanfold:webhooks"),
            await reply(self.redis.hlen("fanfold:webhooks:tries")),
        )
        assert tries <= due
        return int(due)

    async def run_out_of_time(self, job: JobId) -> None:
        await self.redis.zadd("fanfold:deadlines", {job: 1})
        await self.ledger.sweep()

    async def expire(self, job: JobId) -> None:
        await self.redis.zadd("fanfold:expiry", {job: 1}, xx=True)

    async def mentions(self, job: JobId) -> set[str]:
        found = {key.decode() async for key in self.redis.scan_iter(match=f"*{job}*")}
        async for key in self.redis.scan_iter():
            if key.decode() == LATE_KEY:
                continue
            kind = await self.redis.type(key)
            members: list[bytes] = []
            if kind == b"zset":
                members = await self.redis.zrange(key, 0, -1)
            elif kind == b"set":
                members = list(await reply(self.redis.smembers(key)))
            elif kind == b"string":
                members = [await self.redis.get(key) or b""]
            if any(job.encode() in member for member in members):
                found.add(key.decode())
        return found


def house_over(redis: Redis) -> RedisHouse:
    """A house with nobody in it."""
    return RedisHouse(redis)


def mapped(
    claim: Claim, cuts: Sequence[int], data: bytes | None = None, *, rows: int = 1
) -> Outcome:
    """What a map task leaves for the reducers between *cuts*."""
    name = f"jobs/{claim.job}/shuffle/{claim.task}-a{claim.number}.arrow"
    piece = Piece(name=name, rows=rows, size_bytes=cuts[-1], cuts=tuple(cuts), data=data)
    return Outcome(items=1, piece=piece)
