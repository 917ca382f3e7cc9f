"""Push: thousands of subscribers on one API process, beside Strawberry, Node and the raw limit.

``BENCH_SOCKETS`` (10,000), ``BENCH_ROUNDS`` (20), ``BENCH_SCENARIOS`` (1,2,3,4) and
``BENCH_SYSTEMS`` (names, comma-separated) scale it down. The load, which is one process too, needs
a core of its own; what it and Redis take of processors is shown beside what the server takes.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import psutil
import uvloop
from redis.asyncio import Redis

from bench.push_load import Load
from bench.push_systems import (
    Fanfold,
    NodeGraphqlWs,
    RawBroadcast,
    StockStrawberry,
    System,
    redis_for_bench,
    running,
)
from bench.report import percentile, show

SYSTEMS: tuple[type[System], ...] = (Fanfold, StockStrawberry, NodeGraphqlWs, RawBroadcast)
LATENCY_SOCKETS = 1_000
EVENTS_PER_S = 2_000
OPEN_LOOP_S = 5.0
_COLUMNS = [
    "",
    "sockets",
    "connect s",
    "KiB/socket",
    "deliveries/s",
    "CPU µs each: server",
    "Redis",
    "load",
    "p50 ms",
    "p99 ms",
]


class Cpu(NamedTuple):
    """Processor time: of the server, of Redis, of this process."""

    server: float
    redis: float
    load: float


@dataclass
class Figures:
    """What came of one scenario on one system."""

    system: str
    sockets: int
    connect_s: float
    kib_a_socket: float
    per_s: float
    cpu_us: Cpu
    latencies_ms: Sequence[float]

    @property
    def row(self) -> list[str]:
        has_latencies = bool(self.latencies_ms)
        return [
            self.system,
            f"{self.sockets:,}",
            f"{self.connect_s:.2f}",
            f"{self.kib_a_socket:.0f}",
            f"{self.per_s:,.0f}",
            *(f"{us:.1f}" for us in self.cpu_us),
            f"{percentile(self.latencies_ms, 0.5):.1f}" if has_latencies else "",
            f"{percentile(self.latencies_ms, 0.99):.1f}" if has_latencies else "",
        ]


def main() -> None:
    """Measure and print."""
    uvloop.run(_main())


async def _main() -> None:
    sockets = int(os.environ.get("BENCH_SOCKETS", "10000"))
    few = min(LATENCY_SOCKETS, sockets)
    scenarios: list[tuple[str, int, bool, bool]] = [
        (f"one job, {few:,} subscribers", few, False, False),
        (f"one job, {sockets:,} subscribers", sockets, False, False),
        (f"{sockets:,} subscribers with a job each", sockets, True, False),
        (f"{few:,} jobs, {EVENTS_PER_S:,} events a second", few, True, True),
    ]
    wanted = os.environ.get("BENCH_SCENARIOS", "1,2,3,4").split(",")
    for number, (title, count, is_own_job, is_open) in enumerate(scenarios, 1):
        if str(number) not in wanted:
            continue
        found = []
        for system in _systems():
            measured = min(count, system.most_sockets)
            figures = await _measure(system, measured, is_own_job=is_own_job, is_open=is_open)
            found.append(figures)
        show(title, _COLUMNS, [figures.row for figures in found])
        _show_ratios(found)


def _systems() -> list[type[System]]:
    names = [name.lower() for name in os.environ.get("BENCH_SYSTEMS", "").split(",") if name]
    return [s for s in SYSTEMS if not names or any(s.name.lower().startswith(n) for n in names)]


async def _measure(kind: type[System], sockets: int, *, is_own_job: bool, is_open: bool) -> Figures:
    async with redis_for_bench() as url:
        redis = Redis.from_url(url)
        system = kind(url)
        jobs = await system.make_jobs(redis, sockets if is_own_job else 1)
        with running(system) as process:
            load = Load(system.port, jobs)
            try:
                idle_bytes = process.memory_info().rss
                connect_s = await load.connect(sockets)
                change = partial(system.change, redis, jobs)
                version = await load.settle(1, change)
                kib = (process.memory_info().rss - idle_bytes) / 1024 / sockets
                before = await _cpu_s(process, redis)
                if is_open:
                    per_s, sent = await _open_loop(load, system, redis, version)
                else:
                    per_s, sent = await _rounds(load, change, version)
                after = await _cpu_s(process, redis)
                cpu_us = Cpu(*((a - b) * 1e6 / sent for a, b in zip(after, before, strict=True)))
                if load.lost:
                    raise AssertionError(f"{load.lost} connections were lost")
                return Figures(
                    system.name, sockets, connect_s, kib, per_s, cpu_us, load.latencies_ms
                )
            finally:
                load.close()
                await redis.aclose()


async def _rounds(
    load: Load, change: Callable[[int], Awaitable[None]], version: int
) -> tuple[float, int]:
    """Change all jobs, wait until everybody has heard, and so on; return deliveries a second."""
    rounds = int(os.environ.get("BENCH_ROUNDS", "20"))
    start = time.perf_counter()
    for _ in range(rounds):
        version += 1
        now = time.perf_counter()
        load.times = {(job, version): now for job in range(len(load.jobs))}
        await load.round(version, change)
    sent = rounds * len(load.subscribers)
    return sent / (time.perf_counter() - start), sent


async def _open_loop(load: Load, system: System, redis: Redis, version: int) -> tuple[float, int]:
    """Change one job after another, however long it takes; return deliveries a second."""
    events = int(EVENTS_PER_S * OPEN_LOOP_S)
    tasks: set[asyncio.Task[None]] = set()
    start = time.perf_counter()
    for number in range(events):
        job = number % len(load.jobs)
        due = start + number / EVENTS_PER_S
        if (wait_s := due - time.perf_counter()) > 0.001:
            await asyncio.sleep(wait_s)
        next_version = version + 1 + number // len(load.jobs)
        load.times[job, next_version] = time.perf_counter()
        task = asyncio.create_task(system.change(redis, [load.jobs[job]], next_version))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    await asyncio.sleep(1)
    heard = len(load.latencies_ms)
    return heard / OPEN_LOOP_S, heard


async def _cpu_s(process: psutil.Process, redis: Redis) -> Cpu:
    used = process.cpu_times()
    of_redis = await redis.info("cpu")
    redis_s = of_redis["used_cpu_user"] + of_redis["used_cpu_sys"]
    return Cpu(used.user + used.system, redis_s, time.process_time())


def _show_ratios(found: Sequence[Figures]) -> None:
    if found and found[0].system == Fanfold.name:
        for other in found[1:]:
            print(f"  {found[0].per_s / other.per_s:.2f} times {other.system}")  # noqa: T201


if __name__ == "__main__":
    main()
