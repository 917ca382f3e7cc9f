"""The API process: the ASGI application, and the server that it runs in."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace

from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from adapters.redis.bell import RedisBell
from adapters.redis.client import connect
from adapters.redis.jobs import RedisJobs
from adapters.redis.keys import RedisKeys
from adapters.redis.layout import require_layout
from app.authentication import credentials_of
from app.runtime import blobs_of, signer_of
from app.services import services_of
from app.serving.api_processes import api_processes
from app.serving.assets import BUILT, Assets, origin_of_uploads
from app.serving.files import download_route
from app.serving.health import HEALTH_PATHS, health_routes
from app.serving.server import address_of, listening_socket, serving, spare_the_collector
from app.serving.sockets import OpenSockets
from app.serving.uploads import upload_route
from app.settings import Settings
from app.stopping import Stop
from app.telemetry.metrics import ApiMetrics
from app.telemetry.traces import tracing
from engine.catalog import load_catalog
from engine.errors import ConfigError, UnavailableError
from engine.tracer import Tracer
from engine.webhooks import key_name
from resolvers.access.caller import Caller
from resolvers.access.held import HeldRequests
from resolvers.access.quotas import Connections
from resolvers.live.hub import StatusHub
from schema.build import build_schema
from schema.context import Context
from transport.admission import Admission
from transport.fan_out import FanOut
from transport.graphql_http import GraphQLHTTP
from transport.observed import Observed
from transport.operations import Operations
from transport.origins import Origins
from transport.rest.polling import Polls
from transport.rest.routes import rest_routes
from transport.sse import EventStreams
from transport.websocket.connection import Served
from transport.websocket.endpoint import GraphQLWebSocket


async def serve_api(settings: Settings, *, is_shared: bool = False) -> None:
    """Serve until SIGTERM or SIGINT.

    Args:
        settings: Of this deployment.
        is_shared: Whether other processes listen on the same port.

    Raises:
        ConfigError: There is no Redis to work with, the port is in use, or a program cannot be
            loaded.
    """
    stop = Stop.on_signals()
    if settings.api_processes > 1:
        load_catalog(settings.programs)
        async with api_processes(settings, stop):
            await stop.told.wait()
        return
    with listening_socket(settings, is_shared=is_shared) as listener:
        async with api_at(settings, listener):
            spare_the_collector()
            await stop.told.wait()


@asynccontextmanager
async def api_at(settings: Settings, listener: socket.socket) -> AsyncIterator[str]:
    """Serve the API at *listener* while the context is open; yield its address.

    At the end it says that it is not ready, closes WebSockets and event streams, takes no more
    connections, and gives requests that are under way a few seconds.
    """
    sockets, streams, polls = OpenSockets(), EventStreams(), Polls()
    is_shared = bool(listener.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT))
    with tracing(settings, os.environ, role="api") as tracer:
        async with (
            _application(settings, sockets, streams, polls, tracer=tracer, is_shared=is_shared) as (
                application,
                admission,
            ),
            serving(application, listener, admission=admission),
        ):
            try:
                yield address_of(settings)
            finally:
                streams.close_all()
                polls.close_all()
                sockets.close_all()


@asynccontextmanager
async def _application(
    settings: Settings,
    sockets: OpenSockets,
    streams: EventStreams,
    polls: Polls,
    *,
    tracer: Tracer,
    is_shared: bool,
) -> AsyncIterator[tuple[ASGIApp, Admission]]:
    if settings.redis_url is None:
        raise ConfigError("FANFOLD_REDIS_URL: the API needs to know which Redis to work with")
    blobs, signer = blobs_of(settings), signer_of(settings)
    assets = Assets(BUILT, store=await asyncio.to_thread(origin_of_uploads, blobs))
    async with AsyncExitStack() as at_end:
        enter = at_end.enter_async_context
        redis, bell = await enter(_connected(settings.redis_url))
        jobs = RedisJobs(
            redis,
            retention_s=settings.retention_seconds,
            quotas=settings.quotas,
            webhook_key=key_name(signer),
        )
        metrics = ApiMetrics(settings, redis)
        hub = await enter(StatusHub(jobs=jobs, bell=bell, meter=metrics.meter, tracer=tracer))
        authenticator = await enter(
            credentials_of(settings, keys=RedisKeys(redis), bell=bell, signer=signer)
        )
        services = await enter(
            services_of(settings, jobs=jobs, blobs=blobs, signer=signer, tracer=tracer)
        )
        await enter(metrics.running(is_shared=is_shared))
        schema, connections = build_schema(), Connections(settings.quotas.connections)
        origins = Origins(settings.allowed_origins)
        admission = Admission(settings.connects_per_second, meter=metrics.meter)
        operations = Operations(schema, is_introspectable=settings.introspection, tracer=tracer)
        fan_out = FanOut(hub, meter=metrics.meter)
        held = HeldRequests(connections, authenticator)

        def context_of(caller: Caller, url: str) -> Context:
            return Context(services, hub, caller, url)

        def context_of_request(caller: Caller, url: str) -> Context:
            return replace(context_of(caller, url), held=held)

        websocket = GraphQLWebSocket(
            Served(
                operations=operations,
                fan_out=fan_out,
                authenticator=authenticator,
                connections=connections,
                context_of=context_of,
            ),
            origins=origins,
            meter=metrics.meter,
        )
        sockets.add(websocket.close_all)
        http = GraphQLHTTP(
            operations,
            authenticator=authenticator,
            context_of=context_of_request,
            origins=origins,
            fan_out=fan_out,
            connections=connections,
            streams=streams,
            admission=admission,
            page=assets.graphiql.body,
            page_headers=assets.graphiql.headers,
        )
        others = Starlette(
            routes=[
                *health_routes(redis, is_closing=lambda: sockets.is_closing),
                metrics.route(),
                *assets.routes(),
                download_route(blobs, signer),
                upload_route(blobs, signer, settings.data_dir / "uploads", connections=connections),
                *rest_routes(
                    services,
                    hub=hub,
                    authenticator=authenticator,
                    origins=origins,
                    connections=connections,
                    polls=polls,
                    schema=schema.graphql,
                ),
            ]
        )
        named = TrustedHostMiddleware(
            _first(http, websocket, others), allowed_hosts=list(settings.hosts)
        )
        observed = Observed(_asked_by_machines(others, named), meter=metrics.meter, tracer=tracer)
        yield observed, admission


@asynccontextmanager
async def _connected(url: str) -> AsyncIterator[tuple[Redis, RedisBell]]:
    """Hold a client, and a bell with connections of its own."""
    async with connect(url) as redis, connect(url) as subscriber, RedisBell(subscriber) as bell:
        with suppress(UnavailableError):  # it comes up later: readiness tells
            await require_layout(redis)
        yield redis, bell


def _first(http: ASGIApp, websocket: ASGIApp, others: ASGIApp) -> ASGIApp:
    """Return an application that takes the busiest path before a router looks at it."""
    graphql = {"http": http, "websocket": websocket}

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_graphql = scope["path"] == "/graphql"
        await (graphql.get(scope["type"], others) if is_graphql else others)(scope, receive, send)

    return serve


def _asked_by_machines(health: ASGIApp, others: ASGIApp) -> ASGIApp:
    """Return an application that tells its health by whatever name it is asked.

    Balancers ask by address; no page of another site can read the answer.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        is_health = scope["type"] == "http" and scope["path"] in HEALTH_PATHS
        await (health if is_health else others)(scope, receive, send)

    return serve
