"""What every ledger promises, on every adapter: Redis today."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from adapters.redis_client import LedgerScripts, reply
from adapters.redis_jobs import REDUCE_BYTES
from adapters.redis_ledger import KEPT_BYTES_IN_ALL, KEPT_BYTES_OF_A_JOB
from engine.attempt import Piece
from engine.batch import Batch
from engine.errors import IdempotencyConflictError, NotFoundError
from engine.job import JobId, JobPhase, JobState, TaskKind, TaskState
from engine.jobs import JobFilter, NewJob, TaskFilter
from engine.jsonvalue import encode
from engine.ledger import Claim, Verdict
from engine.progress import MAP_SHARE, REDUCE_SHARE
from tests.support.house import LONG_LEASE_MS, House, house_over, mapped
from tests.support.jobs import BROKEN, FOUND, TENANT, claim_of, files_job, inline_job, outcome_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(redis: Redis) -> House:
    return house_over(redis)


async def test_a_job_runs_from_map_over_reduce_to_its_result(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    assert job.status.state is JobState.SUCCEEDED
    assert job.status.phase is JobPhase.DONE
    assert job.status.ratio == 1
    assert job.status.result == [{"key": "a"}]
    assert job.status.items.succeeded == job.status.items.total == 2
    assert job.finished_at is not None


async def test_a_plan_task_brings_the_batches(house: House) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    assert await house.ledger.extend(plan, 0, FOUND) is Verdict.ACCEPTED

    assert await house.ledger.commit(plan, outcome_of(plan)) is Verdict.ACCEPTED

    status = (await house.job(new.id)).status
    assert (status.phase, status.map.total, status.reduce.total) == (JobPhase.MAP, 2, 1)
    attempt = await house.take(claim_of(new.id, "map-1"))
    assert attempt.batch is not None
    assert attempt.batch.items == ("b",)


async def test_batches_come_in_parts_and_are_seen_by_nobody_before_the_plan_is_committed(
    house: House, redis: Redis
) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    before = await house.job(new.id)

    for first, batch in enumerate(FOUND):
        await house.ledger.extend(plan, first, [batch])

    assert await house.job(new.id) == before
    assert await redis.zcard("fanfold:queue:process") == 0
    await house.ledger.commit(plan, outcome_of(plan))
    assert await redis.zcard("fanfold:queue:process") == len(FOUND)
    for index, batch in enumerate(FOUND):
        attempt = await house.take(claim_of(new.id, f"map-{index}"))
        assert attempt.batch == batch


async def test_a_later_attempt_at_the_plan_writes_over_what_an_earlier_one_found(
    house: House,
) -> None:
    new = files_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "plan-0"), claim_of(new.id, "plan-0", 2)
    await house.dying.claim(lost, worker="dead")
    await house.dying.extend(lost, 0, [Batch(items=("stale",))] * 3)
    await house.ledger.sweep()
    await house.ledger.claim(second, worker="w1")
    await house.ledger.extend(second, 0, FOUND)

    assert await house.ledger.extend(lost, 0, [Batch(items=("late",))]) is Verdict.FENCED
    await house.ledger.commit(second, outcome_of(second))
    assert await house.ledger.extend(second, 0, [Batch(items=("later",))]) is Verdict.FENCED

    found = []
    for index in range((await house.job(new.id)).status.map.total or 0):
        attempt = await house.take(claim_of(new.id, f"map-{index}"))
        found.append(attempt.batch)
    assert found == list(FOUND)


async def test_map_tasks_begin_while_the_plan_goes_on_where_the_partitions_are_known(
    house: House,
) -> None:
    new = files_job(reducers=1)
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")

    await house.ledger.extend(plan, 0, FOUND[:1])
    await house.do(claim_of(new.id, "map-0"))
    status = (await house.job(new.id)).status
    assert (status.phase, status.map.total, status.map.succeeded) == (JobPhase.PLAN, None, 1)

    await house.ledger.extend(plan, 1, FOUND[1:])
    await house.ledger.commit(plan, outcome_of(plan))
    await house.do(claim_of(new.id, "map-1"))
    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    assert (await house.job(new.id)).status.state is JobState.SUCCEEDED


async def test_a_plan_that_is_made_again_alike_goes_on_and_another_one_ends_the_job(
    house: House,
) -> None:
    for again, state in ((FOUND, JobState.RUNNING), (FOUND[::-1], JobState.FAILED)):
        new = files_job(reducers=1)
        await house.jobs.accept(new)
        lost, second = claim_of(new.id, "plan-0"), claim_of(new.id, "plan-0", 2)
        await house.dying.claim(lost, worker="dead")
        await house.dying.extend(lost, 0, FOUND)
        await house.do(claim_of(new.id, "map-0"))
        await house.ledger.sweep()
        await house.ledger.claim(second, worker="w1")

        await house.ledger.extend(second, 0, again)

        status = (await house.job(new.id)).status
        assert status.state is state
        if state is JobState.FAILED:
            assert status.error is not None
            assert status.error.code == "SOURCE_CHANGED"


async def test_batches_of_a_job_that_is_over_are_fenced(house: House, redis: Redis) -> None:
    new = files_job()
    await house.jobs.accept(new)
    plan = claim_of(new.id, "plan-0")
    await house.ledger.claim(plan, worker="w1")
    await redis.zadd("fanfold:deadlines", {new.id: 1})
    await house.ledger.sweep()

    assert await house.ledger.extend(plan, 0, FOUND) is Verdict.FENCED

    assert await redis.exists(f"fanfold:job:{new.id}:batches") == 0


async def test_a_plan_is_told_how_many_workers_are_alive(house: House, redis: Redis) -> None:
    new = files_job()
    await house.jobs.accept(new)
    for name in ("w1", "w2", "w3"):
        await house.ledger.enter(name)
    await redis.zadd("fanfold:workers", {"w3": 1})
    await house.ledger.leave("w2")
    await house.ledger.enter("w4")

    attempt = await house.take(claim_of(new.id, "plan-0"))

    assert (attempt.workers, await house.jobs.workers()) == (2, 2)


async def test_a_plan_counts_its_own_worker_even_if_none_is_known(house: House) -> None:
    new = files_job()
    await house.jobs.accept(new)

    attempt = await house.take(claim_of(new.id, "plan-0"))

    assert (attempt.workers, await house.jobs.workers()) == (1, 0)


async def test_a_heartbeat_without_claims_keeps_a_worker_on_the_list(
    house: House, redis: Redis
) -> None:
    await redis.zadd("fanfold:workers", {"w1": 1, "gone": 1})

    assert list(await house.ledger.renew([], worker="w1")) == []

    assert await house.jobs.workers() == 1
    assert await redis.zrange("fanfold:workers", 0, -1) == [b"w1"]


async def test_a_plan_without_batches_goes_straight_to_reduce(house: House) -> None:
    new = inline_job(batches=0)

    await house.jobs.accept(new)

    assert (await house.job(new.id)).status.map.total == 0
    assert await house.do(claim_of(new.id, "reduce-0")) is Verdict.ACCEPTED


async def test_a_map_only_job_has_no_reduce(house: House) -> None:
    new = inline_job(batches=1, map_only=True)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))

    finish = await house.take(claim_of(new.id, "finish-0"))

    assert [piece.name for piece in finish.inputs] == [f"jobs/{new.id}/map-0-a1"]


async def test_a_reduce_task_gets_the_committed_pieces_in_task_order(house: House) -> None:
    new = inline_job(batches=12)
    await house.jobs.accept(new)
    for index in reversed(range(12)):
        await house.do(claim_of(new.id, f"map-{index}"))

    attempt = await house.take(claim_of(new.id, "reduce-0"))

    assert [piece.name for piece in attempt.inputs] == [
        f"jobs/{new.id}/map-{index}-a1" for index in range(12)
    ]


async def test_a_reduce_task_gets_its_own_cuts_and_skips_pieces_without_a_share(
    house: House,
) -> None:
    new = inline_job(batches=3, reducers=3)
    await house.jobs.accept(new)
    for index, cuts in enumerate([(0, 4, 4, 9), (0, 0, 7, 7), (0, 0, 0, 2**40)]):
        claim = claim_of(new.id, f"map-{index}")
        await house.ledger.claim(claim, worker="w1")
        await house.ledger.commit(claim, mapped(claim, cuts))

    shares = []
    for reducer in range(3):
        attempt = await house.take(claim_of(new.id, f"reduce-{reducer}"))
        assert all(piece.data is None for piece in attempt.inputs)
        shares.append([(piece.name.rpartition("/")[2], piece.cuts) for piece in attempt.inputs])

    assert shares == [
        [("map-0-a1.arrow", (0, 4))],
        [("map-1-a1.arrow", (0, 7))],
        [("map-0-a1.arrow", (4, 9)), ("map-2-a1.arrow", (0, 2**40))],
    ]


async def test_what_a_reduce_task_makes_leaves_the_cuts_of_map_alone(house: House) -> None:
    new = inline_job(batches=2, reducers=3)
    await house.jobs.accept(new)
    for index, cuts in enumerate([(0, 4, 4, 9), (0, 0, 7, 7)]):
        claim = claim_of(new.id, f"map-{index}")
        await house.do(claim, mapped(claim, cuts))
    first = claim_of(new.id, "reduce-0")
    await house.do(first, mapped(first, (0, 5)))

    attempt = await house.take(claim_of(new.id, "reduce-2"))

    assert [piece.cuts for piece in attempt.inputs] == [(4, 9)]


async def test_a_reduce_task_gets_its_own_bytes_of_pieces_that_are_kept(house: House) -> None:
    new = inline_job(batches=2, reducers=2)
    await house.jobs.accept(new)
    kept, stored = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    for claim, data in ((kept, b"\x00first\xffsecond"), (stored, None)):
        await house.ledger.claim(claim, worker="w1")
        await house.ledger.commit(claim, mapped(claim, (0, 6, 13), data))

    shares = []
    for reducer in range(2):
        attempt = await house.take(claim_of(new.id, f"reduce-{reducer}"))
        shares.append([(piece.cuts, piece.data) for piece in attempt.inputs])

    assert shares == [
        [((0, 6), b"\x00first"), ((0, 6), None)],
        [((6, 13), b"\xffsecond"), ((6, 13), None)],
    ]


def query_job(*, planned: int, **spec: Any) -> NewJob:
    """A job in SQL of one map task, with so many *planned* partitions."""
    new = inline_job(batches=1, **spec)
    assert new.plan is not None
    return replace(new, sql={"steps": {}}, plan=replace(new.plan, reducers=planned))


@pytest.mark.parametrize(("bytes_each", "tasks"), [(1, 1), (REDUCE_BYTES // 4, 2), (10**9, 8)])
async def test_reduce_tasks_of_a_query_take_several_partitions_when_these_are_small(
    house: House, bytes_each: int, tasks: int
) -> None:
    new = query_job(planned=8)
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.do(claim, mapped(claim, range(0, 9 * bytes_each, bytes_each)))

    status = (await house.job(new.id)).status
    assert (status.phase, status.reduce.total) == (JobPhase.REDUCE, tasks)
    shares = []
    for index in range(tasks):
        [piece] = (await house.take(claim_of(new.id, f"reduce-{index}"))).inputs
        shares.append(piece.cuts)
    assert shares[0][0] == 0
    assert shares[-1][1] == 8 * bytes_each
    assert all(before[1] == after[0] for before, after in pairwise(shares))
    for index in range(tasks):
        claim = claim_of(new.id, f"reduce-{index}")
        await house.ledger.commit(claim, outcome_of(claim))
    status = (await house.job(new.id)).status
    assert (status.phase, status.ratio) == (JobPhase.FINISH, MAP_SHARE + REDUCE_SHARE)


async def test_uneven_shares_of_partitions_meet_without_gap(house: House) -> None:
    new = query_job(planned=8)
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    each = REDUCE_BYTES // 3  # 2.7 times as much as one task is to have: three tasks
    await house.do(claim, mapped(claim, range(0, 9 * each, each)))

    shares = [
        [piece.cuts for piece in (await house.take(claim_of(new.id, f"reduce-{i}"))).inputs]
        for i in range(3)
    ]

    assert shares == [[(0, 2 * each)], [(2 * each, 5 * each)], [(5 * each, 8 * each)]]


async def test_as_many_reduce_tasks_as_the_caller_asked_for_are_not_made_fewer(
    house: House,
) -> None:
    new = query_job(planned=8, reducers=8)
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")

    await house.do(claim, mapped(claim, range(9)))

    assert (await house.job(new.id)).status.reduce.total == 8


async def test_the_claims_of_a_wide_job_stay_small(house: House, redis: Redis) -> None:
    maps, reducers = 5_000, 1_000
    new = inline_job(batches=1, reducers=reducers)
    await house.jobs.accept(new)
    first = claim_of(new.id, "map-0")
    await house.ledger.claim(first, worker="w1")
    cuts = tuple(range(0, 100 * (reducers + 1), 100))
    await house.ledger.commit(first, mapped(first, cuts, rows=1_000))
    await copy_the_only_map(redis, new.id, maps)

    attempt = await house.take(claim_of(new.id, "reduce-999"))

    assert len(attempt.inputs) == maps
    assert {piece.cuts for piece in attempt.inputs} == {(99_900, 100_000)}
    assert len(encode(attempt.to_json())) < 1_000_000


async def copy_the_only_map(redis: Redis, job: JobId, maps: int) -> None:
    """Make a job of one committed map task one of *maps*, all alike."""
    key = f"fanfold:job:{job}"
    value = await reply(redis.hget(f"{key}:pieces:map", "0"))
    await reply(redis.hset(f"{key}:pieces:map", mapping={str(i): value for i in range(maps)}))
    await reply(redis.hset(key, mapping={"map_total": maps, "map_succeeded": maps}))


async def test_a_finish_task_gets_very_many_pieces_in_task_order(house: House) -> None:
    pieces = 2_345  # several pages
    new = inline_job(batches=pieces, map_only=True)
    await house.jobs.accept(new)
    for index in range(pieces):
        await house.do(claim_of(new.id, f"map-{index}"))

    attempt = await house.take(claim_of(new.id, "finish-0"))

    assert [piece.name for piece in attempt.inputs] == [
        f"jobs/{new.id}/map-{index}-a1" for index in range(pieces)
    ]
    assert await house.take(claim_of(new.id, "finish-0")) == attempt


async def test_pieces_that_fill_several_shelves_and_pages_come_whole(
    house: House, redis: Redis
) -> None:
    maps, half = 50, 32 * 1024
    new = inline_job(batches=maps, supports_partial=True, partialEveryMs=3_600_000, reducers=2)
    await house.jobs.accept(new)
    await reply(redis.hset(f"fanfold:job:{new.id}", "partial_due", "0"))
    for index in range(maps - 1):
        claim, data = claim_of(new.id, f"map-{index}"), bytes([index]) * half + b"x" * half
        await house.do(claim, mapped(claim, (0, half, 2 * half), data))
    partial = await house.take(claim_of(new.id, "partial-0"))
    last = claim_of(new.id, f"map-{maps - 1}")
    await house.do(last, mapped(last, (0, 1, 1), b"\xff"))
    first_reduce = await house.take(claim_of(new.id, "reduce-0"))

    everyone = [(index, 2 * half) for index in range(maps - 1)]
    assert [in_short(piece) for piece in partial.inputs] == everyone
    first = [(index, half) for index in range(maps - 1)]
    assert [in_short(piece) for piece in first_reduce.inputs] == [*first, (255, 1)]
    second_reduce = await house.take(claim_of(new.id, "reduce-1"))
    assert [in_short(piece) for piece in second_reduce.inputs] == [(ord("x"), half)] * (maps - 1)


def in_short(piece: Piece) -> tuple[int, int]:
    """Return the first of a piece's bytes, and how many there are."""
    assert piece.data is not None
    return piece.data[0], len(piece.data)


