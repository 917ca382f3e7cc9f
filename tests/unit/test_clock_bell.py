"""A bell that rings by the clock: whoever listens looks again and again, and then no longer."""

from __future__ import annotations

import pytest

from adapters.clock_bell import ClockBell
from engine.job import JobId
from tests.support.waiting import eventually_async, turns

pytestmark = pytest.mark.anyio


async def test_who_listens_is_told_to_look_again_and_again() -> None:
    rings: list[JobId] = []
    async with ClockBell(interval_s=0.001).listen("job:j1", rings.append):
        await eventually_async(lambda: len(rings) > 2)


async def test_who_has_left_is_told_nothing_more() -> None:
    rings: list[JobId] = []
    detach = ClockBell(interval_s=0.001).attach("job:j1", rings.append)
    await eventually_async(lambda: rings)
    detach()
    heard = len(rings)
    await turns(20)

    assert len(rings) == heard
