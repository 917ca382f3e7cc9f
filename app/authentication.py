"""Who tells who calls, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from adapters.https.jwks import HttpxJwks
from adapters.pyjwt_tokens import ALGORITHMS, Provider, PyJwtTokens
from app.settings import AuthMode, Settings
from engine.api_keys import ApiKeys
from engine.bell import Bell
from engine.signing import Signer
from resolvers.access.credentials import Credentials
from resolvers.access.viewer_tokens import ViewerTokens


@asynccontextmanager
async def credentials_of(
    settings: Settings, *, keys: ApiKeys, bell: Bell, signer: Signer
) -> AsyncIterator[Credentials]:
    """Tell callers apart as this deployment wants it, while the context is open."""
    async with AsyncExitStack() as stack:
        verifier = None
        if AuthMode.JWT in settings.auth:
            jwks = HttpxJwks(settings.jwks_url or "", algorithms=ALGORITHMS)
            await stack.enter_async_context(jwks)
            provider = Provider(
                issuer=settings.jwt_issuer or "",
                audience=settings.jwt_audience or "",
                tenant_claim=settings.jwt_tenant_claim,
            )
            verifier = PyJwtTokens(provider, jwks)
        credentials = Credentials(
            viewer_tokens=ViewerTokens(signer),
            bell=bell,
            keys=keys if AuthMode.KEYS in settings.auth else None,
            verifier=verifier,
        )
        yield await stack.enter_async_context(credentials)
