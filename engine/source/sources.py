"""All that jobs may read here, whatever kind of place it is in.

Callers name files by URI: a path, ``s3://`` or ``https://``, as far as this deployment has them.
What the service keeps itself has paths that begin with ``blob:``, which no URI leads to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from engine.entries import Entries
from engine.errors import SourceError
from engine.source.choice import FileChoice
from engine.source.deadline import check_deadline
from engine.source.file import SourceFile
from engine.source.roots import SourceRoots
from engine.source.store import EntryStore, SourceStore
from engine.source.uri import refusal, scheme_of

LOCAL: Final = ""
BLOB: Final = "blob"
BLOB_PREFIX: Final = "blob:"
_GIVE: Final = {
    LOCAL: "a path below one of its source roots",
    "s3": "s3://bucket/key",
    "https": "https://host/file",
}


class Sources:
    """The stores of this deployment, by scheme.

    Args:
        stores: ``""`` is local disk, ``"s3"`` and ``"https"`` are what they say, ``"blob"`` is
            what the service keeps. Each may be missing.
    """

    def __init__(self, stores: Mapping[str, SourceStore]) -> None:
        self._stores = dict(stores)

    @classmethod
    def local(cls, *folders: Path) -> Sources:
        """Return sources that are files below *folders* and nothing else."""
        return cls({LOCAL: SourceRoots(folders)})

    def probe(self, uris: Iterable[str]) -> SourceFile:
        """Check that every URI names at least one file, without listing them all.

        Returns:
            A file of the first URI.

        Raises:
            SourceError: As in ``list_files``, as far as one file of each URI shows it.
            UnavailableError: A store does not answer.
        """
        first: SourceFile | None = None
        for uri in dict.fromkeys(uris):
            check_deadline()
            file = next(self._store_for(uri).list_files(uri, is_sorted=False))
            first = first or file
        if first is None:
            raise SourceError("there is no URI to read from")
        return first

    def list_files(
        self, uris: Iterable[str], *, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Yield the files that *uris* name, each once.

        In the order of the URIs, sorted by path within each, as they are found. Files of folders
        that *choice* leaves out need not come.

        Raises:
            SourceError: A URI matches no file, or something that may not be read.
            UnavailableError: A store does not answer.
        """
        wanted = list(dict.fromkeys(uris))
        if len(wanted) == 1:
            yield from self._store_for(wanted[0]).list_files(wanted[0], choice=choice)
            return
        seen: set[str] = set()
        for uri in wanted:
            for file in self._store_for(uri).list_files(uri, choice=choice):
                identity = identity_of(file.path)
                if identity not in seen:
                    seen.add(identity)
                    yield file

    def list_entries(self, uri: str) -> Iterator[Entries] | None:
        """Yield the files that *uri* names as entries; None where its store has no pages of them.

        Raises:
            SourceError: As in ``list_files``.
            UnavailableError: A store does not answer.
        """
        store = self._store_for(uri)
        return store.list_entries(uri) if isinstance(store, EntryStore) else None

    def stat_file(self, path: str) -> SourceFile:
        """Return the one file at *path*; see ``SourceStore``."""
        return self.store_of(path).stat_file(path)

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open a listed file; see ``SourceStore``."""
        return self.store_of(path).open_file(path, version=version)

    def name_of(self, path: str) -> str:
        """Return *path* as callers know it."""
        return self.store_of(path).name_of(path)

    def local_path(self, path: str) -> str | None:
        """Return where the file lies on this machine's disk, checked; None when it does not."""
        return self.store_of(path).local_path(path)

    def store_of(self, path: str) -> SourceStore:
        """Return the store that has the file of a ``SourceFile``.

        Raises:
            SourceError: This process has no such store.
        """
        scheme = BLOB if path.startswith(BLOB_PREFIX) else scheme_of(path)
        store = self._stores.get(scheme)
        if store is None:
            raise self._unavailable(path, scheme)
        return store

    def _store_for(self, uri: str) -> SourceStore:
        """Return the store that a caller's URI names."""
        scheme = scheme_of(uri)
        store = self._stores.get(scheme)
        if store is None or scheme == BLOB:
            raise self._unavailable(uri, scheme)
        return store

    def _unavailable(self, uri: str, scheme: str) -> SourceError:
        what = f"{scheme}://" if scheme else "a path"
        here = [text for name, text in _GIVE.items() if name in self._stores]
        give = f"; give {' or '.join(here)}" if here else ""
        return refusal(uri, f"{what} is not available in this deployment{give}")


def identity_of(path: str) -> str:
    """Return what two paths of the same file have in common."""
    return os.path.realpath(path) if path.startswith("/") else path
