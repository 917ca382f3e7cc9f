"""Quotas: kept when many submit at once, and each tenant's own."""

from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from engine.errors import InvalidStateError, QuotaExceededError
from engine.job import JobError
from engine.jobs import NewJob
from engine.quotas import Quotas
from resolvers.access.quotas import Connections, Refusals
from tests.support.house import House, Jobs
from tests.support.jobs import TENANT, claim_of, files_job, inline_job, outcome_of
from tests.support.waiting import eventually

pytestmark = pytest.mark.anyio

ON_REDIS = pytest.mark.parametrize("house", ["redis"], indirect=True)
"""Of a queue of our own."""

HOPELESS = JobError(code="USER_CODE", message="map raised ValueError")


def jobs_with(house: House, **quotas: int) -> Jobs:
    return house.jobs_with(quotas=Quotas(**quotas))


async def accept(jobs: Jobs, new: NewJob) -> QuotaExceededError | None:
    try:
        await jobs.accept(new)
    except QuotaExceededError as exc:
        return exc
    return None


async def test_without_quotas_there_are_none(house: House) -> None:
    jobs = house.jobs_with()

    assert [await accept(jobs, inline_job()) for _ in range(50)] == [None] * 50


async def test_no_more_jobs_live_than_may_even_if_all_come_at_once(house: House) -> None:
    jobs = jobs_with(house, live_jobs=5)

    refused = await asyncio.gather(*(accept(jobs, inline_job()) for _ in range(50)))

    told = [error for error in refused if error is not None]
    assert len(told) == 45
    assert str(told[0]) == "the tenant may have 5 live jobs, and has as many"
    assert told[0].retryable
    assert told[0].retry_after_s > 0


@ON_REDIS
async def test_a_refused_job_leaves_nothing_behind(redis: Redis, house: House) -> None:
    jobs = jobs_with(house, live_jobs=1)
    await jobs.accept(inline_job())
    before = set(await redis.keys())

    assert await accept(jobs, inline_job(idempotencyKey="once"))

    assert set(await redis.keys()) == before


async def test_what_one_tenant_has_costs_others_nothing(house: House) -> None:
    jobs = jobs_with(house, live_jobs=1, queued_tasks=1, submits_per_minute=1)
    await jobs.accept(inline_job())

    assert await accept(jobs, inline_job())
    assert await accept(jobs, inline_job(tenant="other")) is None


async def test_a_job_that_ended_makes_room(house: House) -> None:
    jobs = jobs_with(house, live_jobs=1)
    new = inline_job()
    await jobs.accept(new)
    await jobs.cancel(TENANT, new.id, reason=None)

    assert await accept(jobs, inline_job()) is None


async def test_a_job_that_was_accepted_before_is_answered_whatever_the_quota(
    house: House,
) -> None:
    jobs = jobs_with(house, live_jobs=1, queued_tasks=1, submits_per_minute=1)
    new, again = inline_job(idempotencyKey="once"), inline_job(idempotencyKey="once")
    first = await jobs.accept(new)

    repeated = await jobs.accept(again)
    sent_twice = await jobs.accept(new)

    assert (repeated.id, repeated.created) == (first.id, False)
    assert sent_twice.id == first.id


async def test_submits_are_counted_by_the_minute(house: House) -> None:
    jobs = jobs_with(house, submits_per_minute=6)

    refused = [await accept(jobs, inline_job()) for _ in range(8)]

    assert refused[:6] == [None] * 6
    last = refused[-1]
    assert last is not None
    assert 8 < last.retry_after_s <= 10


@ON_REDIS
async def test_a_submit_comes_back_after_its_share_of_a_minute(house: House) -> None:
    jobs = jobs_with(house, submits_per_minute=600)
    refused = None
    while refused is None:
        refused = await accept(jobs, inline_job())

    assert refused.retry_after_s <= 0.1
    async with asyncio.timeout(5):
        while await accept(jobs, inline_job()):
            pass


@ON_REDIS
async def test_tasks_that_nobody_has_begun_are_counted(house: House) -> None:
    jobs = jobs_with(house, queued_tasks=10)

    refused = [await accept(jobs, inline_job(batches=4)) for _ in range(4)]

    assert [error is None for error in refused] == [True, True, True, False]
    assert str(refused[-1]) == "the tenant may have 10 queued tasks, and has as many"


