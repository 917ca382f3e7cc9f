r"""TEXT: an item is a line.

A line ends at ``\n``; a ``\r`` before it belongs to the line end. Empty lines are items.
"""

from __future__ import annotations

from engine.source.chunk import Chunk


def read_items(chunk: Chunk) -> list[str]:
    """Return the lines of *chunk*, without their ends.

    Raises:
        RecordError: It is not UTF-8, or a line is too long.
    """
    chunk.check_lines()
    lines = chunk.text().split("\n")
    if not lines[-1]:
        lines.pop()
    if b"\r" in chunk.data:
        return [line.removesuffix("\r") for line in lines]
    return lines


def offset_of(chunk: Chunk, index: int) -> int:
    """Return the offset in the file of the line *index* of *chunk*."""
    position = 0
    for _ in range(index):
        position = chunk.data.index(b"\n", position) + 1
    return chunk.start + position
