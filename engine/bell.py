"""The port to the doorbell: somebody changed a job, go and look.

Pub/sub is a doorbell, not a mailbox: a ring carries no state, may be lost, doubled or late, and
means only that reading again may show something new.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from engine.job import JobId

OnRing = Callable[[JobId], None]

ANY_JOB: Final = JobId("")
"""Rung after a reconnect: any job of the topic may have changed, or come and ended."""


class Bell(Protocol):
    """Rings for changed jobs.

    Promised: once ``listen`` has been entered, a change that is committed later rings, unless the
    connection fails, in which case every listener is rung when it is back. Not promised: one ring
    for each change.
    """

    def listen(self, topic: str, on_ring: OnRing) -> AbstractAsyncContextManager[None]:
        """Call *on_ring* for changes of *topic* while the context is open.

        Args:
            topic: ``job:<id>`` for one job, ``tenant:<name>`` for all jobs of a tenant.
            on_ring: Gets the job's id; must not block. After a reconnect it is called with
                ``ANY_JOB``.
        """
        ...

    def attach(self, topic: str, on_ring: OnRing) -> Callable[[], None]:
        """Call *on_ring* for changes of *topic*, without waiting until it is live.

        As soon as it is, which may be at once, it is called with ``ANY_JOB``: what is committed
        after that rings. Thousands of listeners need no task each.

        Args:
            topic: As for ``listen``.
            on_ring: Likewise.

        Returns:
            What ends it; to be called once.
        """
        ...


def job_topic(job: JobId) -> str:
    """Return the topic of one job."""
    return f"job:{job}"


def tenant_topic(tenant: str) -> str:
    """Return the topic of all jobs of a tenant."""
    return f"tenant:{tenant}"
