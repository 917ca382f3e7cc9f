"""How far a job is, as one number, and how long it will still take."""

from __future__ import annotations

from typing import Final

MAP_SHARE: Final = 0.85
REDUCE_SHARE: Final = 0.12
MIN_RATIO_FOR_ETA: Final = 0.02


def ratio(
    *,
    maps: int | None,
    mapped: int,
    reducers: int | None,
    reduced: int,
    bytes_read: int,
    bytes_total: int | None,
) -> float | None:
    """Return the share of the work that is committed, 0 to 1; None before the plan.

    It counts committed work only, so it never falls within a run. The last few percent stand for
    writing the result, so it is 1 only at the end.

    Args:
        maps: Map tasks; None before the plan.
        mapped: Those that are committed.
        reducers: Reduce tasks that the plan wants; 0 for a map-only job, None before the plan.
        reduced: Those that are committed.
        bytes_read: Bytes of the source in committed map tasks.
        bytes_total: Bytes of the source; None before the plan, 0 for inline items.
    """
    if maps is None or reducers is None:
        return None
    reduce_share = REDUCE_SHARE if reducers else 0.0
    map_share = _share(bytes_read, bytes_total) if bytes_total else _share(mapped, maps)
    whole = MAP_SHARE + REDUCE_SHARE - reduce_share
    return whole * map_share + reduce_share * _share(reduced, reducers)


def eta_s(share: float | None, *, elapsed_s: float) -> float | None:
    """Return the seconds still to go if the rest goes as fast as what is done; None too early."""
    if share is None or share < MIN_RATIO_FOR_ETA:
        return None
    return elapsed_s * (1 - share) / share


def _share(done: int, total: int) -> float:
    return min(1.0, done / total) if total else 1.0
