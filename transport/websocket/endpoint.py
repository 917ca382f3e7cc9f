"""The ASGI application that serves ``graphql-transport-ws`` on one path."""

from __future__ import annotations

from typing import Final, cast

from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from engine.meters import UNMEASURED, PushMeter
from transport.origins import Origins
from transport.websocket.closing import CloseCode
from transport.websocket.connection import Connection, Served
from transport.websocket.wire import EXTENSION, Wire

SUBPROTOCOL: Final = "graphql-transport-ws"
MAX_UNACKNOWLEDGED: Final = 4_096
"""Sockets that have not told who they are; each may stay for a few seconds."""


class GraphQLWebSocket:
    """Serves connections; needs ``transport.websocket_protocol`` below it.

    Args:
        served: What connections share.
        origins: The pages that may connect.
        meter: Hears of open sockets.
        max_unacknowledged: How many may not have told yet who they are.
    """

    def __init__(
        self,
        served: Served,
        *,
        origins: Origins,
        meter: PushMeter = UNMEASURED,
        max_unacknowledged: int = MAX_UNACKNOWLEDGED,
    ) -> None:
        self._served = served
        self._origins = origins
        self._meter = meter
        self._open: dict[Connection, None] = {}
        self._unacknowledged = 0
        self._max_unacknowledged = max_unacknowledged
        self._is_closing = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one WebSocket until it is closed."""
        await receive()
        headers = dict(scope["headers"])
        origin, host = headers.get(b"origin"), headers.get(b"host", b"").decode("latin-1")
        if not self._origins.allow(origin and origin.decode("latin-1"), host=host):
            await _refuse(scope, receive, send, "pages of this origin may not connect", 403)
        elif self._is_closing:
            await _refuse(scope, receive, send, "the server is going away", 503)
        elif self._unacknowledged >= self._max_unacknowledged:
            await _refuse(scope, receive, send, "too many connect at once", 503)
        elif SUBPROTOCOL not in scope["subprotocols"]:
            await send({"type": "websocket.accept"})
            code, reason = CloseCode.SUBPROTOCOL_NOT_ACCEPTABLE, "Subprotocol not acceptable"
            await send({"type": "websocket.close", "code": code, "reason": reason})
        else:
            await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
            authorization = headers.get(b"authorization")
            scheme = {"ws": "http", "wss": "https"}.get(scope["scheme"], scope["scheme"])
            wire = _wire_of(scope)
            scope["headers"] = []  # they would be kept as long as the connection
            self._unacknowledged += 1
            connection = Connection(
                wire,
                self._served,
                on_acknowledged=self._note_acknowledged,
                authorization=authorization and authorization.decode("latin-1"),
                base_url=f"{scheme}://{host}",
            )
            await self._serve(connection, wire, receive)

    @property
    def open_connections(self) -> int:
        """How many peers there are."""
        return len(self._open)

    def close_all(self) -> None:
        """Tell every peer that the server goes away, and take no more."""
        self._is_closing = True
        for connection in list(self._open):
            connection.close(CloseCode.GOING_AWAY, "the server is going away")

    async def _serve(self, connection: Connection, wire: Wire, receive: Receive) -> None:
        self._open[connection] = None
        self._meter.sockets(1)
        try:
            while (message := await receive())["type"] != "websocket.disconnect":
                connection.receive(message.get("text"))
                if wire.is_paused:
                    # Who does not read the answers is not heard either.
                    await wire.until_writable()
        finally:
            connection.end()
            del self._open[connection]
            if not connection.is_acknowledged:
                self._unacknowledged -= 1
            self._meter.sockets(-1)

    def _note_acknowledged(self) -> None:
        self._unacknowledged -= 1


def _wire_of(scope: Scope) -> Wire:
    return cast("Wire", scope["extensions"][EXTENSION])


async def _refuse(scope: Scope, receive: Receive, send: Send, why: str, status: int) -> None:
    headers = {"Retry-After": "1"} if status == 503 else None
    await PlainTextResponse(f"{why}\n", status, headers)(scope, receive, send)
