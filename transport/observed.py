"""What is noted of every request, whatever it asks for: an id, how long it took, its trace.

The id comes with the request as ``X-Request-Id``, if that has an ordinary form, or is made here. It
stands in every log line of the request and in the answer.
"""

from __future__ import annotations

import itertools
import logging
import re
import secrets
import time
from collections.abc import Iterator
from typing import Any, Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.log_context import log_fields
from engine.meters import ApiMeter
from engine.tracer import Tracer

REQUEST_ID: Final = b"x-request-id"
TRACEPARENT: Final = b"traceparent"
UNMATCHED: Final = "other"
PAST_ROUTER: Final = ("/graphql",)
"""Paths that are served before a router looks at them."""

_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
_TRACEPARENT: Final = re.compile(rb"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_STREAM: Final = b"text/event-stream"
_FAULT: Final = 500
_CALLER_GONE: Final = 499
_log = logging.getLogger(__name__)


class Observed:
    """ASGI middleware around the whole application.

    Args:
        application: Answers.
        meter: Hears of every answer.
        tracer: Opens a span for every request, in the caller's trace if it is told one.
    """

    def __init__(self, application: ASGIApp, *, meter: ApiMeter, tracer: Tracer) -> None:
        self._application = application
        self._meter = meter
        self._tracer = tracer
        self._ids = _ids()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        given, parent = _named(scope["headers"])
        request_id = given or next(self._ids)
        answer = _Answer(send, request_id, self._meter)
        with log_fields(request=request_id.decode()):
            if scope["type"] == "websocket":
                with self._tracer.under(parent):
                    await self._application(scope, receive, answer.send)
            else:
                await self._serve(scope, receive, answer, parent)

    async def _serve(
        self, scope: Scope, receive: Receive, answer: _Answer, parent: str | None
    ) -> None:
        since = time.monotonic()
        try:
            with self._tracer.span(f"HTTP {scope['method']}", parent=parent):
                try:
                    await self._application(scope, receive, answer.send)
                except Exception:  # noqa: BLE001 - told to the log, and under its id to the caller
                    _log.exception("internal error, reference %s", answer.request_id)
                    self._tracer.end(route_of(scope), error="INTERNAL")
                    await answer.fail()
                else:
                    self._tracer.end(f"{route_of(scope)} {answer.status}")
        finally:
            if answer.is_stream:
                self._meter.streams(-1)
            else:
                self._meter.answered(
                    method=scope["method"],
                    route=route_of(scope),
                    status=answer.status,
                    seconds=time.monotonic() - since,
                )


class _Answer:
    """Looks at what is sent, and adds the id.

    Attributes:
        request_id: For people.
        status: Of the answer; 499, as some proxies have it, as long as nobody was answered: mostly
            since they had gone.
        is_stream: Whether it lasts as long as the caller listens.
    """

    def __init__(self, send: Send, request_id: bytes, meter: ApiMeter) -> None:
        self._send = send
        self._meter = meter
        self._request_id = request_id
        self._has_begun = False
        self._is_complete = False
        self.status = _CALLER_GONE
        self.is_stream = False

    @property
    def request_id(self) -> str:
        return self._request_id.decode()

    async def send(self, message: Message) -> None:
        kind = message["type"]
        if kind in ("http.response.start", "websocket.accept"):
            headers: list[tuple[bytes, bytes]] = list(message.get("headers") or ())
            headers.append((REQUEST_ID, self._request_id))
            message = {**message, "headers": headers}
            self._has_begun = True
            self.status = message.get("status", _CALLER_GONE)
            self.is_stream = any(
                name.lower() == b"content-type" and value.startswith(_STREAM)
                for name, value in headers
            )
            if self.is_stream:
                self._meter.streams(1)
        elif kind == "http.response.body":
            self._is_complete = not message.get("more_body", False)
        await self._send(message)

    async def fail(self) -> None:
        """Answer after a fault of ours, as far as there is no answer yet.

        Raises:
            ConnectionAbortedError: It breaks off in the middle; the server closes the connection.
        """
        if self._is_complete:
            return
        if self._has_begun:
            raise ConnectionAbortedError(f"the answer to request {self.request_id} broke off")
        text = f"internal error, reference {self.request_id}\n".encode()
        headers = [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", str(len(text)).encode()),
        ]
        await self.send({"type": "http.response.start", "status": _FAULT, "headers": headers})
        await self.send({"type": "http.response.body", "body": text})


def route_of(scope: Scope) -> str:
    """Return the pattern of the path that was asked for, which has as many forms as routes."""
    route: Any = scope.get("route")
    if route is None:
        return scope["path"] if scope["path"] in PAST_ROUTER else UNMATCHED
    return str(route.path)


def _named(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, str | None]:
    """Return the id of a request, or nothing, and the span that it belongs to, if it tells one."""
    request_id, parent = b"", None
    for name, value in headers:
        if name == REQUEST_ID and _ID.fullmatch(value):
            request_id = value
        elif name == TRACEPARENT and _TRACEPARENT.fullmatch(value):
            parent = value.decode()
    return request_id, parent


def _ids() -> Iterator[bytes]:
    """Make ids that no other process makes, for next to nothing."""
    own = secrets.token_hex(5)
    return (f"{own}{number:06x}".encode() for number in itertools.count())
