"""The mark: which items of an attempt are under way, for whoever outlives the process.

The worker creates a file of a few bytes in the task process's scratch folder and maps it; the
process maps it too and writes two positions and the time before it calls the program. When the
process is gone, the worker's mapping still tells what it was at.
"""

from __future__ import annotations

import mmap
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from engine.attempt import Attempt

_LAYOUT: Final = struct.Struct("=qqd")
_NOWHERE: Final = (0, 0, 0.0)


@dataclass(frozen=True, slots=True)
class Marked:
    """Items that were under way.

    Attributes:
        start: Position of the first one.
        end: One past the last one.
        for_s: For how long.
    """

    start: int
    end: int
    for_s: float


class Mark:
    """Which items are under way; in a file that is mapped, or of this process alone."""

    def __init__(self, memory: mmap.mmap | bytearray | None = None) -> None:
        self._memory = bytearray(_LAYOUT.size) if memory is None else memory

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make the file, which says that nothing is under way, and map it.

        Raises:
            OSError: There is no such folder, or no space.
        """
        path.write_bytes(_LAYOUT.pack(*_NOWHERE))
        return cls(_mapped(path))

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map a file that was created, and remove its name; without one nobody looks."""
        memory = None
        with suppress(FileNotFoundError):
            memory = _mapped(path)
            path.unlink()
        return cls(memory)

    def enter(self, start: int, end: int, *, since: float | None = None) -> None:
        """Say that the items from *start* up to *end* are under way.

        Args:
            start: Position of the first one.
            end: One past the last one.
            since: When that began, by the monotonic clock; None for now.
        """
        _LAYOUT.pack_into(self._memory, 0, start, end, time.monotonic() if since is None else since)

    def leave(self) -> None:
        """Say that nothing is under way."""
        _LAYOUT.pack_into(self._memory, 0, *_NOWHERE)

    def read(self) -> Marked | None:
        """Return what is under way."""
        start, end, since = _LAYOUT.unpack_from(self._memory)
        return Marked(start, end, time.monotonic() - since) if start < end else None


def mark_path(scratch: Path, attempt: Attempt) -> Path:
    """Return where the mark of *attempt* is, below the scratch folder of its process."""
    return scratch / f"mark-{attempt.job}-{attempt.task}-{attempt.number}"


def _mapped(path: Path) -> mmap.mmap:
    with path.open("r+b") as file:
        return mmap.mmap(file.fileno(), _LAYOUT.size)