@ON_REDIS
async def test_tasks_that_run_or_have_ended_are_not_queued(redis: Redis, house: House) -> None:
    jobs = jobs_with(house, queued_tasks=4)
    new = inline_job(batches=4)
    await jobs.accept(new)
    for index in range(4):
        await house.take(claim_of(new.id, f"map-{index}"))
    await redis.delete(f"fanfold:tenant:{TENANT}:queued")  # what was counted a second ago

    assert await accept(jobs, inline_job(batches=4)) is None
    assert await accept(jobs, inline_job(batches=4))


@ON_REDIS
async def test_a_source_that_is_yet_to_be_listed_counts_as_one_task(
    redis: Redis, house: House
) -> None:
    jobs = jobs_with(house, queued_tasks=2)

    refused = [await accept(jobs, files_job()) for _ in range(3)]
    await redis.delete(f"fanfold:tenant:{TENANT}:queued")
    counted_anew = await accept(jobs, files_job())

    assert [error is None for error in refused] == [True, True, False]
    assert counted_anew is not None


@ON_REDIS
async def test_the_tasks_of_every_phase_are_counted(redis: Redis, house: House) -> None:
    jobs = jobs_with(house, queued_tasks=3)
    new = inline_job(batches=2, reducers=4)
    await jobs.accept(new)
    for index in range(2):
        claim = claim_of(new.id, f"map-{index}")
        await house.do(claim, outcome_of(claim))
    await redis.delete(f"fanfold:tenant:{TENANT}:queued")
    (job,) = await jobs.get(TENANT, [new.id])
    assert job is not None
    assert job.status.reduce.pending == 4

    assert await accept(jobs, inline_job())


async def test_a_redriven_job_is_live_again(house: House) -> None:
    jobs = jobs_with(house, live_jobs=1)
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.take(claim)
    await house.ledger.fail(claim, HOPELESS)
    other = inline_job()
    await jobs.accept(other)

    with pytest.raises(QuotaExceededError):
        await jobs.redrive(TENANT, new.id, params=None, idempotency_key="k")
    await jobs.cancel(TENANT, other.id, reason=None)
    await jobs.redrive(TENANT, new.id, params=None, idempotency_key="k")

    await jobs.redrive(TENANT, new.id, params=None, idempotency_key="k")
    with pytest.raises(InvalidStateError):
        await jobs.redrive(TENANT, new.id, params=None, idempotency_key="another")


async def test_no_more_are_redriven_than_may_live_even_if_all_are_at_once(
    redis: Redis, house: House
) -> None:
    jobs = jobs_with(house, live_jobs=2)
    failed = [inline_job(failurePolicy={"maxAttempts": 1}) for _ in range(6)]
    for new in failed:
        await house.jobs.accept(new)
        claim = claim_of(new.id, "map-0")
        await house.take(claim)
        await house.ledger.fail(claim, HOPELESS)

    answers = await asyncio.gather(
        *(jobs.redrive(TENANT, new.id, params=None, idempotency_key=None) for new in failed),
        return_exceptions=True,
    )

    refused = [answer for answer in answers if isinstance(answer, QuotaExceededError)]
    assert (answers.count(None), len(refused)) == (2, 4)
    assert str(refused[0]) == "the tenant may have 2 live jobs, and has as many"


def test_connections_are_each_tenant_s_own_and_come_back() -> None:
    connections = Connections(2)

    with connections.hold("acme"), connections.hold("acme"):
        with pytest.raises(QuotaExceededError, match="2 connections"), connections.hold("acme"):
            pass
        with connections.hold("other"):
            assert connections.open_of("acme") == 2
    with connections.hold("acme"):
        assert connections.open_of("acme") == 1
    assert connections.open_of("acme") == 0


def test_connections_are_not_limited_by_zero() -> None:
    connections = Connections(0)

    with connections.hold("acme"), connections.hold("acme"):
        assert connections.open_of("acme") == 2


def test_who_was_refused_is_refused_for_a_moment_at_no_cost() -> None:
    refusals = Refusals()
    refusals.check("acme")

    with pytest.raises(QuotaExceededError, match="too many"), refusals.noting("acme"):
        raise QuotaExceededError("too many", retry_after_s=0.2)

    with pytest.raises(QuotaExceededError) as caught:
        refusals.check("acme")
    assert 0 < caught.value.retry_after_s <= 0.2
    refusals.check("other")
    eventually(lambda: is_let_through(refusals, "acme"))


def is_let_through(refusals: Refusals, tenant: str) -> bool:
    try:
        refusals.check(tenant)
    except QuotaExceededError:
        return False
    return True
