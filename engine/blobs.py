"""The port to where data rests: named byte strings, written whole."""

from __future__ import annotations

from collections.abc import Iterable
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

    def list(self, prefix: str) -> Iterable[str]:
        """Yield the names that begin with the folder *prefix*, in no order."""
        ...

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs; those that do not exist are passed over."""
        ...
