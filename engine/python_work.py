"""A program in Python as the work of a job."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from engine.async_map import map_batch_async, map_rows_async
from engine.attempt import Piece
from engine.context import Context
from engine.isolation.aside import Aside
from engine.isolation.items import Isolation, grouped, produced
from engine.isolation.items_async import map_apart_async, produced_async
from engine.kernel import (
    ItemStream,
    finish_rows,
    map_batch,
    map_rows,
    map_table,
    map_table_rows,
    reduce_partition,
)
from engine.output.write import write_arrow, write_rows
from engine.pairs.groups import Groups
from engine.partial import encoded, joined
from engine.plan import Grain, default_reducers, grain_of
from engine.program import Program
from engine.result import Manifest, read_all
from engine.shuffle import keep_piece, read_parts
from engine.source.read import BatchReader
from engine.task import Mapped, Task

FEW_PAIRS: Final = 1_000
"""So few are written in less time than a thread takes to be asked."""


class PythonWork:
    """Implements ``Work`` for one attempt of a program.

    Args:
        program: What to run.
        reader: Reads the items of the job's batches.
        context: Of the attempt.
        aside: Takes items that fail; without it the attempt fails with them.
    """

    def __init__(
        self,
        program: Program,
        reader: BatchReader,
        context: Context,
        aside: Aside | None = None,
    ) -> None:
        self._program = program
        self._reader = reader
        self._context = context
        self._aside = aside

    @property
    def is_map_only(self) -> bool:
        """Whether the program has no reduce."""
        return self._program.is_map_only

    @property
    def grain(self) -> Grain:
        """How large batches should be; see ``Work``."""
        return grain_of(self._program)

    @property
    def choice(self) -> None:
        """None: all files are wanted; see ``Work``."""
        return None

    def reducers(self, *, wanted: int | None, size_bytes: int, workers: int) -> int:
        """Return one reducer for about every 16 MiB of source, 64 at most; see ``Work``."""
        return 0 if self.is_map_only else wanted or default_reducers(size_bytes)

    def map(self, task: Task) -> Mapped:
        """Map a batch; see ``Work``."""
        if self._aside is not None:
            return self._map_apart(task, self._aside)
        if self._program.columnar:
            return self._map_table(task)
        items = ItemStream(self._reader.chunks(task.batch))
        if self._program.is_map_only:
            piece = self._write_rows(task, map_rows(self._program, items, self._context))
        else:
            piece = self._write_pairs(task, map_batch(self._program, items, self._context))
        return Mapped(items=items.count, piece=piece)

    async def map_async(self, task: Task) -> Mapped:
        """Map a batch with a program that is ``async def``; see ``Work``."""
        if task.batch.items is None:
            items = await asyncio.to_thread(self._reader.read, task.batch)
        else:  # there is nothing to wait for
            items = self._reader.read(task.batch)
        if self._aside is not None:
            return await self._map_apart_async(task, items, self._aside)
        if self._program.is_map_only:
            rows = [row async for row in map_rows_async(self._program, items, self._context)]
            piece = await asyncio.to_thread(self._write_rows, task, iter(rows))
        else:
            groups = await map_batch_async(self._program, items, self._context)
            if groups.pairs <= FEW_PAIRS:
                piece = self._write_pairs(task, groups)
            else:
                piece = await asyncio.to_thread(self._write_pairs, task, groups)
        return Mapped(items=len(items), piece=piece)

    def reduce(self, task: Task) -> Piece:
        """Reduce a partition; see ``Work``."""
        parts = read_parts(task.blobs, task.attempt.inputs)
        rows = reduce_partition(self._program, parts, self._context, scratch=task.scratch)
        return self._write_rows(task, rows)

    def finish(self, task: Task) -> tuple[Piece, ...]:
        """Give all rows to the program's finish; see ``Work``."""
        files = task.attempt.inputs
        rows = read_all(task.blobs, Manifest(task.attempt.job, files, exact=True, facts={}))
        finished = finish_rows(self._program, rows, self._context)
        return files if finished is None else (self._write_rows(task, finished),)

    def partial(self, task: Task, *, limit_bytes: int) -> str | None:
        """Reduce and finish what has been mapped so far; see ``Work``."""
        parts = read_parts(task.blobs, task.attempt.inputs)
        rows: Iterator[Any] = reduce_partition(
            self._program, parts, self._context, scratch=task.scratch
        )
        finished = finish_rows(self._program, rows, self._context)
        return joined(encoded(rows if finished is None else finished), limit_bytes=limit_bytes)

    def _map_apart(self, task: Task, aside: Aside) -> Mapped:
        """Map a batch with bad items set aside."""
        isolation = Isolation(self._program, task.attempt, self._context, task.mark, aside)
        if self._program.columnar:
            return self._map_table_apart(task, isolation, aside)
        items = ItemStream(self._reader.chunks(task.batch))
        if self._program.is_map_only:
            piece = self._write_rows(task, chain.from_iterable(produced(isolation, items)))
        else:
            piece = self._write_pairs(task, grouped(isolation, produced(isolation, items)))
        return _mapped(items.count, piece, aside)

    async def _map_apart_async(self, task: Task, items: list[Any], aside: Aside) -> Mapped:
        isolation = Isolation(self._program, task.attempt, self._context, task.mark, aside)
        if self._program.is_map_only:
            rows = [row async for found in produced_async(isolation, items) for row in found]
            piece = await asyncio.to_thread(self._write_rows, task, iter(rows))
        else:
            groups = await map_apart_async(isolation, items)
            piece = await asyncio.to_thread(self._write_pairs, task, groups)
        return _mapped(len(items), piece, aside)

    def _map_table(self, task: Task) -> Mapped:
        # Only here: DuckDB takes a while to load, and other programs do without.
        from engine.sql.batch_table import read_table

        table = read_table(
            task.batch,
            sources=task.sources,
            layout=task.spec.source.layout,
            scratch=task.scratch,
        )
        if not table.num_columns:  # nothing but empty files
            return Mapped(items=0, piece=self._write_nothing(task))
        if self._program.is_map_only:
            found = map_table_rows(self._program, table, self._context)
            piece = self._write_found(task, found)
        else:
            piece = self._write_pairs(task, map_table(self._program, table, self._context))
        return Mapped(items=table.num_rows, piece=piece)

    def _map_table_apart(self, task: Task, isolation: Isolation, aside: Aside) -> Mapped:
        from engine.isolation.tables import produced_from_table, rows_of, together
        from engine.sql.batch_table import read_table_apart

        table, place_of = read_table_apart(
            task.batch,
            sources=task.sources,
            layout=task.spec.source.layout,
            scratch=task.scratch,
            report=aside.add_unreadable,
        )
        parts = produced_from_table(isolation, table, place_of)
        if self._program.is_map_only:
            found = together(list(parts))
            piece = self._write_found(task, found if isinstance(found, pa.Table) else iter(found))
        else:
            piece = self._write_pairs(task, grouped(isolation, map(rows_of, parts)))
        return _mapped(table.num_rows, piece, aside)

    def _write_nothing(self, task: Task) -> Piece:
        if self._program.is_map_only:
            return self._write_rows(task, iter(()))
        return self._write_pairs(task, Groups())

    def _write_found(self, task: Task, found: pa.Table | Iterator[Any]) -> Piece:
        if not isinstance(found, pa.Table):
            return self._write_rows(task, found)
        return write_arrow(
            found,
            blobs=task.blobs,
            name=task.result_name,
            format=task.spec.output.format,
            scratch=task.scratch,
        )

    def _write_pairs(self, task: Task, groups: Groups) -> Piece:
        data, cuts = groups.to_piece(task.attempt.reducers)
        return keep_piece(data, task.attempt, task.blobs, rows=groups.pairs, cuts=cuts)

    def _write_rows(self, task: Task, rows: Iterator[Any]) -> Piece:
        return write_rows(
            rows,
            blobs=task.blobs,
            name=task.result_name,
            format=task.spec.output.format,
            scratch=task.scratch,
        )


def _mapped(items: int, piece: Piece, aside: Aside) -> Mapped:
    """Return what *items*, without those among them that were set aside, were mapped to."""
    failed = aside.items - aside.records
    return Mapped(items=items - failed, piece=piece, failures=aside.failures())
