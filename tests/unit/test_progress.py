"""Progress never goes back and is never more than all."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.job import TaskCounts
from engine.progress import MIN_RATIO_FOR_ETA, Progress, eta_s, ratio


def counts(total: int | None, succeeded: int) -> TaskCounts:
    return TaskCounts(total=total, pending=0, running=0, succeeded=succeeded, failed=0, retried=0)


@st.composite
def runs(draw: st.DrawFn) -> list[Progress]:
    """Return the progress of a job from before its plan, commit by commit."""
    reducers = draw(st.integers(0, 5))
    sizes = draw(st.lists(st.integers(0, 2**40), max_size=8))
    has_bytes = draw(st.booleans())
    total = draw(st.sampled_from([sum(sizes), sum(sizes) // 2])) if has_bytes else 0
    steps = [Progress(counts(None, 0), counts(None, 0), None, 0, None)]
    read = 0
    for done in range(len(sizes) + 1):
        steps.append(Progress(counts(len(sizes), done), counts(reducers, 0), reducers, read, total))
        read += sizes[done] if done < len(sizes) else 0
    for done in range(reducers + 1):
        steps.append(
            Progress(counts(len(sizes), len(sizes)), counts(reducers, done), reducers, read, total)
        )
    return steps


@given(run=runs())
def test_the_ratio_never_falls_and_stays_within_0_and_1(run: list[Progress]) -> None:
    ratios = [ratio(step) for step in run]

    assert ratios[0] is None
    known = [value for value in ratios if value is not None]
    assert len(known) == len(ratios) - 1
    assert all(0 <= value < 1 for value in known)
    assert all(before <= after for before, after in pairwise(known))


@given(run=runs())
def test_only_the_end_of_the_job_makes_it_whole(run: list[Progress]) -> None:
    assert ratio(run[-1]) == pytest.approx(0.97)


def test_it_is_unknown_before_the_plan() -> None:
    assert ratio(Progress(counts(None, 0), counts(None, 0), None, 0, None)) is None
    assert ratio(Progress(counts(3, 0), counts(None, 0), None, 0, None)) is None


def test_bytes_count_rather_than_tasks_where_they_are_known() -> None:
    progress = Progress(counts(2, 1), counts(0, 0), 0, 90, 100)

    assert ratio(progress) == pytest.approx(0.97 * 0.9)


@given(share=st.floats(MIN_RATIO_FOR_ETA, 1), elapsed_s=st.just(0.0) | st.floats(0.001, 1e9))
def test_the_time_to_go_is_as_the_time_gone(share: float, elapsed_s: float) -> None:
    left = eta_s(share, elapsed_s=elapsed_s)

    assert left is not None
    assert 0 <= left <= elapsed_s * 49.01


@pytest.mark.parametrize("share", [None, 0.0, 0.019])
def test_there_is_no_estimate_too_early(share: float | None) -> None:
    assert eta_s(share, elapsed_s=10) is None
