"""What this process knows of tenants' quotas: open connections, and who was refused just now."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from engine.errors import QuotaExceededError

RETRY_AFTER_S: Final = 5.0
"""When to try again where nobody knows who will leave."""
REMEMBERED_S: Final = 1.0
SHORTEST_S: Final = 0.01


class Connections:
    """Counts the open connections of each tenant, WebSockets and event streams alike.

    Args:
        limit: How many each tenant may hold; 0 for any number.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open: Counter[str] = Counter()

    @contextmanager
    def hold(self, tenant: str) -> Iterator[None]:
        """Count one connection while the context is open.

        Raises:
            QuotaExceededError: The tenant holds as many as it may.
        """
        if self._limit and self._open[tenant] >= self._limit:
            raise QuotaExceededError(
                f"the tenant has {self._limit} connections open, as many as it may",
                retry_after_s=RETRY_AFTER_S,
            )
        self._open[tenant] += 1
        try:
            yield
        finally:
            self._open[tenant] -= 1
            if not self._open[tenant]:
                del self._open[tenant]

    def open_of(self, tenant: str) -> int:
        """Return how many connections *tenant* holds."""
        return self._open[tenant]


class Refusals:
    """Remembers for a moment which tenants were refused for their quotas.

    What a flood of submits brings along is not even looked at then: checking a query or a source
    costs far more than saying no.
    """

    def __init__(self) -> None:
        self._until: dict[str, float] = {}

    def check(self, tenant: str) -> None:
        """Refuse a tenant that was refused a moment ago.

        Raises:
            QuotaExceededError: It was.
        """
        until = self._until.get(tenant)
        if until is None:
            return
        left_s = until - time.monotonic()
        if left_s > 0:
            raise QuotaExceededError(
                "the tenant has as much as it may have, or submits too often",
                retry_after_s=max(left_s, SHORTEST_S),
            )
        del self._until[tenant]

    @contextmanager
    def noting(self, tenant: str) -> Iterator[None]:
        """Remember a refusal that is raised in the context."""
        try:
            yield
        except QuotaExceededError as exc:
            rest_s = min(REMEMBERED_S, exc.retry_after_s)
            self._until[tenant] = time.monotonic() + rest_s
            raise
