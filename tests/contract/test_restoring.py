"""Jobs that come back from their results, and what can be done with them then."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest

from engine.errors import InvalidStateError, NotFoundError
from engine.job import JobState, new_job_id
from engine.jobs import FoundResult
from tests.support.house import House
from tests.support.jobs import TENANT, inline_job

pytestmark = pytest.mark.anyio


def found(**given: Any) -> FoundResult:
    """What the manifest of a job tells that ended a second ago."""
    now_ms = time.time_ns() // 1_000_000
    about = {
        "id": new_job_id(),
        "tenant": TENANT,
        "submitted_by": "ada",
        "spec": inline_job().spec.to_json(),
        "run": 1,
        "created_ms": now_ms - 3_000,
        "started_ms": now_ms - 2_000,
        "finished_ms": now_ms - 1_000,
        "items": 2,
        "failed_items": 0,
        "bytes_read": 12,
        "rows": 1,
        "size_bytes": 11,
        "inline": '[{"key":"a"}]',
    }
    result = FoundResult(**{**about, "manifest": "", **given})
    return replace(result, manifest=f"jobs/{result.id}/result/finish-0-a1.manifest.json")


async def test_a_job_comes_back_as_its_manifest_tells(house: House) -> None:
    whole, flawed = found(), found(failed_items=1)

    assert await house.jobs.restore(whole)
    assert await house.jobs.restore(flawed)

    job = await house.job(whole.id)
    assert (job.status.state, job.status.result) == (JobState.SUCCEEDED, [{"key": "a"}])
    assert (await house.jobs.details(whole.id)).manifest == whole.manifest
    assert (await house.job(flawed.id)).status.state is JobState.PARTIALLY_SUCCEEDED


async def test_what_is_known_or_over_does_not_come_back(house: House) -> None:
    known, over = found(), found(finished_ms=1_000)
    await house.jobs.restore(known)

    assert not await house.jobs.restore(known)
    assert not await house.jobs.restore(over)
    assert not await house.is_known(over.id)


@pytest.mark.parametrize("erased", [False, True], ids=["while it is erased", "afterwards"])
async def test_what_was_deleted_does_not_come_back(house: House, erased: bool) -> None:
    job = found()
    await house.jobs.restore(job)
    await house.jobs.delete(TENANT, job.id)
    if erased:
        await house.jobs.erase(job.id)

    assert not await house.jobs.restore(job)

    assert not await house.is_known(job.id)
    with pytest.raises(NotFoundError):
        await house.jobs.delete(TENANT, job.id)


async def test_of_a_job_that_came_back_nothing_can_run_again(house: House) -> None:
    job = found(failed_items=1)
    await house.jobs.restore(job)
    before = await house.job(job.id)

    with pytest.raises(InvalidStateError, match="known by its result alone") as caught:
        await house.jobs.redrive(TENANT, job.id, params=None, idempotency_key=None)

    assert caught.value.state == JobState.PARTIALLY_SUCCEEDED
    assert await house.job(job.id) == before
