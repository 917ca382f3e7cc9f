"""A job store and ledgers over one Redis, for tests of what they do together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from redis.asyncio import Redis

from adapters.redis_jobs import RedisJobs
from adapters.redis_ledger import RedisLedger
from engine.attempt import Attempt, Outcome, Piece
from engine.job import Job, JobId
from engine.jobs import NewJob
from engine.ledger import Claim, Verdict
from tests.support.jobs import TENANT, claim_of, outcome_of

LONG_LEASE_MS: Final = 60_000


@dataclass
class House:
    """A job store and ledgers over the same store: one with living workers, one with dead ones."""

    jobs: RedisJobs
    ledger: RedisLedger
    dying: RedisLedger

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
        return await self.job(new.id)


def house_over(redis: Redis) -> House:
    """A house with nobody in it."""
    return House(
        jobs=RedisJobs(redis),
        ledger=RedisLedger(redis, lease_ms=LONG_LEASE_MS),
        dying=RedisLedger(redis, lease_ms=0),
    )


def mapped(
    claim: Claim, cuts: Sequence[int], data: bytes | None = None, *, rows: int = 1
) -> Outcome:
    """What a map task leaves for the reducers between *cuts*."""
    name = f"jobs/{claim.job}/shuffle/{claim.task}-a{claim.number}.arrow"
    piece = Piece(name=name, rows=rows, size_bytes=cuts[-1], cuts=tuple(cuts), data=data)
    return Outcome(items=1, piece=piece)
