"""uvicorn's WebSocket protocol, with a way out for messages that are ready.

Messages go to the transport as frames, past uvicorn's and websockets' per-message work; that needs
permessage-deflate to be off. A peer that does not read is dropped: it holds buffers of ours, and a
ping cannot tell, because it waits behind the data.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

from transport.group import nothing
from transport.websocket.mailbox import Gate, Mailbox
from transport.websocket.outbox import Outbox
from transport.websocket.wire import EXTENSION

MAX_BUFFERED_BYTES: Final = 64 * 1024
"""What may wait in this process for a peer; as much again, and the kernel's own, waits there."""
MAX_UNSENT_BYTES: Final = 16 * 1024
"""What may wait for the end of a turn, where it is not yet counted."""
DROP_AFTER_S: Final = 10.0
PING_EVERY_S: Final = 7.0
PONG_WITHIN_S: Final = 6.0
CLOSES_WITHIN_S: Final = 3.0
MAX_FRAGMENTS: Final = 1_000


class WebSocketProtocol(WebSocketsSansIOProtocol):
    """Serves one connection; is its own ``Wire``."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = cast("Any", Mailbox())
        self.writable = cast("Any", Gate())
        self.is_paused = False
        self.on_resumed: Callable[[], None] = nothing
        self.outbox: Outbox | None = None
        self._unsent = b""
        self.ping_interval = PING_EVERY_S
        self.ping_timeout = PONG_WITHIN_S
        self.close_timeout = CLOSES_WITHIN_S
        self._dropping: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; called once the head of the request was read."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(MAX_BUFFERED_BYTES)

    def connection_lost(self, exc: Exception | None) -> None:
        """End."""
        self._stop_dropping()
        self.on_resumed = nothing
        super().connection_lost(exc)

    def handle_connect(self, event: Request) -> None:
        """Begin the handshake."""
        super().handle_connect(event)
        if self.handshake_initiated and not self.close_sent:
            extensions = cast("dict[str, Any]", self.scope.get("extensions"))
            extensions[EXTENSION] = self

    def send_text(self, message: bytes) -> None:
        """See ``Wire``."""
        self._send(_head(len(message)) + message)

    def send_next(self, prefix: bytes, payload: bytes) -> None:
        """See ``Wire``."""
        length = len(prefix) + len(payload) + 1
        self._send(b"".join((_head(length), prefix, payload, b"}")))

    def flush(self) -> None:
        """Write what waits for the end of this turn."""
        unsent, self._unsent = self._unsent, b""
        if unsent and not (self.close_sent or self.disconnected):
            self.transport.write(unsent)

    def start_keepalive(self) -> None:
        """Begin; called once the handshake is over, whose parts nobody needs any more."""
        super().start_keepalive()
        del self.request, self.response

    async def until_writable(self) -> None:
        """See ``Wire``."""
        await self.writable.wait()

    def close(self, code: int, reason: str) -> None:
        """See ``Wire``."""
        if self.close_sent or self.disconnected or self.conn.state is not State.OPEN:
            return
        self.flush()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        self.close_timer = self.loop.call_later(self.close_timeout, self.transport.abort)

    def pause_writing(self) -> None:
        """Wait for the peer to read, but not for ever."""
        super().pause_writing()
        self.is_paused = True
        self._dropping = self.loop.call_later(DROP_AFTER_S, self._drop)

    def resume_writing(self) -> None:
        """Go on: the peer has read most of what it was sent."""
        super().resume_writing()
        self.is_paused = False
        self._stop_dropping()
        self.on_resumed()

    def handle_ping(self) -> None:
        """Answer, unless the peer reads no answers."""
        answer = b"".join(self.conn.data_to_send())
        if not self.is_paused:
            self.transport.write(answer)

    def keepalive_timeout(self) -> None:
        """Drop a peer that gave no sign of life; a close frame would wait for it as well."""
        self.pong_timer = None
        self._drop()

    def handle_cont(self, event: Frame) -> None:
        """Take a part of a message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.conn.fail(1009, "too many fragments")
            self.handle_parser_exception()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Pass a message on; a text that is no UTF-8 ends the connection, as RFC 6455 has it."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            data = b"".join(self.frames)
            try:
                event = {"type": "websocket.receive", "text": data.decode()}
            except UnicodeDecodeError:
                self.conn.fail(1007, "a text message must be UTF-8")
                self.handle_parser_exception()
                return
            self.frames = []
            self.queue.put_nowait(cast("Any", event))
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()
        else:
            super().send_receive_event_to_app()

    def _send(self, frame: bytes) -> None:
        if self._unsent:
            self._unsent += frame
        else:
            self._unsent = frame
            if self.outbox is not None and len(frame) < MAX_UNSENT_BYTES:
                self.outbox.put(self)
                return
        if self.outbox is None or len(self._unsent) >= MAX_UNSENT_BYTES:
            self.flush()

    def _drop(self) -> None:
        self._dropping = None
        self.transport.abort()

    def _stop_dropping(self) -> None:
        if self._dropping is not None:
            self._dropping.cancel()
            self._dropping = None


def _head(length: int) -> bytes:
    """Return the head of an unmasked text frame."""
    if length < 126:
        return bytes((0x81, length))
    if length < 65_536:
        return b"\x81\x7e" + length.to_bytes(2, "big")
    return b"\x81\x7f" + length.to_bytes(8, "big")
