"""Following one job over a WebSocket, across restarts of the service."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any, Final

from gql import Client, GraphQLRequest
from gql.transport.exceptions import TransportError, TransportProtocolError, TransportQueryError
from gql.transport.websockets import WebsocketsTransport
from graphql import ExecutionResult
from websockets.exceptions import ConnectionClosed, InvalidStatus

from app.client import documents
from app.client.address import Address
from app.client.errors import ServiceError, has_ended
from app.client.json_reading import read_exactly
from app.client.refusals import HOW_TO_SIGN_IN, refusal

MIN_INTERVAL_MS: Final = 100
_FIRST_PAUSE_S: Final = 0.1
_LONGEST_PAUSE_S: Final = 2.0
_LARGEST_MESSAGE_BYTES: Final = 64 * 1024 * 1024

_UNAUTHENTICATED: Final = (4401, 4403)

Connection = Callable[[str | None], None]


async def follow(
    at: str | Address,
    job_id: str,
    *,
    after_version: int | None = None,
    min_interval_ms: int = MIN_INTERVAL_MS,
    give_up_after_s: float | None = None,
    on_connection: Connection | None = None,
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield a job's states, each newer than the one before, the terminal one last.

    Reconnects by itself, with growing pauses, for as long as it takes. Close the generator to
    leave. Only a service that lost its last changes with its machine may end with an older version.

    Every subscription asks for the present state, and what is not newer is dropped here: a first
    message shows that the service is well, and all followers of a job are served as one.

    Args:
        at: Address of the service.
        job_id: The job.
        after_version: Yield only what is newer, and the terminal state.
        min_interval_ms: Shortest time between two states.
        give_up_after_s: Longest to go on without hearing of the job's present state; None means
            forever.
        on_connection: Told the reason when the connection is lost or not to be had, once each
            time, and None when it is there again.

    Raises:
        ServiceError: There is no such job, the token is not valid (any more), or the service was
            away for too long.
    """
    address = Address.of(at)
    line = _Line(on_connection)
    version = -1 if after_version is None else after_version
    while True:
        try:
            async with aclosing(_states(address, job_id, min_interval_ms)) as states:
                async for status in states:
                    line.is_up()
                    is_last = has_ended(status["state"])
                    if is_last or status["version"] > version:
                        version = status["version"]
                        yield status
                    if is_last:
                        return
            reason = "the service ended the subscription"
        except (TransportError, OSError, TimeoutError) as exc:
            reason = _reason_to_go_on(exc, address)
        away_s = line.is_down(reason)
        if give_up_after_s is not None and away_s > give_up_after_s:
            raise address.unreachable()
        await line.pause()


class _Line:
    """The connection as it comes and goes: who is told, since when it is away, how long to wait."""

    def __init__(self, on_change: Connection | None) -> None:
        self._on_change = on_change
        self._away_since: float | None = None
        self._pauses = 0

    def is_up(self) -> None:
        if self._away_since is not None and self._on_change is not None:
            self._on_change(None)
        self._away_since = None
        self._pauses = 0

    def is_down(self, reason: str) -> float:
        """Note a loss; return for how many seconds the service has been away."""
        if self._away_since is None:
            self._away_since = time.monotonic()
            if self._on_change is not None:
                self._on_change(reason)
        return time.monotonic() - self._away_since

    async def pause(self) -> None:
        longest_s = min(_FIRST_PAUSE_S * 2**self._pauses, _LONGEST_PAUSE_S)
        self._pauses += 1
        # Not all clients of a restarted service come back in the same moment.
        await asyncio.sleep(longest_s * (0.5 + secrets.randbelow(1000) / 2000))


async def _states(
    address: Address, job_id: str, min_interval_ms: int
) -> AsyncGenerator[dict[str, Any], None]:
    """Yield what one subscription on one connection says."""
    request = GraphQLRequest(
        documents.STATUS, variable_values={"id": job_id, "minIntervalMs": min_interval_ms}
    )
    async with Client(transport=_transport(address)) as session:
        async with aclosing(session.subscribe(request)) as answers:
            async for answer in answers:
                yield answer["jobStatus"]


class _ExactTransport(WebsocketsTransport):
    """Reads answers with every digit, for which gql has an option over HTTP alone."""

    def _parse_answer(self, answer: str) -> tuple[str, int | None, ExecutionResult | None]:
        try:
            said = read_exactly(answer)
        except ValueError as exc:
            raise TransportProtocolError(f"no JSON came: {answer[:80]!r}") from exc
        return self._parse_answer_graphqlws(said)


def _transport(address: Address) -> WebsocketsTransport:
    return _ExactTransport(
        url=address.websocket,
        subprotocols=[WebsocketsTransport.GRAPHQLWS_SUBPROTOCOL],
        init_payload=address.headers,
        connect_timeout=5,
        ack_timeout=5,
        close_timeout=1,
        connect_args={
            # A peer that vanished without a word is noticed by these.
            "ping_interval": 10,
            "ping_timeout": 10,
            "max_size": _LARGEST_MESSAGE_BYTES,
            "proxy": None if address.is_loopback else True,
        },
    )


def _reason_to_go_on(exc: Exception, address: Address) -> str:
    """Return why the connection was lost, for people.

    Raises:
        ServiceError: Connecting again would not help.
    """
    if isinstance(exc, TransportQueryError):
        error = refusal(exc)
        if error.code != "UNAVAILABLE":
            raise error from exc
        return error.lines[0]
    if _close_code(exc) in _UNAUTHENTICATED:
        raise ServiceError(
            "the token is not valid", HOW_TO_SIGN_IN, code="UNAUTHENTICATED"
        ) from exc
    refused = exc.__cause__
    if isinstance(refused, InvalidStatus) and 400 <= refused.response.status_code < 500:
        raise ServiceError(
            f"{address.websocket} answered with HTTP status {refused.response.status_code}: "
            "is it the address of a service?",
            code="NOT_A_SERVICE",
        ) from exc
    return f"no connection to {address.url}"


def _close_code(exc: BaseException | None) -> int | None:
    """Return the code that the service closed the connection with, if that is what happened."""
    while exc is not None and not isinstance(exc, ConnectionClosed):
        exc = exc.__cause__ or exc.__context__
    return None if exc is None or exc.rcvd is None else exc.rcvd.code
