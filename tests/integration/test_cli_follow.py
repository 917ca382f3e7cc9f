"""Following a job over connections that break: a real WebSocket server that says what it is told.

The real service is followed across a real restart in ``tests/e2e/test_cli.py``; here is what it
cannot be made to say.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response
from websockets.typing import Subprotocol

from app.client.cells import json_line
from app.client.errors import ServiceError
from app.client.follow import follow
from tests.support.running import free_port, url_of

PROTOCOL = Subprotocol("graphql-transport-ws")
DROP = "drop the connection"
COMPLETE = "complete the subscription"

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


def error(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def state(version: int, name: str = "RUNNING") -> dict[str, Any]:
    return {"data": {"jobStatus": {"id": "j-1", "version": version, "state": name}}}


class Script:
    """What the server says on its first connection, on its second, and so on."""

    def __init__(self, *connections: Sequence[dict[str, Any] | str]) -> None:
        self._connections = list(connections)
        self.variables: list[dict[str, Any]] = []

    async def play(self, connection: ServerConnection) -> None:
        said = self._connections.pop(0)
        assert json.loads(await connection.recv())["type"] == "connection_init"
        await connection.send(json.dumps({"type": "connection_ack"}))
        subscribe = json.loads(await connection.recv())
        self.variables.append(subscribe["payload"]["variables"])
        for each in said:
            if each == DROP:
                connection.transport.abort()
                return
            if each == COMPLETE:
                await connection.send(json.dumps({"type": "complete", "id": subscribe["id"]}))
            else:
                message = {"type": "next", "id": subscribe["id"], "payload": each}
                await connection.send(json_line(message))
        await connection.wait_closed()


@asynccontextmanager
async def served(script: Script) -> AsyncIterator[str]:
    async with serve(script.play, "127.0.0.1", 0, subprotocols=[PROTOCOL]) as server:
        (listener,) = server.sockets
        yield url_of(listener.getsockname()[1])


async def versions_of(script: Script, **options: Any) -> list[int]:
    async with served(script) as url:
        return [status["version"] async for status in follow(url, "j-1", **options)]


async def test_it_ends_with_the_terminal_state() -> None:
    assert await versions_of(Script([state(1), state(4, "FAILED")])) == [1, 4]


async def test_a_broken_connection_repeats_nothing_and_never_goes_back() -> None:
    script = Script(
        [state(1), state(5), DROP],
        [state(5), DROP],
        [state(3), state(5), state(6), DROP],
        [state(7, "SUCCEEDED")],
    )

    assert await versions_of(script) == [1, 5, 6, 7]


async def test_a_subscription_that_completes_early_is_taken_up_again() -> None:
    script = Script([state(1), COMPLETE], [COMPLETE], [state(2, "CANCELLED")])

    assert await versions_of(script) == [1, 2]


async def test_a_service_that_is_unavailable_for_a_while_is_asked_again() -> None:
    script = Script([error("UNAVAILABLE", "Redis does not answer")], [state(2, "SUCCEEDED")])

    assert await versions_of(script) == [2]


async def test_only_what_is_newer_is_told() -> None:
    script = Script([state(3), state(4), DROP], [state(5, "TIMED_OUT")])

    assert await versions_of(script, after_version=3) == [4, 5]


async def test_the_end_is_told_even_by_a_service_that_lost_its_last_changes() -> None:
    assert await versions_of(Script([state(5), DROP], [state(4, "FAILED")])) == [5, 4]


async def test_numbers_keep_every_digit() -> None:
    rows = [{"sum": 46116860184273879035, "price": Decimal("123456789012345678.91"), "half": 0.5}]
    end = state(2, "SUCCEEDED")
    end["data"]["jobStatus"]["result"] = rows

    async with served(Script([end])) as url:
        (status,) = [status async for status in follow(url, "j-1")]

    assert status["result"] == rows


async def test_a_job_that_does_not_exist_is_refused_at_once() -> None:
    with pytest.raises(ServiceError, match="no job 'j-1'") as caught:
        await versions_of(Script([error("NOT_FOUND", "no job 'j-1'")]))

    assert caught.value.exit_status == 3


async def test_the_connection_is_told_of_once_when_lost_and_once_when_back() -> None:
    script = Script([state(1), DROP], [DROP], [DROP], [state(1), state(2, "SUCCEEDED")])
    told: list[str | None] = []

    await versions_of(script, on_connection=told.append)

    assert [problem is None for problem in told] == [False, True]


async def test_a_service_that_stays_away_is_given_up_at_the_deadline() -> None:
    url = url_of(free_port())

    with pytest.raises(ServiceError, match="no service answers") as caught:
        async for _ in follow(url, "j-1", give_up_after_s=0.3):
            pass

    assert caught.value.exit_status == 4


async def test_an_address_of_something_else_is_not_asked_again() -> None:
    def refuse(connection: ServerConnection, _: Request) -> Response:
        return connection.respond(HTTPStatus.NOT_FOUND, "nothing here\n")

    async with serve(Script().play, "127.0.0.1", 0, process_request=refuse) as server:
        (listener,) = server.sockets
        with pytest.raises(ServiceError, match="HTTP status 404"):
            async for _ in follow(url_of(listener.getsockname()[1]), "j-1"):
                pass


async def test_every_follower_asks_for_the_same() -> None:
    """So that the service serves all of them from one execution."""
    first = Script([state(3), DROP], [state(4, "SUCCEEDED")])
    second = Script([state(4, "SUCCEEDED")])

    await versions_of(first)
    await versions_of(second, after_version=3)

    assert len({json.dumps(asked) for asked in first.variables + second.variables}) == 1
