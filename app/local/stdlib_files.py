"""The demonstration's input: the sources of the running Python's standard library."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_NOT_THE_LIBRARY: Final = frozenset(
    {"site-packages", "dist-packages", "__pycache__", "lib-dynload"}
)


@dataclass(frozen=True, slots=True)
class StdlibFiles:
    """Source files as URIs relative to the library's folder, and how many they are."""

    uris: list[str]
    count: int


def find_stdlib_files(root: Path) -> StdlibFiles:
    """Return the fewest URIs that name every readable UTF-8 ``.py`` file below *root*.

    A pattern stands for a folder all of whose sources can be counted. Where one cannot (a few of
    Python's own tests are Latin-1 on purpose, Debian links one file out of the folder), the others
    are named one by one.
    """
    folder = _look_into(str(root), "")
    # The root itself also holds site-packages, so it is never taken whole.
    return StdlibFiles(uris=folder.uris_level_by_level(), count=folder.count)


@dataclass(frozen=True, slots=True)
class _Folder:
    """What is in a folder.

    Attributes:
        prefix: Its path below the root, with a slash at the end; empty for the root.
        names: Sources that can be counted.
        has_others: Whether it has sources that cannot.
        folders: Folders with at least one source that can be counted.
        is_whole: Whether all sources below, at any depth, can be counted.
    """

    prefix: str
    names: list[str]
    has_others: bool
    folders: list[_Folder]
    is_whole: bool

    @property
    def count(self) -> int:
        return len(self.names) + sum(folder.count for folder in self.folders)

    def uris(self) -> list[str]:
        if self.is_whole:
            return [f"{self.prefix}**/*.py"] if self.count else []
        return self.uris_level_by_level()

    def uris_level_by_level(self) -> list[str]:
        own = [f"{self.prefix}{name}" for name in self.names]
        if own and not self.has_others:
            own = [f"{self.prefix}*.py"]
        return own + [uri for folder in self.folders for uri in folder.uris()]


def _look_into(root: str, prefix: str) -> _Folder:
    names, others, folders, is_whole = [], False, [], True
    with os.scandir(os.path.join(root, prefix)) as entries:
        for entry in sorted(entries, key=lambda entry: entry.name):
            if entry.is_dir():
                if entry.name.startswith(".") or entry.name in _NOT_THE_LIBRARY:
                    continue
                if entry.is_symlink():
                    is_whole = False
                    continue
                folder = _look_into(root, f"{prefix}{entry.name}/")
                folders.append(folder)
                is_whole &= folder.is_whole
            elif entry.name.endswith(".py"):
                if _can_be_counted(entry):
                    names.append(entry.name)
                else:
                    others = True
    return _Folder(prefix, names, others, folders, is_whole and not others)


def _can_be_counted(entry: os.DirEntry[str]) -> bool:
    if entry.is_symlink() or not entry.is_file() or not entry.name.isascii():
        return False
    try:
        Path(entry.path).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return True
