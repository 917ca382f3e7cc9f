"""Reads the items of a batch, and finds out where an item came from."""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Final

from engine.batch import Batch, FilePlace, FileSlice, InlinePlace, Place
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
        self._read_batch: Batch | None = None
        self._firsts: list[int] = []  # index of each slice's first item in the batch
        self._offsets: dict[int, list[int]] = {}  # offsets of a slice's items, once asked for

    def read(self, batch: Batch) -> list[Any]:
        """Return the items: lines, rows as dicts, JSON values, or the inline items.

        Raises:
            SourceError: A file was deleted or cut short since, or may not be read.
            RecordError: The data is not what its format says.
        """
        if batch.items is not None:
            return list(batch.items)
        items: list[Any] = []
        self._read_batch, self._firsts, self._offsets = batch, [], {}
        for part in batch.slices:
            self._firsts.append(len(items))
            items += self._items(part)
        return items

    def place_of(self, batch: Batch, index: int) -> Place:
        """Return where the item *index* of ``read(batch)`` came from.

        The first call for a slice reads it again and notes every item's offset; those after it
        cost a look-up.

        Raises:
            IndexError: The batch has no such item.
            SourceError: As ``read``.
            RecordError: As ``read``.
        """
        if batch.items is not None:
            return InlinePlace(batch.first_item + index)
        if batch is not self._read_batch:
            self.read(batch)
        number = bisect_right(self._firsts, index) - 1
        part = batch.slices[number]
        if number not in self._offsets:
            self._offsets[number] = self._offsets_of(part)
        offset = self._offsets[number][index - self._firsts[number]]
        return FilePlace(self._roots.name_of(part.path), offset)

    def _items(self, part: FileSlice) -> list[Any]:
        chunk = self._load(part)
        match detect_format(part.path, declared=self._declared):
            case DataFormat.CSV:
                return csv_rows.read_items(chunk, self._csv, columns=self._columns(part))
            case DataFormat.JSONL:
                return jsonl.read_items(chunk)
            case _:
                return text.read_items(chunk)

    def _offsets_of(self, part: FileSlice) -> list[int]:
        chunk = self._load(part)
        match detect_format(part.path, declared=self._declared):
            case DataFormat.CSV:
                headers = int(self._csv.header and self._columns(part) is None)
                return csv_rows.offsets(chunk, self._csv)[headers:]
            case DataFormat.JSONL:
                return jsonl.offsets(chunk)
            case _:
                return text.offsets(chunk)

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
