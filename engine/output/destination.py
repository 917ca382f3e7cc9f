"""Where callers want their results: copies of a finished job's files, the manifest last.

Copies lie at ``<uri>/<job>/part-00000.jsonl`` and so on, beside a ``manifest.json`` that names
them. Whoever finds the manifest finds all files that it names, whole. The service keeps files of
its own besides, which pages of rows are read from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Final, Protocol

from engine.blobs import BlobStore
from engine.errors import InputError, Issue
from engine.output.suffix import format_of, with_suffix
from engine.result import Manifest

CHUNK_BYTES: Final = 8 * 1024 * 1024
MANIFEST: Final = "manifest.json"
FILE: Final = "file"

_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")


class OutputStore(Protocol):
    """Folders of one kind of place that callers may have results written to.

    Every method blocks. Not promised: that what passes ``check`` can be written to later.
    """

    def check(self, uri: str) -> None:
        """Look at *uri* without touching a network.

        Raises:
            ValueError: It is no place that may be written to; the message says why.
        """
        ...

    def write(self, uri: str, name: str, chunks: Iterator[bytes]) -> None:
        """Write a file below *uri*, whole or not at all, replacing one of the same name.

        Raises:
            UnavailableError: It cannot be written now.
            OutputError: It cannot be written there.
        """
        ...

    def remove(self, uri: str, name: str) -> None:
        """Remove a file below *uri*; one that is not there is passed over.

        Raises:
            UnavailableError: It cannot be removed now.
            OutputError: It cannot be removed there.
        """
        ...


class Destinations:
    """All places that results can be written to.

    Args:
        stores: By scheme; ``file`` also takes paths without one.
    """

    def __init__(self, stores: Mapping[str, OutputStore]) -> None:
        self._stores = dict(stores)

    def check(self, uri: str) -> None:
        """Refuse a place that may not be written to.

        Raises:
            InputError: It is none of those that this deployment allows.
        """
        try:
            self._store_of(uri).check(uri)
        except ValueError as exc:
            path = ("input", "output", "uri")
            raise InputError(Issue(path, f"{_shown(uri)}: {exc}")) from None

    def deliver(self, uri: str, manifest: Manifest, blobs: BlobStore) -> None:
        """Copy a job's files to *uri*, then write the manifest.

        Safe to repeat: an earlier manifest goes first, so that none ever names other files.

        Raises:
            InputError: The place may not be written to.
            NotFoundError: A file is not in the blob store.
            OutputError: The place cannot be written to.
            UnavailableError: The place or the blob store does not answer.
        """
        self.check(uri)
        store = self._store_of(uri)
        folder = manifest.job
        store.remove(uri, f"{folder}/{MANIFEST}")
        copies = tuple(
            replace(file, name=file_name(index, file.name))
            for index, file in enumerate(manifest.files)
        )
        for file, copy in zip(manifest.files, copies, strict=True):
            store.write(uri, f"{folder}/{copy.name}", _chunks(blobs, file.name, file.size_bytes))
        delivered = replace(manifest, files=copies)
        store.write(uri, f"{folder}/{MANIFEST}", iter([delivered.to_bytes()]))

    def _store_of(self, uri: str) -> OutputStore:
        found = _SCHEME.match(uri)
        scheme = found[1].lower() if found else FILE
        if scheme not in self._stores:
            allowed = " or ".join(sorted(_ALLOWED[scheme] for scheme in self._stores))
            raise ValueError(f"not available in this deployment; give {allowed or 'no uri'}")
        return self._stores[scheme]


_ALLOWED: Final = {FILE: "a folder below one of its output roots", "s3": "s3://bucket/prefix/"}


def file_name(index: int, blob: str) -> str:
    """Return the name by which callers know a file of a result."""
    return with_suffix(f"part-{index:05}", format_of(blob))


def _chunks(blobs: BlobStore, name: str, size_bytes: int) -> Iterator[bytes]:
    for start in range(0, size_bytes, CHUNK_BYTES):
        yield blobs.read(name, start=start, end=min(size_bytes, start + CHUNK_BYTES))


def _shown(uri: str) -> str:
    return uri if uri.isprintable() else ascii(uri)
