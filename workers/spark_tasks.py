"""What Spark's executors do for a job: functions for ``mapInArrow``, and what their rows are.

They are sent by name, and wire themselves from the settings of the process that they find
themselves in. Spark starts a task again when its process has died; the ledger is told first, so
that a task which ends every process is not started for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from importlib import import_module
from itertools import groupby, islice, pairwise
from operator import itemgetter
from pathlib import Path
from threading import Event
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.attempt import Piece
from engine.blobs import BlobStore
from engine.errors import TaskCrashedError
from engine.job import JobError, JobId, TaskId, TaskKind, task_id
from engine.piece_index import partitions_of
from engine.plan_file import TaskReference
from engine.run_ledger import Retry
from workers.memory import give_back_memory
from workers.orchestrated import OrchestratedRun, TaskFailedError
from workers.spark_spool import PartSpool

RunOf = Callable[[], OrchestratedRun]
"""Gives the steps of this process; a function of a module, since it is sent by name."""

CHUNK_BYTES: Final = 256 * 1024
WINDOW_BYTES: Final = 4 * 1024 * 1024
CHUNKS_AT_ONCE: Final = WINDOW_BYTES // CHUNK_BYTES

NOTHING: Final = "nothing int"
PARTS: Final = "task int, piece int, at long, data binary"
"""Bytes that reduce task *task* reads, from byte *at* of what map task number *piece* left."""

_PARTS: Final = pa.schema(
    [("task", pa.int32()), ("piece", pa.int32()), ("at", pa.int64()), ("data", pa.binary())]
)
_NOBODY: Final = -1
_GONE: Final = JobError(
    TaskCrashedError.code, "the process of the Spark executor that ran it ended", retryable=True
)


def references_table(references: Sequence[TaskReference]) -> pa.Table:
    """Return the rows that ``map_tasks`` reads; ``slot`` counts them."""
    names = ("task", "start", "end", "items")
    columns = {name: [getattr(each, name) for each in references] for name in names}
    return pa.table({"slot": pa.array(range(len(references)), pa.int32()), **columns})


def map_tasks(
    rows: Iterator[pa.RecordBatch], *, job: JobId, batches: str, run_of: RunOf
) -> Iterator[pa.RecordBatch]:
    """Map the batches that *rows* refer to, one by one; yields nothing.

    Args:
        rows: From ``references_table``.
        job: The job.
        batches: Blob of the batches.
        run_of: Gives the steps of this process.
    """
    run, again = run_of(), _Again()
    for row in _dicts(rows):
        reference = TaskReference(TaskId(row["task"]), row["start"], row["end"], row["items"])
        again.run(run, job, reference.task, partial(run.map, job, batches, [reference]))
    yield from ()


def pieces_table(pieces: Iterable[Piece], *, tasks: int) -> pa.Table:
    """Return the rows that ``send_parts`` reads; ``slot`` counts them.

    The first names no piece.

    Args:
        pieces: Of all map tasks, in their order.
        tasks: How many reduce tasks there are.
    """
    names, found = [""], [np.zeros(tasks + 1, np.int64)]
    for piece in pieces:
        partitions = len(piece.cuts) - 1
        firsts = (partitions_of(i, tasks=tasks, partitions=partitions).start for i in range(tasks))
        names.append(piece.name)
        found.append(np.array([piece.cuts[i] for i in (*firsts, partitions)], np.int64))
    offsets = np.arange(len(names) + 1, dtype=np.int32) * (tasks + 1)
    cuts = pa.ListArray.from_arrays(pa.array(offsets), pa.array(np.concatenate(found)))
    slots = pa.array(range(len(names)), pa.int32())
    return pa.table({"slot": slots, "name": names, "cuts": cuts})


def send_parts(
    rows: Iterator[pa.RecordBatch], *, tasks: int, run_of: RunOf
) -> Iterator[pa.RecordBatch]:
    """Yield what each reduce task reads of some pieces; see ``parts_of``.

    Args:
        rows: From ``pieces_table``.
        tasks: How many reduce tasks there are.
        run_of: Gives the steps of this process.
    """
    return parts_of(run_of().steps.blobs, rows, tasks=tasks)


def parts_of(
    blobs: BlobStore, rows: Iterable[pa.RecordBatch], *, tasks: int
) -> Iterator[pa.RecordBatch]:
    """Yield the bytes of pieces by reduce task, each read once, a few megabytes at a time.

    The row that names no piece gives every reduce task a row before all others, so that one for
    which there is nothing runs, too.
    """
    for row in _dicts(rows):
        slot, name, cuts = row["slot"], row["name"], row["cuts"]
        if not name:
            yield _parts((task, _NOBODY, 0, b"") for task in range(tasks))
            continue
        ranges = _chunks(cuts)
        while some := list(islice(ranges, CHUNKS_AT_ONCE)):
            first = some[0][1]
            data = memoryview(blobs.read(name, start=first, end=some[-1][2]))
            yield _parts(
                (task, slot, start, data[start - first : end - first]) for task, start, end in some
            )


def gathered(rows: Iterable[pa.RecordBatch], scratch: Path) -> Iterator[tuple[int, PartSpool]]:
    """Yield each reduce task with its parts, which are gone when the next one is asked for.

    Args:
        rows: From ``parts_of``, sorted by task, piece and place.
        scratch: A folder on this machine's disk.
    """
    parts = (
        part
        for batch in rows
        for part in zip(*(batch[name].to_pylist() for name in _PARTS.names), strict=True)
    )
    for number, found in groupby(parts, key=itemgetter(0)):
        with PartSpool(scratch) as spool:
            for _, piece, _, data in found:
                if piece != _NOBODY:
                    spool.add(piece, data)
            yield number, spool


def reduce_tasks(
    rows: Iterator[pa.RecordBatch], *, job: JobId, run_of: RunOf
) -> Iterator[pa.RecordBatch]:
    """Run the reduce tasks whose parts *rows* are, in order; yields nothing.

    Args:
        rows: From ``send_parts``, sorted by task, piece and place.
        job: The job.
        run_of: Gives the steps of this process.
    """
    run, again = run_of(), _Again()
    for number, spool in gathered(rows, run.steps.scratch):
        reduce = partial(run.reduce_parts, job, number, spool.parts)
        again.run(run, job, task_id(TaskKind.REDUCE, number), reduce)
    yield from ()


class _Again:
    """Runs tasks of one Spark task until each has ended."""

    def __init__(self) -> None:
        context: Any = import_module("pyspark").TaskContext.get()
        self._died = context.attemptNumber() > 0

    def run(
        self, run: OrchestratedRun, job: JobId, task: TaskId, step: Callable[[], Retry | None]
    ) -> None:
        """Call *step* as often as it asks for; a task that failed for good is left to the ledger.

        What the process before held, if one has died, is told to be lost; those behind it were not
        begun.
        """
        retry: Retry | None = Retry(0)
        if self._died:
            retry = run.lost(job, [task], _GONE)
            self._died = retry is None
        try:
            while retry is not None:
                Event().wait(retry.after_s)
                retry = step()
        except TaskFailedError:
            return
        finally:
            give_back_memory()


def _dicts(rows: Iterable[pa.RecordBatch]) -> Iterator[dict[str, Any]]:
    for batch in rows:
        yield from batch.to_pylist()


def _chunks(cuts: Sequence[int]) -> Iterator[tuple[int, int, int]]:
    """Yield each reduce task with the ranges of bytes that it reads, none too long."""
    for task, (start, end) in enumerate(pairwise(cuts)):
        for first in range(start, end, CHUNK_BYTES):
            yield task, first, min(first + CHUNK_BYTES, end)


def _parts(rows: Iterable[tuple[int, int, int, Any]]) -> pa.RecordBatch:
    columns = zip(*rows, strict=True)
    return pa.record_batch(
        [pa.array(column, kind) for column, kind in zip(columns, _PARTS.types, strict=True)],
        schema=_PARTS,
    )
