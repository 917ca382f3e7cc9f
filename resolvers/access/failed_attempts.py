"""How soon an attempt that failed is answered: at once when few fail, late when many do."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Final

BURST: Final = 100.0
PER_S: Final = 10.0
PAUSE_S: Final = 1.0
TOLD_EVERY_S: Final = 60.0

log = logging.getLogger(__name__)


class FailedAttempts:
    """A bucket of ``BURST`` answers that may be given at once; it fills by ``PER_S``.

    Only failed attempts take from it, so nobody can lock out those who know what to show.
    """

    def __init__(self) -> None:
        self._left = BURST
        self._at = time.monotonic()
        self._told_at = float("-inf")

    async def pause(self) -> None:
        """Wait as long as the answer is to be held back."""
        now = time.monotonic()
        self._left = min(BURST, self._left + (now - self._at) * PER_S)
        self._at = now
        if self._left >= 1:
            self._left -= 1
            return
        if now - self._told_at > TOLD_EVERY_S:
            self._told_at = now
            log.warning("many tokens are refused: somebody may be guessing; answers come late")
        await asyncio.sleep(PAUSE_S)
