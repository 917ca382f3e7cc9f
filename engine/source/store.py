"""The port to where sources rest: files that can be listed and read, never written.

A path is how a file is known within Fanfold once it has been listed: absolute on local disk,
``s3://bucket/key``, ``https://host/file``, or ``blob:<name>`` for what the service itself keeps
(uploads and results of other jobs), which no caller can name.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO, Protocol, runtime_checkable

from engine.entries import Entries
from engine.source.choice import FileChoice
from engine.source.file import SourceFile


class SourceStore(Protocol):
    """Files of one kind of place.

    Every method blocks. Not promised: that a file listed can still be read later.
    """

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Yield the files that *uri* names, each once, as they are found.

        Nothing is looked up before the first is asked for.

        Args:
            uri: As a caller wrote it, with wildcards.
            is_sorted: By path. Otherwise in any order, so that the first comes soon.
            choice: Files of folders that it leaves out need not come.

        Raises:
            SourceError: It names no file, or something that may not be read.
            UnavailableError: The store does not answer.
        """
        ...

    def stat_file(self, path: str) -> SourceFile:
        """Return the one file at *path*, in which wildcards mean themselves.

        Raises:
            SourceError: There is no such file, or it may not be read.
            UnavailableError: The store does not answer.
        """
        ...

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open a listed file for reading and seeking.

        Args:
            path: As it was listed.
            version: Refuse any other one; empty takes whatever there is.

        Raises:
            SourceError: It cannot be read.
            SourceChangedError: It was deleted or changed after the job was planned. A store
                may find that out only when the content is read.
            UnavailableError: The store does not answer; this too may come with a read.
        """
        ...

    def name_of(self, path: str) -> str:
        """Return *path* as callers know it."""
        ...

    def local_path(self, path: str) -> str | None:
        """Return where the file lies on this machine's disk, checked as ``open_file`` does."""
        ...


@runtime_checkable
class EntryStore(Protocol):
    """A store that lists by the page, which is worth having where files are many."""

    def list_entries(self, uri: str) -> Iterator[Entries]:
        """Yield what ``SourceStore.list_files`` does, page by page, as entries.

        Raises:
            SourceError: As ``list_files``.
            UnavailableError: As ``list_files``.
        """
        ...
