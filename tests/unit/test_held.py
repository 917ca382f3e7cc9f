"""Submits that wait for the end of their job: counted, and ended with what their caller showed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from engine.errors import UnauthenticatedError
from engine.job import JobState
from resolvers.access.caller import Caller
from resolvers.access.held import HeldRequests
from resolvers.access.quotas import Connections
from resolvers.submit import Submitted, submit_job
from tests.support.memory import ADA, World, make_world
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio

WORDCOUNT: dict[str, Any] = {"program": "wordcount", "source": {"inline": ["a b"]}}


class Door:
    """An authenticator that tells when credentials end."""

    def __init__(self) -> None:
        self.watches: list[Callable[[], None]] = []

    async def authenticate(self, credential: str | None) -> Caller:
        return ADA

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        self.watches.append(on_end)
        return lambda: self.watches.remove(on_end)


class Desk:
    """Where one request of a tenant may be held."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.door = Door()
        self.connections = Connections(1)

    async def submit(self, *, wait_up_to_ms: int = 20_000) -> Submitted:
        return await submit_job(
            self.world.services,
            hub=self.world.hub,
            caller=ADA,
            data=WORDCOUNT,
            wait_up_to_ms=wait_up_to_ms,
            held=HeldRequests(self.connections, self.door),
        )

    @property
    def held(self) -> int:
        return self.connections.open_of(ADA.tenant)


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    world = make_world()
    async with asyncio.timeout(10), world.hub:
        yield Desk(world)


async def test_beyond_the_quota_a_job_is_accepted_and_answered_at_once(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.submit())
    await eventually_async(lambda: bool(desk.door.watches))

    beyond = await desk.submit()

    assert beyond.created
    assert beyond.job.status.state is JobState.QUEUED
    assert not waiting.done()
    assert desk.held == 1
    for job in desk.world.jobs.jobs:
        desk.world.jobs.change(job, state=JobState.SUCCEEDED)
    assert (await waiting).job.status.state is JobState.SUCCEEDED
    assert (desk.held, desk.door.watches) == (0, [])


async def test_a_wait_ends_with_the_credential(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.submit())
    await eventually_async(lambda: bool(desk.world.bell.listeners))

    desk.door.watches[0]()

    with pytest.raises(UnauthenticatedError):
        await waiting
    assert len(desk.world.jobs.jobs) == 1
    assert (desk.held, desk.door.watches) == (0, [])


async def test_a_credential_that_ends_with_the_job_shows_nothing(desk: Desk) -> None:
    waiting = asyncio.create_task(desk.submit())
    await eventually_async(lambda: bool(desk.world.bell.listeners))

    for job in desk.world.jobs.jobs:
        desk.world.jobs.change(job, state=JobState.SUCCEEDED)
    desk.door.watches[0]()

    with pytest.raises(UnauthenticatedError):
        await waiting


async def test_who_waited_in_vain_is_held_no_longer(desk: Desk) -> None:
    submitted = await desk.submit(wait_up_to_ms=20)

    assert submitted.job.status.state is JobState.QUEUED
    assert (desk.held, desk.door.watches) == (0, [])
