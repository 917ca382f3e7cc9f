"""What a token of an identity provider says, and the port to what checks it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Claims:
    """What a token says that was found to be right.

    Attributes:
        subject: Who it is about.
        tenant: Whose jobs they see.
        scopes: What they may do, as the provider names it; not all need be known here.
        expires_at: Until when it is valid, in seconds since the epoch.
    """

    subject: str
    tenant: str
    scopes: frozenset[str]
    expires_at: float


class TokenVerifier(Protocol):
    """Checks tokens of one identity provider."""

    async def verify(self, token: str) -> Claims:
        """Return what *token* says.

        Raises:
            UnauthenticatedError: It is not the provider's, not for this service, or not valid now.
            UnavailableError: The provider's keys are not known and are not to be had.
        """
        ...
