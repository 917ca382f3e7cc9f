"""The server that the API runs in: uvicorn, with our protocols, limits and way of ending."""

from __future__ import annotations

import asyncio
import gc
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Final, cast

import uvicorn
from starlette.types import ASGIApp

from app.settings import Settings
from engine.errors import ConfigError
from transport.admission import Admission
from transport.http_protocol import PatientHttpProtocol
from transport.websocket_protocol import WebSocketProtocol

MAX_MESSAGE_BYTES: Final = 1024 * 1024
SHUTDOWN_WITHIN_S: Final = 5
KEEP_ALIVE_S: Final = 75
"""Longer than the 60 s for which load balancers keep an idle connection, so that they end it."""
BACKLOG: Final = 4_096
SEND_BUFFER_BYTES: Final = 64 * 1024
"""The kernel doubles it; without, one that does not read holds megabytes."""
UNACKNOWLEDGED_MS: Final = 10_000
"""A peer that acknowledges nothing for so long is gone."""
MAX_OPEN_FILES: Final = 1024 * 1024
_GARBAGE_AFTER: Final = (20_000, 50, 50)


@contextmanager
def listening_socket(settings: Settings, *, is_shared: bool = False) -> Iterator[socket.socket]:
    """Open the socket that the API will listen on.

    Args:
        settings: Tell the address.
        is_shared: Whether other processes listen there as well; the kernel then gives each its part
            of the connections.

    Raises:
        ConfigError: The address is in use or is none of this machine's.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    with socket.socket(family) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Every accepted connection inherits these.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)
        if is_shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            listener.bind((settings.host, settings.port))
        except OSError as exc:
            raise ConfigError(
                f"FANFOLD_PORT: cannot listen on {settings.host}:{settings.port}: {exc.strerror}; "
                "stop the other program or choose another port"
            ) from exc
        yield listener


@asynccontextmanager
async def serving(
    application: ASGIApp, listener: socket.socket, *, admission: Admission | None = None
) -> AsyncIterator[None]:
    """Serve *application* at *listener* while the context is open.

    *admission* gives WebSockets their turns; None lets them in at once.

    At the end no more connections are taken, and requests that are under way get
    ``SHUTDOWN_WITHIN_S`` seconds.
    """
    server = _Server(
        uvicorn.Config(
            application,
            http=cast(
                "type[PatientHttpProtocol]",
                partial(PatientHttpProtocol, admission=admission or Admission()),
            ),
            ws=WebSocketProtocol,
            ws_max_size=MAX_MESSAGE_BYTES,
            ws_per_message_deflate=False,
            timeout_keep_alive=KEEP_ALIVE_S,
            timeout_graceful_shutdown=SHUTDOWN_WITHIN_S,
            backlog=BACKLOG,
            server_header=False,
            access_log=False,
            log_level="warning",
            log_config=None,
            lifespan="off",
        )
    )
    _allow_many_connections()
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await task


def address_of(settings: Settings) -> str:
    """Return by which address the API is called on this machine."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    return f"http://{host}:{settings.port}"


def spare_the_collector() -> None:
    """Keep what was built at the start out of garbage collections, and have fewer of them.

    Each one stops all answers of the process for as long as it takes.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GARBAGE_AFTER)


def _allow_many_connections() -> None:
    """Let this process open as many files as the system lets it; often 1,024 is the default."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MAX_OPEN_FILES if hard == resource.RLIM_INFINITY else min(hard, MAX_OPEN_FILES)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


class _Server(uvicorn.Server):
    """uvicorn without signal handlers of its own: this process has one place for them."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
