"""What every job store promises: idempotency, tenants, pages."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from engine.errors import IdempotencyConflictError, NotFoundError
from engine.job import JobState, TaskKind, TaskState
from engine.jobs import JobFilter, TaskFilter
from tests.support.house import House, house_over
from tests.support.jobs import TENANT, claim_of, inline_job

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(redis: Redis) -> House:
    return house_over(redis)


async def test_a_job_of_another_tenant_cannot_be_seen_or_cancelled(house: House) -> None:
    new = inline_job(tenant="other")
    await house.jobs.accept(new)

    assert await house.jobs.get(TENANT, [new.id]) == [None]
    with pytest.raises(NotFoundError):
        await house.jobs.cancel(TENANT, new.id, reason=None)


async def test_a_job_out_of_time_is_ended(house: House, redis: Redis) -> None:
    new = inline_job(timeoutSeconds=0.001)
    await house.jobs.accept(new)
    await redis.zadd("fanfold:deadlines", {new.id: 1})

    await house.ledger.sweep()

    status = (await house.job(new.id)).status
    assert status.state is JobState.TIMED_OUT
    assert status.error is not None
    assert status.error.code == "JOB_TIMEOUT"


async def test_the_same_key_and_input_give_the_same_job(house: House) -> None:
    first, second = inline_job(idempotencyKey="k"), inline_job(idempotencyKey="k")

    assert (await house.jobs.accept(first)).created
    again = await house.jobs.accept(second)

    assert (again.id, again.created) == (first.id, False)


async def test_the_same_key_with_another_input_is_a_conflict(house: House) -> None:
    first = inline_job(idempotencyKey="k")
    await house.jobs.accept(first)

    with pytest.raises(IdempotencyConflictError) as caught:
        await house.jobs.accept(inline_job(batches=3, idempotencyKey="k"))

    assert caught.value.existing_job_id == first.id


async def test_keys_belong_to_their_tenant(house: House) -> None:
    await house.jobs.accept(inline_job(idempotencyKey="k"))

    assert (await house.jobs.accept(inline_job(tenant="other", idempotencyKey="k"))).created


async def test_accepting_a_job_twice_makes_one_job(house: House, redis: Redis) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.version == 1
    assert await redis.zcard("fanfold:queue:process") == 2


async def test_jobs_are_listed_newest_first_in_pages(house: House) -> None:
    ids = [(await house.jobs.accept(inline_job(tags=[f"t{i % 2}"]))).id for i in range(5)]

    page = await house.jobs.page(TENANT, first=2, after=None, wanted=JobFilter())
    rest = await house.jobs.page(TENANT, first=9, after=page.jobs[-1].id, wanted=JobFilter())
    tagged = await house.jobs.page(
        TENANT, first=9, after=None, wanted=JobFilter(tags=frozenset({"t1"}))
    )

    assert [job.id for job in (*page.jobs, *rest.jobs)] == ids[::-1]
    assert (page.has_next, rest.has_next) == (True, False)
    assert [job.id for job in tagged.jobs] == [ids[3], ids[1]]


async def test_tasks_can_be_looked_at_one_by_one(house: House) -> None:
    new = inline_job(batches=3)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    await house.ledger.claim(claim_of(new.id, "map-1"), worker="w7")

    every = await house.jobs.tasks(new.id, first=10, after=None, wanted=TaskFilter())
    running = await house.jobs.tasks(
        new.id, first=10, after=None, wanted=TaskFilter(TaskKind.MAP, TaskState.RUNNING)
    )

    assert [(task.id, task.state) for task in every.tasks] == [
        ("map-0", TaskState.SUCCEEDED),
        ("map-1", TaskState.RUNNING),
        ("map-2", TaskState.PENDING),
    ]
    assert [task.worker for task in running.tasks] == ["w7"]
