"""Progress never goes back and is never more than all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.progress import MIN_RATIO_FOR_ETA, eta_s, ratio


@st.composite
def runs(draw: st.DrawFn) -> list[float | None]:
    """Return how far a job is from before its plan on, commit by commit."""
    reducers = draw(st.integers(0, 5))
    sizes = draw(st.lists(st.integers(0, 2**40), max_size=8))
    has_bytes = draw(st.booleans())
    total = draw(st.sampled_from([sum(sizes), sum(sizes) // 2])) if has_bytes else 0
    ratios = [ratio_of(maps=None, reducers=None)]
    read = 0
    known = {"maps": len(sizes), "reducers": reducers, "bytes_total": total}
    for done in range(len(sizes) + 1):
        ratios.append(ratio_of(**known, mapped=done, bytes_read=read))
        read += sizes[done] if done < len(sizes) else 0
    for done in range(reducers + 1):
        ratios.append(ratio_of(**known, mapped=len(sizes), reduced=done, bytes_read=read))
    return ratios


def ratio_of(
    *,
    maps: int | None,
    reducers: int | None,
    mapped: int = 0,
    reduced: int = 0,
    bytes_read: int = 0,
    bytes_total: int | None = None,
) -> float | None:
    return ratio(
        maps=maps,
        mapped=mapped,
        reducers=reducers,
        reduced=reduced,
        bytes_read=bytes_read,
        bytes_total=bytes_total,
    )


@given(run=runs())
def test_the_ratio_never_falls_and_stays_within_0_and_1(run: list[float | None]) -> None:
    assert run[0] is None
    known = [value for value in run if value is not None]
    assert len(known) == len(run) - 1
    assert all(0 <= value < 1 for value in known)
    assert all(before <= after for before, after in pairwise(known))


@given(run=runs())
def test_only_the_end_of_the_job_makes_it_whole(run: list[float | None]) -> None:
    assert run[-1] == pytest.approx(0.97)


def test_it_is_unknown_before_the_plan() -> None:
    assert ratio_of(maps=None, reducers=None) is None
    assert ratio_of(maps=3, reducers=None) is None


def test_bytes_count_rather_than_tasks_where_they_are_known() -> None:
    found = ratio_of(maps=2, mapped=1, reducers=0, bytes_read=90, bytes_total=100)

    assert found == pytest.approx(0.97 * 0.9)


@given(share=st.floats(MIN_RATIO_FOR_ETA, 1), elapsed_s=st.just(0.0) | st.floats(0.001, 1e9))
def test_the_time_to_go_is_as_the_time_gone(share: float, elapsed_s: float) -> None:
    left = eta_s(share, elapsed_s=elapsed_s)

    assert left is not None
    assert 0 <= left <= elapsed_s * 49.01


@pytest.mark.parametrize("share", [None, 0.0, 0.019])
def test_there_is_no_estimate_too_early(share: float | None) -> None:
    assert eta_s(share, elapsed_s=10) is None
