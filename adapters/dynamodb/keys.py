"""API keys in DynamoDB: an item for each, with all of it but the secret.

Nothing rings when a key is revoked: those who have looked a key up ask again after a while, as
they do elsewhere for rings that were lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from adapters.dynamodb.table import DynamoTable
from adapters.dynamodb.values import Item
from adapters.dynamodb.writes import IS_KNOWN, ItemKey
from engine.api_keys import ApiKey, ApiKeyId
from engine.jsonvalue import decode, encode

_LIST: Final = "APIKEYS"


class DynamoKeys:
    """Implements ``engine.api_keys.ApiKeys``."""

    def __init__(self, table: DynamoTable) -> None:
        self._table = table

    async def add(self, key: ApiKey) -> None:
        """Keep a key; see ``ApiKeys``."""
        await asyncio.to_thread(self._table.put, _stored(key))

    async def get(self, ids: Sequence[ApiKeyId]) -> list[ApiKey | None]:
        """Return keys in one round trip; see ``ApiKeys``."""
        found = await asyncio.to_thread(self._table.get_many, map(_key, ids))
        items = [found.get(_key(id)) for id in ids]
        return [None if item is None else _read(item) for item in items]

    async def of(self, tenant: str | None) -> list[ApiKey]:
        """Return the keys of a tenant, or all, the oldest first; see ``ApiKeys``.

        Goes by the index, which hears of a new key within a second or so.
        """
        keys = await asyncio.to_thread(self._all)
        return [key for key in keys if tenant in (None, key.tenant)]

    async def revoke(self, id: ApiKeyId) -> bool:
        """Erase a key; see ``ApiKeys``."""
        return await asyncio.to_thread(self._table.delete, _key(id), condition=IS_KNOWN)

    def _all(self) -> list[ApiKey]:
        ids = [(item["pk"], item["sk"]) for item in self._table.query(_LIST, index=True)]
        found = self._table.get_many(ids)
        return [_read(found[id]) for id in ids if id in found]


def _key(id: str) -> ItemKey:
    return f"APIKEY#{id}", "KEY"


def _stored(key: ApiKey) -> Item:
    pk, sk = _key(key.id)
    return {
        "pk": pk,
        "sk": sk,
        "gsi1pk": _LIST,
        "gsi1sk": f"{key.created_at.timestamp():017.6f}#{key.id}",
        "id": key.id,
        "digest": key.digest,
        "tenant": key.tenant,
        "scopes": encode(list(key.scopes)).decode(),
        "name": key.name,
        "created_at": key.created_at.isoformat(),
        "expires_at": None if key.expires_at is None else key.expires_at.isoformat(),
    }


def _read(item: Item) -> ApiKey:
    expires_at = item.get("expires_at")
    return ApiKey(
        id=ApiKeyId(item["id"]),
        digest=item["digest"],
        tenant=item["tenant"],
        scopes=tuple(decode(item["scopes"])),
        name=item["name"],
        created_at=datetime.fromisoformat(item["created_at"]),
        expires_at=None if expires_at is None else datetime.fromisoformat(expires_at),
    )
