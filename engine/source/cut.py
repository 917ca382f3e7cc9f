"""Cuts files into batches between records, when the job is planned.

A batch ends after the last record that fits both limits; a record larger than a batch may be is a
batch of its own. A file that fits into a batch stays whole unless items are counted.

Lines are found by seeking to where a batch would end. CSV, and any format when items are counted,
is read from start to end in blocks: where a record ends depends on every byte before it.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO, Final

from engine.batch import Batch, FileSlice
from engine.errors import SourceError
from engine.source.chunk import BOM, MAX_RECORD_BYTES, too_long
from engine.source.csv_mask import CsvMask
from engine.source.formats import detect_format
from engine.source.roots import SourceFile, SourceRoots
from engine.spec import BatchingSpec, DataFormat, FilesSpec

MIN_TARGET_BYTES: Final = 1024 * 1024
MAX_TARGET_BYTES: Final = 32 * 1024 * 1024
BATCHES_PER_JOB: Final = 8
_BLOCK_BYTES: Final = 1024 * 1024
_SEEK_BYTES: Final = 64 * 1024


def target_batch_bytes(total_bytes: int) -> int:
    """Return the size of a batch where the caller leaves it open.

    An eighth of the source, so that some workers have something to do even for a small one, yet
    no more tasks than that, since each shuffles the keys that it shares with others anew. Between
    1 MiB, below which a task costs more than its work, and 32 MiB, which fit in memory.
    """
    return max(MIN_TARGET_BYTES, min(MAX_TARGET_BYTES, -(-total_bytes // BATCHES_PER_JOB)))


def cut_files(
    files: Sequence[SourceFile], spec: FilesSpec, batching: BatchingSpec, roots: SourceRoots
) -> Iterator[Batch]:
    """Cut *files* into batches that together hold every byte once, in order.

    Blank lines count towards ``max_items`` though readers skip them in CSV and JSONL; a CSV
    header does not.

    Raises:
        SourceError: A file cannot be read, or is shorter than when it was listed.
        RecordError: A record is longer than 16 MiB.
    """
    max_bytes = batching.max_bytes or target_batch_bytes(sum(file.size_bytes for file in files))
    basket = _Basket(max_bytes=max_bytes, max_items=batching.max_items or sys.maxsize)
    for file in files:
        if basket.is_full:
            yield basket.take()
        if batching.max_items is None and file.size_bytes <= max_bytes:
            if file.size_bytes > basket.room_bytes:
                yield basket.take()
            basket.add(file, 0, file.size_bytes)
        else:
            with roots.open_file(file.path) as stream:
                yield from _Cutter(file, stream, basket, name=roots.name_of(file.path)).cut(
                    spec, counts_items=batching.max_items is not None
                )
    if not basket.is_empty:
        yield basket.take()


class _Basket:
    """The batch that is being filled."""

    def __init__(self, *, max_bytes: int, max_items: int) -> None:
        self._max_bytes = max_bytes
        self._max_items = max_items
        self._empty()

    def _empty(self) -> None:
        self._slices: list[FileSlice] = []
        self.room_bytes = self._max_bytes
        self.room_items = self._max_items

    @property
    def is_empty(self) -> bool:
        return not self._slices

    @property
    def is_full(self) -> bool:
        return self.room_bytes <= 0 or self.room_items <= 0

    def add(self, file: SourceFile, start: int, end: int, *, items: int = 0) -> None:
        if end > start:
            self._slices.append(FileSlice(file.path, start, end))
            self.room_bytes -= end - start
            self.room_items -= items

    def take(self) -> Batch:
        batch = Batch(slices=tuple(self._slices))
        self._empty()
        return batch


class _Cutter:
    """Cuts one open file into the basket."""

    def __init__(self, file: SourceFile, stream: BinaryIO, basket: _Basket, *, name: str) -> None:
        self._file = file
        self._stream = stream
        self._basket = basket
        self._name = name

    def cut(self, spec: FilesSpec, *, counts_items: bool) -> Iterator[Batch]:
        """Add the file to the basket; yield every batch that is filled on the way."""
        if detect_format(self._file.path, declared=spec.format) is DataFormat.CSV:
            mask = CsvMask(spec.csv.delimiter).mask
            return self._cut_reading(self._blocks(mask), headers=int(spec.csv.header))
        if counts_items:
            return self._cut_reading(self._blocks(bytes), headers=0)
        return self._cut_seeking()

    def _cut_seeking(self) -> Iterator[Batch]:
        start = 0
        while self._file.size_bytes - start > self._basket.room_bytes:
            end = self._last_line_end(start, start + self._basket.room_bytes)
            if end > start:
                self._check_size(end, start + self._basket.room_bytes)
            elif self._basket.is_empty:
                end = self._first_line_end(start)
            self._basket.add(self._file, start, end)
            yield self._basket.take()
            start = end
        self._basket.add(self._file, start, self._file.size_bytes)

    def _last_line_end(self, floor: int, ceiling: int) -> int:
        """Return the end of the last line that ends within; *floor* if there is none."""
        end = ceiling
        while end > floor:
            start = max(floor, end - _SEEK_BYTES)
            self._stream.seek(start)
            found = self._stream.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
        return floor

    def _first_line_end(self, start: int) -> int:
        self._stream.seek(start)
        line = self._stream.readline(MAX_RECORD_BYTES + 1)
        if not line:
            raise self._shorter()
        if len(line) > MAX_RECORD_BYTES and not line.endswith(b"\n"):
            raise too_long(self._name, start, len(line))
        return min(start + len(line), self._file.size_bytes)

    def _cut_reading(self, blocks: Iterator[tuple[int, bytes]], *, headers: int) -> Iterator[Batch]:
        """Cut at the line ends of *blocks*, of which the first *headers* end no item."""
        basket = self._basket
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
                        basket.add(self._file, start, last, items=items)
                        start, items = last, 0
                    if not basket.is_empty:
                        yield basket.take()
                last = end
                items += 1
        basket.add(self._file, start, self._file.size_bytes, items=max(items, 0))

    def _blocks(self, mask: Callable[[bytes], bytes]) -> Iterator[tuple[int, bytes]]:
        """Yield the masked content with offsets; every record in it ends in a line end."""
        size = self._file.size_bytes
        offset = len(BOM) if self._stream.read(len(BOM)) == BOM and size > len(BOM) else 0
        self._stream.seek(offset)
        while offset < size:
            block = self._stream.read(min(_BLOCK_BYTES, size - offset))
            if block.endswith(b"\r") and offset + len(block) < size:
                block += self._stream.read(1)
            if not block:
                raise self._shorter()
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
            raise too_long(self._name, start, end - start)

    def _shorter(self) -> SourceError:
        return SourceError(
            f"{self._name}: has become shorter than {self._file.size_bytes} bytes "
            "since it was listed",
            location=self._name,
        )
