"""What one reduce task reads, as Spark hands it over: kept on disk, read without copying it."""

from __future__ import annotations

import mmap
import tempfile
from itertools import pairwise
from pathlib import Path
from types import TracebackType
from typing import Self, cast

from engine.attempt import Piece


class PartSpool:
    """The parts of one reduce task, in a file that is gone when the context ends.

    The file has no name, so a process that is killed leaves nothing. Memory is what the kernel
    likes to keep of it.

    Args:
        scratch: A folder on this machine's disk.
    """

    def __init__(self, scratch: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=scratch)
        self._last: int | None = None
        self._ends = [0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()

    def add(self, piece: int, data: bytes) -> None:
        """Append the next bytes of the part of map task number *piece*; tasks come in order."""
        if piece != self._last:
            self._last = piece
            self._ends.append(self._ends[-1])
        self._file.write(data)
        self._ends[-1] += len(data)

    def parts(self) -> tuple[Piece, ...]:
        """Return what has been added, in the order of the map tasks."""
        if not self._ends[-1]:
            return ()
        self._file.flush()
        view = memoryview(mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_READ))
        return tuple(
            # Arrow reads any buffer, and a copy is what is to be avoided.
            Piece(name="", rows=0, size_bytes=end - start, data=cast(bytes, view[start:end]))
            for start, end in pairwise(self._ends)
        )
