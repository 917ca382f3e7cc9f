"""Cuts files into batches between records, when the job is planned.

A batch ends after the last record that fits its limits; a record larger than a batch may be is a
batch of its own. A file that fits into a batch stays whole unless items are counted.

Lines are found by seeking to where a batch would end. CSV, and lines when items are counted, are
read from start to end in blocks: where a record ends depends on every byte before it. Parquet is
cut between row groups, which its footer tells of. Compressed files and JSON documents stay whole.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from engine.batch import Batch, Compression, FileSlice
from engine.source.basket import Basket
from engine.source.chunk import BOM, MAX_RECORD_BYTES, too_long
from engine.source.csv_mask import CsvMask
from engine.source.deadline import check_deadline
from engine.source.file import SourceFile
from engine.source.formats import FileLayout
from engine.source.look import has_become_shorter, look_at_files
from engine.source.parquet import read_row_groups
from engine.source.sources import Sources
from engine.spec import DataFormat, LayoutSpec

_BLOCK_BYTES: Final = 1024 * 1024
_SEEK_BYTES: Final = 64 * 1024


def cut_files(
    files: Iterable[SourceFile], spec: LayoutSpec, basket: Basket, sources: Sources
) -> Iterator[Batch]:
    """Cut *files* into batches that together hold every record once, in order.

    Lazy: a batch is yielded as soon as it is full, and *files* are taken as they are needed.

    Blank lines count towards the items of a batch though readers skip them in CSV and JSONL; a
    CSV header does not. Of Parquet whole row groups are counted, which are never cut. What stays
    whole for its format or compression has an unknown number of items: when items are counted,
    it is a batch of its own.

    Raises:
        SourceError: A file cannot be read.
        SourceChangedError: A file was deleted or changed since it was listed.
        RecordError: A record is longer than 16 MiB, or a Parquet file is damaged.
    """
    for file, layout in look_at_files(files, spec, sources):
        check_deadline()
        if basket.is_full:
            yield basket.take()
        if layout.is_whole:
            yield from _add_alone(file, layout, basket)
        elif not basket.is_cut(file.size_bytes):
            yield from _add_whole(file, layout, basket)
        else:
            name = sources.name_of(file.path)
            with sources.open_file(file.path, version=file.version) as stream:
                cutter = _Cutter(file, layout, stream, basket, name)
                yield from cutter.cut(spec)
    if not basket.is_empty:
        yield basket.take()


def _add_whole(file: SourceFile, layout: FileLayout, basket: Basket) -> Iterator[Batch]:
    if not basket.is_empty and not basket.has_room_for(file.size_bytes):
        yield basket.take()
    basket.add(_slice(file, layout, 0, file.size_bytes))


def _add_alone(file: SourceFile, layout: FileLayout, basket: Basket) -> Iterator[Batch]:
    """Add a file that cannot be cut; when items are counted, to a batch of its own."""
    if basket.counts_items and not basket.is_empty:
        yield basket.take()
    yield from _add_whole(file, layout, basket)
    if basket.counts_items:
        yield basket.take()


def _slice(file: SourceFile, layout: FileLayout, start: int, end: int) -> FileSlice:
    return FileSlice(file.path, start, end, file.version, layout.format, layout.compression)


@dataclass(frozen=True)
class _Cutter:
    """Cuts one open file into the basket."""

    file: SourceFile
    layout: FileLayout
    stream: BinaryIO
    basket: Basket
    name: str

    def cut(self, spec: LayoutSpec) -> Iterator[Batch]:
        """Add the file to the basket; yield every batch that is filled on the way."""
        if self.layout.format is DataFormat.PARQUET:
            return self._cut_groups()
        if self.layout.format is DataFormat.CSV:
            mask = CsvMask(spec.csv.delimiter).mask
            return self._cut_reading(self._blocks(mask), headers=int(spec.csv.header))
        if self.basket.counts_items:
            return self._cut_reading(self._blocks(bytes), headers=0)
        return self._cut_seeking()

    def _cut_groups(self) -> Iterator[Batch]:
        basket = self.basket
        for number, group in enumerate(read_row_groups(self.stream, name=self.name)):
            if not group.rows:
                continue
            fits = basket.has_room_for(group.end - group.start) and group.rows <= basket.room_items
            if not fits and not basket.is_empty:
                yield basket.take()
            part = FileSlice(
                self.file.path,
                group.start,
                group.end,
                self.file.version,
                DataFormat.PARQUET,
                Compression.NONE,
                (number, number + 1),
            )
            basket.add(part, items=group.rows)

    def _cut_seeking(self) -> Iterator[Batch]:
        start = 0
        while self.file.size_bytes - start > self.basket.room_bytes:
            end = self._last_line_end(start, start + self.basket.room_bytes)
            if end > start:
                self._check_size(end, start + self.basket.room_bytes)
            elif self.basket.is_empty:
                end = self._first_line_end(start)
            self._add(start, end)
            yield self.basket.take()
            start = end
        self._add(start, self.file.size_bytes)

    def _add(self, start: int, end: int, *, items: int = 0) -> None:
        if end > start:
            self.basket.add(_slice(self.file, self.layout, start, end), items=items)

    def _last_line_end(self, floor: int, ceiling: int) -> int:
        """Return the end of the last line that ends within; *floor* if there is none."""
        end = ceiling
        while end > floor:
            start = max(floor, end - _SEEK_BYTES)
            self.stream.seek(start)
            found = self.stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return floor

    def _first_line_end(self, start: int) -> int:
        self.stream.seek(start)
        line = self.stream.readline(MAX_RECORD_BYTES + 1)
        if not line:
            raise has_become_shorter(self.name, self.file.size_bytes)
        if len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
            raise too_long(self.name, start, len(line))
        return min(start + len(line), self.file.size_bytes)

    def _cut_reading(self, blocks: Iterator[tuple[int, bytes]], *, headers: int) -> Iterator[Batch]:
        """Cut at the line ends of *blocks*, of which the first *headers* end no item."""
        basket = self.basket
        start = last = 0  # the slice in the making, and the end of its last record
        items = -headers
        for offset, block in blocks:
            self._check_record(last, offset, block)
            ends = block.count(b"\n")
            if (
                offset + len(block) - start <= basket.room_bytes
                and items + ends <= basket.room_items
            ):
                items += ends
                last = offset + block.rfind(b"\n") + 1 if ends else last
                continue
            for line_end in re.finditer(b"\n", block):
                end = offset + line_end.end()
                if end - start > basket.room_bytes or items >= basket.room_items:
                    if last > start:
                        self._add(start, last, items=items)
                        start, items = last, 0
                    if not basket.is_empty:
                        yield basket.take()
                last = end
                items += 1
        self._add(start, self.file.size_bytes, items=max(items, 0))

    def _blocks(self, mask: Callable[[bytes], bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the masked content with offsets; every record in it ends in a line end."""
        size = self.file.size_bytes
        offset = len(BOM) if self.stream.read(len(BOM)) == BOM and size > len(BOM) else 0
        self.stream.seek(offset)
        while offset < size:
            check_deadline()
            block = self.stream.read(min(_BLOCK_BYTES, size - offset))
            if block.endswith(b"\r") and offset + len(block) < size:
                block += self.stream.read(1)
            if not block:
                raise has_become_shorter(self.name, self.file.size_bytes)
            masked = mask(block)
            if offset + len(block) == size and not masked.endswith(b"\n"):
                masked = masked[:-1] + b"\n"
            yield offset, masked
            offset += len(block)

    def _check_record(self, start: int, offset: int, block: bytes) -> None:
        """Check the record that begins at *start* and ends in *block*, or goes on after it."""
        found = block.find(b"\n")
        self._check_size(start, offset + (len(block) if found < 0 else found))

    def _check_size(self, start: int, end: int) -> None:
        """Refuse a record that begins at *start* and does not end before *end*."""
        if end - start > MAX_RECORD_BYTES:
            raise too_long(self.name, start, end - start)
