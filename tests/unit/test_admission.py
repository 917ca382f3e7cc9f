"""The pace at which those who connect are let in."""

from __future__ import annotations

import asyncio
from functools import partial

import pytest

from engine.meters import Unmeasured
from transport.admission import LONGEST_RETRY_S, WAITS_UP_TO_S, Admission, CrowdedError, Turn
from transport.operations import RequestError

pytestmark = pytest.mark.anyio
WITHIN_S = 10.0


class Noted(Unmeasured):
    def __init__(self) -> None:
        self.admissions: list[str] = []

    def admitted(self, how: str) -> None:
        self.admissions.append(how)


async def test_a_few_come_at_once_and_the_others_in_lots_and_in_order() -> None:
    admission, order = Admission(1_000), list[int]()
    lots: list[int] = []

    def note(number: int, _: Turn) -> None:
        order.append(number)

    turns = [admission.turn() for _ in range(100)]
    waiting = [turn for turn in turns if turn is not None]
    for number, turn in enumerate(waiting):
        turn.add_done_callback(partial(note, number))
    async with asyncio.timeout(WITHIN_S):
        while len(order) < len(waiting):
            before = len(order)
            await asyncio.sleep(0)
            if len(order) > before:
                lots.append(len(order) - before)

    assert turns[:10] == [None] * 10
    assert len(waiting) == 90
    assert order == list(range(90))
    assert max(lots) <= 10


async def test_after_a_rest_a_lot_may_come_at_once_again() -> None:
    admission = Admission(1_000)
    async with asyncio.timeout(WITHIN_S):
        await asyncio.gather(*(admission.wait() for _ in range(30)))
        while (turn := admission.turn()) is not None:
            await turn


async def test_whom_there_is_no_room_for_is_told_to_come_again() -> None:
    noted = Noted()
    admission = Admission(10, meter=noted)
    turns = [admission.turn() for _ in range(1 + int(10 * WAITS_UP_TO_S))]

    with pytest.raises(CrowdedError) as caught:
        admission.turn()
    with pytest.raises(RequestError) as refused:
        await admission.wait()

    assert turns.count(None) == 1
    assert 1 <= caught.value.retry_after_s <= LONGEST_RETRY_S
    assert 1 <= int(refused.value.headers["Retry-After"]) <= LONGEST_RETRY_S
    assert refused.value.status == 503
    assert noted.admissions == ["at once", "refused", "refused"]


async def test_who_leaves_takes_nobodys_turn() -> None:
    admission = Admission(10)
    waiting: list[Turn] = [turn for _ in range(60) if (turn := admission.turn()) is not None]
    for turn in waiting:
        turn.cancel()
    async with asyncio.timeout(2):
        await admission.wait()


async def test_without_a_pace_nobody_waits() -> None:
    admission = Admission(0)

    assert [admission.turn() for _ in range(10_000)] == [None] * 10_000
