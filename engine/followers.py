"""Who follows what over connections that somebody else holds open, and the ports to both.

A gateway keeps the connections; we only have their names, and are told when one has gone, or find
out when we send something.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType, Protocol

from engine.job import JobId

ConnectionId = NewType("ConnectionId", str)

MAX_FOLLOWED = 100
"""How much one connection may follow."""


@dataclass(frozen=True, slots=True)
class Following:
    """What a connection follows, and until when.

    Attributes:
        connection: The connection.
        tenant: Whose jobs.
        job: One of them; None for all.
        tag: Of those that are wanted; None for any.
        until_s: When the follower's right ends, in seconds since 1970.
    """

    connection: ConnectionId
    tenant: str
    job: JobId | None
    tag: str | None
    until_s: float

    def wants(self, tags: Sequence[str], *, now_s: float) -> bool:
        """Return whether a state of a job with *tags* is still to be sent."""
        return now_s < self.until_s and (self.tag is None or self.tag in tags)


class Followers(Protocol):
    """Where it is kept who follows what. Every method blocks.

    Raises ``UnavailableError`` when the store does not answer.
    """

    def add(self, following: Following) -> None:
        """Keep that a connection follows something; once more changes nothing.

        Raises:
            QuotaExceededError: It follows as much as it may.
        """
        ...

    def leave(self, connection: ConnectionId) -> None:
        """Forget everything that a connection follows."""
        ...

    def of(self, tenant: str, job: JobId) -> Sequence[Following]:
        """Return everybody who follows a job, or all jobs of its tenant."""
        ...

    def ended(self, job: JobId) -> None:
        """Forget who follows a job that will not change any more."""
        ...


class Gateway(Protocol):
    """Holds the connections. Every method blocks."""

    def send(self, connection: ConnectionId, message: bytes) -> bool:
        """Send a message; False when the connection has gone.

        Raises:
            UnavailableError: The gateway does not answer.
        """
        ...
