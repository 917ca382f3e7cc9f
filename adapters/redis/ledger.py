"""The ledger in Redis: every step one Lua script, so that it happens whole or not at all."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable, Sequence
from dataclasses import asdict, replace
from typing import Any, Final

from redis.asyncio import Redis

from adapters.job_fields import read_ended_run
from adapters.redis.client import LedgerScripts, reply, translated
from adapters.redis.pipelined_scripts import PipelinedScripts
from engine.attempt import Attempt, Outcome, Piece
from engine.batch import Batch
from engine.errors import AttemptsExhaustedError
from engine.job import OUT_OF_TIME, JobError, JobId
from engine.jsonvalue import decode, encode, encode_again
from engine.ledger import Claim, EndedJob, EndedRun, Verdict

LEASE_MS: Final = 2_750
SWEEP_LIMIT: Final = 100
RIVAL_LEASES: Final = 200
STRAGGLES_MS: Final = 5_000
STRAGGLES_MEDIANS: Final = 4
TASKS_PER_ERASE: Final = 1_000
FORGOTTEN_AFTER_MS: Final = 5_000
KEPT_BYTES_OF_A_JOB: Final = 16 * 1024 * 1024
KEPT_BYTES_IN_ALL: Final = 128 * 1024 * 1024
PLACE_BYTES: Final = 16
ENDED_KEY: Final = "fanfold:ended"
LATE_KEY: Final = "fanfold:late"
UNREPORTED_KEY: Final = "fanfold:unreported"

_VERDICTS: Final = {0: Verdict.FENCED, 1: Verdict.ACCEPTED, 2: Verdict.REPEATED}
_LOST: Final = JobError(
    code=AttemptsExhaustedError.code,
    message="the worker died or lost its connection while it ran the task",
    retryable=True,
)


class RedisLedger:
    """Implements ``engine.ledger.Ledger`` and ``Sweeper``."""

    def __init__(
        self, redis: Redis, *, lease_ms: int = LEASE_MS, straggles_ms: int = STRAGGLES_MS
    ) -> None:
        self._redis = redis
        self._scripts = PipelinedScripts(redis)
        self._lease_ms = lease_ms
        self._straggles_ms = straggles_ms

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        """Take a task for *worker*; see ``Ledger``."""
        found = await self._scripts.call(
            "claim",
            *_names(claim),
            worker,
            self._lease_ms,
            FORGOTTEN_AFTER_MS,
            KEPT_BYTES_OF_A_JOB,
            KEPT_BYTES_IN_ALL,
        )
        if found is None:
            return None
        spec, reducers, batch, timeout_s, summary, pieces, *rest = found
        sql, resolved_source, workers, may_inline, coverage, position, isolates = rest
        more = await self._read_on(claim, position)
        if more is None:
            return None
        return Attempt(
            job=claim.job,
            task=claim.task,
            number=claim.number,
            spec=decode(spec),
            reducers=int(reducers),
            batch=Batch.from_json(decode(batch)) if batch else None,
            inputs=tuple(_piece(*piece) for piece in (*pieces, *more)),
            timeout_s=float(timeout_s) if timeout_s else None,
            job_summary=decode(summary) if summary else {},
            sql=decode(sql) if sql else None,
            resolved_source=resolved_source.decode() if resolved_source else None,
            workers=max(1, workers),
            may_inline=bool(may_inline),
            coverage=float(coverage) if coverage else 1.0,
            isolates=bool(isolates),
        )

    async def renew(self, claims: Sequence[Claim], *, worker: str) -> Iterable[Claim]:
        """Extend leases; see ``Ledger``."""
        args = [name for claim in claims for name in _names(claim)]
        lost = await self._scripts.call("renew", worker, FORGOTTEN_AFTER_MS, self._lease_ms, *args)
        return [claims[position] for position in lost]

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """Make an outcome the task's; see ``Ledger``."""
        rows = outcome.result.inline if outcome.result else outcome.partial
        piece = outcome.piece
        answer = await self._scripts.call(
            "commit",
            *_names(claim),
            encode(_outcome(outcome)),
            rows or "",
            _packed(piece.cuts) if piece else b"",
            piece.data or b"" if piece else b"",
            *(encode(asdict(failure)) for failure in outcome.failures),
        )
        return _VERDICTS[answer]

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict:
        """End an attempt; see ``Ledger``. Waits 50 to 100 % of the backoff, at random."""
        jitter = random.uniform(0.5, 1)  # noqa: S311 - spreads retries, guards nothing
        answer = await self._scripts.call(
            "fail",
            *_names(claim),
            encode(_error(error)),
            int(error.retryable),
            jitter,
            encode(list(log)),
            location or claim.task,
        )
        return _VERDICTS[answer]

    async def release(self, claim: Claim) -> None:
        """Hand a task back untried; see ``Ledger``."""
        await self._scripts.call("release", *_names(claim))

    async def sweep(self) -> int:
        """Try again what dead workers held, rival stragglers, end late jobs; see ``Sweeper``."""
        swept, ended = await self._scripts.call(
            "sweep", SWEEP_LIMIT, encode(_error(_LOST)), encode(_error(OUT_OF_TIME))
        )
        rivals = await self._scripts.call(
            "rivals", RIVAL_LEASES, self._straggles_ms, STRAGGLES_MEDIANS
        )
        return int(swept) + int(ended) + int(rivals)

    async def ended_jobs(self) -> list[EndedJob]:
        """Return ended jobs whose temporary data may still be there; see ``Sweeper``."""
        with translated():
            found = await reply(self._redis.srandmember(ENDED_KEY, SWEEP_LIMIT))
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in found or ():
                    pipe.hmget(f"fanfold:job:{name.decode()}", ["run", "manifest", "report"])
                fields = await pipe.execute()
        return [
            EndedJob(
                id=JobId(name.decode()),
                run=int(run),
                manifest=(result or report or b"").decode() or None,
            )
            for name, (run, result, report) in zip(found or (), fields, strict=True)
            if run is not None
        ]

    async def unreported_runs(self) -> list[EndedRun]:
        """Return ended runs that nobody has written of yet; see ``Sweeper``."""
        with translated():
            found = await reply(self._redis.srandmember(UNREPORTED_KEY, SWEEP_LIMIT))
            async with self._redis.pipeline(transaction=False) as pipe:
                for name in found or ():
                    pipe.hgetall(f"fanfold:job:{name.decode()}")
                    pipe.hget(f"fanfold:job:{name.decode()}:input", "spec")
                hashes = await pipe.execute()
        runs = zip(found or (), hashes[::2], hashes[1::2], strict=True)
        return [
            read_ended_run(JobId(name.decode()), fields, spec)
            for name, fields, spec in runs
            if spec
        ]

    async def reported(self, run: EndedRun, manifest: str) -> bool:
        """Tick an ended run off; see ``Sweeper``."""
        return bool(await self._scripts.call("reported", run.job, run.run, manifest))

    async def is_untidied(self, ended: EndedJob) -> bool:
        """Tell whether a job is still to be tidied up; see ``Sweeper``."""
        return bool(await self._scripts.call("untidied", ended.id, ended.run))

    async def cleaned(self, ended: EndedJob) -> None:
        """Remove what is kept for an ended job's tasks; see ``Sweeper``."""
        await self._scripts.call("clean", ended.id, ended.run)

    async def expired_jobs(self) -> list[JobId]:
        """Hide jobs that are due, and return some that are still there; see ``Sweeper``."""
        found = await self._scripts.call("expire", SWEEP_LIMIT)
        return [JobId(job.decode()) for job in found]

    async def erase(self, job: JobId) -> None:
        """Remove all data of a hidden job; see ``Sweeper``."""
        await erase_job(self._scripts, job)

    async def extend(self, claim: Claim, first: int, batches: Sequence[Batch]) -> Verdict:
        """Store batches of a plan; see ``PlanLedger``."""
        answer = await self._scripts.call(
            "extend", *_names(claim), first, *map(stored_batch, batches)
        )
        return _VERDICTS[answer]

    async def enter(self, worker: str) -> None:
        """Count *worker* among those who are alive; see ``Roster``."""
        await self._scripts.call("enter", worker)

    async def leave(self, worker: str) -> None:
        """Count *worker* no longer; see ``Roster``."""
        await self._scripts.call("leave", worker)

    async def _read_on(self, claim: Claim, position: int) -> list[list[bytes]] | None:
        """Return the rest of an attempt's pieces, page by page; None when it has lost its task."""
        pieces: list[list[bytes]] = []
        while position:
            page = await self._scripts.call("inputs", *_names(claim), self._lease_ms, position)
            if page is None:
                return None
            pieces += page[0]
            position = page[1]
        return pieces


