"""Following a job behind AWS AppSync: ``async for status in follow(api, job)``.

AppSync sends what is published while a subscription is in force, and nothing of what was before; it
may also lose an event. So this subscribes, reads, and reads again from time to time.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from gql import Client, GraphQLRequest
from gql.transport.appsync_auth import AppSyncAuthentication
from gql.transport.appsync_websockets import AppSyncWebsocketsTransport
from gql.transport.exceptions import TransportError
from gql.transport.httpx import HTTPXAsyncTransport
from httpx import HTTPError
from websockets.exceptions import WebSocketException

RUNNING: Final = ("QUEUED", "RUNNING", "CANCELLING")
STATUS: Final = """
  id version state phase ratio etaSeconds
  map { succeeded total }
  result resultRows
  error { code message }
"""
FOLLOW: Final = f"subscription Follow($id: ID!) {{ jobStatus(id: $id) {{ {STATUS} }} }}"
READ: Final = f"query Read($id: ID!) {{ job(id: $id) {{ status {{ {STATUS} }} }} }}"
FIRST_READ_S: Final = 0.5
SLOWEST_READ_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class Api:
    """An AppSync API, and how to sign in.

    Attributes:
        url: For queries, such as ``https://….appsync-api.eu-west-1.amazonaws.com/graphql``.
        auth: For subscriptions, such as ``AppSyncApiKeyAuthentication(host=…, api_key=…)``.
        headers: For queries, such as ``{"x-api-key": …}``.
        realtime_url: For subscriptions; None for the one that belongs to *url*.
    """

    url: str
    auth: AppSyncAuthentication
    headers: Mapping[str, str]
    realtime_url: str | None = None


async def follow(api: Api, job: str) -> AsyncGenerator[dict[str, Any], None]:
    """Yield a job's states, each newer than the one before, the terminal one last.

    Raises:
        LookupError: There is no such job.
    """
    events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
    listening = asyncio.create_task(_listen(api, job, events))
    version, pause_s = -1, FIRST_READ_S
    try:
        while True:
            status = await _newer(api, job, events, pause_s=pause_s if version >= 0 else 0.0)
            pause_s = min(SLOWEST_READ_S, 1.5 * pause_s)
            if status is not None and status["version"] > version:
                version = status["version"]
                yield status
                if status["state"] not in RUNNING:
                    return
    finally:
        listening.cancel()
        with suppress(asyncio.CancelledError):
            await listening


async def _newer(
    api: Api, job: str, events: asyncio.Queue[dict[str, Any]], *, pause_s: float
) -> dict[str, Any] | None:
    """Return the next event, or what is read when none has come for a while."""
    with suppress(TimeoutError):
        return await asyncio.wait_for(events.get(), pause_s)
    transport = HTTPXAsyncTransport(url=api.url, headers=dict(api.headers), timeout=30)
    try:
        async with Client(transport=transport) as session:
            answer = await session.execute(GraphQLRequest(READ, variable_values={"id": job}))
    except (TransportError, HTTPError, OSError):
        return None  # the API is away
    if answer["job"] is None:
        raise LookupError(f"no job {job}")
    status: dict[str, Any] = answer["job"]["status"]
    return status


async def _listen(api: Api, job: str, events: asyncio.Queue[dict[str, Any]]) -> None:
    """Put what is published into *events*, and subscribe again whenever that ends."""
    pause_s = 0.1
    while True:
        transport = AppSyncWebsocketsTransport(url=api.realtime_url or api.url, auth=api.auth)
        try:
            async with Client(transport=transport) as session:
                request = GraphQLRequest(FOLLOW, variable_values={"id": job})
                async for event in session.subscribe(request):
                    pause_s = 0.1
                    await events.put(event["jobStatus"])
        except (TransportError, WebSocketException, OSError, TimeoutError):
            pass  # it is asked again, and what is read goes on meanwhile
        await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - spreads load
        pause_s = min(10.0, 2 * pause_s)
