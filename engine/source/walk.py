"""Walks a folder for the files that a pattern of names matches.

The folder is walked once for all parts of the pattern, each folder carrying the set of positions
in the pattern that it has reached. ``**/*/**/*`` therefore costs no more than ``**``, and folders
that cannot match are never entered.

Links are followed where they stay below the source roots. A folder that is reached by several
links is walked once, so that circles end. A link out of the roots is refused when a name of the
pattern matches it, and passed over when only ``**`` does: nobody asked for it.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import translate
from typing import NamedTuple

from engine.errors import SourceError
from engine.source.deadline import check_deadline
from engine.source.uri import EVERYTHING, is_utf8, refusal, shown

Resolve = Callable[[str], str]
Choose = Callable[[Sequence[str]], Sequence[str]]


@dataclass(frozen=True, slots=True)
class FoundFile:
    """A readable regular file.

    Attributes:
        path: Absolute path by which it was reached.
        real: The same file's path without links.
        size_bytes: Its present length.
        modified_ns: When it was last changed, in nanoseconds since 1970.
    """

    path: str
    real: str
    size_bytes: int
    modified_ns: int


class _Folder(NamedTuple):
    path: str
    real: str
    reached: frozenset[int]


def walk(
    path: str,
    *,
    real: str,
    pattern: Sequence[str],
    resolve: Resolve,
    uri: str,
    choose: Choose | None = None,
) -> Iterator[FoundFile]:
    """Find the files below a folder that match, in no particular order.

    Folders come before links to folders, so that which of two names a file gets does not depend
    on the order in which the disk lists them.

    Args:
        path: The folder to start in.
        real: The same folder without links.
        pattern: Names with wildcards, as in ``UriPath``.
        resolve: Turns the path of a link into a real path, or raises SourceError.
        uri: For messages.
        choose: Returns those of some folders' paths that are worth entering.

    Raises:
        SourceError: A match is a link out of the roots, not a regular file, or may not be read;
            or a folder on the way may not be listed.
    """
    names = NamePattern(pattern)
    folders = _chosen([_Folder(path, real, names.start)], choose)
    links: list[_Folder] = []
    entered: set[tuple[str, frozenset[int]]] = set()
    while folders or links:
        if not folders:
            links.sort(reverse=True)
            folders.append(links.pop())
        folder = folders.pop()
        if (folder.real, folder.reached) in entered:
            continue
        entered.add((folder.real, folder.reached))
        found: list[_Folder] = []
        found_links: list[_Folder] = []
        try:
            with os.scandir(folder.path) as entries:
                for entry in entries:
                    check_deadline()
                    reached = names.after(folder.reached, entry.name)
                    if not reached:
                        continue
                    is_named = names.names(folder.reached, entry.name)
                    place = _real_path(entry, folder, resolve, is_named=is_named)
                    if place is None:
                        continue
                    if entry.is_dir():
                        waiting = found_links if entry.is_symlink() else found
                        waiting.append(_Folder(entry.path, place, reached))
                    elif names.end in reached:
                        yield checked_file(entry.path, real=place, status=entry.stat(), uri=uri)
        except OSError as exc:
            raise refusal(uri, f"{shown(exc.filename)} cannot be read: {exc.strerror}") from exc
        folders += _chosen(found, choose)
        links += _chosen(found_links, choose)


def _chosen(folders: list[_Folder], choose: Choose | None) -> list[_Folder]:
    if choose is None or not folders:
        return folders
    paths = set(choose([folder.path for folder in folders]))
    return [folder for folder in folders if folder.path in paths]


def _real_path(
    entry: os.DirEntry[str], folder: _Folder, resolve: Resolve, *, is_named: bool
) -> str | None:
    """Return an entry's path without links; None for a link out of the roots that nobody named.

    Raises:
        SourceError: It is a link out of the roots, and its name was asked for.
    """
    if not entry.is_symlink():
        return os.path.join(folder.real, entry.name)
    try:
        return resolve(entry.path)
    except SourceError:
        if is_named:
            raise
        return None


def checked_file(path: str, *, real: str, status: os.stat_result, uri: str) -> FoundFile:
    """Return the file when it can be read as one.

    Raises:
        SourceError: It is not a regular file, may not be read, or has a name that is not UTF-8.
    """
    name = shown(os.path.basename(path))
    if not stat.S_ISREG(status.st_mode):
        raise refusal(uri, f"{name} is not a regular file")
    if not os.access(path, os.R_OK):
        raise refusal(uri, f"{name} may not be read: permission denied")
    if not is_utf8(path):
        raise refusal(uri, f"the file name {name} is not UTF-8")
    return FoundFile(path, real, status.st_size, status.st_mtime_ns)


class NamePattern:
    """Names with wildcards, as the states of a small automaton.

    State ``i`` means that the names from ``i`` on are still to be matched; ``end`` means a match.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._names = names
        self._matches = [re.compile(translate(name)).match for name in names]
        self.end = len(names)
        self.start = self._with_skipped({0})

    def after(self, reached: frozenset[int], name: str) -> frozenset[int]:
        """Return the states after going on to *name*; empty when nothing can match below it."""
        following = set()
        is_hidden = name.startswith(".") or name == "__pycache__"
        for state in reached - {self.end}:
            wanted = self._names[state]
            if wanted == EVERYTHING:
                if not is_hidden:
                    following |= {state, self.end} if state == self.end - 1 else {state}
            elif wanted == name or (
                (not is_hidden or wanted.startswith(".")) and self._matches[state](name)
            ):
                following.add(state + 1)
        return self._with_skipped(following)

    def names(self, reached: frozenset[int], name: str) -> bool:
        """Whether a part of the pattern other than ``**`` matches *name*."""
        return any(
            self._names[state] != EVERYTHING and self._matches[state](name)
            for state in reached - {self.end}
        )

    def _with_skipped(self, states: set[int]) -> frozenset[int]:
        """Add what is reached because ``**`` also matches no folder, unless it comes last."""
        for state in range(self.end - 1):
            if state in states and self._names[state] == EVERYTHING:
                states.add(state + 1)
        return frozenset(states)
