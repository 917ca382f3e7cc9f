"""Reading on where records are broken: those that cannot be read are told of and left out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from engine.batch import FilePlace, Place
from engine.errors import RecordError
from engine.source.chunk import Chunk
from engine.source.records import ChunkRecords, Records


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record that cannot be read, or the rest of a slice.

    Attributes:
        place: Where it is.
        data: The record's bytes; none for the rest of a slice.
        error: Why.
    """

    place: str
    data: bytes
    error: RecordError


Report = Callable[[Unreadable], None]


def salvaged(records: Iterable[Records], place: str, report: Report) -> Iterator[Records]:
    """Yield *records* without what cannot be read.

    A record alone is left out where the format tells where it ends; else all from there on.

    Args:
        records: Of one slice.
        place: The slice, for messages.
        report: Is told of everything that is left out.
    """
    try:
        for found in records:
            yield _readable(found, report)
    except RecordError as exc:
        report(Unreadable(place, b"", exc))


@dataclass(frozen=True)
class _Readable:
    """Records that have been read; implements ``Records``."""

    found: list[Any]
    place: Callable[[int], Place]

    def items(self) -> list[Any]:
        return self.found

    def place_of(self, index: int) -> Place:
        return self.place(index)


def _readable(records: Records, report: Report) -> _Readable:
    try:
        return _Readable(records.items(), records.place_of)
    except RecordError:
        if not isinstance(records, ChunkRecords):
            raise
    items: list[Any] = []
    offsets: list[int] = []
    chunk = records.chunk
    bounds = record_bounds(records.masked())
    waiting = [(0, len(bounds) - 1)]
    while waiting:
        first, last = waiting.pop()
        data = chunk.data[bounds[first] : bounds[last]]
        part = Chunk(chunk.name, chunk.start + bounds[first], data)
        try:
            found = records.parse(part)
        except RecordError as exc:
            if last - first > 1:
                middle = (first + last) // 2
                waiting += [(middle, last), (first, middle)]
            else:
                place = FilePlace(chunk.name, part.start)
                report(Unreadable(str(place), data.rstrip(b"\r\n"), exc))
            continue
        if found:
            items += found
            offsets += records.find(part)
    return _Readable(items, lambda index: FilePlace(chunk.name, offsets[index]))


def record_bounds(masked: bytes) -> list[int]:
    r"""Return where records begin, and where the last one ends.

    Args:
        masked: Records, with ``\n`` exactly where one ends.
    """
    bounds = [0]
    while (end := masked.find(b"\n", bounds[-1]) + 1) > 0:
        bounds.append(end)
    if bounds[-1] < len(masked):
        bounds.append(len(masked))
    return bounds
