"""What stands for an ``asyncio.Queue`` and an ``asyncio.Event``, by the ten thousand.

Those keep five deques a connection, of 640 bytes each; here one task waits at a time, if any.
"""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

T = TypeVar("T")


class Gate:
    """Implements what is needed of ``asyncio.Event``; is open at first."""

    __slots__ = ("_is_open", "_waiting")

    def __init__(self) -> None:
        self._is_open = True
        self._waiting: tuple[asyncio.Future[None], ...] = ()

    def is_set(self) -> bool:
        """Whether it is open."""
        return self._is_open

    def set(self) -> None:
        """Open it, and let in all who wait."""
        self._is_open = True
        waiting, self._waiting = self._waiting, ()
        for future in waiting:
            if not future.done():
                future.set_result(None)

    def clear(self) -> None:
        """Shut it."""
        self._is_open = False

    async def wait(self) -> bool:
        """Wait until it is open."""
        if not self._is_open:
            future = asyncio.get_running_loop().create_future()
            self._waiting = (*self._waiting, future)
            await future
        return True


class Mailbox(Generic[T]):
    """Implements what is needed of ``asyncio.Queue``: for one who takes."""

    __slots__ = ("_items", "_taker")

    def __init__(self) -> None:
        self._items: list[T] = []
        self._taker: asyncio.Future[None] | None = None

    def empty(self) -> bool:
        """Whether there is nothing to take."""
        return not self._items

    def put_nowait(self, item: T) -> None:
        """Add *item*."""
        self._items.append(item)
        if self._taker is not None and not self._taker.done():
            self._taker.set_result(None)

    async def get(self) -> T:
        """Take the oldest item, as soon as there is one."""
        while not self._items:
            self._taker = asyncio.get_running_loop().create_future()
            try:
                await self._taker
            finally:
                self._taker = None
        return self._items.pop(0)
