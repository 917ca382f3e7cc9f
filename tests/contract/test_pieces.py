"""What every ledger promises of pieces: who gets which cuts and bytes, and where they rest."""

from __future__ import annotations

from dataclasses import replace
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from adapters.redis.client import LedgerScripts, reply
from adapters.redis.ledger import KEPT_BYTES_IN_ALL, KEPT_BYTES_OF_A_JOB
from engine.attempt import Piece
from engine.job import JobId, JobPhase
from engine.jobs import NewJob
from engine.jsonvalue import encode
from engine.ledger import Claim, EndedJob
from engine.new_jobs import REDUCE_BYTES
from engine.progress import MAP_SHARE, REDUCE_SHARE
from tests.support.house import LONG_LEASE_MS, RedisHouse, house_over, mapped
from tests.support.jobs import claim_of, inline_job, outcome_of

pytestmark = pytest.mark.anyio


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    return house_over(redis)


async def test_a_reduce_task_gets_the_committed_pieces_in_task_order(house: RedisHouse) -> None:
    new = inline_job(batches=12)
    await house.jobs.accept(new)
    for index in reversed(range(12)):
        await house.do(claim_of(new.id, f"map-{index}"))

    attempt = await house.take(claim_of(new.id, "reduce-0"))

    assert [piece.name for piece in attempt.inputs] == [
        f"jobs/{new.id}/map-{index}-a1" for index in range(12)
    ]


async def test_a_reduce_task_gets_its_own_cuts_and_skips_pieces_without_a_share(
    house: RedisHouse,
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


async def test_what_a_reduce_task_makes_leaves_the_cuts_of_map_alone(house: RedisHouse) -> None:
    new = inline_job(batches=2, reducers=3)
    await house.jobs.accept(new)
    for index, cuts in enumerate([(0, 4, 4, 9), (0, 0, 7, 7)]):
        claim = claim_of(new.id, f"map-{index}")
        await house.do(claim, mapped(claim, cuts))
    first = claim_of(new.id, "reduce-0")
    await house.do(first, mapped(first, (0, 5)))

    attempt = await house.take(claim_of(new.id, "reduce-2"))

    assert [piece.cuts for piece in attempt.inputs] == [(4, 9)]


async def test_a_reduce_task_gets_its_own_bytes_of_pieces_that_are_kept(house: RedisHouse) -> None:
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
    house: RedisHouse, bytes_each: int, tasks: int
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


async def test_uneven_shares_of_partitions_meet_without_gap(house: RedisHouse) -> None:
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
    house: RedisHouse,
) -> None:
    new = query_job(planned=8, reducers=8)
    await house.jobs.accept(new)
    claim = claim_of(new.id, "map-0")

    await house.do(claim, mapped(claim, range(9)))

    assert (await house.job(new.id)).status.reduce.total == 8


async def test_the_claims_of_a_wide_job_stay_small(house: RedisHouse, redis: Redis) -> None:
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


async def test_a_finish_task_gets_very_many_pieces_in_task_order(house: RedisHouse) -> None:
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
    house: RedisHouse, redis: Redis
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


async def test_shelves_hold_little_more_than_what_lies_on_them(
    house: RedisHouse, redis: Redis
) -> None:
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
    house: RedisHouse, redis: Redis
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
    await house.leases.release(claim_of(new.id, "reduce-0"))
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
    house: RedisHouse, redis: Redis, shuffle: Shuffle
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


async def test_small_pieces_are_kept_until_the_job_is_tidied_up(
    house: RedisHouse, redis: Redis
) -> None:
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
    for job in (new, new, other):  # the last has not ended
        await house.ledger.cleaned(EndedJob(job.id, 1, None))

    assert await redis.get("fanfold:kept_bytes") == b"50"
    assert await reply(redis.hget(f"fanfold:job:{other.id}", "kept_bytes")) == b"50"


async def test_a_job_whose_share_is_used_up_keeps_no_more(house: RedisHouse, redis: Redis) -> None:
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


async def may_keep(house: RedisHouse, claim: Claim) -> bool:
    attempt = await house.take(claim)
    return attempt.may_inline


async def test_what_a_fenced_attempt_would_have_kept_is_not_counted(
    house: RedisHouse, redis: Redis
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
