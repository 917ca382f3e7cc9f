"""Rows of a Parquet file in a blob store, from any row on; only what is needed is read."""

from __future__ import annotations

import io
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import Any, Final, cast

import pyarrow as pa
import pyarrow.parquet as pq

from engine.blobs import BlobStore
from engine.errors import NotFoundError, UnavailableError
from engine.output.json_columns import json_lines

FOOTERS_KEPT: Final = 64
BATCH_BYTES: Final = 2 * 1024 * 1024
MAX_BATCH_ROWS: Final = 4_096


def read_parquet(
    blobs: BlobStore, name: str, size_bytes: int, start: int
) -> Iterator[tuple[int, bytes]]:
    """Yield rows as JSON, each with its number; the first is the row after number *start*.

    Raises:
        NotFoundError: There is no such blob.
        UnavailableError: The file is not what it should be.
    """
    try:
        footer = _footer(cast(Hashable, blobs), name, size_bytes)
        yield from _rows(blobs, name, size_bytes, start, footer)
    except FileNotFoundError as exc:
        raise NotFoundError(f"no blob {name}") from exc
    except (pa.ArrowException, OSError) as exc:
        raise UnavailableError(f"blob {name}: {exc}") from exc


def _rows(
    blobs: BlobStore, name: str, size_bytes: int, start: int, footer: Any
) -> Iterator[tuple[int, bytes]]:
    number = 0
    for index in range(footer.num_row_groups):
        group = footer.row_group(index)
        if number + group.num_rows <= start:
            number += group.num_rows
            continue
        for batch in _batches(blobs, name, size_bytes, footer, index):
            skipped = min(max(0, start - number), batch.num_rows)
            number += skipped
            if skipped < batch.num_rows:
                for line in json_lines(batch.slice(skipped)):
                    number += 1
                    yield number, line


def _batches(
    blobs: BlobStore, name: str, size_bytes: int, footer: Any, index: int
) -> Iterator[Any]:
    group = footer.row_group(index)
    row_bytes = max(1, group.total_byte_size // max(1, group.num_rows))
    with pq.ParquetFile(_opened(blobs, name, size_bytes), metadata=footer) as file:
        yield from file.iter_batches(
            batch_size=max(1, min(MAX_BATCH_ROWS, BATCH_BYTES // row_bytes)),
            row_groups=[index],
            use_threads=False,
        )


@lru_cache(maxsize=FOOTERS_KEPT)
def _footer(blobs: Any, name: str, size_bytes: int) -> Any:
    return pq.read_metadata(_opened(blobs, name, size_bytes))


def _opened(blobs: BlobStore, name: str, size_bytes: int) -> Any:
    path = blobs.local_path(name)
    return pa.PythonFile(_BlobFile(blobs, name, size_bytes), "r") if path is None else str(path)


class _BlobFile(io.RawIOBase):
    """A blob that is read by ranges."""

    def __init__(self, blobs: BlobStore, name: str, size_bytes: int) -> None:
        super().__init__()
        self._blobs = blobs
        self._name = name
        self._size_bytes = size_bytes
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size_bytes}[whence]
        self._at = max(0, base + offset)
        return self._at

    def read(self, size: int = -1) -> bytes:
        end = self._size_bytes if size < 0 else min(self._size_bytes, self._at + size)
        if end <= self._at:
            return b""
        data = self._blobs.read(self._name, start=self._at, end=end)
        self._at += len(data)
        return data
