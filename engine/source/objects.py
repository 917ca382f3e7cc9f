"""Listing entries batch by batch, for jobs in mode OBJECTS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final

from engine.batch import Batch
from engine.entries import Entries
from engine.source.file import SourceFile
from engine.source.sources import Sources
from engine.spec import BatchingSpec

MAX_ITEMS: Final = 1_000
PAGE_FILES: Final = 1_000


def object_batches(pages: Iterable[Entries], batching: BatchingSpec) -> Iterator[Batch]:
    """Yield the entries of *pages*, batch by batch.

    Args:
        pages: As listed.
        batching: A batch has at most ``max_items`` entries, 1,000 if left out, of files that
            have ``max_bytes`` together; a larger file is a batch of its own.
    """
    max_items, max_bytes = batching.max_items or MAX_ITEMS, batching.max_bytes or math.inf
    parts: list[Entries] = []
    first = count = size_bytes = 0
    for page in pages:
        start = 0
        for index, file_bytes in enumerate(page.sizes):
            if count and (count == max_items or size_bytes + file_bytes > max_bytes):
                yield Batch(items=Entries.joined([*parts, page[start:index]]), first_item=first)
                parts, start = [], index
                first, count, size_bytes = first + count, 0, 0
            count += 1
            size_bytes += file_bytes
        parts.append(page[start:])
    if count:
        yield Batch(items=Entries.joined(parts), first_item=first)


def entries_of(files: Iterator[SourceFile], sources: Sources) -> Iterator[Entries]:
    """Yield the entries of files that were listed one by one, page by page."""
    while page := list(islice(files, PAGE_FILES)):
        yield Entries(
            uris=[sources.name_of(file.path) for file in page],
            sizes=[file.size_bytes for file in page],
            etags=[file.version.strip('"') or None for file in page],
            modified_ms=[file.modified_ms for file in page],
        )
