"""The programs of the headline: work that only waits, and no work at all."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from engine import Context, Program


class Wait(BaseModel):
    """How long each batch takes."""

    seconds: float


async def wait(items: list[Any], ctx: Context) -> Mapping[str, int]:
    """Wait, then count the batch."""
    await asyncio.sleep(ctx.params.seconds)
    return {"objects": len(items)}


async def count_async(items: list[Any], ctx: Context) -> Mapping[str, int]:
    """Count the batch at once."""
    return {"objects": len(items)}


def count(items: list[Any], ctx: Context) -> Mapping[str, int]:
    """Count the batch at once, in the lane of what does not wait."""
    return {"objects": len(items)}


def total(key: str, values: list[int], ctx: Context) -> int:
    """Add up."""
    return sum(values)


waiting = Program(name="waiting", map_batch=wait, params=Wait, reduce=total)
nothing_async = Program(name="nothing_async", map_batch=count_async, reduce=total)
nothing = Program(name="nothing", map_batch=count, reduce=total)
