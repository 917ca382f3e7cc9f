"""How jobs go: tidied up when they end, unknown at once when they are erased, and then all gone."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.obstore.blobs import ObstoreBlobs
from adapters.redis.bell import RedisBell
from adapters.redis.client import connect, reply
from adapters.redis.ledger import LATE_KEY, TASKS_PER_ERASE
from engine.bell import job_topic
from engine.cancellation import cancel_all
from engine.errors import InvalidStateError, NotFoundError
from engine.job import Job, JobError, JobId, JobState
from engine.jobs import JobFilter, NewJob
from engine.ledger import EndedJob, Verdict
from engine.result import Manifest
from resolvers.access.caller import Caller
from resolvers.live.hub import StatusHub
from tests.support.house import House, RedisHouse, mapped
from tests.support.jobs import TENANT, claim_of, inline_job, outcome_of
from tests.support.waiting import eventually_async
from workers.caretaker import KEEP_UNFINISHED_S, look_after_jobs, take_care

pytestmark = pytest.mark.anyio

ADA = Caller(subject="ada", tenant=TENANT)
ON_REDIS = pytest.mark.parametrize("house", ["redis"], indirect=True)
"""Of keys, leases and bells."""
TEMPORARY = ("batches", "pieces:map", "pieces:reduce", "data:0")


async def keys_of(redis: Redis, job: JobId) -> set[str]:
    """Return every key that has to do with *job*."""
    return {key.decode() async for key in redis.scan_iter(match=f"*{job}*")}


async def erase_what_is_due(house: House) -> list[JobId]:
    due = list(await house.ledger.expired_jobs())
    for job in due:
        await house.ledger.erase(job)
    return due


async def test_a_job_is_kept_for_the_time_of_the_deployment(house: House) -> None:
    house.jobs = house.jobs_with(retention_s=3_600)

    job = await house.run_to_the_end(inline_job())

    assert job.finished_at is not None
    assert job.expires_at == job.finished_at + timedelta(hours=1)


async def test_a_job_may_ask_for_another_time(house: House) -> None:
    house.jobs = house.jobs_with(retention_s=3_600)

    job = await house.run_to_the_end(inline_job(retentionSeconds=7))

    assert job.finished_at is not None
    assert job.expires_at == job.finished_at + timedelta(seconds=7)


async def test_a_job_that_runs_does_not_expire(house: House) -> None:
    new = inline_job(retentionSeconds=1)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))

    assert (await house.job(new.id)).expires_at is None
    assert await house.ledger.expired_jobs() == []


@pytest.mark.parametrize("ends", ["fails", "is cancelled", "is out of time"])
async def test_however_a_job_ends_it_expires(house: House, ends: str) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    match ends:
        case "fails":
            claim = claim_of(new.id, "map-0")
            await house.take(claim)
            await house.ledger.fail(claim, JobError(code="USER_CODE", message="no"))
        case "is cancelled":
            await house.jobs.cancel(TENANT, new.id, reason=None)
        case _:
            await house.run_out_of_time(new.id)

    job = await house.job(new.id)
    assert job.finished_at is not None
    assert job.expires_at == job.finished_at + timedelta(days=7)


async def test_a_job_that_is_not_due_stays(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    assert await house.ledger.expired_jobs() == []

    assert await house.job(job.id) == job


@ON_REDIS
async def test_what_only_tasks_need_goes_when_the_job_is_tidied_up(
    house: House, redis: Redis
) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.do(claim, mapped(claim, (0, 4), b"data"))
    for task in ("map-1", "reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    ended, key = await house.job(new.id), f"fanfold:job:{new.id}"
    temporary = {f"{key}:{name}" for name in TEMPORARY}
    assert temporary < await keys_of(redis, new.id)

    await house.tidy(new.id)

    assert not temporary & await keys_of(redis, new.id)
    assert await house.job(new.id) == ended
    assert await house.ledger.ended_jobs() == []


@ON_REDIS
async def test_a_job_that_runs_is_not_tidied_up(house: House, redis: Redis) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    before = await keys_of(redis, new.id)

    await house.ledger.cleaned(EndedJob(new.id, 1, None))

    assert await keys_of(redis, new.id) == before


async def test_a_job_that_is_due_is_unknown_at_once_and_told_of_until_it_is_gone(
    house: House,
) -> None:
    job, other = [await house.run_to_the_end(inline_job()) for _ in range(2)]
    await house.expire(job.id)

    assert await house.ledger.expired_jobs() == [job.id]

    assert not await house.is_known(job.id)
    page = await house.jobs.page(TENANT, first=9, after=None, wanted=JobFilter())
    assert page.jobs == (other,)
    assert [ended.id for ended in await house.ledger.ended_jobs()] == [other.id]
    assert await house.ledger.expired_jobs() == [job.id]
    await house.ledger.erase(job.id)
    assert await house.ledger.expired_jobs() == []


@pytest.mark.parametrize("tidied", [True, False], ids=["tidied up before", "at once"])
async def test_nothing_is_left_of_an_erased_job(house: House, tidied: bool) -> None:
    new = inline_job(idempotencyKey="k", timeoutSeconds=60, supports_partial=True)
    await house.jobs.accept(new)
    for task in ("map-0", "map-1"):
        claim = claim_of(new.id, task)
        await house.do(claim, mapped(claim, (0, 4), b"data"))
    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    if tidied:
        await house.tidy(new.id)
    await house.expire(new.id)

    assert await erase_what_is_due(house) == [new.id]

    assert await house.mentions(new.id) == set()


@ON_REDIS
async def test_nothing_is_left_of_a_job_that_was_cancelled_while_it_waited(
    house: House, redis: Redis
) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.dying.claim(claim_of(new.id, "map-0"), worker="dead")
    await house.jobs.cancel(TENANT, new.id, reason=None)
    await house.ledger.sweep()
    await house.jobs.delete(TENANT, new.id)
    await house.jobs.erase(new.id)

    # The queue still has an entry, which is taken out when a worker comes to it.
    assert await house.ledger.claim(claim_of(new.id, "map-1"), worker="w1") is None

    assert await house.mentions(new.id) == set()


@ON_REDIS
async def test_a_job_of_many_tasks_is_erased_in_steps(house: House, redis: Redis) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    await house.jobs.cancel(TENANT, new.id, reason=None)
    tasks = 2 * TASKS_PER_ERASE + 1
    totals = {"map_total": tasks, "reduce_total": 3}
    await reply(redis.hset(f"fanfold:job:{new.id}", mapping=totals))
    async with redis.pipeline(transaction=False) as pipe:
        for i in range(tasks):
            pipe.hset(f"fanfold:job:{new.id}:task:map-{i}", "state", "SUCCEEDED")
        for i in range(3):
            pipe.hset(f"fanfold:job:{new.id}:task:reduce-{i}", "state", "SUCCEEDED")
        await pipe.execute()
    await house.jobs.delete(TENANT, new.id)

    async with asyncio.timeout(20):
        await house.jobs.erase(new.id)

    left = await keys_of(redis, new.id)
    assert left == {f"arq:job:{new.id}:map-0:1"}  # goes when a worker comes to its entry


@ON_REDIS
async def test_a_job_that_is_known_is_not_erased(house: House, redis: Redis) -> None:
    job = await house.run_to_the_end(inline_job())
    before = await keys_of(redis, job.id)

    await house.ledger.erase(job.id)

    assert await keys_of(redis, job.id) == before


@ON_REDIS
async def test_erasing_and_tidying_up_twice_does_no_harm(house: House, redis: Redis) -> None:
    kept = inline_job()
    await house.jobs.accept(kept)
    claim = claim_of(kept.id, "map-0")
    await house.do(claim, mapped(claim, (0, 4), b"data"))
    job = await house.run_to_the_end(inline_job())
    await house.jobs.delete(TENANT, job.id)

    for _ in range(2):
        await house.ledger.erase(job.id)
        await house.ledger.cleaned(EndedJob(job.id, 1, None))

    assert await house.mentions(job.id) == set()
    assert await redis.get("fanfold:kept_bytes") == b"4"


async def test_the_key_of_an_erased_job_may_be_used_again(house: House) -> None:
    job = await house.run_to_the_end(inline_job(idempotencyKey="k"))
    assert not (await house.jobs.accept(inline_job(idempotencyKey="k"))).created

    await house.jobs.delete(TENANT, job.id)

    again = await house.jobs.accept(inline_job(batches=3, idempotencyKey="k"))
    assert again.created
    await house.jobs.erase(job.id)
    assert (await house.jobs.accept(inline_job(batches=3, idempotencyKey="k"))).id == again.id


@pytest.mark.parametrize(
    ("house", "cancelling"),
    [("redis", True), ("redis", False), ("dynamodb", False)],
    indirect=["house"],
)
async def test_only_a_job_that_has_ended_is_deleted(house: House, cancelling: bool) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.take(claim_of(new.id, "map-0"))
    if cancelling:
        await house.jobs.cancel(TENANT, new.id, reason=None)
    before = await house.job(new.id)

    with pytest.raises(InvalidStateError) as caught:
        await house.jobs.delete(TENANT, new.id)

    assert caught.value.state == before.status.state
    assert await house.job(new.id) == before


async def test_a_job_of_another_tenant_cannot_be_deleted(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    with pytest.raises(NotFoundError):
        await house.jobs.delete("other", job.id)

    assert await house.job(job.id) == job


async def test_a_deleted_job_is_unknown_at_once(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    await house.jobs.delete(TENANT, job.id)

    assert not await house.is_known(job.id)
    page = await house.jobs.page(TENANT, first=9, after=None, wanted=JobFilter())
    assert page.jobs == ()
    with pytest.raises(NotFoundError):
        await house.jobs.delete(TENANT, job.id)
    with pytest.raises(NotFoundError):
        await house.jobs.cancel(TENANT, job.id, reason=None)
    with pytest.raises(NotFoundError):
        await house.jobs.page(TENANT, first=9, after=job.id, wanted=JobFilter())


@ON_REDIS
async def test_late_attempts_at_an_erased_job_bring_nothing_back(
    house: RedisHouse, redis: Redis
) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    late = claim_of(new.id, "map-0")
    await house.take(late, worker="slow")
    await redis.zadd("fanfold:deadlines", {new.id: 1})
    await house.ledger.sweep()
    await house.jobs.delete(TENANT, new.id)
    await house.jobs.erase(new.id)

    assert await house.ledger.commit(late, outcome_of(late)) is Verdict.FENCED
    assert list(await house.leases.renew([late], worker="slow")) == [late]
    await house.leases.release(late)
    await redis.zadd("fanfold:leases", {f"{new.id} map-0 1": 1}, xx=True)  # runs out
    await house.ledger.sweep()
    assert await house.ledger.claim(claim_of(new.id, "map-1"), worker="w1") is None

    assert await house.mentions(new.id) == set()


@pytest.fixture
async def hub(house: House, redis_server: str) -> AsyncIterator[StatusHub]:
    subscriber = connect(redis_server)
    async with (
        asyncio.timeout(30),
        RedisBell(subscriber) as bell,
        StatusHub(jobs=house.jobs, bell=bell) as hub,
    ):
        yield hub
    await subscriber.aclose()


@ON_REDIS
async def test_a_deleted_job_cannot_be_followed(house: House, hub: StatusHub) -> None:
    job = await house.run_to_the_end(inline_job())
    async with aclosing(hub.follow(ADA, job.id)) as states:
        assert (await anext(states)).state is JobState.SUCCEEDED

    await house.jobs.delete(TENANT, job.id)

    with pytest.raises(NotFoundError):
        await anext(hub.follow(ADA, job.id))


@ON_REDIS
async def test_deleting_rings_the_bell(house: House, redis_server: str) -> None:
    job = await house.run_to_the_end(inline_job())
    subscriber, rung = connect(redis_server), asyncio.Event()
    async with asyncio.timeout(10), RedisBell(subscriber) as bell:
        async with bell.listen(job_topic(job.id), lambda _: rung.set()):
            rung.clear()  # of the subscription itself
            await house.jobs.delete(TENANT, job.id)

            await rung.wait()
    await subscriber.aclose()


async def with_result(house: House, blobs: ObstoreBlobs, new: NewJob) -> Job:
    """Run a job and leave a result, a piece of the shuffle and what a lost attempt left."""
    job = await house.run_to_the_end(new)
    details = await house.jobs.details(job.id)
    assert details.manifest is not None
    manifest = Manifest(job=job.id, files=(), exact=True, facts={})
    blobs.put(details.manifest, manifest.to_bytes())
    blobs.put(f"jobs/{job.id}/shuffle/map-0-a1.arrow", b"piece")
    return job


async def test_the_caretaker_removes_what_is_due_with_its_blobs(
    house: House, tmp_path: Path
) -> None:
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    due, kept = [await with_result(house, blobs, inline_job()) for _ in range(2)]
    await house.expire(due.id)
    caring = asyncio.create_task(take_care(house.ledger, blobs, keep_uploads_s=60))

    result = (await house.jobs.details(kept.id)).manifest
    await eventually_async(lambda: list(blobs.list("jobs")) == [result], within_s=10)
    await cancel_all([caring])

    assert not await house.is_known(due.id)
    assert await house.is_known(kept.id)


async def test_a_result_that_somebody_removed_holds_up_nobody(house: House, tmp_path: Path) -> None:
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    emptied, due = [await with_result(house, blobs, inline_job()) for _ in range(2)]
    await house.expire(due.id)
    blobs.delete(list(blobs.list(f"jobs/{emptied.id}/result")))
    blobs.delete([(await house.jobs.details(emptied.id)).manifest or ""])
    caring = asyncio.create_task(take_care(house.ledger, blobs, keep_uploads_s=60))

    await eventually_async(lambda: not list(blobs.list("jobs")), within_s=10)
    async with asyncio.timeout(10):
        while await house.mentions(due.id) or await house.ledger.ended_jobs():
            pass
    await cancel_all([caring])

    assert await house.is_known(emptied.id)


@ON_REDIS
async def test_what_comes_of_a_job_after_it_was_erased_is_removed_later(
    house: House, redis: Redis, tmp_path: Path
) -> None:
    blobs = ObstoreBlobs.local(tmp_path / "blobs")
    job = await with_result(house, blobs, inline_job())
    await house.jobs.delete(TENANT, job.id)
    await look_after_jobs(house.ledger, blobs)
    blobs.put(f"jobs/{job.id}/result/finish-0-a1.manifest.json", b"too late")
    await look_after_jobs(house.ledger, blobs)
    assert list(blobs.list(f"jobs/{job.id}")) != []

    await redis.zadd(LATE_KEY, {job.id: 1}, xx=True)
    await look_after_jobs(house.ledger, blobs)

    assert list(blobs.list(f"jobs/{job.id}")) == []
    assert await redis.zcard(LATE_KEY) == 0


@ON_REDIS
async def test_what_a_killed_upload_left_is_removed_after_hours_and_one_that_comes_is_not(
    house: House, tmp_path: Path
) -> None:
    blobs, unfinished = ObstoreBlobs.local(tmp_path / "blobs"), tmp_path / "uploads"
    long_ago = time.time() - KEEP_UNFINISHED_S - 60
    for name in ("upload-left", "upload-coming", "other"):
        (unfinished / name).mkdir(parents=True)
        (unfinished / name / "file").write_bytes(b"half")
        if name != "upload-coming":
            os.utime(unfinished / name / "file", (long_ago, long_ago))
        os.utime(unfinished / name, (long_ago, long_ago))

    caring = asyncio.create_task(
        take_care(house.ledger, blobs, keep_uploads_s=60, unfinished=unfinished)
    )
    await eventually_async(lambda: not (unfinished / "upload-left").exists(), within_s=10)
    await cancel_all([caring])

    assert sorted(os.listdir(unfinished)) == ["other", "upload-coming"]
