"""GraphQL over HTTP, to the letter, on one path.

Every answer is GraphQL JSON, also where the request is none; subscriptions, and operations of
callers who take nothing else, are answered as event streams.

Source: GraphQL over HTTP, https://graphql.github.io/graphql-over-http/draft/.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Final

from starlette.types import Receive, Scope, Send

from engine.errors import QuotaExceededError, UnauthenticatedError, UnavailableError
from resolvers.access.authentication import Authenticator
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections
from schema.context import Context
from transport.admission import Admission
from transport.bodies import (
    SMALL_BODY_BYTES,
    Asked,
    Disconnected,
    read_body,
    read_json,
    read_query_string,
)
from transport.credentials import credential_of
from transport.fan_out import FanOut
from transport.group import Membership, Subscriber
from transport.negotiation import HTML, JSON, RESPONSE_JSON, Acceptance, acceptance_of, is_json
from transport.operations import REFUSED, Operations, RequestError
from transport.origins import Origins
from transport.sse import EventStreams, send_one

Headers = Mapping[bytes, str]

_ONCE: Final = frozenset(
    {b"authorization", b"content-type", b"content-length", b"content-encoding", b"host", b"origin"}
)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    query_string: bytes
    headers: Headers
    takes: Acceptance
    base_url: str

    @property
    def is_for_page(self) -> bool:
        return self.method == "GET" and self.takes.html and not self.query_string


class GraphQLHTTP:
    """An ASGI application for one path.

    Args:
        operations: Runs what is asked for.
        authenticator: Tells who asks.
        context_of: Makes the context of a caller who called this address.
        origins: The pages that may call.
        fan_out: Serves subscriptions.
        connections: Counts event streams.
        streams: The event streams of this process.
        admission: Gives event streams their turns; None for at once.
        page: What a browser is shown that asks for nothing; None for nothing.
        page_headers: What it is sent with.
    """

    def __init__(
        self,
        operations: Operations,
        *,
        authenticator: Authenticator,
        context_of: Callable[[Caller, str], Context],
        origins: Origins,
        fan_out: FanOut,
        connections: Connections,
        streams: EventStreams,
        admission: Admission | None = None,
        page: bytes | None = None,
        page_headers: Mapping[str, str] | None = None,
    ) -> None:
        self._operations = operations
        self._authenticator = authenticator
        self._context_of = context_of
        self._origins = origins
        self._fan_out = fan_out
        self._connections = connections
        self._streams = streams
        self._admission = admission or Admission()
        self._page = page
        self._page_headers = page_headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        media_type = JSON
        try:
            request = _request(scope)
            media_type = request.takes.json or JSON
            await self._answer(request, receive, send)
        except Disconnected:
            pass
        except RequestError as exc:
            await _send(send, exc.status, exc.payload, media_type, exc.headers)
        except UnauthenticatedError as exc:
            refusal = RequestError.of(exc.message, code=exc.code)
            await _send(send, 401, refusal.payload, media_type, {"WWW-Authenticate": "Bearer"})
        except QuotaExceededError as exc:
            refusal = RequestError.of(exc.message, code=exc.code)
            headers = {"Retry-After": str(max(1, math.ceil(exc.retry_after_s)))}
            await _send(send, 429, refusal.payload, media_type, headers)
        except UnavailableError as exc:
            refusal = RequestError.of(exc.message, code=exc.code)
            await _send(send, 503, refusal.payload, media_type, {"Retry-After": "1"})
        except Exception as exc:  # noqa: BLE001 - masked and logged
            await _send(send, 500, RequestError.hiding(exc).payload, media_type)

    async def _answer(self, request: _Request, receive: Receive, send: Send) -> None:
        if request.method not in ("GET", "POST"):
            raise _not_allowed(f"{request.method} is not for GraphQL.", allowed="GET, POST")
        if not self._origins.allow(
            request.headers.get(b"origin"), host=request.headers.get(b"host")
        ):
            problem = "Pages of this origin may not call this service."
            raise RequestError.of(problem, code="FORBIDDEN", status=403)
        if self._page is not None and request.is_for_page:
            await _send(send, 200, self._page, HTML, self._page_headers)
            return
        if request.takes.json is None and not request.takes.events:
            problem = "An answer is application/json, application/graphql-response+json or events."
            raise RequestError.of(problem, code="NOT_ACCEPTABLE", status=406)
        caller = await self._authenticator.authenticate(
            credential_of(request.headers.get(b"authorization"))
        )
        asked = await _asked(request, receive)
        context = self._context_of(caller, request.base_url)
        try:
            outcome = await self._outcome(request, asked, context)
            if not isinstance(outcome, bytes):
                watch = partial(self._authenticator.watch, caller)
                with self._connections.hold(caller.tenant):
                    await self._admission.wait()
                    await self._streams.serve(outcome, watch, receive, send)
                return
        except RequestError as exc:
            if exc.status != REFUSED or request.takes.json == RESPONSE_JSON:
                raise
            # Older clients take another status for a fault of the network.
            outcome = exc.payload
        if request.takes.json is None:
            await send_one(outcome, send)
        else:
            await _send(send, 200, outcome, request.takes.json)

    async def _outcome(
        self, request: _Request, asked: Asked, context: Context
    ) -> bytes | Callable[[Subscriber], Membership]:
        """Return the answer, or for a subscription what has a subscriber served."""
        operation = self._operations.prepare(asked.query, asked.operation_name)
        if operation.kind == "subscription":
            if not request.takes.events:
                problem = "Events are sent as text/event-stream, if accepted, or over WebSocket."
                raise RequestError.of(problem, code="NOT_ACCEPTABLE", status=406)
            return partial(self._fan_out.join, operation, asked.variables, context)
        if operation.kind == "mutation" and request.method == "GET":
            problem = "A GET changes nothing: send mutations with POST."
            raise _not_allowed(problem, allowed="POST")
        return await self._operations.run(operation, asked.variables, context)


def _request(scope: Scope) -> _Request:
    headers: dict[bytes, str] = {}
    for name, value in scope["headers"]:
        text = value.decode("latin-1")
        if name in headers:
            if name in _ONCE:
                raise RequestError.of(f"The header {name.decode('latin-1')} is given twice.")
            text = f"{headers[name]}, {text}"
        headers[name] = text
    return _Request(
        method=scope["method"],
        query_string=scope["query_string"],
        headers=headers,
        takes=acceptance_of(headers.get(b"accept")),
        base_url=f"{scope['scheme']}://{headers.get(b'host', '')}",
    )


async def _asked(request: _Request, receive: Receive) -> Asked:
    if request.method == "GET":
        return read_query_string(request.query_string)
    headers = request.headers
    if not is_json(headers.get(b"content-type")):
        raise _unsupported("Send application/json in UTF-8.")
    if headers.get(b"content-encoding", "identity").lower() != "identity":
        raise _unsupported("Send the body as it is, not compressed.")
    body = await read_body(receive, length=headers.get(b"content-length"))
    asked = read_json(body)
    if len(body) > SMALL_BODY_BYTES:
        await asyncio.sleep(0)  # others first: what is large is worked on in parts
    return asked


def _unsupported(problem: str) -> RequestError:
    return RequestError.of(problem, code="UNSUPPORTED_MEDIA_TYPE", status=415)


def _not_allowed(problem: str, *, allowed: str) -> RequestError:
    code = "METHOD_NOT_ALLOWED"
    return RequestError.of(problem, code=code, status=405, headers={"Allow": allowed})


async def _send(
    send: Send, status: int, body: bytes, media_type: str, headers: Mapping[str, str] | None = None
) -> None:
    lines = [
        (b"content-type", f"{media_type}; charset=utf-8".encode()),
        (b"content-length", str(len(body)).encode()),
        (b"cache-control", b"no-store"),
    ]
    for name, value in (headers or {}).items():
        lines.append((name.lower().encode(), value.encode()))
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": body})
