"""Files that the service keeps itself, as sources: uploads, and the results of other jobs.

Their paths are ``blob:`` and a blob's name. No caller can write one: what they may read is found
for them, by the id of an upload or of a job of theirs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import PurePosixPath
from typing import BinaryIO, cast

from engine.blobs import BlobStore
from engine.errors import NotFoundError, SourceChangedError, SourceError, UnavailableError
from engine.source.choice import FileChoice
from engine.source.file import SourceFile
from engine.source.ranges import RangeFile
from engine.source.sources import BLOB_PREFIX
from engine.source.uri import refusal


class BlobFiles:
    """Implements ``engine.source.store.SourceStore`` over blobs, which never change."""

    def __init__(self, blobs: BlobStore) -> None:
        self._blobs = blobs

    def list_files(
        self, uri: str, *, is_sorted: bool = True, choice: FileChoice | None = None
    ) -> Iterator[SourceFile]:
        """Refuse: nobody can name these files by URI."""
        raise refusal(uri, "cannot be listed")

    def stat_file(self, path: str) -> SourceFile:
        """Return the blob as a file; see ``SourceStore``."""
        name = self.name_of(path)
        try:
            return SourceFile(path, self._blobs.size(_blob_of(path)))
        except NotFoundError as exc:
            raise SourceError(f"{name}: does not exist any more", location=name) from exc

    def open_file(self, path: str, *, version: str = "") -> BinaryIO:
        """Open a blob; see ``SourceStore``."""
        name, blob = self.name_of(path), _blob_of(path)
        message = f"{name}: was deleted after the job was planned"
        gone = SourceChangedError(message, location=name)
        local = self._blobs.local_path(blob)
        if local is not None:
            try:
                return local.open("rb")
            except FileNotFoundError as exc:
                raise gone from exc
            except OSError as exc:
                raise UnavailableError(f"{name}: {exc.strerror}") from exc

        def fetch(start: int, end: int) -> bytes:
            try:
                data = self._blobs.read(blob, start=start, end=end)
            except NotFoundError as exc:
                raise gone from exc
            if len(data) < end - start:
                raise UnavailableError(f"{name}: ends at byte {start + len(data)}, not {end}")
            return data

        try:
            return cast("BinaryIO", RangeFile(fetch, self._blobs.size(blob)))
        except NotFoundError as exc:
            raise gone from exc

    def name_of(self, path: str) -> str:
        """Return ``upload <id>`` or ``result of <job>``, with the file's own name."""
        parts = PurePosixPath(_blob_of(path)).parts
        with suppress(ValueError):
            folder, *inner, file = parts
            if folder == "uploads" and len(inner) == 2:
                return f"upload {inner[1]} ({file})"
            if folder == "jobs" and inner:
                return f"result of {inner[0]} ({file})"
        return "a file of the service"

    def local_path(self, path: str) -> str | None:
        """Return where the blob lies on this machine's disk; None when it does not."""
        local = self._blobs.local_path(_blob_of(path))
        return None if local is None else str(local)


def _blob_of(path: str) -> str:
    return path.removeprefix(BLOB_PREFIX)
