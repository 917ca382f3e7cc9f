"""Whoever joins is shown nothing that was read before, however many follow the same job."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from engine.job import JobId
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

    def push(self, payload: bytes) -> bool:
        self.versions.append(int(payload))
        return True

    def complete(self) -> None: ...

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
