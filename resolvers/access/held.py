"""Requests that are held open, whatever they wait for: counted, and ended with their credential."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from resolvers.access.authentication import Authenticator
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections


@dataclass(frozen=True, slots=True)
class HeldRequests:
    """Holds requests open for callers who have no connection that is counted and watched anyway.

    Attributes:
        connections: Counts them.
        authenticator: Tells when what a caller showed is over.
    """

    connections: Connections
    authenticator: Authenticator

    @contextmanager
    def hold(self, caller: Caller, on_end: Callable[[], None]) -> Iterator[None]:
        """Hold one while the context is open; *on_end* as for ``Authenticator.watch``.

        Raises:
            QuotaExceededError: The tenant holds as many as it may.
        """
        with self.connections.hold(caller.tenant):
            unwatch = self.authenticator.watch(caller, on_end)
            try:
                yield
            finally:
                unwatch()
