"""The Lambda function that AppSync asks for fields."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

from app.aws.api import api_of
from app.aws.process import Process
from app.aws.settings import Deployment
from resolvers.access.caller import scopes_of
from schema.context import Context
from transport.appsync.endpoint import AppSyncEndpoint
from transport.appsync.identity import Tenancy
from transport.operations import Operations


@asynccontextmanager
async def endpoint_of(deployment: Deployment) -> AsyncIterator[AppSyncEndpoint]:
    """Answer events as this deployment wants it, while the context is open."""
    aws = deployment.aws
    async with api_of(deployment) as api:
        yield AppSyncEndpoint(
            Operations(api.schema),
            schema=api.schema.graphql,
            context_of=lambda caller: Context(api.services, api.hub, caller, aws.url or ""),
            tenancy=Tenancy(
                tenant=aws.tenant,
                scopes=scopes_of(aws.api_key_scopes),
                tenant_claim=deployment.common.jwt_tenant_claim,
            ),
        )


@cache
def _process() -> Process[AppSyncEndpoint]:
    return Process(endpoint_of)


def handler(event: Mapping[str, Any], _context: object) -> dict[str, Any]:
    """Answer for one field; see ``AppSyncEndpoint``."""
    return _process().run(lambda endpoint: endpoint.answer(event))
