"""What a map task sets aside instead of failing: item by item, within bounds."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import orjson

from engine.errors import TaskError
from engine.job import ItemFailure, JobError, TaskId
from engine.source.salvage import Unreadable
from engine.spec import FailurePolicy

PREVIEW_BYTES: Final = 4 * 1024
MAX_LISTED: Final = 10_000
DETAIL_BYTES: Final = 8 * 1024 * 1024
BRIEF_BYTES: Final = 200
A_FEW: Final = 10


class Aside:
    """The items of one attempt that failed.

    The first 10,000 are listed, all are counted. Previews and messages of one attempt have 8 MiB
    together; what comes after is cut at 200 bytes.

    Args:
        task: Whose items they are.

    Attributes:
        items: How many there are.
        records: How many of these are no items, since they cannot be read.
    """

    def __init__(self, task: TaskId) -> None:
        self._task = task
        self._listed: list[ItemFailure] = []
        self._rest: ItemFailure | None = None
        self._detail_bytes = 0
        self.items = 0
        self.records = 0

    def add(self, place: object, item: Any, error: TaskError | JobError) -> None:
        """Set an item aside.

        Args:
            place: Where it came from.
            item: The item, or the bytes that are none.
            error: Why.
        """
        self.items += 1
        known = error if isinstance(error, JobError) else job_error(error)
        if len(self._listed) + 1 >= MAX_LISTED and self._rest is None:
            self._rest = ItemFailure("", "", replace(known, task_id=self._task), items=0)
        if self._rest is not None:
            self._rest = replace(self._rest, items=self._rest.items + 1)
            return
        limit = PREVIEW_BYTES if self._detail_bytes < DETAIL_BYTES else BRIEF_BYTES
        preview = preview_of(item, limit_bytes=limit)
        message = _cut(known.message, limit)
        self._detail_bytes += len(preview) + len(message)
        shown = replace(known, message=message, task_id=self._task)
        self._listed.append(ItemFailure(_cut(str(place), PREVIEW_BYTES), preview, shown))

    def add_unreadable(self, found: Unreadable) -> None:
        """Set aside what is no item."""
        self.records += 1
        self.add(found.place, found.data, found.error)

    def failures(self) -> tuple[ItemFailure, ...]:
        """Return all failures; the last one may stand for all that are not listed."""
        if self._rest is None:
            return tuple(self._listed)
        location = f"{self._rest.items} more items of {self._task}"
        return (*self._listed, replace(self._rest, location=location))


def preview_of(item: Any, *, limit_bytes: int = PREVIEW_BYTES) -> str:
    """Return *item* as text, or as JSON where it is something else, cut at *limit_bytes*."""
    if isinstance(item, bytes):
        return _cut(item[: 2 * limit_bytes].decode("utf-8", "replace"), limit_bytes)
    if isinstance(item, str):
        return _cut(item, limit_bytes)
    try:
        return _cut(orjson.dumps(item, default=str).decode(), limit_bytes)
    except TypeError:
        return _cut(repr(item), limit_bytes)


def job_error(error: TaskError) -> JobError:
    """Return *error* as it is kept."""
    return JobError(code=error.code, message=error.message, retryable=error.retryable)


def worth_finding(policy: FailurePolicy, *, limit: int) -> int:
    """Return how many guilty items to look for where each one costs a search.

    More than are tolerated, by a few, end the job anyway; of a share nobody here knows the whole.
    """
    if policy.tolerated_failure_percentage > 0 and policy.tolerated_failure_count == 0:
        return limit
    return min(limit, policy.tolerated_failure_count + A_FEW)


def _cut(text: str, limit_bytes: int) -> str:
    """Return *text* as UTF-8 can hold it, cut between characters."""
    encoded = text[:limit_bytes].encode("utf-8", "replace")
    return encoded[:limit_bytes].decode("utf-8", "ignore")
