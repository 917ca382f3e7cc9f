"""What a group of equal subscriptions and those whom it serves know of each other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

Errors: TypeAlias = Sequence[Mapping[str, Any]]
ErrorsOf: TypeAlias = Callable[[Exception], Errors]


class Subscriber(Protocol):
    """Who is served. No call may block or raise."""

    def push(self, payload: bytes) -> bool:
        """Take a whole response as JSON; False to take nothing, until ``resume`` is called."""
        ...

    def complete(self) -> None:
        """Take note that there will be no more."""
        ...

    def fail(self, errors: Errors) -> None:
        """Take why there will be no more."""
        ...


class Membership(Protocol):
    """A subscriber's place in a group."""

    def leave(self) -> None:
        """Be served no more; may be called again, and after the end."""
        ...

    def resume(self) -> None:
        """Be given what is the newest by now, after ``push`` was refused."""
        ...


class Group(Protocol):
    """Subscribers of the same."""

    def join(self, subscriber: Subscriber) -> Membership:
        """Serve one more."""
        ...

    def when_closed(self, call: Callable[[], None]) -> None:
        """Have *call* made when nobody is to join any more; perhaps more than once."""
        ...


def nothing() -> None:
    """Do nothing, for a group that nobody else knows."""
