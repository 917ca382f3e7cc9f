"""The context that a program's functions receive: parameters in, counters and log lines out."""

from __future__ import annotations

import reprlib
from collections import deque
from collections.abc import Callable, Mapping
from copy import copy
from typing import Any, Final

from engine.batch import Place
from engine.errors import OutputError

MAX_COUNTERS: Final = 100
MAX_COUNT: Final = 2**53
MAX_LOG_LINES: Final = 100
MAX_LOG_LINE_LENGTH: Final = 1_000


class Context:
    """What one attempt of a task knows and reports.

    Counters and log lines are kept with the attempt and count only when it is committed.

    Attributes:
        params: The job's parameters, an instance of the program's ``params`` model, or a dict
            when it declares none.
        job_id: The job.
        task_id: The task within the job, such as ``map-3``.
        attempt: 1 for the first try of the task.
        position: Index within the batch of the item being mapped; None outside of a per-item map.
    """

    def __init__(
        self,
        *,
        params: Any,
        job_id: str = "",
        task_id: str = "",
        attempt: int = 1,
        locate: Callable[[int], Place] | None = None,
    ) -> None:
        self.params = params
        self.job_id = job_id
        self.task_id = task_id
        self.attempt = attempt
        self.position: int | None = None
        self.counters: dict[str, float] = {}
        self.log_lines: deque[str] = deque(maxlen=MAX_LOG_LINES)
        self._locate = locate

    def count(self, name: str, n: float = 1) -> None:
        """Add *n* to the job's counter *name*.

        Raises:
            OutputError: There would be more than 100 counters, or *n* is not a finite number of
                2**53 at most, up to which a double, and so JSON, counts exactly.
        """
        if not _counts_exactly(n):
            raise OutputError(
                f"counter {name!r}: {reprlib.repr(n)} is not a number from -2**53 to 2**53"
            )
        if name not in self.counters and len(self.counters) >= MAX_COUNTERS:
            raise OutputError(f"counter {name!r} is one too many: a job has {MAX_COUNTERS} at most")
        self.counters[name] = self.counters.get(name, 0) + n

    def log(self, text: str) -> None:
        """Keep a line with the attempt; the last 100 lines stay, 1,000 characters each."""
        line = str(text)[:MAX_LOG_LINE_LENGTH]
        # A file name may hold what UTF-8, and so the store, does not.
        self.log_lines.append(line.encode("utf-8", "replace").decode())

    def locate_by(self, locate: Callable[[int], Place]) -> None:
        """Have *locate* say where the item at a position of the batch came from."""
        self._locate = locate

    @property
    def place(self) -> Place | None:
        """Where the item being mapped came from; None outside of a per-item map."""
        if self._locate is None or self.position is None:
            return None
        return self._locate(self.position)

    def at(self, position: int) -> Context:
        """Return a context for one item that reports into this one."""
        own = copy(self)
        own.position = position
        return own

    def apart(self, position: int | None) -> Context:
        """Return a context for an item, or for several, whose counts ``take_in`` takes in."""
        own = copy(self)
        own.position = position
        own.counters = {}
        return own

    def take_in(self, counters: Mapping[str, float]) -> None:
        """Add to the job's counters what has been counted apart; all of it, or nothing.

        Raises:
            OutputError: As for ``count``.
        """
        before = dict(self.counters)
        try:
            for name, n in counters.items():
                self.count(name, n)
        except OutputError:
            self.counters.clear()
            self.counters.update(before)
            raise


def _counts_exactly(n: object) -> bool:
    return isinstance(n, int | float) and abs(n) <= MAX_COUNT
