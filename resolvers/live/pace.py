"""A pace: keeps two sends of one follower apart."""

from __future__ import annotations

import asyncio


class Pace:
    """Lets the first through at once, and each other when the interval is over."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._ready_at = 0.0

    def start(self) -> None:
        """Begin an interval now."""
        self._ready_at = asyncio.get_running_loop().time() + self._interval_s

    async def ready(self) -> None:
        """Wait for the end of the interval."""
        delay_s = self._ready_at - asyncio.get_running_loop().time()
        if delay_s > 0:
            await asyncio.sleep(delay_s)
