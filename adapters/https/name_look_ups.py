"""Look-ups of names that callers give, in threads of their own: some block for half a minute.

A tenant has a few at a time, so those of others find a thread. One that is given up still holds its
thread, and its tenant's turn, until the system has answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Final, TypeVar
from weakref import WeakValueDictionary

AT_ONCE: Final = 32
AT_ONCE_OF_A_TENANT: Final = 2

T = TypeVar("T")


class NameLookUps:
    """Runs look-ups; close it.

    Args:
        at_once: How many at a time.
        of_a_tenant: How many of these for one tenant.
    """

    def __init__(self, *, at_once: int = AT_ONCE, of_a_tenant: int = AT_ONCE_OF_A_TENANT) -> None:
        self._threads = ThreadPoolExecutor(at_once, thread_name_prefix="webhook-names")
        self._of_a_tenant = of_a_tenant
        self._turns: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()

    def close(self) -> None:
        """Begin no more; those that do not end are left alone."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, tenant: str, look_up: Callable[[], T]) -> T:
        """Return what *look_up* returns, when it was its turn; raises what it raises.

        Waits for as long as it takes: set a deadline around it.
        """
        turns = self._turns.get(tenant)
        if turns is None:
            turns = self._turns[tenant] = asyncio.Semaphore(self._of_a_tenant)
        await turns.acquire()
        loop = asyncio.get_running_loop()

        def end(_: object) -> None:
            with suppress(RuntimeError):  # the loop may be closed by then
                loop.call_soon_threadsafe(turns.release)

        running = self._threads.submit(look_up)
        running.add_done_callback(end)
        return await asyncio.wrap_future(running)
