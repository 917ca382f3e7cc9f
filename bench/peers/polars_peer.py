"""Polars: lazy frames on the streaming engine with two threads, written by its Parquet sink."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.jobs import Job, Layout, Task
from bench.peers.peer import Work


class PolarsPeer:
    """Polars as a library; it has no Python per line that would be its own."""

    name = "Polars"

    def is_there(self) -> bool:
        return find_spec("polars") is not None

    def does(self, job: Job) -> bool:
        return job.task is not Task.REGEX

    def start(self, scratch: Path) -> None:
        os.environ["POLARS_MAX_THREADS"] = "2"
        os.environ["POLARS_TEMP_DIR"] = str(scratch)
        self._polars: Any = import_module("polars")

    def run(self, work: Work) -> int:
        self._answer(work).sink_parquet(work.target, engine="streaming")
        return work.written_rows()

    def close(self) -> None:
        pass

    def _answer(self, work: Work) -> Any:
        pl, frame = self._polars, self._frame(work)
        sums = [pl.len().alias("events"), pl.col("bytes").sum()]
        if work.job.task is Task.WORDS:
            words = frame.select(pl.col("line").str.split(" ").explode().alias("word"))
            return words.group_by("word").agg(pl.len().alias("n"))
        if work.job.task is Task.USERS:
            return frame.group_by("user_id").agg(sums)
        user = pl.col("user_id")
        users = user.n_unique() if work.job.task is Task.GROUPS else user.approx_n_unique()
        mean = pl.col("bytes").mean().alias("mean")
        return frame.group_by("country", "status").agg([*sums, mean, users.alias("users")])

    def _frame(self, work: Work) -> Any:
        pl = self._polars
        if work.job.layout is Layout.PARQUET:
            return pl.scan_parquet(work.paths)
        if work.job.layout is Layout.CSV:
            return pl.scan_csv(work.paths)
        return pl.scan_lines(work.paths, name="line")
