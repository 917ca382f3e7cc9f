"""CSV: an item is a row as a dict from column name to text; blank lines are skipped.

Parsed by the ``csv`` module in its default dialect, with the given delimiter.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from io import StringIO
from itertools import islice

from engine.errors import RecordError
from engine.source.chunk import MAX_RECORD_BYTES, Chunk
from engine.spec import CsvSpec

Columns = tuple[str, ...]


def read_items(chunk: Chunk, spec: CsvSpec, *, columns: Columns | None) -> list[dict[str, str]]:
    """Return the rows of *chunk*.

    Args:
        chunk: Whole records.
        spec: How the file is laid out.
        columns: The file's columns; None when *chunk* has the file's first row, if any.

    Raises:
        RecordError: It is not UTF-8, a row has more or fewer fields than there are columns, or
            a column name occurs twice.
    """
    rows = _rows(chunk, spec.delimiter)
    if not rows:
        return []
    skipped = 0
    if columns is None:
        columns = _columns(rows[0], spec, name=chunk.name)
        skipped = int(spec.header)
        del rows[:skipped]
    if any(length != len(columns) for length in set(map(len, rows))):
        raise _ragged(chunk, spec, expected=len(columns), skipped=skipped)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def read_columns(head: Chunk, spec: CsvSpec) -> Columns:
    """Return the columns of the file that begins with *head*, its first row.

    Raises:
        RecordError: The row is not UTF-8, or a column name occurs twice.
    """
    rows = _rows(head, spec.delimiter)
    return _columns(rows[0] if rows else [], spec, name=head.name)


def offsets(chunk: Chunk, spec: CsvSpec) -> list[int]:
    """Return the offset in the file of each row of *chunk*, of a header too."""
    return [offset for offset, _ in _located(chunk, spec.delimiter)]


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


def _ragged(chunk: Chunk, spec: CsvSpec, *, expected: int, skipped: int) -> RecordError:
    offset, found = next(
        (offset, len(row))
        for offset, row in islice(_located(chunk, spec.delimiter), skipped, None)
        if len(row) != expected
    )
    return RecordError(
        f"{chunk.name}: the row at byte {offset} has {found} fields, expected {expected}"
    )
