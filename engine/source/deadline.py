"""Until when a source may be looked at.

A task has a time limit of its own and is killed; whoever looks at a source in a thread, which
nobody can kill, sets a deadline, and loops over files and what is in them ask for it. It is not
handed down: a listing is many generators deep. Not promised: that one request to a store, or
one file's footer, is cut short.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

from engine.errors import SourceError

T = TypeVar("T")


class Deadline:
    """The end of the time for one look at a source.

    Args:
        within_s: How long it may take from now on.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        self._at = time.monotonic() + within_s

    def expire(self) -> None:
        """End the time now; may be called from another thread."""
        self._at = 0.0

    def run(self, look: Callable[[], T]) -> T:
        """Return what *look* does, called under this deadline."""
        token = _present.set(self)
        try:
            return look()
        finally:
            _present.reset(token)

    def check(self) -> None:
        """Raise if the time is over; see ``check_deadline``."""
        if time.monotonic() >= self._at:
            raise SourceError(
                f"looking at the source took longer than {self._within_s:g} s; "
                "name fewer files, or give a manifest"
            )


_present: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


def check_deadline() -> None:
    """Go on unless there is a deadline and it has passed.

    Raises:
        SourceError: It has.
    """
    deadline = _present.get()
    if deadline is not None:
        deadline.check()
