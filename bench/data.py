"""The data of the data-plane measurements, the same every time: words, and web events."""

from __future__ import annotations

import random
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from bench.progress import steps

FILES = 16
VOCABULARY = 250_000
USERS = 2_000_000
EVENTS = 20_000_000
CSV_EVENTS = 5_000_000
WORD_BYTES = 1024**3
MAKER = 1
"""Raised when the data changes, so that an older folder is not taken for it."""


def prepare(root: Path, *, scale: float) -> Path:
    """Write the data below *root* unless it is there; return its folder.

    Args:
        root: Kept between runs.
        scale: Share of the full size: 1 GiB of words, 20 million events.
    """
    folder = root / f"v{MAKER}-x{scale:g}"
    done = folder / "complete"
    if not done.exists():
        for name in ("words", "parquet", "csv"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        with (
            ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool,
            steps("making data", 2 * FILES) as progress,
        ):
            for what, write in (("words", _write_words), ("events", _write_events)):
                written = pool.map(partial(write, folder, scale), range(FILES))
                for number in range(FILES):
                    progress.step(f"{what}, file {number + 1}")
                    next(written)
        done.touch()
    return folder


def _write_words(folder: Path, scale: float, number: int) -> None:
    """Write lines of words whose frequencies follow Zipf's law."""
    rng = np.random.default_rng(1_000 + number)
    words = np.array(_vocabulary(), dtype=object)
    chances = 1 / np.arange(1, VOCABULARY + 1) ** 1.05
    cumulated = np.cumsum(chances / chances.sum())
    left = int(WORD_BYTES * scale) // FILES
    with (folder / "words" / f"w{number:02d}.txt").open("w") as stream:
        while left > 0:
            drawn = words[np.searchsorted(cumulated, rng.random(500_000))].tolist()
            ends = np.cumsum(rng.integers(6, 17, 50_000)).tolist()
            starts = [0, *ends]
            lines = (
                " ".join(drawn[start:end])
                for start, end in zip(starts, ends, strict=False)
                if end < len(drawn)
            )
            text = "\n".join(lines) + "\n"
            if len(text) > left:
                text = text[: text.rfind("\n", 0, left) + 1]
                left = 0
            stream.write(text)
            left -= len(text)


def _vocabulary() -> list[str]:
    rng = random.Random(7)  # noqa: S311 - test data
    syllables = [a + b + c for a in "bcdfghlmnprst" for b in "aeiou" for c in ("", "n", "r", "st")]
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        length = 1 + (len(words) > 200) + (len(words) > 8_000)
        words["".join(rng.choices(syllables, k=length))] = None
    return list(words)


def _write_events(folder: Path, scale: float, number: int) -> None:
    rows = int(EVENTS * scale) // FILES
    table = pa.table(_events(np.random.default_rng(5_000 + number), number * rows, rows, scale))
    pq.write_table(
        table,
        folder / "parquet" / f"e{number:02d}.parquet",
        row_group_size=131_072,
        compression="zstd",
        compression_level=1,
    )
    pyarrow.csv.write_csv(
        table.slice(0, int(CSV_EVENTS * scale) // FILES),
        folder / "csv" / f"e{number:02d}.csv",
        pyarrow.csv.WriteOptions(quoting_style="none"),
    )


def _events(rng: np.random.Generator, first: int, rows: int, scale: float) -> dict[str, Any]:
    countries = [a + b for a in "ABCDEFGHIJ" for b in "NOPQRSTUVW"][:60]
    urls = [f"/c{i % 40}/item-{i}" + ("?ref=mail" if i % 3 == 0 else "") for i in range(50_000)]
    statuses = np.array([200, 301, 304, 404, 500], dtype=np.int16)
    return {
        "user_id": rng.integers(0, max(1, int(USERS * scale)), rows, dtype=np.int64),
        "country": _drawn(rng, countries, rows, exponent=1.1),
        "url": _drawn(rng, urls, rows, exponent=0.9),
        "ts": 1_700_000_000_000 + (first + np.arange(rows)) * 7 + rng.integers(0, 5, rows),
        "bytes": np.minimum(rng.lognormal(8, 1.5, rows), 1e8).astype("int64"),
        "status": statuses[np.searchsorted([0.82, 0.87, 0.93, 0.985], rng.random(rows))],
    }


def _drawn(rng: np.random.Generator, values: list[str], rows: int, *, exponent: float) -> pa.Array:
    chances = 1 / np.arange(1, len(values) + 1) ** exponent
    cumulated = np.cumsum(chances / chances.sum())
    codes = np.searchsorted(cumulated, rng.random(rows)).clip(0, len(values) - 1)
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype("int32")), pa.array(values)).cast(
        pa.string()
    )
