"""Server-sent events: ``graphql-sse`` in its mode of distinct connections.

Each event is ``next`` with a whole response, then comes ``complete``. A stream that the server ends
for a reason of its own has no ``complete``: the client connects again and sees why.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from starlette.types import Message, Receive, Send

from engine.cancellation import cancel_all
from transport.group import Errors, Membership, Subscriber
from transport.negotiation import EVENTS
from transport.operations import RequestError

KEEP_ALIVE_S: Final = 12.0
"""Below the 15 s after which proxies and platforms begin to take a silent stream for dead."""
_HEADERS: Final = [
    (b"content-type", f"{EVENTS}; charset=utf-8".encode()),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
_COMMENT: Final = b":\n\n"
_COMPLETE: Final = b"event: complete\ndata: \n\n"


class EventStreams:
    """The event streams of this process."""

    def __init__(self) -> None:
        self._open: set[_Stream] = set()
        self._is_closing = False

    def close_all(self) -> None:
        """End every stream, and every later one at its start."""
        self._is_closing = True
        for stream in self._open:
            stream.end()

    async def serve(
        self,
        join: Callable[[Subscriber], Membership],
        watch: Callable[[Callable[[], None]], Callable[[], None]],
        receive: Receive,
        send: Send,
    ) -> None:
        """Send all responses until they end, or the caller or their credential goes.

        Args:
            join: Has a subscriber served.
            watch: Tells when the caller's credential has ended, as ``Authenticator.watch`` does.
            receive: ASGI's.
            send: ASGI's.

        Raises:
            RequestError: There is nothing to follow; nothing has been sent.
        """
        stream = _Stream()
        if self._is_closing:
            stream.end()
        membership = join(stream)
        self._open.add(stream)
        unwatch = watch(stream.end)
        watching = asyncio.create_task(_until_disconnected(receive, stream))
        try:
            await _begin(send)
            await stream.relay(membership, send)
            await send(_body(b"", is_last=True))
        finally:
            membership.leave()
            unwatch()
            self._open.discard(stream)
            await cancel_all([watching])


async def send_one(response: bytes, send: Send) -> None:
    """Send *response* alone, and that it was the last."""
    await _begin(send)
    await send(_body(_event(response) + _COMPLETE, is_last=True))


class _Stream:
    """Implements ``Subscriber``: holds one response until it can be sent."""

    def __init__(self) -> None:
        self._changed = asyncio.Event()
        self._response: bytes | None = None
        self._was_refused = False
        self._is_complete = False
        self._is_ended = False

    def push(self, payload: bytes) -> bool:
        if self._response is not None:
            self._was_refused = True
            return False
        self._response = payload
        self._changed.set()
        return True

    def complete(self) -> None:
        self._is_complete = True
        self._changed.set()

    def fail(self, errors: Errors) -> None:
        self._response = RequestError(errors).payload
        self.complete()

    def end(self) -> None:
        self._is_ended = True
        self._changed.set()

    async def relay(self, membership: Membership, send: Send) -> None:
        """Send what comes, until there is no more."""
        while True:
            try:
                async with asyncio.timeout(KEEP_ALIVE_S):
                    await self._changed.wait()
            except TimeoutError:
                await send(_body(_COMMENT))
                continue
            self._changed.clear()
            if self._is_ended:
                return
            response, self._response = self._response, None
            if response is not None:
                await send(_body(_event(response)))
                if self._was_refused:
                    self._was_refused = False
                    membership.resume()
            if self._is_complete and self._response is None:
                await send(_body(_COMPLETE))
                return


async def _begin(send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
    await send(_body(_COMMENT))  # proxies hold headers back until something follows


async def _until_disconnected(receive: Receive, stream: _Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.end()


def _event(response: bytes) -> bytes:
    return b"event: next\ndata: " + response + b"\n\n"


def _body(data: bytes, *, is_last: bool = False) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": not is_last}
