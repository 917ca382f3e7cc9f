"""Tokens of an identity provider, checked by PyJWT.

PyJWT by itself takes a token that never ends, so what must be there is named, and so is the
longest life.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any, Final

import jwt
from jwt.exceptions import PyJWTError

from adapters.https.jwks import HttpxJwks
from engine.claims import Claims
from engine.errors import UnauthenticatedError

ALGORITHMS: Final = frozenset({"RS256", "ES256", "EdDSA"})
"""Public keys alone: none that a holder of the public key could sign with."""
MAX_LIFE_S: Final = 3_600
LEEWAY_S: Final = 60
"""How far the provider's clock may be ahead of ours."""
MAX_LENGTH: Final = 8_192
MAX_KID_LENGTH: Final = 200
REQUIRED: Final = ("exp", "iat", "sub", "aud", "iss")


@dataclass(frozen=True, slots=True)
class Provider:
    """An identity provider, as this deployment trusts it.

    Attributes:
        issuer: What ``iss`` must be.
        audience: What ``aud`` must be, or have among others.
        tenant_claim: The claim that names the tenant.
    """

    issuer: str
    audience: str
    tenant_claim: str = "tenant"


class PyJwtTokens:
    """Implements ``engine.claims.TokenVerifier``."""

    def __init__(self, provider: Provider, jwks: HttpxJwks) -> None:
        self._provider = provider
        self._jwks = jwks

    async def verify(self, token: str) -> Claims:
        """Return what *token* says; see ``TokenVerifier``."""
        if len(token) > MAX_LENGTH:
            raise UnauthenticatedError("the token is too long")
        try:
            header = jwt.get_unverified_header(token)
        except (PyJWTError, ValueError, RecursionError) as exc:
            raise UnauthenticatedError("no token") from exc
        kid, algorithm = header.get("kid"), header.get("alg")
        # Before keys are fetched for it.
        if algorithm not in ALGORITHMS:
            raise UnauthenticatedError("the algorithm is not one of ours")
        if not isinstance(kid, str) or len(kid) > MAX_KID_LENGTH:
            raise UnauthenticatedError("the token names no key")
        key = await self._jwks.key(kid)
        if key is None:
            raise UnauthenticatedError("the provider has no such key")
        return self._claims_of(self._decode(token, key))

    def _decode(self, token: str, key: jwt.PyJWK) -> dict[str, Any]:
        try:
            return jwt.decode(
                token,
                key,
                algorithms=sorted(ALGORITHMS),
                issuer=self._provider.issuer,
                audience=self._provider.audience,
                leeway=LEEWAY_S,
                options={"require": list(REQUIRED), "enforce_minimum_key_length": True},
            )
        except (PyJWTError, ValueError, TypeError, OverflowError, RecursionError) as exc:
            raise UnauthenticatedError(f"the token is refused: {exc}") from exc

    def _claims_of(self, payload: dict[str, Any]) -> Claims:
        expires_at, issued_at = payload["exp"], payload["iat"]
        if not isinstance(expires_at, int | float) or not isinstance(issued_at, int | float):
            raise UnauthenticatedError("exp and iat must be numbers")
        if time.time() >= expires_at:  # no leeway here: what is open ends then, too
            raise UnauthenticatedError("the token has expired")
        if expires_at - issued_at > MAX_LIFE_S:
            raise UnauthenticatedError(f"the token is for longer than {MAX_LIFE_S} s")
        tenant, scope = payload.get(self._provider.tenant_claim), payload.get("scope", "")
        if not isinstance(tenant, str) or not isinstance(scope, str):
            raise UnauthenticatedError("the token names no tenant, or its scope is no string")
        return Claims(
            subject=payload["sub"],
            tenant=tenant,
            scopes=frozenset(scope.split()),
            expires_at=float(expires_at),
        )
