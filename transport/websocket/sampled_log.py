"""A log line for the first of many, so that who sends rubbish does not fill the disk."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable


class SampledLog:
    """Writes at most one line in a while, with how many were left out since.

    Args:
        log: Where it goes.
        every_s: The while.
        clock: Gives the time in seconds.
    """

    def __init__(
        self,
        log: logging.Logger,
        *,
        every_s: float = 10.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._log = log
        self._every_s = every_s
        self._clock = clock
        self._next_at = 0.0
        self._left_out = 0

    def warning(self, message: str, *args: object) -> None:
        """Write the line, or count it."""
        now = self._clock()
        if now < self._next_at:
            self._left_out += 1
            return
        more = f" ({self._left_out} more since the last line)" if self._left_out else ""
        self._next_at = now + self._every_s
        self._left_out = 0
        self._log.warning(message + more, *args)
