"""Tells, within seconds, those who hold something open that their credential has ended.

Revocation rings a bell, which may be lost; so every credential in use is also looked at every
``SWEEP_S``. Watches of one credential are one entry: ten thousand sockets of a tenant that came
with the same key cost one look.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self, TypeAlias

from engine.api_keys import REVOKED_TOPIC, ApiKeyId, ApiKeys
from engine.bell import Bell
from engine.cancellation import cancel_all
from engine.errors import UnavailableError
from resolvers.access.caller import Caller

SWEEP_S: Final = 2.0
KEY_CREDENTIAL: Final = "key:"
"""What the credential of who came with an API key, or a token made with one, begins with."""
_AT_ONCE: Final = 1_000
_LISTEN_AGAIN_S: Final = 1.0

OnRevoked: TypeAlias = Callable[[ApiKeyId | None], None]

log = logging.getLogger(__name__)


class _Watch:
    """One who wants to know; compared by identity."""

    __slots__ = ("on_end",)

    def __init__(self, on_end: Callable[[], None]) -> None:
        self.on_end = on_end


class CredentialWatches:
    """Watches the credentials in use; an async context manager around those who watch.

    Args:
        keys: Where API keys are kept; None where they do not count.
        bell: Rings for revoked keys.
        on_revoked: Called with every key that rings, and with None when any may have.
    """

    def __init__(self, *, keys: ApiKeys | None, bell: Bell, on_revoked: OnRevoked) -> None:
        self._keys = keys
        self._bell = bell
        self._on_revoked = on_revoked
        self._watches: dict[tuple[str, float | None], set[_Watch]] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._rung = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks.append(asyncio.create_task(self._sweep_again(), name="credentials"))
        if self._keys is not None:
            self._tasks.append(asyncio.create_task(self._listen(), name="revocations"))
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        await cancel_all(self._tasks)

    def __len__(self) -> int:
        """Return how many watch."""
        return sum(map(len, self._watches.values()))

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        """Call *on_end* once when the caller's credential has ended; see ``Authenticator``."""
        if caller.expires_at is None and not _is_key(caller.credential):
            return _nothing
        place = (caller.credential, caller.expires_at)
        watch = _Watch(on_end)
        self._watches.setdefault(place, set()).add(watch)

        def leave() -> None:
            watch.on_end = _nothing
            watches = self._watches.get(place)
            if watches is not None:
                watches.discard(watch)
                if not watches:
                    del self._watches[place]

        return leave

    async def _listen(self) -> None:
        while True:
            try:
                async with self._bell.listen(REVOKED_TOPIC, self._ring):
                    await asyncio.Event().wait()
            except UnavailableError as exc:
                log.warning("revoked keys are found by looking, for want of a bell: %s", exc)
                await asyncio.sleep(_LISTEN_AGAIN_S)

    def _ring(self, key: str) -> None:
        self._on_revoked(ApiKeyId(key) if key else None)
        self._rung.set()

    async def _sweep_again(self) -> None:
        while True:
            self._rung.clear()
            try:
                await self._sweep()
            except UnavailableError as exc:
                # Nobody can have been revoked there either, as long as it does not answer.
                log.debug("credentials are looked at later: %s", exc)
            except Exception:
                log.exception("credentials could not be looked at")
            try:
                async with asyncio.timeout(SWEEP_S):
                    await self._rung.wait()
            except TimeoutError:
                continue

    async def _sweep(self) -> None:
        now_s = time.time()
        await self._end([place for place in self._watches if _is_over(place, now_s)])
        in_use = {credential for credential, _ in self._watches if _is_key(credential)}
        over = await self._ended_keys(sorted(in_use))
        await self._end([place for place in self._watches if place[0] in over])

    async def _ended_keys(self, credentials: list[str]) -> set[str]:
        """Return which of the keys are not valid any more."""
        if self._keys is None:
            return set()
        over: set[str] = set()
        for start in range(0, len(credentials), _AT_ONCE):
            asked = credentials[start : start + _AT_ONCE]
            ids = [ApiKeyId(credential.removeprefix(KEY_CREDENTIAL)) for credential in asked]
            now = datetime.now(UTC)
            for credential, key in zip(asked, await self._keys.get(ids), strict=True):
                if key is None or key.is_over(now):
                    over.add(credential)
        return over

    async def _end(self, places: Iterable[tuple[str, float | None]]) -> None:
        ended = [watch for place in places for watch in self._watches.pop(place, ())]
        for count, watch in enumerate(ended, 1):
            watch.on_end()
            if count % _AT_ONCE == 0:
                await asyncio.sleep(0)


def _is_key(credential: str) -> bool:
    return credential.startswith(KEY_CREDENTIAL)


def _is_over(place: tuple[str, float | None], now_s: float) -> bool:
    return place[1] is not None and now_s >= place[1]


def _nothing() -> None:
    """Leave what is not watched."""
