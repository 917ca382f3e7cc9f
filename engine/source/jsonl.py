"""JSONL: an item is the JSON value of a line; blank lines are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from engine.batch import FileSlice
from engine.errors import RecordError
from engine.source.chunk import Chunk
from engine.source.content import open_content
from engine.source.records import ChunkRecords, record_chunks
from engine.source.sources import Sources


@dataclass(frozen=True)
class JsonlReader:
    """Reads slices of JSONL files."""

    sources: Sources

    def records(self, part: FileSlice) -> Iterator[ChunkRecords]:
        """Yield the values of a slice."""
        with open_content(part, self.sources) as content:
            for chunk in record_chunks(content):
                yield ChunkRecords(chunk, read_items, offsets)


def read_items(chunk: Chunk) -> list[Any]:
    """Return the values of *chunk*.

    Raises:
        RecordError: A line is not UTF-8 or not JSON.
    """
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
