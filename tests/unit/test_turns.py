"""Turns: tenants alternate, few of one wait, and whoever leaves is not waited for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.errors import QuotaExceededError
from engine.turns import Turns

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
async def in_time() -> AsyncIterator[None]:
    async with asyncio.timeout(10):
        yield


class Visitors:
    """Callers who hold a turn until they are told to go, and the order in which they had one."""

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._may_go: dict[str, asyncio.Event] = {}
        self._came: dict[str, asyncio.Event] = {}
        self.order: list[str] = []

    async def come(self, *names: str) -> None:
        """Ask for turns, in order; a tenant is the letters of a name."""
        for name in names:
            self._may_go[name], self._came[name] = asyncio.Event(), asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._visit(name))
            await asyncio.sleep(0)

    async def _visit(self, name: str) -> None:
        async with self._turns.turn(tenant_of(name)):
            self.order.append(name)
            self._came[name].set()
            await self._may_go[name].wait()

    async def go(self, name: str) -> None:
        """Wait until *name* has a turn, and have it end."""
        await self._came[name].wait()
        self._may_go[name].set()
        await self._tasks[name]

    def cancel(self, name: str) -> asyncio.Task[None]:
        """Have *name* leave, without waiting for it."""
        self._tasks[name].cancel()
        return self._tasks[name]

    async def go_all(self) -> list[str]:
        """Let everybody go; return the order in which they had turns."""
        for event in self._may_go.values():
            event.set()
        await asyncio.wait(self._tasks.values())
        return self.order


def tenant_of(name: str) -> str:
    return name.rstrip("0123456789")


async def test_a_newcomer_waits_for_one_turn_of_a_tenant_that_has_many_waiting() -> None:
    visitors = Visitors(Turns("visits", waiting=9))
    await visitors.come("a1", "a2", "a3", "a4", "b1", "b2")

    assert await visitors.go_all() == ["a1", "b1", "a2", "b2", "a3", "a4"]


async def test_every_tenant_that_waits_has_one_turn_before_another_has_two() -> None:
    visitors = Visitors(Turns("visits", waiting=9))
    await visitors.come("a1", "b1", "b2", "a2", "c1", "c2")

    assert await visitors.go_all() == ["a1", "b1", "c1", "a2", "b2", "c2"]


async def test_a_tenant_that_comes_back_each_time_does_not_keep_another_waiting() -> None:
    visitors = Visitors(Turns("visits", waiting=9))
    await visitors.come("a1", "b1")
    await visitors.go("a1")
    await visitors.come("a2", "c1")
    await visitors.go("b1")
    await visitors.come("b2")

    assert await visitors.go_all() == ["a1", "b1", "a2", "c1", "b2"]


async def test_more_of_a_tenant_than_may_wait_are_refused_and_others_are_not() -> None:
    turns = Turns("visits", waiting=2)
    visitors = Visitors(turns)
    await visitors.come("a1", "a2", "a3")

    with pytest.raises(QuotaExceededError, match="2 visits of the tenant wait already") as caught:
        await turns.take("a")
    await visitors.come("b1")

    assert caught.value.retry_after_s > 0
    assert await visitors.go_all() == ["a1", "b1", "a2", "a3"]


async def test_whoever_leaves_makes_room_for_another_of_the_tenant() -> None:
    turns = Turns("visits", waiting=1)
    visitors = Visitors(turns)
    await visitors.come("a1", "a2")

    with pytest.raises(asyncio.CancelledError):
        await visitors.cancel("a2")
    await visitors.come("a3")

    assert await visitors.go_all() == ["a1", "a3"]


async def test_whoever_is_leaving_is_given_no_turn() -> None:
    visitors = Visitors(Turns("visits", waiting=9))
    await visitors.come("a1", "a2", "a3")

    visitors.cancel("a1")
    visitors.cancel("a2")

    assert await visitors.go_all() == ["a1", "a3"]


async def test_a_turn_that_was_given_to_somebody_who_leaves_goes_to_the_next() -> None:
    turns = Turns("visits", waiting=9)
    visitors = Visitors(turns)
    await turns.take("x")
    await visitors.come("a1", "b1")

    turns.give_back("x")  # to a1, who does not know yet
    visitors.cancel("a1")

    assert await visitors.go_all() == ["b1"]


async def test_a_tenant_holds_no_more_turns_than_it_may_though_some_are_free() -> None:
    turns = Turns("visits", at_once=3, of_one=2, waiting=9)
    visitors = Visitors(turns)
    await visitors.come("a1", "a2", "a3", "b1")

    assert visitors.order == ["a1", "a2", "b1"]
    assert turns.waiting_of("a") == 1
    assert await visitors.go_all() == ["a1", "a2", "b1", "a3"]


async def test_a_tenant_that_may_hold_two_turns_does_not_get_two_in_a_row() -> None:
    turns = Turns("visits", at_once=2, of_one=2, waiting=9)
    visitors = Visitors(turns)
    await visitors.come("x1", "x2", "a1", "a2", "b1")
    await visitors.go("x1")
    await visitors.go("x2")

    assert await visitors.go_all() == ["x1", "x2", "a1", "b1", "a2"]
