"""A time limit for code of this very thread, where no process of its own can be killed."""

from __future__ import annotations

import math
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from engine.errors import TaskTimeoutError


class _OutOfTime(BaseException):
    """Passes ``except Exception`` of programs."""


@contextmanager
def time_limit(seconds: float | None, *, of: str) -> Iterator[None]:
    """Interrupt the block by SIGALRM when it takes longer.

    Native code is interrupted when it next lets Python see its signals. Outside of the main thread,
    where there are no signals, there is no limit.

    Args:
        seconds: How long the block may take; None for any time.
        of: What the error says has run too long.

    Raises:
        TaskTimeoutError: It took longer.
    """
    if seconds is None or threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise _OutOfTime

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, math.ulp(1)))
    try:
        yield
    except _OutOfTime:
        raise TaskTimeoutError(f"{of} ran longer than {seconds:g} s") from None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
