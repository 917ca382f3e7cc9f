"""The API process: the ASGI application, and the server that it runs in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from importlib import metadata
from typing import Final

import uvicorn
from redis.asyncio import Redis
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute

from adapters.redis_bell import RedisBell
from adapters.redis_client import connect, translated
from adapters.redis_jobs import RedisJobs
from adapters.redis_layout import require_layout
from app.files import download_route
from app.graphql import FanfoldGraphQL
from app.processes import sql_process
from app.runtime import blobs_of, destinations_of, signer_of, sources_of
from app.settings import Settings
from app.sockets import OpenSockets
from app.stopping import Stop
from app.uploads import upload_route
from engine.catalog import load_catalog
from engine.errors import ConfigError, UnavailableError
from resolvers.hub import StatusHub
from resolvers.services import Limits, Services
from schema.build import build_schema
from workers.checker import ProcessChecker

MAX_MESSAGE_BYTES: Final = 1024 * 1024
SHUTDOWN_WITHIN_S: Final = 5
READY_WITHIN_S: Final = 2.0


async def serve_api(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        ConfigError: There is no Redis to work with, the port is in use, or a program cannot be
            loaded.
    """
    stop = Stop.on_signals()
    with listening_socket(settings) as listener:
        async with api_at(settings, listener):
            await stop.told.wait()


@contextmanager
def listening_socket(settings: Settings) -> Iterator[socket.socket]:
    """Open the socket that the API will listen on.

    Raises:
        ConfigError: The address is in use or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as exc:
            raise ConfigError(
                f"FANFOLD_PORT: cannot listen on {settings.host}:{settings.port}: {exc.strerror}; "
                "stop the other program or choose another port"
            ) from exc
        yield listener


@asynccontextmanager
async def api_at(settings: Settings, listener: socket.socket) -> AsyncIterator[str]:
    """Serve the API at *listener* while the context is open; yield its address.

    At the end it says that it is not ready, closes WebSockets, takes no more connections, and gives
    requests that are under way ``SHUTDOWN_WITHIN_S`` seconds.
    """
    sockets = OpenSockets()
    async with _application(settings, sockets) as application:
        server = _Server(
            uvicorn.Config(
                sockets.around(application),
                ws="websockets-sansio",
                ws_max_size=MAX_MESSAGE_BYTES,
                ws_per_message_deflate=False,
                timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
                access_log=False,
                log_level="warning",
                log_config=None,
                lifespan="off",
            )
        )
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            host = f"[{settings.host}]" if ":" in settings.host else settings.host
            yield f"http://{host}:{settings.port}"
        finally:
            await sockets.close_all()
            server.should_exit = True
            await serving


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: this process has one place for them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@asynccontextmanager
async def _application(settings: Settings, sockets: OpenSockets) -> AsyncIterator[Starlette]:
    if settings.redis_url is None:
        raise ConfigError("FANFOLD_REDIS_URL: the API needs to know which Redis to work with")
    redis, subscriber = connect(settings.redis_url), connect(settings.redis_url)
    with suppress(UnavailableError):  # it comes up later: readiness tells
        await require_layout(redis)
    jobs = RedisJobs(redis, retention_s=settings.retention_seconds)
    blobs, signer = blobs_of(settings), signer_of(settings)
    async with (
        RedisBell(subscriber) as bell,
        StatusHub(jobs=jobs, bell=bell) as hub,
        _sql_checker(settings) as checker,
    ):
        services = Services(
            catalog=load_catalog(settings.programs),
            jobs=jobs,
            control=jobs,
            blobs=blobs,
            sources=sources_of(settings, blobs),
            destinations=destinations_of(settings),
            signer=signer,
            sql=checker,
            limits=Limits(
                inline_result_bytes=settings.inline_result_bytes,
                max_wait_ms=settings.max_wait_ms,
                version=metadata.version("fanfold"),
                sql_enabled=settings.sql,
            ),
        )
        graphql = FanfoldGraphQL(build_schema(), services, hub)
        yield Starlette(
            routes=[
                Route("/livez", _alive),
                Route("/readyz", _readiness(redis, sockets)),
                Route("/graphql", graphql, methods=["GET", "POST"]),
                WebSocketRoute("/graphql", graphql),
                download_route(blobs, signer),
                upload_route(blobs, signer, settings.data_dir / "uploads"),
            ],
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=_hosts(settings))],
        )
    await redis.aclose()
    await subscriber.aclose()


@asynccontextmanager
async def _sql_checker(settings: Settings) -> AsyncIterator[ProcessChecker]:
    process = sql_process(settings)
    try:
        yield ProcessChecker(process)
    finally:
        await process.stop()


def _hosts(settings: Settings) -> list[str]:
    """Return the names by which this service may be called.

    No others, because a page of another site could point a name of its own at a loopback address
    and would then pass for one of ours.
    """
    return ["localhost", "127.0.0.1", "::1", "[::1]", settings.host]


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _readiness(redis: Redis, sockets: OpenSockets) -> Callable[[Request], Awaitable[Response]]:
    async def ready(_: Request) -> Response:
        if sockets.is_closing:
            return _not_ready("the server is going away")
        try:
            with translated():
                async with asyncio.timeout(READY_WITHIN_S):
                    await redis.ping()
        except UnavailableError as exc:
            # The rest of the message names addresses, which are nobody's business here.
            return _not_ready(exc.message.partition(":")[0])
        return PlainTextResponse("ok\n")

    return ready


def _not_ready(reason: str) -> Response:
    return PlainTextResponse(f"{reason}\n", status_code=503, headers={"Retry-After": "1"})
