"""GraphQL over WebSocket from this very process, over a world in memory, on a real port."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from app.serving.server import listening_socket, serving
from app.settings import load_settings
from engine.errors import UnauthenticatedError, UnavailableError
from resolvers.access.caller import Caller
from resolvers.access.quotas import Connections
from schema.build import build_schema
from schema.context import Context
from tests.support.memory import ADA, EVE, World
from tests.support.running import free_port, url_of
from transport.fan_out import FanOut
from transport.operations import Operations
from transport.origins import Origins
from transport.websocket.connection import Served
from transport.websocket.endpoint import MAX_UNACKNOWLEDGED, GraphQLWebSocket


@dataclass
class Doorman:
    """Knows two callers by their first names, and can forget them.

    Attributes:
        asked: What was shown.
        is_away: Whether nobody can be asked.
        answers: Nobody is told anything until it is set.
        watched: What to call when somebody's credential ends.
    """

    asked: list[str | None] = field(default_factory=list)
    is_away: bool = False
    answers: asyncio.Event = field(default_factory=asyncio.Event)
    watched: dict[str, list[Callable[[], None]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.answers.set()

    async def authenticate(self, credential: str | None) -> Caller:
        self.asked.append(credential)
        await self.answers.wait()
        if self.is_away:
            raise UnavailableError("the doorman is away")
        for caller in (ADA, EVE):
            if credential == caller.subject:
                return caller
        raise UnauthenticatedError("the credential is nobody's")

    def watch(self, caller: Caller, on_end: Callable[[], None]) -> Callable[[], None]:
        watching = self.watched.setdefault(caller.subject, [])
        watching.append(on_end)

        def unwatch() -> None:
            if on_end in watching:
                watching.remove(on_end)

        return unwatch

    def forget(self, caller: Caller) -> None:
        for on_end in list(self.watched.get(caller.subject, ())):
            on_end()


@dataclass
class SocketServer:
    """One that serves.

    Attributes:
        url: Its base address.
        socket: The endpoint.
        fan_out: All subscriptions.
    """

    url: str
    socket: GraphQLWebSocket
    fan_out: FanOut


@asynccontextmanager
async def socket_server(
    world: World,
    doorman: Doorman,
    folder: Path,
    *,
    max_connections: int = 0,
    max_unacknowledged: int = MAX_UNACKNOWLEDGED,
) -> AsyncIterator[SocketServer]:
    """Serve while the context is open."""
    fan_out = FanOut(world.hub)
    socket = GraphQLWebSocket(
        Served(
            operations=Operations(build_schema()),
            fan_out=fan_out,
            authenticator=doorman,
            connections=Connections(max_connections),
            context_of=lambda caller, url: Context(world.services, world.hub, caller, url),
        ),
        origins=Origins(["https://console.example"]),
        max_unacknowledged=max_unacknowledged,
    )
    port = free_port()
    settings = load_settings({}, port=port, data_dir=str(folder / "unused"))
    async with world.hub:
        with listening_socket(settings) as listener:
            listener.listen()
            async with serving(socket, listener):
                yield SocketServer(url_of(port), socket, fan_out)
                socket.close_all()
