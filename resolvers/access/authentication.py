"""The port to what tells who calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from resolvers.access.caller import Caller


class Authenticator(Protocol):
    """Tells who calls, by what they show."""

    async def authenticate(self, credential: str | None) -> Caller:
        """Return whose *credential* it is.

        Args:
            credential: What came after ``Bearer``, or as ``token``; None for nothing.

        Raises:
            UnauthenticatedError: It is nobody's, or no longer. The message does not tell which.
            UnavailableError: What would know does not answer.
        """
        ...

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        """Call *on_end* once, within 5 s, when the caller's credential has expired or was revoked.

        Args:
            caller: From ``authenticate``.
            on_end: Must not block, nor raise.

        Returns:
            What ends the watch; may be called again, and after *on_end*.
        """
        ...
