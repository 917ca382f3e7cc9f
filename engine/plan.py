"""The plan of a job: its batches and its number of reducers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.batch import Batch
from engine.errors import InputError, Issue
from engine.source.cut import cut_files
from engine.source.roots import SourceRoots
from engine.spec import BatchingSpec, JobSpec

BYTES_PER_REDUCER: Final = 16 * 1024 * 1024
MAX_DEFAULT_REDUCERS: Final = 64
INLINE_ITEMS_PER_BATCH: Final = 1_000
MAX_BATCHES: Final = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job will be run.

    Attributes:
        batches: The input of each map task.
        reducers: Reduce tasks; 0 for a map-only job.
        items: Number of items, where it is known before reading.
        size_bytes: Bytes of the source's files.
    """

    batches: tuple[Batch, ...]
    reducers: int
    items: int | None
    size_bytes: int


def plan_files(spec: JobSpec, roots: SourceRoots, *, is_map_only: bool) -> Plan:
    """List the source's files and cut them into batches.

    The plan depends on the source and the spec alone, never on how many workers there are, so that
    the same job gives the same files wherever it runs.

    Raises:
        SourceError: A URI leads nowhere or where it must not.
        RecordError: A record is larger than the limit.
        InputError: There would be more than 100,000 batches.
    """
    files_spec = spec.source.files
    if files_spec is None:
        raise ValueError("the source has no files")
    files = roots.list_files(files_spec.uris)
    batches = _limited(cut_files(files, files_spec, spec.batching, roots), spec.batching)
    size_bytes = sum(file.size_bytes for file in files)
    return Plan(
        batches=batches,
        reducers=0 if is_map_only else spec.reducers or default_reducers(size_bytes),
        items=None,
        size_bytes=size_bytes,
    )


def plan_inline(spec: JobSpec, *, is_map_only: bool) -> Plan:
    """Cut inline items into batches.

    Raises:
        InputError: There would be more than 100,000 batches.
    """
    items = spec.source.inline or ()
    step = min(spec.batching.max_items or INLINE_ITEMS_PER_BATCH, max(len(items), 1))
    return Plan(
        batches=_limited(_inline_batches(items, step), spec.batching),
        reducers=0 if is_map_only else spec.reducers or 1,
        items=len(items),
        size_bytes=0,
    )


def default_reducers(size_bytes: int) -> int:
    """Return one reducer for about every 16 MiB of source, 64 at most."""
    return max(1, min(MAX_DEFAULT_REDUCERS, round(size_bytes / BYTES_PER_REDUCER)))


def _limited(batches: Iterable[Batch], batching: BatchingSpec) -> tuple[Batch, ...]:
    """Collect *batches*, and stop cutting at the first that is one too many."""
    kept: list[Batch] = []
    for batch in batches:
        if len(kept) == MAX_BATCHES:
            name = "maxBytes" if batching.max_items is None else "maxItems"
            raise InputError(
                Issue(
                    ("input", "batching", name),
                    f"gives more than {MAX_BATCHES} batches, the limit; raise maxItems or maxBytes",
                )
            )
        kept.append(batch)
    return tuple(kept)


def _inline_batches(items: Sequence[Any], step: int) -> Iterator[Batch]:
    for start in range(0, len(items), step):
        yield Batch(items=tuple(items[start : start + step]), first_item=start)
