"""Tables in MiniStack."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from adapters.dynamodb.table import DynamoTable, connect, create_table
from tests.support.ministack import ENVIRON

if TYPE_CHECKING:
    from mypy_boto3_dynamodb import DynamoDBClient


def dynamo_client(endpoint: str) -> DynamoDBClient:
    """A client of the DynamoDB there."""
    return connect({**ENVIRON, "AWS_ENDPOINT_URL": endpoint})


def new_table(endpoint: str, *, client: DynamoDBClient | None = None) -> DynamoTable:
    """An empty table of its own."""
    client = client or dynamo_client(endpoint)
    name = f"jobs-{uuid4().hex}"
    create_table(client, name)
    return DynamoTable(client, name)
