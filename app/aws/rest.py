"""The Lambda function behind API Gateway's HTTP API: jobs without GraphQL, by the same handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import TYPE_CHECKING

from mangum import Mangum
from starlette.applications import Starlette

from app.aws.api import api_of
from app.aws.process import Process
from app.aws.settings import Deployment
from resolvers.access.quotas import Connections
from transport.origins import Origins
from transport.rest.polling import Polls
from transport.rest.routes import rest_routes

if TYPE_CHECKING:
    from mangum.types import LambdaContext, LambdaEvent


@asynccontextmanager
async def application_of(deployment: Deployment) -> AsyncIterator[Starlette]:
    """Make the application, which ends with the context."""
    settings = deployment.common
    async with api_of(deployment) as api:
        yield Starlette(
            routes=rest_routes(
                api.services,
                hub=api.hub,
                authenticator=api.credentials,
                origins=Origins(settings.allowed_origins),
                connections=Connections(settings.quotas.connections),
                polls=Polls(),
                schema=api.schema.graphql,
            )
        )


@cache
def _mangum() -> Mangum:
    """Return what calls the application; it finds the loop of its process by itself."""
    return Mangum(_process().made, lifespan="off")


@cache
def _process() -> Process[Starlette]:
    return Process(application_of)


def handler(event: LambdaEvent, context: LambdaContext) -> dict[str, object]:
    """Answer one request."""
    return _mangum()(event, context)
