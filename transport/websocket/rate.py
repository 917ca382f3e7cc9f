"""How much a connection may ask for."""

from __future__ import annotations

from collections.abc import Callable


class TokenBucket:
    """Lets *burst* through at once and *per_s* a second in the long run.

    Args:
        per_s: How many a second.
        burst: How many at once, after a rest.
        clock: Gives the time in seconds.
    """

    __slots__ = ("_at", "_burst", "_clock", "_left", "_per_s")

    def __init__(self, *, per_s: float, burst: float, clock: Callable[[], float]) -> None:
        self._per_s = per_s
        self._burst = burst
        self._clock = clock
        self._left = burst
        self._at = clock()

    def take(self) -> bool:
        """Return whether one more may pass."""
        now = self._clock()
        self._left = min(self._burst, self._left + (now - self._at) * self._per_s)
        self._at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
