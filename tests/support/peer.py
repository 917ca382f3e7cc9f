"""The other end of a WebSocket: sends what it likes, and tells what came."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

SUBPROTOCOL: Final = "graphql-transport-ws"
WITHIN_S: Final = 10.0


@dataclass(frozen=True)
class Closed:
    """How a connection was closed by the server."""

    code: int
    reason: str


class Peer:
    """One connection."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    async def send(self, **message: Any) -> None:
        await self.socket.send(json.dumps(message))

    async def send_raw(self, data: str | bytes) -> None:
        await self.socket.send(data)

    async def receive(self) -> Any:
        async with asyncio.timeout(WITHIN_S):
            return json.loads(await self.socket.recv())

    async def init(self, **payload: Any) -> None:
        """Be acknowledged."""
        await self.send(type="connection_init", payload=payload)
        assert await self.receive() == {"type": "connection_ack"}

    async def subscribe(
        self, query: str, *, under: str = "1", name: str | None = None, **variables: Any
    ) -> None:
        payload = {"query": query, "variables": variables, "operationName": name}
        await self.send(type="subscribe", id=under, payload=payload)

    async def complete(self, id: str = "1") -> None:
        await self.send(type="complete", id=id)

    async def ask(self, query: str, *, under: str = "q", **variables: Any) -> Any:
        """Return the payload of the one answer to a query or mutation."""
        await self.subscribe(query, under=under, **variables)
        answer = await self.receive()
        assert (answer["id"], answer["type"]) == (under, "next"), answer
        assert await self.receive() == {"id": under, "type": "complete"}
        return answer["payload"]

    async def error(self, id: str = "1") -> Any:
        """Return the only error of the message that comes next."""
        message = await self.receive()
        assert (message["id"], message["type"]) == (id, "error"), message
        (error,) = message["payload"]
        return error

    async def is_idle(self) -> None:
        """See that nothing comes before the answer to a ping."""
        await self.send(type="ping", payload={"marks": "the end"})
        assert await self.receive() == {"type": "pong", "payload": {"marks": "the end"}}

    async def closed(self) -> Closed:
        """Wait until the server closes, whatever it sends before."""
        async with asyncio.timeout(WITHIN_S):
            with pytest.raises(ConnectionClosed) as closed:
                await self._read_on()
        frame = closed.value.rcvd
        assert frame is not None, "there was no close frame"
        return Closed(frame.code, frame.reason)

    async def _read_on(self) -> None:
        while True:
            await self.socket.recv()


@asynccontextmanager
async def peer_of(
    url: str,
    *,
    subprotocols: Sequence[str] | None = (SUBPROTOCOL,),
    origin: str | None = None,
    headers: dict[str, str] | None = None,
) -> AsyncIterator[Peer]:
    """Connect to the service at *url*."""
    async with connect(
        url.replace("http", "ws", 1) + "/graphql",
        subprotocols=[Subprotocol(name) for name in subprotocols] if subprotocols else None,
        origin=origin,  # type: ignore[arg-type]
        additional_headers=headers,
        proxy=None,
        compression=None,
        max_size=2**26,
        ping_interval=None,
        close_timeout=1,
    ) as socket:
        yield Peer(socket)
