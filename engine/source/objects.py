"""Listing entries as items: what a job in mode OBJECTS maps, an item for each file.

An item is a dict of

- ``uri``: the file as callers know it, ``s3://bucket/key`` or a path below a source root;
- ``key``: the same without scheme and bucket or host;
- ``size``: its length in bytes;
- ``etag``: its version, as the store tells it, or None;
- ``lastModified``: RFC 3339 in UTC, or None.

The place of an item, where one is named, is its ``uri``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from engine.batch import Batch
from engine.source.sources import Sources
from engine.source.store import SourceFile
from engine.source.uri import scheme_of
from engine.spec import BatchingSpec

MAX_ITEMS: Final = 1_000


def object_item(file: SourceFile, sources: Sources) -> dict[str, Any]:
    """Return the listing entry of *file*."""
    uri = sources.name_of(file.path)
    _, _, inner = uri.partition("://") if scheme_of(uri) else ("", "", "/" + uri)
    modified = file.modified_ms
    return {
        "uri": uri,
        "key": inner.partition("/")[2],
        "size": file.size_bytes,
        "etag": file.version.strip('"') or None,
        "lastModified": None if modified is None else _rfc3339(modified),
    }


def object_batches(
    files: Iterable[SourceFile], batching: BatchingSpec, sources: Sources
) -> Iterator[Batch]:
    """Yield the listing entries of *files*, batch by batch.

    Args:
        files: As listed.
        batching: A batch has at most ``max_items`` entries, 1,000 if left out, of files that
            have ``max_bytes`` together; a larger file is a batch of its own.
        sources: Names the files.
    """
    max_items = batching.max_items or MAX_ITEMS
    items: list[dict[str, Any]] = []
    first, size_bytes = 0, 0
    for file in files:
        is_over = batching.max_bytes is not None and size_bytes + file.size_bytes > (
            batching.max_bytes
        )
        if items and (is_over or len(items) == max_items):
            yield Batch(items=tuple(items), first_item=first)
            first, size_bytes = first + len(items), 0
            items = []
        items.append(object_item(file, sources))
        size_bytes += file.size_bytes
    if items:
        yield Batch(items=tuple(items), first_item=first)


def _rfc3339(modified_ms: int) -> str:
    instant = datetime.fromtimestamp(modified_ms / 1000, UTC)
    return instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")
