"""Growth: the same query over 1, 2, 4 and 8 GiB, and how far its time is from growing alike.

Fanfold and DuckDB take turns as in the data plane. A size is reached by listing the generated files
several times under other names (hard links), which costs neither time nor disk. So the page cache
holds each byte once, whatever the size, and the keys stay the same ones while their rows grow: a
longer time of the same users and words. That hides nothing of the map and of the shuffle, where
every map task meets nearly all keys and sends them on, but the result does not grow.

"Above linear" is by how much longer a GiB takes than one of the smallest size, in percent, of
medians; below zero it takes less, since what any job costs is shared by more.

Environment: ``BENCH_GROWTH_GIB`` ("1,2,4,8") names the sizes, ``BENCH_SCALE`` (1) scales them and
the data that they are made of, ``BENCH_JOBS`` ("J3p,J1") picks jobs in SQL; ``BENCH_RUNS``,
``BENCH_DATA`` and ``BENCH_PEER_TIMEOUT_S`` as in the data plane.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

from bench import jobs, settings
from bench.client import Caller, spec_of
from bench.jobs import Job, Task
from bench.peers.duckdb_peer import DuckDBPeer
from bench.peers.process import PeerProcess
from bench.progress import Steps, steps
from bench.report import show, spread
from bench.service import service

GIB = 1024**3
GOAL_PERCENT = 10
PER_GIB = ("s/GiB", "% above linear")


@dataclass(frozen=True)
class Measured:
    """One job over one size: the size, and the seconds of each run."""

    size_bytes: int
    own_s: list[float]
    peer_s: list[float]


def main() -> None:
    """Measure and print."""
    sizes = [float(size) for size in os.environ.get("BENCH_GROWTH_GIB", "1,2,4,8").split(",")]
    chosen = [job for job in jobs.picked("J3p,J1") if job.task is not Task.REGEX]
    folder = settings.data_folder()
    total = len(chosen) * len(sizes) * (settings.runs() + 1)
    rows = []
    with (
        tempfile.TemporaryDirectory(prefix="growth-", dir=folder) as links,
        steps("growth", total) as progress,
    ):
        for job in chosen:
            found = []
            for size in sorted(sizes):
                root = Path(links) / f"{job.name}-{size:g}"
                size_bytes = link(
                    job, folder, root, at_least_bytes=int(size * settings.scale() * GIB)
                )
                with service(source_root=root) as running, Caller(running.url) as caller:
                    found.append(_measure(job, root, size_bytes, caller, progress))
            rows += _rows(job, found)
    show(
        f"growth, {settings.scale():g} of full size; goal: at most {GOAL_PERCENT} % above linear",
        ["job", "GiB", *("Fanfold s", *PER_GIB), *("DuckDB s", *PER_GIB), "Fanfold / DuckDB"],
        rows,
    )


def link(job: Job, folder: Path, root: Path, *, at_least_bytes: int) -> int:
    """List a job's files below *root* until they have *at_least_bytes*; return how many they have.

    Every file is taken once before one is taken again.

    Raises:
        ValueError: The job has no files, or empty ones.
    """
    files = [Path(path) for path in job.paths(folder)]
    if not sum(file.stat().st_size for file in files):
        raise ValueError(f"{job.files} has no bytes")
    size_bytes = 0
    target = (root / job.files).parent
    target.mkdir(parents=True)
    for number, file in enumerate(cycle(files)):
        if size_bytes >= at_least_bytes:
            break
        os.link(file, target / f"{file.stem}-{number // len(files)}{file.suffix}")
        size_bytes += file.stat().st_size
    return size_bytes


def above_linear(seconds: Sequence[float], sizes: Sequence[int]) -> list[float]:
    """Return by how many percent a byte of each size takes longer than one of the first."""
    per_byte = [time_s / size for time_s, size in zip(seconds, sizes, strict=True)]
    return [(each / per_byte[0] - 1) * 100 for each in per_byte]


def _measure(job: Job, root: Path, size_bytes: int, caller: Caller, progress: Steps) -> Measured:
    """Run the job and its peer alternately.

    Raises:
        AssertionError: They give different numbers of rows.
        PeerError: The peer failed.
    """
    found = Measured(size_bytes, [], [])
    label = f"{job.name}, {size_bytes / GIB:.2f} GiB"
    with PeerProcess(DuckDBPeer()) as process:
        progress.step(f"{label}, warming up")
        process.run(job, root)
        caller.run(spec_of(job))
        for number in range(settings.runs()):
            progress.step(f"{label}, run {number + 1}")
            expected, seconds = process.run(job, root)
            found.peer_s.append(seconds)
            started = time.perf_counter()
            rows = caller.run(spec_of(job)).rows
            found.own_s.append(time.perf_counter() - started)
            if rows != expected:
                raise AssertionError(f"{label}: {rows} rows instead of {expected}")
    return found


def _rows(job: Job, found: Sequence[Measured]) -> list[list[str]]:
    sizes = [each.size_bytes for each in found]
    own = above_linear([statistics.median(each.own_s) for each in found], sizes)
    peer = above_linear([statistics.median(each.peer_s) for each in found], sizes)
    rows = []
    for each, own_percent, peer_percent in zip(found, own, peer, strict=True):
        gib = each.size_bytes / GIB
        rows.append(
            [
                job.name,
                f"{gib:.2f}",
                *(spread(each.own_s), f"{statistics.median(each.own_s) / gib:.2f}"),
                f"{own_percent:+.0f}",
                *(spread(each.peer_s), f"{statistics.median(each.peer_s) / gib:.2f}"),
                f"{peer_percent:+.0f}",
                spread([a / b for a, b in zip(each.own_s, each.peer_s, strict=True)]),
            ]
        )
    return rows
