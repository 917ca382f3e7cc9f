"""Dask: two worker processes of one thread each on this machine, data frames and bags."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from bench.jobs import Job, Layout, Task
from bench.peers.peer import Work
from bench.peers.pool_peer import count_file, merged

_KEYS = ["country", "status"]
_BLOCK_BYTES = 32 * 1024 * 1024


class DaskPeer:
    """A local cluster; it has no approximate distinct count per group."""

    name = "Dask"

    def is_there(self) -> bool:
        return all(find_spec(name) for name in ("dask", "distributed", "pandas"))

    def does(self, job: Job) -> bool:
        return job.task is not Task.ROUGH_GROUPS

    def start(self, scratch: Path) -> None:
        self._dask: Any = import_module("dask")
        self._frames: Any = import_module("dask.dataframe")
        self._bags: Any = import_module("dask.bag")
        distributed: Any = import_module("distributed")
        self._cluster = distributed.LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            processes=True,
            host="127.0.0.1",
            dashboard_address=None,
            worker_dashboard_address=None,
            local_directory=str(scratch),
        )
        self._client = distributed.Client(self._cluster)

    def run(self, work: Work) -> int:
        if work.job.task is Task.REGEX:
            bag = self._bags.from_sequence(work.paths, npartitions=len(work.paths))
            return len(bag.map(_counted).reduction(_merged, _merged).compute())
        if work.job.task is Task.GROUPS:
            self._groups(work)
        else:
            self._large(work).to_parquet(str(work.target), write_index=True)
        return work.written_rows()

    def close(self) -> None:
        self._client.close()
        self._cluster.close()

    def _large(self, work: Work) -> Any:
        """Return an answer of many rows, which stays on the workers."""
        frame = self._frame(work)
        if work.job.task is Task.WORDS:
            words = frame["line"].str.split(" ").explode().astype("string[pyarrow]")
            return words.rename("word").value_counts(split_out=2).to_frame("n")
        sums = frame.groupby("user_id")["bytes"].agg(["count", "sum"], split_out=2)
        return sums.rename(columns={"count": "events", "sum": "bytes"})

    def _groups(self, work: Work) -> None:
        """Compute an answer of few rows here and write it."""
        groups = self._frame(work).groupby(_KEYS)
        sums, users = self._dask.compute(
            groups["bytes"].agg(["count", "sum", "mean"]), groups["user_id"].nunique()
        )
        table = sums.rename(columns={"count": "events", "sum": "bytes"}).join(users.rename("users"))
        table.to_parquet(work.target)

    def _frame(self, work: Work) -> Any:
        if work.job.layout is Layout.PARQUET:
            return self._frames.read_parquet(work.paths)
        if work.job.layout is Layout.CSV:
            return self._frames.read_csv(work.paths, blocksize=_BLOCK_BYTES)
        return self._frames.read_csv(
            work.paths,
            blocksize=_BLOCK_BYTES,
            sep="\x01",
            header=None,
            names=["line"],
            quoting=3,
        )


def _counted(path: str) -> Counter[str]:
    """Count the words of a file; Dask sends a plain dict item by item, a Counter as a whole."""
    return Counter(count_file(path))


def _merged(parts: Iterable[Counter[str]]) -> Counter[str]:
    return Counter(merged(parts))
