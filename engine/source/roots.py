"""The source roots: which files a job may read, and nothing outside of them.

Every path is checked twice: when files are listed, and again when a file is opened, because a
folder may have become a link in between. Opening goes from the root down name by name and follows
no link, so there is no moment at which a swap could lead out. Messages are the same whether or
not something exists outside of the roots.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from engine.errors import SourceChangedError, SourceError
from engine.source.choice import FileChoice
from engine.source.file import SourceFile
from engine.source.uri import EVERYTHING, UriPath, parse_uri, refusal, shown
from engine.source.walk import FoundFile, checked_file, walk

_OUTSIDE: Final = "is not below one of the source roots"
_FOLDER_FLAGS: Final = os.O_DIRECTORY | os.O_NOFOLLOW | getattr(os, "O_PATH", os.O_RDONLY)
_FILE_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


@dataclass(frozen=True, slots=True)
class SourceRoots:
    """The folders that jobs may read, as set by ``FANFOLD_SOURCE_ROOTS``.

    Implements ``engine.source.store.SourceStore`` for local disk. A file's version is its time of
    change in nanoseconds and its length.

    Attributes:
        folders: Absolute; links in them are resolved here, once.
        private: Folders of the service's own, which are not there for jobs, although a root may
            hold them. A root within one of them may be read.
    """

    folders: tuple[Path, ...]
    private: tuple[Path, ...] = ()

    def __post_init__(self) -> None:
        folders = tuple(folder.resolve() for folder in self.folders)
        private = (folder.resolve() for folder in self.private)
        held = (own for own in private if any(_is_below(str(own), root) for root in folders))
        object.__setattr__(self, "folders", folders)
        object.__setattr__(self, "private", tuple(held))

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Yield the files of *uri*; see ``SourceStore``.

        A file that has several names through links comes once, under the first of them; names in
        folders that *choice* leaves out do not count.

        Raises:
            SourceError: It is not a path below the roots, matches no file, or matches something
                that may not be read: a link out of the roots, a device, a file without
                permission.
        """
        found = self._find(uri, choice)
        if not is_sorted:
            yield from map(_listed, found)
            return
        seen: set[str] = set()
        for file in sorted(found, key=lambda file: file.path):
            if file.real not in seen:
                seen.add(file.real)
                yield _listed(file)

    def stat_file(self, path: str) -> SourceFile:
        """Return the file at an absolute path below a root; see ``SourceStore``."""
        name = self.name_of(path)
        with self._opened(path, missing=refusal(name, "there is no such file")) as stream:
            status = os.fstat(stream.fileno())
            return _file_of(path, status.st_size, status.st_mtime_ns)

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open a file that was listed before; see ``SourceStore``.

        It is checked again that it lies below a root, and the version on what was opened.

        Raises:
            SourceError: It has become something else or a link out of the roots, or may not be
                read.
            SourceChangedError: It has been deleted or changed since.
        """
        name = self.name_of(path)
        message = f"{name}: was deleted after the job was planned"
        stream = self._opened(path, missing=SourceChangedError(message, location=name))
        status = os.fstat(stream.fileno())
        if version not in ("", _version_of(status.st_size, status.st_mtime_ns)):
            stream.close()
            message = f"{name}: was changed after the job was planned"
            raise SourceChangedError(message, location=name)
        return stream

    def local_path(self, path: str) -> str | None:
        """Return the path without links, once it is certain that it may be read."""
        name = self.name_of(path)
        message = f"{name}: was deleted after the job was planned"
        self._opened(path, missing=SourceChangedError(message, location=name)).close()
        return os.path.realpath(path)

    def _opened(self, path: str, *, missing: SourceError) -> BinaryIO:
        name = self.name_of(path)
        real = os.path.realpath(path)
        root = self._root_of(real)
        if root is None:
            raise SourceError(f"{name}: {_OUTSIDE}", location=name)
        try:
            return _open_beneath(root, os.path.relpath(real, root).split("/"))
        except FileNotFoundError as exc:
            raise missing from exc
        except OSError as exc:
            raise SourceError(f"{name}: cannot be read: {exc.strerror}", location=name) from exc

    def name_of(self, path: str) -> str:
        """Return *path* as callers know it: relative to its root."""
        root = self._root_of(path)
        return path if root is None else os.path.relpath(path, root)

    def _root_of(self, path: str) -> Path | None:
        for root in self.folders:
            if _is_below(path, root) and not any(
                _is_below(path, own) and not _is_below(str(root), own) for own in self.private
            ):
                return root
        return None

    def _find(self, uri: str, choice: FileChoice | None) -> Iterator[FoundFile]:
        """Find the files of one URI: at least one but for *choice*, in no particular order."""
        wanted = parse_uri(uri)
        if not self.folders:
            raise refusal(uri, "no files can be read here; FANFOLD_SOURCE_ROOTS is not set")
        places = self._absolute_places(wanted) if wanted.is_absolute else self._places(wanted)
        for path in places:
            is_found = False
            for found in self._find_at(path, wanted, choice):
                is_found = True
                yield found
            if is_found or (choice and any(True for _ in self._find_at(path, wanted))):
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

    def _find_at(
        self, path: str, wanted: UriPath, choice: FileChoice | None = None
    ) -> Iterator[FoundFile]:
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
            choose=None
            if choice is None and not self.private
            else lambda paths: self._chosen(paths, choice),
        )

    def _chosen(self, paths: Sequence[str], choice: FileChoice | None) -> list[str]:
        """Return those of some folders that *choice* does, and jobs may enter."""
        if self.private:
            paths = [path for path in paths if self._root_of(os.path.realpath(path)) is not None]
        if choice is None:
            return list(paths)
        by_name = {f"{self.name_of(path)}/": path for path in paths}
        return [by_name[name] for name in choice.folders(list(by_name))]

    def _resolved(self, path: str, *, uri: str) -> str:
        real = os.path.realpath(path)
        if self._root_of(real) is None:
            raise refusal(uri, f"{shown(os.path.basename(path))} leads out of the source roots")
        return real


def _listed(found: FoundFile) -> SourceFile:
    return _file_of(found.path, found.size_bytes, found.modified_ns)


def _file_of(path: str, size_bytes: int, modified_ns: int) -> SourceFile:
    version = _version_of(size_bytes, modified_ns)
    return SourceFile(path, size_bytes, version, modified_ns // 1_000_000)


def _version_of(size_bytes: int, modified_ns: int) -> str:
    return f"{modified_ns:x}-{size_bytes:x}"


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
