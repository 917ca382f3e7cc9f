"""JSONL: an item is the JSON value of a line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import orjson

from engine.errors import RecordError
from engine.source.chunk import Chunk


def read_items(chunk: Chunk) -> list[Any]:
    """Return the values of *chunk*.

    Raises:
        RecordError: A line is not UTF-8, not JSON, or too long.
    """
    chunk.check_lines()
    loads = orjson.loads
    try:
        return [loads(line) for line in chunk.data.split(b"\n") if line and not line.isspace()]
    except orjson.JSONDecodeError as exc:
        raise _invalid(chunk, exc) from exc


def offsets(chunk: Chunk) -> list[int]:
    """Return the offset in the file of each item of *chunk*."""
    return [offset for offset, _ in _lines(chunk)]


def _lines(chunk: Chunk) -> Iterator[tuple[int, bytes]]:
    """Yield each line that is not blank, with its offset in the file."""
    offset = chunk.start
    for line in chunk.data.split(b"\n"):
        if line and not line.isspace():
            yield offset, line
        offset += len(line) + 1


def _invalid(chunk: Chunk, error: orjson.JSONDecodeError) -> RecordError:
    """Find the first bad line again and say where it is; off the fast path.

    Raises:
        RecordError: The line is not even UTF-8.
    """
    offset, line = next(located for located in _lines(chunk) if not _is_json(located[1]))
    Chunk(chunk.name, offset, line).text()
    return RecordError(
        f"{chunk.name}: the record at byte {offset} is not JSON: {error.msg}, column {error.colno}"
    )


def _is_json(line: bytes) -> bool:
    try:
        orjson.loads(line)
    except orjson.JSONDecodeError:
        return False
    return True
