"""What every store of API keys promises."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from adapters.dynamodb.keys import DynamoKeys
from adapters.dynamodb.table import DynamoTable
from adapters.redis.keys import RedisKeys
from engine.api_keys import ApiKeyId, ApiKeys
from tests.contract.test_credentials import make_key

pytestmark = pytest.mark.anyio


@pytest.fixture(params=["redis", "dynamodb"])
async def keys(request: pytest.FixtureRequest, redis: Redis, dynamo: DynamoTable) -> ApiKeys:
    return RedisKeys(redis) if request.param == "redis" else DynamoKeys(dynamo)


async def test_keys_are_listed_by_tenant_the_oldest_first(keys: ApiKeys) -> None:
    first, other, last = [
        await make_key(keys, tenant=tenant) for tenant in ("acme", "other", "acme")
    ]

    assert [key.id for key in await keys.of("acme")] == [first.id, last.id]
    assert [key.id for key in await keys.of(None)] == [first.id, other.id, last.id]


async def test_a_key_is_read_as_it_was_kept(keys: ApiKeys) -> None:
    secret = await make_key(keys, expires_in_s=60)
    (listed,) = await keys.of("acme")
    unknown, read = await keys.get([ApiKeyId("no"), secret.id])

    assert unknown is None
    assert read == listed
    assert read is not None
    assert read.expires_at is not None
    assert read.matches(secret.secret)


async def test_revoking_twice_finds_nothing(keys: ApiKeys) -> None:
    secret = await make_key(keys)

    assert [await keys.revoke(secret.id), await keys.revoke(secret.id)] == [True, False]
    assert await keys.get([secret.id]) == [None]
    assert await keys.of("acme") == []
