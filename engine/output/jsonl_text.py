"""Rows of a JSON Lines file."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from engine.blobs import BlobStore
from engine.errors import InputError, Issue, UnavailableError
from engine.rows import decode_lines

READ_AHEAD_BYTES: Final = 256 * 1024


def read_jsonl(
    blobs: BlobStore, name: str, size_bytes: int, start: int
) -> Iterator[tuple[int, bytes]]:
    """Yield rows as JSON, each with the byte offset after it, reading ahead a block at a time.

    Raises:
        InputError: No line begins at *start*.
        UnavailableError: The file is shorter than it should be.
    """
    if start and blobs.read(name, start=start - 1, end=start) != b"\n":
        raise InputError(Issue(("after",), "is not a cursor of these rows"))
    rest: list[bytes] = []
    offset = start
    while offset < size_bytes:
        block = blobs.read(name, start=offset, end=offset + READ_AHEAD_BYTES)
        if not block:
            raise UnavailableError(f"blob {name}: ends at byte {offset}, not {size_bytes}")
        offset += len(block)
        whole, newline, tail = block.rpartition(b"\n")
        if newline:
            for line in decode_lines(b"".join((*rest, whole, newline))):
                start += len(line) + 1
                yield start, line
            rest = []
        rest.append(tail)
