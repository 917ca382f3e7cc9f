"""What runs on a connection under an id."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol

from transport.group import Errors, Membership
from transport.websocket import messages
from transport.websocket.wire import Wire


class Live(Protocol):
    """An operation whose id is taken."""

    def stop(self) -> None:
        """Send nothing more, and end as soon as can be."""
        ...


class Subscription:
    """A subscription: a ``transport.group.Subscriber`` that writes to the wire.

    Args:
        id: As the client named it.
        wire: Where its messages go.
        on_behind: Called with this when the wire takes no more.
        on_end: Called with the id when the server has ended it.
    """

    __slots__ = ("_id", "_on_behind", "_on_end", "_prefix", "_wire", "membership")

    def __init__(
        self,
        id: str,
        wire: Wire,
        *,
        on_behind: Callable[[Subscription], None],
        on_end: Callable[[str, Subscription], None],
    ) -> None:
        self._id = id
        self._wire = wire
        self._prefix = messages.next_prefix(id)
        self._on_behind = on_behind
        self._on_end = on_end
        self.membership: Membership | None = None

    def push(self, payload: bytes) -> bool:
        """See ``Subscriber``."""
        wire = self._wire
        if wire.is_paused:
            self._on_behind(self)
            return False
        wire.send_next(self._prefix, payload)
        return True

    def complete(self) -> None:
        """See ``Subscriber``."""
        self._on_end(self._id, self)
        self._wire.send_text(messages.complete(self._id))

    def fail(self, errors: Errors) -> None:
        """See ``Subscriber``."""
        self._on_end(self._id, self)
        self._wire.send_text(messages.error(self._id, errors))

    def stop(self) -> None:
        """See ``Live``."""
        if self.membership is not None:
            self.membership.leave()


class Running:
    """A query or mutation; a mutation that was begun is run to its end, unheard."""

    __slots__ = ("_is_mutation", "is_wanted", "task")

    def __init__(self, *, is_mutation: bool) -> None:
        self._is_mutation = is_mutation
        self.is_wanted = True
        self.task: asyncio.Task[None] | None = None

    def stop(self) -> None:
        """See ``Live``."""
        self.is_wanted = False
        if self.task is not None and not self._is_mutation:
            self.task.cancel()
