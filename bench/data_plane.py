"""Real data: Fanfold beside DuckDB, and beside ``multiprocessing`` for Python, on the same files.

Fanfold's time is from ``submitJob`` over GraphQL to the terminal state at a subscriber, on a warm
service with two workers; the others' is that of the query or the pool alone, in a warm process with
two threads. Both read from the page cache and write their result to disk where it is large.
Polars, Dask and Spark join where they are installed.

Environment: ``BENCH_SCALE`` (1) scales the data, ``BENCH_RUNS`` (3) the runs, ``BENCH_DATA`` is a
folder that keeps the data, ``BENCH_JOBS`` picks jobs by name.
"""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb

from app.client.follow import follow
from app.client.service import Service
from bench.data import prepare
from bench.memory import PeakMemory
from bench.report import show, spread
from bench.service import service

SCALE = float(os.environ.get("BENCH_SCALE", "1"))
RUNS = int(os.environ.get("BENCH_RUNS", "3"))
PROGRAMS = Path(__file__).with_name("programs.py")
GROUPS = (
    "SELECT country, status, count(*) AS events, sum(bytes) AS bytes, avg(bytes) AS mean,"
    " {distinct} AS users FROM {table} GROUP BY country, status"
)
EXACT, ROUGH = "count(DISTINCT user_id)", "approx_count_distinct(user_id)"
USERS = "SELECT user_id, count(*) AS events, sum(bytes) AS bytes FROM {table} GROUP BY user_id"
WORDS = (
    "SELECT word, count(*) AS n FROM"
    " (SELECT unnest(string_split(line, ' ')) AS word FROM {table}) GROUP BY word"
)
LINES = "columns = {'line': 'VARCHAR'}, header = false, delim = '\x01', quote = '', escape = ''"


@dataclass(frozen=True)
class Job:
    """One measurement.

    Attributes:
        name: As in the tables.
        what: In words.
        query: The SQL, with the source as ``{table}``; None for the job in Python.
        files: Pattern below the data folder.
        reader: How DuckDB is told to read ``FILES``.
        goal: Largest ratio of Fanfold's time to the peer's.
    """

    name: str
    what: str
    query: str | None
    files: str
    reader: str
    goal: float


PARQUET, CSV = "read_parquet('FILES')", "read_csv('FILES')"
JOBS = [
    Job("J1", "word count, text", WORDS, "words/*.txt", f"read_csv('FILES', {LINES})", 1.1),
    Job("J2a", "groups, approximate distinct, Parquet",
        GROUPS.replace("{distinct}", ROUGH), "parquet/*.parquet", PARQUET, 1.05),
    Job("J2p", "groups, exact distinct, Parquet",
        GROUPS.replace("{distinct}", EXACT), "parquet/*.parquet", PARQUET, 1.1),
    Job("J2c", "groups, exact distinct, CSV",
        GROUPS.replace("{distinct}", EXACT), "csv/*.csv", CSV, 1.1),
    Job("J3p", "sums per user, Parquet", USERS, "parquet/*.parquet", PARQUET, 1.15),
    Job("J3c", "sums per user, CSV", USERS, "csv/*.csv", CSV, 0.8),
    Job("J4", "Python regex per line, text", None, "words/w0[0-3].txt", "", 0.95),
]  # fmt: skip


def main() -> None:
    """Measure and print."""
    wanted = os.environ.get("BENCH_JOBS", "").split(",")
    jobs = [job for job in JOBS if wanted == [""] or job.name in wanted]
    root = Path(os.environ.get("BENCH_DATA", Path(tempfile.gettempdir()) / "fanfold-bench-data"))
    folder = prepare(root, scale=SCALE)
    rows = []
    with service(workers=2, source_root=folder, extra={"FANFOLD_PROGRAMS": str(PROGRAMS)}) as run:
        for job in jobs:
            rows.append(_measure(job, folder, run.url, run.pid))
    show(
        f"data plane, {SCALE:g} of full size, seconds; peak memory of all processes in MB",
        ["job", "peer", "peer s", "Fanfold s", "ratio", "goal", "peer MB", "Fanfold MB"],
        rows,
    )


def _measure(job: Job, folder: Path, url: str, pid: int) -> list[str]:
    peer = _pool_peer(folder / job.files) if job.query is None else _duckdb_peer(job, folder)
    peer_s, own_s = [], []
    peer_memory, own_memory = PeakMemory(os.getpid(), but=pid), PeakMemory(pid)
    with peer_memory:  # a run of their own, which warms up: looking at memory takes time
        peer()
    with own_memory:
        asyncio.run(_fanfold(job, url))
    for _ in range(RUNS):
        started = time.perf_counter()
        expected = peer()
        peer_s.append(time.perf_counter() - started)
        started = time.perf_counter()
        count = asyncio.run(_fanfold(job, url))
        own_s.append(time.perf_counter() - started)
        if count != expected:
            raise AssertionError(f"{job.name}: {count} rows instead of {expected}")
    ratios = [own / other for own, other in zip(own_s, peer_s, strict=True)]
    return [
        f"{job.name} {job.what}",
        "Pool(2)" if job.query is None else "DuckDB",
        spread(peer_s),
        spread(own_s),
        spread(ratios),
        f"{job.goal:g}",
        f"{peer_memory.megabytes:.0f}",
        f"{own_memory.megabytes:.0f}",
    ]


def _duckdb_peer(job: Job, folder: Path) -> Callable[[], int]:
    """Return what runs the query in this process and writes Parquet, as Fanfold is asked to."""
    connection = duckdb.connect(config={"threads": 2})
    connection.execute("SET enable_progress_bar = false")
    source = job.reader.replace("FILES", str(folder / job.files))
    query = (job.query or "").replace("{table}", source)
    target = Path(tempfile.gettempdir()) / "fanfold-bench-peer.parquet"

    def run() -> int:
        found = connection.execute(f"COPY ({query}) TO '{target}'").fetchone()
        target.unlink()
        return int(found[0]) if found else 0

    return run


def _pool_peer(pattern: Path) -> Callable[[], int]:
    files = sorted(pattern.parent.glob(pattern.name))

    def run() -> int:
        total: dict[str, int] = {}
        with get_context("spawn").Pool(2) as pool:
            for counts in pool.imap_unordered(count_file, files):
                for word, n in counts.items():
                    total[word] = total.get(word, 0) + n
        return len(total)

    return run


def count_file(path: Path) -> dict[str, int]:
    """Count words line by line, as ``bench/programs.py`` does."""
    counts: dict[str, int] = {}
    find = re.compile(r"\w+").findall
    with path.open() as lines:
        for line in lines:
            for word in find(line):
                counts[word] = counts.get(word, 0) + 1
    return counts


async def _fanfold(job: Job, url: str) -> int:
    """Run the job and return the number of rows of its result."""
    spec: dict[str, Any] = {
        "source": {"files": {"uris": [job.files]}},
        "output": {"format": "PARQUET"},
    }
    if job.query is None:
        spec["program"] = "regex_words"
    else:
        spec["sql"] = job.query.replace("{table}", "input")
    async with Service(url) as client:
        submitted = await client.submit(spec)
        states = [status async for status in follow(url, submitted["id"], min_interval_ms=10)]
    if states[-1]["state"] != "SUCCEEDED":
        raise AssertionError(states[-1])
    return int(states[-1]["resultRows"])
