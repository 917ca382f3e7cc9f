"""API keys: secrets that stand for a tenant, and the port to where they are kept.

A key is 256 random bits, so a plain SHA-256 of it can be stored: there is nothing to guess that a
slow hash would slow down. What is stored does not let anybody in.
"""

from __future__ import annotations

import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final, NewType, Protocol

ApiKeyId = NewType("ApiKeyId", str)

PREFIX: Final = "fan_"
REVOKED_TOPIC: Final = "revoked"
"""The bell's topic on which the id of a revoked key rings."""
_ID_BYTES: Final = 8
_SECRET_BYTES: Final = 32
_KEY: Final = re.compile(r"fan_([0-9a-f]{16})_([A-Za-z0-9_-]{43})")


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key as it is kept: all but the secret.

    Attributes:
        id: Names it; part of its text, and no secret.
        digest: SHA-256 of the secret, in hex.
        tenant: Whose jobs its bearer sees.
        scopes: What its bearer may do, sorted.
        name: For people; also the subject of what is done with it.
        created_at: When it was made.
        expires_at: When it ends by itself; None for never.
    """

    id: ApiKeyId
    digest: str
    tenant: str
    scopes: tuple[str, ...]
    name: str
    created_at: datetime
    expires_at: datetime | None = None

    def matches(self, secret: str) -> bool:
        """Return, in a time that does not tell how nearly, whether *secret* is the key's."""
        return hmac.compare_digest(self.digest, digest_of(secret))

    def is_over(self, now: datetime) -> bool:
        """Return whether it has ended by itself."""
        return self.expires_at is not None and now >= self.expires_at


@dataclass(frozen=True, slots=True)
class Secret:
    """The two parts of a key's text."""

    id: ApiKeyId
    secret: str

    @classmethod
    def make(cls) -> Secret:
        """Return one that nobody has had."""
        return cls(ApiKeyId(secrets.token_hex(_ID_BYTES)), secrets.token_urlsafe(_SECRET_BYTES))

    @classmethod
    def parse(cls, text: str) -> Secret | None:
        """Read a key's text; None if no key can have it."""
        found = _KEY.fullmatch(text)
        return None if found is None else cls(ApiKeyId(found[1]), found[2])

    def __str__(self) -> str:
        return f"{PREFIX}{self.id}_{self.secret}"

    def __repr__(self) -> str:
        return f"Secret({self.id})"


def digest_of(secret: str) -> str:
    """Return what is stored of a secret."""
    return sha256(secret.encode()).hexdigest()


class ApiKeys(Protocol):
    """Where keys are kept. Raises ``UnavailableError`` when that does not answer.

    A revoked key is erased: nobody can tell it from one that never was.
    """

    async def add(self, key: ApiKey) -> None:
        """Keep *key*, whose id is new."""
        ...

    async def get(self, ids: Sequence[ApiKeyId]) -> list[ApiKey | None]:
        """Return keys in one round trip; None for what is unknown or revoked."""
        ...

    async def of(self, tenant: str | None) -> list[ApiKey]:
        """Return the keys of a tenant, or None for all, the oldest first."""
        ...

    async def revoke(self, id: ApiKeyId) -> bool:
        """Erase a key and ring ``REVOKED_TOPIC``; return False if there was none."""
        ...
