"""API keys in Redis: one hash, from the id of a key to all of it but the secret."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Final

from redis.asyncio import Redis

from adapters.redis.client import reply, translated
from engine.api_keys import REVOKED_TOPIC, ApiKey, ApiKeyId
from engine.jsonvalue import decode, encode

KEYS: Final = "fanfold:api_keys"
_CHANNEL: Final = f"fanfold:bell:{REVOKED_TOPIC}"


class RedisKeys:
    """Implements ``engine.api_keys.ApiKeys``."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def add(self, key: ApiKey) -> None:
        """Keep a key; see ``ApiKeys``."""
        with translated():
            await reply(self._redis.hset(KEYS, mapping={key.id: _stored(key)}))

    async def get(self, ids: Sequence[ApiKeyId]) -> list[ApiKey | None]:
        """Return keys in one round trip; see ``ApiKeys``."""
        if not ids:
            return []
        with translated():
            found = await reply(self._redis.hmget(KEYS, list(ids)))
        return [None if data is None else _read(data) for data in found]

    async def of(self, tenant: str | None) -> list[ApiKey]:
        """Return the keys of a tenant, or all, the oldest first; see ``ApiKeys``."""
        with translated():
            found = await reply(self._redis.hvals(KEYS))
        keys = [key for key in map(_read, found) if tenant in (None, key.tenant)]
        return sorted(keys, key=lambda key: (key.created_at, key.id))

    async def revoke(self, id: ApiKeyId) -> bool:
        """Erase a key and ring; see ``ApiKeys``.

        In one transaction, so that whoever hears of it finds the key gone.
        """
        with translated():
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hdel(KEYS, id)
                pipe.publish(_CHANNEL, id)
                erased, _ = await pipe.execute()
        return bool(erased)


def _stored(key: ApiKey) -> bytes:
    fields = asdict(key) | {
        "scopes": list(key.scopes),
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }
    return encode(fields)


def _read(data: bytes) -> ApiKey:
    fields = decode(data)
    expires_at = fields["expires_at"]
    return ApiKey(
        id=ApiKeyId(fields["id"]),
        digest=fields["digest"],
        tenant=fields["tenant"],
        scopes=tuple(fields["scopes"]),
        name=fields["name"],
        created_at=datetime.fromisoformat(fields["created_at"]),
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
    )
