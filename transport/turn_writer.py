"""What is written in one turn of the event loop leaves as one.

uvicorn writes head and body of an answer apart, and each write is a call of the kernel.
"""

from __future__ import annotations

import asyncio


class TurnWriter:
    """The part of a transport that answers are written with.

    Args:
        loop: Whose turns count.
        transport: Where it goes.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, transport: asyncio.Transport) -> None:
        self._loop = loop
        self._transport = transport
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Send *data* when this turn is over."""
        if not self._parts:
            self._loop.call_soon(self.flush)
        self._parts.append(data)

    def flush(self) -> None:
        """Send what there is; nothing when the peer has gone meanwhile."""
        parts, self._parts = self._parts, []
        if parts and not self._transport.is_closing():
            self._transport.write(b"".join(parts))

    def close(self) -> None:
        """Send what there is, and close the connection."""
        self.flush()
        self._transport.close()

    def is_closing(self) -> bool:
        """Return whether nothing is sent any more."""
        return self._transport.is_closing()
