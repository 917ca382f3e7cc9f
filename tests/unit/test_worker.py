"""A worker, over a ledger in memory; and the caretaker that runs beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest

from adapters.obstore_blobs import ObstoreBlobs
from engine.attempt import Attempt, Outcome
from engine.cancellation import cancel_all
from engine.errors import UnavailableError
from engine.job import JobError, JobId, TaskId
from engine.ledger import Claim, EndedJob, Verdict
from workers.caretaker import take_care
from workers.task_process import AttemptLost, TaskProcess
from workers.worker import Worker

pytestmark = pytest.mark.anyio

CLAIM = Claim(JobId("j-1"), TaskId("map-0"), 1)


class OneTask:
    """A ledger of a single task; the answers to its first claims are lost on their way."""

    def __init__(self, *, lost_answers: int = 0) -> None:
        self.state = "PENDING"
        self.tries = 0
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

    async def renew(self, claims: Sequence[Claim]) -> Iterable[Claim]:
        return ()

    async def commit(self, claim: Claim, outcome: Outcome) -> Verdict:
        self.state = "SUCCEEDED"
        return Verdict.ACCEPTED

    async def fail(self, claim: Claim, error: JobError, *, log: Sequence[str] = ()) -> Verdict:
        self.state = "FAILED"
        return Verdict.ACCEPTED

    async def release(self, claim: Claim) -> None:
        self.state = "PENDING"
        self.tries -= 1


class Process(TaskProcess):
    """Runs any attempt to the same end, without a process."""

    def __init__(self, end: Outcome | Exception) -> None:
        super().__init__([], environment={}, one_at_a_time=False)
        self._end = end

    async def run(self, attempt: Attempt) -> Outcome:
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


async def test_an_attempt_whose_process_was_ended_for_another_is_handed_back_untried(
    tmp_path: Path,
) -> None:
    ledger = OneTask()

    await Worker("w", ledger, ObstoreBlobs(tmp_path)).run(CLAIM, Process(AttemptLost()))

    assert (ledger.state, ledger.tries) == ("PENDING", 0)


async def test_a_claim_whose_answer_was_lost_is_repeated(tmp_path: Path) -> None:
    ledger = OneTask(lost_answers=2)

    await Worker("w", ledger, ObstoreBlobs(tmp_path)).run(CLAIM, Process(Outcome()))

    assert (ledger.state, ledger.tries) == ("SUCCEEDED", 1)


async def test_a_ledger_that_does_not_answer_the_claim_for_long_is_given_up(
    tmp_path: Path,
) -> None:
    worker = Worker("w", OneTask(lost_answers=1_000), ObstoreBlobs(tmp_path), claim_within_s=0.1)

    async with asyncio.timeout(5):
        with pytest.raises(UnavailableError):
            await worker.run(CLAIM, Process(Outcome()))


class FaultyOnce:
    """A sweeper with a fault that shows at its first pass."""

    def __init__(self) -> None:
        self.passes = 0
        self.swept = asyncio.Event()

    async def sweep(self) -> int:
        self.passes += 1
        if self.passes == 1:
            raise KeyError("of all things")
        self.swept.set()
        return 0

    async def ended_jobs(self) -> Sequence[EndedJob]:
        return ()

    async def cleaned(self, job: JobId) -> None:
        pass


async def test_the_caretaker_tells_of_a_fault_and_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweeper = FaultyOnce()
    caring = asyncio.create_task(take_care(sweeper, ObstoreBlobs(tmp_path)))

    async with asyncio.timeout(5):
        await sweeper.swept.wait()

    await cancel_all([caring])
    assert "of all things" in caplog.text
