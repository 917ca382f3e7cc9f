"""Connections of an API Gateway WebSocket API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from boto3.session import Session
from botocore.exceptions import BotoCoreError, ClientError

from adapters.aws.clients import patience
from engine.errors import UnavailableError
from engine.followers import ConnectionId

if TYPE_CHECKING:
    from mypy_boto3_apigatewaymanagementapi import ApiGatewayManagementApiClient

TIMEOUT_S: Final = 5.0
MAX_CONNECTIONS: Final = 32
MAX_ATTEMPTS: Final = 3
_GONE: Final = ("GoneException", "410")


def connect(url: str) -> ApiGatewayManagementApiClient:
    """Return a client; nothing is sent yet.

    Args:
        url: The API's management endpoint, stage included.
    """
    config = patience(timeout_s=TIMEOUT_S, attempts=MAX_ATTEMPTS, connections=MAX_CONNECTIONS)
    return Session().client("apigatewaymanagementapi", endpoint_url=url, config=config)


class ApiGatewayConnections:
    """Implements ``engine.followers.Gateway``."""

    def __init__(self, client: ApiGatewayManagementApiClient) -> None:
        self._client = client

    def send(self, connection: ConnectionId, message: bytes) -> bool:
        """Send a message; see ``Gateway``."""
        try:
            self._client.post_to_connection(ConnectionId=connection, Data=message)
        except ClientError as exc:
            if exc.response.get("Error", {}).get("Code") in _GONE:
                return False
            raise UnavailableError(f"API Gateway refuses: {exc}") from exc
        except BotoCoreError as exc:
            raise UnavailableError(f"API Gateway does not answer: {exc}") from exc
        return True
