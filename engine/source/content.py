"""The content of a file slice as a stream of bytes, unpacked if need be."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

from engine.batch import Compression, FileSlice
from engine.errors import SourceChangedError
from engine.source.compression import DecompressedStream, Readable
from engine.source.sources import Sources


@dataclass(frozen=True, slots=True)
class Content:
    """What is in a file slice.

    Attributes:
        name: The file as callers know it.
        start: Offset of the first byte in the file or, if compressed, in what it unpacks to.
        stream: The bytes.
    """

    name: str
    start: int
    stream: Readable


@contextmanager
def open_content(part: FileSlice, sources: Sources) -> Iterator[Content]:
    """Open a slice for reading once.

    Raises:
        SourceError: The file cannot be read.
        SourceChangedError: It was deleted, changed or cut short after the job was planned.
    """
    name = sources.name_of(part.path)
    with sources.open_file(part.path, version=part.version) as file:
        if part.start:
            file.seek(part.start)
        stream: Readable = _Bounded(file, part, name=name)
        if part.compression is not Compression.NONE:
            stream = DecompressedStream(stream, part.compression, name=name)
        yield Content(name, part.start, stream)


class _Bounded:
    """The bytes of a slice; ends where it ends, and never before."""

    def __init__(self, file: BinaryIO, part: FileSlice, *, name: str) -> None:
        self._file = file
        self._end = part.end
        self._left = part.size_bytes
        self._name = name

    def read(self, size: int, /) -> bytes:
        wanted = min(size, self._left)
        data = self._file.read(wanted)
        while len(data) < wanted:
            more = self._file.read(wanted - len(data))
            if not more:
                raise SourceChangedError(
                    f"{self._name}: has become shorter than {self._end} bytes "
                    "since the job was planned",
                    location=self._name,
                )
            data += more
        self._left -= wanted
        return data
