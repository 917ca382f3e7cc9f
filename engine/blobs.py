"""The port to where data rests: named byte strings, written whole."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol


class BlobStore(Protocol):
    """Named, immutable byte strings on local disk or in an object store.

    A blob is visible whole or not at all. Not promised: listing order, rename, append, or that a
    deleted name is gone for readers that hold it open. Every method blocks and raises
    ``UnavailableError`` when the store does not answer.
    """

    def put(self, name: str, data: bytes) -> None:
        """Write a blob, replacing one of the same name."""
        ...

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return the bytes ``[start, end)``, fewer at the end of the blob.

        Raises:
            NotFoundError: There is no such blob.
        """
        ...

    def put_file(self, name: str, path: Path) -> None:
        """Take over a finished file of this machine as a blob; *path* is gone afterwards."""
        ...

    def size(self, name: str) -> int:
        """Return a blob's length in bytes.

        Raises:
            NotFoundError: There is no such blob.
        """
        ...

    def local_path(self, name: str) -> Path | None:
        """Return where a blob lies on this machine's disk; None when it does not."""
        ...

    def presigned_url(self, name: str, *, method: str, expires_s: int) -> str | None:
        """Return a URL that needs no credentials; None when the store has none to give."""
        ...

    def list(self, prefix: str) -> Iterable[str]:
        """Yield the names that begin with the folder *prefix*, in no order."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs; those that do not exist are passed over."""
        ...
