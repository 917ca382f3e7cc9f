"""What answers callers on AWS, made from the settings."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from adapters.clock_bell import ClockBell
from adapters.dynamodb.jobs import DynamoJobs
from adapters.dynamodb.keys import DynamoKeys
from app.authentication import credentials_of
from app.aws.launchers import launchers_of
from app.aws.settings import Deployment
from app.aws.table import table_of
from app.runtime import blobs_of, signer_of
from app.services import services_of
from engine.webhooks import key_name
from resolvers.access.credentials import Credentials
from resolvers.live.hub import StatusHub
from resolvers.services import Services
from schema.build import Schema, build_schema


@dataclass(frozen=True, slots=True)
class Api:
    """Everything that entry points for callers have in common.

    Attributes:
        services: For resolvers.
        hub: For those who wait; it looks by the clock.
        credentials: Tells who calls.
        schema: What may be asked for.
    """

    services: Services
    hub: StatusHub
    credentials: Credentials
    schema: Schema


@asynccontextmanager
async def api_of(deployment: Deployment) -> AsyncIterator[Api]:
    """Make what this deployment answers with, which ends with the context."""
    settings = deployment.common
    table = table_of(deployment.aws)
    blobs, signer, bell = blobs_of(settings), signer_of(settings), ClockBell()
    launchers = launchers_of(deployment.aws)
    jobs = DynamoJobs(
        table,
        blobs,
        launchers=launchers,
        retention_s=settings.retention_seconds,
        quotas=settings.quotas,
        webhook_key=key_name(signer),
    )
    async with (
        StatusHub(jobs=jobs, bell=bell) as hub,
        credentials_of(settings, keys=DynamoKeys(table), bell=bell, signer=signer) as credentials,
        services_of(
            settings, jobs=jobs, blobs=blobs, signer=signer, runners=tuple(launchers)
        ) as services,
    ):
        yield Api(services, hub, credentials, build_schema())
