"""Our worker and arq's understand each other's queue, over a real Redis that comes and goes."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from arq.connections import ArqRedis
from arq.worker import Worker, func
from redis.asyncio import Redis

from adapters.arq_worker import HIDDEN_MS, QUEUE_PREFIX, EventWorker
from adapters.redis.client import connect, reply, source_of
from engine.cancellation import finish
from engine.jsonvalue import decode, encode
from tests.support.own_redis import own_redis_in
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

QUEUE = f"{QUEUE_PREFIX}process"
Run = Callable[[str, str, int], Awaitable[None]]
Entry = tuple[str, str, int]


class Tasks:
    """What was run; each run takes its entry out of the queue, as the ledger's claim does."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self.begun: list[Entry] = []
        self.ended: list[Entry] = []
        self.most_at_once = 0
        self.may_end = asyncio.Event()
        self._running = 0

    async def acknowledge(self, job: str, task: str, number: int) -> None:
        await acknowledge(self._redis, job, task, number)

    async def run(self, job: str, task: str, number: int) -> None:
        self.begun.append((job, task, number))
        self._running += 1
        self.most_at_once = max(self.most_at_once, self._running)
        try:
            await self.acknowledge(job, task, number)
            await self.may_end.wait()
        finally:
            self._running -= 1
            self.ended.append((job, task, number))


@pytest.fixture
def tasks(redis: Redis) -> Tasks:
    return Tasks(redis)


@asynccontextmanager
async def working(
    url: str, run: Run, *, slots: int = 4, hidden_ms: int = HIDDEN_MS
) -> AsyncIterator[EventWorker]:
    worker = EventWorker(url, lane="process", slots=slots, run=run, hidden_ms=hidden_ms)
    main = asyncio.create_task(worker.async_run())
    await eventually_async(lambda: worker.main_task)
    try:
        yield worker
        assert not main.done(), "the worker has ended by itself"
    finally:
        await worker.stop()
        await asyncio.wait([main])


async def in_lua(redis: Redis, call: str, *args: Any) -> None:
    await reply(redis.eval(f"{source_of('arq_dispatch')}\n{call}", 0, *args))


async def dispatch(redis: Redis, task: str, *, delay_ms: int = 0, job: str = "j-1") -> None:
    call = "dispatch(ARGV[1], ARGV[2], 1, 'process')"
    if delay_ms:
        call = "dispatch_again(ARGV[1], ARGV[2], 1, 'process', tonumber(ARGV[3]))"
    await in_lua(redis, call, job, task, delay_ms)


async def acknowledge(redis: Redis, job: str, task: str, number: int) -> None:
    call = "acknowledge(ARGV[1], ARGV[2], tonumber(ARGV[3]), 'process')"
    await in_lua(redis, call, job, task, number)


def arq_client(redis: Redis) -> ArqRedis:
    pool: Any = redis.connection_pool
    return ArqRedis(pool, job_serializer=encode, job_deserializer=decode)


