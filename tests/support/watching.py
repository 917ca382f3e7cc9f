"""The most memory that the processes of a running service had, seen by looking often."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from redis import Redis

from tests.support.killing import all_of, workers_of
from tests.support.leftovers import redis_url_of
from tests.support.running import RunningService

_EVERY_S = 0.03


@dataclass
class Peaks:
    """The most that was seen, in bytes.

    Attributes:
        processes: Memory of each process by its id, without files that are mapped into it: the
            kernel takes those back whenever it wants.
        workers: Likewise of each worker with its task processes together.
        redis: What Redis says of itself.
    """

    processes: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    workers: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    redis: int = 0


@contextmanager
def watched(service: RunningService) -> Iterator[Peaks]:
    """Look at the service until the block is left."""
    peaks = Peaks()
    stopped = threading.Event()

    def watch() -> None:
        with Redis.from_url(redis_url_of(service)) as redis:
            while not stopped.wait(_EVERY_S):
                _look(service, peaks)
                told: Any = redis.info("memory")
                peaks.redis = max(peaks.redis, told["used_memory"])

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        stopped.set()
        thread.join()


def _look(service: RunningService, peaks: Peaks) -> None:
    for process in all_of(service):
        peaks.processes[process.pid] = max(peaks.processes[process.pid], _own_bytes(process.pid))
    for worker in workers_of(service):
        tree = [worker, *worker.children(recursive=True)]
        total = sum(_own_bytes(process.pid) for process in tree)
        peaks.workers[worker.pid] = max(peaks.workers[worker.pid], total)


def _own_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return sum(
        int(line.split()[1]) * 1024 for line in lines if line.startswith(("RssAnon", "RssShmem"))
    )
