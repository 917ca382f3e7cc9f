"""The way out of a connection: messages to the peer, without a task or a wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from transport.websocket.outbox import Outbox

EXTENSION: Final = "fanfold.wire"
"""Where a ``Wire`` stands among the extensions of an ASGI scope."""


class Wire(Protocol):
    """What a connection writes to. No call blocks or raises, also after the peer has gone.

    Attributes:
        is_paused: Whether the peer takes less than it is sent. What is sent then is buffered; only
            small answers should be.
        on_resumed: Called when that is over.
        outbox: Where it waits for the end of a turn with what it has to send; None to send at once.
    """

    is_paused: bool
    on_resumed: Callable[[], None]
    outbox: Outbox | None

    def send_text(self, message: bytes) -> None:
        """Send a text message."""
        ...

    def send_next(self, prefix: bytes, payload: bytes) -> None:
        """Send ``prefix + payload + b"}"`` as a text message."""
        ...

    async def until_writable(self) -> None:
        """Wait until it is not paused, or the peer has gone."""
        ...

    def close(self, code: int, reason: str) -> None:
        """Begin the closing handshake; nothing that is sent later arrives.

        Args:
            code: Of RFC 6455.
            reason: At most 123 bytes of UTF-8.
        """
        ...