async def test_shelves_hold_little_more_than_what_lies_on_them(house: House, redis: Redis) -> None:
    maps, reducers = 300, 1_000
    new = inline_job(batches=maps, reducers=reducers)
    await house.jobs.accept(new)
    for index in range(maps):
        claim = claim_of(new.id, f"map-{index}")
        await house.do(claim, mapped(claim, range(reducers + 1)))

    shelves = [key async for key in redis.scan_iter(match=f"fanfold:job:{new.id}:data:*")]

    length = sum([await reply(redis.strlen(key)) for key in shelves])
    assert len(shelves) > 1
    assert length <= 1.01 * maps * 8 * (reducers + 1)
    used = sum([await reply(redis.memory_usage(key)) or 0 for key in shelves])
    assert used <= 1.05 * length


async def test_reading_on_extends_the_lease_and_ends_with_the_attempt(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    await house.do(claim_of(new.id, "map-0"))
    await house.dying.claim(claim_of(new.id, "reduce-0"), worker="w1")
    before = await redis.zscore("fanfold:leases", f"{new.id} reduce-0 1")
    scripts = LedgerScripts(redis)

    pieces, position = await scripts.call("inputs", new.id, "reduce-0", 1, LONG_LEASE_MS, 0)

    assert (len(pieces), position) == (1, 0)
    after = await redis.zscore("fanfold:leases", f"{new.id} reduce-0 1")
    assert after is not None
    assert before is not None
    assert after >= before + LONG_LEASE_MS
    assert await scripts.call("inputs", new.id, "reduce-0", 2, LONG_LEASE_MS, 0) is None
    await house.ledger.release(claim_of(new.id, "reduce-0"))
    assert await scripts.call("inputs", new.id, "reduce-0", 1, LONG_LEASE_MS, 0) is None


Shuffle = tuple[list[list[bytes]], list[bool], list[int], int]


@st.composite
def shuffles(draw: st.DrawFn) -> Shuffle:
    """Partitions of each map task, which of them are kept, their order, number of reduce tasks."""
    partitions = draw(st.integers(1, 6))
    parts = st.lists(st.binary(max_size=9), min_size=partitions, max_size=partitions)
    pieces = draw(st.lists(parts, min_size=1, max_size=5))
    kept = draw(st.lists(st.booleans(), min_size=len(pieces), max_size=len(pieces)))
    order = draw(st.permutations(range(len(pieces))))
    return pieces, kept, order, draw(st.integers(1, partitions))


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(shuffle=shuffles())
async def test_reduce_tasks_share_every_byte_of_every_piece_in_whatever_order_they_came(
    house: House, redis: Redis, shuffle: Shuffle
) -> None:
    pieces, kept, order, tasks = shuffle
    maps, partitions = len(pieces), len(pieces[0])
    new = inline_job(batches=maps)
    assert new.plan is not None
    await house.jobs.accept(replace(new, plan=replace(new.plan, reducers=partitions)))
    for index in order:
        claim = claim_of(new.id, f"map-{index}")
        cuts = (0, *accumulate(map(len, pieces[index])))
        await house.do(claim, mapped(claim, cuts, b"".join(pieces[index]) if kept[index] else None))
    await reply(redis.hset(f"fanfold:job:{new.id}", "reduce_total", str(tasks)))

    for task in range(tasks):
        attempt = await house.take(claim_of(new.id, f"reduce-{task}"))
        own = slice(task * partitions // tasks, (task + 1) * partitions // tasks)
        expected = [
            (
                (len(b"".join(piece[: own.start])), len(b"".join(piece[: own.stop]))),
                b"".join(piece[own]) if is_kept else None,
            )
            for piece, is_kept in zip(pieces, kept, strict=True)
            if b"".join(piece[own])
        ]
        assert [(piece.cuts, piece.data) for piece in attempt.inputs] == expected


async def test_small_pieces_are_kept_until_the_job_is_tidied_up(house: House, redis: Redis) -> None:
    new, other = inline_job(batches=2), inline_job(batches=1)
    for job, tasks in ((new, ("map-0", "map-1")), (other, ("map-0",))):
        await house.jobs.accept(job)
        for task in tasks:
            claim = claim_of(job.id, task)
            attempt = await house.take(claim)
            assert attempt.may_inline
            await house.ledger.commit(claim, mapped(claim, (0, 50), b"x" * 50))
    assert await redis.get("fanfold:kept_bytes") == b"150"

    for task in ("reduce-0", "finish-0"):
        await house.do(claim_of(new.id, task))
    await house.ledger.cleaned(new.id)
    await house.ledger.cleaned(new.id)
    await house.ledger.cleaned(other.id)  # which has not ended

    assert await redis.get("fanfold:kept_bytes") == b"50"
    assert await reply(redis.hget(f"fanfold:job:{other.id}", "kept_bytes")) == b"50"


async def test_a_job_whose_share_is_used_up_keeps_no_more(house: House, redis: Redis) -> None:
    new, other = inline_job(batches=3), inline_job(batches=1)
    await house.jobs.accept(new)
    await house.jobs.accept(other)
    claim = claim_of(new.id, "map-0")
    await house.ledger.claim(claim, worker="w1")
    await house.ledger.commit(claim, mapped(claim, (0, KEPT_BYTES_OF_A_JOB), b"x"))
    used = {"kept_bytes": KEPT_BYTES_OF_A_JOB}
    await reply(redis.hset(f"fanfold:job:{new.id}", mapping=used))

    assert not await may_keep(house, claim_of(new.id, "map-1"))
    assert await may_keep(house, claim_of(other.id, "map-0"))

    await redis.set("fanfold:kept_bytes", KEPT_BYTES_IN_ALL)
    assert not await may_keep(house, claim_of(other.id, "map-0"))


async def may_keep(house: House, claim: Claim) -> bool:
    attempt = await house.take(claim)
    return attempt.may_inline


async def test_what_a_fenced_attempt_would_have_kept_is_not_counted(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-0", 2)
    await house.dying.claim(lost, worker="dead")
    await house.ledger.sweep()
    await house.ledger.claim(second, worker="w1")

    await house.ledger.commit(lost, mapped(lost, (0, 9), b"too late!"))
    await house.ledger.commit(second, mapped(second, (0, 7), b"in time"))
    await house.ledger.commit(second, mapped(second, (0, 7), b"in time"))

    assert await redis.get("fanfold:kept_bytes") == b"7"


async def test_the_version_rises_by_one_with_every_change(house: House) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)
    versions = [(await house.job(new.id)).status.version]
    for task in ("map-0", "reduce-0", "finish-0"):
        await house.ledger.claim(claim_of(new.id, task), worker="w1")
        versions.append((await house.job(new.id)).status.version)
        await house.ledger.commit(claim_of(new.id, task), outcome_of(claim_of(new.id, task)))
        versions.append((await house.job(new.id)).status.version)

    assert versions == list(range(1, 8))


async def test_only_one_worker_gets_a_task(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is not None
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w2") is None


async def test_a_worker_whose_claim_was_answered_in_vain_may_ask_again(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first = await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") == first
    assert (await house.job(new.id)).status.map.running == 1


async def test_a_commit_counts_once_however_often_it_is_sent(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.do(claim)

    assert await house.ledger.commit(claim, outcome_of(claim)) is Verdict.REPEATED

    status = (await house.job(new.id)).status
    assert (status.map.succeeded, status.items.succeeded, status.bytes_read) == (1, 1, 5)


async def test_a_lost_attempt_is_tried_again_and_cannot_commit_any_more(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-0", 2)
    await house.dying.claim(lost, worker="dead")

    assert await house.ledger.sweep() == 1
    assert await house.ledger.commit(lost, outcome_of(lost)) is Verdict.FENCED
    assert await house.do(second) is Verdict.ACCEPTED
    assert await house.ledger.commit(lost, outcome_of(lost)) is Verdict.FENCED

    status = (await house.job(new.id)).status
    assert (status.map.succeeded, status.map.retried) == (1, 1)


async def test_a_renewed_lease_is_not_swept(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")
    await house.dying.claim(claim, worker="slow")

    assert list(await house.ledger.renew([claim], worker="slow")) == []

    assert await house.ledger.sweep() == 0


async def test_renewing_tells_which_attempts_are_lost(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, kept = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.dying.claim(lost, worker="w1")
    await house.ledger.claim(kept, worker="w1")
    await house.ledger.sweep()

    assert list(await house.ledger.renew([lost, kept], worker="w1")) == [lost]


async def test_a_task_that_is_lost_too_often_fails_the_job(house: House) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 2})
    await house.jobs.accept(new)
    for number in (1, 2):
        await house.dying.claim(claim_of(new.id, "map-0", number), worker="dead")
        await house.ledger.sweep()

    status = (await house.job(new.id)).status
    assert status.state is JobState.FAILED
    assert status.error is not None
    assert status.error.code == "WORKER_LOST"


async def test_a_failed_attempt_is_tried_again_until_its_attempts_are_used_up(
    house: House,
) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 2, "backoffMs": 0})
    await house.jobs.accept(new)
    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")
    assert await house.ledger.fail(claim_of(new.id, "map-0"), BROKEN) is Verdict.ACCEPTED
    assert (await house.job(new.id)).status.state is JobState.RUNNING
    await house.ledger.claim(claim_of(new.id, "map-0", 2), worker="w1")
    assert await house.ledger.fail(claim_of(new.id, "map-0", 2), BROKEN) is Verdict.ACCEPTED

    status = (await house.job(new.id)).status

    assert status.state is JobState.FAILED
    assert status.error is not None
    assert status.error.message == BROKEN.message
    assert (status.map.failed, status.map.running) == (1, 0)


async def test_a_hopeless_attempt_fails_the_job_at_once(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")
    await house.ledger.claim(claim_of(new.id, "map-1"), worker="w2")
    hopeless = type(BROKEN)(code="INVALID_RECORD", message="not UTF-8")

    await house.ledger.fail(claim_of(new.id, "map-0"), hopeless)

    assert (await house.job(new.id)).status.state is JobState.FAILED
    other = claim_of(new.id, "map-1")
    assert await house.ledger.commit(other, outcome_of(other)) is Verdict.FENCED


async def test_a_released_task_is_dispatched_again_without_a_charge(house: House) -> None:
    new = inline_job(failurePolicy={"maxAttempts": 1})
    await house.jobs.accept(new)
    for number in range(1, 6):
        assert await house.ledger.claim(claim_of(new.id, "map-0", number), worker="w1")
        await house.ledger.release(claim_of(new.id, "map-0", number))

    assert await house.do(claim_of(new.id, "map-0", 6)) is Verdict.ACCEPTED


async def test_counters_sum_over_committed_attempts_only(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    lost, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-0", 2)
    await house.dying.claim(lost, worker="dead")
    await house.ledger.sweep()
    await house.ledger.commit(lost, outcome_of(lost, counters={"bad": 3}))
    await house.ledger.claim(second, worker="w1")
    await house.ledger.commit(second, outcome_of(second, counters={"bad": 2.5}))

    assert (await house.jobs.details(new.id)).counters == {"bad": 2.5}


async def test_no_more_tasks_are_dispatched_than_the_job_may_run_at_once(
    house: House, redis: Redis
) -> None:
    new = inline_job(batches=5, maxConcurrency=2)
    await house.jobs.accept(new)
    assert await redis.zcard("fanfold:queue:process") == 2

    await house.do(claim_of(new.id, "map-0"))

    assert await redis.zcard("fanfold:queue:process") == 2


async def test_a_claim_takes_the_entry_out_of_the_queue(house: House, redis: Redis) -> None:
    new = inline_job(batches=1)
    await house.jobs.accept(new)

    await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1")

    assert await redis.zcard("fanfold:queue:process") == 0
    assert await redis.keys("arq:*") == []


async def test_cancelling_an_idle_job_ends_it_at_once(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)

    await house.jobs.cancel(TENANT, new.id, reason="changed my mind")

    status = (await house.job(new.id)).status
    assert (status.state, status.message) == (JobState.CANCELLED, "changed my mind")
    assert await house.ledger.claim(claim_of(new.id, "map-0"), worker="w1") is None


async def test_a_cancelled_job_has_ended_when_nothing_of_it_runs(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    first, second = claim_of(new.id, "map-0"), claim_of(new.id, "map-1")
    await house.ledger.claim(first, worker="w1")
    await house.ledger.claim(second, worker="w2")

    await house.jobs.cancel(TENANT, new.id, reason=None)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert set(await house.ledger.renew([first, second], worker="w1")) == {first, second}
    await house.ledger.release(first)
    assert (await house.job(new.id)).status.state is JobState.CANCELLING
    assert await house.ledger.commit(second, outcome_of(second)) is Verdict.FENCED

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_a_cancelled_job_ends_though_its_worker_is_dead(house: House) -> None:
    new = inline_job()
    await house.jobs.accept(new)
    await house.dying.claim(claim_of(new.id, "map-0"), worker="dead")
    await house.jobs.cancel(TENANT, new.id, reason=None)

    await house.ledger.sweep()

    assert (await house.job(new.id)).status.state is JobState.CANCELLED


async def test_cancelling_a_finished_job_changes_nothing(house: House) -> None:
    job = await house.run_to_the_end(inline_job())

    await house.jobs.cancel(TENANT, job.id, reason="too late")

    assert await house.job(job.id) == job


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


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(
                ["claim"] * 3
                + ["commit", "fail", "release", "renew", "die", "sweep", "sweep", "cancel"]
            ),
            st.integers(0, 2),
            st.integers(0, 2),
        ),
        max_size=40,
    )
)
async def test_whatever_happens_counts_add_up_and_every_task_is_committed_once(
    house: House, steps: list[tuple[str, int, int]]
) -> None:
    new = inline_job(batches=3, failurePolicy={"maxAttempts": 100, "backoffMs": 0})
    await house.jobs.accept(new)
    numbers, commits = [1, 1, 1], [0, 0, 0]
    for action, index, lag in steps:
        claim = claim_of(new.id, f"map-{index}", numbers[index])
        late = claim_of(new.id, f"map-{index}", max(1, numbers[index] - lag))
        match action:
            case "claim":
                await house.ledger.claim(claim, worker="w1")
            case "die":
                await house.dying.claim(claim, worker="w2")
            case "commit":
                verdict = await house.ledger.commit(late, outcome_of(late))
                commits[index] += verdict is Verdict.ACCEPTED
            case "fail":
                await house.ledger.fail(late, BROKEN)
            case "release":
                await house.ledger.release(late)
            case "renew":
                await house.ledger.renew([late], worker="w1")
            case "cancel":
                await house.jobs.cancel(TENANT, new.id, reason=None)
            case "sweep":
                await house.ledger.sweep()
        page = await house.jobs.tasks(
            new.id, first=3, after=None, wanted=TaskFilter(kind=TaskKind.MAP)
        )
        numbers = [max(1, task.attempts) for task in page.tasks]
        counts = (await house.job(new.id)).status.map
        assert counts.running == sum(task.state is TaskState.RUNNING for task in page.tasks)
        assert counts.succeeded == sum(commits)
        assert counts.pending + counts.running + counts.succeeded + counts.failed == 3

    assert max(commits) <= 1