async def test_a_task_that_arq_enqueues_is_run(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    tasks.may_end.set()
    async with working(redis_server, tasks.run):
        await arq_client(redis).enqueue_job(
            "run_task", "j-1", "map-0", 1, _queue_name=QUEUE, _job_id="j-1:map-0:1"
        )

        await eventually_async(lambda: tasks.ended == [("j-1", "map-0", 1)])

    assert await redis.zcard(QUEUE) == 0


async def test_a_task_that_we_dispatch_is_run_by_a_stock_arq_worker(redis: Redis) -> None:
    ran: list[Entry] = []

    async def run_task(ctx: dict[str, Any], job: str, task: str, number: int) -> None:
        ran.append((job, task, number))

    await dispatch(redis, "map-0")
    await dispatch(redis, "map-1")
    worker = Worker(
        [func(run_task, name="run_task")],
        queue_name=QUEUE,
        redis_pool=arq_client(redis),
        burst=True,
        poll_delay=0.01,
        handle_signals=False,
        job_serializer=encode,
        job_deserializer=decode,
    )

    async with asyncio.timeout(10):
        assert await worker.run_check() == 2

    assert sorted(ran) == [("j-1", "map-0", 1), ("j-1", "map-1", 1)]
    assert await redis.zcard(QUEUE) == 0


async def test_what_is_dispatched_is_what_arq_would_have_written(redis: Redis) -> None:
    await dispatch(redis, "map-0")
    job = await arq_client(redis).enqueue_job(
        "run_task", "j-1", "map-0", 1, _queue_name="other", _job_id="other"
    )
    assert job is not None

    ours = decode(await redis.get("arq:job:j-1:map-0:1"))
    arqs = decode(await redis.get("arq:job:other"))

    assert abs(ours.pop("et") - arqs.pop("et")) < 60_000
    assert ours == arqs


async def test_a_task_is_run_once_however_many_workers_wait(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    tasks.may_end.set()
    async with working(redis_server, tasks.run), working(redis_server, tasks.run):
        for number in range(50):
            await dispatch(redis, f"map-{number}")

        await eventually_async(lambda: len(tasks.ended) >= 50)
        await dispatch(redis, "map-last")
        await eventually_async(lambda: tasks.ended[-1][1] == "map-last")

    assert len(set(tasks.begun)) == len(tasks.begun) == 51


async def test_a_task_whose_worker_died_before_the_claim_is_due_again(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    held: list[Entry] = []

    async def die(job: str, task: str, number: int) -> None:
        held.append((job, task, number))
        await asyncio.Event().wait()

    await dispatch(redis, "map-0")
    async with working(redis_server, die, hidden_ms=300):
        await eventually_async(lambda: held)

    tasks.may_end.set()
    async with working(redis_server, tasks.run):
        await dispatch(redis, "map-1")
        await eventually_async(lambda: tasks.ended == [("j-1", "map-1", 1)])
        await eventually_async(lambda: tasks.ended[1:] == [("j-1", "map-0", 1)])


async def test_a_delayed_task_waits_until_it_is_due(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    tasks.may_end.set()
    loop = asyncio.get_running_loop()
    async with working(redis_server, tasks.run):
        start = loop.time()
        await dispatch(redis, "map-0", delay_ms=400)
        await dispatch(redis, "map-1")

        await eventually_async(lambda: len(tasks.ended) == 2)

    assert 0.39 < loop.time() - start < 3
    assert [task for _, task, _ in tasks.ended] == ["map-1", "map-0"]


@pytest.mark.parametrize("slots", [1, 3])
async def test_no_more_tasks_run_at_once_than_there_are_slots(
    redis: Redis, redis_server: str, tasks: Tasks, slots: int
) -> None:
    async with working(redis_server, tasks.run, slots=slots):
        for number in range(slots + 4):
            await dispatch(redis, f"map-{number}")
        await eventually_async(lambda: len(tasks.begun) == slots)

        tasks.may_end.set()
        await eventually_async(lambda: len(tasks.ended) == slots + 4)

    assert tasks.most_at_once == slots


async def test_a_task_that_fails_or_cannot_be_read_does_not_stop_the_others(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    tasks.may_end.set()

    async def fail_first(job: str, task: str, number: int) -> None:
        await tasks.run(job, task, number)
        if task == "map-0":
            raise ValueError("no")

    async with working(redis_server, fail_first, slots=1):
        await redis.set("arq:job:bad", b"\x80not json")
        await redis.zadd(QUEUE, {"bad": 1})
        await arq_client(redis).enqueue_job("no_such_function", _queue_name=QUEUE, _job_id="odd")
        await dispatch(redis, "map-0")
        await dispatch(redis, "map-1")

        await eventually_async(lambda: len(tasks.ended) == 2)


async def test_an_entry_without_its_payload_is_dropped(
    redis: Redis, redis_server: str, tasks: Tasks
) -> None:
    await redis.zadd(QUEUE, {"j-1:map-7:1": 1})
    tasks.may_end.set()
    async with working(redis_server, tasks.run):
        await dispatch(redis, "map-0")
        await eventually_async(lambda: len(tasks.ended) == 1)

    assert await redis.zcard(QUEUE) == 0


async def test_stopping_cancels_what_runs_and_waits_for_it(redis: Redis, redis_server: str) -> None:
    events: list[str] = []

    async def tidy_up() -> None:
        await asyncio.to_thread(events.append, "tidied up")

    async def run(job: str, task: str, number: int) -> None:
        events.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await finish(tidy_up())

    async with working(redis_server, run):
        await dispatch(redis, "map-0")
        await dispatch(redis, "map-1")
        await eventually_async(lambda: len(events) == 2)

    assert events == ["begun", "begun", "tidied up", "tidied up"]


async def test_stopping_an_idle_worker_is_quick(redis: Redis, redis_server: str) -> None:
    async with asyncio.timeout(2), working(redis_server, acknowledge_nothing):
        pass


async def acknowledge_nothing(job: str, task: str, number: int) -> None:
    return


async def test_a_redis_that_was_away_does_not_end_the_worker(tmp_path: Path) -> None:
    ran: list[str] = []

    async def run(job: str, task: str, number: int) -> None:
        ran.append(task)

    with own_redis_in(tmp_path) as server:
        async with working(server.url, run):
            server.start()
            await dispatch_at(server.url, "map-0")
            await eventually_async(lambda: "map-0" in ran)

            server.kill()
            server.start()
            await dispatch_at(server.url, "map-1")
            await eventually_async(lambda: "map-1" in ran)

            server.send(signal.SIGSTOP)
            await eventually_async(lambda: server.status == psutil.STATUS_STOPPED)
            server.send(signal.SIGCONT)
            await dispatch_at(server.url, "map-2")
            await eventually_async(lambda: "map-2" in ran)


async def pick_up(redis: Redis, count: int) -> list[str]:
    """Take entries as a worker does, one at a time, and return their jobs."""
    pickup = redis.register_script(source_of("pickup"))
    found = []
    for _ in range(count):
        answer: Any = await pickup(keys=["fanfold:queue:process"], args=[1, 5_000])
        [[entry, _]] = answer
        found.append(entry.decode().partition(":")[0])
    return found


async def test_a_job_that_comes_later_is_served_in_turn_with_a_larger_one(redis: Redis) -> None:
    for number in range(500):
        await dispatch(redis, f"map-{number}", job="large")
    await pick_up(redis, 20)
    for number in range(10):
        await dispatch(redis, f"map-{number}", job="small")

    served = await pick_up(redis, 21)

    assert served.count("small") == 10


async def test_a_costly_task_has_its_job_wait_for_others(redis: Redis) -> None:
    costly = "dispatch(ARGV[1], ARGV[2], 1, 'process', 4)"
    for number in range(40):
        await in_lua(redis, costly, "one of four", f"map-{number}")
        await dispatch(redis, f"map-{number}", job="alone")

    served = await pick_up(redis, 40)

    assert 7 <= served.count("one of four") <= 9


async def test_what_had_its_turn_goes_before_what_waits_for_it(redis: Redis) -> None:
    for number in range(5):
        await dispatch(redis, f"map-{number}", job="first")
    await pick_up(redis, 2)
    await in_lua(redis, "dispatch_again('again', 'map-0', 2, 'process', 0)")

    assert "again" in await pick_up(redis, 2)


async def dispatch_at(url: str, task: str) -> None:
    client = connect(url)
    try:
        await dispatch(client, task)
    finally:
        await client.aclose()
