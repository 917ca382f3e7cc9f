"""GraphQL over HTTP and WebSocket: Strawberry's ASGI application with our context and protocols."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from json import JSONDecodeError
from typing import Any, Final

from cross_web import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.http import GraphQLHTTPResponse
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL

from engine.jsonvalue import decode, encode
from resolvers.caller import LOCAL_CALLER
from resolvers.hub import StatusHub
from resolvers.services import Services
from schema.build import Schema
from schema.context import Context

INIT_WITHIN: Final = timedelta(seconds=5)


class FanfoldGraphQL(GraphQL[Context, None]):
    """Serves the schema on one path, with ``graphql-transport-ws`` as the only subprotocol.

    The older ``graphql-ws`` is left out: clients that offer both, such as gql, would choose it, and
    it runs no mutations.
    """

    def __init__(self, schema: Schema, services: Services, hub: StatusHub) -> None:
        super().__init__(
            schema,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=INIT_WITHIN,
        )
        self._context = Context(services=services, hub=hub, caller=LOCAL_CALLER)

    async def get_context(
        self, request: Request | WebSocket, response: Response | WebSocket
    ) -> Context:
        """Return the context of one operation."""
        scheme = {"ws": "http", "wss": "https"}.get(request.url.scheme, request.url.scheme)
        return replace(self._context, base_url=f"{scheme}://{request.url.netloc}")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or serve one WebSocket; a refused request gets GraphQL errors."""
        if scope["type"] != "http":
            await super().__call__(scope, receive, send)
            return
        try:
            response = await self.run(Request(scope, receive))
        except HTTPException as exc:
            error = {"message": exc.reason, "extensions": {"code": "BAD_REQUEST"}}
            response = Response(
                self.encode_json({"errors": [error]}),
                status_code=exc.status_code,
                media_type="application/json",
            )
        await response(scope, receive, send)

    def decode_json(self, data: str | bytes) -> object:
        """Read a request body or a WebSocket message.

        Raises:
            JSONDecodeError: It is not a JSON object.
        """
        value = decode(data)
        if not isinstance(value, dict):
            raise JSONDecodeError("expected an object", "", 0)
        return value

    def encode_json(self, data: GraphQLHTTPResponse | Any) -> str:
        """Return an answer as JSON text."""
        return encode(data).decode()
