"""What stands for asyncio's queue and event on a WebSocket loses nothing and wakes who waits."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

from tests.support.waiting import turns
from transport.websocket.mailbox import Gate, Mailbox
from transport.websocket.outbox import Outbox

pytestmark = pytest.mark.anyio


async def test_what_was_put_first_is_taken_first() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for number in range(3):
        mailbox.put_nowait(number)

    assert [await mailbox.get() for _ in range(3)] == [0, 1, 2]
    assert mailbox.empty()


async def test_who_waits_for_a_letter_gets_it_and_who_gave_up_takes_none() -> None:
    mailbox: Mailbox[int] = Mailbox()
    gone = asyncio.create_task(mailbox.get())
    await turns(2)
    gone.cancel()
    await turns(2)
    waits = asyncio.create_task(mailbox.get())
    await turns(2)

    mailbox.put_nowait(7)

    async with asyncio.timeout(5):
        assert await waits == 7
    assert gone.cancelled()


async def test_a_letter_that_comes_as_its_taker_gives_up_is_kept() -> None:
    mailbox: Mailbox[int] = Mailbox()
    gone = asyncio.create_task(mailbox.get())
    await turns(2)
    mailbox.put_nowait(7)
    gone.cancel()
    await turns(2)

    assert gone.cancelled()
    assert await mailbox.get() == 7


async def test_a_gate_that_opens_lets_in_all_who_wait() -> None:
    gate = Gate()
    await gate.wait()
    gate.clear()
    waiting = [asyncio.create_task(gate.wait()) for _ in range(3)]
    await turns(2)
    waiting[0].cancel()
    assert not any(task.done() for task in waiting[1:])

    gate.set()

    async with asyncio.timeout(5):
        assert await asyncio.gather(*waiting[1:]) == [True, True]


@dataclass
class Peer:
    flushed: list[str]
    name: str

    def flush(self) -> None:
        self.flushed.append(self.name)


async def test_peers_are_flushed_in_their_order_when_the_turn_is_over() -> None:
    outbox, flushed = Outbox(), list[str]()
    for name in "abc":
        outbox.put(Peer(flushed, name))
    assert flushed == []

    await turns(2)

    assert flushed == ["a", "b", "c"]
