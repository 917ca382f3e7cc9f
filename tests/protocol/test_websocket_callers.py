"""Who may connect over WebSocket, and for how long."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus

from engine.job import JobState
from tests.support.memory import ADA, EVE, World, job_of, make_world
from tests.support.peer import Closed, peer_of
from tests.support.socket_server import Doorman, SocketServer, socket_server
from tests.support.waiting import eventually_async

pytestmark = pytest.mark.anyio
FOLLOW = "subscription($id: ID!) { jobStatus(id: $id, minIntervalMs: 0) { version } }"
FORBIDDEN = Closed(4403, "Forbidden")


@pytest.fixture
def world() -> World:
    return make_world()


@pytest.fixture
async def doorman(anyio_backend: object) -> Doorman:
    return Doorman()


@pytest.fixture
async def server(world: World, doorman: Doorman, tmp_path: Path) -> AsyncIterator[SocketServer]:
    world.jobs.put(job_of("j-1"))
    async with asyncio.timeout(30), socket_server(world, doorman, tmp_path) as server:
        yield server


class TestCredentials:
    @pytest.mark.parametrize(
        "payload",
        [
            {"Authorization": "Bearer ada"},
            {"authorization": "bearer ada"},
            {"token": "ada"},
            {"Authorization": None, "token": "ada"},
        ],
    )
    async def test_one_in_the_payload_is_taken(
        self, server: SocketServer, doorman: Doorman, payload: dict[str, str | None]
    ) -> None:
        async with peer_of(server.url, headers={"Authorization": "Bearer eve"}) as peer:
            await peer.init(**payload)
        assert doorman.asked == ["ada"]

    async def test_else_one_in_the_header(self, server: SocketServer, doorman: Doorman) -> None:
        async with peer_of(server.url, headers={"Authorization": "Bearer eve"}) as peer:
            await peer.init()
        assert doorman.asked == ["eve"]

    @pytest.mark.parametrize("payload", [{}, {"token": "mallory"}, {"Authorization": "Basic ada"}])
    async def test_nobodys_closes_4403(self, server: SocketServer, payload: dict[str, str]) -> None:
        async with peer_of(server.url) as peer:
            await peer.send(type="connection_init", payload=payload)
            assert await peer.closed() == FORBIDDEN

    async def test_where_it_cannot_be_known_the_client_is_to_come_again(
        self, server: SocketServer, doorman: Doorman
    ) -> None:
        doorman.is_away = True
        async with peer_of(server.url) as peer:
            await peer.send(type="connection_init", payload={"token": "ada"})
            assert (await peer.closed()).code == 1013

    async def test_nothing_is_served_before_it_is_known(
        self, server: SocketServer, doorman: Doorman
    ) -> None:
        doorman.answers.clear()
        async with peer_of(server.url) as peer:
            await peer.send(type="connection_init", payload={"token": "ada"})
            await peer.subscribe(FOLLOW, id="j-1")
            assert await peer.closed() == Closed(4401, "Unauthorized")

    async def test_an_allowed_origin_may_connect(self, server: SocketServer) -> None:
        async with peer_of(server.url, origin="https://console.example") as peer:
            await peer.init(token="ada")
        with pytest.raises(InvalidStatus):
            async with peer_of(server.url, origin="https://console.example.evil"):
                pass

    async def test_another_tenants_job_is_not_there(self, server: SocketServer) -> None:
        async with peer_of(server.url) as peer:
            await peer.init(token="eve")
            await peer.subscribe(FOLLOW, id="j-1")
            assert (await peer.error())["extensions"]["code"] == "NOT_FOUND"


class TestTheEnd:
    async def test_a_credential_that_ends_closes_what_is_open(
        self, server: SocketServer, doorman: Doorman, world: World
    ) -> None:
        async with peer_of(server.url) as peer, peer_of(server.url) as other:
            await peer.init(token="ada")
            await other.init(token="eve")
            await peer.subscribe(FOLLOW, id="j-1")
            await peer.receive()

            doorman.forget(ADA)

            assert await peer.closed() == FORBIDDEN
            await other.is_idle()
        await eventually_async(lambda: not world.hub.listeners)
        assert not doorman.watched[ADA.subject]

    async def test_a_peer_that_leaves_leaves_nothing_behind(
        self, server: SocketServer, doorman: Doorman, world: World
    ) -> None:
        async with peer_of(server.url) as peer:
            await peer.init(token="ada")
            for number in range(10):
                await peer.subscribe(FOLLOW, under=str(number), id="j-1")
                await peer.receive()
            peer.socket.transport.abort()
        await eventually_async(lambda: not world.hub.listeners)
        assert server.fan_out.groups == 0
        assert not doorman.watched[ADA.subject]

    async def test_a_server_that_goes_away_says_so_and_takes_no_more(
        self, server: SocketServer
    ) -> None:
        async with peer_of(server.url) as peer, peer_of(server.url) as stranger:
            await peer.init(token="ada")
            server.socket.close_all()
            assert (await peer.closed()).code == 1001
            assert (await stranger.closed()).code == 1001
        with pytest.raises(InvalidStatus) as refused:
            async with peer_of(server.url):
                pass
        assert refused.value.response.status_code == 503

    async def test_an_operation_counts_until_it_has_ended(
        self, server: SocketServer, world: World
    ) -> None:
        world.jobs.open.clear()  # no read ends
        query = 'query { job(id: "j-1") { id } }'
        mutation = 'mutation { cancelJob(id: "j-1") { __typename } }'
        async with peer_of(server.url) as peer:
            await peer.init(token="ada")
            for number in range(100):
                await peer.subscribe(mutation, under=str(number))
                await peer.complete(str(number))
            await peer.subscribe(query, under="one more")
            error = await peer.error("one more")
            assert error["extensions"]["code"] == "TOO_MANY_OPERATIONS"
            world.jobs.open.set()
            answer = await peer.ask(query, under="later")
            assert answer == {"data": {"job": {"id": "j-1"}}}
        assert world.jobs.jobs[next(iter(world.jobs.jobs))].status.state is JobState.CANCELLED


async def test_a_tenant_has_as_many_connections_as_it_may(
    world: World, doorman: Doorman, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(30),
        socket_server(world, doorman, tmp_path, max_connections=2) as server,
        peer_of(server.url) as third,
        peer_of(server.url) as foreign,
    ):
        async with peer_of(server.url) as first, peer_of(server.url) as second:
            await first.init(token=ADA.subject)
            await second.init(token=ADA.subject)
            await third.send(type="connection_init", payload={"token": ADA.subject})
            assert (await third.closed()).code == 1013
            await foreign.init(token=EVE.subject)

        async def is_taken() -> bool:
            async with peer_of(server.url) as fourth:
                await fourth.send(type="connection_init", payload={"token": ADA.subject})
                return bool(await fourth.receive() == {"type": "connection_ack"})

        assert await is_taken()


async def test_who_does_not_say_who_they_are_leaves_room_for_those_who_do(
    world: World, doorman: Doorman, tmp_path: Path
) -> None:
    async with (
        asyncio.timeout(30),
        socket_server(world, doorman, tmp_path, max_unacknowledged=2) as server,
        peer_of(server.url) as first,
        peer_of(server.url),
    ):
        with pytest.raises(InvalidStatus) as refused:
            async with peer_of(server.url):
                pass
        await first.init(token=ADA.subject)
        async with peer_of(server.url):
            pass

    assert refused.value.response.status_code == 503
    assert refused.value.response.headers["Retry-After"] == "1"
