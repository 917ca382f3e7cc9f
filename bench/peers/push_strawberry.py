"""Stock Strawberry on uvicorn: a redis-py pub/sub with a connection of its own a subscription."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncGenerator
from typing import Any

import strawberry
import uvicorn
from redis.asyncio import Redis
from strawberry.asgi import GraphQL

REDIS = Redis.from_url(os.environ["PUSH_REDIS"])


@strawberry.type
class JobStatus:
    id: strawberry.ID
    version: int
    state: str
    phase: str
    ratio: float | None
    bytes_read: float
    message: str | None
    updated_at: str


@strawberry.type
class Query:
    ping: str = "pong"


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def job_status(
        self, id: strawberry.ID, min_interval_ms: int = 0
    ) -> AsyncGenerator[JobStatus, None]:
        pubsub: Any = REDIS.pubsub()
        async with pubsub:
            await pubsub.subscribe(f"job:{id}")
            async for message in pubsub.listen():
                if message["type"] == "message":
                    event = json.loads(message["data"])
                    yield JobStatus(
                        **{k: v for k, v in event.items() if k not in ("bytesRead", "updatedAt")},
                        bytes_read=event["bytesRead"],
                        updated_at=event["updatedAt"],
                    )


if __name__ == "__main__":
    uvicorn.run(
        GraphQL(strawberry.Schema(Query, subscription=Subscription)),
        port=int(os.environ["PUSH_PORT"]),
        log_level="warning",
        access_log=False,
        backlog=4096,
    )
