"""The port to whoever knows which of a source's files are wanted, by their folders' names alone.

Where ``year=2025`` is a folder and nothing of that year is wanted, its files need not be listed.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from engine.source.file import SourceFile


class FileChoice(Protocol):
    """Leaves out files, and folders, of which nothing will be used.

    Names of folders are those that callers know, and end in a slash. Not promised: that a folder
    that is chosen has files that are.
    """

    def files(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        """Yield those that are wanted, in order."""
        ...

    def folders(self, names: Sequence[str]) -> Sequence[str]:
        """Return those below which there may be files that are wanted, in order."""
        ...

    def is_open(self, folder: str) -> bool:
        """Tell whether some of the folders below *folder* may be left out yet."""
        ...
