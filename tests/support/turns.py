"""How often others of the event loop have their turn while something is done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable


async def turns_of_others(work: Awaitable[object]) -> int:
    """Await *work*, and return how many turns of the loop somebody else had meanwhile."""
    turns = 0

    async def count() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    counting = asyncio.create_task(count())
    try:
        await work
    finally:
        counting.cancel()
    return turns
