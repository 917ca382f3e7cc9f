"""What every job store promises: idempotency, tenants, pages."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from adapters.redis.acceptance import BATCHES_AT_ONCE
from adapters.redis.client import reply
from engine.errors import IdempotencyConflictError, NotFoundError
from engine.job import JobState, TaskKind, TaskState
from engine.jobs import JobFilter, TaskFilter
from tests.support.house import House
from tests.support.jobs import TENANT, claim_of, inline_job
from tests.support.turns import turns_of_others

pytestmark = pytest.mark.anyio

ON_REDIS = pytest.mark.parametrize("house", ["redis"], indirect=True)
"""Of how batches are kept."""


async def test_a_job_of_another_tenant_cannot_be_seen_or_cancelled(house: House) -> None:
    new = inline_job(tenant="other")
    await house.jobs.accept(new)

    assert await house.jobs.get(TENANT, [new.id]) == [None]
    with pytest.raises(NotFoundError):
        await house.jobs.cancel(TENANT, new.id, reason=None)


async def test_a_job_out_of_time_is_ended(house: House) -> None:
    new = inline_job(timeoutSeconds=0.001)
    await house.jobs.accept(new)

    await house.run_out_of_time(new.id)

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


@ON_REDIS
async def test_many_batches_are_stored_while_others_have_their_turns(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=5 * BATCHES_AT_ONCE)

    turns = await turns_of_others(house.jobs.accept(new))

    assert turns >= 5
    batches = f"fanfold:job:{new.id}:batches"
    assert await reply(redis.hlen(batches)) == 5 * BATCHES_AT_ONCE
    assert await redis.ttl(batches) == -1
    last = 5 * BATCHES_AT_ONCE - 1
    assert f"item {last}".encode() in await reply(redis.hget(batches, str(last)))


@ON_REDIS
async def test_batches_of_a_job_that_is_not_to_be_are_gone(house: House, redis: Redis) -> None:
    many = 2 * BATCHES_AT_ONCE
    first = inline_job(batches=many, idempotencyKey="k")
    again = inline_job(batches=many, idempotencyKey="k")
    await house.jobs.accept(first)

    assert not (await house.jobs.accept(again)).created

    assert await redis.exists(f"fanfold:job:{first.id}:batches") == 1
    assert await redis.exists(f"fanfold:job:{again.id}:batches") == 0


async def test_a_job_that_was_just_accepted_is_the_one_that_is_read(house: House) -> None:
    new = inline_job(batches=3, tags=["a"], params={"b": [1.5, None]}, timeoutSeconds=9.5)

    accepted = await house.jobs.accept(new)

    assert accepted.job == await house.job(new.id)


async def test_accepting_a_job_twice_makes_one_job(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.version == 1
    page = await house.jobs.page(TENANT, first=9, after=None, wanted=JobFilter())
    assert [job.id for job in page.jobs] == [new.id]


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


async def test_live_jobs_are_listed_by_themselves(house: House) -> None:
    live, ended = inline_job(), inline_job()
    await house.jobs.accept(live)
    await house.jobs.accept(ended)
    await house.jobs.cancel(TENANT, ended.id, reason=None)
    queued = JobFilter(states=frozenset({JobState.QUEUED, JobState.RUNNING}))

    found = await house.jobs.page(TENANT, first=9, after=None, wanted=queued)
    await house.jobs.redrive(TENANT, ended.id, params=None, idempotency_key=None)
    again = await house.jobs.page(TENANT, first=9, after=None, wanted=queued)

    assert [job.id for job in found.jobs] == [live.id]
    assert [job.id for job in again.jobs] == [ended.id, live.id]


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


@ON_REDIS
async def test_a_page_of_large_jobs_is_shorter_and_goes_on(house: House) -> None:
    large = ["x" * 900_000]
    ids = [(await house.jobs.accept(inline_job(params={"p": large}))).id for _ in range(6)]
    newest_first = ids[::-1]

    page = await house.jobs.page(TENANT, first=6, after=None, wanted=JobFilter())
    rest = await house.jobs.page(TENANT, first=6, after=page.jobs[-1].id, wanted=JobFilter())

    assert [job.id for job in (*page.jobs, *rest.jobs)] == newest_first
    assert len(page.jobs) == 5
    assert (page.has_next, rest.has_next) == (True, False)
