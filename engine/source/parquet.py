"""PARQUET: an item is a row as a dict; a slice is some row groups.

Values are made what JSON has: decimals are text, dates, times and timestamps ISO 8601 text (in UTC
where the column has a zone), binary is base64 text, durations are whole numbers in the column's
unit, or microseconds within lists and structs. Maps with text keys are objects, others lists of
pairs, an empty one an empty list. Infinity and what is not a number are null.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, BinaryIO, Final

import pyarrow as pa
from pyarrow import parquet as pq

from engine.batch import FileSlice, RowPlace
from engine.errors import RecordError
from engine.source.arrow_values import json_rows
from engine.source.sources import Sources

MAX_ROWS: Final = 10_000
MAX_FOOTER_BYTES: Final = 16 * 1024 * 1024
_TAIL_BYTES: Final = 64 * 1024  # what Arrow reads first, so that a store is asked for it once
_MAGICS: Final = (b"PAR1", b"PARE")
_ROWS_BYTES: Final = 8 * 1024 * 1024
_BUFFER_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A part of a Parquet file that is never cut.

    Attributes:
        start: Its first byte.
        end: One past its last byte.
        rows: How many it has.
    """

    start: int
    end: int
    rows: int


@dataclass(frozen=True)
class ParquetReader:
    """Reads slices of Parquet files."""

    sources: Sources

    def records(self, part: FileSlice) -> Iterator[RowRecords]:
        """Yield the rows of a slice, at most 10,000 or about 8 MiB at a time."""
        name = self.sources.name_of(part.path)
        with (
            self.sources.open_file(part.path, version=part.version) as stream,
            _naming(name),
        ):
            file = _opened(stream, name)
            _check_names(file.schema_arrow.names, name)
            metadata = file.metadata
            first, end = part.groups or (0, metadata.num_row_groups)
            row = sum(metadata.row_group(group).num_rows for group in range(first))
            for group in range(first, end):
                for rows in file.iter_batches(
                    _rows_at_once(metadata.row_group(group)), row_groups=[group], use_threads=False
                ):
                    yield RowRecords(name, row, rows)
                    row += rows.num_rows


@dataclass(frozen=True)
class RowRecords:
    """Some consecutive rows.

    Attributes:
        name: The file as callers know it.
        first: Number of the first row in the file.
        rows: The rows.
    """

    name: str
    first: int
    rows: Any  # a pyarrow.RecordBatch

    def items(self) -> list[Any]:
        """Return the rows as dicts."""
        with _naming(self.name):
            return json_rows(self.rows)

    def place_of(self, index: int) -> RowPlace:
        """Return a row's number in its file."""
        if not 0 <= index < self.rows.num_rows:
            raise IndexError(index)
        return RowPlace(self.name, self.first + index)


def read_row_groups(stream: BinaryIO, *, name: str) -> list[RowGroup]:
    """Return the row groups of an open Parquet file; reads its footer alone.

    Raises:
        RecordError: It is damaged, cut short or not a Parquet file, or its footer is too large.
    """
    with _naming(name):
        metadata = _opened(stream, name).metadata
        return [_row_group(metadata.row_group(i)) for i in range(metadata.num_row_groups)]


def _row_group(metadata: Any) -> RowGroup:
    columns = [metadata.column(i) for i in range(metadata.num_columns)]
    starts = [
        min(filter(None, (column.dictionary_page_offset, column.data_page_offset)))
        for column in columns
    ]
    ends = [
        start + column.total_compressed_size for start, column in zip(starts, columns, strict=True)
    ]
    return RowGroup(min(starts, default=0), max(ends, default=0), metadata.num_rows)


def check_footer(stream: BinaryIO, *, name: str) -> None:
    """Refuse an open Parquet file whose footer is too large to be parsed.

    Parsed, it takes several times its bytes: one part for each column of each row group. To be
    called before anything else reads the footer; what is no Parquet file is left to that.

    Raises:
        RecordError: It has more than 16 MiB.
    """
    size_bytes = stream.seek(0, io.SEEK_END)
    stream.seek(max(size_bytes - _TAIL_BYTES, 0))
    tail = stream.read(_TAIL_BYTES)[-8:]
    stream.seek(0)
    footer_bytes = int.from_bytes(tail[:4], "little")
    if tail[4:] in _MAGICS and footer_bytes > MAX_FOOTER_BYTES:
        raise RecordError(
            f"{name}: its Parquet footer has {footer_bytes} bytes, the limit is "
            f"{MAX_FOOTER_BYTES}; write fewer row groups or columns"
        )


def _opened(stream: BinaryIO, name: str) -> Any:
    check_footer(stream, name=name)
    return pq.ParquetFile(
        pa.PythonFile(stream, mode="r"), pre_buffer=False, buffer_size=_BUFFER_BYTES
    )


def _rows_at_once(group: Any) -> int:
    row_bytes = group.total_byte_size / max(group.num_rows, 1)
    return max(1, min(MAX_ROWS, int(_ROWS_BYTES / max(row_bytes, 1))))


def _check_names(names: Sequence[str], name: str) -> None:
    if len(set(names)) < len(names):
        twice = next(column for column in names if names.count(column) > 1)
        raise RecordError(f"{name}: there are two columns called {twice!r}")


@contextmanager
def _naming(name: str) -> Iterator[None]:
    """Turn what Arrow raises over bad data into an error that names the file."""
    try:
        yield
    except (pa.ArrowException, OSError, ValueError, OverflowError) as exc:
        raise RecordError(f"{name}: cannot be read as Parquet: {exc}") from exc
