"""The steps of a job, each from stored input to stored output: plan, map, reduce, finish.

One implementation for every runtime: an arq worker's task process, a Lambda and a Spark executor
are thin shells around ``Steps``. A step writes under names that only its attempt uses; what it
returns becomes real when the ledger commits it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import Any

from engine.attempt import Attempt, Outcome, Piece, ResultSummary
from engine.batch import Batch
from engine.blobs import BlobStore
from engine.catalog import Catalog
from engine.context import Context
from engine.errors import OutputError, TaskError
from engine.job import TaskKind
from engine.kernel import (
    Row,
    finish_rows,
    map_batch,
    map_batch_async,
    map_rows,
    map_rows_async,
    reduce_partition,
)
from engine.pairs import Groups
from engine.plan import plan_files
from engine.program import Program
from engine.result import Manifest, read_all
from engine.rows import as_json_array, encode_rows
from engine.source.read import BatchReader
from engine.source.roots import SourceRoots
from engine.spec import JobSpec


@dataclass(frozen=True)
class Steps:
    """What a runtime needs to run any task.

    Attributes:
        catalog: The programs.
        blobs: Where pieces and results rest.
        roots: The folders that jobs may read.
        inline_result_bytes: Largest result that is shown whole in the job's status.
    """

    catalog: Catalog
    blobs: BlobStore
    roots: SourceRoots
    inline_result_bytes: int

    def run(self, attempt: Attempt) -> Outcome:
        """Run one attempt to its end.

        Raises:
            TaskError: The program or the data is at fault.
            SourceError: The source cannot be read.
        """
        task = _Task(self, attempt)
        steps = {
            TaskKind.PLAN: self._plan,
            TaskKind.MAP: self._map,
            TaskKind.REDUCE: self._reduce,
            TaskKind.FINISH: self._finish,
        }
        with task.keeping_log():
            return task.reported(steps[attempt.kind](task))

    async def run_async(self, attempt: Attempt) -> Outcome:
        """Run a map attempt whose program is ``async def``.

        Raises:
            TaskError: The program or the data is at fault.
            SourceError: The source cannot be read.
        """
        task = _Task(self, attempt)
        with task.keeping_log():
            return task.reported(await self._map_async(task))

    def _plan(self, task: _Task) -> Outcome:
        plan = plan_files(task.spec, self.roots, is_map_only=task.program.is_map_only)
        return Outcome(plan=plan.batches, reducers=plan.reducers)

    def _map(self, task: _Task) -> Outcome:
        items = task.read_items()
        if task.program.is_map_only:
            return task.mapped(items, task.write_rows(map_rows(task.program, items, task.ctx)))
        return task.mapped(items, task.write_pairs(map_batch(task.program, items, task.ctx)))

    async def _map_async(self, task: _Task) -> Outcome:
        items = await asyncio.to_thread(task.read_items)
        if task.program.is_map_only:
            rows = [row async for row in map_rows_async(task.program, items, task.ctx)]
            piece = await asyncio.to_thread(task.write_rows, rows)
        else:
            groups = await map_batch_async(task.program, items, task.ctx)
            piece = await asyncio.to_thread(task.write_pairs, groups)
        return task.mapped(items, piece)

    def _reduce(self, task: _Task) -> Outcome:
        rows = reduce_partition(task.program, task.read_partition(), task.ctx)
        return Outcome(piece=task.write_rows(rows))

    def _finish(self, task: _Task) -> Outcome:
        attempt = task.attempt
        facts = {"spec": attempt.spec, **attempt.job_summary}
        manifest = Manifest(job=attempt.job, files=attempt.inputs, exact=True, facts=facts)
        rows = finish_rows(task.program, read_all(self.blobs, manifest), task.ctx)
        if rows is not None:
            manifest = Manifest(
                job=attempt.job, files=(task.write_rows(rows),), exact=True, facts=facts
            )
        name = attempt.blob_name("result", "manifest.json")
        self.blobs.put(name, manifest.to_bytes())
        summary = ResultSummary(
            rows=manifest.rows,
            size_bytes=manifest.size_bytes,
            inline=self._inline(manifest),
            manifest=name,
        )
        return Outcome(result=summary)

    def _inline(self, manifest: Manifest) -> str | None:
        if manifest.size_bytes > self.inline_result_bytes:
            return None
        return as_json_array(self.blobs.read(file.name) for file in manifest.files)


class _Task:
    """One attempt with everything looked up, and the ways it reads and writes."""

    def __init__(self, steps: Steps, attempt: Attempt) -> None:
        self.attempt = attempt
        self.spec = JobSpec.model_validate(attempt.spec)
        self.program: Program = steps.catalog.require(self.spec.program)
        self._blobs = steps.blobs
        self._reader = BatchReader(steps.roots, self.spec.source.files)
        self.ctx = Context(
            params=self.program.parse_params(self.spec.params, "input", "params"),
            job_id=attempt.job,
            task_id=attempt.task,
            attempt=attempt.number,
            locate=lambda position: self._reader.place_of(self._batch, position),
        )

    @property
    def _batch(self) -> Batch:
        return self.attempt.batch or Batch()

    def read_items(self) -> list[Any]:
        return self._reader.read(self._batch)

    def read_partition(self) -> Iterator[bytes]:
        index = self.attempt.index
        for piece in self.attempt.inputs:
            start, end = piece.cuts[index], piece.cuts[index + 1]
            if end > start:
                yield self._blobs.read(piece.name, start=start, end=end)

    def write_pairs(self, groups: Groups) -> Piece:
        data, cuts = groups.to_piece(self.attempt.reducers)
        name = self.attempt.blob_name("shuffle", "arrows")
        self._blobs.put(name, data)
        return Piece(name=name, rows=groups.pairs, size_bytes=len(data), cuts=cuts)

    def write_rows(self, rows: Iterable[Row]) -> Piece:
        encoded = encode_rows(rows)
        name = self.attempt.blob_name("result", "jsonl")
        self._blobs.put(name, encoded.data)
        return Piece(
            name=name,
            rows=encoded.rows,
            size_bytes=len(encoded.data),
            sha256=sha256(encoded.data).hexdigest(),
            columns=encoded.columns,
        )

    def mapped(self, items: list[Any], piece: Piece) -> Outcome:
        return Outcome(
            items=len(items),
            bytes_read=self._batch.size_bytes,
            piece=piece,
        )

    def reported(self, outcome: Outcome) -> Outcome:
        return replace(outcome, counters=self.ctx.counters, log=tuple(self.ctx.log_lines))

    @contextmanager
    def keeping_log(self) -> Iterator[None]:
        try:
            yield
        except OutputError as exc:
            kind = self.attempt.kind.value.lower()
            named = OutputError(f"{kind} of {self.program.name}: {exc}")
            named.log = tuple(self.ctx.log_lines)
            raise named from exc
        except TaskError as exc:
            exc.log = tuple(self.ctx.log_lines)
            raise
