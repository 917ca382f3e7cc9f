"""DuckDB: the same query in one process with two threads, its result written as Parquet."""

from __future__ import annotations

from pathlib import Path

import duckdb

from bench.jobs import Job, Layout, Task
from bench.peers.peer import Work

_LINES = "columns = {'line': 'VARCHAR'}, header = false, delim = '\x01', quote = '', escape = ''"
_READERS = {
    Layout.PARQUET: "read_parquet({paths})",
    Layout.CSV: "read_csv({paths})",
    Layout.TEXT: f"read_csv({{paths}}, {_LINES.replace('{', '{{').replace('}', '}}')})",
}


class DuckDBPeer:
    """DuckDB as a library."""

    name = "DuckDB"

    def is_there(self) -> bool:
        return True

    def does(self, job: Job) -> bool:
        return job.task is not Task.REGEX

    def start(self, scratch: Path) -> None:
        self._connection = duckdb.connect(
            config={"threads": 2, "temp_directory": str(scratch / "spill")}
        )
        self._connection.execute("SET enable_progress_bar = false")

    def run(self, work: Work) -> int:
        source = _READERS[work.job.layout].format(paths=work.paths)
        query = work.job.task.value.replace("{table}", source)
        found = self._connection.execute(f"COPY ({query}) TO '{work.target}'").fetchone()
        return int(found[0]) if found else 0

    def close(self) -> None:
        self._connection.close()
