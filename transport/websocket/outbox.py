"""What a turn of the loop has to say, written at its end: one write a peer, one peer after another.

A peer that many subscriptions of one connection tell something gets it in one write. And whoever
renders a hundred states does only that: a write between any two of them would cost a third more,
since each wakes a peer that has by then gone to sleep.
"""

from __future__ import annotations

import asyncio
from typing import Protocol


class Flushable(Protocol):
    """A peer that something waits for."""

    def flush(self) -> None:
        """Write what waits; nothing may."""
        ...


class Outbox:
    """Peers that something waits for. One for all connections of a process."""

    __slots__ = ("_peers",)

    def __init__(self) -> None:
        self._peers: list[Flushable] = []

    def put(self, peer: Flushable) -> None:
        """Have *peer* flushed when this turn is over."""
        if not self._peers:
            asyncio.get_running_loop().call_soon(self._flush)
        self._peers.append(peer)

    def _flush(self) -> None:
        peers, self._peers = self._peers, []
        for peer in peers:
            peer.flush()
