"""The caretaker, over ledgers in which something goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from engine.cancellation import cancel_all
from engine.errors import UnavailableError
from engine.job import ItemFailure, JobId
from engine.ledger import EndedJob, EndedRun
from engine.listings import RecordPage
from workers.caretaker import look_after_jobs, take_care
from workers.lister import Lister

pytestmark = pytest.mark.anyio

JOB = JobId("j-1")


class Idle:
    """A sweeper with nothing to do."""

    async def sweep(self) -> int:
        return 0

    async def ended_jobs(self) -> Sequence[EndedJob]:
        return ()

    async def unreported_runs(self) -> Sequence[EndedRun]:
        return ()

    async def reported(self, run: EndedRun, manifest: str) -> bool:
        return True

    async def is_untidied(self, ended: EndedJob) -> bool:
        return True

    async def cleaned(self, ended: EndedJob) -> None:
        pass

    async def expired_jobs(self) -> Sequence[JobId]:
        return ()

    async def erase(self, job: JobId) -> None:
        pass


class FaultyOnce(Idle):
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


class TidiedMeanwhile(Idle):
    """A sweeper of a job whose next run begins while its blobs are listed."""

    def __init__(self, blobs: ObstoreBlobs, *, still: bool) -> None:
        self._blobs = blobs
        self._still = still
        self.cleaned_runs: list[int] = []

    async def ended_jobs(self) -> Sequence[EndedJob]:
        return [EndedJob(JOB, 1, None)]

    async def is_untidied(self, ended: EndedJob) -> bool:
        self._blobs.put("jobs/j-1/shuffle/new", b"")
        return self._still

    async def cleaned(self, ended: EndedJob) -> None:
        self.cleaned_runs.append(ended.run)


class Unreported(Idle):
    """A sweeper of two runs that nobody has written of, and of a job that is due."""

    def __init__(self) -> None:
        self.reports: list[tuple[JobId, str]] = []
        self.erased: list[JobId] = []

    async def unreported_runs(self) -> Sequence[EndedRun]:
        jobs = (JobId("j-broken"), JobId("j-lost"), JOB)
        return [EndedRun(job, 1, "wordcount", has_failures=False, facts={}) for job in jobs]

    async def reported(self, run: EndedRun, manifest: str) -> bool:
        self.reports.append((run.job, manifest))
        return True

    async def expired_jobs(self) -> Sequence[JobId]:
        return [JobId("j-due")]

    async def erase(self, job: JobId) -> None:
        self.erased.append(job)


class PoorRecords:
    """Records that are not to be had of every job."""

    async def batches(self, job: JobId, *, first: int) -> RecordPage:
        if job == "j-broken":
            raise KeyError("of all things")
        if job == "j-lost":
            raise UnavailableError("no room is left on the disk")
        return RecordPage(records=(), following=None)

    async def failures(self, job: JobId, *, first: int) -> Sequence[ItemFailure]:
        return ()


async def test_a_fault_is_told_of_and_work_goes_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sweeper = FaultyOnce()
    blobs = ObstoreBlobs.local(tmp_path)
    caring = asyncio.create_task(take_care(sweeper, blobs, keep_uploads_s=60))

    async with asyncio.timeout(5):
        await sweeper.swept.wait()

    await cancel_all([caring])
    assert "of all things" in caplog.text


@pytest.mark.parametrize("still", [True, False], ids=["still ended", "running again"])
async def test_what_is_new_while_a_job_is_tidied_up_is_left_alone(
    tmp_path: Path, still: bool
) -> None:
    blobs = ObstoreBlobs.local(tmp_path)
    blobs.put("jobs/j-1/shuffle/old", b"")
    sweeper = TidiedMeanwhile(blobs, still=still)

    await look_after_jobs(sweeper, blobs)

    left = ["jobs/j-1/shuffle/new"] if still else ["jobs/j-1/shuffle/new", "jobs/j-1/shuffle/old"]
    assert sorted(blobs.list("jobs/j-1")) == left
    assert sweeper.cleaned_runs == ([1] if still else [])


async def test_a_report_that_cannot_be_written_holds_up_nothing_else(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blobs, sweeper = ObstoreBlobs.local(tmp_path / "blobs"), Unreported()
    lister = Lister(PoorRecords(), blobs, tmp_path / "scratch")

    await look_after_jobs(sweeper, blobs, lister=lister)

    assert [job for job, _ in sweeper.reports] == [JOB]
    assert sweeper.erased == ["j-due"]
    assert "of all things" in caplog.text
    assert "no room is left" in caplog.text