async def erase_job(scripts: LedgerScripts, job: JobId) -> None:
    """Remove all data of a hidden job, in steps that hold up nobody."""
    while not await scripts.call("erase", job, TASKS_PER_ERASE):
        pass


def stored_batch(batch: Batch) -> bytes:
    """Return a batch as the scripts keep it: its known items, a bar, the batch as JSON."""
    return b"%d|%b" % (batch.known_items, encode_again(batch.to_json()))


def _piece(stored: bytes, cuts: bytes, data: bytes | None = None) -> Piece:
    """Read a piece of a claim; the bytes that come along begin at its first cut."""
    return replace(Piece.from_json(decode(stored[PLACE_BYTES:])), cuts=_unpacked(cuts), data=data)


def _packed(cuts: tuple[int, ...]) -> bytes:
    return struct.pack(f">{len(cuts)}Q", *cuts)


def _unpacked(cuts: bytes) -> tuple[int, ...]:
    return struct.unpack(f">{len(cuts) // 8}Q", cuts)


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
        "failed": sum(failure.items for failure in outcome.failures),
        "bytes_read": outcome.bytes_read,
        "piece": encode(_without_bytes(outcome.piece)).decode() if outcome.piece else False,
        "piece_bytes": outcome.piece.size_bytes if outcome.piece else 0,
        "has_data": outcome.piece is not None and outcome.piece.data is not None,
        "counters": list(outcome.counters.items()),
        "log": encode(list(outcome.log)).decode(),
        "batches": outcome.plan_batches,
        "bytes_total": outcome.plan_bytes,
        "reducers": outcome.reducers,
        "result": result
        and {"rows": result.rows, "bytes": result.size_bytes, "manifest": result.manifest},
    }


def _without_bytes(piece: Piece) -> dict[str, Any]:
    """Return what is kept of a piece as JSON; cuts and bytes are kept as they are."""
    return replace(piece, cuts=(), data=None).to_json()
