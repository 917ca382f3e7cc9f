"""The headline: 500,000 objects in batches of 250, 3,000 batches at once, 16 s of waiting in each.

It is the demonstration that made Distributed Map known; AWS gave it as under 150 s. Here a stand-in
for S3 lists the objects, two worker processes run the batches, and the time is that from before
``submitJob`` to the terminal state at a subscriber, in a service that has run a small job before.

The curve is about what a task costs: jobs of 1,000, 10,000 and 100,000 tasks that do nothing, in
either lane. All of it goes the whole way: ledger, worker, task process, and back.

Environment: ``BENCH_OBJECTS`` (500000) and ``BENCH_WORK_S`` (16) for the headline, which runs once;
``BENCH_TASKS`` ("1000,10000,100000"; empty for no curve) and ``BENCH_RUNS`` (3) for the curve.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from datetime import datetime
from typing import Any, Final

from adapters.redis.client import connect
from bench.client import Caller
from bench.headline_programs import __file__ as programs
from bench.object_server import URI, object_server
from bench.process_memory import ProcessMemory, process_memory
from bench.report import show
from bench.service import RunningService, service
from bench.settings import runs

WORKERS: Final = 2
BATCH_OBJECTS: Final = 250
AT_ONCE: Final = 3_000
GOAL_S: Final = 20.0
GOAL_TASKS_PER_S: Final = 5_000
FOLLOW_EVERY_MS: Final = 100
WARM_UP_TASKS: Final = 500
_JOB: Final = """
query Job($id: ID!) {
  job(id: $id) {
    createdAt startedAt finishedAt status { items { succeeded } map { succeeded } }
    tasks(first: 1, filter: {kind: MAP}) { edges { node { startedAt } } }
    result { inline }
  }
}
"""


def main() -> None:
    """Measure and print."""
    objects = int(os.environ.get("BENCH_OBJECTS", "500000"))
    work_s = float(os.environ.get("BENCH_WORK_S", "16"))
    with object_server(objects) as endpoint, _service(FANFOLD_S3_ENDPOINT=endpoint) as running:
        _headline(running, objects, work_s)
    counts = [
        int(count)
        for count in os.environ.get("BENCH_TASKS", "1000,10000,100000").split(",")
        if count
    ]
    if counts:
        with _service() as running:
            _curve(running, counts)


def _service(**extra: str) -> Any:
    return service(workers=WORKERS, extra={"FANFOLD_PROGRAMS": str(programs), **extra})


def _headline(running: RunningService, objects: int, work_s: float) -> None:
    spec = {
        "program": "waiting",
        "params": {"seconds": work_s},
        "source": {"files": {"uris": [URI], "mode": "OBJECTS"}},
        "batching": {"maxItems": BATCH_OBJECTS},
        "maxConcurrency": AT_ONCE,
        "reducers": 1,
    }
    with Caller(running.url) as caller:
        _timed(caller, _nothing("nothing_async", WARM_UP_TASKS))
        taken_s, job = _timed(caller, spec)
    if job["result"]["inline"] != [{"key": "objects", "value": objects}]:
        raise AssertionError(job["result"])
    tasks = job["status"]["map"]["succeeded"]
    show(
        f"{objects:,} objects in {tasks:,} batches of {BATCH_OBJECTS}, {work_s:g} s in each",
        ["", "seconds"],
        [
            [f"submitJob to the terminal state (goal {GOAL_S:g})", f"{taken_s:.2f}"],
            ["beyond the work of one batch", f"{taken_s - work_s:.2f}"],
            ["accepted to the start of the first map", f"{_first_map_s(job):.2f}"],
        ],
    )
    used = process_memory(running.pid)
    show("processes", ["", "peak MB", "CPU s"], [_row(process) for process in used])
    memory, peak = asyncio.run(_redis_megabytes(running.redis_url))
    show("Redis, by itself", ["", "MB"], [["used_memory", memory], ["used_memory_peak", peak]])


def _curve(running: RunningService, counts: list[int]) -> None:
    rows = []
    with Caller(running.url) as caller:
        for program in ("nothing_async", "nothing"):
            _timed(caller, _nothing(program, WARM_UP_TASKS))
            for count in counts:
                spec = _nothing(program, count)
                taken_s = statistics.median(_timed(caller, spec)[0] for _ in range(runs()))
                rows.append(
                    [program, f"{count:,}", f"{taken_s:.2f}", f"{count / taken_s:,.0f}",
                     f"{1e6 * taken_s / count:.0f}"]
                )  # fmt: skip
    show(
        f"tasks of nothing, {WORKERS} workers, goal {GOAL_TASKS_PER_S:,} tasks/s",
        ["program", "tasks", "seconds", "tasks/s", "µs a task"],
        rows,
    )


def _nothing(program: str, tasks: int) -> dict[str, Any]:
    return {
        "program": program,
        "source": {"inline": [""] * tasks},
        "batching": {"maxItems": 1},
        "reducers": 1,
    }


def _timed(caller: Caller, spec: dict[str, Any]) -> tuple[float, dict[str, Any]]:
    """Run a job; return the seconds that it took, and what is known of it afterwards."""
    started = time.perf_counter()
    followed = caller.run(spec, interval_ms=FOLLOW_EVERY_MS)
    taken_s = time.perf_counter() - started
    job: dict[str, Any] = caller.ask(_JOB, id=followed.job)["job"]
    return taken_s, job


def _first_map_s(job: dict[str, Any]) -> float:
    first = job["tasks"]["edges"][0]["node"]["startedAt"]
    begun, accepted = datetime.fromisoformat(first), datetime.fromisoformat(job["createdAt"])
    return (begun - accepted).total_seconds()


def _row(process: ProcessMemory) -> list[str]:
    return [process.name, f"{process.peak_megabytes:.0f}", f"{process.cpu_s:.1f}"]


async def _redis_megabytes(url: str) -> tuple[str, str]:
    redis = connect(url)
    try:
        info: dict[str, Any] = await redis.info("memory")
    finally:
        await redis.aclose()
    return f"{info['used_memory'] / 1e6:.0f}", f"{info['used_memory_peak'] / 1e6:.0f}"
