"""``multiprocessing.Pool(2)``: the job in Python as one would write it without a service."""

from __future__ import annotations

import re
from collections.abc import Iterable
from multiprocessing import get_context
from pathlib import Path

from bench.jobs import Job, Task
from bench.peers.peer import Work

_find = re.compile(r"\w+").findall


class PoolPeer:
    """A pool whose processes are started within the run, as they are whenever it is used."""

    name = "Pool(2)"

    def is_there(self) -> bool:
        return True

    def does(self, job: Job) -> bool:
        return job.task is Task.REGEX

    def start(self, scratch: Path) -> None:
        pass

    def run(self, work: Work) -> int:
        with get_context("spawn").Pool(2) as pool:
            return len(merged(pool.imap_unordered(count_file, work.paths)))

    def close(self) -> None:
        pass


def count_file(path: str) -> dict[str, int]:
    """Count the words of a file."""
    with open(path) as lines:
        return count_lines(lines)


def count_lines(lines: Iterable[str]) -> dict[str, int]:
    """Count words line by line, as ``bench/programs.py`` does."""
    counts: dict[str, int] = {}
    for line in lines:
        for word in _find(line):
            counts[word] = counts.get(word, 0) + 1
    return counts


def merged(parts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Add counts up."""
    total: dict[str, int] = {}
    for counts in parts:
        for word, n in counts.items():
            total[word] = total.get(word, 0) + n
    return total
