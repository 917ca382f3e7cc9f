"""Turns at what there is too little of: tenants alternate, and of one tenant only a few wait."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from engine.errors import QuotaExceededError

RETRY_AFTER_S: Final = 1.0


class Turns:
    """A semaphore that tenants hold in turns.

    Whoever has had a turn comes after all other tenants that wait then; within a tenant the order
    is that of arrival. So a newcomer waits for the turns that are being held, and for one of each
    other tenant that waits; how many more these have waiting makes no difference. Not thread-safe.

    Args:
        what: What turns are for, in the plural, for messages.
        at_once: How many turns there are at the same time.
        of_one: How many of them one tenant may hold.
        waiting: How many of one tenant may wait; more are refused.
    """

    def __init__(self, what: str, *, at_once: int = 1, of_one: int = 1, waiting: int) -> None:
        self._what = what
        self._free = at_once
        self._of_one = of_one
        self._limit = waiting
        self._held: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, tenant: str) -> AsyncIterator[None]:
        """Hold a turn while the context is open; raises as ``take``."""
        await self.take(tenant)
        try:
            yield
        finally:
            self.give_back(tenant)

    async def take(self, tenant: str) -> None:
        """Wait for a turn, which is to be given back; whoever is cancelled meanwhile has none.

        Raises:
            QuotaExceededError: As many of the tenant wait as may.
        """
        if tenant not in self._waiting and self._may_hold(tenant):
            self._hold(tenant)
            return
        queue = self._waiting.get(tenant, deque())
        if len(queue) >= self._limit:
            raise QuotaExceededError(
                f"{len(queue)} {self._what} of the tenant wait already, as many as may",
                retry_after_s=RETRY_AFTER_S,
            )
        turn = asyncio.get_running_loop().create_future()
        queue.append(turn)
        self._waiting[tenant] = queue
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._leave(tenant, turn)
            else:  # it had been given in the same moment
                self.give_back(tenant)
            raise

    def give_back(self, tenant: str) -> None:
        """End a turn of *tenant*, which then comes after the others."""
        self._free += 1
        self._held[tenant] -= 1
        if not self._held[tenant]:
            del self._held[tenant]
        if tenant in self._waiting:
            self._waiting.move_to_end(tenant)
        self._hand_out()

    def waiting_of(self, tenant: str) -> int:
        """Return how many of *tenant* wait."""
        return len(self._waiting.get(tenant, ()))

    def _may_hold(self, tenant: str) -> bool:
        return self._free > 0 and self._held[tenant] < self._of_one

    def _hold(self, tenant: str) -> None:
        self._free -= 1
        self._held[tenant] += 1

    def _hand_out(self) -> None:
        for tenant, queue in list(self._waiting.items()):
            turn = next((turn for turn in queue if not turn.done()), None)  # others are leaving
            if turn is None or not self._may_hold(tenant):
                continue
            self._hold(tenant)
            self._leave(tenant, turn)
            if tenant in self._waiting:
                self._waiting.move_to_end(tenant)
            turn.set_result(None)

    def _leave(self, tenant: str, turn: asyncio.Future[None]) -> None:
        queue = self._waiting[tenant]
        queue.remove(turn)
        if not queue:
            del self._waiting[tenant]
