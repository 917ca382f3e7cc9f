"""Gathering one batch for DuckDB: what it may read as it lies, and what is brought to scratch.

DuckDB reads files of this machine itself. A part of a file, a compressed one, and one that lies
elsewhere are brought to scratch first, within bounds; what the service keeps itself is linked
there, because DuckDB may not look where it lies.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb

from engine.batch import Compression, FileSlice
from engine.errors import SourceError
from engine.source.compression import decompress_to
from engine.source.content import Content
from engine.source.sources import BLOB_PREFIX, Sources
from engine.sql.lines import LineStream
from engine.sql.sieve import Reads, Sieve

_BLOCK_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class LocalFile:
    """A part of a file of this machine.

    Attributes:
        path: Where it lies.
        name: The source as callers know it.
        start: First byte.
        end: One past the last byte.
    """

    path: str
    name: str
    start: int
    end: int


class Gathering:
    """What has been gathered for one batch; all of it is gone when *stack* is closed.

    Attributes:
        sources: Where the batch is.
        items: Number of records that have been counted.
        names: Paths that DuckDB may mention, with what callers know them by.
        lines: Readers of ours that DuckDB scans.
        sieve: Leaves out what cannot be read; None where that is an error.
    """

    def __init__(
        self,
        connection: duckdb.DuckDBPyConnection,
        *,
        sources: Sources,
        scratch: Path,
        stack: ExitStack,
        sieve: Sieve | None = None,
    ) -> None:
        self.sources = sources
        self.items = 0
        self.names: dict[str, str] = {}
        self.lines: list[LineStream] = []
        self.sieve = sieve
        self._connection = connection
        self._scratch = scratch
        self._stack = stack
        self._made = 0

    def register(self, data: Any) -> str:
        """Make Arrow data a table and return its name."""
        name = f"__part_{self._made}"
        self._made += 1
        self._connection.register(name, data)
        self._stack.callback(self._connection.unregister, name)
        return name

    def new_file(self, suffix: str) -> Path:
        """Return a path in scratch that is removed in the end."""
        path = self._scratch / f"part-{self._made}.{suffix}"
        self._made += 1
        self._stack.callback(path.unlink, missing_ok=True)
        return path

    def opened(self, part: FileSlice) -> BinaryIO:
        """Return a slice's file, open until the end.

        Raises:
            SourceError: It cannot be read, or is not the one that was planned.
        """
        stream = self.sources.open_file(part.path, version=part.version)
        self._stack.callback(stream.close)
        return stream

    def direct_path(self, part: FileSlice) -> str | None:
        """Return a path by which DuckDB may read a slice's file; None if it lies elsewhere."""
        path = self.sources.local_path(part.path)
        if path is None or not part.path.startswith(BLOB_PREFIX):
            return path
        linked = self.new_file(part.format.lower())
        try:
            linked.hardlink_to(path)
        except OSError:
            shutil.copyfile(path, linked)
        return str(linked)

    def brought(self, part: FileSlice, *, as_range: bool = False) -> LocalFile:
        """Return where a slice can be read on this machine, bringing it there if need be.

        Args:
            part: The slice.
            as_range: A part of a file will do; otherwise it is a file of its own.

        Raises:
            SourceError: The file cannot be read, or is not the one that was planned.
            RecordError: It cannot be unpacked.
        """
        name = self.sources.name_of(part.path)
        with self.sources.open_file(part.path, version=part.version) as stream:
            stream.seek(0, 2)
            is_whole = part.start == 0 and part.end == stream.tell()
            if part.compression is Compression.NONE and (is_whole or as_range):
                path = self.direct_path(part)
                if path is not None:
                    self.names[path] = name
                    return LocalFile(path, name, part.start, part.end)
            target = self.new_file(part.format.lower())
            place = name if is_whole else f"{name}, bytes {part.start} to {part.end}"
            self.names[str(target)] = place
            stream.seek(part.start)
            if part.compression is Compression.NONE:
                _copy(stream, target, part.size_bytes, name)
            else:
                decompress_to(stream, part.compression, target, name=name)
        return LocalFile(str(target), name, 0, target.stat().st_size)

    def sifted(
        self,
        part: FileSlice,
        path: str,
        reads: Callable[[Sieve], Reads],
        *,
        start: int = 0,
        delimiter: str | None = None,
        has_header: bool = False,
    ) -> str:
        """Return where the records of a slice are that can be read: *path* without a sieve.

        Args:
            part: The slice.
            path: Where it was brought.
            reads: Returns what puts records to the test.
            start: Where in that file it begins.
            delimiter: Of CSV; None where a line is a record.
            has_header: Whether the first record is none; then there is none any more.
        """
        if self.sieve is None:
            return path
        target = self.new_file(part.format.lower())
        name = self.sources.name_of(part.path)
        offset = part.start if part.compression is Compression.NONE else 0
        with open(path, "rb") as stream:
            stream.seek(start)
            self.sieve.sift(
                Content(name, offset, _Bounded(stream, part)),
                target,
                reads(self.sieve),
                delimiter=delimiter,
                has_header=has_header,
            )
        self.names[str(target)] = name
        return str(target)


class _Bounded:
    """The bytes of a slice in a file that may go on after it."""

    def __init__(self, stream: BinaryIO, part: FileSlice) -> None:
        self._stream = stream
        is_plain = part.compression is Compression.NONE
        self._left = part.size_bytes if is_plain else None

    def read(self, size: int, /) -> bytes:
        data = self._stream.read(size if self._left is None else min(size, self._left))
        if self._left is not None:
            self._left -= len(data)
        return data


def _copy(stream: BinaryIO, target: Path, size_bytes: int, name: str) -> None:
    with target.open("wb") as sink:
        left = size_bytes
        while left and (block := stream.read(min(_BLOCK_BYTES, left))):
            sink.write(block)
            left -= len(block)
    if left:
        raise SourceError(f"{name}: has become shorter since the job was planned", location=name)
