"""SQL as the work of a job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final

import duckdb
import pyarrow as pa

from engine.attempt import Piece
from engine.errors import RecordError, SqlError, TaskError
from engine.isolation.aside import Aside, worth_finding
from engine.isolation.items import halved
from engine.output.write import write_query
from engine.partial import joined
from engine.plan import Grain, sql_reducers
from engine.shuffle import ShuffleWriter, read_tables
from engine.source.sources import Sources
from engine.spec import DataFormat, FailurePolicy
from engine.sql.batch_rows import BatchRows
from engine.sql.blame import blamed
from engine.sql.job import SqlJob
from engine.sql.kernel import SqlKernel
from engine.sql.pruning import FolderChoice
from engine.sql.tables import InputTable
from engine.task import Mapped, Task

_MAX_GUILTY_ROWS: Final = 2_000
"""Finding one takes some twenty runs of ever smaller parts of the batch."""


class SqlWork:
    """Implements ``Work`` for one attempt of a job in SQL.

    Args:
        connection: A locked connection that nothing else uses meanwhile.
        job: The steps, and the shape of the source.
        params: Values of ``$name``.
        table: Makes batches of the job the table ``input``.
        sources: Where the files are.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        job: SqlJob,
        params: Mapping[str, Any],
        table: InputTable,
        *,
        sources: Sources,
    ) -> None:
        self._connection = connection
        self._job = job
        self._kernel = SqlKernel(connection, job.steps, params)
        self._table = table
        self._sources = sources

    @property
    def is_map_only(self) -> bool:
        """Whether there is no reduce."""
        return self._job.is_map_only

    @property
    def grain(self) -> Grain:
        """The largest: each task shuffles the keys that it shares with others anew."""
        return Grain.LARGEST

    @property
    def choice(self) -> FolderChoice | None:
        """What leaves out files whose folders tell that the query wants nothing; see ``Work``."""
        if self._job.folder_filter is None:
            return None
        return FolderChoice(self._connection, sources=self._sources, job=self._job)

    def reducers(self, *, wanted: int | None, size_bytes: int, workers: int) -> int:
        """Return so many for each worker that each has 64 MiB of source or less; see ``Work``."""
        if self._job.is_map_only or self._job.has_one_reducer:
            return 0 if self._job.is_map_only else 1
        if wanted is not None:
            return wanted
        return sql_reducers(size_bytes, workers=workers)

    def map(self, task: Task) -> Mapped:
        """Map a batch; see ``Work``."""
        if not task.attempt.isolates:
            return self._map_whole(task)
        try:
            return self._map_whole(task)
        except (RecordError, SqlError):
            return self._map_apart(task)

    def _map_whole(self, task: Task) -> Mapped:
        is_cheap_to_scan = all(part.format is DataFormat.PARQUET for part in task.batch.slices)
        with self._table.bound(task.batch) as bound, blamed("map", bound.names, cause=bound.cause):
            piece = self._map_input(task, is_cheap_to_scan=is_cheap_to_scan)
            return Mapped(items=bound.items, piece=piece)

    def _map_apart(self, task: Task) -> Mapped:
        """Map a batch without the records that cannot be read and the rows that fail.

        Raises:
            TaskError: It fails even so; or there are too many of them to find them all.
        """
        aside = Aside(task.attempt.task)
        rows = BatchRows(
            self._connection,
            task.batch,
            sources=self._sources,
            layout=task.spec.source.layout,
        )
        with rows.kept(self._table, scratch=task.scratch, report=aside.add_unreadable):
            guilty = self._guilty(rows, task.spec.failure_policy)
            rows.leave_out(guilty)
            with blamed("map", {}):
                piece = self._map_input(task, is_cheap_to_scan=True)
            for number, error in guilty.items():
                aside.add(rows.place_of(number), rows.preview(number), error)
        return Mapped(items=rows.count - len(guilty), piece=piece, failures=aside.failures())

    def _guilty(self, rows: BatchRows, policy: FailurePolicy) -> dict[int, TaskError]:
        """Return the rows with which map fails, each with its error."""
        guilty: dict[int, TaskError] = {}
        limit = worth_finding(policy, limit=_MAX_GUILTY_ROWS)

        def fails(numbers: Sequence[int]) -> TaskError | None:
            rows.choose(range(numbers[0], numbers[-1] + 1))
            try:
                with blamed("map", {}):
                    for _ in self._kernel.rows(self._job.steps.map):
                        pass
            except (RecordError, SqlError) as exc:
                return exc
            return None

        def give_up(number: int, error: TaskError) -> None:
            guilty[number] = error
            if len(guilty) > limit:
                raise error

        if rows.count:
            for _ in halved(range(rows.count), fails, give_up):
                pass
        return guilty

    def _map_input(self, task: Task, *, is_cheap_to_scan: bool) -> Piece:
        """Run map on ``input`` and keep what it gives."""
        if self._job.is_map_only and self._job.steps.finish is None:
            return self._write(task, self._job.steps.map)
        partitions = max(1, task.attempt.reducers)
        schema, blocks = self._kernel.mapped(
            partitions=partitions, is_cheap_to_scan=is_cheap_to_scan
        )
        writer = ShuffleWriter(schema, partitions=partitions, scratch=task.scratch)
        for block, owners in blocks:
            writer.add(block, owners)
        return writer.to_piece(task.attempt, task.blobs)

    def reduce(self, task: Task) -> Piece:
        """Reduce a partition; see ``Work``."""
        steps = self._job.steps
        with self._inputs(task, of="map"), blamed("reduce", {}):
            if steps.finish is None:
                return self._write(task, steps.reduce or "")
            return self._keep(task, self._kernel.rows(steps.reduce or ""))

    def finish(self, task: Task) -> tuple[Piece, ...]:
        """Order, limit and write the result; see ``Work``."""
        steps = self._job.steps
        if steps.finish is None:
            return task.attempt.inputs
        with self._inputs(task, of="map" if steps.reduce is None else "reduce"):
            with blamed("finish", {}):
                return (self._write(task, steps.finish),)

    def partial(self, task: Task, *, limit_bytes: int) -> str | None:
        """Reduce and finish what has been mapped so far; see ``Work``."""
        steps = [step for step in (self._job.steps.reduce, self._job.steps.finish) if step]
        with blamed("partial", {}):
            tables = list(read_tables(task.blobs, task.attempt.inputs))
            for step in steps[:-1]:
                with self._kernel.reading(tables):
                    tables = [self._kernel.rows(step).read_all()]
            with self._kernel.reading(tables):
                return joined(self._kernel.json_rows(steps[-1]), limit_bytes=limit_bytes)

    @contextmanager
    def _inputs(self, task: Task, *, of: str) -> Iterator[None]:
        """Have ``input`` stand for the attempt's pieces, or for none of the right columns."""
        tables = list(read_tables(task.blobs, task.attempt.inputs))
        if not tables:
            tables = [self._no_rows(task, of=of)]
        with self._kernel.reading(tables):
            yield

    def _no_rows(self, task: Task, *, of: str) -> pa.Table:
        """Return what *of* makes of no input at all.

        A query without groups has a row even then; it belongs to the first partition.
        """
        with self._table.bound_to_nothing():
            table = self._kernel.rows(self._job.steps.map).read_all()
        if of == "reduce":
            with self._kernel.reading([table]):
                table = self._kernel.rows(self._job.steps.reduce or "").read_all()
        return table if task.attempt.index == 0 else table.slice(0, 0)

    def _keep(self, task: Task, reader: pa.RecordBatchReader) -> Piece:
        writer = ShuffleWriter(reader.schema, partitions=1, scratch=task.scratch)
        for block in reader:
            writer.add(block)
        return writer.to_piece(task.attempt, task.blobs)

    def _write(self, task: Task, query: str) -> Piece:
        return write_query(
            self._connection,
            query,
            self._kernel.params_of(query),
            blobs=task.blobs,
            name=task.result_name,
            format=task.spec.output.format,
            scratch=task.scratch,
        )
