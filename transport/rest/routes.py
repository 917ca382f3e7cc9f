"""The paths of the REST face."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from graphql import GraphQLSchema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from engine.jsonvalue import encode
from resolvers.access.authentication import Authenticator
from resolvers.access.held import HeldRequests
from resolvers.access.quotas import Connections
from resolvers.live.hub import StatusHub
from resolvers.services import Services
from transport.negotiation import JSON
from transport.origins import Origins
from transport.rest.job_reader import JobReader
from transport.rest.jobs import Jobs
from transport.rest.openapi import openapi_document
from transport.rest.polling import Polls
from transport.rest.resource import Handler, Resource
from transport.rest.results import Results
from transport.rest.webhooks import JobWebhooks


def rest_routes(
    services: Services,
    *,
    hub: StatusHub,
    authenticator: Authenticator,
    origins: Origins,
    connections: Connections,
    polls: Polls,
    schema: GraphQLSchema,
) -> list[Route]:
    """Return the routes.

    Args:
        services: For resolvers.
        hub: For resolvers.
        authenticator: Tells who calls.
        origins: The pages that may call.
        connections: Counts those who wait.
        polls: The long polls of this process; close them before the server stops.
        schema: Has the types of inputs and outputs.
    """
    reader = JobReader(
        services, hub=hub, authenticator=authenticator, connections=connections, polls=polls
    )
    held = HeldRequests(connections, authenticator)
    jobs, results = Jobs(services, hub, reader, held), Results(services, reader)
    limits = services.limits
    document = openapi_document(schema, version=limits.version, max_wait_ms=limits.max_wait_ms)

    def at(path: str, **handlers: Handler) -> Route:
        resource = Resource(handlers, authenticator=authenticator, origins=origins)
        return Route(path, resource)

    return [
        at("/jobs", POST=jobs.submit),
        at("/jobs/{id}", GET=jobs.status, DELETE=jobs.cancel),
        at("/jobs/{id}/result", GET=results.result),
        at("/jobs/{id}/result/files", GET=results.files),
        at("/jobs/{id}/webhook", GET=JobWebhooks(services).delivery),
        Route("/openapi.json", _constant(encode(document)), methods=["GET"]),
    ]


def _constant(body: bytes) -> Callable[[Request], Awaitable[Response]]:
    async def answer(_: Request) -> Response:
        return Response(body, media_type=JSON)

    return answer
