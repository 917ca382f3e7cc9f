"""What runs the steps of jobs in this process, made from the settings: for Lambda and for Spark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.dynamodb.records import DynamoRecords
from adapters.dynamodb.run_ledger import DynamoRunLedger
from adapters.dynamodb.table import DynamoTable
from app.aws.settings import Deployment
from app.runtime import steps_of
from engine.context import Context
from engine.steps import Steps
from engine.task import Task
from engine.work import Work
from workers.lister import Lister
from workers.orchestrated import OrchestratedRun

if TYPE_CHECKING:
    from engine.sql.runtime import SqlRuntime


def run_of(
    deployment: Deployment,
    table: DynamoTable,
    *,
    worker: str,
    scratch: Path,
    sql_bytes: int,
    folders: Iterable[Path] = (),
) -> OrchestratedRun:
    """Return what runs steps in this very process.

    Args:
        deployment: Of this process.
        table: Where jobs are.
        worker: Shown with the tasks.
        scratch: A folder of this process alone.
        sql_bytes: How much DuckDB may keep in memory.
        folders: What queries may read of this machine's disk.

    Raises:
        ConfigError: A program cannot be loaded.
    """
    steps = steps_of(deployment.common, scratch=scratch)
    if deployment.common.sql:
        sql = _Sql(steps, tuple(folders), sql_bytes)
        steps = replace(steps, sql=sql.work, tidy=sql.tidy)
    ledger = DynamoRunLedger(table, steps.blobs)
    lister = Lister(DynamoRecords(table, steps.blobs), steps.blobs, scratch / "listings")
    return OrchestratedRun(ledger, steps, lister, worker=worker)


class _Sql:
    """DuckDB, opened for the first job that is in SQL."""

    def __init__(self, steps: Steps, folders: tuple[Path, ...], memory_bytes: int) -> None:
        self._steps = steps
        self._folders = folders
        self._memory_bytes = memory_bytes

    @cached_property
    def _runtime(self) -> SqlRuntime:
        from engine.sql.runtime import SqlRuntime  # only here: DuckDB takes a while to load

        return SqlRuntime(
            catalog=self._steps.catalog,
            sources=self._steps.sources,
            folders=self._folders,
            scratch=self._steps.scratch,
            memory_bytes=self._memory_bytes,
        )

    def work(self, task: Task, context: Context) -> Work:
        """Return the work of an attempt."""
        return self._runtime.work(task, context)

    def tidy(self) -> None:
        """Give back the disk that an attempt has spilled to."""
        if "_runtime" in vars(self):
            self._runtime.tidy()
