"""A worker: claims dispatched tasks, has them run, reports to the ledger, keeps its leases alive.

It runs no program itself. What it leaves undone, being killed at any moment, the sweepers of the
other workers repair. Its ``async def`` maps share one task process and may be ended together; those
that are not to blame are handed back untried.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, TypeVar

from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.cancellation import cancel_all, finish
from engine.errors import SourceError, UnavailableError
from engine.ledger import Claim, Ledger, Verdict
from workers.discard import discard
from workers.lister import Lister
from workers.task_process import AttemptFailed, AttemptLost, TakeBatches, TaskProcess

HEARTBEAT_EVERY_S: Final = 1.0
HAND_BACK_WITHIN_S: Final = 3.0
CLAIM_WITHIN_S: Final = 3.0
RETRY_AFTER_S: Final = (0.05, 0.1, 0.2, 0.5, 1.0)

T = TypeVar("T")
log = logging.getLogger(__name__)


class Worker:
    """Runs attempts under leases.

    Args:
        name: Shown with the tasks it runs; unique among workers.
        ledger: Decides what is done.
        blobs: Where attempts leave what they made; what came too late is removed from it.
        lister: Lists batches for finish attempts; None where nobody wants that.
        name_of: Returns a source file as callers know it; without it batches of files that fail
            are listed under the names of their tasks.
        claim_within_s: For how long a claim is repeated when the ledger does not answer.
    """

    def __init__(
        self,
        name: str,
        ledger: Ledger,
        blobs: BlobStore,
        *,
        lister: Lister | None = None,
        name_of: Callable[[str], str] | None = None,
        claim_within_s: float = CLAIM_WITHIN_S,
    ) -> None:
        self.name = name
        self._ledger = ledger
        self._blobs = blobs
        self._lister = lister
        self._name_of = name_of
        self._claim_within_s = claim_within_s
        self._running: dict[Claim, asyncio.Task[Outcome]] = {}

    async def run(self, claim: Claim, process_for: Callable[[Attempt], TaskProcess]) -> None:
        """Run a dispatched attempt in the process for it, from its claim to its commit.

        An attempt that is out of date is passed over. Cancelling this stops the attempt and hands
        the task back untried.

        Raises:
            UnavailableError: The ledger did not answer the claim, however often repeated. Either it
                never heard of it, and the dispatch comes again; or only its answers were lost, and
                the task is tried again when its lease runs out, which costs a try.
        """
        if claim in self._running:
            return
        attempt = await _finish(
            _insist(
                lambda: self._ledger.claim(claim, worker=self.name), within_s=self._claim_within_s
            )
        )
        if attempt is None:
            return
        if _is_told_to_stop():
            await _finish(_insist(lambda: self._ledger.release(claim)))
        else:
            await self._run_claimed(claim, attempt, process_for(attempt))

    async def keep_leases(self) -> None:
        """Tell every second that this worker is alive, with what it runs; stop what is lost."""
        while True:
            await asyncio.sleep(HEARTBEAT_EVERY_S)
            try:
                self._stop(await self._ledger.renew(tuple(self._running), worker=self.name))
            except UnavailableError as exc:
                log.warning("heartbeat: %s", exc)

    async def _run_claimed(self, claim: Claim, attempt: Attempt, process: TaskProcess) -> None:
        taker = _BatchTaker(self._ledger, claim)
        execution = self._running[claim] = asyncio.create_task(
            self._execute(attempt, process, taker.take)
        )
        try:
            outcome = await execution
        except AttemptFailed as exc:
            error, logged = replace(exc.error, task_id=claim.task), exc.log
            log.info("%s of %s failed: %s", claim.task, claim.job, error.message)
            place = self._place_of(attempt)
            await _finish(
                _insist(lambda: self._ledger.fail(claim, error, log=logged, location=place))
            )
        except AttemptLost as exc:
            log.info("%s of %s is handed back: %s", claim.task, claim.job, exc)
            await _finish(_insist(lambda: self._ledger.release(claim)))
        except asyncio.CancelledError:
            await finish(self._hand_back(claim, execution))
            if _is_told_to_stop():
                raise
        else:
            verdict = await _finish(_insist(lambda: self._ledger.commit(claim, outcome)))
            if verdict is Verdict.FENCED:
                log.info("%s of %s: attempt %d was fenced", claim.task, claim.job, claim.number)
                await asyncio.to_thread(discard, self._blobs, claim, outcome)
        finally:
            del self._running[claim]

    async def _execute(self, attempt: Attempt, process: TaskProcess, take: TakeBatches) -> Outcome:
        if self._lister is not None:
            attempt = await self._lister.prepare(attempt)
        return await process.run(attempt, take)

    def _place_of(self, attempt: Attempt) -> str:
        """Say where an attempt's batch is; nothing where that is not known here."""
        if attempt.batch is None or (attempt.batch.slices and self._name_of is None):
            return ""
        try:
            return attempt.batch.place(self._name_of or str)
        except SourceError:
            return ""

    async def _hand_back(self, claim: Claim, execution: asyncio.Task[Outcome]) -> None:
        await cancel_all([execution])
        with suppress(TimeoutError):  # the lease runs out by itself
            async with asyncio.timeout(HAND_BACK_WITHIN_S):
                await _insist(lambda: self._ledger.release(claim))

    def _stop(self, lost: Iterable[Claim]) -> None:
        for claim in lost:
            if execution := self._running.get(claim):
                execution.cancel()


class _BatchTaker:
    """Hands the batches of a plan on to the ledger as they come."""

    def __init__(self, ledger: Ledger, claim: Claim) -> None:
        self._ledger = ledger
        self._claim = claim
        self._taken = 0

    async def take(self, batches: Sequence[Batch]) -> None:
        """Store *batches*.

        Raises:
            AttemptLost: The attempt is fenced; there is no use in going on.
        """
        first = self._taken
        self._taken += len(batches)
        verdict = await _insist(lambda: self._ledger.extend(self._claim, first, batches))
        if verdict is Verdict.FENCED:
            raise AttemptLost("the plan is another attempt's by now")


def _is_told_to_stop() -> bool:
    """Tell this very task being cancelled from an execution that was stopped."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _finish(step: Coroutine[Any, Any, T]) -> T:
    """Await a step of the ledger; half a step would leave the task until its lease runs out."""
    return await finish(step, within_s=HAND_BACK_WITHIN_S)


async def _insist(step: Callable[[], Awaitable[T]], *, within_s: float = math.inf) -> T:
    """Repeat a step of the ledger until it answers; every step is safe to repeat.

    Raises:
        UnavailableError: It failed again after *within_s*.
    """
    give_up_at = time.monotonic() + within_s
    failures = 0
    while True:
        try:
            return await step()
        except UnavailableError as exc:
            if time.monotonic() >= give_up_at:
                raise
            log.warning("ledger: trying again: %s", exc)
            pause_s = RETRY_AFTER_S[min(failures, len(RETRY_AFTER_S) - 1)]
            await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads retries
            failures += 1
