"""The plan of a job: its batches and its number of reducers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final, NamedTuple, overload

from engine.batch import Batch
from engine.errors import InputError, Issue
from engine.program import Program
from engine.source.basket import Basket, Shares
from engine.source.choice import FileChoice
from engine.source.cut import cut_files
from engine.source.file import SourceFile
from engine.source.listing import list_entries, list_sources
from engine.source.objects import object_batches
from engine.source.sources import Sources
from engine.spec import BatchingSpec, FilesMode, JobSpec

BYTES_PER_REDUCER: Final = 16 * 1024 * 1024
SQL_BYTES_PER_REDUCER: Final = 64 * 1024 * 1024
BYTES_PER_ENTRY: Final = 256  # of a listing, about
MAX_DEFAULT_REDUCERS: Final = 64
INLINE_ITEMS_PER_BATCH: Final = 1_000
MAX_BATCHES: Final = 100_000
MIN_TARGET_BYTES: Final = 1024 * 1024
MAX_TARGET_BYTES: Final = 32 * 1024 * 1024
MAX_LARGE_BYTES: Final = 512 * 1024 * 1024
BATCHES_PER_JOB: Final = 8
COARSE_FROM_BYTES: Final = 128 * 1024 * 1024
MAX_COARSE_BYTES: Final = 64 * 1024 * 1024
COARSE_BATCHES_PER_JOB: Final = 4
BATCHES_FOR_PARTIALS: Final = 16
PARTIALS_FROM_BYTES: Final = 16 * 1024 * 1024


class Grain(Enum):
    """How large batches are, if neither ``maxItems`` nor ``maxBytes`` is given.

    The larger, the fewer keys are shuffled twice; the smaller, the sooner there is progress.
    """

    FINE = "an eighth of the source, 32 MiB at most"
    COARSE = "a quarter of a source of 128 MiB or more, 64 MiB at most; for what combines"
    LARGEST = "a share of each worker, 512 MiB at most; for SQL and columns"


class Grained(NamedTuple):
    """A grain, and the workers that share the source."""

    grain: Grain
    workers: int


@dataclass(frozen=True, slots=True)
class Plan:
    """How a job will be run.

    Attributes:
        batches: The input of each map task.
        reducers: Reduce tasks; 0 for a map-only job.
        items: Number of items, where it is known before reading.
        size_bytes: Bytes of the source's files.
    """

    batches: Sequence[Batch]
    reducers: int
    items: int | None
    size_bytes: int


def plan_files(
    spec: JobSpec,
    sources: Sources,
    *,
    is_map_only: bool,
    workers: int = 1,
    grain: Grain = Grain.FINE,
    resolved: str | None = None,
) -> Plan:
    """List the source's files and cut them into batches.

    The plan depends on the source and the spec alone, so that the same job gives the same files
    wherever it runs; for large batches also on the number of workers.

    Args:
        spec: The job; its items are not inline.
        sources: What may be read.
        is_map_only: Whether there is nothing to reduce.
        workers: Map tasks that run at once; counts for the largest batches alone.
        grain: How large batches are where the caller leaves it open.
        resolved: As in ``list_sources``.

    Raises:
        SourceError: A URI leads nowhere or where it must not.
        RecordError: A record is larger than the limit, or a file is not of its format.
        InputError: There would be more than 100,000 batches.
    """
    tally = _Tally()
    batches = _limited(
        _batches(spec, sources, tally, Grained(grain, workers), resolved), spec.batching
    )
    is_listing = _is_listing(spec)
    items = sum(batch.known_items for batch in batches) if is_listing else None
    size_bytes = 0 if is_listing else tally.size_bytes
    weight_bytes = BYTES_PER_ENTRY * items if items is not None else size_bytes
    return Plan(
        batches=batches,
        reducers=0 if is_map_only else spec.reducers or default_reducers(weight_bytes),
        items=items,
        size_bytes=size_bytes,
    )


def plan_batches(
    spec: JobSpec,
    sources: Sources,
    *,
    workers: int = 1,
    grain: Grain = Grain.FINE,
    resolved: str | None = None,
    choice: FileChoice | None = None,
) -> Iterator[Batch]:
    """Yield the batches of ``plan_files``, without limit, each as soon as it is full.

    *choice* leaves out files of which nothing will be used.

    Where the size of a batch follows from that of the source, all files are listed before the
    first batch; with ``maxItems`` or ``maxBytes``, and for a listing, none ahead of need.

    Raises:
        SourceError: As ``plan_files``.
        RecordError: As ``plan_files``.
    """
    return _batches(spec, sources, _Tally(), Grained(grain, workers), resolved, choice)


def plan_inline(spec: JobSpec, *, is_map_only: bool) -> Plan:
    """Cut inline items into batches.

    Raises:
        InputError: There would be more than 100,000 batches.
    """
    items = spec.source.inline or ()
    step = min(spec.batching.max_items or INLINE_ITEMS_PER_BATCH, max(len(items), 1))
    batches = InlineBatches(items, step)
    check_number(len(batches), spec.batching)
    return Plan(
        batches=batches,
        reducers=0 if is_map_only else spec.reducers or 1,
        items=len(items),
        size_bytes=0,
    )


def grain_of(program: Program) -> Grain:
    """Return how large the batches of a program in Python should be."""
    if program.columnar:
        return Grain.LARGEST
    return Grain.FINE if program.combine is None else Grain.COARSE


def target_batch_bytes(total_bytes: int, *, batches: int = BATCHES_PER_JOB) -> int:
    """Return the size of a batch where the caller leaves it open.

    An eighth of the source, so that some workers have something to do even for a small one, yet
    no more tasks than that, since each shuffles the keys that it shares with others anew. Between
    1 MiB, below which a task costs more than its work, and 32 MiB, which fit in memory.
    """
    return max(MIN_TARGET_BYTES, min(MAX_TARGET_BYTES, -(-total_bytes // batches)))


def large_batches(total_bytes: int, *, workers: int, at_least: int = 1) -> int:
    """Return the number of equal batches for work that is faster the more it has at once.

    The smallest multiple of the workers that gives at least *at_least* batches, none of more than
    512 MiB; fewer if they would have less than 1 MiB.
    """
    wanted = max(at_least, -(-total_bytes // MAX_LARGE_BYTES), 1)
    rounds = -(-wanted // workers)
    return max(1, min(rounds * workers, total_bytes // MIN_TARGET_BYTES))


def default_reducers(size_bytes: int) -> int:
    """Return one reducer for about every 16 MiB of source, 64 at most."""
    return max(1, min(MAX_DEFAULT_REDUCERS, round(size_bytes / BYTES_PER_REDUCER)))


def check_number(batches: int, batching: BatchingSpec) -> None:
    """Refuse more batches than a job may have.

    Raises:
        InputError: There are more than 100,000.
    """
    if batches > MAX_BATCHES:
        name = "maxBytes" if batching.max_items is None else "maxItems"
        message = f"gives more than {MAX_BATCHES} batches, the limit; raise maxItems or maxBytes"
        raise InputError(Issue(("input", "batching", name), message))


def sql_reducers(size_bytes: int, *, workers: int) -> int:
    """Return the number of reduce tasks of a job in SQL.

    As many for each worker as leave a task no more than 64 MiB of source, 64 at most in all.
    """
    rounds = max(1, -(-size_bytes // (SQL_BYTES_PER_REDUCER * workers)))
    return max(1, min(MAX_DEFAULT_REDUCERS, workers * rounds))


class _Tally:
    """Counts the bytes of the files that pass."""

    def __init__(self) -> None:
        self.size_bytes = 0

    def counted(self, files: Iterable[SourceFile]) -> Iterator[SourceFile]:
        for file in files:
            self.size_bytes += file.size_bytes
            yield file


def _batches(
    spec: JobSpec,
    sources: Sources,
    tally: _Tally,
    grained: Grained,
    resolved: str | None,
    choice: FileChoice | None = None,
) -> Iterator[Batch]:
    """Yield the batches."""
    if spec.source.inline is not None:
        raise ValueError("the source has no files")
    if _is_listing(spec):
        return object_batches(list_entries(spec, sources, choice=choice), spec.batching)
    listed = list_sources(spec, sources, resolved=resolved, choice=choice)
    files: Iterable[SourceFile] = tally.counted(listed)
    batching = spec.batching
    if batching.max_bytes is None and batching.max_items is None:
        files = list(files)
    return cut_files(files, spec.source.layout, _basket(spec, tally, grained), sources)


def _basket(spec: JobSpec, tally: _Tally, grained: Grained) -> Basket:
    batching, total_bytes = spec.batching, tally.size_bytes
    if batching.max_bytes is not None or batching.max_items is not None:
        is_largest = grained.grain is Grain.LARGEST
        most_bytes = MAX_LARGE_BYTES if is_largest else MAX_TARGET_BYTES
        return Basket(
            max_bytes=batching.max_bytes or most_bytes,
            max_items=batching.max_items,
        )
    is_followed = spec.partial_every_ms > 0 and total_bytes > PARTIALS_FROM_BYTES
    if grained.grain is not Grain.LARGEST or not total_bytes:
        is_coarse = grained.grain is Grain.COARSE and total_bytes >= COARSE_FROM_BYTES
        if is_coarse and not is_followed:
            batches = max(COARSE_BATCHES_PER_JOB, -(-total_bytes // MAX_COARSE_BYTES))
            return Shares(total_bytes=total_bytes, batches=batches)
        batches = BATCHES_FOR_PARTIALS if is_followed else BATCHES_PER_JOB
        return Basket(max_bytes=target_batch_bytes(total_bytes, batches=batches))
    at_least = BATCHES_FOR_PARTIALS if is_followed else 1
    return Shares(
        total_bytes=total_bytes,
        batches=large_batches(total_bytes, workers=grained.workers, at_least=at_least),
    )


def _is_listing(spec: JobSpec) -> bool:
    return spec.source.files is not None and spec.source.files.mode is FilesMode.OBJECTS


def _limited(batches: Iterable[Batch], batching: BatchingSpec) -> tuple[Batch, ...]:
    """Collect *batches*, and stop cutting at the first that is one too many."""
    kept: list[Batch] = []
    for batch in batches:
        kept.append(batch)
        check_number(len(kept), batching)
    return tuple(kept)


class InlineBatches(Sequence[Batch]):
    """Batches of items that came with the request, each cut when it is looked at.

    A request may lead to 100,000 of them, which would take long to make at once.

    Args:
        items: All items.
        step: Items of a batch.
    """

    def __init__(self, items: Sequence[Any], step: int) -> None:
        self._items = items
        self._step = step

    def __len__(self) -> int:
        return -(-len(self._items) // self._step)

    @overload
    def __getitem__(self, index: int) -> Batch: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Batch]: ...

    def __getitem__(self, index: int | slice) -> Batch | Sequence[Batch]:
        if isinstance(index, slice):
            return [self._batch(at) for at in range(*index.indices(len(self)))]
        return self._batch(range(len(self))[index])

    def _batch(self, index: int) -> Batch:
        first = index * self._step
        return Batch(items=self._items[first : first + self._step], first_item=first)
