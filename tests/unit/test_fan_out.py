"""Equal subscriptions are served once, and each of them as if it were alone."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import pytest

from engine.job import JobId, JobState
from engine.meters import Unmeasured
from resolvers.access.caller import Caller, Scope
from schema.build import build_schema
from schema.context import Context
from tests.support.memory import ADA, EVE, World, job_of, make_world
from tests.support.waiting import eventually_async, turns
from transport.fan_out import FanOut
from transport.group import Errors, Membership
from transport.operations import Operations, RequestError

pytestmark = pytest.mark.anyio
DONE = JobState.SUCCEEDED
FOLLOW = """
subscription Follow($id: ID!, $after: Int, $every: Int = 0) {
  jobStatus(id: $id, afterVersion: $after, minIntervalMs: $every) { id version state }
}
"""
FEED = "subscription($tag: String) { jobFeed(tag: $tag, minIntervalMs: 0) { id version } }"


class Listener:
    """Takes what it is sent while it is open."""

    def __init__(self) -> None:
        self.payloads: list[bytes] = []
        self.errors: Errors | None = None
        self.is_complete = False
        self.is_open = True
        self.refused = 0
        self.membership: Membership | None = None

    def push(self, payload: bytes) -> bool:
        assert not self.has_ended
        if self.is_open:
            self.payloads.append(payload)
        else:
            self.refused += 1
        return self.is_open

    def complete(self) -> None:
        assert not self.has_ended
        self.is_complete = True

    def fail(self, errors: Errors) -> None:
        assert not self.has_ended
        self.errors = errors

    def open(self) -> None:
        self.is_open = True
        assert self.membership is not None
        self.membership.resume()

    def leave(self) -> None:
        assert self.membership is not None
        self.membership.leave()

    @property
    def has_ended(self) -> bool:
        return self.is_complete or self.errors is not None

    @property
    def states(self) -> list[dict[str, Any]]:
        return [next(iter(json.loads(p)["data"].values())) for p in self.payloads]

    @property
    def versions(self) -> list[int]:
        return [state["version"] for state in self.states]

    @property
    def code(self) -> str:
        assert self.errors is not None
        code: str = self.errors[0]["extensions"]["code"]
        return code


class Counts(Unmeasured):
    """A meter that counts what is sent."""

    def __init__(self) -> None:
        self.states = self.skipped = 0

    def sent(self, states: int, *, skipped: int = 0) -> None:
        self.states += states
        self.skipped += skipped


class Stage:
    """A hub over memory, and subscriptions to it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.jobs = world.jobs
        self.operations = Operations(build_schema())
        self.counts = Counts()
        self.fan_out = FanOut(world.hub, meter=self.counts)

    def join(
        self, query: str = FOLLOW, *, caller: Caller = ADA, is_open: bool = True, **variables: Any
    ) -> Listener:
        listener = Listener()
        listener.is_open = is_open
        context = Context(self.world.services, self.world.hub, caller)
        operation = self.operations.prepare(query)
        listener.membership = self.fan_out.join(operation, variables, context, listener)
        return listener


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    world = make_world()
    async with asyncio.timeout(10), world.hub:
        yield Stage(world)
    assert world.bell.listeners == {}


def has(listener: Listener, *versions: int) -> Callable[[], bool]:
    return lambda: listener.versions == list(versions)


