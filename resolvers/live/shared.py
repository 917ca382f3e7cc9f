"""Things that exist while somebody holds them, one for each key."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from engine.errors import UnavailableError
from resolvers.live.lookout import Lookout


class HasLookout(Protocol):
    """Something that reads at every ring until it is stopped."""

    lookout: Lookout


K = TypeVar("K")
V = TypeVar("V", bound=HasLookout)


@dataclass(slots=True)
class _Held(Generic[V]):
    value: V
    holders: int = 0


class Shared(Generic[K, V]):
    """Makes a thing for its first holder and stops it when the last one leaves.

    Args:
        tasks: Gets the task of every thing, until it has ended.
    """

    def __init__(self, tasks: set[asyncio.Task[None]]) -> None:
        self._held: dict[K, _Held[V]] = {}
        self._tasks = tasks
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._held)

    @contextmanager
    def hold(self, key: K, make: Callable[[], V]) -> Iterator[V]:
        """Keep the thing of *key* alive while the context is open.

        Raises:
            UnavailableError: ``close`` has been called.
        """
        held = self._get(key, make)
        held.holders += 1
        try:
            yield held.value
        finally:
            held.holders -= 1
            if not held.holders:
                self._drop(key, held)

    def close(self) -> None:
        """Stop everything; whoever waits gets ``UnavailableError``."""
        self._is_closed = True
        for held in self._held.values():
            held.value.lookout.stop(shutting_down())

    def _get(self, key: K, make: Callable[[], V]) -> _Held[V]:
        if self._is_closed:
            raise shutting_down()
        held = self._held.get(key)
        if held is None or held.value.lookout.has_failed:
            held = self._held[key] = _Held(make())
            task = held.value.lookout.task
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return held

    def _drop(self, key: K, held: _Held[V]) -> None:
        held.value.lookout.stop()
        if self._held.get(key) is held:
            del self._held[key]


def shutting_down() -> UnavailableError:
    """Say that this process ends; the next one will answer."""
    return UnavailableError("the service is shutting down")
