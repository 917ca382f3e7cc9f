"""Reads the items of a batch, and finds out where an item came from."""

from __future__ import annotations

from typing import Any, Final

from engine.batch import Batch, FileSlice, Place
from engine.errors import SourceError
from engine.source import csv_rows, jsonl, text
from engine.source.chunk import MAX_RECORD_BYTES, Chunk, too_long
from engine.source.csv_mask import first_record_end
from engine.source.csv_rows import Columns
from engine.source.formats import detect_format
from engine.source.roots import SourceRoots
from engine.spec import CsvSpec, DataFormat, FilesSpec

_HEAD_BYTES: Final = (64 * 1024, 1024 * 1024, MAX_RECORD_BYTES)


class BatchReader:
    """Reads the batches of one job.

    Holds one batch in memory at a time, and the column names of the CSV files it has seen.
    """

    def __init__(self, roots: SourceRoots, spec: FilesSpec | None) -> None:
        """Take what all batches share.

        Args:
            roots: The folders that may be read.
            spec: How files are laid out; left out for inline items.
        """
        self._roots = roots
        self._declared = spec.format if spec else DataFormat.AUTO
        self._csv = spec.csv if spec else CsvSpec()
        self._columns_of: dict[str, tuple[Columns, int]] = {}

    def read(self, batch: Batch) -> list[Any]:
        """Return the items: lines, rows as dicts, JSON values, or the inline items.

        Raises:
            SourceError: A file was deleted or cut short since, or may not be read.
            RecordError: The data is not what its format says.
        """
        if batch.items is not None:
            return list(batch.items)
        items: list[Any] = []
        for part in batch.slices:
            items += self._items(part)
        return items

    def place_of(self, batch: Batch, index: int) -> Place:
        """Return where the item *index* of ``read(batch)`` came from.

        Reads the files again: for messages only.

        Raises:
            IndexError: The batch has no such item.
            SourceError: As ``read``.
            RecordError: As ``read``.
        """
        if batch.items is not None:
            return Place("inline", batch.first_item + index)
        for part in batch.slices:
            count = len(self._items(part))
            if index < count:
                return Place(self._roots.name_of(part.path), self._offset(part, index))
            index -= count
        raise IndexError("the batch has no such item")

    def _items(self, part: FileSlice) -> list[Any]:
        chunk = self._load(part)
        match detect_format(part.path, declared=self._declared):
            case DataFormat.CSV:
                return csv_rows.read_items(chunk, self._csv, columns=self._columns(part))
            case DataFormat.JSONL:
                return jsonl.read_items(chunk)
            case _:
                return text.read_items(chunk)

    def _offset(self, part: FileSlice, index: int) -> int:
        chunk = self._load(part)
        match detect_format(part.path, declared=self._declared):
            case DataFormat.CSV:
                headers = int(self._csv.header and self._columns(part) is None)
                return csv_rows.offset_of(chunk, self._csv, index + headers)
            case DataFormat.JSONL:
                return jsonl.offset_of(chunk, index)
            case _:
                return text.offset_of(chunk, index)

    def _load(self, part: FileSlice) -> Chunk:
        """Read a slice.

        Raises:
            SourceError: The file cannot be read, or is shorter than when it was planned.
        """
        data = self._read(part.path, part.start, part.size_bytes)
        name = self._roots.name_of(part.path)
        if len(data) < part.size_bytes:
            raise SourceError(
                f"{name}: has become shorter than {part.end} bytes since the job was planned",
                location=name,
            )
        return Chunk(name, part.start, data).without_bom()

    def _read(self, path: str, start: int, size_bytes: int) -> bytes:
        with self._roots.open_file(path) as stream:
            stream.seek(start)
            return stream.read(size_bytes)

    def _columns(self, part: FileSlice) -> Columns | None:
        """Return the columns of a slice's file; None when the slice itself has the first row."""
        if part.start == 0:
            return None
        if part.path not in self._columns_of:
            self._columns_of[part.path] = self._read_columns(part.path)
        columns, first_row_end = self._columns_of[part.path]
        return columns if part.start >= first_row_end else None

    def _read_columns(self, path: str) -> tuple[Columns, int]:
        """Read the columns of a CSV file, and where its first row ends.

        Raises:
            RecordError: The row is too long, not UTF-8, or has a name twice.
        """
        name = self._roots.name_of(path)
        for size_bytes in _HEAD_BYTES:
            data = self._read(path, 0, size_bytes)
            head = Chunk(name, 0, data).without_bom()
            end = first_record_end(head.data, self._csv.delimiter)
            if end is not None or len(data) < size_bytes:
                head = Chunk(name, head.start, head.data[:end])
                return csv_rows.read_columns(head, self._csv), head.start + len(head.data)
        raise too_long(name, 0, MAX_RECORD_BYTES)
