r"""TEXT: an item is a line.

A line ends at ``\n``; a ``\r`` before it belongs to the line end. Empty lines are items.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate

from engine.batch import FileSlice
from engine.source.chunk import Chunk
from engine.source.content import open_content
from engine.source.records import ChunkRecords, record_chunks
from engine.source.sources import Sources


@dataclass(frozen=True)
class TextReader:
    """Reads slices of TEXT files."""

    sources: Sources

    def records(self, part: FileSlice) -> Iterator[ChunkRecords]:
        """Yield the lines of a slice."""
        with open_content(part, self.sources) as content:
            for chunk in record_chunks(content):
                yield ChunkRecords(chunk, read_items, offsets)


def read_items(chunk: Chunk) -> list[str]:
    """Return the lines of *chunk*, without their ends.

    Raises:
        RecordError: It is not UTF-8.
    """
    lines = chunk.text().split("\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in chunk.data:
        return [line.removesuffix("\r") for line in lines]
    return lines


def offsets(chunk: Chunk) -> list[int]:
    """Return the offset in the file of each line of *chunk*."""
    lengths = [len(line) + 1 for line in chunk.data.split(b"\n")[:-1]]
    starts = list(accumulate(lengths, initial=chunk.start))
    return starts[:-1] if chunk.data.endswith(b"\n") else starts
