"""How fast new connections that stay may come, so that a process keeps answering the others.

After a restart all who followed come back at once. They are let in by lots, and between one and the
next the event loop goes round, so that nobody else waits for more than one. Who waits costs
nothing, and who would wait for too long is told when to come again.

Owns the pace; knows nothing of who connects: that is learnt afterwards and is what costs.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections import deque
from typing import Final, TypeAlias

from engine.meters import UNMEASURED, AdmissionMeter
from transport.operations import RequestError

WAITS_UP_TO_S: Final = 8.0
"""Below the 10 s that clients wait for a handshake; browsers never see why they were refused."""
LOT_EVERY_S: Final = 0.01
LONGEST_RETRY_S: Final = 10.0

Turn: TypeAlias = asyncio.Future[None]

_log = logging.getLogger(__name__)


class CrowdedError(Exception):
    """Too many wait already, or it took too long.

    Attributes:
        retry_after_s: When to come again; spread, so that not all do at once.
    """

    def __init__(self) -> None:
        super().__init__("too many connect at once")
        longest_s = LONGEST_RETRY_S
        self.retry_after_s = math.ceil(random.uniform(1, longest_s))  # noqa: S311 - spreads


class Admission:
    """Gives those who connect their turns, in the order in which they come.

    A lot is the next one's share of a second, and follows the one before when the event loop has
    gone round: where that takes longer, the pace is what the process can do.

    Args:
        per_s: How many a second at most; 0 for any number.
        meter: Hears of those who waited or were refused.
    """

    def __init__(self, per_s: int = 0, *, meter: AdmissionMeter = UNMEASURED) -> None:
        self._lot = max(1, round(per_s * LOT_EVERY_S)) if per_s else 0
        self._every_s = self._lot / per_s if per_s else 0.0
        self._most = math.ceil(per_s * WAITS_UP_TO_S)
        self._meter = meter
        self._left = self._lot
        self._live = 0
        self._waiting: deque[tuple[Turn, float]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def turn(self) -> Turn | None:
        """Return what is done when it is the turn of one more; None where that is now.

        Cancel it to leave. It ends with ``CrowdedError`` when that has taken too long.

        Raises:
            CrowdedError: Too many wait already.
        """
        if not self._lot:
            return None
        loop = asyncio.get_running_loop()
        if self._timer is None:
            self._timer = loop.call_later(self._every_s, self._let_in, loop)
        if self._left and not self._waiting:
            self._left -= 1
            self._meter.admitted("at once")
            return None
        if self._live >= self._most:
            raise self._crowded()
        turn: Turn = loop.create_future()
        self._live += 1
        turn.add_done_callback(self._leave)
        self._waiting.append((turn, loop.time() + WAITS_UP_TO_S))
        return turn

    async def wait(self) -> None:
        """Return when it is the turn of one more.

        Raises:
            RequestError: That would take too long.
        """
        try:
            turn = self.turn()
            if turn is not None:
                await turn
        except CrowdedError as exc:
            again = {"Retry-After": str(exc.retry_after_s)}
            raise RequestError.of(
                f"{exc}; come again", code="UNAVAILABLE", status=503, headers=again
            ) from None

    def _let_in(self, loop: asyncio.AbstractEventLoop) -> None:
        is_idle = self._left == self._lot and not self._waiting
        self._left = self._lot
        if is_idle:
            self._timer = None
            return
        self._timer = loop.call_later(self._every_s, self._let_in, loop)
        now = loop.time()
        while self._waiting and self._left:
            turn, until = self._waiting.popleft()
            if turn.done():  # who waited has gone
                continue
            if now > until:
                turn.set_exception(self._crowded())
                continue
            self._left -= 1
            self._meter.admitted("delayed")
            turn.set_result(None)

    def _leave(self, _: Turn) -> None:
        self._live -= 1

    def _crowded(self) -> CrowdedError:
        self._meter.admitted("refused")
        _log.warning("too many connect at once: some are told to come again")
        return CrowdedError()
