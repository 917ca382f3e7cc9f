"""What to do after an attempt ended its process: which of its items is to blame."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from engine.attempt import Attempt
from engine.errors import TaskTimeoutError
from engine.isolation.aside import worth_finding
from engine.isolation.mark import Marked
from engine.job import JobError
from engine.spec import FailurePolicy

MAX_RESTARTS: Final = 1_000
GUILTY_SHARE: Final = 0.1
"""Of the time limit. An item that had less is one of many, none of which is to blame."""


def narrowed(
    attempt: Attempt, marked: Marked | None, error: JobError, policy: FailurePolicy
) -> Attempt | None:
    """Return the attempt to run next, with one item set aside or a range cut in two.

    Args:
        attempt: What was run.
        marked: What was under way when its process ended, or when its time was over.
        error: How it ended.
        policy: How many may fail.

    Returns:
        None when there is no more to find out: nothing was under way; the item had but a small
        part of the time; or more items were set aside than are tolerated, by a few.
    """
    if marked is None:
        return None
    if attempt.timeout_s is not None and error.code == TaskTimeoutError.code:
        if marked.for_s < GUILTY_SHARE * attempt.timeout_s:
            return None
    if marked.end - marked.start == 1:
        known = {position for position, _ in attempt.aside}
        if marked.start in known or len(known) >= worth_finding(policy, limit=MAX_RESTARTS):
            return None
        return replace(attempt, aside=(*attempt.aside, (marked.start, error)))
    middle = (marked.start + marked.end) // 2
    if middle in attempt.cuts:
        return None
    cuts = {*attempt.cuts, marked.start, middle, marked.end} - {0}
    return replace(attempt, cuts=tuple(sorted(cuts)))
