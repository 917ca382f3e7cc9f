"""The source roots: which files a job may read, and nothing outside of them.

Every path is checked twice: when files are listed, and again when a file is opened, because a
folder may have become a link in between. Opening goes from the root down name by name and follows
no link, so there is no moment at which a swap could lead out. Messages are the same whether or
not something exists outside of the roots.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from engine.errors import SourceError
from engine.source.uri import EVERYTHING, UriPath, parse_uri, refusal, shown
from engine.source.walk import FoundFile, checked_file, walk

_OUTSIDE: Final = "is not below one of the source roots"
_FOLDER_FLAGS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file to map.

    Attributes:
        path: Absolute path below a source root.
        size_bytes: Length when it was listed.
    """

    path: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class SourceRoots:
    """The folders that jobs may read, as set by ``FANFOLD_SOURCE_ROOTS``.

    Attributes:
        folders: Absolute; links in them are resolved here, once.
    """

    folders: tuple[Path, ...]

    def __post_init__(self) -> None:
        object.__setattr__(self, "folders", tuple(folder.resolve() for folder in self.folders))

    def probe(self, uris: Iterable[str]) -> None:
        """Check that every URI names at least one file, without listing them all.

        Raises:
            SourceError: As in ``list_files``, as far as the first file of each URI shows it.
        """
        for uri in uris:
            next(self._find(uri))

    def list_files(self, uris: Iterable[str]) -> list[SourceFile]:
        """Return the files that *uris* name, each once.

        Returns:
            Files in the order of the URIs, sorted by path within each. A file that has several
            names through links comes once, under the first of them.

        Raises:
            SourceError: A URI is not a path below the roots, matches no file, or matches
                something that may not be read: a link out of the roots, a device, a file
                without permission.
        """
        files: dict[str, SourceFile] = {}
        for uri in uris:
            for found in sorted(self._find(uri), key=lambda file: file.path):
                files.setdefault(found.real, SourceFile(found.path, found.size_bytes))
        return list(files.values())

    def open_file(self, path: str) -> BinaryIO:
        """Open a file that was listed before, checking again that it lies below a root.

        Raises:
            SourceError: It has been deleted since, has become something else or a link out of
                the roots, or may not be read.
        """
        name = self.name_of(path)
        real = os.path.realpath(path)
        root = self._root_of(real)
        if root is None:
            raise SourceError(f"{name}: {_OUTSIDE}", location=name)
        try:
            return _open_beneath(root, os.path.relpath(real, root).split("/"))
        except FileNotFoundError as exc:
            message = f"{name}: was deleted after the job was planned"
            raise SourceError(message, location=name) from exc
        except OSError as exc:
            raise SourceError(f"{name}: cannot be read: {exc.strerror}", location=name) from exc

    def name_of(self, path: str) -> str:
        """Return *path* as callers know it: relative to its root."""
        root = self._root_of(path)
        return path if root is None else os.path.relpath(path, root)

    def _root_of(self, path: str) -> Path | None:
        return next((root for root in self.folders if _is_below(path, root)), None)

    def _find(self, uri: str) -> Iterator[FoundFile]:
        """Find the files of one URI: at least one, in no particular order."""
        wanted = parse_uri(uri)
        if not self.folders:
            raise refusal(uri, "no files can be read here; FANFOLD_SOURCE_ROOTS is not set")
        places = self._absolute_places(wanted) if wanted.is_absolute else self._places(wanted)
        for path in places:
            is_found = False
            for found in self._find_at(path, wanted):
                is_found = True
                yield found
            if is_found:
                return
        raise refusal(uri, _nothing_found(wanted, places))

    def _places(self, wanted: UriPath) -> list[str]:
        return [os.path.join(root, *wanted.literal) for root in self.folders]

    def _absolute_places(self, wanted: UriPath) -> list[str]:
        """Return the path below its root, even if the root was named through a link."""
        path = Path("/", *wanted.literal)
        if self._root_of(str(path)) is not None:
            return [str(path)]
        for above in (path, *path.parents):
            real = Path(os.path.realpath(above))
            if real in self.folders:
                return [str(real / path.relative_to(above))]
        raise refusal(wanted.uri, _OUTSIDE)

    def _find_at(self, path: str, wanted: UriPath) -> Iterator[FoundFile]:
        """Find the files of one URI below one root; none when there is nothing."""
        real = self._resolved(path, uri=wanted.uri)
        try:
            status = os.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError as exc:
            raise refusal(wanted.uri, f"cannot be read: {exc.strerror}") from exc
        if not stat.S_ISDIR(status.st_mode):
            if not wanted.pattern:
                yield checked_file(path, real=real, status=status, uri=wanted.uri)
            return
        yield from walk(
            path,
            real=real,
            pattern=wanted.pattern or (EVERYTHING,),
            resolve=lambda link: self._resolved(link, uri=wanted.uri),
            uri=wanted.uri,
        )

    def _resolved(self, path: str, *, uri: str) -> str:
        real = os.path.realpath(path)
        if self._root_of(real) is None:
            raise refusal(uri, f"{shown(os.path.basename(path))} leads out of the source roots")
        return real


def _is_below(path: str, root: Path) -> bool:
    return path == str(root) or path.startswith(os.path.join(root, ""))


def _nothing_found(wanted: UriPath, places: list[str]) -> str:
    if wanted.pattern not in ((), (EVERYTHING,)):
        return "matches no file below the source roots"
    if any(os.path.isdir(place) for place in places):
        return "the folder holds no files"
    return "no such file or folder below the source roots"


def _open_beneath(root: Path, names: list[str]) -> BinaryIO:
    """Open a regular file by walking down from *root* without following a link.

    Raises:
        OSError: A name is missing, is a link, or is not what it should be.
    """
    folder = os.open(root, _FOLDER_FLAGS)
    try:
        for name in names[:-1]:
            inner = os.open(name, _FOLDER_FLAGS, dir_fd=folder)
            os.close(folder)
            folder = inner
        file = os.open(names[-1], _FILE_FLAGS, dir_fd=folder)
    finally:
        os.close(folder)
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise OSError(0, "not a regular file")
    return os.fdopen(file, "rb")
