"""The shuffle: rows on their way from map to reduce as Arrow, in bounded memory.

A piece is the output of one map task: its partitions one after another, each an Arrow IPC stream,
so that a reducer reads its own range of every piece. Rows are kept in memory until they exceed a
budget; then each partition goes on in a scratch file of its own, and the files are joined in the
end. Small pieces travel with the attempt's outcome, larger ones rest in the blob store.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate, pairwise
from pathlib import Path
from typing import IO, Any, Final

import numpy as np
import pyarrow as pa

from engine.attempt import Attempt, Piece
from engine.blobs import BlobStore

INLINE_BYTES: Final = 64 * 1024
BUDGET_BYTES: Final = 96 * 1024 * 1024
_SHUFFLE: Final = "shuffle"


class ShuffleWriter:
    """Collects the output of one map task by partition.

    Args:
        schema: Of every row.
        partitions: How many there are, at least 1.
        scratch: A folder for what exceeds the budget.
        budget_bytes: How much to keep in memory.
    """

    def __init__(
        self,
        schema: pa.Schema,
        *,
        partitions: int,
        scratch: Path,
        budget_bytes: int = BUDGET_BYTES,
    ) -> None:
        self._schema = schema
        self._kept: list[list[pa.RecordBatch]] = [[] for _ in range(partitions)]
        self._kept_bytes = 0
        self._budget_bytes = budget_bytes
        self._scratch = scratch
        self._spilled: list[_SpilledPartition] = []
        self.rows = 0

    def add(self, rows: pa.RecordBatch, owners: np.ndarray[Any, Any] | None = None) -> None:
        """Add rows.

        Args:
            rows: Of the schema.
            owners: The partition of each row; None: all in the first.
        """
        self.rows += rows.num_rows
        if owners is None:
            self._kept[0].append(rows)
        else:
            order = np.argsort(owners, kind="stable")
            sorted_rows = rows.take(pa.array(order))
            counts = np.bincount(owners, minlength=len(self._kept)).tolist()
            for kept, (start, end) in zip(
                self._kept, pairwise(accumulate(counts, initial=0)), strict=True
            ):
                if end > start:
                    kept.append(sorted_rows.slice(start, end - start))
        self._kept_bytes += rows.nbytes
        if self._kept_bytes > self._budget_bytes:
            self._spill()

    def to_piece(self, attempt: Attempt, blobs: BlobStore) -> Piece:
        """Write what has been collected and return where it is."""
        if not self._spilled and self._kept_bytes <= INLINE_BYTES:
            sink = pa.BufferOutputStream()
            cuts = self._write_kept(sink)
            data = sink.getvalue().to_pybytes()
            return keep_piece(data, attempt, blobs, rows=self.rows, cuts=cuts)
        path = self._scratch / f"{attempt.task}.piece"
        if self._spilled:
            cuts = self._join_spilled(path)
        else:
            with pa.OSFile(str(path), "wb") as sink:
                cuts = self._write_kept(sink)
        name = attempt.blob_name(_SHUFFLE, "arrows")
        blobs.put_file(name, path)
        return Piece(name=name, rows=self.rows, size_bytes=cuts[-1], cuts=cuts)

    def _write_kept(self, sink: Any) -> tuple[int, ...]:
        cuts = [0]
        for batches in self._kept:
            if batches:
                with pa.ipc.new_stream(sink, self._schema) as writer:
                    for batch in batches:
                        writer.write_batch(batch)
            cuts.append(sink.tell())
        return tuple(cuts)

    def _spill(self) -> None:
        if not self._spilled:
            self._spilled = [
                _SpilledPartition(self._scratch / f"partition-{index}.arrows", self._schema)
                for index in range(len(self._kept))
            ]
        for spilled, batches in zip(self._spilled, self._kept, strict=True):
            spilled.write(batches)
            batches.clear()
        self._kept_bytes = 0

    def _join_spilled(self, path: Path) -> tuple[int, ...]:
        self._spill()
        with path.open("wb", buffering=0) as sink:
            sizes = [spilled.move_into(sink) for spilled in self._spilled]
        return tuple(accumulate(sizes, initial=0))


class _SpilledPartition:
    """One partition in a scratch file; the file is there from the first row on."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self._path = path
        self._schema = schema
        self._file: IO[bytes] | None = None
        self._writer: Any = None

    def write(self, batches: Sequence[pa.RecordBatch]) -> None:
        """Append rows."""
        if batches and self._writer is None:
            self._file = self._path.open("wb")
            self._writer = pa.ipc.new_stream(self._file, self._schema)
        for batch in batches:
            self._writer.write_batch(batch)

    def move_into(self, sink: IO[bytes]) -> int:
        """Append the content to *sink*, in the kernel, and remove the file; return its length."""
        if self._writer is None or self._file is None:
            return 0
        self._writer.close()
        self._file.close()
        copied = 0
        with self._path.open("rb") as stream:
            size_bytes = os.fstat(stream.fileno()).st_size
            while copied < size_bytes:
                copied += os.sendfile(sink.fileno(), stream.fileno(), copied, size_bytes - copied)
        self._path.unlink()
        return size_bytes


def keep_piece(
    data: bytes, attempt: Attempt, blobs: BlobStore, *, rows: int, cuts: tuple[int, ...]
) -> Piece:
    """Keep the bytes of a piece with the outcome if they are few, else as a blob."""
    if attempt.may_inline and len(data) <= INLINE_BYTES:
        return Piece(name="", rows=rows, size_bytes=len(data), cuts=cuts, data=data)
    name = attempt.blob_name(_SHUFFLE, "arrows")
    blobs.put(name, data)
    return Piece(name=name, rows=rows, size_bytes=len(data), cuts=cuts)


def read_parts(blobs: BlobStore, pieces: Iterable[Piece]) -> Iterator[pa.Buffer]:
    """Yield the bytes of each piece, or of the part of it between its first and last cut.

    Mapped into memory where the blob lies on this machine.
    """
    for piece in pieces:
        start, end = (piece.cuts[0], piece.cuts[-1]) if piece.cuts else (0, piece.size_bytes)
        if piece.data is not None:
            yield pa.py_buffer(piece.data)
        elif end > start:
            path = blobs.local_path(piece.name)
            if path is None:
                yield pa.py_buffer(blobs.read(piece.name, start=start, end=end))
            else:
                with pa.memory_map(str(path)) as mapped:
                    mapped.seek(start)
                    yield mapped.read_buffer(end - start)


def read_tables(blobs: BlobStore, pieces: Iterable[Piece]) -> Iterator[pa.Table]:
    """Yield the rows of each piece; one with several partitions yields several tables."""
    for part in read_parts(blobs, pieces):
        stream = pa.BufferReader(part)
        while stream.tell() < part.size:
            yield pa.ipc.open_stream(stream).read_all()


__all__ = ["INLINE_BYTES", "ShuffleWriter", "keep_piece", "read_parts", "read_tables"]
