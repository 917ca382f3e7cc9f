"""Redrive: the next run of a job that ended, of what did not succeed."""

from __future__ import annotations

import pytest

from engine.errors import InvalidStateError, NotFoundError, UnavailableError
from engine.job import JobError, JobId, JobState
from engine.ledger import Verdict
from tests.contract.test_failures import with_failures
from tests.support.house import House, RedisHouse
from tests.support.jobs import FOUND, TENANT, claim_of, files_job, inline_job, outcome_of

pytestmark = pytest.mark.anyio

HOPELESS = JobError(code="USER_CODE", message="map raised ValueError")
ONCE = {"maxAttempts": 1}


async def fail(house: House, job: JobId, task: str, number: int = 1) -> None:
    claim = claim_of(job, task, number)
    await house.take(claim)
    assert await house.ledger.fail(claim, HOPELESS) is Verdict.ACCEPTED


async def redrive(house: House, job: JobId, **given: object) -> None:
    await house.jobs.redrive(TENANT, job, **{"params": None, "idempotency_key": None, **given})  # type: ignore[arg-type]


async def test_what_succeeded_is_kept_and_the_rest_runs_again(house: House) -> None:
    new = inline_job(batches=3, failurePolicy=ONCE)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"), outcome_of(claim_of(new.id, "map-0"), items=1))
    await fail(house, new.id, "map-1")
    before = await house.job(new.id)

    await redrive(house, new.id)

    job = await house.job(new.id)
    assert (job.status.state, job.status.run) == (JobState.QUEUED, 2)
    assert (job.status.map.succeeded, job.status.map.failed, job.status.items.failed) == (1, 0, 0)
    assert job.status.version == before.status.version + 1
    assert (job.finished_at, job.expires_at, job.status.error) == (None, None, None)
    assert await house.ledger.claim(claim_of(new.id, "map-1"), worker="late") is None
    await house.do(claim_of(new.id, "map-1", 2))
    await house.do(claim_of(new.id, "map-2"))
    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    job = await house.job(new.id)
    assert job.status.state is JobState.SUCCEEDED
    assert (job.status.items.succeeded, job.status.items.total) == (3, 3)
    assert job.status.result == [{"key": "a"}]


async def test_a_task_with_failed_items_runs_again_and_counts_once(house: House) -> None:
    policy = {**ONCE, "toleratedFailureCount": 5, "badItems": "SKIP"}
    new = inline_job(batches=2, failurePolicy=policy)
    await house.jobs.accept(new)
    flawed = claim_of(new.id, "map-0")
    await house.take(flawed)
    await house.ledger.commit(flawed, with_failures(flawed, 1))
    for task in ("map-1", "reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    assert (await house.job(new.id)).status.state is JobState.PARTIALLY_SUCCEEDED

    await redrive(house, new.id)

    assert (await house.jobs.failures(new.id, first=5, after=None)).total == 0
    assert (await house.job(new.id)).status.result is None
    again = claim_of(new.id, "map-0", 2)
    await house.do(again, outcome_of(again, counters={"good": 1}))
    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task, 2))
    job = await house.job(new.id)
    assert job.status.state is JobState.SUCCEEDED
    assert (job.status.items.succeeded, job.status.items.failed) == (2, 0)
    assert (await house.jobs.details(new.id)).counters["good"] == 1


async def test_a_job_that_failed_in_reduce_maps_nothing_again(house: House) -> None:
    new = inline_job(batches=2, failurePolicy=ONCE)
    await house.jobs.accept(new)
    for task in ("map-0", "map-1"):
        await house.do(claim_of(new.id, task))
    await fail(house, new.id, "reduce-0")

    await redrive(house, new.id)

    attempt = await house.take(claim_of(new.id, "reduce-0", 2))
    assert len(attempt.inputs) == 2
    await house.ledger.commit(
        claim_of(new.id, "reduce-0", 2), outcome_of(claim_of(new.id, "reduce-0", 2))
    )
    await house.do(claim_of(new.id, "finish-0"))
    assert (await house.job(new.id)).status.state is JobState.SUCCEEDED


async def test_params_are_replaced_for_what_runs_again(house: House) -> None:
    new = inline_job(batches=1, failurePolicy=ONCE)
    await house.jobs.accept(new)
    await fail(house, new.id, "map-0")

    await redrive(house, new.id, params={"least": 2})

    assert (await house.job(new.id)).spec["params"] == {"least": 2}
    assert (await house.take(claim_of(new.id, "map-0", 2))).spec["params"] == {"least": 2}


async def test_the_same_key_again_changes_nothing(house: House) -> None:
    new = inline_job(batches=1, failurePolicy=ONCE)
    await house.jobs.accept(new)
    await fail(house, new.id, "map-0")

    await redrive(house, new.id, idempotency_key="k")
    once = await house.job(new.id)
    await redrive(house, new.id, idempotency_key="k")

    assert await house.job(new.id) == once


