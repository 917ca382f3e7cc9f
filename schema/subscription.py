"""The subscriptions: their resolvers, then the type that names them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing

import strawberry

from schema.context import Info
from schema.status import JobStatus


async def _job_status(
    info: Info,
    id: strawberry.ID,
    after_version: int | None = strawberry.UNSET,
    min_interval_ms: int | None = 100,
) -> AsyncGenerator[JobStatus, None]:
    states = info.context.hub.follow(
        info.context.caller,
        id,
        after_version=after_version if isinstance(after_version, int) else None,
        min_interval_ms=100 if min_interval_ms is None else min_interval_ms,
    )
    async with aclosing(states):
        async for status in states:
            yield JobStatus.of(status)


async def _job_feed(
    info: Info,
    tag: str | None = strawberry.UNSET,
    min_interval_ms: int | None = 500,
) -> AsyncGenerator[JobStatus, None]:
    states = info.context.hub.feed(
        info.context.caller,
        tag=tag if isinstance(tag, str) else None,
        min_interval_ms=500 if min_interval_ms is None else min_interval_ms,
    )
    async with aclosing(states):
        async for status in states:
            yield JobStatus.of(status)


@strawberry.type
class Subscription:
    """GraphQL ``Subscription``."""

    job_status: AsyncGenerator[JobStatus, None] = strawberry.subscription(
        resolver=_job_status,
        description=(
            "The state of one job, now and at every change, until it has ended. The first value is"
            " the\npresent state, read after the listener is live; versions only rise; a slow"
            " reader may skip\nversions but always gets the newest, and always gets the terminal"
            " one, after which the\nsubscription completes. With afterVersion, nothing is sent"
            " until a newer version exists."
        ),
    )
    job_feed: AsyncGenerator[JobStatus, None] = strawberry.subscription(
        resolver=_job_feed,
        description=(
            "The same for every visible job, or every one with this tag: one subscription for a"
            " list. Never completes."
        ),
    )