class TestJobStatus:
    async def test_the_present_state_comes_first_then_newer_ones_then_the_end(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1", version=4))
        listener = stage.join(id="j-1")
        await eventually_async(has(listener, 4))
        stage.jobs.change("j-1", state=JobState.RUNNING)
        await eventually_async(has(listener, 4, 5))
        stage.jobs.change("j-1", state=DONE)
        await eventually_async(lambda: listener.is_complete)

        assert listener.versions == [4, 5, 6]
        assert stage.fan_out.groups == 0
        assert stage.world.hub.listeners == 0

    async def test_a_thousand_equal_ones_cost_one_listener_one_read_and_one_payload(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1"))
        listeners = [stage.join(id="j-1") for _ in range(1_000)]
        await eventually_async(lambda: all(one.versions == [1] for one in listeners))
        await turns(20)
        reads = len(stage.jobs.reads)
        tasks = len(asyncio.all_tasks())

        stage.jobs.change("j-1")
        await eventually_async(lambda: all(one.versions == [1, 2] for one in listeners))

        assert stage.fan_out.groups == 1
        assert len(stage.jobs.reads) == reads + 1
        assert len({id(one.payloads[-1]) for one in listeners}) == 1
        assert len(asyncio.all_tasks()) <= tasks + 1
        assert stage.world.log.count("listen job:j-1") == 1

    async def test_what_differs_is_served_apart(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        viewer = replace(ADA, scopes=frozenset({Scope.READ}), jobs=frozenset({JobId("j-1")}))
        stage.join(id="j-1")
        stage.join(id="j-1", after=None)
        assert stage.fan_out.groups == 2  # an absent variable is not null
        stage.join(id="j-1", after=1)
        stage.join(FOLLOW.replace("state", "run"), id="j-1")
        stage.join(id="j-1", caller=viewer)
        assert stage.fan_out.groups == 5
        stage.join(id="j-1", caller=replace(ADA, subject="bob"))
        assert stage.fan_out.groups == 5

    async def test_one_who_joins_late_gets_the_present_state_first(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        early = stage.join(id="j-1")
        await eventually_async(has(early, 1))
        stage.jobs.change("j-1", rings=False)

        late = stage.join(id="j-1")

        await eventually_async(has(late, 2))
        await eventually_async(has(early, 1, 2))

    async def test_one_who_joins_late_with_after_version_is_served_right(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1", version=7))
        early = stage.join(id="j-1", after=7)
        await turns(20)
        stage.jobs.change("j-1")
        await eventually_async(has(early, 8))

        late = stage.join(id="j-1", after=7)

        await eventually_async(has(late, 8))
        assert early.versions == [8]
        stage.jobs.change("j-1", state=DONE)
        await eventually_async(lambda: late.is_complete and early.is_complete)
        assert (early.versions, late.versions) == ([8, 9], [8, 9])

    @pytest.mark.parametrize("after", [9, 10, 1_000])
    async def test_after_the_last_version_it_only_completes(self, stage: Stage, after: int) -> None:
        stage.jobs.put(job_of("j-1", version=9, state=DONE))
        listener = stage.join(id="j-1", after=after)
        await eventually_async(lambda: listener.is_complete)
        assert listener.versions == []

    async def test_a_redrive_is_followed_by_those_who_come_later(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1", version=9, state=JobState.FAILED))
        slow = stage.join(id="j-1", is_open=False)
        await eventually_async(lambda: slow.refused)
        stage.jobs.change("j-1", state=JobState.RUNNING, run=2)
        listener = stage.join(id="j-1")
        await eventually_async(has(listener, 10))
        slow.open()
        await eventually_async(lambda: slow.is_complete)
        assert slow.versions == [9]
        assert not listener.is_complete

    async def test_a_slow_one_costs_one_state_and_gets_the_newest(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        slow, quick = stage.join(id="j-1"), stage.join(id="j-1")
        await eventually_async(has(quick, 1))
        slow.is_open = False
        for version in range(2, 30):
            stage.jobs.change("j-1")
            await eventually_async(lambda version=version: quick.versions[-1] == version)  # type: ignore[misc]

        slow.open()

        assert slow.versions == [1, 29]
        assert quick.versions == list(range(1, 30))

    async def test_a_slow_one_does_not_miss_the_end(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        slow, quick = stage.join(id="j-1"), stage.join(id="j-1")
        await eventually_async(has(slow, 1))
        slow.is_open = False
        stage.jobs.change("j-1", state=DONE)
        await eventually_async(lambda: quick.is_complete)
        assert not slow.has_ended

        slow.open()

        assert (slow.versions, slow.is_complete) == ([1, 2], True)
        assert stage.world.hub.listeners == 0

    async def test_the_interval_keeps_two_states_apart_and_the_newest_comes(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1"))
        listener = stage.join(id="j-1", every=60)
        await eventually_async(has(listener, 1))
        start = asyncio.get_running_loop().time()
        for _ in range(5):
            stage.jobs.change("j-1")
            await turns(5)
        stage.jobs.change("j-1", state=DONE)
        await eventually_async(lambda: listener.is_complete)

        assert listener.versions == [1, 7]
        assert asyncio.get_running_loop().time() - start >= 0.05

    async def test_one_who_joins_while_others_rest_is_not_kept_waiting(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        early = stage.join(id="j-1", every=60_000)
        await eventually_async(has(early, 1))
        stage.jobs.change("j-1")
        late = stage.join(id="j-1", every=60_000)
        await eventually_async(has(late, 2))
        assert early.versions == [1]
        for listener in (early, late):
            listener.leave()

    async def test_a_second_state_comes_also_to_one_who_joined_late(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        early = stage.join(id="j-1", every=30)
        await eventually_async(has(early, 1))
        late = stage.join(id="j-1", every=30)
        await eventually_async(has(late, 1))
        stage.jobs.change("j-1")
        await eventually_async(has(late, 1, 2))
        assert early.versions == [1, 2]

    async def test_those_who_leave_get_nothing_more_and_leave_nothing_behind(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1"))
        left, stays = stage.join(id="j-1"), stage.join(id="j-1")
        await eventually_async(has(stays, 1))
        left.leave()
        left.leave()
        stage.jobs.change("j-1")
        await eventually_async(has(stays, 1, 2))
        assert left.versions == [1]
        stays.leave()
        assert (stage.fan_out.groups, stage.world.hub.listeners) == (0, 0)

    async def test_one_who_leaves_before_the_first_state_leaves_nothing_behind(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1"))
        stage.join(id="j-1").leave()
        await turns(20)
        assert (stage.fan_out.groups, stage.world.hub.listeners) == (0, 0)

    async def test_a_job_that_does_not_exist_is_an_error(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        nobodys, foreign = stage.join(id="j-2"), stage.join(id="j-1", caller=EVE)
        await eventually_async(lambda: nobodys.has_ended and foreign.has_ended)
        assert (nobodys.code, foreign.code) == ("NOT_FOUND", "NOT_FOUND")
        assert stage.fan_out.groups == 0

    async def test_a_job_that_is_erased_meanwhile_is_an_error(self, stage: Stage) -> None:
        job = stage.jobs.put(job_of("j-1"))
        listener = stage.join(id="j-1")
        await eventually_async(has(listener, 1))
        del stage.jobs.jobs[job.id]
        stage.world.bell.ring("job:j-1", "j-1")
        await eventually_async(lambda: listener.has_ended)
        assert listener.code == "NOT_FOUND"

    async def test_what_the_caller_may_not_is_refused_at_once(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        submitter = replace(ADA, scopes=frozenset({Scope.SUBMIT}))
        viewer = replace(ADA, jobs=frozenset({JobId("j-2")}))
        for caller, code in ((submitter, "FORBIDDEN"), (viewer, "NOT_FOUND")):
            with pytest.raises(RequestError) as refused:
                stage.join(id="j-1", caller=caller)
            assert refused.value.errors[0]["extensions"]["code"] == code
        assert (stage.fan_out.groups, stage.world.hub.listeners) == (0, 0)

    @pytest.mark.parametrize(
        "variables", [{}, {"id": None}, {"id": ["x"]}, {"id": "j-1", "after": "x"}]
    )
    async def test_variables_that_do_not_fit_are_refused(
        self, stage: Stage, variables: dict[str, Any]
    ) -> None:
        with pytest.raises(RequestError):
            stage.join(**variables)

    async def test_a_closing_hub_tells_everybody(self) -> None:
        world = make_world()
        world.jobs.put(job_of("j-1"))
        async with world.hub:
            stage = Stage(world)
            listener = stage.join(id="j-1")
            await eventually_async(has(listener, 1))
        assert listener.code == "UNAVAILABLE"
        with pytest.raises(RequestError, match="shutting down"):
            stage.join(id="j-1")

    async def test_whoever_comes_goes_and_stalls_each_sees_versions_rise_to_the_end(
        self, stage: Stage
    ) -> None:
        seed = random.randrange(2**32)  # noqa: S311 - a test
        print(f"seed {seed}")  # noqa: T201
        rng = random.Random(seed)  # noqa: S311 - a test
        stage.jobs.put(job_of("j-1"))
        listeners: list[Listener] = []
        left: set[Listener] = set()
        for _ in range(600):
            kind = rng.randrange(6)
            if kind == 0:
                listeners.append(stage.join(id="j-1", every=rng.choice([0, 0, 1, 3])))
            elif kind == 1 and listeners:
                rng.choice(listeners).is_open = False
            elif kind == 2 and listeners:
                rng.choice(listeners).open()
            elif kind == 3 and listeners and rng.random() < 0.2:
                one = rng.choice(listeners)
                one.leave()
                left.add(one)
            elif kind == 4:
                stage.jobs.change("j-1")
            await turns(rng.randrange(4))
        last = stage.jobs.change("j-1", state=DONE).status.version
        stays = [one for one in listeners if one not in left]
        for one in stays:
            one.open()
        await eventually_async(lambda: all(one.is_complete for one in stays))

        for one in listeners:
            assert one.versions == sorted(set(one.versions))
        assert {one.versions[-1] for one in stays} == {last}
        assert (stage.fan_out.groups, stage.world.hub.listeners) == (0, 0)


class TestJobFeed:
    async def test_live_jobs_come_first_then_what_changes(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        stage.jobs.put(job_of("j-2", state=DONE))
        listener = stage.join(FEED)
        await eventually_async(lambda: listener.states == [{"id": "j-1", "version": 1}])
        stage.jobs.change("j-1")
        stage.jobs.put(job_of("j-3"))
        await eventually_async(lambda: len(listener.states) == 3)
        assert {(s["id"], s["version"]) for s in listener.states[1:]} == {("j-1", 2), ("j-3", 1)}
        listener.leave()

    async def test_many_share_one_payload_a_state(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        listeners = [stage.join(FEED) for _ in range(50)]
        await eventually_async(lambda: all(one.versions == [1] for one in listeners))
        stage.jobs.change("j-1")
        await eventually_async(lambda: all(one.versions == [1, 2] for one in listeners))
        assert len({id(one.payloads[1]) for one in listeners}) == 1
        assert stage.fan_out.groups == 1
        for one in listeners:
            one.leave()
        assert stage.fan_out.groups == 0
        await eventually_async(lambda: not stage.world.bell.listeners)

    async def test_a_late_one_gets_the_present_state_of_every_live_job(self, stage: Stage) -> None:
        for number in range(3):
            stage.jobs.put(job_of(f"j-{number}"))
        early = stage.join(FEED)
        await eventually_async(lambda: len(early.states) == 3)
        late = stage.join(FEED)
        await eventually_async(lambda: len(late.states) == 3)
        assert len(early.states) == 3
        early.leave()
        late.leave()

    async def test_a_slow_one_gets_the_newest_of_each_job(self, stage: Stage) -> None:
        stage.jobs.put(job_of("j-1"))
        stage.jobs.put(job_of("j-2"))
        slow, quick = stage.join(FEED), stage.join(FEED)
        await eventually_async(lambda: len(slow.states) == len(quick.states) == 2)
        slow.is_open = False
        for _ in range(10):
            stage.jobs.change("j-1")
            stage.jobs.change("j-2")
            await turns(20)
        await eventually_async(lambda: quick.states[-1]["version"] == 11)

        slow.open()

        await eventually_async(lambda: len(slow.states) == 4)
        assert {s["version"] for s in slow.states[2:]} == {11}
        assert stage.counts.states == len(slow.states) + len(quick.states)
        assert stage.counts.skipped == 2 * 2 * 11 - stage.counts.states
        slow.leave()
        quick.leave()

    async def test_only_jobs_with_the_tag_and_those_that_the_caller_sees(
        self, stage: Stage
    ) -> None:
        stage.jobs.put(job_of("j-1", tags=["nightly"]))
        stage.jobs.put(job_of("j-2"))
        tagged = stage.join(FEED, tag="nightly")
        viewer = stage.join(FEED, caller=replace(ADA, jobs=frozenset({JobId("j-2")})))
        await eventually_async(lambda: tagged.states and viewer.states)
        await turns(50)
        assert [s["id"] for s in tagged.states] == ["j-1"]
        assert [s["id"] for s in viewer.states] == ["j-2"]
        tagged.leave()
        viewer.leave()


ROWS = "subscription($id: ID!) { jobStatus(id: $id) { version result } }"
ALL_ROWS = "subscription { jobFeed(minIntervalMs: 0) { version result } }"


async def test_who_follows_what_cannot_be_shown_is_told_so(stage: Stage) -> None:
    shown, hidden = job_of("j-1"), job_of("j-1", state=DONE, version=2)
    stage.jobs.put(shown)
    first = stage.join(ROWS, id="j-1")
    await eventually_async(has(first, 1))

    stage.jobs.put(replace(hidden, status=replace(hidden.status, result=[object()])))
    second = stage.join(ROWS, id="j-1")

    await eventually_async(lambda: first.has_ended and second.has_ended)
    assert (first.code, second.code) == ("INTERNAL", "INTERNAL")


async def test_a_feed_of_what_cannot_be_shown_ends_with_an_error(stage: Stage) -> None:
    hidden = job_of("j-1", state=DONE)
    feed = stage.join(ALL_ROWS)
    await turns(5)

    stage.jobs.put(replace(hidden, status=replace(hidden.status, result=[object()])))

    await eventually_async(lambda: feed.has_ended)
    assert feed.code == "INTERNAL"
