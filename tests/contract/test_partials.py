"""What the ledger promises of answers so far: they come now and then, and disturb nothing."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from adapters.redis.client import reply
from engine.attempt import Outcome
from engine.job import JobError, JobId, JobState, TaskKind
from engine.jobs import NewJob, TaskFilter
from engine.ledger import Verdict
from tests.support.house import RedisHouse, house_over, mapped
from tests.support.jobs import BROKEN, TENANT, claim_of, inline_job, outcome_of

pytestmark = pytest.mark.anyio

SELDOM_MS = 3_600_000
"""Never due by itself while a test runs."""
SO_FAR = [{"key": "so far"}]


@pytest.fixture
async def house(redis: Redis) -> RedisHouse:
    return house_over(redis)


def partial_job(*, batches: int = 4, supports_partial: bool = True, **spec: Any) -> NewJob:
    wanted: dict[str, Any] = {"partialEveryMs": SELDOM_MS, **spec}
    return inline_job(batches=batches, supports_partial=supports_partial, **wanted)


async def make_due(redis: Redis, job: JobId) -> None:
    """Let the pause before the next answer so far be over."""
    await reply(redis.hset(f"fanfold:job:{job}", "partial_due", "0"))


async def dispatched(redis: Redis, job: JobId) -> list[str]:
    """Return the answers so far that wait in the queue."""
    queued = [entry.decode() for entry in await redis.zrange("fanfold:queue:process", 0, -1)]
    return [entry.split(":")[1] for entry in queued if entry.startswith(f"{job}:partial-")]


async def begin(house: RedisHouse, redis: Redis, new: NewJob) -> JobId:
    """Accept a job and commit its first map task when an answer so far is due."""
    await house.jobs.accept(new)
    await make_due(redis, new.id)
    await house.do(claim_of(new.id, "map-0"))
    assert await dispatched(redis, new.id) == ["partial-0"]
    return new.id


async def test_an_answer_so_far_is_wanted_when_the_pause_after_the_start_is_over(
    house: RedisHouse, redis: Redis
) -> None:
    new = partial_job()
    await house.jobs.accept(new)

    await house.do(claim_of(new.id, "map-0"))
    assert await dispatched(redis, new.id) == []
    started_long_ago = {"started": 1}
    await reply(redis.hset(f"fanfold:job:{new.id}", mapping=started_long_ago))
    await house.do(claim_of(new.id, "map-1"))

    assert await dispatched(redis, new.id) == ["partial-0"]


async def test_it_goes_before_all_that_waits(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())

    [first] = await redis.zrange("fanfold:queue:process", 0, 0)

    assert first == f"{job}:partial-0:1".encode()


@pytest.mark.parametrize(
    "new", [partial_job(supports_partial=False), partial_job(partialEveryMs=0)], ids=["no", "off"]
)
async def test_a_job_that_cannot_or_does_not_want_to_has_none(
    house: RedisHouse, redis: Redis, new: NewJob
) -> None:
    await house.jobs.accept(new)
    await make_due(redis, new.id)

    await house.do(claim_of(new.id, "map-0"))

    assert await dispatched(redis, new.id) == []


async def test_a_job_of_very_many_pieces_has_none(house: RedisHouse, redis: Redis) -> None:
    new = partial_job(reducers=1_000)
    await house.jobs.accept(new)
    await make_due(redis, new.id)
    await reply(redis.hset(f"fanfold:job:{new.id}", "map_succeeded", "250"))

    await house.do(claim_of(new.id, "map-0"))

    assert await dispatched(redis, new.id) == []


async def test_there_is_one_at_a_time(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())

    for task in ("map-1", "map-2"):
        await make_due(redis, job)
        await house.do(claim_of(job, task))
    assert await dispatched(redis, job) == ["partial-0"]

    await house.do(claim_of(job, "partial-0"))
    assert await dispatched(redis, job) == []


async def test_it_folds_all_that_has_been_committed(house: RedisHouse, redis: Redis) -> None:
    new = partial_job(reducers=2)
    await house.jobs.accept(new)
    kept, stored = claim_of(new.id, "map-2"), claim_of(new.id, "map-0")
    await house.do(kept, mapped(kept, (0, 0, 4), b"kept"))
    await make_due(redis, new.id)
    await house.do(stored, mapped(stored, (0, 3, 9)))

    attempt = await house.take(claim_of(new.id, "partial-0"))

    assert (attempt.kind, attempt.coverage) == (TaskKind.PARTIAL, 0.5)
    assert [(piece.cuts, piece.data) for piece in attempt.inputs] == [
        ((0, 3, 9), None),
        ((0, 0, 4), b"kept"),
    ]


async def test_its_answer_is_shown_with_what_it_covers(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())
    before = (await house.job(job)).status
    await house.take(claim_of(job, "partial-0"))
    await house.do(claim_of(job, "map-1"))  # comes too late for this one
    version = (await house.job(job)).status.version

    partial = claim_of(job, "partial-0")
    assert await house.ledger.commit(partial, outcome_of(partial)) is Verdict.ACCEPTED

    status = (await house.job(job)).status
    assert (before.partial, before.coverage) == (None, None)
    assert (status.partial, status.coverage) == (SO_FAR, 0.25)
    assert (status.result, status.state) == (None, JobState.RUNNING)
    assert status.version == version + 1


async def test_an_answer_that_is_too_large_to_show_changes_nothing_and_is_the_last(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job())
    before = await house.job(job)

    await house.do(claim_of(job, "partial-0"), Outcome(partial=None))
    assert await house.job(job) == before

    await make_due(redis, job)
    await house.do(claim_of(job, "map-1"))
    assert await dispatched(redis, job) == []


async def test_it_is_no_task_of_the_job(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())
    before = await house.job(job)

    await house.take(claim_of(job, "partial-0"))

    assert await house.job(job) == before
    page = await house.jobs.tasks(job, first=10, after=None, wanted=TaskFilter())
    assert [task.id for task in page.tasks] == ["map-0", "map-1", "map-2", "map-3"]


async def test_it_rests_ten_times_as_long_as_it_took(house: RedisHouse, redis: Redis) -> None:
    key = f"fanfold:job:{await begin(house, redis, partial_job(partialEveryMs=1))}"
    partial = claim_of(JobId(key.rpartition(":")[2]), "partial-0")
    await house.take(partial)
    seconds, _ = await reply(redis.time())
    started_ms = 1_000 * seconds - 5_000
    await reply(redis.hset(f"{key}:task:partial-0", "started", str(started_ms)))

    await house.ledger.commit(partial, outcome_of(partial))

    due_ms = int(await reply(redis.hget(key, "partial_due")))
    assert due_ms >= started_ms + 11 * 5_000
    await house.do(claim_of(partial.job, "map-1"))
    assert await dispatched(redis, partial.job) == []


async def test_it_rests_at_least_as_long_as_the_job_asked(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())
    await house.do(claim_of(job, "partial-0"))

    await house.do(claim_of(job, "map-1"))
    assert await dispatched(redis, job) == []
    await make_due(redis, job)
    await house.do(claim_of(job, "map-2"))

    assert await dispatched(redis, job) == ["partial-1"]


async def test_an_attempt_that_fails_changes_nothing_and_another_follows(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job(failurePolicy={"maxAttempts": 1}))
    partial = claim_of(job, "partial-0")
    await house.take(partial)
    before = await house.job(job)

    hopeless = JobError(code="USER_CODE", message="no")
    assert await house.ledger.fail(partial, hopeless) is Verdict.ACCEPTED
    assert await house.ledger.fail(partial, BROKEN) is Verdict.FENCED

    assert await house.job(job) == before
    assert await redis.exists(f"fanfold:job:{job}:task:partial-0") == 0
    await make_due(redis, job)
    await house.do(claim_of(job, "map-1"))
    assert await dispatched(redis, job) == ["partial-1"]


async def test_an_attempt_that_is_lost_changes_nothing_and_another_follows(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job(failurePolicy={"maxAttempts": 1}))
    partial = claim_of(job, "partial-0")
    await house.dying.claim(partial, worker="dead")
    before = await house.job(job)

    await house.ledger.sweep()

    assert await house.job(job) == before
    assert await redis.zcard("fanfold:leases") == 0
    assert await house.ledger.commit(partial, outcome_of(partial)) is Verdict.FENCED
    assert list(await house.leases.renew([partial], worker="w1")) == [partial]
    await make_due(redis, job)
    await house.do(claim_of(job, "map-1"))
    assert await dispatched(redis, job) == ["partial-1"]


async def test_an_attempt_that_is_handed_back_is_not_tried_again(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job())
    partial = claim_of(job, "partial-0")
    await house.take(partial)
    before = await house.job(job)

    await house.leases.release(partial)

    assert await house.job(job) == before
    assert await dispatched(redis, job) == []
    assert await house.ledger.claim(partial, worker="w2") is None


async def test_one_whose_claim_was_answered_in_vain_may_be_asked_for_again(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job())
    first = await house.take(claim_of(job, "partial-0"))

    assert await house.take(claim_of(job, "partial-0")) == first
    assert await house.ledger.claim(claim_of(job, "partial-0"), worker="w2") is None


async def test_none_begins_when_everything_has_been_mapped(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job(batches=2))

    await house.do(claim_of(job, "map-1"))

    assert await house.ledger.claim(claim_of(job, "partial-0"), worker="w1") is None
    assert await dispatched(redis, job) == []


async def test_one_that_is_overtaken_by_the_last_map_task_is_lost(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job(batches=2))
    partial = claim_of(job, "partial-0")
    await house.take(partial)
    await house.do(claim_of(job, "map-1"))
    before = await house.job(job)

    assert list(await house.leases.renew([partial], worker="w1")) == [partial]
    assert await house.ledger.commit(partial, outcome_of(partial)) is Verdict.FENCED

    assert await house.job(job) == before


async def test_the_last_map_task_wants_no_answer_so_far(house: RedisHouse, redis: Redis) -> None:
    new = partial_job(batches=1)
    await house.jobs.accept(new)
    await make_due(redis, new.id)

    await house.do(claim_of(new.id, "map-0"))

    assert await dispatched(redis, new.id) == []


async def test_the_end_takes_its_place(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job(batches=2))
    await house.do(claim_of(job, "partial-0"))
    for task in ("map-1", "reduce-0"):
        await house.do(claim_of(job, task))
        assert (await house.job(job)).status.partial == SO_FAR

    await house.do(claim_of(job, "finish-0"))

    status = (await house.job(job)).status
    assert (status.partial, status.coverage) == (None, None)
    assert status.result == [{"key": "a"}]


async def test_a_result_too_large_to_show_leaves_no_answer_so_far_in_its_place(
    house: RedisHouse, redis: Redis
) -> None:
    job = await begin(house, redis, partial_job(batches=2))
    await house.do(claim_of(job, "partial-0"))
    for task in ("map-1", "reduce-0"):
        await house.do(claim_of(job, task))
    finish = claim_of(job, "finish-0")
    large = outcome_of(finish)
    assert large.result is not None

    await house.do(finish, Outcome(result=type(large.result)(9, 9, None, "m")))

    status = (await house.job(job)).status
    assert (status.result, status.partial) == (None, None)


async def test_a_job_that_fails_shows_no_answer_so_far(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job(failurePolicy={"maxAttempts": 1}))
    await house.do(claim_of(job, "partial-0"))
    await make_due(redis, job)
    await house.do(claim_of(job, "map-1"))
    await house.take(claim_of(job, "partial-1"))
    await house.take(claim_of(job, "map-2"))

    await house.ledger.fail(claim_of(job, "map-2"), BROKEN)

    status = (await house.job(job)).status
    assert (status.state, status.partial, status.coverage) == (JobState.FAILED, None, None)
    assert status.result is None
    late = claim_of(job, "partial-1")
    assert await house.ledger.commit(late, outcome_of(late)) is Verdict.FENCED
    assert (await house.job(job)).status == status
    assert await redis.exists(f"fanfold:job:{job}:task:partial-1") == 0


async def test_a_cancelled_job_does_not_wait_for_it(house: RedisHouse, redis: Redis) -> None:
    job = await begin(house, redis, partial_job())
    partial = claim_of(job, "partial-0")
    await house.dying.claim(partial, worker="dead")

    await house.jobs.cancel(TENANT, job, reason=None)

    assert (await house.job(job)).status.state is JobState.CANCELLED
    ended = await house.job(job)
    await house.ledger.sweep()
    assert await house.ledger.commit(partial, outcome_of(partial)) is Verdict.FENCED
    assert await house.job(job) == ended
    assert await redis.zcard("fanfold:leases") == 0


@settings(
    max_examples=60,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    print_blob=True,
)
@given(
    steps=st.lists(
        st.sampled_from(
            ["map"] * 3
            + ["take", "take and die", "tell", "tell late", "fail", "release", "renew"]
            + ["sweep", "lose a map", "cancel"]
        ),
        max_size=30,
    )
)
async def test_whatever_happens_answers_so_far_leave_the_counts_alone(
    house: RedisHouse, redis: Redis, steps: list[str]
) -> None:
    new = partial_job(batches=6, failurePolicy={"maxAttempts": 100, "backoffMs": 0})
    await house.jobs.accept(new)
    key, mapped_so_far, version = f"fanfold:job:{new.id}", 0, 0
    for step in steps:
        await make_due(redis, new.id)
        named = await reply(redis.hget(key, "partial_task"))
        partial = claim_of(new.id, named.decode() if named else "partial-0")
        numbers = [
            max(1, task.attempts)
            for task in (
                await house.jobs.tasks(new.id, first=6, after=None, wanted=TaskFilter())
            ).tasks
        ]
        next_map = claim_of(new.id, f"map-{min(mapped_so_far, 5)}", numbers[min(mapped_so_far, 5)])
        match step:
            case "map":
                if await house.ledger.claim(next_map, worker="w1") is not None:
                    verdict = await house.ledger.commit(next_map, outcome_of(next_map))
                    mapped_so_far += verdict is Verdict.ACCEPTED
            case "lose a map":
                await house.dying.claim(next_map, worker="dead")
                await house.ledger.sweep()
            case "take":
                await house.ledger.claim(partial, worker="w1")
            case "take and die":
                await house.dying.claim(partial, worker="dead")
            case "tell":
                await house.ledger.commit(partial, outcome_of(partial))
            case "tell late":
                late = claim_of(new.id, "partial-0")
                await house.ledger.commit(late, outcome_of(late))
            case "fail":
                await house.ledger.fail(partial, BROKEN)
            case "release":
                await house.leases.release(partial)
            case "renew":
                await house.leases.renew([partial], worker="w1")
            case "sweep":
                await house.ledger.sweep()
            case "cancel":
                await house.jobs.cancel(TENANT, new.id, reason=None)
        status = (await house.job(new.id)).status
        assert status.map.succeeded == status.items.succeeded == mapped_so_far
        assert status.map.running == status.items.running == 0
        assert (status.map.failed, status.error) == (0, None)
        assert (status.partial is None) == (status.coverage is None)
        assert status.coverage is None or 0 < status.coverage <= mapped_so_far / 6
        assert len(await dispatched(redis, new.id)) <= 1
        assert status.version >= version
        version = status.version
