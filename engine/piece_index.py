"""Which parts of which pieces each reduce task reads, written once, when all map tasks have ended.

One blob: a directory of byte offsets, then an Arrow stream for each reduce task with its parts in
the order of the map tasks. So a reduce task reads two ranges, whatever the number of map tasks,
and nothing of what the others read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate
from typing import Any, Final

import numpy as np
import pyarrow as pa

from engine.attempt import Piece
from engine.blobs import BlobStore

_OFFSET: Final = np.dtype("<i8")
_SCHEMA: Final = pa.schema(
    [
        ("name", pa.string()),
        ("rows", pa.int64()),
        ("size_bytes", pa.int64()),
        ("start", pa.int64()),
        ("end", pa.int64()),
    ]
)
_OPTIONS: Final = pa.ipc.IpcWriteOptions(compression="zstd")


def partitions_of(index: int, *, tasks: int, partitions: int) -> range:
    """Return the partitions that reduce task number *index* takes.

    As the Redis ledger shares them out, so that a job gives the same files on every runner.
    """
    return range(index * partitions // tasks, (index + 1) * partitions // tasks)


def write_piece_index(
    blobs: BlobStore, name: str, pieces: Iterable[Piece], *, tasks: int, partitions: int
) -> None:
    """Store what each of *tasks* reduce tasks reads.

    Args:
        blobs: Where to.
        name: Of the blob.
        pieces: Of all map tasks, in their order; each has one cut more than there are partitions,
            and none has its bytes with it.
        tasks: How many reduce tasks there are, at most as many as partitions.
        partitions: How many the pieces are cut into.
    """
    kept = list(pieces)
    firsts = [partitions_of(i, tasks=tasks, partitions=partitions).start for i in range(tasks)]
    at = [*firsts, partitions]
    # Of all cuts only those between tasks.
    cuts = np.array([[piece.cuts[i] for i in at] for piece in kept], dtype=_OFFSET)
    cuts = cuts.reshape(len(kept), tasks + 1)
    names = pa.array([piece.name for piece in kept], pa.string())
    rows = pa.array([piece.rows for piece in kept], pa.int64())
    sizes = pa.array([piece.size_bytes for piece in kept], pa.int64())
    streams = [
        _stream([names, rows, sizes, pa.array(cuts[:, i]), pa.array(cuts[:, i + 1])])
        for i in range(tasks)
    ]
    directory_bytes = (tasks + 1) * _OFFSET.itemsize
    ends = accumulate(map(len, streams), initial=directory_bytes)
    directory = np.fromiter(ends, dtype=_OFFSET)
    blobs.put(name, b"".join([directory.tobytes(), *streams]))


def read_piece_index(blobs: BlobStore, name: str, index: int) -> tuple[Piece, ...]:
    """Return what reduce task number *index* reads: pieces with the two cuts around its own part.

    Raises:
        NotFoundError: There is no such blob.
    """
    width = _OFFSET.itemsize
    place = blobs.read(name, start=index * width, end=(index + 2) * width)
    start, end = np.frombuffer(place, dtype=_OFFSET).tolist()
    with pa.ipc.open_stream(blobs.read(name, start=start, end=end)) as stream:
        found = stream.read_all().to_pydict()
    return tuple(
        Piece(name=name, rows=rows, size_bytes=size_bytes, cuts=(start, end))
        for name, rows, size_bytes, start, end in zip(*found.values(), strict=True)
    )


def _stream(columns: Sequence[pa.Array[Any]]) -> bytes:
    """Write the parts that are not empty."""
    table = pa.table(list(columns), schema=_SCHEMA)
    start, end = (table.column(name).to_numpy() for name in ("start", "end"))
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, _SCHEMA, options=_OPTIONS) as writer:
        writer.write_table(table.filter(pa.array(start < end)))
    data: bytes = sink.getvalue().to_pybytes()
    return data
