"""Maps that are ``async def``: the items of a batch wait side by side, and stay in order."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from engine.blame import blame, report
from engine.context import Context
from engine.errors import FanfoldError, UserCodeError
from engine.kernel import Row, as_row, collect, combined, map_name
from engine.pairs.groups import Groups
from engine.program import Program

ITEMS_AT_ONCE: Final = 1_000


async def map_batch_async(program: Program, items: Sequence[Any], ctx: Context) -> Groups:
    """Like ``map_batch`` for a map that is ``async def``; its items wait side by side.

    Raises:
        TaskError: As for ``map_batch``.
    """
    groups = Groups()
    async for pairs in _mapped_async(program, items, ctx):
        with blame(map_name(program), program, ctx):
            collect(program, pairs, groups, ctx)
    return combined(program, groups, ctx)


async def map_rows_async(
    program: Program, items: Sequence[Any], ctx: Context
) -> AsyncIterator[Row]:
    """Like ``map_rows`` for a map that is ``async def``.

    Raises:
        TaskError: The program raised.
    """
    async for rows in _mapped_async(program, items, ctx):
        for row in rows or ():
            yield as_row(row)


async def _mapped_async(
    program: Program, items: Sequence[Any], ctx: Context
) -> AsyncIterator[Iterable[Any] | None]:
    """Yield what each item mapped to, in the order of the items, once all have been mapped.

    An item waits for others only while 1,000 of them are on their way.
    """
    if program.map_batch is not None:
        yield await gathered("map_batch", program.map_batch, items, program, ctx)
        return
    function = program.map
    assert function is not None  # noqa: S101 - Program has exactly one of the two
    produced: list[Iterable[Any]] = [()] * len(items)
    room = asyncio.Semaphore(ITEMS_AT_ONCE)

    async def map_one(position: int, item: Any) -> None:
        produced[position] = await gathered("map", function, item, program, ctx.at(position))
        room.release()

    try:
        async with asyncio.TaskGroup() as group:
            for position, item in enumerate(items):
                await room.acquire()
                group.create_task(map_one(position, item))
    except* FanfoldError as failures:
        raise failures.exceptions[0] from None
    for ctx.position, pairs in enumerate(produced):
        yield pairs


async def gathered(
    name: str, function: Callable[..., Any], argument: Any, program: Program, ctx: Context
) -> Iterable[Any]:
    """Call an ``async def`` and return all that it yields or returns.

    Args:
        name: What the program calls it.
        function: The function itself.
        argument: An item, or all of a batch.
        program: Whose it is.
        ctx: Of the item, or of the attempt.

    Raises:
        TaskError: The program raised.
    """
    try:
        with blame(name, program, ctx):
            if inspect.isasyncgenfunction(function):
                return [pair async for pair in function(argument, ctx)]
            produced = await function(argument, ctx) or ()
            return produced if isinstance(produced, Mapping) else list(produced)
    except asyncio.CancelledError as exc:
        if _is_being_cancelled():
            raise
        # Something that the program waited for was; nobody would ever hear of this item.
        raise UserCodeError(report(name, program, ctx, exc)) from exc


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
