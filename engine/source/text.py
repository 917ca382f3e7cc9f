r"""TEXT: an item is a line.

A line ends at ``\n``; a ``\r`` before it belongs to the line end. Empty lines are items.
"""

from __future__ import annotations

from itertools import accumulate

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


def offsets(chunk: Chunk) -> list[int]:
    """Return the offset in the file of each line of *chunk*."""
    lengths = [len(line) + 1 for line in chunk.data.split(b"\n")[:-1]]
    starts = list(accumulate(lengths, initial=chunk.start))
    return starts[:-1] if chunk.data.endswith(b"\n") else starts
