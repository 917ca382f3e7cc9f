"""Following a job with gql: ``async for status in follow(url, job)``."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any, Final

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from websockets.exceptions import ConnectionClosed

RUNNING: Final = ("QUEUED", "RUNNING", "CANCELLING")
FOLLOW: Final = """
  subscription Follow($id: ID!) {
    jobStatus(id: $id) {
      id version state phase ratio etaSeconds
      map { succeeded total }
      result resultRows
      error { code message }
    }
  }
"""


async def follow(
    url: str, job: str, *, token: str | None = None
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield a job's states, each newer than the one before, the terminal one last.

    Asks again when the service goes away, for as long as it takes: the first state that comes is
    the present one, so nothing needs to be caught up with.

    Args:
        url: Of GraphQL, such as ``http://127.0.0.1:8000/graphql``.
        job: Its id.
        token: An API key, where the service wants one.

    Raises:
        TransportQueryError: There is no such job.
        PermissionError: The token is not valid (any more).
    """
    version, pause_s = -1, 0.1
    while True:
        try:
            async with aclosing(_states(url, job, token)) as states:
                async for status in states:
                    pause_s = 0.1
                    has_ended = status["state"] not in RUNNING
                    if status["version"] > version or has_ended:
                        version = status["version"]
                        yield status
                    if has_ended:
                        return
        except TransportQueryError:
            raise
        except (TransportError, OSError, TimeoutError) as exc:
            if _close_code(exc) == 4403:
                raise PermissionError("the token is not valid") from exc
        # Not all clients of a restarted service come back in the same moment.
        await asyncio.sleep(pause_s * random.uniform(0.5, 1))  # noqa: S311 - no secret
        pause_s = min(2 * pause_s, 5)


async def _states(url: str, job: str, token: str | None) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what one subscription on one connection says."""
    transport = WebsocketsTransport(
        url=url.replace("http", "ws", 1),
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        init_payload={"token": token},
        connect_args={"ping_interval": 10, "ping_timeout": 10},  # sees a peer that just vanished
    )
    request = GraphQLRequest(FOLLOW, variable_values={"id": job})
    async with Client(transport=transport) as session:
        async with aclosing(session.subscribe(request)) as answers:
            async for answer in answers:
                yield answer["jobStatus"]


def _close_code(exc: BaseException | None) -> int | None:
    while exc is not None and not isinstance(exc, ConnectionClosed):
        exc = exc.__cause__ or exc.__context__
    return exc.rcvd.code if exc is not None and exc.rcvd is not None else None
