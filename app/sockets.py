"""The WebSockets of this process, so that all of them can be closed when it is to end.

ASGI has no word for that. A socket that is closed here gets 1001, "going away", as RFC 6455 has it
for a server that goes down; uvicorn's own shutdown would say 1012.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

GOING_AWAY: Final = 1001
REASON: Final = "the server is going away"
UNAVAILABLE: Final = 503


class OpenSockets:
    """ASGI middleware that knows the open WebSockets.

    Attributes:
        is_closing: Whether new ones are refused by now.
    """

    def __init__(self) -> None:
        self.is_closing = False
        self._open: set[_Socket] = set()

    def around(self, application: ASGIApp) -> ASGIApp:
        """Return *application* with its WebSockets known here."""

        async def serve(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "websocket":
                await application(scope, receive, send)
            elif self.is_closing:
                await PlainTextResponse(f"{REASON}\n", UNAVAILABLE)(scope, receive, send)
            else:
                await self._serve(application, scope, receive, send)

        return serve

    async def close_all(self) -> None:
        """Close every open socket and refuse new ones; returns when all have been told."""
        self.is_closing = True
        await asyncio.gather(*(socket.close() for socket in self._open))

    async def _serve(
        self, application: ASGIApp, scope: Scope, receive: Receive, send: Send
    ) -> None:
        socket = _Socket(send)
        self._open.add(socket)
        try:
            await application(scope, receive, socket.send)
        finally:
            self._open.discard(socket)


class _Socket:
    """One WebSocket; what the application sends after it was closed here goes nowhere."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._is_accepted = False
        self._is_closed = False

    async def send(self, message: Message) -> None:
        if self._is_closed:
            return
        self._is_accepted |= message["type"] == "websocket.accept"
        self._is_closed = message["type"] == "websocket.close"
        await self._send(message)

    async def close(self) -> None:
        if self._is_closed or not self._is_accepted:
            return
        self._is_closed = True
        await self._send({"type": "websocket.close", "code": GOING_AWAY, "reason": REASON})
