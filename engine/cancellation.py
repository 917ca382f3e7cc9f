"""Cancelling tasks for good, and finishing what must be finished meanwhile.

On Python 3.11 ``asyncio.wait_for`` may return a result that was just ready instead of raising the
cancellation, so a loop around a client library can outlive one ``cancel``. Asking again ends it;
what may not be cut short is run by ``finish``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final, TypeVar

ASK_AGAIN_AFTER_S: Final = 0.1

T = TypeVar("T")


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait until all of them have ended, however they end."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN_AFTER_S)


async def finish(work: Coroutine[Any, Any, T], *, within_s: float | None = None) -> T:
    """Await *work* to its end, however often this task is cancelled meanwhile.

    Half of it would leave something that is neither done nor undone.

    Args:
        work: What must not be cut short.
        within_s: How much longer it may take once this task has been cancelled; None for as long
            as it takes.

    Returns:
        What *work* returns.

    Raises:
        CancelledError: It took longer than *within_s*.
    """
    task = asyncio.ensure_future(work)
    giving_up: asyncio.TimerHandle | None = None
    try:
        while not task.done():
            with suppress(asyncio.CancelledError):
                return await asyncio.shield(task)
            if giving_up is None and within_s is not None:
                giving_up = asyncio.get_running_loop().call_later(within_s, task.cancel)
        return task.result()
    finally:
        if giving_up is not None:
            giving_up.cancel()
