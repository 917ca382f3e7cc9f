"""What became of a job's batches, page by page, and the listings that are made of it."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.obstore.blobs import ObstoreBlobs
from adapters.redis.client import connect
from adapters.redis.records import PAGE_FAILURES, PAGE_TASKS, RedisRecords
from engine.attempt import Attempt
from engine.job import ItemFailure, JobError, JobId, TaskId, TaskState
from engine.listings import INCLUDED_BYTES, BatchRecord, RecordPage, Records
from engine.result import Manifest
from tests.support.house import House
from tests.support.jobs import TENANT, claim_of, inline_job, outcome_of
from workers.caretaker import look_after_jobs
from workers.lister import Lister
from workers.task_process import AttemptFailed

pytestmark = pytest.mark.anyio

HOPELESS = JobError(code="INVALID_RECORD", message="line 3 is no JSON")
POLICY = {"maxAttempts": 1, "toleratedFailureCount": 1_000}


@pytest.fixture
def records(house: House) -> Records:
    return house.records


async def accepted(house: House, *, batches: int, **more: Any) -> JobId:
    new = inline_job(batches=batches, failurePolicy=POLICY, **more)
    return (await house.jobs.accept(new)).id


async def every(records: Records, job: JobId) -> list[BatchRecord]:
    found: list[BatchRecord] = []
    following: int | None = 0
    while following is not None:
        page = await records.batches(job, first=following)
        found += page.records
        following = page.following
    return found


async def setting_aside(house: House, job: JobId, task: str, failed: int) -> None:
    """Commit a map task that set items aside."""
    claim = claim_of(job, task)
    error = replace(HOPELESS, task_id=task)
    failures = tuple(ItemFailure(f"inline[{i}]", '"bad"', error) for i in range(failed))
    await house.do(claim, replace(outcome_of(claim), failures=failures))


async def test_each_batch_is_told_as_it_stands(house: House, records: Records) -> None:
    job = await accepted(house, batches=4)
    await setting_aside(house, job, "map-0", failed=2)
    await house.take(claim_of(job, "map-1"))
    await house.ledger.fail(claim_of(job, "map-1"), HOPELESS)
    await house.take(claim_of(job, "map-2"))

    done, failed, running, pending = await every(records, job)

    assert (done.state, done.failed_items, done.attempts) == (TaskState.SUCCEEDED, 2, 1)
    assert done.items == outcome_of(claim_of(job, "map-0")).items
    assert done.started_at is not None
    assert done.finished_at is not None
    assert done.batch is not None
    assert json.loads(done.batch)["first"] == 0
    assert (failed.state, failed.items, failed.failed_items) == (TaskState.FAILED, 1, 0)
    assert failed.error is not None
    assert failed.error.code == HOPELESS.code
    assert (running.state, running.attempts) == (TaskState.RUNNING, 1)
    assert (pending.state, pending.items, pending.attempts) == (TaskState.PENDING, 1, 0)


async def test_pages_hold_every_batch_once(house: House, records: Records) -> None:
    job = await accepted(house, batches=PAGE_TASKS + 3)

    first = await records.batches(job, first=0)
    found = await every(records, job)

    assert (len(first.records), first.following) == (PAGE_TASKS, PAGE_TASKS)
    assert [record.task for record in found] == [f"map-{n}" for n in range(PAGE_TASKS + 3)]


async def test_long_items_are_left_out_once_they_have_been_mapped(
    house: House, records: Records
) -> None:
    long = ["x" * INCLUDED_BYTES, "y" * INCLUDED_BYTES]
    new = inline_job(source={"inline": long}, failurePolicy=POLICY)
    job = (await house.jobs.accept(new)).id
    await house.do(claim_of(job, "map-0"))

    done, pending = await every(records, job)

    assert (done.batch, pending.batch is not None) == (None, True)


async def test_a_job_that_nobody_knows_has_no_batches(records: Records) -> None:
    assert await every(records, JobId("j-none")) == []
    assert await records.failures(JobId("j-none"), first=0) == []


async def test_failures_come_page_by_page(house: House, records: Records) -> None:
    job = await accepted(house, batches=1)
    await setting_aside(house, job, "map-0", failed=PAGE_FAILURES + 1)

    first = await records.failures(job, first=0)
    second = await records.failures(job, first=len(first))

    assert [len(first), len(second)] == [PAGE_FAILURES, 1]
    assert second[0].location == f"inline[{PAGE_FAILURES}]"
    assert await records.failures(job, first=PAGE_FAILURES + 1) == []


async def test_a_finish_attempt_gets_the_listings_of_its_job(
    house: House, records: Records, tmp_path: Path
) -> None:
    job = await accepted(house, batches=3)
    await setting_aside(house, job, "map-0", failed=1)
    await house.take(claim_of(job, "map-1"))
    await house.ledger.fail(claim_of(job, "map-1"), replace(HOPELESS, task_id="map-1"))
    await house.do(claim_of(job, "map-2"))
    await house.do(claim_of(job, "reduce-0"))
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    lister = Lister(records, blobs, tmp_path / "scratch")

    attempt = await lister.prepare(await house.take(claim_of(job, "finish-0")))

    found = {each.file_name: json.loads(blobs.read(each.name)) for each in attempt.listings}
    assert {
        name: [(entry["Name"], entry["Items"]) for entry in entries]
        for name, entries in found.items()
    } == {
        "FAILED_0.json": [("map-1", 1), ("map-0", 1)],
        "SUCCEEDED_0.json": [("map-0", 1), ("map-2", 1)],
    }
    assert all(each.name.startswith(f"jobs/{job}/result/finish-0-a1.") for each in attempt.listings)
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_it_is_written_how_far_a_cancelled_job_came(
    house: House, records: Records, tmp_path: Path
) -> None:
    job = await accepted(house, batches=2)
    await house.do(claim_of(job, "map-0"))
    await house.jobs.cancel(TENANT, job, reason=None)
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    lister = Lister(records, blobs, tmp_path / "scratch")
    blobs.put(f"jobs/{job}/shuffle/map-0-a1.arrow", b"piece")

    await look_after_jobs(house.ledger, blobs, lister=lister)

    report = (await house.jobs.details(job)).report
    assert report is not None
    manifest = Manifest.from_bytes(blobs.read(report))
    assert [each.file_name for each in manifest.listings] == ["PENDING_0.json", "SUCCEEDED_0.json"]
    assert set(blobs.list(f"jobs/{job}")) == {report, *manifest.names}
    assert await house.ledger.ended_jobs() == []


@dataclass(frozen=True)
class DeletedMeanwhile:
    """Records of a job that is deleted while they are read."""

    house: House

    async def batches(self, job: JobId, *, first: int) -> RecordPage:
        page = await self.house.records.batches(job, first=first)
        await self.house.jobs.delete(TENANT, job)
        await self.house.jobs.erase(job)
        return page

    async def failures(self, job: JobId, *, first: int) -> list[ItemFailure]:
        return list(await self.house.records.failures(job, first=first))


async def test_nothing_is_left_of_what_is_written_of_a_job_that_is_deleted_meanwhile(
    house: House, tmp_path: Path
) -> None:
    job = await accepted(house, batches=2)
    await house.jobs.cancel(TENANT, job, reason=None)
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    lister = Lister(DeletedMeanwhile(house), blobs, tmp_path / "scratch")

    await look_after_jobs(house.ledger, blobs, lister=lister)

    assert not await house.is_known(job)
    assert list(blobs.list(f"jobs/{job}")) == []


async def test_other_attempts_are_left_as_they_are(records: Records, tmp_path: Path) -> None:
    lister = Lister(records, ObstoreBlobs.local(tmp_path / "blobs"), tmp_path / "scratch")
    attempt = Attempt(JobId("j-1"), TaskId("map-0"), 1, spec={})

    assert await lister.prepare(attempt) is attempt
    assert not (tmp_path / "scratch").exists()


async def test_a_redis_that_does_not_answer_is_a_failure_that_is_tried_again(
    tmp_path: Path,
) -> None:
    nowhere = connect("redis://127.0.0.1:1")
    lister = Lister(
        RedisRecords(nowhere), ObstoreBlobs.local(tmp_path / "blobs"), tmp_path / "scratch"
    )

    with pytest.raises(AttemptFailed) as caught:
        await lister.prepare(Attempt(JobId("j-1"), TaskId("finish-0"), 1, spec={}))

    await nowhere.aclose()
    assert (caught.value.error.code, caught.value.error.retryable) == ("UNAVAILABLE", True)
    assert not (tmp_path / "scratch").exists()
