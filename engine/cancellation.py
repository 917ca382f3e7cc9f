"""Cancelling tasks for good, and finishing what must be finished meanwhile.

On Python 3.11 ``asyncio.wait_for`` may return a result that was just ready instead of raising the
cancellation, so a loop around a client library can outlive one ``cancel``. Asking again ends it;
what may not be cut short is run by ``finish``.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final

ASK_AGAIN_AFTER_S: Final = 0.1


async def cancel_all(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel *tasks* and wait until all of them have ended, however they end."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=ASK_AGAIN_AFTER_S)


async def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* to its end, however often this task is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.shield(task)
    task.result()
