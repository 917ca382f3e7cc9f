"""A ledger that tells a meter how long its steps and the attempts between them took."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.errors import UnavailableError
from engine.job import JobError, parse_task_id
from engine.ledger import Claim, Ledger, Verdict
from engine.meters import TaskMeter
from engine.tracer import Tracer


class MeteredLedger:
    """Implements ``engine.ledger.Ledger`` over another one.

    Args:
        ledger: Does the work.
        meter: Hears of each step that was answered, and of each attempt that ended here.
        tracer: Its open span is told how an attempt ended.
    """

    def __init__(self, ledger: Ledger, meter: TaskMeter, tracer: Tracer) -> None:
        self._ledger = ledger
        self._meter = meter
        self._tracer = tracer
        self._since: dict[Claim, float] = {}

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        """See ``Ledger``."""
        with self._timed("claim"):
            attempt = await self._ledger.claim(claim, worker=worker)
        if attempt is not None and claim not in self._since:
            self._since[claim] = time.monotonic()
            if claim.number > 1:
                self._meter.retried(kind=_kind(claim))
        return attempt

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        """See ``Ledger``."""
        with self._timed("commit"):
            verdict = await self._ledger.commit(claim, outcome)
        self._end(claim, "fenced" if verdict is Verdict.FENCED else "succeeded")
        return verdict

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict:
        """See ``Ledger``."""
        with self._timed("fail"):
            verdict = await self._ledger.fail(claim, error, log=log, location=location)
        self._end(claim, "fenced" if verdict is Verdict.FENCED else "failed", error.code)
        return verdict

    async def release(self, claim: Claim) -> None:
        """See ``Ledger``."""
        try:
            with self._timed("release"):
                await self._ledger.release(claim)
        finally:
            self._end(claim, "released")

    async def renew(self, claims: Sequence[Claim], *, worker: str) -> Iterable[Claim]:
        """See ``Ledger``."""
        with self._timed("renew"):
            return await self._ledger.renew(claims, worker=worker)

    async def extend(self, claim: Claim, first: int, batches: Sequence[Batch]) -> Verdict:
        """See ``PlanLedger``."""
        with self._timed("extend"):
            return await self._ledger.extend(claim, first, batches)

    async def enter(self, worker: str) -> None:
        """See ``Roster``."""
        await self._ledger.enter(worker)

    async def leave(self, worker: str) -> None:
        """See ``Roster``."""
        await self._ledger.leave(worker)

    def _timed(self, step: str) -> _Timed:
        return _Timed(self._meter, step)

    def _end(self, claim: Claim, outcome: str, reason: str = "") -> None:
        since = self._since.pop(claim, None)
        if since is None:
            return
        self._tracer.end(outcome, error=reason)
        self._meter.ended(kind=_kind(claim), outcome=outcome, seconds=time.monotonic() - since)


class _Timed:
    """The time of a step; a class, because a generator would cost more than all the rest."""

    __slots__ = ("_meter", "_since", "_step")

    def __init__(self, meter: TaskMeter, step: str) -> None:
        self._meter = meter
        self._step = step

    def __enter__(self) -> None:
        self._since = time.monotonic()

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None or issubclass(kind, UnavailableError):
            seconds = time.monotonic() - self._since
            self._meter.asked(self._step, seconds=seconds, is_answered=kind is None)


def _kind(claim: Claim) -> str:
    return parse_task_id(claim.task)[0].value.lower()
