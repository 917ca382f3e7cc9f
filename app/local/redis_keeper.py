"""Keeps the private redis-server running: one that dies is started again on the same data.

Everybody else waits meanwhile: clients of Redis try again by themselves, and what was accepted is
in the file that every change is appended to.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from typing import Final, NoReturn

from app.local.embedded_redis import EmbeddedRedis
from engine.errors import ConfigError

STARTS_IN_A_ROW: Final = 5
STEADY_AFTER_S: Final = 10.0
_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 2.0

log = logging.getLogger(__name__)


async def keep_redis(redis: EmbeddedRedis) -> NoReturn:
    """Start *redis* again whenever it has ended, until cancelled.

    Pauses grow with every end, until a server has run for ``STEADY_AFTER_S``.

    Raises:
        ConfigError: It did not start ``STARTS_IN_A_ROW`` times, with the end of its log.
    """
    ends = 0
    while True:
        since = time.monotonic()
        status = await redis.wait()
        if time.monotonic() - since > STEADY_AFTER_S:
            ends = 0
        log.warning("redis-server ended with %d: starting it again", status)
        await asyncio.sleep(_pause_s(ends))
        await _start_again(redis)
        ends += 1


async def _start_again(redis: EmbeddedRedis) -> None:
    for failures in itertools.count(1):
        try:
            await redis.start_again()
        except (ConfigError, OSError) as exc:
            if failures == STARTS_IN_A_ROW:
                raise ConfigError(
                    f"redis-server did not start {failures} times in a row; every accepted job is "
                    f"kept and goes on when the service is started again. The last time: {exc}"
                ) from exc
            log.warning("redis-server did not start: %s", exc)
            await asyncio.sleep(_pause_s(failures))
        else:
            return


def _pause_s(ends: int) -> float:
    return min(_FIRST_PAUSE_S * 2.0**ends, _LONGEST_PAUSE_S)
