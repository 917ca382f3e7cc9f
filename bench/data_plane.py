"""Real data: Fanfold beside DuckDB, Polars, Dask, Spark and, for Python, ``multiprocessing``.

Fanfold's time is from ``submitJob`` over GraphQL to the terminal state at a subscriber, on a warm
service with two workers, over connections that are open; a peer's is that of the query or the pool
alone, in a warm process of its own with two threads or processes (``bench/peers``). All read from
the page cache and write their result to disk where it is large. Peer and Fanfold take turns, and
each ratio is of two neighbours.
Polars, Dask and Spark join where they are installed: ``pip install --group peers``, Spark with
Java.

Environment: ``BENCH_SCALE`` (1) scales the data, ``BENCH_RUNS`` (3) the runs, ``BENCH_DATA`` is a
folder that keeps the data, ``BENCH_JOBS`` and ``BENCH_PEERS`` pick jobs and peers by name,
``BENCH_PEER_TIMEOUT_S`` (900) bounds a peer's run.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

from bench import jobs, settings
from bench.client import Caller, spec_of
from bench.jobs import Job
from bench.memory import PeakMemory
from bench.peers import all as peers
from bench.peers.peer import Peer
from bench.peers.process import PeerError, PeerProcess
from bench.progress import Steps, steps
from bench.report import show, spread
from bench.service import PROGRAMS, service

RATIO_GOALS = {"Polars": None, "Dask": 1 / 2.5, "Spark": 1 / 5}
"""Largest ratio to a peer; to those that are not here, the job's own."""


def main() -> None:
    """Measure and print."""
    chosen = peers.picked()
    pairs = [(job, peer) for job in jobs.picked() for peer in chosen if peer.does(job)]
    folder = settings.data_folder()
    rows, failures = [], []
    with (
        service(source_root=folder, extra={"FANFOLD_PROGRAMS": str(PROGRAMS)}) as running,
        Caller(running.url) as caller,
        steps("data plane", len(pairs) * (settings.runs() + 1)) as progress,
    ):
        for job, peer in pairs:
            try:
                rows.append(_measure(job, peer, folder, running.pid, caller, progress))
            except PeerError as exc:
                failures.append(f"{job.name} beside {peer.name}: {exc}")
                rows.append([f"{job.name} {job.what}", peer.name, "failed"])
    show(
        f"data plane, {settings.scale():g} of full size, seconds; peak memory of all processes",
        ["job", "peer", "peer s", "Fanfold s", "Fanfold / peer", "goal", "peer MB", "Fanfold MB"],
        rows,
    )
    if failures:
        sys.exit("\n".join(failures))


def _measure(
    job: Job, peer: Peer, folder: Path, pid: int, caller: Caller, progress: Steps
) -> list[str]:
    """Return a row of the table.

    Raises:
        PeerError: The peer failed, or gives another number of rows.
    """
    label = f"{job.name} beside {peer.name}"
    peer_s, own_s = [], []
    own_memory = PeakMemory(pid)
    progress.step(f"{label}, warming up")
    with PeerProcess(peer) as process:
        peer_memory = PeakMemory(process.pid)
        with peer_memory:  # a run of their own, which warms up: looking at memory takes time
            process.run(job, folder)
        with own_memory:
            caller.run(spec_of(job))
        for number in range(settings.runs()):
            progress.step(f"{label}, run {number + 1}")
            expected, seconds = process.run(job, folder)
            peer_s.append(seconds)
            started = time.perf_counter()
            count = caller.run(spec_of(job)).rows
            own_s.append(time.perf_counter() - started)
            if count != expected:
                raise PeerError(f"{expected} rows where Fanfold has {count}")
    ratios = [own / other for own, other in zip(own_s, peer_s, strict=True)]
    goal = RATIO_GOALS.get(peer.name, job.goal)
    return [
        f"{job.name} {job.what}",
        peer.name,
        spread(peer_s),
        spread(own_s),
        spread(ratios),
        f"{goal:g}" if goal else "",
        f"{peer_memory.megabytes:.0f}",
        f"{own_memory.megabytes:.0f}",
    ]
