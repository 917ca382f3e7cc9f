"""uvicorn's HTTP protocol, with an end to patience.

Whoever sends a head byte by byte, stops in the middle of a body or does not read an answer holds a
connection for a while and nothing else, and then loses it.
"""

from __future__ import annotations

import asyncio
from enum import Enum, auto
from typing import Any, Final

from uvicorn._types import ASGI3Application
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from transport.admission import Admission, CrowdedError, Turn
from transport.turn_writer import TurnWriter

HEAD_WITHIN_S: Final = 10.0
"""From when a request could begin, or the last one was answered, to the end of its headers."""
BODY_PAUSE_S: Final = 40.0
"""Between two parts of a body. How long all of it may take is for the application, which can say so
in an answer, and therefore waits less long."""
REST_WITHIN_S: Final = 10.0
"""For the rest of a body that was answered before it had come whole."""
READ_WITHIN_S: Final = 14.0
"""For how long an answer waits for a reader who takes nothing."""
MAX_HEAD_BYTES: Final = 32 * 1024
MAX_REST_BYTES: Final = 4 * 1024 * 1024

_HEAD_TOO_LARGE: Final = b"431 Request Header Fields Too Large"
_HEAD_TOO_SLOW: Final = b"408 Request Timeout"
_CROWDED: Final = b"503 Service Unavailable"


class _Stage(Enum):
    IDLE = auto()
    HEAD = auto()
    BODY = auto()
    REST = auto()


class _HeadTooLargeError(Exception):
    pass


