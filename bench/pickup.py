"""Pickup: from before a task is enqueued to the first line of the task, in a worker process.

Stock arq and Fanfold's worker run one after the other on the same Redis. Both times are read from
the same clock, which Linux keeps for all processes.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from redis.asyncio import Redis

from adapters.arq_worker import EventWorker
from adapters.redis.client import connect, source_of
from app.local.embedded_redis import EmbeddedRedis
from bench.report import percentile, show

TASKS = 300
STOCK_TASKS = 60
BURST = 5_000
NOOP_SLOTS = 200
_ENQUEUE = "dispatch(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4])"


def main() -> None:
    """Measure and print."""
    asyncio.run(_main())


async def _main() -> None:
    with tempfile.TemporaryDirectory(prefix="fanfold-pickup-") as folder:
        async with EmbeddedRedis(Path(folder)) as server:
            stock = await _measure(
                _stock_worker, server.url, _enqueue_stock, count=STOCK_TASKS, pause_s=0.5
            )
            own = await _measure(_own_worker, server.url, _enqueue_own, count=TASKS, pause_s=0.05)
            rate = await _burst(server.url)
    show(
        "pickup: enqueue to task start",
        ["", "p50 ms", "p99 ms"],
        [
            ["arq as it comes", *_p50_p99(stock)],
            ["Fanfold's worker", *_p50_p99(own)],
            [
                "arq / Fanfold",
                *(f"{percentile(stock, at) / percentile(own, at):.0f}" for at in (0.5, 0.99)),
            ],
        ],
    )
    show("tasks of nothing, one worker", ["", "tasks/s"], [["Fanfold's worker", f"{rate:,.0f}"]])


def _p50_p99(times_ms: list[float]) -> tuple[str, str]:
    return f"{percentile(times_ms, 0.5):.2f}", f"{percentile(times_ms, 0.99):.2f}"


async def _measure(
    worker: Any, url: str, enqueue: Any, *, count: int, pause_s: float
) -> list[float]:
    """Enqueue tasks at random times and return how long each waited, in ms."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=worker, args=(url, theirs))
    process.start()
    try:
        await asyncio.to_thread(ours.recv)
        times = []
        send = await enqueue(url)
        rng = random.Random(1)  # noqa: S311 - when to enqueue
        for number in range(count):
            await asyncio.sleep(rng.uniform(0, pause_s))
            before = time.monotonic()
            await send(number)
            started = await asyncio.to_thread(ours.recv)
            times.append((started - before) * 1000)
        return times[count // 10 :]
    finally:
        process.kill()
        process.join()


async def _burst(url: str) -> float:
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("spawn").Process(target=_own_worker, args=(url, theirs))
    send = await _enqueue_own(url)
    for number in range(BURST):
        await send(number)
    process.start()
    try:
        await asyncio.to_thread(ours.recv)
        starts: list[float] = [await asyncio.to_thread(ours.recv) for _ in range(BURST)]
        return BURST / (max(starts) - min(starts))
    finally:
        process.kill()
        process.join()


async def _enqueue_own(url: str) -> Any:
    redis = connect(url)
    script = redis.register_script(source_of("arq_dispatch") + _ENQUEUE)

    async def send(number: int) -> None:
        await script(args=["j", f"map-{number}", 1, "bench"])

    return send


async def _enqueue_stock(url: str) -> Any:
    pool = await create_pool(_settings(url))

    async def send(number: int) -> None:
        await pool.enqueue_job("run_task", "j", f"map-{number}", 1)

    return send


def _settings(url: str) -> RedisSettings:
    return RedisSettings(unix_socket_path=url.removeprefix("unix://"))


def _stock_worker(url: str, pipe: Connection) -> None:
    async def run_task(ctx: dict[Any, Any], job: str, task: str, number: int) -> None:
        pipe.send(time.monotonic())

    async def ready(ctx: dict[Any, Any]) -> None:
        pipe.send(True)

    worker = Worker(
        [func(run_task, name="run_task")],
        redis_settings=_settings(url),
        keep_result=0,
        on_startup=ready,
    )
    worker.run()


def _own_worker(url: str, pipe: Connection) -> None:
    asyncio.run(_run_own_worker(url, pipe))


async def _run_own_worker(url: str, pipe: Connection) -> None:
    redis: Redis = connect(url)
    acknowledge = redis.register_script(
        source_of("arq_dispatch") + "acknowledge(ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4])"
    )

    async def run(job: str, task: str, number: int) -> None:
        pipe.send(time.monotonic())
        await acknowledge(args=[job, task, number, "bench"])

    worker = EventWorker(url, lane="bench", slots=NOOP_SLOTS, run=run)
    pipe.send(True)
    await worker.async_run()
