"""SQL in one process: a locked connection, and the works and checks that take turns on it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from engine.catalog import Catalog
from engine.context import Context
from engine.source.sources import Sources
from engine.sql.check import SqlInspector
from engine.sql.checker import CheckedSql, SqlCheck
from engine.sql.job import SqlJob
from engine.sql.params import bound_params
from engine.sql.sandbox import open_sandbox
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
    """

    def __init__(
        self, *, catalog: Catalog, sources: Sources, folders: Iterable[Path], scratch: Path
    ) -> None:
        self._catalog = catalog
        self._sources = sources
        self._connection = open_sandbox(folders=folders, scratch=scratch)
        self._inspector = SqlInspector(
            self._connection, catalog=catalog, sources=sources, scratch=scratch
        )

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

    def check(self, request: SqlCheck) -> CheckedSql:
        """Check a job; see ``SqlChecker``."""
        return self._inspector.check(request)
