"""Houses: a job store with all that belongs to it, over each store that there is."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from adapters.dynamodb.table import DynamoTable
from tests.support.dispatched import DynamoHouse
from tests.support.house import House, house_over


@pytest.fixture(params=["redis", "dynamodb"])
async def house(request: pytest.FixtureRequest, redis: Redis, dynamo: DynamoTable) -> House:
    """An empty house; tests with a house of their own name it alike."""
    return house_over(redis) if request.param == "redis" else DynamoHouse(dynamo)
