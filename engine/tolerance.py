"""How many failed items a job lives with."""

from __future__ import annotations

from engine.job import JobError


def is_tolerated(failed: int, *, most: int, percentage: float, total: int | None) -> bool:
    """Return whether no more items have failed than may.

    Args:
        failed: How many have.
        most: How many may; 0 for no such limit, unless *percentage* is 0 as well.
        percentage: Which share of all items may; likewise.
        total: Number of all items. A share of what is not known yet is looked at when it is.
    """
    if failed == 0:
        return True
    if most == 0 and percentage == 0:
        return False
    if most > 0 and failed > most:
        return False
    return percentage == 0 or total is None or failed * 100 <= percentage * total


def intolerable(failed: int, *, last: str, task: str | None = None) -> JobError:
    """Return why a job has ended of which more items failed than may.

    Args:
        failed: How many did.
        last: Why the last of them did.
        task: The task at which it showed.
    """
    failing = "item has" if failed == 1 else "items have"
    return JobError(
        code="TOLERANCE_EXCEEDED",
        message=f"{failed} {failing} failed, more than the job tolerates; the last: {last}",
        task_id=task,
    )
