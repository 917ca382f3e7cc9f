"""A worker, over a ledger in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.attempt import Attempt, Outcome
from engine.batch import Batch
from engine.errors import UnavailableError
from engine.job import JobError, JobId, TaskId
from engine.ledger import Claim, Verdict
from workers.task_process import AttemptLost, TakeBatches, TaskProcess
from workers.worker import Worker

pytestmark = pytest.mark.anyio

CLAIM = Claim(JobId("j-1"), TaskId("map-0"), 1)


class OneTask:
    """A ledger of a single task; the answers to its first claims are lost on their way."""

    def __init__(self, *, lost_answers: int = 0) -> None:
        self.state = "PENDING"
        self.tries = 0
        self.is_fencing = False
        self.batches: list[tuple[int, Batch]] = []
        self._holder = ""
        self._lost_answers = lost_answers

    async def claim(self, claim: Claim, *, worker: str) -> Attempt | None:
        if self.state == "PENDING":
            self.state, self._holder = "RUNNING", worker
            self.tries += 1
        if self._lost_answers > 0:
            self._lost_answers -= 1
            raise UnavailableError("Redis does not answer")
        if (self.state, self._holder) != ("RUNNING", worker):
            return None
        return Attempt(job=claim.job, task=claim.task, number=claim.number, spec={})

    async def renew(self, claims: Sequence[Claim], *, worker: str) -> Iterable[Claim]:
        return ()

    async def extend(self, claim: Claim, first: int, batches: Sequence[Batch]) -> Verdict:
        if self._lost_answers > 0:
            self._lost_answers -= 1
            raise UnavailableError("Redis does not answer")
        self.batches += [(first, batch) for batch in batches]
        return Verdict.FENCED if self.is_fencing else Verdict.ACCEPTED

    async def enter(self, worker: str) -> None:
        pass

    async def leave(self, worker: str) -> None:
        pass

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        self.state = "SUCCEEDED"
        return Verdict.ACCEPTED

    async def fail(
        self, claim: Claim, error: JobError, *, log: Sequence[str] = (), location: str = ""
    ) -> Verdict:
        self.state = "FAILED"
        return Verdict.ACCEPTED

    async def release(self, claim: Claim) -> None:
        self.state = "PENDING"
        self.tries -= 1


class Process(TaskProcess):
    """Runs any attempt to the same end, without a process; hands over *found* before."""

    def __init__(
        self, end: Outcome | Exception, found: Sequence[Sequence[Batch]] = (), *, scratch: Path
    ) -> None:
        super().__init__([], environment={}, scratch=scratch, one_at_a_time=False)
        self._end = end
        self._found = found

    async def run(self, attempt: Attempt, take: TakeBatches | None = None) -> Outcome:
        for batches in self._found:
            assert take is not None
            await take(batches)
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


async def test_an_attempt_whose_process_was_ended_for_another_is_handed_back_untried(
    tmp_path: Path,
) -> None:
    ledger = OneTask()
    process = Process(AttemptLost(), scratch=tmp_path)

    await Worker("w", ledger, ObstoreBlobs.local(tmp_path)).run(CLAIM, lambda _: process)

    assert (ledger.state, ledger.tries) == ("PENDING", 0)


async def test_a_claim_whose_answer_was_lost_is_repeated(tmp_path: Path) -> None:
    ledger = OneTask(lost_answers=2)

    process = Process(Outcome(), scratch=tmp_path)

    await Worker("w", ledger, ObstoreBlobs.local(tmp_path)).run(CLAIM, lambda _: process)

    assert (ledger.state, ledger.tries) == ("SUCCEEDED", 1)


async def test_a_ledger_that_does_not_answer_the_claim_for_long_is_given_up(
    tmp_path: Path,
) -> None:
    ledger = OneTask(lost_answers=1_000)
    worker = Worker("w", ledger, ObstoreBlobs.local(tmp_path), claim_within_s=0.1)
    process = Process(Outcome(), scratch=tmp_path)

    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await worker.run(CLAIM, lambda _: process)


async def test_batches_of_a_plan_reach_the_ledger_once_and_in_order(tmp_path: Path) -> None:
    ledger = OneTask()
    found = [[Batch(items=("a",)), Batch(items=("b",))], [Batch(items=("c",))]]
    process = Process(Outcome(), found, scratch=tmp_path)

    await Worker("w", ledger, ObstoreBlobs.local(tmp_path)).run(CLAIM, lambda _: process)

    assert ledger.batches == [
        (0, Batch(items=("a",))),
        (0, Batch(items=("b",))),
        (2, Batch(items=("c",))),
    ]


async def test_a_plan_that_was_given_to_another_is_not_gone_on_with(tmp_path: Path) -> None:
    ledger = OneTask()
    ledger.is_fencing = True
    found = [[Batch(items=("a",))], [Batch(items=("b",))]]
    process = Process(Outcome(), found, scratch=tmp_path)

    await Worker("w", ledger, ObstoreBlobs.local(tmp_path)).run(CLAIM, lambda _: process)

    assert ledger.state == "PENDING"
    assert ledger.batches == [(0, Batch(items=("a",)))]
