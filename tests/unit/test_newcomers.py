"""Whoever joins is shown nothing that was read before, however many follow the same job."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from engine.job import JobId, JobState
from engine.meters import UNMEASURED
from resolvers.live.watch import UNKNOWN, JobWatch
from tests.support.memory import status_of
from transport.group import Errors
from transport.status_group import StatusGroup

pytestmark = pytest.mark.anyio

JOB = JobId("j-1")


@dataclass
class Heard:
    """A subscriber that notes the versions it gets."""

    versions: list[int] = field(default_factory=list)
    is_open: bool = True
    is_complete: bool = False

    def push(self, payload: bytes) -> bool:
        if self.is_open:
            self.versions.append(int(payload))
        return self.is_open

    def complete(self) -> None:
        self.is_complete = True

    def fail(self, errors: Errors) -> None:
        raise AssertionError(errors)


def group_of(watch: JobWatch) -> StatusGroup:
    return StatusGroup(
        watch,
        release=lambda: None,
        after_version=UNKNOWN,
        interval_s=0,
        render=lambda status: str(status.version).encode(),
        errors_of=lambda error: [{"message": str(error)}],
        meter=UNMEASURED,
    )


async def test_a_newcomer_gets_no_state_from_a_read_that_had_begun_before() -> None:
    watch = JobWatch("acme", JOB, lambda _: None)
    group = group_of(watch)
    first, newcomer = Heard(), Heard()
    group.join(first)
    watch.ring()
    watch.begin()
    watch.finish(status_of(JOB, version=1), now=0)
    watch.ring()
    watch.begin()

    group.join(newcomer)
    watch.finish(status_of(JOB, version=2), now=0)

    assert first.versions == [1, 2]
    assert newcomer.versions == []
    watch.begin()
    watch.finish(status_of(JOB, version=3), now=0)
    assert first.versions == [1, 2, 3]
    assert newcomer.versions == [3]


async def test_a_newcomer_of_a_job_that_is_redriven_follows_the_new_run_to_its_end() -> None:
    watch = JobWatch("acme", JOB, lambda _: None)
    group = group_of(watch)
    first, newcomer = Heard(), Heard()
    group.join(first)
    watch.ring()
    watch.begin()
    group.join(newcomer)
    watch.finish(status_of(JOB, version=1, state=JobState.FAILED), now=0)
    assert (first.versions, first.is_complete) == ([1], True)
    assert (newcomer.versions, newcomer.is_complete) == ([], False)

    watch.begin()
    watch.finish(status_of(JOB, version=2, state=JobState.RUNNING), now=0)
    assert (newcomer.versions, newcomer.is_complete) == ([2], False)
    watch.ring()
    watch.begin()
    watch.finish(status_of(JOB, version=3, state=JobState.SUCCEEDED), now=0)

    assert (newcomer.versions, newcomer.is_complete) == ([2, 3], True)
    assert first.versions == [1]


async def test_a_slow_one_of_a_job_that_is_redriven_follows_the_new_run_too() -> None:
    watch = JobWatch("acme", JOB, lambda _: None)
    group = group_of(watch)
    slow, newcomer = Heard(is_open=False), Heard()
    membership = group.join(slow)
    watch.ring()
    watch.begin()
    group.join(newcomer)
    watch.finish(status_of(JOB, version=1, state=JobState.FAILED), now=0)
    watch.begin()
    watch.finish(status_of(JOB, version=2, state=JobState.RUNNING), now=0)
    assert newcomer.versions == [2]

    slow.is_open = True
    membership.resume()

    assert (slow.versions, slow.is_complete) == ([2], False)
    watch.ring()
    watch.begin()
    watch.finish(status_of(JOB, version=3, state=JobState.SUCCEEDED), now=0)
    assert (slow.versions, slow.is_complete) == ([2, 3], True)
    assert (newcomer.versions, newcomer.is_complete) == ([2, 3], True)
