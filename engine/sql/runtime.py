"""SQL in one process: a locked connection, and the works and checks that take turns on it."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from engine.catalog import Catalog
from engine.context import Context
from engine.source.sources import Sources
from engine.sql.check import SqlInspector
from engine.sql.checker import CheckedSql, SqlCheck
from engine.sql.job import SqlJob
from engine.sql.params import bound_params
from engine.sql.sandbox import MEMORY_BYTES, open_sandbox, spill_folder
from engine.sql.tables import InputTable
from engine.sql.work import SqlWork
from engine.task import Task


class SqlRuntime:
    """Everything that runs SQL in this process, one thing at a time.

    Args:
        catalog: Programs, for those in SQL.
        sources: Where jobs may read.
        folders: What DuckDB may read of this machine's disk.
        scratch: Where it may write.
        memory_bytes: How much DuckDB may keep in memory.
    """

    def __init__(
        self,
        *,
        catalog: Catalog,
        sources: Sources,
        folders: Iterable[Path],
        scratch: Path,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._folders = tuple(folders)
        self._scratch = scratch
        self._memory_bytes = memory_bytes
        self._open()

    def work(self, task: Task, context: Context) -> SqlWork:
        """Return the work of an attempt."""
        job = SqlJob.from_json(task.attempt.sql or {})
        table = InputTable(
            self._connection,
            sources=self._sources,
            layout=task.spec.source.layout,
            shape=job.shape,
            scratch=task.scratch,
        )
        return SqlWork(
            self._connection,
            job,
            bound_params(self._catalog, task.spec),
            table,
            sources=self._sources,
        )

    def tidy(self) -> None:
        """Give back the disk that an attempt has spilled to: DuckDB keeps it while it is open."""
        spill = spill_folder(self._scratch)
        if spill.is_dir() and any(spill.iterdir()):
            self._connection.close()
            shutil.rmtree(spill, ignore_errors=True)
            self._open()

    def _open(self) -> None:
        self._connection = open_sandbox(
            folders=self._folders, scratch=self._scratch, memory_bytes=self._memory_bytes
        )
        self._inspector = SqlInspector(
            self._connection,
            catalog=self._catalog,
            sources=self._sources,
            scratch=self._scratch,
        )

    def check(self, request: SqlCheck) -> CheckedSql:
        """Check a job; see ``SqlChecker``."""
        return self._inspector.check(request)