class PatientHttpProtocol(HttpToolsProtocol):
    """One HTTP connection; see the constants for what it waits for, and how long."""

    _stage = _Stage.IDLE
    _waits_in: _Stage | None = None
    _deadline: asyncio.TimerHandle | None = None
    _reading_deadline: asyncio.TimerHandle | None = None
    _answering: RequestResponseCycle | None = None
    _unfinished_bytes = 0
    _rest_bytes = 0
    _is_head_too_large = False
    _is_upgraded = False
    _turn: Turn | None = None
    _outbox: TurnWriter

    def __init__(self, *args: Any, admission: Admission, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._admission = admission

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._outbox = TurnWriter(self.loop, transport)
        self._wait(_Stage.HEAD, HEAD_WITHIN_S)

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait for nothing any more."""
        self._stop_waiting()
        if self._turn is not None:
            self._turn.cancel()
        self._forget_answers()
        self.resume_writing()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, then wait for what is missing."""
        if self._turn is not None:  # nobody may speak before the answer to a handshake
            self._abort()
            return
        self._unfinished_bytes += len(data)
        super().data_received(data)
        if self._is_upgraded or self.transport.is_closing():
            return
        if self._stage is _Stage.BODY and self.cycle.response_complete:
            self._stage = _Stage.REST
        if self._stage is _Stage.HEAD:
            if self._unfinished_bytes > MAX_HEAD_BYTES:
                self._refuse(_HEAD_TOO_LARGE)
            elif self._waits_in is not _Stage.HEAD:
                self._wait(_Stage.HEAD, HEAD_WITHIN_S)
        elif self._stage is _Stage.BODY:
            self._wait(_Stage.BODY, BODY_PAUSE_S)
        elif self._stage is _Stage.REST:
            self._take_rest()
        elif self._unfinished_bytes:
            # Empty lines, which may stand before a request but are none.
            if self._waits_in is not _Stage.HEAD:
                self._wait(_Stage.HEAD, HEAD_WITHIN_S)
        elif self._waits_in is not None:
            self._stop_waiting()

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._stage = _Stage.HEAD
        self._unfinished_bytes = self._rest_bytes = 0

    def on_headers_complete(self) -> None:
        """Begin a body.

        Raises:
            _HeadTooLargeError: Which ends the parser.
        """
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > MAX_HEAD_BYTES:
            self._is_head_too_large = True
            raise _HeadTooLargeError
        self._stage = _Stage.BODY
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Take a part of a body."""
        if self._stage is _Stage.REST:
            self._rest_bytes += len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request."""
        self._stage = _Stage.IDLE
        self._unfinished_bytes = 0
        super().on_message_complete()

    def handle_websocket_upgrade(self) -> None:
        """Give the connection to the WebSocket protocol, which has deadlines of its own.

        In its turn: it costs next to nothing until then.
        """
        self._stop_waiting()
        self._outbox.flush()
        self._is_upgraded = True
        try:
            self._turn = self._admission.turn()
        except CrowdedError as exc:
            self._refuse_crowded(exc)
            return
        if self._turn is None:
            super().handle_websocket_upgrade()
        else:
            self._turn.add_done_callback(self._upgrade_late)

    def send_400_response(self, msg: str) -> None:
        """Refuse what the parser did not take."""
        if self._is_head_too_large:
            self._refuse(_HEAD_TOO_LARGE)
        else:
            self._outbox.flush()
            super().send_400_response(msg)

    def shutdown(self) -> None:
        """Take no more requests."""
        self._outbox.flush()
        super().shutdown()

    def pause_writing(self) -> None:
        """Give the reader a while to take what is buffered."""
        super().pause_writing()
        self._reading_deadline = self.loop.call_later(READ_WITHIN_S, self._abort)

    def resume_writing(self) -> None:
        """Note that the reader does read."""
        if self._reading_deadline is not None:
            self._reading_deadline.cancel()
            self._reading_deadline = None
        super().resume_writing()

    def _upgrade_late(self, turn: Turn) -> None:
        self._turn = None
        if turn.cancelled() or self.transport.is_closing():
            return
        exc = turn.exception()
        if isinstance(exc, CrowdedError):
            self._refuse_crowded(exc)
        else:
            super().handle_websocket_upgrade()

    def _refuse_crowded(self, exc: CrowdedError) -> None:
        self._refuse(_CROWDED, b"retry-after: %d\r\n" % exc.retry_after_s)

    def _take_rest(self) -> None:
        if self._rest_bytes > MAX_REST_BYTES:
            self._abort()
        elif self._waits_in is not _Stage.REST:
            self._wait(_Stage.REST, REST_WITHIN_S)

    def _wait(self, stage: _Stage, within_s: float) -> None:
        self._stop_waiting()
        self._waits_in = stage
        self._deadline = self.loop.call_later(within_s, self._give_up, stage, within_s)

    def _stop_waiting(self) -> None:
        self._waits_in = None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _give_up(self, stage: _Stage, within_s: float) -> None:
        self._stop_waiting()
        if self.transport.is_closing():
            return
        is_answering = bool(self.cycle) and not self.cycle.response_complete
        if self.flow.read_paused:  # it is us who do not go on
            self._wait(stage, within_s)
        elif stage is _Stage.HEAD and not is_answering:
            self._refuse(_HEAD_TOO_SLOW)
        elif stage is not _Stage.HEAD:
            self._abort()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: ASGI3Application) -> None:
        self._answering = cycle
        cycle.transport = self._outbox  # type: ignore[assignment]  # it writes and closes
        super()._start_asgi_task(cycle, app)

    def _abort(self) -> None:
        self._forget_answers()
        self.transport.abort()

    def _forget_answers(self) -> None:
        """Let nobody write who does not know yet that the connection is gone.

        uvicorn tells only the last of several requests that came together.
        """
        waiting = [cycle for cycle, _ in self.pipeline]
        for cycle in waiting if self._answering is None else [self._answering, *waiting]:
            cycle.disconnected = True
            cycle.message_event.set()
        self.pipeline.clear()

    def _refuse(self, status: bytes, headers: bytes = b"") -> None:
        head = b"HTTP/1.1 %b\r\ncontent-length: 0\r\nconnection: close\r\n%b\r\n"
        self._outbox.write(head % (status, headers))
        self._outbox.close()
