"""CSV: an item is a row as a dict from column name to text; blank lines are skipped.

Read as the ``csv`` module reads its default dialect, with the given delimiter.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from io import StringIO
from typing import Final

from engine.batch import FileSlice
from engine.errors import RecordError
from engine.source.chunk import BOM, MAX_RECORD_BYTES, Chunk, too_long
from engine.source.content import open_content
from engine.source.csv_arrow import read_plain_table
from engine.source.csv_mask import CsvMask, first_record_end
from engine.source.records import ChunkRecords, record_chunks
from engine.source.sources import Sources
from engine.spec import CsvSpec

Columns = tuple[str, ...]
_HEAD_BYTES: Final = (64 * 1024, 1024 * 1024, MAX_RECORD_BYTES)


@dataclass(frozen=True)
class CsvReader:
    """Reads slices of CSV files.

    Attributes:
        sources: Where the files are.
        spec: How the files are laid out.
        heads: The columns of each file seen, and where its first row ends.
    """

    sources: Sources
    spec: CsvSpec
    heads: dict[str, tuple[Columns, int]] = field(default_factory=dict)

    def records(self, part: FileSlice) -> Iterator[ChunkRecords]:
        """Yield the rows of a slice."""
        columns = self._columns_before(part)
        with open_content(part, self.sources) as content:
            for chunk in record_chunks(content, CsvMask(self.spec.delimiter).mask):
                rest = chunk
                if columns is None:
                    head, after = _split_head(chunk, self.spec.delimiter)
                    if not _rows(head, self.spec.delimiter):
                        continue
                    columns = read_columns(head, self.spec)
                    rest = after if self.spec.header else chunk
                yield ChunkRecords(
                    rest,
                    partial(read_items, spec=self.spec, columns=columns),
                    partial(offsets, spec=self.spec),
                    partial(_masked, spec=self.spec),
                )

    def _columns_before(self, part: FileSlice) -> Columns | None:
        """Return the columns of a slice's file; None when the slice itself has the first row."""
        if part.start == 0:
            return None
        if part.path not in self.heads:
            self.heads[part.path] = self._read_head(part)
        columns, first_row_end = self.heads[part.path]
        return columns if part.start >= first_row_end else None

    def _read_head(self, part: FileSlice) -> tuple[Columns, int]:
        """Read the columns of a file, and where its first row ends.

        Raises:
            RecordError: The row is too long, not UTF-8, or has a name twice.
        """
        name = self.sources.name_of(part.path)
        with self.sources.open_file(part.path, version=part.version) as file:
            for size_bytes in _HEAD_BYTES:
                file.seek(0)
                data = file.read(size_bytes)
                start = len(BOM) if data.startswith(BOM) else 0
                end = first_record_end(data[start:], self.spec.delimiter)
                if end is not None or len(data) < size_bytes:
                    head = Chunk(name, start, data[start:][:end])
                    return read_columns(head, self.spec), start + len(head.data)
        raise too_long(name, 0, MAX_RECORD_BYTES)


def read_items(chunk: Chunk, spec: CsvSpec, columns: Columns) -> list[dict[str, str]]:
    """Return the rows of *chunk*, which has no header.

    Raises:
        RecordError: It is not UTF-8, or a row has more or fewer fields than there are columns.
    """
    plain = read_plain_table(chunk, columns, delimiter=spec.delimiter)
    if plain is not None:
        rows_as_dicts: list[dict[str, str]] = plain.to_pylist()
        return rows_as_dicts
    return _read_exactly(chunk, spec, columns)


def _read_exactly(chunk: Chunk, spec: CsvSpec, columns: Columns) -> list[dict[str, str]]:
    rows = _rows(chunk, spec.delimiter)
    if any(length != len(columns) for length in set(map(len, rows))):
        raise _ragged(chunk, spec, expected=len(columns))
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_columns(head: Chunk, spec: CsvSpec) -> Columns:
    """Return the columns of the file that begins with *head*, its first row.

    Raises:
        RecordError: The row is not UTF-8, or a column name occurs twice.
    """
    rows = _rows(head, spec.delimiter)
    return _columns(rows[0] if rows else [], spec, name=head.name)


def offsets(chunk: Chunk, spec: CsvSpec) -> list[int]:
    """Return the offset in the file of each row of *chunk*."""
    return [offset for offset, _ in _located(chunk, spec.delimiter)]


def _masked(data: bytes, spec: CsvSpec) -> bytes:
    return CsvMask(spec.delimiter).mask(data)


def _split_head(chunk: Chunk, delimiter: str) -> tuple[Chunk, Chunk]:
    """Split *chunk* after its first row; all of it, when it has but one."""
    end = first_record_end(chunk.data, delimiter) or len(chunk.data)
    head = Chunk(chunk.name, chunk.start, chunk.data[:end])
    return head, Chunk(chunk.name, chunk.start + end, chunk.data[end:])


def _columns(first_row: list[str], spec: CsvSpec, *, name: str) -> Columns:
    columns = spec.columns
    if columns is None:
        columns = tuple(first_row if spec.header else (f"column{i}" for i in range(len(first_row))))
    if len(set(columns)) < len(columns):
        twice = next(column for column in columns if columns.count(column) > 1)
        raise RecordError(f"{name}: there are two columns called {twice!r}")
    return columns


def _rows(chunk: Chunk, delimiter: str) -> list[list[str]]:
    """Return the fields of every row that is not blank."""
    try:
        return [row for row in csv.reader(_lines(chunk), delimiter=delimiter) if row]
    except csv.Error as exc:
        raise RecordError(f"{chunk.name}: in the records from byte {chunk.start}: {exc}") from exc


def _lines(chunk: Chunk) -> StringIO:
    # The limit is the process's, and a program may have changed it.
    csv.field_size_limit(MAX_RECORD_BYTES)
    # Looking for "\n" alone is faster; only "\r" needs all three line ends.
    return StringIO(chunk.text(), newline="" if b"\r" in chunk.data else "\n")


def _located(chunk: Chunk, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row that is not blank with its offset in the file; slow, for messages."""
    end = chunk.start

    def lines() -> Iterator[str]:
        nonlocal end
        for line in _lines(chunk):
            end += len(line.encode())
            yield line

    start = end
    for row in csv.reader(lines(), delimiter=delimiter):
        if row:
            yield start, row
        start = end


def _ragged(chunk: Chunk, spec: CsvSpec, *, expected: int) -> RecordError:
    offset, found = next(
        (offset, len(row))
        for offset, row in _located(chunk, spec.delimiter)
        if len(row) != expected
    )
    return RecordError(
        f"{chunk.name}: the row at byte {offset} has {found} fields, expected {expected}"
    )
