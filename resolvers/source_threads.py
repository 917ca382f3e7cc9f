"""Threads in which sources are looked at, so that nothing else waits for slow or many files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Final, TypeVar

from engine.source.deadline import Deadline
from engine.turns import Turns

THREADS: Final = 12
THREADS_OF_ONE: Final = 4
MAX_WAITING: Final = 1_000
LOOKS_WITHIN_S: Final = 60.0

T = TypeVar("T")


class SourceThreads:
    """A few threads, of which one tenant has four at most; tenants take turns at them.

    Args:
        threads: How many there are.
        of_one: How many of them one tenant may have.
        waiting: How many looks of one tenant may wait.
        within_s: How long one look may take.
    """

    def __init__(
        self,
        *,
        threads: int = THREADS,
        of_one: int = THREADS_OF_ONE,
        waiting: int = MAX_WAITING,
        within_s: float = LOOKS_WITHIN_S,
    ) -> None:
        self._within_s = within_s
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="source")
        self._turns = Turns("looks at sources", at_once=threads, of_one=of_one, waiting=waiting)
        self._running: set[Deadline] = set()

    async def run(self, tenant: str, look: Callable[[], T]) -> T:
        """Return what *look* does in a thread, in the tenant's turn.

        Cancelling this ends the wait at once, and the look when it next asks for its deadline;
        until then it keeps its thread.

        Raises:
            QuotaExceededError: As many looks of the tenant wait as may.
            SourceError: It took too long.
        """
        await self._turns.take(tenant)
        deadline = Deadline(self._within_s)
        context = copy_context()
        try:
            running = asyncio.get_running_loop().run_in_executor(
                self._pool, lambda: context.run(lambda: deadline.run(look))
            )
        except BaseException:
            self._turns.give_back(tenant)
            raise
        self._running.add(deadline)

        def end(ended: asyncio.Future[T]) -> None:
            self._running.discard(deadline)
            self._turns.give_back(tenant)
            if not ended.cancelled():
                ended.exception()  # nobody else hears of it when the caller has left

        running.add_done_callback(end)
        try:
            return await asyncio.shield(running)
        except asyncio.CancelledError:
            deadline.expire()
            raise

    def close(self) -> None:
        """Have what runs end soon; nothing is begun any more."""
        for deadline in self._running:
            deadline.expire()
        self._pool.shutdown(wait=False, cancel_futures=True)
