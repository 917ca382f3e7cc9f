"""Tables in MiniStack."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from adapters.dynamodb.table import DEFINITION, TTL_ATTRIBUTE, DynamoTable, connect
from tests.support.ministack import ENVIRON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def dynamo_client(endpoint: str) -> DynamoDBClient:
    """A client of the DynamoDB there."""
    return connect({**ENVIRON, "AWS_ENDPOINT_URL": endpoint})


def new_table(endpoint: str, *, client: DynamoDBClient | None = None) -> DynamoTable:
    """An empty table of its own, as the template makes it."""
    client = client or dynamo_client(endpoint)
    name = f"jobs-{uuid4().hex}"
    client.create_table(TableName=name, **DEFINITION)
    client.get_waiter("table_exists").wait(TableName=name, WaiterConfig={"Delay": 1})
    client.update_time_to_live(
        TableName=name,
        TimeToLiveSpecification={"Enabled": True, "AttributeName": TTL_ATTRIBUTE},
    )
    return DynamoTable(client, name)
