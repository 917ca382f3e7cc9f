"""A doorbell that rings by the clock, where no store tells of changes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from engine.bell import ANY_JOB, OnRing

INTERVAL_S: Final = 0.25


class ClockBell:
    """Implements ``engine.bell.Bell``: every listener is told to look, again and again.

    Args:
        interval_s: How long a change may stay unseen.
    """

    def __init__(self, interval_s: float = INTERVAL_S) -> None:
        self._interval_s = interval_s

    @asynccontextmanager
    async def listen(self, topic: str, on_ring: OnRing) -> AsyncIterator[None]:
        """Call *on_ring* by the clock; see ``Bell``."""
        detach = self.attach(topic, on_ring)
        try:
            yield
        finally:
            detach()

    def attach(self, topic: str, on_ring: OnRing) -> Callable[[], None]:
        """Call *on_ring* by the clock, and at once; see ``Bell``."""
        ringing = _Ringing(on_ring, self._interval_s)
        return ringing.stop


class _Ringing:
    def __init__(self, on_ring: OnRing, interval_s: float) -> None:
        self._on_ring = on_ring
        self._interval_s = interval_s
        self._loop = asyncio.get_running_loop()
        self._next: asyncio.Handle = self._loop.call_soon(self._ring)

    def stop(self) -> None:
        self._next.cancel()

    def _ring(self) -> None:
        self._next = self._loop.call_later(self._interval_s, self._ring)
        self._on_ring(ANY_JOB)
