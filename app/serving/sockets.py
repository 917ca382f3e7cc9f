"""The WebSockets of this process, so that all of them can be closed when it is to end.

ASGI has no word for that. A socket that is closed here gets 1001, "going away", as RFC 6455 has it
for a server that goes down; uvicorn's own shutdown would say 1012.
"""

from __future__ import annotations

from collections.abc import Callable


class OpenSockets:
    """Closes what was made known to it.

    Attributes:
        is_closing: Whether new ones are refused by now.
    """

    def __init__(self) -> None:
        self.is_closing = False
        self._close_all: list[Callable[[], None]] = []

    def add(self, close_all: Callable[[], None]) -> None:
        """Have *close_all* called at the end; it must not block, and refuse all who come later."""
        self._close_all.append(close_all)

    def close_all(self) -> None:
        """Tell every peer that the server goes away."""
        self.is_closing = True
        for close_all in self._close_all:
            close_all()