async def test_a_plan_that_failed_is_made_again(house: House) -> None:
    new = files_job(failurePolicy=ONCE)
    await house.jobs.accept(new)
    await fail(house, new.id, "plan-0")

    await redrive(house, new.id)

    plan = claim_of(new.id, "plan-0", 2)
    await house.take(plan)
    await house.ledger.extend(plan, 0, FOUND)
    await house.ledger.commit(plan, outcome_of(plan))
    assert (await house.job(new.id)).status.map.total == 2


async def test_a_cancelled_job_runs_anew_once_it_is_tidied_up(house: House) -> None:
    new = inline_job(batches=2)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    await house.jobs.cancel(TENANT, new.id, reason=None)
    [ended] = await house.ledger.unreported_runs()
    await house.ledger.reported(ended, "a manifest")
    with pytest.raises(UnavailableError):
        await redrive(house, new.id)
    await house.tidy(new.id)

    await redrive(house, new.id)

    for task, number in (("map-0", 2), ("map-1", 1), ("reduce-0", 1), ("finish-0", 1)):
        await house.do(claim_of(new.id, task, number))
    job = await house.job(new.id)
    assert job.status.state is JobState.SUCCEEDED
    assert (job.status.items.succeeded, job.status.items.total) == (2, 2)


@pytest.mark.parametrize("house", ["redis"], indirect=True)  # elsewhere map waits for the plan
async def test_a_job_that_was_cancelled_while_it_was_listed_runs_anew(house: RedisHouse) -> None:
    new = files_job(reducers=1)
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.take(plan)
    await house.ledger.extend(plan, 0, FOUND)
    await house.do(claim_of(new.id, "map-0"))  # which had begun before the plan's end
    await house.jobs.cancel(TENANT, new.id, reason=None)
    await house.leases.release(plan)
    [ended] = await house.ledger.unreported_runs()
    await house.ledger.reported(ended, "a manifest")
    await house.tidy(new.id)

    await redrive(house, new.id)

    plan = claim_of(new.id, "plan-0", 2)
    await house.take(plan)
    await house.ledger.extend(plan, 0, FOUND)
    await house.ledger.commit(plan, outcome_of(plan))
    for task, number in (("map-0", 2), ("map-1", 1), ("reduce-0", 1), ("finish-0", 1)):
        await house.do(claim_of(new.id, task, number))
    job = await house.job(new.id)
    assert (job.status.state, job.status.items.succeeded) == (JobState.SUCCEEDED, 2)


async def test_who_looks_after_a_run_too_late_leaves_the_next_one_alone(house: House) -> None:
    new = inline_job(batches=2)
    await house.jobs.accept(new)
    await house.jobs.cancel(TENANT, new.id, reason=None)
    [run] = await house.ledger.unreported_runs()
    await house.ledger.reported(run, "a manifest")
    [late] = await house.ledger.ended_jobs()
    assert await house.ledger.is_untidied(late)
    await house.tidy(new.id)
    await redrive(house, new.id)
    await house.do(claim_of(new.id, "map-0"))

    assert not await house.ledger.is_untidied(late)
    await house.ledger.cleaned(late)

    for task in ("map-1", "reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    assert (await house.job(new.id)).status.state is JobState.SUCCEEDED


async def test_the_first_report_of_a_run_is_the_jobs(house: House) -> None:
    new = inline_job(batches=2)
    await house.jobs.accept(new)
    await house.jobs.cancel(TENANT, new.id, reason=None)
    [run] = await house.ledger.unreported_runs()

    assert await house.ledger.reported(run, "first")
    assert await house.ledger.reported(run, "first")  # as when the answer was lost
    assert not await house.ledger.reported(run, "second")

    assert (await house.jobs.details(new.id)).report == "first"


async def test_a_report_of_a_run_that_goes_on_in_the_next_is_dropped(house: House) -> None:
    new = inline_job(batches=2)
    await house.jobs.accept(new)
    await house.jobs.cancel(TENANT, new.id, reason=None)
    [ended] = await house.ledger.unreported_runs()
    await redrive(house, new.id)
    assert not await house.ledger.reported(ended, "a manifest")
    assert (await house.jobs.details(new.id)).report is None
    assert await house.ledger.unreported_runs() == []
    assert await house.ledger.ended_jobs() == []


async def test_what_runs_succeeded_or_is_anothers_is_not_redriven(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    with pytest.raises(InvalidStateError):
        await redrive(house, new.id)
    done = inline_job()
    await house.run_to_the_end(done)
    with pytest.raises(InvalidStateError):
        await redrive(house, done.id)
    with pytest.raises(NotFoundError):
        await house.jobs.redrive("others", done.id, params=None, idempotency_key=None)
