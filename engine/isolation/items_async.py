"""The same for maps that are ``async def``: items wait side by side, bad ones are set aside."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from copy import deepcopy
from typing import Any

from engine.async_map import ITEMS_AT_ONCE, gathered
from engine.blame import blame
from engine.context import Context
from engine.errors import FanfoldError, TaskError
from engine.isolation.items import Isolation, Positions
from engine.isolation.mark import Mark
from engine.kernel import collect, combined
from engine.pairs.groups import Groups

_Found = list[Any] | TaskError


async def map_apart_async(isolation: Isolation, items: Sequence[Any]) -> Groups:
    """Like ``map_batch_async``, with bad items set aside.

    Raises:
        TaskError: The program's combine raised.
    """
    groups = Groups()
    async for pairs in produced_async(isolation, items):
        collect(isolation.program, pairs, groups, isolation.context)
    return combined(isolation.program, groups, isolation.context)


async def produced_async(isolation: Isolation, items: Sequence[Any]) -> AsyncIterator[list[Any]]:
    """Yield the rows or pairs of the items that do not fail, in the order of the items."""
    for position, error in isolation.known(len(items)):
        isolation.set_aside(position, items[position], error)
    run = _together if isolation.program.map is None else _side_by_side
    for positions in isolation.ranges(len(items)):
        async for found in run(isolation, items, positions):
            yield found


async def _together(
    isolation: Isolation, items: Sequence[Any], positions: Positions
) -> AsyncIterator[list[Any]]:
    waiting = [positions]
    while waiting:
        part = waiting.pop()
        isolation.mark.enter(part[0], part[-1] + 1)
        found = await _tried(
            isolation,
            deepcopy([items[position] for position in part]),
            isolation.context.apart(None),
        )
        isolation.mark.leave()
        if not isinstance(found, TaskError):
            yield found
        elif len(part) == 1:
            isolation.set_aside(part[0], items[part[0]], found)
        else:
            middle = len(part) // 2
            waiting += [part[middle:], part[:middle]]


async def _side_by_side(
    isolation: Isolation, items: Sequence[Any], positions: Positions
) -> AsyncIterator[list[Any]]:
    results: list[_Found] = [[] for _ in positions]
    room = asyncio.Semaphore(ITEMS_AT_ONCE)
    under_way = _UnderWay(isolation.mark, positions)

    async def map_one(index: int) -> None:
        position = positions[index]
        own = isolation.context.apart(position)
        results[index] = await _tried(isolation, items[position], own)
        under_way.end(index)
        room.release()

    try:
        async with asyncio.TaskGroup() as group:
            for index in range(len(positions)):
                await room.acquire()
                under_way.begin()
                group.create_task(map_one(index))
    except* FanfoldError as failures:
        raise failures.exceptions[0] from None
    isolation.mark.leave()
    for position, found in zip(positions, results, strict=True):
        if isinstance(found, TaskError):
            isolation.set_aside(position, items[position], found)
        else:
            yield found


async def _tried(isolation: Isolation, argument: Any, own: Context) -> _Found:
    program = isolation.program
    name, function = ("map", program.map) if program.map else ("map_batch", program.map_batch)
    assert function is not None  # noqa: S101 - Program has exactly one of the two
    try:
        found = await gathered(name, function, argument, program, own)
        with blame(name, program, own):
            listed = isolation.listed(found)
            isolation.context.take_in(own.counters)
    except TaskError as exc:
        return exc
    return listed


class _UnderWay:
    """Keeps the mark at the range of the items that wait side by side."""

    def __init__(self, mark: Mark, positions: Positions) -> None:
        self._mark = mark
        self._positions = positions
        self._has_ended = bytearray(len(positions))
        self._began: list[float] = []
        self._first = 0

    def begin(self) -> None:
        """The next item begins."""
        self._began.append(time.monotonic())
        self._tell()

    def end(self, index: int) -> None:
        """An item has ended."""
        self._has_ended[index] = True
        begun = len(self._began)
        while self._first < begun and self._has_ended[self._first]:
            self._first += 1
        self._tell()

    def _tell(self) -> None:
        last = len(self._began) - 1
        while last > self._first and self._has_ended[last]:
            last -= 1
        if self._first > last:
            self._mark.leave()
            return
        self._mark.enter(
            self._positions[self._first],
            self._positions[last] + 1,
            since=self._began[self._first],
        )
