"""How far a job is, as one number, and how long it will still take."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from engine.job import TaskCounts

MAP_SHARE: Final = 0.85
REDUCE_SHARE: Final = 0.12
MIN_RATIO_FOR_ETA: Final = 0.02


@dataclass(frozen=True, slots=True)
class Progress:
    """What has been committed of what there is to do.

    Attributes:
        map: Map tasks.
        reduce: Reduce tasks.
        reducers: Reduce tasks that the plan wants; 0 for a map-only job, None before the plan.
        bytes_read: Bytes of the source in committed map tasks.
        bytes_total: Bytes of the source; None before the plan, 0 for inline items.
    """

    map: TaskCounts
    reduce: TaskCounts
    reducers: int | None
    bytes_read: int
    bytes_total: int | None


def ratio(progress: Progress) -> float | None:
    """Return the share of the work that is committed, 0 to 1; None before the plan.

    It counts committed work only, so it never falls within a run. The last few percent stand for
    writing the result, so it is 1 only at the end.
    """
    if progress.map.total is None or progress.reducers is None:
        return None
    reduce_share = REDUCE_SHARE if progress.reducers else 0.0
    mapped = _share(progress.map.succeeded, progress.map.total)
    if progress.bytes_total:
        mapped = _share(progress.bytes_read, progress.bytes_total)
    reduced = _share(progress.reduce.succeeded, progress.reducers)
    return (MAP_SHARE + REDUCE_SHARE - reduce_share) * mapped + reduce_share * reduced


def eta_s(share: float | None, *, elapsed_s: float) -> float | None:
    """Return the seconds still to go if the rest goes as fast as what is done; None too early."""
    if share is None or share < MIN_RATIO_FOR_ETA:
        return None
    return elapsed_s * (1 - share) / share


def _share(done: int, total: int) -> float:
    return min(1.0, done / total) if total else 1.0
