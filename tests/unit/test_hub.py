"""The hub: the present state first, then newer ones, the end never missed, nothing left behind."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import replace

import anyio
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bell import ANY_JOB, job_topic, tenant_topic
from engine.errors import FanfoldError, InputError, NotFoundError, UnavailableError
from engine.job import JobState, JobStatus
from resolvers.live.inbox import Inbox
from tests.support.memory import ADA, EVE, QUICK, World, job_of, make_world, status_of
from tests.support.waiting import eventually_async, turns

pytestmark = pytest.mark.anyio
States = AsyncGenerator[JobStatus, None]
DONE = JobState.SUCCEEDED
IMPATIENT = replace(QUICK, poll_s=0.005)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = make_world()
    async with asyncio.timeout(10), world.hub:
        yield world
    assert world.bell.listeners == {}


def reading_stops(world: World) -> Callable[[], bool]:
    """True when two looks in a row saw the same number of reads."""
    seen = [-1]

    def check() -> bool:
        before, seen[0] = seen[0], len(world.jobs.reads)
        return before == seen[0]

    return check


async def is_waiting(states: States) -> asyncio.Task[JobStatus]:
    """Ask for the next state and let everything happen that can."""
    task = asyncio.create_task(anext(states))
    await turns(20)
    return task


async def nothing_comes(states: States) -> bool:
    """Whether no state comes by itself; ends the subscription."""
    task = await is_waiting(states)
    is_silent = not task.done()
    task.cancel()
    await asyncio.wait([task])
    return is_silent


class TestFollowingAJob:
    async def test_the_listener_is_attached_before_the_present_state_is_read(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1", version=4))

        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            first = await anext(states)

        assert first.version == 4
        assert world.log == ["listen job:j-1", "read j-1"]

    async def test_newer_states_follow_until_the_end(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        seen = []

        async for status in world.hub.follow(ADA, "j-1"):
            seen.append((status.version, status.state))
            if status.version == 1:
                world.jobs.change("j-1", state=JobState.RUNNING)
            elif status.version == 2:
                world.jobs.change("j-1", state=DONE)

        assert seen == [(1, JobState.QUEUED), (2, JobState.RUNNING), (3, DONE)]
        assert world.hub.listeners == 0

    async def test_a_job_that_has_ended_gives_its_end_alone(self, world: World) -> None:
        world.jobs.put(job_of("j-1", version=9, state=DONE))

        seen = [status async for status in world.hub.follow(ADA, "j-1")]

        assert [status.version for status in seen] == [9]

    async def test_a_slow_follower_skips_to_the_newest(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            for _ in range(100):
                world.jobs.change("j-1")

            assert (await anext(states)).version == 101

    async def test_versions_never_fall(self, world: World) -> None:
        job = world.jobs.put(job_of("j-1", version=5))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            world.jobs.put(replace(job, status=status_of("j-1", version=3)))
            waiting = await is_waiting(states)
            assert not waiting.done()
            world.jobs.put(replace(job, status=status_of("j-1", version=6)))

            assert (await waiting).version == 6

    async def test_after_a_version_nothing_comes_until_a_newer_one(self, world: World) -> None:
        world.jobs.put(job_of("j-1", version=7))
        async with aclosing(world.hub.follow(ADA, "j-1", after_version=7)) as states:
            waiting = await is_waiting(states)
            assert not waiting.done()
            world.jobs.change("j-1")

            assert (await waiting).version == 8

    async def test_after_an_older_version_the_present_state_comes(self, world: World) -> None:
        world.jobs.put(job_of("j-1", version=7))
        async with aclosing(world.hub.follow(ADA, "j-1", after_version=3)) as states:
            assert (await anext(states)).version == 7

    async def test_after_the_last_version_the_subscription_completes(self, world: World) -> None:
        world.jobs.put(job_of("j-1", version=7, state=DONE))

        assert [status async for status in world.hub.follow(ADA, "j-1", after_version=7)] == []

    @pytest.mark.parametrize("id", ["j-2", "", "j-1\n", "\ud800", "x" * 10_000])
    async def test_a_job_that_does_not_exist_is_not_found(self, world: World, id: str) -> None:
        world.jobs.put(job_of("j-1"))

        with pytest.raises(NotFoundError):
            await anext(world.hub.follow(ADA, id))

    async def test_another_tenants_job_is_not_found(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)

            with pytest.raises(NotFoundError):
                await anext(world.hub.follow(EVE, "j-1"))

    async def test_a_job_that_is_erased_meanwhile_is_not_found(self, world: World) -> None:
        job = world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            del world.jobs.jobs[job.id]
            world.bell.ring(job_topic(job.id), job.id)

            with pytest.raises(NotFoundError):
                await anext(states)

    @pytest.mark.parametrize("interval_ms", [-1, 60_001])
    async def test_an_interval_out_of_range_is_refused(
        self, world: World, interval_ms: int
    ) -> None:
        with pytest.raises(InputError, match="minIntervalMs"):
            await anext(world.hub.follow(ADA, "j-1", min_interval_ms=interval_ms))


class TestSharing:
    async def test_a_thousand_followers_cost_one_listener_and_one_read_a_ring(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        followers = [world.hub.follow(ADA, "j-1") for _ in range(1_000)]
        firsts = await asyncio.gather(*(anext(states) for states in followers))
        nexts = [asyncio.create_task(anext(states)) for states in followers]
        await eventually_async(reading_stops(world))
        reads = len(world.jobs.reads)

        world.jobs.change("j-1", state=DONE)
        lasts = await asyncio.gather(*nexts)

        assert {status.version for status in firsts} == {1}
        assert {status.version for status in lasts} == {2}
        assert len(world.jobs.reads) == reads + 1
        assert world.log.count("listen job:j-1") == 1
        for states in followers:
            await states.aclose()

    async def test_rings_during_a_read_lead_to_one_more_read(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            waiting = await is_waiting(states)
            reads = len(world.jobs.reads)
            world.jobs.open.clear()
            world.jobs.change("j-1")
            await eventually_async(lambda: len(world.jobs.reads) == reads + 1)
            for _ in range(10):
                world.jobs.change("j-1")
            world.jobs.open.set()
            versions = [(await waiting).version, (await anext(states)).version]

        assert versions == [2, 12]
        assert len(world.jobs.reads) == reads + 2

    async def test_rings_while_nobody_waits_cost_nothing(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            for _ in range(10):
                world.jobs.change("j-1")
                await turns(1)

            assert len(world.jobs.reads) == 1

    async def test_a_newcomer_sees_the_present_state_even_if_the_ring_was_lost(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as early:
            await anext(early)
            world.jobs.change("j-1", rings=False)

            async with aclosing(world.hub.follow(ADA, "j-1")) as late:
                assert (await anext(late)).version == 2

    async def test_the_listener_goes_with_the_last_follower(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        first, second = world.hub.follow(ADA, "j-1"), world.hub.follow(ADA, "j-1")
        await anext(first)
        await anext(second)

        await first.aclose()
        assert world.hub.listeners == 1
        await second.aclose()

        assert world.hub.listeners == 0
        await eventually_async(lambda: not world.bell.listeners)


class TestPace:
    async def test_two_states_are_at_least_the_interval_apart(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        now = asyncio.get_running_loop().time
        async with aclosing(world.hub.follow(ADA, "j-1", min_interval_ms=60)) as states:
            await anext(states)
            start = now()
            world.jobs.change("j-1")
            await anext(states)

        assert now() - start >= 0.059

    async def test_the_first_state_is_not_delayed(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with (
            asyncio.timeout(5),
            aclosing(world.hub.follow(ADA, "j-1", min_interval_ms=60_000)) as states,
        ):
            await anext(states)

    async def test_the_end_comes_when_the_interval_is_over_and_replaces_what_it_overtook(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        seen = []

        async for status in world.hub.follow(ADA, "j-1", min_interval_ms=30):
            seen.append(status.version)
            if len(seen) == 1:
                world.jobs.change("j-1")
                world.jobs.change("j-1", state=DONE)

        assert seen == [1, 3]


class TestTrouble:
    async def test_a_store_that_is_down_at_first_only_delays(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        world.jobs.is_down = True
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            waiting = await is_waiting(states)
            assert not waiting.done()
            world.jobs.is_down = False

            assert (await waiting).version == 1

    async def test_a_store_that_goes_down_meanwhile_loses_nothing(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            world.jobs.is_down = True
            world.jobs.change("j-1", state=DONE)
            waiting = await is_waiting(states)
            assert not waiting.done()
            world.jobs.is_down = False

            assert (await waiting).state is DONE

    async def test_a_bell_that_is_down_at_first_only_delays(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        world.bell.failures = 3

        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            assert (await anext(states)).version == 1

    async def test_a_lost_ring_is_made_good_by_the_timer(self) -> None:
        world = make_world(timing=IMPATIENT)
        async with asyncio.timeout(5), world.hub:
            world.jobs.put(job_of("j-1"))
            async with aclosing(world.hub.follow(ADA, "j-1")) as states:
                await anext(states)
                world.jobs.change("j-1", rings=False)

                assert (await anext(states)).version == 2

    async def test_a_ring_without_a_job_is_a_ring(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            await anext(states)
            world.jobs.change("j-1", rings=False)
            world.bell.ring("job:j-1", "")

            assert (await anext(states)).version == 2

    async def test_an_unforeseen_fault_is_told_and_the_next_follower_starts_afresh(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        world.jobs.fault = ZeroDivisionError("a bug")
        with pytest.raises(FanfoldError, match="following job:j-1 ended"):
            await anext(world.hub.follow(ADA, "j-1"))
        world.jobs.fault = None

        async with aclosing(world.hub.follow(ADA, "j-1")) as states:
            assert (await anext(states)).version == 1


class TestLeaving:
    async def test_a_follower_cancelled_while_it_waits_leaves_nothing_behind(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))

        async def follow() -> None:
            async with aclosing(world.hub.follow(ADA, "j-1")) as states:
                async for _ in states:
                    pass

        task = asyncio.create_task(follow())
        await eventually_async(lambda: world.bell.listeners)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

        assert world.hub.listeners == 0
        await eventually_async(lambda: not world.bell.listeners)

    async def test_a_follower_cancelled_before_its_first_state_leaves_nothing_behind(
        self, world: World
    ) -> None:
        world.jobs.is_down = True
        waiting = await is_waiting(world.hub.follow(ADA, "j-1"))
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting

        assert world.hub.listeners == 0
        await eventually_async(lambda: not world.bell.listeners)

    async def test_a_closed_hub_tells_those_who_wait_and_refuses_others(self) -> None:
        world = make_world()
        world.jobs.put(job_of("j-1"))
        async with world.hub:
            states = world.hub.follow(ADA, "j-1")
            await anext(states)
            waiting = await is_waiting(states)

        with pytest.raises(UnavailableError, match="shutting down"):
            await waiting
        with pytest.raises(UnavailableError, match="shutting down"):
            await anext(world.hub.follow(ADA, "j-1"))
        assert world.bell.listeners == {}


class TestFeed:
    async def test_the_live_jobs_come_first_and_ended_ones_do_not(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        world.jobs.put(job_of("j-2", state=DONE))
        world.jobs.put(job_of("j-3", state=JobState.RUNNING))
        async with aclosing(world.hub.feed(ADA)) as states:
            assert {(await anext(states)).id, (await anext(states)).id} == {"j-1", "j-3"}
            assert await nothing_comes(states)

    async def test_changes_new_jobs_and_ends_follow(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.feed(ADA)) as states:
            await anext(states)
            world.jobs.put(job_of("j-2"))
            new = await anext(states)
            world.jobs.change("j-1", state=DONE)
            end = await anext(states)

        assert (new.id, new.version) == ("j-2", 1)
        assert (end.id, end.version, end.state) == ("j-1", 2, DONE)

    async def test_more_live_jobs_than_a_page_all_come(self, world: World) -> None:
        ids = {f"j-{i:04}" for i in range(450)}
        for id in ids:
            world.jobs.put(job_of(id))
        async with aclosing(world.hub.feed(ADA)) as states:
            assert {(await anext(states)).id for _ in ids} == ids

    async def test_a_slow_follower_gets_the_newest_of_each_job(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        world.jobs.put(job_of("j-2"))
        async with aclosing(world.hub.feed(ADA)) as states:
            await anext(states)
            await anext(states)
            for _ in range(50):
                world.jobs.change("j-1")
            world.jobs.change("j-2", state=DONE)
            seen = [await anext(states), await anext(states)]

            assert {(status.id, status.version) for status in seen} == {("j-1", 51), ("j-2", 2)}
            assert await nothing_comes(states)

    async def test_only_jobs_with_the_tag_come(self, world: World) -> None:
        world.jobs.put(job_of("j-1", tags=["blue"]))
        world.jobs.put(job_of("j-2", tags=["red"]))
        async with aclosing(world.hub.feed(ADA, tag="red")) as states:
            assert (await anext(states)).id == "j-2"
            world.jobs.change("j-1")
            world.jobs.change("j-2")
            assert (await anext(states)).id == "j-2"

    async def test_other_tenants_jobs_do_not_come(self, world: World) -> None:
        world.jobs.put(job_of("j-1", tenant=EVE.tenant))
        async with aclosing(world.hub.feed(ADA)) as states:
            waiting = await is_waiting(states)
            world.jobs.change("j-1")
            world.jobs.put(job_of("j-2"))

            assert (await waiting).id == "j-2"

    async def test_only_the_jobs_that_rang_are_read(self, world: World) -> None:
        for i in range(9):
            world.jobs.put(job_of(f"j-{i}"))
        async with aclosing(world.hub.feed(ADA)) as states:
            for _ in range(9):
                await anext(states)
            pages = world.jobs.pages
            waiting = await is_waiting(states)
            world.jobs.change("j-3")
            await waiting

        assert world.jobs.reads == [("j-3",)]
        assert world.jobs.pages == pages

    async def test_what_ended_while_the_bell_was_away_comes_when_it_is_back(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.feed(ADA)) as states:
            await anext(states)
            world.jobs.change("j-1", rings=False, state=DONE)
            world.jobs.put(job_of("j-2"), rings=False)
            world.bell.ring(tenant_topic(ADA.tenant), ANY_JOB)
            seen = {((await anext(states)).id), ((await anext(states)).id)}

            assert seen == {"j-1", "j-2"}

    async def test_what_came_and_ended_while_the_bell_was_away_is_told_once(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1", state=DONE))
        async with aclosing(world.hub.feed(ADA)) as states:
            waiting = await is_waiting(states)
            world.jobs.put(job_of("j-2", state=DONE), rings=False)
            world.bell.ring(tenant_topic(ADA.tenant), ANY_JOB)
            end = await waiting

            assert (end.id, end.state) == ("j-2", DONE)
            waiting = await is_waiting(states)
            world.bell.ring(tenant_topic(ADA.tenant), ANY_JOB)
            await turns(20)
            assert not waiting.done()
            world.jobs.put(job_of("j-3"))
            assert (await waiting).id == "j-3"

    async def test_what_came_and_ended_unheard_is_found_by_the_timer(self) -> None:
        world = make_world(timing=IMPATIENT)
        async with asyncio.timeout(5), world.hub, aclosing(world.hub.feed(ADA)) as states:
            waiting = await is_waiting(states)
            world.jobs.put(job_of("j-1", state=DONE), rings=False)

            assert (await waiting).id == "j-1"

    async def test_a_newcomer_gets_everything_and_the_others_only_what_is_new(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        async with (
            aclosing(world.hub.feed(ADA)) as early,
            aclosing(world.hub.feed(ADA)) as late,
        ):
            await anext(early)

            assert (await anext(late)).id == "j-1"
            assert await nothing_comes(early)

    async def test_the_interval_holds_for_each_job_by_itself(self, world: World) -> None:
        now = asyncio.get_running_loop().time
        world.jobs.put(job_of("j-1"))
        world.jobs.put(job_of("j-2"))
        async with aclosing(world.hub.feed(ADA, min_interval_ms=60)) as states:
            start = now()
            await anext(states)
            await anext(states)
            world.jobs.put(job_of("j-3"))
            world.jobs.change("j-1", state=DONE)

            assert (await anext(states)).id == "j-3"
            assert (await anext(states)).id == "j-1"
            assert now() - start >= 0.059

    async def test_an_end_is_told_once(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.feed(ADA)) as states:
            await anext(states)
            world.jobs.change("j-1", state=DONE)
            await anext(states)
            waiting = await is_waiting(states)
            world.bell.ring(tenant_topic(ADA.tenant), "j-1")
            await eventually_async(lambda: len(world.jobs.reads) == 2)
            pages = world.jobs.pages
            world.bell.ring(tenant_topic(ADA.tenant), ANY_JOB)
            await eventually_async(lambda: world.jobs.pages > pages)
            world.jobs.put(job_of("j-2"))

            assert (await waiting).id == "j-2"

    async def test_a_lost_ring_is_made_good_by_the_timer(self) -> None:
        world = make_world(timing=IMPATIENT)
        async with asyncio.timeout(5), world.hub, aclosing(world.hub.feed(ADA)) as states:
            waiting = await is_waiting(states)
            world.jobs.put(job_of("j-1"), rings=False)

            assert (await waiting).id == "j-1"

    async def test_nothing_is_kept_for_a_follower_who_left_others_behind(
        self, world: World
    ) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.feed(ADA)) as stays:
            await anext(stays)
            async with aclosing(world.hub.feed(ADA)) as leaves:
                await anext(leaves)
            del leaves
            gc.collect()

            assert sum(isinstance(thing, Inbox) for thing in gc.get_objects()) == 1

    async def test_a_store_that_goes_down_loses_nothing(self, world: World) -> None:
        world.jobs.put(job_of("j-1"))
        async with aclosing(world.hub.feed(ADA)) as states:
            await anext(states)
            world.jobs.is_down = True
            world.jobs.change("j-1", state=DONE)
            waiting = await is_waiting(states)
            world.jobs.is_down = False

            assert (await waiting).state is DONE

    async def test_a_closed_feed_leaves_nothing_behind(self, world: World) -> None:
        states = world.hub.feed(ADA)
        (await is_waiting(states)).cancel()
        await eventually_async(lambda: not world.bell.listeners)

        assert world.hub.listeners == 0


@settings(max_examples=40)
@given(
    changes=st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=30),
    is_last_ring_lost=st.booleans(),
)
def test_whatever_is_lost_versions_rise_and_the_end_comes(
    changes: list[tuple[bool, int]], is_last_ring_lost: bool
) -> None:
    async def follow_while_it_changes() -> list[JobStatus]:
        world = make_world(timing=IMPATIENT)
        world.jobs.put(job_of("j-1"))

        async def change() -> None:
            for rings, count in changes:
                world.jobs.change("j-1", rings=rings)
                await turns(count)
            world.jobs.change("j-1", rings=not is_last_ring_lost, state=DONE)

        async with asyncio.timeout(5), world.hub, asyncio.TaskGroup() as tasks:
            states = world.hub.follow(ADA, "j-1")
            tasks.create_task(change())
            return [status async for status in states]

    seen = anyio.run(follow_while_it_changes)

    versions = [status.version for status in seen]
    assert versions == sorted(set(versions))
    assert (seen[-1].state, seen[-1].version) == (DONE, len(changes) + 2)
