"""Word count over 256 MiB of text: Fanfold beside ``multiprocessing.Pool(2)`` with ``Counter``.

Both count the same 16 files on two processes. Fanfold's time is from ``submitJob`` over GraphQL to
the terminal state at a subscriber, on a running service; the pool's is from its start to the merged
counter, its processes being started within, as they are whenever it is used.
"""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections import Counter
from itertools import accumulate
from multiprocessing import get_context
from pathlib import Path

from app.client.follow import follow
from app.client.service import Service
from bench.report import show, spread
from bench.service import service

FILES = 16
FILE_BYTES = 16 * 1024 * 1024
WORDS = 250_000
RUNS = 5


def main() -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="fanfold-words-") as folder:
        root = Path(folder)
        files = write_text(root)
        pool_s, fanfold_s = [], []
        with service(workers=2, source_root=root) as running:
            asyncio.run(_count(running.url))
            for _ in range(RUNS):
                started = time.perf_counter()
                expected = count_with_pool(files)
                pool_s.append(time.perf_counter() - started)
                started = time.perf_counter()
                rows = asyncio.run(_count(running.url))
                fanfold_s.append(time.perf_counter() - started)
                if rows != len(expected):
                    raise AssertionError(f"{rows} words instead of {len(expected)}")
    ratios = [pool / own for pool, own in zip(pool_s, fanfold_s, strict=True)]
    show(
        "word count over 256 MiB",
        ["", "seconds"],
        [
            ["multiprocessing.Pool(2), Counter", spread(pool_s)],
            ["Fanfold, 2 workers", spread(fanfold_s)],
            ["speed of Fanfold / pool", spread(ratios)],
        ],
    )


def write_text(root: Path) -> list[Path]:
    """Write files of words whose frequencies follow Zipf's law, the same ones every time."""
    rng = random.Random(7)  # noqa: S311 - test data
    words = [f"{rng.choice('bcdfglmnprst')}{rng.choice('aeiou')}{i:x}" for i in range(WORDS)]
    weights = list(accumulate(1 / (rank + 1) ** 1.05 for rank in range(WORDS)))
    files = []
    for number in range(FILES):
        path = root / f"w{number:02d}.txt"
        with path.open("w") as stream:
            while stream.tell() < FILE_BYTES:
                drawn = rng.choices(words, cum_weights=weights, k=110_000)
                lines = (" ".join(drawn[i : i + 11]) for i in range(0, len(drawn), 11))
                stream.write("\n".join(lines) + "\n")
        files.append(path)
    return files


def count_with_pool(files: list[Path]) -> Counter[str]:
    """Count as one would without a service."""
    total: Counter[str] = Counter()
    with get_context("fork").Pool(2) as pool:
        for counts in pool.imap_unordered(_count_file, files):
            total.update(counts)
    return total


def _count_file(path: Path) -> Counter[str]:
    return Counter(path.read_text().split())


async def _count(url: str) -> int:
    """Run the job and return the number of words in its result."""
    async with Service(url) as client:
        job = await client.submit(
            {"program": "wordcount", "source": {"files": {"uris": ["*.txt"]}}}
        )
        states = [status async for status in follow(url, job["id"], min_interval_ms=10)]
    if states[-1]["state"] != "SUCCEEDED":
        raise AssertionError(states[-1])
    return int(states[-1]["resultRows"])
