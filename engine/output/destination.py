"""Where callers want their results: copies of a finished job's files, the manifest last.

Copies lie at ``<uri>/<job>/part-00000.jsonl`` and so on, with listings such as
``SUCCEEDED_0.json``, beside a ``manifest.json`` that names them. Whoever finds the manifest finds
all files that it names, whole. The service keeps files of its own besides, which pages of rows are
read from.

A further attempt writes under names of its own, ``part-00000-a2.jsonl``: one that has lost its job
and writes on nevertheless mixes nothing up. Only the manifest says which files are the result.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from typing import Final, Protocol

from engine.blobs import BlobStore
from engine.errors import InputError, Issue, OutputError
from engine.listings import listing_file
from engine.output.suffix import format_of, with_suffix
from engine.result import Manifest

CHUNK_BYTES: Final = 8 * 1024 * 1024
MANIFEST: Final = "manifest.json"
FILE: Final = "file"

_PART: Final = re.compile(r"\.?(?:part-\d{5,}|(?:SUCCEEDED|FAILED|PENDING)_\d+)(?:-a(\d+))?\.")
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

    def names(self, uri: str, folder: str) -> Collection[str]:
        """Return the files in *folder* below *uri*; none where they may not be listed.

        One that is being written may be there by its name with a dot before and more after it.

        Raises:
            UnavailableError: They cannot be listed now.
            OutputError: They cannot be listed there.
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

    def deliver(self, uri: str, manifest: Manifest, blobs: BlobStore, *, attempt: int = 1) -> None:
        """Copy a job's files to *uri*, then write the manifest.

        An earlier manifest stays, with its files, until the new one takes its place; then the
        files of earlier attempts are removed. Not promised: that nothing is left of an attempt
        that was killed after a later one had ended.

        Args:
            uri: The place.
            manifest: Of the result.
            blobs: Where its files are.
            attempt: Number of the attempt; a later one has a higher number.

        Raises:
            InputError: The place may not be written to.
            NotFoundError: A file is not in the blob store.
            OutputError: The place cannot be written to, or a later attempt has done so.
            UnavailableError: The place or the blob store does not answer.
        """
        self.check(uri)
        store = self._store_of(uri)
        folder = manifest.job
        names = _names_of(manifest, attempt)
        sizes = [(file.name, file.size_bytes) for file in manifest.files]
        sizes += [(listing.name, listing.size_bytes) for listing in manifest.listings]
        for blob, size_bytes in sizes:
            store.write(uri, f"{folder}/{names[blob]}", _chunks(blobs, blob, size_bytes))
        found = {name: _attempt_of(name) for name in store.names(uri, folder)}
        is_late = any(other is not None and other > attempt for other in found.values())
        if not is_late:
            delivered = _renamed(manifest, names, uri)
            store.write(uri, f"{folder}/{MANIFEST}", iter([delivered.to_bytes()]))
        for name, other in found.items():
            if other is not None and (other < attempt or (is_late and other == attempt)):
                store.remove(uri, f"{folder}/{name}")
        if is_late:
            raise OutputError(f"{uri}: a later attempt has written the result")

    def _store_of(self, uri: str) -> OutputStore:
        found = _SCHEME.match(uri)
        scheme = found[1].lower() if found else FILE
        if scheme not in self._stores:
            allowed = " or ".join(sorted(_ALLOWED[scheme] for scheme in self._stores))
            raise ValueError(f"not available in this deployment; give {allowed or 'no uri'}")
        return self._stores[scheme]


_ALLOWED: Final = {FILE: "a folder below one of its output roots", "s3": "s3://bucket/prefix/"}


def file_name(index: int, blob: str, *, attempt: int = 1) -> str:
    """Return the name by which callers know a file of a result, as an attempt delivers it."""
    part = f"part-{index:05}" if attempt == 1 else f"part-{index:05}-a{attempt}"
    return with_suffix(part, format_of(blob))


def _names_of(manifest: Manifest, attempt: int) -> dict[str, str]:
    """Return what each blob of a result is called where it is delivered."""
    names = {
        file.name: file_name(index, file.name, attempt=attempt)
        for index, file in enumerate(manifest.files)
    }
    for listing in manifest.listings:
        names[listing.name] = listing_file(listing.status, attempt=attempt)
    return names


def _renamed(manifest: Manifest, names: Mapping[str, str], uri: str) -> Manifest:
    """Return the manifest as it is delivered: files lie beside it, listings have whole keys."""
    bucket, prefix = _bucket_and_prefix(uri)
    return replace(
        manifest,
        bucket=bucket,
        files=tuple(replace(file, name=names[file.name]) for file in manifest.files),
        listings=tuple(
            replace(listing, name=f"{prefix}{manifest.job}/{names[listing.name]}")
            for listing in manifest.listings
        ),
    )


def _bucket_and_prefix(uri: str) -> tuple[str, str]:
    """Take a place apart: the bucket, and what its keys begin with; a folder is all bucket."""
    found = _SCHEME.match(uri)
    if found is None or found[1].lower() == FILE:
        return uri, ""
    bucket, _, prefix = uri[found.end() :].partition("/")
    return bucket, f"{stripped}/" if (stripped := prefix.strip("/")) else ""


def _attempt_of(name: str) -> int | None:
    """Return the attempt that wrote a file; None if it is none of ours."""
    found = _PART.match(name)
    return int(found[1] or 1) if found else None


def _chunks(blobs: BlobStore, name: str, size_bytes: int) -> Iterator[bytes]:
    for start in range(0, size_bytes, CHUNK_BYTES):
        yield blobs.read(name, start=start, end=min(size_bytes, start + CHUNK_BYTES))


def _shown(uri: str) -> str:
    return uri if uri.isprintable() else ascii(uri)
