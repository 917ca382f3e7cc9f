"""Whole records out of a stream, a MiB at a time, so that a slice of any size fits in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any, Final, Protocol

from engine.batch import FilePlace, FileSlice, Place
from engine.source.chunk import BOM, MAX_RECORD_BYTES, Chunk, too_long
from engine.source.compression import Readable
from engine.source.content import Content

BLOCK_BYTES: Final = 1024 * 1024

Mask = Callable[[bytes], bytes]


class Records(Protocol):
    """Some consecutive items of a file slice; they are made when they are asked for."""

    def items(self) -> list[Any]:
        """Return the items.

        Raises:
            RecordError: The data is not what its format says.
        """
        ...

    def place_of(self, index: int) -> Place:
        """Return where item *index* of these came from.

        Raises:
            IndexError: There are fewer.
        """
        ...


class FormatReader(Protocol):
    """Reads slices of one format."""

    def records(self, part: FileSlice) -> Iterator[Records]:
        """Yield all records of a slice in order, a few MiB at a time.

        Raises:
            SourceError: The file cannot be read, or is not the one that was planned.
            RecordError: The data is not what its format says.
        """
        ...


@dataclass(frozen=True)
class ChunkRecords:
    r"""The records of a chunk.

    Attributes:
        chunk: Whole records.
        parse: Turns the chunk into items.
        find: Finds the offset of each item; slow, asked only when a place is wanted.
        mask: Returns the chunk's data with ``\n`` exactly where a record ends; asked only when
            the chunk cannot be parsed.
    """

    chunk: Chunk
    parse: Callable[[Chunk], list[Any]]
    find: Callable[[Chunk], Sequence[int]]
    mask: Mask = bytes

    def items(self) -> list[Any]:
        """Return the items."""
        return self.parse(self.chunk)

    def place_of(self, index: int) -> FilePlace:
        """Return the first byte of an item."""
        return FilePlace(self.chunk.name, self._offsets[index])

    def masked(self) -> bytes:
        r"""Return the chunk's data with ``\n`` exactly where a record ends."""
        return self.mask(self.chunk.data)

    @cached_property
    def _offsets(self) -> Sequence[int]:
        return self.find(self.chunk)


def record_chunks(content: Content, mask: Mask = bytes) -> Iterator[Chunk]:
    r"""Cut a stream into chunks of whole records, of about a MiB each.

    Args:
        content: Begins where a record does.
        mask: Returns a block with ``\n`` exactly where a record ends; called for each block in
            order, none of which ends between ``\r`` and ``\n``.

    Raises:
        RecordError: A record is longer than 16 MiB.
    """
    name = content.name
    start = content.start
    parts: list[bytes] = []
    size = 0  # of the parts: the beginning of a record that is longer than what was read
    blocks = _blocks(content.stream)
    head = next(blocks, b"")
    if start == 0 and head.startswith(BOM):
        start, head = len(BOM), head[len(BOM) :]
    for block in chain([head] if head else [], blocks):
        masked = mask(block)
        first = masked.find(b"\n")
        length = size + (len(block) if first < 0 else first)
        if length > MAX_RECORD_BYTES:
            raise too_long(name, start, length)
        if first < 0:
            parts.append(block)
            size = length
            continue
        end = masked.rfind(b"\n") + 1
        chunk = Chunk(name, start, b"".join((*parts, block[:end])))
        yield chunk
        start += len(chunk.data)
        parts = [block[end:]]
        size = len(block) - end
    if size:
        yield Chunk(name, start, b"".join(parts))


def _blocks(stream: Readable) -> Iterator[bytes]:
    while block := stream.read(BLOCK_BYTES):
        yield block + stream.read(1) if block.endswith(b"\r") else block
