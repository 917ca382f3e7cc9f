"""Who calls, told from what they show: an API key, a provider's token, a viewer token.

Which of them count is a matter of the deployment; viewer tokens always do. What is refused gets
one answer, whatever the reason, and when much is refused it gets it late: guessing becomes slow,
while whoever shows what is right waits for nobody.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from hashlib import sha256
from types import TracebackType
from typing import Final, Self

from engine.api_keys import PREFIX as KEY_PREFIX
from engine.api_keys import ApiKey, ApiKeyId, ApiKeys, Secret
from engine.bell import Bell
from engine.claims import TokenVerifier
from engine.errors import UnauthenticatedError
from resolvers.access.bearer import bearer_of
from resolvers.access.caller import LOCAL_CALLER, Caller, scopes_of
from resolvers.access.credential_watches import KEY_CREDENTIAL, CredentialWatches
from resolvers.access.failed_attempts import FailedAttempts
from resolvers.access.viewer_tokens import PREFIX as VIEWER_PREFIX
from resolvers.access.viewer_tokens import ViewerTokens

KNOWN_FOR_S: Final = 2.0
"""For how long a credential is not looked at again."""
MAX_KNOWN: Final = 10_000
MAX_LENGTH: Final = 16_384
PROVIDED_CREDENTIAL: Final = "jwt:"


@dataclass(frozen=True, slots=True)
class _Known:
    caller: Caller
    until: float


class Credentials:
    """Implements ``Authenticator``; an async context manager around those who watch.

    Args:
        viewer_tokens: Reads those of this deployment.
        bell: Rings for revoked keys.
        keys: Where API keys are kept; None where they do not count.
        verifier: Checks the provider's tokens; None where they do not count.
    """

    def __init__(
        self,
        *,
        viewer_tokens: ViewerTokens,
        bell: Bell,
        keys: ApiKeys | None = None,
        verifier: TokenVerifier | None = None,
    ) -> None:
        self._viewer_tokens = viewer_tokens
        self._watches = CredentialWatches(keys=keys, bell=bell, on_revoked=self._forget)
        self._keys = keys
        self._verifier = verifier
        self._known: OrderedDict[bytes, _Known] = OrderedDict()
        self._looking: dict[bytes, asyncio.Task[Caller | None]] = {}
        self._failed = FailedAttempts()

    async def __aenter__(self) -> Self:
        await self._watches.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._watches.__aexit__(kind, error, trace)

    @property
    def is_open(self) -> bool:
        """Whether nobody is asked who they are."""
        return self._keys is None and self._verifier is None

    async def authenticate(self, credential: str | None) -> Caller:
        """Return whose *credential* it is; see ``Authenticator``."""
        if self.is_open and (credential is None or not credential.startswith(VIEWER_PREFIX)):
            return LOCAL_CALLER
        if not credential:
            raise UnauthenticatedError("a token is needed: send 'Authorization: Bearer …'")
        caller = await self._find(credential) if len(credential) <= MAX_LENGTH else None
        if caller is None:
            await self._failed.pause()
            raise UnauthenticatedError("the token is not valid")
        return caller

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        """Call *on_end* when the caller's credential has ended; see ``Authenticator``."""
        return self._watches.watch(caller, on_end)

    def _forget(self, key: ApiKeyId | None) -> None:
        """Look at a key, or at every credential, anew when it is next shown."""
        credential = None if key is None else KEY_CREDENTIAL + key
        for digest, known in list(self._known.items()):
            if credential in (None, known.caller.credential):
                del self._known[digest]

    async def _find(self, credential: str) -> Caller | None:
        digest = sha256(credential.encode(errors="replace")).digest()
        known = self._known.get(digest)
        if known is not None and time.monotonic() < known.until and not _is_over(known.caller):
            return known.caller
        # Of many who show the same in one moment only the first is looked up.
        looking = self._looking.get(digest)
        if looking is None:
            looking = asyncio.create_task(self._look_up(credential))
            self._looking[digest] = looking
            looking.add_done_callback(lambda task: self._looked_up(digest, task))
        return await asyncio.shield(looking)

    def _looked_up(self, digest: bytes, looking: asyncio.Task[Caller | None]) -> None:
        self._looking.pop(digest, None)
        # Whoever asked may be gone by now, so the exception is taken here as well.
        if looking.cancelled() or looking.exception() is not None:
            return
        caller = looking.result()
        if caller is None:
            return
        self._known[digest] = _Known(caller, time.monotonic() + KNOWN_FOR_S)
        self._known.move_to_end(digest)
        if len(self._known) > MAX_KNOWN:
            self._known.popitem(last=False)

    async def _look_up(self, credential: str) -> Caller | None:
        if credential.startswith(VIEWER_PREFIX):
            return await self._viewer(credential)
        if credential.startswith(KEY_PREFIX):
            return await self._bearer_of_key(credential)
        return await self._bearer_of_token(credential)

    async def _viewer(self, credential: str) -> Caller | None:
        """Return the caller of a viewer token that was made in a way which still counts here."""
        caller = self._viewer_tokens.read(credential, now_s=time.time())
        if caller is None:
            return None
        if not caller.credential:
            return caller if self.is_open else None
        if caller.credential.startswith(PROVIDED_CREDENTIAL):
            return caller if self._verifier is not None else None
        made_with = ApiKeyId(caller.credential.removeprefix(KEY_CREDENTIAL))
        key = await self._key(made_with)
        if key is None or key.tenant != caller.tenant:
            return None
        if key.expires_at is not None and caller.expires_at is not None:
            ends_s = min(caller.expires_at, key.expires_at.timestamp())
            return replace(caller, expires_at=ends_s)
        return caller

    async def _bearer_of_key(self, credential: str) -> Caller | None:
        shown = Secret.parse(credential)
        key = await self._key(shown.id) if shown is not None else None
        if shown is None or key is None or not key.matches(shown.secret):
            return None
        return Caller(
            subject=key.name,
            tenant=key.tenant,
            scopes=scopes_of(key.scopes),
            credential=KEY_CREDENTIAL + key.id,
            expires_at=None if key.expires_at is None else key.expires_at.timestamp(),
        )

    async def _key(self, id: ApiKeyId) -> ApiKey | None:
        """Return a key that is valid now."""
        if self._keys is None:
            return None
        (key,) = await self._keys.get([id])
        return None if key is None or key.is_over(datetime.now(UTC)) else key

    async def _bearer_of_token(self, credential: str) -> Caller | None:
        if self._verifier is None:
            return None
        try:
            claims = await self._verifier.verify(credential)
        except UnauthenticatedError:
            return None
        digest = sha256(credential.encode()).hexdigest()[:32]
        return bearer_of(claims, credential=PROVIDED_CREDENTIAL + digest)


def _is_over(caller: Caller) -> bool:
    return caller.expires_at is not None and time.time() >= caller.expires_at
