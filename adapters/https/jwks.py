"""The public keys of an identity provider, fetched from where it publishes them.

Fetched when they are first needed, again when they are old, and when a token names a key that is
not among them; so a new key works at once and a withdrawn one for a while. Strangers cannot make
us fetch more than once in ``UNKNOWN_EVERY_S``, whatever their tokens name.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import urllib.parse
from ipaddress import ip_address
from typing import Any, Final

import httpx
from jwt import PyJWK
from jwt.exceptions import PyJWTError

from engine.errors import UnavailableError

REFRESH_S: Final = 600.0
"""Keys that are older are fetched anew, by whoever needs one."""
KEEP_S: Final = 3_600.0
"""Keys that are older are not used, even if no others are to be had."""
UNKNOWN_EVERY_S: Final = 30.0
RETRY_S: Final = 1.0
WITHIN_S: Final = 5.0
MAX_BYTES: Final = 256 * 1024
MAX_KEYS: Final = 100

log = logging.getLogger(__name__)


class HttpxJwks:
    """The keys that may sign, by their ids; an async context manager around its connections.

    Args:
        url: Where they are published.
        algorithms: Those that count; keys for others are left out.
        unknown_every_s: Shortest time between two fetches for the sake of unknown keys.
    """

    def __init__(
        self, url: str, *, algorithms: frozenset[str], unknown_every_s: float = UNKNOWN_EVERY_S
    ) -> None:
        self._url = url
        self._algorithms = algorithms
        self._unknown_every_s = unknown_every_s
        self._client = httpx.AsyncClient(
            timeout=WITHIN_S, follow_redirects=False, trust_env=not _is_loopback(url)
        )
        self._keys: dict[str, PyJWK] = {}
        self._fetched_at = float("-inf")
        self._tried_at = float("-inf")
        self._fetching = asyncio.Lock()

    async def __aenter__(self) -> HttpxJwks:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()

    async def key(self, kid: str) -> PyJWK | None:
        """Return a key; None if the provider has none of that id.

        Raises:
            UnavailableError: No keys are known that are fresh enough, and none are to be had.
        """
        # Whose key is known goes on with it, while somebody else fetches.
        is_usable = kid in self._keys and self._age_s() <= KEEP_S
        if self._is_due(kid) or (self._fetching.locked() and not is_usable):
            async with self._fetching:
                if self._is_due(kid):
                    await self._fetch()
        if self._age_s() > KEEP_S:
            raise UnavailableError("the keys of the identity provider are not to be had")
        return self._keys.get(kid)

    def _is_due(self, kid: str) -> bool:
        since_try_s = time.monotonic() - self._tried_at
        if self._age_s() > REFRESH_S:
            return since_try_s > RETRY_S
        return kid not in self._keys and since_try_s > self._unknown_every_s

    def _age_s(self) -> float:
        return time.monotonic() - self._fetched_at

    async def _fetch(self) -> None:
        self._tried_at = time.monotonic()
        try:
            async with asyncio.timeout(WITHIN_S):
                keys = self._read(await self._body())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, RecursionError) as exc:
            log.warning(
                "FANFOLD_JWKS_URL: no keys from %s: %s", self._url, str(exc) or type(exc).__name__
            )
            return
        self._keys = keys
        self._fetched_at = time.monotonic()

    async def _body(self) -> bytes:
        body = bytearray()
        async with self._client.stream("GET", self._url) as response:
            if response.status_code != httpx.codes.OK:
                raise ValueError(f"HTTP status {response.status_code}")
            async for piece in response.aiter_bytes():
                body += piece
                if len(body) > MAX_BYTES:
                    raise ValueError(f"more than {MAX_BYTES} bytes")
        return bytes(body)

    def _read(self, body: bytes) -> dict[str, PyJWK]:
        """Return the keys for signatures that we know how to check.

        Raises:
            ValueError: It is no key set, or has no such key.
        """
        found = json.loads(body)
        entries = found.get("keys") if isinstance(found, dict) else None
        if not isinstance(entries, list):
            raise ValueError("no JSON Web Key Set")
        keys = {entry["kid"]: key for entry in entries[:MAX_KEYS] if (key := self._key_of(entry))}
        if not keys:
            wanted = ", ".join(sorted(self._algorithms))
            raise ValueError(f"none of its keys has an id and is for {wanted}")
        return keys

    def _key_of(self, entry: Any) -> PyJWK | None:
        if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str):
            return None
        if entry.get("use", "sig") != "sig" or entry.get("kty") == "oct":
            return None
        try:
            key = PyJWK(entry)
        except (PyJWTError, TypeError, ValueError, KeyError):
            return None
        return key if key.algorithm_name in self._algorithms else None


def _is_loopback(url: str) -> bool:
    host = urllib.parse.urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
