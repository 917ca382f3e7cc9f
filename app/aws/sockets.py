"""The Lambda function behind the WebSocket API: who connects, says what to follow, and leaves."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any, Final

from adapters.aws.apigateway_connections import ApiGatewayConnections, connect
from adapters.dynamodb.followers import DynamoFollowers
from app.aws.api import api_of
from app.aws.process import Process
from app.aws.settings import Deployment
from app.aws.table import table_of
from engine.errors import ConfigError
from engine.followers import ConnectionId
from transport.gateway import GatewayEndpoint

_TAKEN: Final = {"statusCode": 200}


@asynccontextmanager
async def endpoint_of(deployment: Deployment) -> AsyncIterator[GatewayEndpoint]:
    """Make what takes messages, which ends with the context."""
    url = deployment.aws.socket_url
    if url is None:
        raise ConfigError("FANFOLD_AWS_SOCKET_URL: must be set")
    async with api_of(deployment) as api:
        yield GatewayEndpoint(
            api.services,
            authenticator=api.credentials,
            followers=DynamoFollowers(table_of(deployment.aws)),
            gateway=ApiGatewayConnections(connect(url)),
        )


@cache
def _process() -> Process[GatewayEndpoint]:
    return Process(endpoint_of)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, int]:
    """Take what API Gateway tells: ``$connect``, ``$disconnect`` or a message."""
    request = event["requestContext"]
    connection = ConnectionId(request["connectionId"])
    match request["routeKey"]:
        case "$connect":
            pass  # who it is, its first message tells: browsers cannot send headers
        case "$disconnect":
            _process().run(lambda endpoint: endpoint.leave(connection))
        case _:
            body = event.get("body") or ""
            _process().run(lambda endpoint: endpoint.take(connection, body))
    return _TAKEN
