"""The layout of what Redis holds, so that two versions of the service never work on one job."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from adapters.redis.client import reply, translated
from engine.errors import ConfigError

LAYOUT: Final = 3
"""Raised with every change of a key or field that a script of another version would misread."""
LAYOUT_KEY: Final = "fanfold:layout"
_OF_JOBS: Final = (
    "fanfold:expiry",
    "fanfold:leases",
    "fanfold:queue:process",
    "fanfold:queue:loop",
)


async def require_layout(redis: Redis) -> None:
    """Claim an empty Redis for this layout, or see that it has it already.

    Raises:
        ConfigError: It holds jobs in another layout.
        UnavailableError: Redis does not answer.
    """
    with translated():
        if not await reply(redis.exists(LAYOUT_KEY, *_OF_JOBS)):
            await redis.set(LAYOUT_KEY, LAYOUT, nx=True)
        found = await redis.get(LAYOUT_KEY)
    kept = 1 if found is None else int(found)
    if kept != LAYOUT:
        raise ConfigError(
            f"FANFOLD_REDIS_URL: this Redis holds jobs of another version (layout {kept}, this one"
            f" has {LAYOUT}): let them end with that version and empty the database, or use another"
        )
