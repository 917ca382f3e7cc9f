"""Compressed files: told by their first bytes, read as a stream within bounds.

A small file may hold a huge one. What comes out is therefore counted: a file ends the attempt
when it unpacks to more than 16 GiB, or to more than a thousand times what was read of it once
64 MiB have come out. Members that follow one another, as ``cat a.gz b.gz`` writes them, are one
content.
"""

from __future__ import annotations

import bz2
import re
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

import pyarrow as pa

from engine.batch import Compression
from engine.errors import RecordError

MAX_DECOMPRESSED_BYTES: Final = 16 * 1024**3
MAX_RATIO: Final = 1_000
RATIO_FREE_BYTES: Final = 64 * 1024 * 1024
SUFFIXES: Final = (".gz", ".gzip", ".zst", ".zstd", ".bz2")
_COPY_BYTES: Final = 1024 * 1024
_HEAD_STEP_BYTES: Final = 256

# bzip2's three letters could begin a text: the mark of its first block or of its end follows.
_MAGIC: Final[Mapping[Compression, re.Pattern[bytes]]] = {
    Compression.GZIP: re.compile(rb"\x1f\x8b"),
    Compression.ZSTD: re.compile(rb"\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18"),
    Compression.BZIP2: re.compile(rb"BZh[1-9](1AY&SY|\x17\x72\x45\x38\x50\x90)"),
}
_ARROW_NAME: Final[Mapping[Compression, str]] = {
    Compression.GZIP: "gzip",
    Compression.ZSTD: "zstd",
}


class Readable(Protocol):
    """Something that is read from start to end."""

    def read(self, size: int, /) -> bytes:
        """Return the next *size* bytes; fewer at the end alone."""
        ...


def compression_of(head: bytes) -> Compression:
    """Return how the file that begins with *head* is compressed."""
    for compression, magic in _MAGIC.items():
        if magic.match(head):
            return compression
    return Compression.NONE


class DecompressedStream:
    """The content of a compressed file, from its start to its end.

    Holds a few MiB: the stream's own window and one buffer.
    """

    def __init__(self, stream: Readable, compression: Compression, *, name: str) -> None:
        """Take what is read.

        Args:
            stream: The compressed bytes, from their start; closing it is the caller's.
            compression: Any but NONE.
            name: The file as callers know it, for messages.
        """
        self._raw = _Counted(stream)
        self._name = name
        self._compression = compression
        self._unpacked = _unpacked(self._raw, compression)
        self._position = 0

    def read(self, size: int) -> bytes:
        """Return the next *size* bytes; fewer at the end alone.

        Raises:
            RecordError: The file is damaged or cut short, or unpacks to more than it may.
        """
        try:
            data = self._unpacked.read(size)
        except (OSError, EOFError, pa.ArrowException) as exc:
            if self._raw.has_failed:  # reading did, not unpacking
                raise
            raise RecordError(
                f"{self._name}: the {self._compression} data is damaged or cut short near byte "
                f"{self._raw.position}: {exc}"
            ) from exc
        self._position += len(data)
        self._check_growth()
        return data

    def _check_growth(self) -> None:
        if self._position > MAX_DECOMPRESSED_BYTES:
            limit = f"{MAX_DECOMPRESSED_BYTES} bytes"
        elif self._position > max(RATIO_FREE_BYTES, MAX_RATIO * self._raw.position):
            limit = f"{MAX_RATIO} times its compressed size"
        else:
            return
        raise RecordError(
            f"{self._name}: unpacks to {self._position} bytes at byte {self._raw.position}, "
            f"the limit is {limit}"
        )


def decompress_to(stream: Readable, compression: Compression, path: Path, *, name: str) -> int:
    """Write the content of a compressed file to *path*.

    Returns:
        Bytes written.

    Raises:
        RecordError: As ``DecompressedStream.read``; the file written so far is removed.
        OSError: It cannot be written.
    """
    content = DecompressedStream(stream, compression, name=name)
    try:
        with path.open("wb") as file:
            while data := content.read(_COPY_BYTES):
                file.write(data)
            return file.tell()
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def decompressed_head(head: bytes, compression: Compression) -> bytes:
    """Return as much as is easily had of what *head*, a file's first bytes, unpacks to."""
    if compression is Compression.NONE:
        return head
    unpacked = _unpacked(_Counted(BytesIO(head)), compression)
    plain = bytearray()
    try:
        while len(plain) < len(head) and (data := unpacked.read(_HEAD_STEP_BYTES)):
            plain += data
    except (
        OSError,
        EOFError,
        pa.ArrowException,
    ):  # the head ends within a block, or the file is damaged: its reader will tell
        pass
    return bytes(plain)


def _unpacked(raw: _Counted, compression: Compression) -> Readable:
    if compression is Compression.BZIP2:  # Arrow trips over members without content
        return bz2.open(cast("BinaryIO", raw))
    stream: Readable = pa.CompressedInputStream(
        pa.PythonFile(raw, mode="r"), _ARROW_NAME[compression]
    )
    return stream


class _Counted:
    """A stream that knows how far it was read; what Arrow needs of a file, and no more."""

    closed = False

    def __init__(self, stream: Readable) -> None:
        self._stream = stream
        self.position = 0
        self.has_failed = False

    def read(self, size: int) -> bytes:
        try:
            data = self._stream.read(size)
        except OSError:
            self.has_failed = True
            raise
        self.position += len(data)
        return data

    def close(self) -> None:
        """Leave the stream open: it is the caller's."""
