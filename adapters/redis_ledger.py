"""The ledger in Redis: every step one Lua script, so that it happens whole or not at all."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import Any, Final

from redis.asyncio import Redis

from adapters.redis_client import LedgerScripts, reply, translated
from engine.attempt import Attempt, Outcome, Piece
from engine.batch import Batch
from engine.errors import AttemptsExhaustedError
from engine.job import JobError, JobId, TaskKind, parse_task_id
from engine.jsonvalue import decode, encode
from engine.ledger import Claim, EndedJob, Verdict

LEASE_MS: Final = 3_000
SWEEP_LIMIT: Final = 100
BATCHES_PER_CALL: Final = 500
ENDED_KEY: Final = "fanfold:ended"

_VERDICTS: Final = {0: Verdict.FENCED, 1: Verdict.ACCEPTED, 2: Verdict.REPEATED}
_LOST: Final = JobError(
    code=AttemptsExhaustedError.code,
    message="the worker died or lost its connection while it ran the task",
    retryable=True,
)
_OUT_OF_TIME: Final = JobError(code="JOB_TIMEOUT", message="the job ran out of time")


class RedisLedger:
    """Implements ``engine.ledger.Ledger`` and ``Sweeper``."""

    def __init__(self, redis: Redis, *, lease_ms: int = LEASE_MS) -> None:
        self._redis = redis
        self._scripts = LedgerScripts(redis)
        self._lease_ms = lease_ms

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        """Take a task for *worker*; see ``Ledger``."""
        found = await self._scripts.call("claim", *_names(claim), worker, self._lease_ms)
        if found is None:
            return None
        spec, reducers, batch, timeout_s, summary, pieces = found
        return Attempt(
            job=claim.job,
            task=claim.task,
            number=claim.number,
            spec=decode(spec),
            reducers=int(reducers),
            batch=Batch.from_json(decode(batch)) if batch else None,
            inputs=tuple(Piece.from_json(decode(piece)) for piece in pieces),
            timeout_s=float(timeout_s) if timeout_s else None,
            job_summary=decode(summary) if summary else {},
        )

    async def renew(self, claims: Sequence[Claim]) -> Iterable[Claim]:
        """Extend leases; see ``Ledger``."""
        args = [name for claim in claims for name in _names(claim)]
        lost = await self._scripts.call("renew", self._lease_ms, *args)
        return [claims[position] for position in lost]

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """Make an outcome the task's; see ``Ledger``."""
        if parse_task_id(claim.task)[0] is TaskKind.PLAN:
            await self._extend(claim, outcome.plan)
        inline = outcome.result.inline if outcome.result else None
        answer = await self._scripts.call(
            "commit", *_names(claim), encode(_outcome(outcome)), inline or ""
        )
        return _VERDICTS[answer]

    async def fail(self, claim: Claim, error: JobError, *, log: Sequence[str] = ()) -> Verdict:
        """End an attempt; see ``Ledger``. Waits 50 to 100 % of the backoff, at random."""
        jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
        answer = await self._scripts.call(
            "fail",
            *_names(claim),
            encode(_error(error)),
            int(error.retryable),
            jitter,
            encode(list(log)),
        )
        return _VERDICTS[answer]

    async def release(self, claim: Claim) -> None:
        """Hand a task back untried; see ``Ledger``."""
        await self._scripts.call("release", *_names(claim))

    async def sweep(self) -> int:
        """Try again what dead workers held, end jobs out of time; see ``Sweeper``."""
        swept, ended = await self._scripts.call(
            "sweep", SWEEP_LIMIT, encode(_error(_LOST)), encode(_error(_OUT_OF_TIME))
        )
        return int(swept) + int(ended)

    async def ended_jobs(self) -> list[EndedJob]:
        """Return ended jobs whose temporary data may still be there; see ``Sweeper``."""
        with translated():
            found = await reply(self._redis.srandmember(ENDED_KEY, SWEEP_LIMIT))
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in found or ():
                    pipe.hget(f"fanfold:job:{name.decode()}", "manifest")
                manifests = await pipe.execute()
        return [
            EndedJob(id=JobId(name.decode()), manifest=manifest.decode() if manifest else None)
            for name, manifest in zip(found or (), manifests, strict=True)
        ]

    async def cleaned(self, job: JobId) -> None:
        """Note that an ended job's temporary data is gone; see ``Sweeper``."""
        with translated():
            await reply(self._redis.srem(ENDED_KEY, job))

    async def _extend(self, claim: Claim, batches: Sequence[Batch]) -> None:
        for first in range(0, len(batches), BATCHES_PER_CALL):
            chunk = batches[first : first + BATCHES_PER_CALL]
            await self._scripts.call("extend", *_names(claim), first, *map(stored_batch, chunk))


def stored_batch(batch: Batch) -> bytes:
    """Return a batch as the scripts keep it: its known items, a bar, the batch as JSON."""
    return b"%d|%b" % (batch.known_items, encode(batch.to_json()))


def _names(claim: Claim) -> tuple[str, str, int]:
    return claim.job, claim.task, claim.number


def _error(error: JobError) -> dict[str, Any]:
    return {
        "code": error.code,
        "message": error.message,
        "retryable": error.retryable,
        "task": error.task_id,
    }


def _outcome(outcome: Outcome) -> dict[str, Any]:
    result = outcome.result
    return {
        "items": outcome.items,
        "bytes_read": outcome.bytes_read,
        "piece": encode(outcome.piece.to_json()).decode() if outcome.piece else False,
        "counters": list(outcome.counters.items()),
        "log": encode(list(outcome.log)).decode(),
        "batches": len(outcome.plan),
        "bytes_total": sum(batch.size_bytes for batch in outcome.plan),
        "reducers": outcome.reducers,
        "result": result
        and {"rows": result.rows, "bytes": result.size_bytes, "manifest": result.manifest},
    }
