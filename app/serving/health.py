"""Whether this process lives, and whether it should be sent requests."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from redis.asyncio import Redis
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.redis.client import translated
from engine.errors import UnavailableError

READY_WITHIN_S: Final = 2.0
LIVE: Final = "/livez"
READY: Final = "/readyz"
HEALTH_PATHS: Final = frozenset({LIVE, READY})


def health_routes(redis: Redis, *, is_closing: Callable[[], bool]) -> list[Route]:
    """Return the routes of ``HEALTH_PATHS``.

    Args:
        redis: Must answer for this process to be ready.
        is_closing: Whether the process is about to end.
    """
    return [Route(LIVE, _alive), Route(READY, _readiness(redis, is_closing))]


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _readiness(
    redis: Redis, is_closing: Callable[[], bool]
) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        if is_closing():
            return _not_ready("the server is going away")
        try:
            with translated():
                async with asyncio.timeout(READY_WITHIN_S):
                    await redis.ping()
        except UnavailableError as exc:
            # The rest of the message names addresses, which are nobody's business here.
            return _not_ready(exc.message.partition(":")[0])
        return PlainTextResponse("ok\n")

    return ready


def _not_ready(reason: str) -> Response:
    return PlainTextResponse(f"{reason}\n", status_code=503, headers={"Retry-After": "1"})
