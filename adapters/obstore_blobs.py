"""Blobs through obstore: a folder on local disk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import obstore
from obstore.exceptions import BaseError
from obstore.store import LocalStore

from engine.errors import NotFoundError, UnavailableError

if TYPE_CHECKING:
    from obstore import GetOptions


class ObstoreBlobs:
    """Implements ``engine.blobs.BlobStore``. A put is written beside its name, then renamed."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._store = LocalStore(folder, automatic_cleanup=True)

    def put(self, name: str, data: bytes) -> None:
        """Write a blob; see ``BlobStore``."""
        with _translated(name):
            obstore.put(self._store, name, data)

    def read(self, name: str, *, start: int = 0, end: int | None = None) -> bytes:
        """Return bytes of a blob; see ``BlobStore``."""
        with _translated(name):
            if start == 0 and end is None:
                return bytes(obstore.get(self._store, name).bytes())
            options: GetOptions = {"range": {"offset": start} if end is None else (start, end)}
            try:
                return bytes(obstore.get(self._store, name, options=options).bytes())
            except BaseError:
                # Stores refuse a range that has no byte, each in words of its own.
                stop = obstore.head(self._store, name)["size"]
                if start < (stop if end is None else min(end, stop)):
                    raise
                return b""

    def list(self, prefix: str) -> Iterable[str]:
        """Yield names below a folder; see ``BlobStore``."""
        with _translated(prefix):
            for page in obstore.list(self._store, prefix):
                yield from (entry["path"] for entry in page)

    def delete(self, names: Iterable[str]) -> None:
        """Remove blobs; see ``BlobStore``."""
        for name in names:
            try:
                with _translated(name):
                    obstore.delete(self._store, name)
            except NotFoundError:
                continue


@contextmanager
def _translated(name: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as exc:
        raise NotFoundError(f"no blob {name}") from exc
    except (BaseError, OSError) as exc:
        raise UnavailableError(f"blob {name}: {exc}") from exc
