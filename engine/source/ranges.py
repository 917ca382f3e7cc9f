"""A file that is read in ranges from somewhere far, as a stream that can seek.

Whoever reads on gets more at a time, whoever jumps gets little more than was asked for: a Parquet
reader picks columns out of a file, a CSV reader wants all of it.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer, WriteableBuffer

FIRST_BYTES: Final = 256 * 1024
MOST_BYTES: Final = 4 * 1024 * 1024
_GROWTH: Final = 4

Fetch = Callable[[int, int], bytes]
"""Returns the bytes from a start to an end; exactly those, or raises."""


class RangeFile(io.BufferedIOBase):
    """A file of a known length, of which one block at a time is held."""

    def __init__(self, fetch: Fetch, size_bytes: int) -> None:
        self._fetch = fetch
        self._size = size_bytes
        self._at = 0
        self._block = b""
        self._block_at = 0
        self._next_bytes = FIRST_BYTES

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return where the next read begins."""
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place in the file or after it; nothing is fetched."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        if base + offset < 0:
            raise ValueError(f"cannot seek to {base + offset}")
        self._at = base + offset
        return self._at

    def read(self, size: int | None = -1, /) -> bytes:
        """Return *size* bytes, fewer only at the end of the file."""
        rest = max(self._size - self._at, 0)
        wanted = rest if size is None or size < 0 else min(size, rest)
        parts = []
        while wanted:
            part = self._some(wanted)
            parts.append(part)
            wanted -= len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def read1(self, size: int = -1, /) -> bytes:
        """Return what is at hand, up to *size* bytes; something unless the file has ended."""
        if self._at >= self._size:
            return b""
        return self._some(FIRST_BYTES if size < 0 else size) if size else b""

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        """Fill *buffer*, less of it only at the end of the file."""
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def peek(self, size: int = 0, /) -> bytes:
        """Return what is at hand without going on, so that ``readline`` need not go by bytes."""
        at = self._at
        try:
            return self.read1(max(size, 1) if size else -1)
        finally:
            self._at = at

    def write(self, buffer: ReadableBuffer, /) -> int:
        """Refuse."""
        raise io.UnsupportedOperation("sources are never written")

    def _some(self, wanted: int) -> bytes:
        """Return 1 to *wanted* bytes and go on; the file has not ended."""
        start = self._at - self._block_at
        if not 0 <= start < len(self._block):
            self._load(wanted)
            start = 0
        part = self._block[start : start + wanted]
        self._at += len(part)
        return part

    def _load(self, wanted: int) -> None:
        goes_on = bool(self._block) and self._at == self._block_at + len(self._block)
        self._next_bytes = min(self._next_bytes * _GROWTH, MOST_BYTES) if goes_on else FIRST_BYTES
        length = min(max(wanted, self._next_bytes), MOST_BYTES)
        end = min(self._at + length, self._size)
        self._block = self._fetch(self._at, end)
        self._block_at = self._at
