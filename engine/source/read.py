"""Reads the items of a batch, and finds out where an item came from."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from engine.batch import Batch, InlinePlace, ObjectPlace, Place
from engine.source.csv_rows import CsvReader
from engine.source.hive import hive_columns
from engine.source.json_document import JsonReader
from engine.source.jsonl import JsonlReader
from engine.source.parquet import ParquetReader
from engine.source.records import FormatReader, Records
from engine.source.salvage import Report, Unreadable, salvaged
from engine.source.sources import Sources
from engine.source.text import TextReader
from engine.spec import DataFormat, FilesMode, FilesSpec, LayoutSpec

MAX_CHUNK_ITEMS: Final = 10_000
_Numbered = tuple[int, Records]
_READERS: Final[Mapping[DataFormat, Callable[[Sources, LayoutSpec], FormatReader]]] = {
    DataFormat.TEXT: lambda sources, _: TextReader(sources),
    DataFormat.CSV: lambda sources, layout: CsvReader(sources, layout.csv),
    DataFormat.JSON: lambda sources, layout: JsonReader(sources, layout.items_pointer),
    DataFormat.JSONL: lambda sources, _: JsonlReader(sources),
    DataFormat.PARQUET: lambda sources, _: ParquetReader(sources),
}


class BatchReader:
    """Reads the batches of one job.

    Holds a few MiB of one batch at a time, and the column names of the CSV files it has seen.
    """

    def __init__(
        self,
        sources: Sources,
        layout: LayoutSpec | None = None,
        *,
        report: Report | None = None,
    ) -> None:
        """Take what all batches share.

        Args:
            sources: What may be read.
            layout: How files are laid out; may be left out for inline items.
            report: Is told of records that cannot be read, which are then left out, instead of an
                error being raised.
        """
        known = layout or LayoutSpec()
        self._sources = sources
        self._report = report
        self._is_listing = isinstance(known, FilesSpec) and known.mode is FilesMode.OBJECTS
        self._readers = {name: make(sources, known) for name, make in _READERS.items()}
        self._batch: Batch | None = None
        self._firsts: list[int] = []  # index in the batch of the first of each of its Records
        self._seen: _Numbered | None = None  # what was read last
        self._again: Iterator[_Numbered] = iter(())
        self._found: _Numbered | None = None  # what the last place was looked up in

    def read(self, batch: Batch) -> list[Any]:
        """Return all items at once: lines, rows as dicts, JSON values, or inline items.

        Raises:
            SourceError: A file was deleted or changed since, or may not be read.
            RecordError: The data is not what its format says.
        """
        return [item for chunk in self.chunks(batch) for item in chunk]

    def chunks(self, batch: Batch) -> Iterator[list[Any]]:
        """Yield the items in order, in lists of at most 10,000, made of a few MiB at most.

        Raises:
            SourceError: As ``read``.
            RecordError: As ``read``.
        """
        if batch.items is not None:
            yield from _pieces(list(batch.items))
            return
        count = 0
        self._batch, self._firsts = batch, []
        self._seen = self._found = None
        for number, (columns, records) in enumerate(self._records(batch, self._report)):
            items = records.items()
            if columns:
                _add_columns(items, columns)
            self._firsts.append(count)
            self._seen = number, records
            count += len(items)
            yield from _pieces(items)

    def place_of(self, batch: Batch, index: int) -> Place:
        """Return where item *index* of *batch* came from, counted over all of its chunks.

        Cheap for an item of the chunk that was read last. For others the batch is read again, up
        to the item; asking for rising indices reads it again once.

        Raises:
            IndexError: The batch has no such item, or it has not been read so far.
            SourceError: As ``read``.
            RecordError: As ``read``.
        """
        if batch.items is not None:
            return self._place_of_item(batch, index)
        if batch is not self._batch:
            for _ in self.chunks(batch):
                pass
        number = bisect_right(self._firsts, index) - 1
        if number < 0:
            raise IndexError(index)
        return self._numbered(batch, number).place_of(index - self._firsts[number])

    def _place_of_item(self, batch: Batch, index: int) -> Place:
        if self._is_listing and batch.items is not None:
            return ObjectPlace(batch.items[index]["uri"])
        return InlinePlace(batch.first_item + index)

    def _numbered(self, batch: Batch, number: int) -> Records:
        """Return the Records of that number, reading on or again as far as needed."""
        if self._seen and self._seen[0] == number:
            return self._seen[1]
        if self._found is None or self._found[0] > number:
            ignore = _ignore if self._report else None
            self._again = enumerate(records for _, records in self._records(batch, ignore))
            self._found = next(self._again)
        while self._found[0] < number:
            self._found = next(self._again)
        return self._found[1]

    def _records(
        self, batch: Batch, report: Report | None
    ) -> Iterator[tuple[dict[str, Any], Records]]:
        """Yield the records of each slice with the columns that its folders give."""
        for part in batch.slices:
            name = self._sources.name_of(part.path)
            columns = hive_columns(name)
            found: Iterator[Records] = self._readers[part.format].records(part)
            if report is not None:
                found = salvaged(found, part.place(name), report)
            for records in found:
                yield columns, records


def _ignore(_: Unreadable) -> None:
    """Pass over what has been told of before."""


def _pieces(items: list[Any]) -> Iterator[list[Any]]:
    if len(items) <= MAX_CHUNK_ITEMS:
        if items:
            yield items
        return
    for start in range(0, len(items), MAX_CHUNK_ITEMS):
        yield items[start : start + MAX_CHUNK_ITEMS]


def _add_columns(items: list[Any], columns: Mapping[str, Any]) -> None:
    """Add what rows do not have themselves."""
    for item in items:
        if isinstance(item, dict):
            for name, value in columns.items():
                item.setdefault(name, value)
